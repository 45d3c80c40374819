"""Lines that a regular expression takes apart, and that a format string puts together."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import BinaryIO, cast

from penstock.data.formats.java_regex import compile_java
from penstock.data.formats.lines import line_error, read_lines
from penstock.data.formats.rows import (
    BadRecord,
    Row,
    Rows,
    Sink,
    TextRow,
    batched_rows,
    check_width,
    count,
    parse_columns,
    texts_of,
)
from penstock.data.records import FormatError

_SPECIFIER = re.compile(r"%(?:(\d+)\$)?(-?\d*)([a-zA-Z%])|%")


@dataclass(frozen=True)
class RegEx:
    """A line for each row: `input_reg_ex` in Java's syntax, `output_format` in that of Java's Formatter.

    The whole line must match, and each group is a column; a group that took no part is NULL. A row is written only
    if `input_reg_ex` reads the line back as the same row; without one NULL is refused.
    """

    input_reg_ex: str | None = None
    output_format: str | None = None
    columns: tuple[str, ...] = ()
    name = "RegEx"
    record_separator = "\n"
    joins = True

    def __post_init__(self) -> None:
        if self.pattern is not None:
            groups, named = self.pattern.groups, len(parse_columns(self.columns))
            if groups == 0:
                raise FormatError(f"inputRegEx {self.input_reg_ex!r} has no group. A row has a column for each.")
            if named not in (0, groups):
                raise FormatError(f"inputRegEx has {count(groups, 'group')}, but `column` names {named}.")
        if self.output_format is not None:
            self.parts  # noqa: B018 - it is checked here

    def same_text(self, other: object) -> bool:
        """Whether the lines of one are lines of the other."""
        return isinstance(other, RegEx) and (
            (self.input_reg_ex, self.output_format) == (other.input_reg_ex, other.output_format)
        )

    @cached_property
    def pattern(self) -> re.Pattern[str] | None:
        """The expression that a line matches."""
        return None if self.input_reg_ex is None else compile_java(self.input_reg_ex)

    @cached_property
    def parts(self) -> list[str | tuple[int, str]]:
        """The output format in pieces: text, and columns with the width that they are padded to."""
        parts: list[str | tuple[int, str]] = []
        done = following = 0
        text = self.output_format or ""
        for found in _SPECIFIER.finditer(text):
            parts.append(text[done : found.start()])
            done = found.end()
            if found[3] == "%" and not found[1] and not found[2]:
                parts.append("%")
            elif found[3] == "s":
                following += not found[1]
                place = int(found[1]) if found[1] else following
                if place == 0:
                    raise FormatError(f"outputFormat has {found[0]!r}, but columns count from 1.")
                parts.append((place - 1, found[2]))
            else:
                raise FormatError(f"outputFormat has {found[0]!r}. Use %1$s, %2$s and so on, and %% for a per cent.")
        parts.append(text[done:])
        return parts


def read(stream: BinaryIO, format: RegEx, *, batch_size: int, longest_record: int) -> Rows:
    """The rows of a file. See `read_rows`."""
    if format.pattern is None:
        raise FormatError("A RegEx without inputRegEx cannot be read. Give one.")
    rows = _rows(read_lines(stream, longest_record), format.pattern, format)
    return Rows(parse_columns(format.columns), batched_rows(rows, batch_size))


def _rows(pieces: Iterator[list[str]], pattern: re.Pattern[str], format: RegEx) -> Iterator[TextRow]:
    match = pattern.fullmatch
    number = 0
    for lines in pieces:
        for line in lines:
            number += 1
            found = match(line)
            if found is None:
                raise line_error(number, f"does not match inputRegEx {format.input_reg_ex!r}: {line[:80]!r}.")
            yield found.groups()


def write(stream: Sink, format: RegEx, batches: Iterable[Sequence[Row]], *, first_row: int) -> int:
    """Write rows. See `write_rows`."""
    if format.output_format is None:
        raise FormatError("A RegEx without outputFormat cannot be written. Give one, such as '%1$s %2$s'.")
    width = format.pattern.groups if format.pattern is not None else len(parse_columns(format.columns))
    because = "inputRegEx has" if format.pattern is not None else "the column list of the format has"
    row_number = first_row
    for batch in batches:
        if not batch:
            continue
        if not width:
            width, because = len(batch[0]), f"row {row_number} has"
        _check_places(format, width)
        try:
            check_width(batch, width, because)
            text = "".join([_line(tuple(texts_of(row, index)), format, index) for index, row in enumerate(batch)])
        except BadRecord as error:
            raise error.at(row_number + error.index) from None
        try:
            stream.write(text.encode())
        except UnicodeEncodeError as error:
            number = row_number + text.count("\n", 0, error.start)
            raise FormatError(f"Row {number} holds text that is not valid Unicode.") from None
        row_number += len(batch)
    return row_number - first_row


def _check_places(format: RegEx, width: int) -> None:
    places = [part[0] for part in format.parts if not isinstance(part, str)]
    wrong = next((place for place in places if place >= width), None)
    if wrong is not None:
        raise FormatError(f"outputFormat asks for column {wrong + 1}, but rows have {count(width, 'column')}.")


def _line(row: TextRow, format: RegEx, index: int) -> str:
    if format.pattern is None and None in row:
        raise BadRecord(index, "holds NULL, which RegEx cannot hold without an inputRegEx that reads it back.")
    line = "".join([part if isinstance(part, str) else _padded(row[part[0]] or "", part[1]) for part in format.parts])
    if "\n" in line or line.endswith("\r"):
        raise BadRecord(index, f"would be more than one line: {line[:80]!r}.")
    if format.pattern is not None:
        found = format.pattern.fullmatch(line)
        if found is None or cast("TextRow", found.groups()) != row:
            raise BadRecord(index, f"would be the line {line[:80]!r}, which inputRegEx does not read as the same row.")
    return line + "\n"


def _padded(text: str, width: str) -> str:
    if not width:
        return text
    return text.ljust(int(width[1:])) if width.startswith("-") else text.rjust(int(width))
