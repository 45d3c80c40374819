"""CSV that Excel opens without changing a value, an extension: RFC 4180 with a byte order mark and CRLF.

Excel makes numbers, dates, truth and formulas of what looks like them, in quotes or not: `00123` becomes 123, a card
number of 16 digits ends in 0, `1-2` becomes a date. Such a text is written as a formula of nothing but the text,
`="00123"`, which Excel shows as it is, and which is read back as the text. The rest stands as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from typing import BinaryIO

from penstock.data.formats import delimited_files, quoted
from penstock.data.formats.column_types import is_bare
from penstock.data.formats.delimited import Format, delimited
from penstock.data.formats.rows import (
    BadRecord,
    Column,
    Row,
    Rows,
    Sink,
    check_width,
    parse_columns,
    row_error,
    texts_of,
)

_LONGEST_CELL = 32_767  # characters, as Excel counts them: a cell takes no more
_LONGEST_FORMULA = 8_000
_LITERAL = 255  # characters of a text in a formula
_SUSPECT = re.compile(r"[\d=+\-@#\t\r]|true|false", re.IGNORECASE)
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?", re.ASCII)
_DATE = re.compile(r"(?:19|[2-9]\d)\d\d-\d\d-\d\d(?: \d\d:\d\d:\d\d)?", re.ASCII)
_WORD = re.compile(r"[^\W\d_]+")
_FORMULA = re.compile(r'="(?:[^"]|"")*"(?:&"(?:[^"]|"")*")*')
_MOST_WORDS = 3  # beside digits, in what Excel may take for a date, in whatever language
_DIGITS = 15  # of a number, all that Excel keeps


@dataclass(frozen=True)
class ExcelCsv:
    """CSV for Excel; `column_separator` is a semicolon where Excel's language writes numbers with a comma."""

    columns: tuple[str, ...] = ()
    header: bool = False
    column_separator: str = ","
    name = "ExcelCSV"
    joins = False

    def __post_init__(self) -> None:
        self.text  # noqa: B018 - it is checked here

    def same_text(self, other: object) -> bool:
        """Whether a file of one is one of the other."""
        return isinstance(other, ExcelCsv) and self.text.same_text(other.text)

    @cached_property
    def text(self) -> Format:
        """The records, whose values are those that Excel sees."""
        return delimited(
            self.name, self.columns, quoting="rfc4180", header=self.header, column_separator=self.column_separator
        )


def read(stream: BinaryIO, format: ExcelCsv, *, batch_size: int, longest_record: int) -> Rows:
    """The rows of a file. See `read_rows`."""
    rows = delimited_files.read(stream, format.text, batch_size=batch_size, longest_record=longest_record)
    return Rows(rows.columns, _plain(rows))


def _plain(batches: Iterator[list[tuple[object, ...]]]) -> Iterator[list[tuple[object, ...]]]:
    for batch in batches:
        yield [tuple([_unwrapped(value) for value in row]) for row in batch]


def _unwrapped(value: object) -> object:
    if type(value) is not str or not value.startswith('="') or _FORMULA.fullmatch(value) is None:
        return value
    pieces = re.findall(r'"((?:[^"]|"")*)"', value)
    return "".join(pieces).replace('""', '"')


def write(
    stream: Sink,
    format: ExcelCsv,
    batches: Iterable[Sequence[Row]],
    *,
    columns: Sequence[Column],
    first_row: int,
) -> int:
    """Write rows. See `write_rows`."""
    stream.write(b"\xef\xbb\xbf")
    if format.header:
        names = delimited_files.header_of(format.text, columns)
        stream.write(quoted.text_of([[_wrapped(name, False, 0) for name in names]], format.text, "\r\n").encode())
    types = [column.type for column in parse_columns(format.columns) or columns]
    width, because = len(format.columns), "the columns of the format are"
    row_number = first_row
    for batch in batches:
        if not batch:
            continue
        if not width:
            width, because = len(batch[0]), f"row {row_number} has"
        values = [is_bare(type) for type in types] if len(types) == width else [False] * width
        try:
            check_width(batch, width, because)
            rows = [_shown(row, texts_of(row, index), values, index) for index, row in enumerate(batch)]
            data = quoted.text_of(rows, format.text, "\r\n").encode()
        except BadRecord as error:
            raise error.at(row_number + error.index) from None
        except UnicodeEncodeError:
            raise row_error(row_number, None, "or one soon after it holds text that is not valid Unicode.") from None
        stream.write(data)
        row_number += len(batch)
    return row_number - first_row


def _shown(row: Row, texts: Sequence[str | None], values: Sequence[bool], index: int) -> list[str | None]:
    return [
        text
        if text is None or (_SUSPECT.search(text) is None and len(text) <= _LONGEST_CELL)
        else _wrapped(text, is_value or isinstance(value, bool | int | float | Decimal | date | datetime), index)
        for value, text, is_value in zip(row, texts, values, strict=True)
    ]


def _wrapped(text: str, is_value: bool, index: int) -> str:
    """The text as Excel shows it; `is_value` says that it is no text, but a number or truth."""
    if _length(text) > _LONGEST_CELL:
        raise BadRecord(index, f"has a text of {_length(text)} characters. A cell of Excel takes {_LONGEST_CELL}.")
    if not _would_change(text, is_value):
        return text
    pieces = [text[start : start + _LITERAL // 2] for start in range(0, len(text), _LITERAL // 2)] or [""]
    formula = "=" + "&".join(['"' + piece.replace('"', '""') + '"' for piece in pieces])
    if _length(formula) > _LONGEST_FORMULA:
        raise BadRecord(
            index,
            f"has a text of {_length(text)} characters that Excel would take for a formula or a number, {text[:20]!r}"
            f" and so on. Only up to {_LONGEST_FORMULA} can be protected.",
        )
    return formula


def _would_change(text: str, is_value: bool) -> bool:
    if _NUMBER.fullmatch(text):
        digits = text.lstrip("-").replace(".", "").lstrip("0")
        is_canonical = is_value or (not ("." in text and text.endswith("0")) and text != "-0")
        return len(digits) > _DIGITS or not is_canonical
    if _DATE.fullmatch(text):
        return False
    if text[:1] in tuple("=+-@#\t\r"):
        return True
    if text.lower() in ("true", "false"):
        return not is_value
    return any(map(str.isdigit, text)) and len(_WORD.findall(text)) <= _MOST_WORDS


def _length(text: str) -> int:
    """Characters as Excel counts them: those beyond the first 65,536 of Unicode are two."""
    return len(text) + sum([character > "\uffff" for character in text])
