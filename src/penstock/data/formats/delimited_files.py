"""Files of delimited records: cut into whole records, parsed, checked for their width, and written."""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import BinaryIO, cast

from penstock.data.formats import escaped, quoted
from penstock.data.formats.delimited import Format
from penstock.data.formats.lines import not_utf8
from penstock.data.formats.rows import (
    BadRecord,
    Column,
    Row,
    Rows,
    Sink,
    TextRow,
    batched,
    check_width,
    named_columns,
    parse_columns,
    row_error,
)
from penstock.data.records import RecordTooLong, decoded, split_records, whole_records


def read(stream: BinaryIO, format: Format, *, batch_size: int, longest_record: int) -> Rows:
    """The rows of a file. See `read_rows`."""
    pieces = _pieces(stream, format, longest_record)
    columns = parse_columns(format.columns)
    if format.header:
        first, size = next(pieces, ([], 0))
        columns = columns or tuple([Column(str(name)) for name in first[0]] if first else ())
        pieces = chain([(first[1:], size)], pieces)
    return Rows(columns, batched(pieces, batch_size))


def write(
    stream: Sink,
    format: Format,
    batches: Iterable[Sequence[Row]],
    *,
    columns: Sequence[Column],
    first_row: int,
) -> int:
    """Write rows. See `write_rows`."""
    text_of = quoted.text_of if format.quote_char else escaped.text_of
    if format.header:
        stream.write(text_of([header_of(format, columns)], format).encode())
    width, because = len(format.columns), "the column list of the format has"
    row_number = first_row
    for batch in batches:
        if not batch:
            continue
        if not width:
            width, because = len(batch[0]), f"row {row_number} has"
            if not width:
                raise row_error(row_number, None, "has no columns.")
        try:
            check_width(batch, width, because)
            text = text_of(batch, format)
        except BadRecord as error:
            raise error.at(row_number + error.index) from None
        try:
            data = text.encode()
        except UnicodeEncodeError:
            index = next(index for index, row in enumerate(batch) if not _is_unicode(text_of([row], format)))
            raise row_error(row_number + index, None, "holds text that is not valid Unicode.") from None
        del text
        stream.write(data)
        row_number += len(batch)
        del batch, data  # long ones are not kept while the next are read
    return row_number - first_row


def header_of(format: Format, columns: Sequence[Column]) -> tuple[str, ...]:
    """The names that a header says: those of the format, else those of the rows."""
    return tuple([column.name for column in named_columns("The header", format.columns, columns)])


def _pieces(stream: BinaryIO, format: Format, longest: int) -> Iterator[tuple[list[tuple[object, ...]], int]]:
    """The rows of the file, the header's among them, as they were parsed at once, and how long their text was."""
    row, line = (0, 1) if format.header else (1, 1)  # of the next record
    width, because = len(format.columns), "the column list of the format has"
    parse = quoted.parse if format.quote_char else escaped.parse
    try:
        if format.quote_char:
            stream = cast("BinaryIO", WithoutMark(stream))
        for data in whole_records(stream, format, longest):
            try:
                text = decoded(data, longest)
            except UnicodeDecodeError as error:
                before = data[: error.start].decode()
                bad = BadRecord(_records_in(before, format) - 1, not_utf8(data, is_first=line == 1))
                raise bad.at(row + bad.index, line + before.count("\n")) from None
            try:
                rows = parse(text, format)
                if row == 0:
                    _check_header(rows[0], format)
                if not width:
                    width, because = len(rows[0]), "the header has" if format.header else "row 1 has"
                check_width(rows, width, because)
            except BadRecord as error:
                raise error.at(row + error.index, line + _lines_before(text, error.index, format)) from None
            row += len(rows)
            line += text.count("\n") + (format.record_separator == "\n")
            piece = (cast("list[tuple[object, ...]]", rows), len(data))
            del data, text, rows  # a long one is not kept while it is written
            yield piece
            del piece
    except RecordTooLong as error:
        raise row_error(row, line, str(error)) from None


class WithoutMark:
    """A stream without the byte order mark that it may begin with."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._first = b""
        while len(self._first) < len(BOM_UTF8) and (data := stream.read(len(BOM_UTF8) - len(self._first))):
            self._first += data
        self._first = self._first.removeprefix(BOM_UTF8)

    def read(self, size: int) -> bytes:
        """As a stream does."""
        if self._first:
            data, self._first = self._first, b""
            return data
        return self._stream.read(size)


def _check_header(names: TextRow, format: Format) -> None:
    wanted = tuple([column.name for column in parse_columns(format.columns)])
    if wanted and names != wanted:
        raise BadRecord(0, f"is {_listed(names)}, but the columns of the format are {_listed(wanted)}.")
    if not all(names):
        raise BadRecord(0, f"has a column without a name: {_listed(names)}.")


def _listed(names: TextRow) -> str:
    return ", ".join([str(name or "(nothing)") for name in names])


def _records_in(text: str, format: Format) -> int:
    """How many records the beginning of a text has, the last of which is not whole."""
    if format.quote_char is None:
        return len(split_records(text, format))
    return sum(1 for _ in quoted.counted(text + "x", format))


def _lines_before(text: str, index: int, format: Format) -> int:
    """How many line feeds are before the record of an index."""
    if format.quote_char is None:
        separator = format.record_separator
        return separator.join([*split_records(text, format)[:index], ""]).count("\n")
    reader = quoted.counted(text, format)
    for _ in range(index):
        next(reader)
    return int(reader.line_num)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
