"""Rows as text: CSV of the Unix kind, TSV, and custom formats, read and written in batches.

Records are not quoted. A separator, a line feed, a carriage return or the escape character inside a value
has the escape character before it, and means itself when it is read: `a,b` is written `a\\,b`. NULL is a
field of exactly `\\N`, the empty string is nothing, and the word NULL is a word: the three stay different.
Text is UTF-8.

A carriage return before the line feed that ends a record is taken off, so files from Windows read as
expected (the service failed on them); one that belongs to a value is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import BinaryIO, Protocol

from penstock.data.records import FormatError as FormatError
from penstock.data.records import rejoin, split_records, whole_records
from penstock.data.values import to_text as to_text

Row = Sequence[object]
"""The values of a record; None is NULL. Rows that are read from text hold str and None only."""
TextRow = tuple[str | None, ...]


class Sink(Protocol):
    """What bytes can be written to."""

    def write(self, data: bytes, /) -> object:
        """Take all of the bytes."""


@dataclass(frozen=True)
class Format:
    """How rows are text: the character between columns, the one after a record, and the one to escape them.

    `escape_char` None: nothing can be escaped, and a value that would need it is refused. `null_text` None:
    NULL is refused. `columns` are names with types, such as `Score INT`; they do not change how rows are
    read.
    """

    name: str
    column_separator: str
    record_separator: str = "\n"
    escape_char: str | None = None
    null_text: str | None = "\\N"
    columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for field, text in (
            ("columnSeparator", self.column_separator),
            ("recordSeparator", self.record_separator),
            ("escapeChar", self.escape_char),
        ):
            if text is not None and len(text) != 1:
                raise FormatError(f"{field} of the format {self.name} must be a single character, not {text!r}.")
        marks = [self.column_separator, self.record_separator, self.escape_char]
        if len(set(marks)) < len(marks):
            raise FormatError(
                f"columnSeparator, recordSeparator and escapeChar of the format {self.name} must all differ."
            )
        null, escape = self.null_text, self.escape_char
        if null is not None and (not null or self.column_separator in null or self.record_separator in null):
            raise FormatError(f"The text for NULL of the format {self.name} must be some text without separators.")
        if null is not None and escape is not None and (escape in null[1:] or escape == null):
            raise FormatError(
                f"escapeChar {escape!r} of the format {self.name} is part of its text for NULL, {null!r}."
            )

    def same_text(self, other: Format) -> bool:
        """Whether rows are the same text in both, whatever the formats and columns are called."""
        return _text_rules(self) == _text_rules(other)

    @cached_property
    def special(self) -> re.Pattern[str]:
        """Matches a character that cannot stand in a value as it is."""
        marks = {self.column_separator, self.record_separator, self.escape_char or "", "\r", "\n"}
        return re.compile(f"[{re.escape(''.join(sorted(marks)))}]")


def CSV(*, escape_char: str | None = "\\", columns: Sequence[str] = ()) -> Format:
    """The service's CSV: comma, line feed, no quotes, backslash unless `escapeChar` says otherwise."""
    return Format("CSV", ",", "\n", escape_char, "\\N", tuple(columns))


def TSV(
    *,
    column_separator: str = "\t",
    record_separator: str = "\n",
    escape_char: str | None = "\\",
    columns: Sequence[str] = (),
) -> Format:
    """The service's TSV: tab, line feed; a backslash escapes here too, so that any value can be written."""
    return Format("TSV", column_separator, record_separator, escape_char, "\\N", tuple(columns))


def read_rows(stream: BinaryIO, format: Format, *, batch_size: int = 2000) -> Iterator[list[TextRow]]:
    """The records of a stream, in lists of `batch_size` (the last may be shorter).

    A last record needs no record separator after it. An empty line is a row of one empty string. Raises
    `FormatError` with the number of the row for bytes that are not UTF-8 and for an escape character with
    nothing after it.
    """
    waiting: list[TextRow] = []
    row_number = 1
    for data in whole_records(stream, format):
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            before = split_records(data[: error.start].decode(), format)
            raise FormatError(_not_utf8(data, row_number + len(before) - 1)) from None
        rows = _parse(text, format, row_number)
        row_number += len(rows)
        waiting = waiting + rows if waiting else rows
        start = 0
        while len(waiting) - start >= batch_size:
            yield waiting[start : start + batch_size]
            start += batch_size
        waiting = waiting[start:]
    if waiting:
        yield waiting


def write_rows(stream: Sink, format: Format, batches: Iterable[Sequence[Row]], *, first_row: int = 1) -> int:
    """Write rows, a record separator after each, and return how many.

    Raises `FormatError` with the number of the row, counted from `first_row`, for a value that the format cannot
    hold.
    """
    row_number = first_row
    for batch in batches:
        if batch:
            text = _plain_text(batch, format)
            if text is None:
                text = _escaped_text(batch, format, row_number)
            try:
                stream.write(text.encode())
            except UnicodeEncodeError as error:
                number = row_number + len(split_records(text[: error.start], format)) - 1
                raise FormatError(f"Row {number} holds text that is not valid Unicode.") from None
            row_number += len(batch)
    return row_number - first_row


def _text_rules(format: Format) -> tuple[str | None, ...]:
    return (format.column_separator, format.record_separator, format.escape_char, format.null_text)


def _not_utf8(data: bytes, row_number: int) -> str:
    if row_number == 1 and data.startswith(b"\x1f\x8b"):
        return "Row 1 is not valid UTF-8: the data is compressed with gzip. Set compression to 'gzip'."
    return f"Row {row_number} is not valid UTF-8. Convert the data to UTF-8 before."


def _parse(text: str, format: Format, row_number: int) -> list[TextRow]:
    separator, escape, null = format.column_separator, format.escape_char, format.null_text
    records = split_records(text, format)
    if escape is None or escape not in text:
        if null is None or null not in text:
            return [tuple(record.split(separator)) for record in records]
        return [tuple([None if field == null else field for field in record.split(separator)]) for record in records]
    rows: list[TextRow] = []
    escaped = re.compile(re.escape(escape) + "(.)", re.DOTALL)
    for record in records:
        fields = record.split(separator)
        if escape in record or (null is not None and null in record):
            if escape + separator in record:
                fields = rejoin(fields, separator, escape)
            if (len(record) - len(record.rstrip(escape))) % 2 == 1:
                raise FormatError(f"Row {row_number + len(rows)} ends in the escape character {escape!r}.")
            rows.append(
                tuple(
                    [
                        None if field == null else escaped.sub(r"\1", field) if escape in field else field
                        for field in fields
                    ]
                )
            )
        else:
            rows.append(tuple(fields))
    return rows


def _plain_text(batch: Sequence[Row], format: Format) -> str | None:
    """The text of rows that need no escape, or None if one may need it."""
    separator, null = format.column_separator, format.null_text
    records = []
    separators = nulls = 0
    for row in batch:
        separators += len(row) - 1
        try:
            records.append(separator.join(row))  # type: ignore[arg-type]
        except TypeError:
            if null is None:
                return None
            try:
                texts = [null if value is None else value if type(value) is str else to_text(value) for value in row]
            except TypeError:
                return None
            nulls += sum([value is None for value in row])
            records.append(separator.join(texts))  # type: ignore[arg-type]
    records.append("")
    text = format.record_separator.join(records)
    counts = {separator: separators, format.record_separator: len(batch)}
    if (null is not None and text.count(null) != nulls) or any(len(row) == 0 for row in batch):
        return None
    for mark in (separator, format.record_separator, format.escape_char, "\r", "\n"):
        if mark is not None:
            expected = counts.get(mark, 0) + (null.count(mark) * nulls if null is not None else 0)
            if text.count(mark) != expected:
                return None
    return text


def _escaped_text(batch: Sequence[Row], format: Format, row_number: int) -> str:
    records = [
        format.column_separator.join([_field(value, format, row_number + index) for value in row])
        for index, row in enumerate(batch)
        if row or _refuse(f"Row {row_number + index} has no columns.")
    ]
    records.append("")
    return format.record_separator.join(records)


def _field(value: object, format: Format, row_number: int) -> str:
    try:
        text = value if type(value) is str else to_text(value)
    except TypeError as error:
        return _refuse(f"Row {row_number} cannot be written. {error}")
    null, escape = format.null_text, format.escape_char
    if text is None:
        return null if null is not None else _refuse(f"Row {row_number} holds NULL, which {format.name} cannot hold.")
    if format.special.search(text) is None and text != null:
        return text
    if escape is None:
        return _refuse(
            f"Row {row_number} holds {text[:50]!r}, which the format {format.name} cannot write"
            " without an escape character. Use CSV or TSV, or other separators."
        )
    written = format.special.sub(lambda match: escape + match[0], text)
    return escape + written if written == null else written


def _refuse(message: str) -> str:
    raise FormatError(message)
