"""Which text PostgreSQL's COPY reads and writes exactly as our formats do, and the few bytes that must be changed.

Two kinds of text are taken: the service's own CSV and TSV (`COPY … (FORMAT text)`), and quoted text of RFC 4180
(`COPY … (FORMAT csv)`). In the first, COPY gives a backslash before some letters and digits a meaning of its own
(`\\n`, `\\t`, `\\x41`, `\\.`), where our formats take the letter itself, and COPY refuses a bare carriage return. Both
are put right in the pieces that hold them, in either direction; all other bytes pass as they are. In the second, COPY
takes quotes where RFC 4180 allows none, so every piece is checked.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import BinaryIO

from penstock.data.databases.rows import TextNotTaken
from penstock.data.formats import Format, read_rows
from penstock.data.records import LONGEST_RECORD

_BLOCK = 1 << 20
_QUOTED_BLOCK = 1 << 23
_NO_DELIMITERS = frozenset("\\.abcdefghijklmnopqrstuvwxyz0123456789\r\n\"'\0")
_MEANS_MORE = re.compile(rb"\\[bfnrtvx0-9.]")
_MARK = re.compile(rb"\\([bfnrtvx0-9.])|\\.|\r\n|\r", re.DOTALL)
_END_MARK = re.compile(rb"\n\\\.\r?\n")
_BLANK_LINE = re.compile(rb"\n\r?\n")
_FIELD = re.compile(rb'"[^"]*+(?:""[^"]*+)*+"')
_FIRST_END = re.compile(rb'(?:[^"\r\n]++|"[^"]*")*+\r?\n?')
_LETTERS = ((b"\\n", b"\\\n"), (b"\\r", b"\\\r"), (b"\\t", b"\\\t"), (b"\\b", b"\b"), (b"\\f", b"\f"), (b"\\v", b"\v"))
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def takes(format: Format) -> bool:
    """Whether COPY can be told to speak this format."""
    separator = format.column_separator
    if format.record_separator != "\n" or not separator.isascii() or separator in _NO_DELIMITERS:
        return False
    if format.quote_char is not None:
        return True
    return format.escape_char == "\\" and format.null_text == "\\N"


def options(format: Format) -> str:
    """The options of COPY for a format that it takes."""
    kind = "text" if format.quote_char is None else "csv"
    return f"(FORMAT {kind}, DELIMITER E'\\x{ord(format.column_separator):02x}')"


def to_copy(stream: BinaryIO, format: Format, width: int) -> Iterator[bytes]:
    """A text as COPY reads it, in pieces of whole records for a table of `width` columns, without the header.

    Raises `TextNotTaken` where COPY would not see the rows that `read_rows` sees, or `read_rows` refuses them.
    """
    if format.columns and len(format.columns) != width:
        raise TextNotTaken("The format has other columns than the table.")
    pieces = _quoted_pieces(stream, format) if format.quote_char else _escaped_pieces(stream)
    if format.header:
        first = next(pieces, b"")
        rest = _without_header(first, format, width)
        if rest:
            yield rest
    yield from pieces


def without_end_marks(pieces: Iterable[bytes], format: Format) -> Iterator[bytes]:
    """The pieces; raises `TextNotTaken` for quoted text with a line of `\\.`, at which COPY ends without a word."""
    for piece in pieces:
        if format.quote_char and (piece.startswith((b"\\.\n", b"\\.\r\n")) or _END_MARK.search(piece)):
            raise TextNotTaken("A line holds what ends a COPY.")
        yield piece


def has_blank_line(piece: bytes) -> bool:
    """Whether quoted text has an empty record, which some readers pass over."""
    if piece.startswith((b"\n", b"\r\n")):
        return True
    return _BLANK_LINE.search(piece) is not None and _BLANK_LINE.search(_FIELD.sub(b"x", piece)) is not None


def from_copy(pieces: Iterable[bytes], format: Format) -> Iterator[bytes]:
    """Whole records as COPY wrote them, as our format writes them. Raises `TextNotTaken` before the first."""
    for number, piece in enumerate(pieces):
        if format.quote_char is None:
            yield _our_escapes(piece, format)
            continue
        if number == 0 and piece.startswith(_BYTE_ORDER_MARK) and not format.header:
            raise TextNotTaken("The first value begins with what readers take for a byte order mark.")
        yield piece


def _our_escapes(piece: bytes, format: Format) -> bytes:
    if not any(written in piece for written, _ in _LETTERS):
        return piece
    piece = piece.replace(b"\\\\", b"\0\0")  # PostgreSQL has no text with a zero byte
    for written, ours in _LETTERS:
        piece = piece.replace(written, ours)
    if format.column_separator != "\t":
        piece = piece.replace(b"\\\t", b"\t")
    return piece.replace(b"\0\0", b"\\\\")


def _escaped_pieces(stream: BinaryIO) -> Iterator[bytes]:
    kept = b""
    while block := stream.read(_BLOCK):
        block = kept + block if kept else block
        end = block.rfind(b"\n")
        while end >= 0 and _is_escaped(block, end):
            end = block.rfind(b"\n", 0, end)
        if end < 0 and len(block) > LONGEST_RECORD:
            raise TextNotTaken("A record is longer than the limit.")
        piece, kept = block[: end + 1], block[end + 1 :]
        if piece:
            yield _MARK.sub(_plain, piece) if _is_special(piece) else piece
    if kept:
        if _is_escaped(kept, len(kept)):
            raise TextNotTaken("The text ends in an escape character.")
        yield _MARK.sub(_plain, kept + b"\n")


def _is_escaped(text: bytes, position: int) -> bool:
    """Whether an odd number of backslashes is before the position."""
    before = position
    while before and text[before - 1] == 0x5C:
        before -= 1
    return (position - before) % 2 == 1


def _is_special(piece: bytes) -> bool:
    """Whether COPY would read something in it otherwise."""
    if b"\r" not in piece and _MEANS_MORE.search(piece) is None:
        return False
    plain = piece.replace(b"\\\\", b"\0\0")  # of the same length, which is several times faster
    return _MEANS_MORE.search(plain) is not None or plain.count(b"\r") != plain.count(b"\\\r")


def _plain(mark: re.Match[bytes]) -> bytes:
    found = mark[0]
    if mark[1] is not None:
        return mark[1]
    return b"\n" if found == b"\r\n" else b"\\\r" if found == b"\r" else found


def _quoted_pieces(stream: BinaryIO, format: Format) -> Iterator[bytes]:
    valid = _valid_quotes(format.column_separator.encode())
    is_first = True
    for piece in _whole_quoted(stream):
        if is_first:
            piece = piece.removeprefix(_BYTE_ORDER_MARK)
            _check_first_end(piece)
            is_first = False
        if not piece.endswith(b"\n"):
            piece += b"\n"
        found = valid.match(piece)
        if found is None or found.end() < len(piece):
            raise TextNotTaken("A quote stands where RFC 4180 allows none.")
        yield piece


def _whole_quoted(stream: BinaryIO) -> Iterator[bytes]:
    """The stream in pieces that end with a record: at a line feed with an even number of quotes before it."""
    kept = b""
    while block := stream.read(_QUOTED_BLOCK):
        block = kept + block if kept else block
        end = block.rfind(b"\n")
        is_inside = end >= 0 and block.count(b'"', 0, end) % 2 == 1
        while end >= 0 and is_inside:
            quote = block.rfind(b'"', 0, end)
            end = block.rfind(b"\n", 0, quote)
            is_inside = end >= 0 and block.count(b'"', end, quote) % 2 == 1
        if end < 0 and len(block) > LONGEST_RECORD:
            raise TextNotTaken("A record is longer than the limit.")
        piece, kept = block[: end + 1], block[end + 1 :]
        del block
        if piece:
            yield piece
    if kept:
        yield kept


@cache
def _valid_quotes(separator: bytes) -> re.Pattern[bytes]:
    mark = re.escape(separator)
    field = rb'(?<![^%b\n])"[^"]*+(?:""[^"]*+)*+"(?=[%b\n]|\r\n)' % (mark, mark)
    return re.compile(rb'[^"]*+(?:%b[^"]*+)*+' % field)


def _check_first_end(piece: bytes) -> None:
    """COPY takes the end of the first record for that of all; a carriage return alone is none of ours."""
    end = _FIRST_END.match(piece)
    if end is not None and end[0].endswith(b"\r"):
        raise TextNotTaken("The first record ends in a carriage return alone.")


def _without_header(piece: bytes, format: Format, width: int) -> bytes:
    if format.quote_char:
        end = _FIRST_END.match(piece)
        position = end.end() if end else 0
    else:
        position = piece.find(b"\n") + 1
        while position and _is_escaped(piece, position - 1):
            position = piece.find(b"\n", position) + 1
    rows = read_rows(io.BytesIO(piece[:position]), format)
    next(rows, None)  # it refuses names that are not the format's
    if len(rows.columns) != width:
        raise TextNotTaken("The header has other columns than the table.")
    return piece[position:]
