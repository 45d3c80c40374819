"""The lines of a stream of text, for the formats that have a record on each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from penstock.data.formats.delimited import Format
from penstock.data.records import FormatError, RecordTooLong, decoded, whole_records

_LINES = Format("lines", "\0", "\n", null_text=None)


def read_lines(stream: BinaryIO, longest: int) -> Iterator[list[str]]:
    """The lines, many at once, without the line feed and a carriage return before it.

    Raises `FormatError` with the number of the line for bytes that are not UTF-8 and a line over `longest` bytes.
    """
    number = 1
    try:
        for data in whole_records(stream, _LINES, longest):
            try:
                text = decoded(data, longest)
            except UnicodeDecodeError as error:
                raise line_error(number + data.count(b"\n", 0, error.start), not_utf8(data, number == 1)) from None
            lines = text.split("\n")
            if "\r" in text:
                lines = [line.removesuffix("\r") for line in lines]
            number += len(lines)
            del data, text  # a long line is not kept while its row is written
            yield lines
    except RecordTooLong as error:
        raise line_error(number, str(error)) from None


def line_error(number: int, problem: str) -> FormatError:
    """The error of a line, counted from 1."""
    return FormatError(f"Line {number} {problem}")


def not_utf8(data: bytes, is_first: bool) -> str:
    """What is wrong with bytes that are no text; compressed ones are told by how they begin."""
    for magic, compression in ((b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd")):
        if is_first and data.startswith(magic):
            return f"is not valid UTF-8: the data is compressed with {compression}. Set compression to '{compression}'."
    return "is not valid UTF-8. Convert the data to UTF-8 before."
