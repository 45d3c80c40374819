"""The records of a stream of text: cut at the separators that are not escaped or quoted, the marks still in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from penstock.data.formats import Format

_CHUNK = 1 << 18
_WIDE = ((re.compile(rb"[\xf0-\xf4]"), 4), (re.compile(rb"[\xc4-\xef]"), 2))
_CONTINUED = bytes(range(0x80, 0xC0))
LONGEST_RECORD = 1 << 26
"""Bytes of one record, and so of one field: 64 MiB. It bounds what a task runner holds in memory."""


class FormatError(Exception):
    """Bytes that are no rows, a value that the format cannot hold, or a format that contradicts itself."""


class RecordTooLong(Exception):
    """A record is longer than the limit; the rest of a sentence about it."""


def whole_records(stream: BinaryIO, format: Format, longest: int = LONGEST_RECORD) -> Iterator[bytes]:
    """The stream in pieces of whole records, each without the record separator at its end.

    Raises `RecordTooLong` once more than `longest` bytes have no end of a record.
    """
    separator = format.record_separator.encode()
    kept: list[bytes] = []
    size = 0
    odd = False  # an odd number of quotes in what is kept
    while chunk := stream.read(_CHUNK):
        if format.quote_char is None:
            end = _last_separator(kept, chunk, format, separator)
        else:
            end = _last_unquoted(chunk, odd)
        if end < 0:
            odd ^= format.quote_char is not None and chunk.count(b'"') % 2 == 1
            kept.append(chunk)
            size += len(chunk)
            if size > longest:
                raise RecordTooLong(_too_long(longest, format, inside_quotes=odd))
            continue
        kept.append(chunk[:end])
        rest = chunk[end + len(separator) :]
        odd = format.quote_char is not None and rest.count(b'"') % 2 == 1
        whole = [b"".join(kept)]
        kept, size = [rest], len(rest)
        del chunk, rest
        yield whole.pop()  # a long one is its reader's alone
    rest = b"".join(kept)
    escape = (format.escape_char or "").encode()
    if rest.endswith(separator) and not (escape and _escaped_at([], rest, len(rest) - len(separator), escape)):
        yield rest.removesuffix(separator)  # a separator of several bytes that lay across two chunks
    elif rest:
        yield rest


def _last_separator(kept: list[bytes], chunk: bytes, format: Format, separator: bytes) -> int:
    escape = (format.escape_char or "").encode()
    end = chunk.rfind(separator)
    while end >= 0 and escape and _escaped_at(kept, chunk, end, escape):
        end = chunk.rfind(separator, 0, end)
    return end


def _last_unquoted(chunk: bytes, odd: bool) -> int:
    """Where the last line feed is that has an even number of quotes before it; `odd` counts those before the chunk."""
    end = chunk.rfind(b"\n")
    inside = odd ^ (chunk.count(b'"', 0, end) % 2 == 1) if end >= 0 else False
    while end >= 0 and inside:
        quote = chunk.rfind(b'"', 0, end)
        if quote < 0:
            return -1
        end = chunk.rfind(b"\n", 0, quote)
        inside = end >= 0 and inside ^ (chunk.count(b'"', end, quote + 1) % 2 == 1)
    return end


def _too_long(longest: int, format: Format, *, inside_quotes: bool) -> str:
    if inside_quotes:
        return f"{over(longest)}. A quote in it may never be closed."
    return f"{over(longest)}. The record separator {format.record_separator!r} may be wrong."


def decoded(data: bytes, longest: int) -> str:
    """The text of whole records. Raises `UnicodeDecodeError`, and `RecordTooLong` for one that memory is too small for.

    Python keeps 2 or 4 bytes for each character of a text that has one beyond Latin-1, or beyond the first 65,536.
    """
    least = len(data) - 2 * _CHUNK  # of the longest record
    if least * 4 > longest:
        width = next((width for wide, width in _WIDE if wide.search(data)), 1)
        if width > 1 and least * width > longest:
            characters = len(data.translate(None, _CONTINUED)) - 2 * _CHUNK
            if characters * width > longest:
                raise RecordTooLong(
                    f"{over(longest)}: it has characters for which each of all takes {width} bytes of memory."
                )
    return data.decode()


def over(longest: int) -> str:
    """What is wrong with a record of more than `longest` bytes, and the setting that says so."""
    return f"is longer than {longest:,} bytes, which [data] longest_record in the settings allows"


def ends_record(data: bytes, format: Format) -> bool:
    """Whether the last bytes of a stream end a record: a record separator that is not escaped."""
    separator = format.record_separator.encode()
    escape = (format.escape_char or "").encode()
    if not data.endswith(separator):
        return False
    return not (escape and _escaped_at([], data, len(data) - len(separator), escape))


def first_end(data: bytes, format: Format) -> int:
    """Where the first record ends that is not quoted, its separator included; the end of the data if it has none."""
    separator = format.record_separator.encode()
    escape = (format.escape_char or "").encode()
    end = data.find(separator)
    while end >= 0 and escape and _escaped_at([], data, end, escape):
        end = data.find(separator, end + 1)
    return len(data) if end < 0 else end + len(separator)


def _escaped_at(kept: list[bytes], chunk: bytes, end: int, escape: bytes) -> bool:
    """Whether the separator at `end` has an odd number of escape characters before it."""
    position = end
    while position > 0 and chunk.endswith(escape, 0, position):
        position -= len(escape)
    if position < len(escape) and kept:
        before = b"".join(kept)
        return _escaped_at([], before + chunk[:end], len(before) + end, escape)
    return (end - position) // len(escape) % 2 == 1


def split_records(text: str, format: Format) -> list[str]:
    """The records of a text without the last separator, escapes still in them."""
    separator, escape = format.record_separator, format.escape_char
    if escape is not None and escape + separator in text:
        records = split_unescaped(text, separator, escape)
    else:
        records = text.split(separator)
    if separator == "\n" and "\r" in text and "\r" not in (format.column_separator, escape):
        records = [_without_return(record, escape) for record in records]
    return records


def split_unescaped(text: str, separator: str, escape: str) -> list[str]:
    """The text split at the separators that are not escaped, in the memory of the result."""
    pieces = []
    start = at = 0
    while (end := text.find(separator, at)) >= 0:
        before = end
        while before > start and text[before - 1] == escape:
            before -= 1
        at = end + len(separator)
        if (end - before) % 2 == 0:
            pieces.append(text[start:end])
            start = at
    pieces.append(text[start:])
    return pieces


def _without_return(record: str, escape: str | None) -> str:
    if not record.endswith("\r"):
        return record
    shorter = record[:-1]
    if escape is not None and (len(shorter) - len(shorter.rstrip(escape))) % 2 == 1:
        return record
    return shorter
