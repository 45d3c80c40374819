"""Which text PostgreSQL's COPY reads and writes exactly as our formats do, and the few bytes that must be changed.

Two kinds of text are taken: the service's own CSV and TSV (`COPY … (FORMAT text)`), and quoted text of RFC 4180
(`COPY … (FORMAT csv)`). In the first, COPY gives a backslash before some letters and digits a meaning of its own
(`\\n`, `\\t`, `\\x41`, `\\.`), where our formats take the letter itself, and COPY refuses a bare carriage return. Both
are put right in the pieces that hold them, in either direction; all other bytes pass as they are. In the second, COPY
takes quotes where RFC 4180 allows none, so every piece is checked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, BinaryIO

from penstock.data.databases.headers import without_header
from penstock.data.databases.rows import TextNotTaken
from penstock.data.formats import Format
from penstock.data.formats.structure import QuotedStructure
from penstock.data.records import LONGEST_RECORD, FormatError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BLOCK = 1 << 20
_QUOTED_BLOCK = 1 << 22
_PART = 1 << 18
_NO_DELIMITERS = frozenset("\\.abcdefghijklmnopqrstuvwxyz0123456789\r\n\"'\0")
_MEANS_MORE = re.compile(rb"\\[bfnrtvx0-9.]")
_MARK = re.compile(rb"\\([bfnrtvx0-9.])|\\.|\r\n|\r", re.DOTALL)
_END_MARK = re.compile(rb"\n\\\.\r?\n")
_FIRST_END = re.compile(rb'(?:[^"\r\n]++|"[^"]*")*+(\r?\n?)')
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
    pieces = _checked(_quoted_pieces(stream), format) if format.quote_char else _escaped_pieces(stream)
    if format.header:
        first = next(pieces, b"")
        rest = without_header(first, format, width)
        if rest:
            yield rest
    yield from pieces


def _checked(pieces: Iterable[bytes], format: Format) -> Iterator[bytes]:
    """The pieces of quoted text; raises `TextNotTaken` for what COPY would read otherwise.

    It takes a quote where none may stand, and ends without a word at a line of `\\.`.
    """
    structure = QuotedStructure(format.column_separator)
    try:
        for piece in pieces:
            if piece.startswith((b"\\.\n", b"\\.\r\n")) or _END_MARK.search(piece):
                raise TextNotTaken("A line holds what ends a COPY.")
            structure.take(piece)
            yield piece
        structure.end()
    except FormatError as error:
        raise TextNotTaken(str(error)) from error


def refuse_start(piece: bytes, format: Format) -> None:
    """Raise `TextNotTaken` for what COPY wrote first, if readers of our format would take it for something else."""
    if format.quote_char is not None and piece.startswith(_BYTE_ORDER_MARK) and not format.header:
        raise TextNotTaken("The first value begins with what readers take for a byte order mark.")


def from_copy(piece: bytes, format: Format) -> bytes:
    """Whole records as COPY wrote them, as our format writes them."""
    return piece if format.quote_char is not None else _our_escapes(piece, format)


def _our_escapes(piece: bytes, format: Format) -> bytes:
    import numpy as np

    marks = _positions(piece, b"\\")
    if not len(marks):
        return piece
    first_of_run = np.flatnonzero(np.diff(marks, prepend=-2) != 1)  # of backslashes in a row, every second is escaped
    numbers = np.arange(len(marks))
    begins = np.zeros(len(marks), np.int64)
    begins[first_of_run] = first_of_run
    letters = marks[(numbers - np.maximum.accumulate(begins)) % 2 == 0] + 1
    values = np.frombuffer(piece, np.uint8)
    found = np.bincount(values[letters], minlength=256)
    if not any(found[letter] for letter in b"nrtbfv"):
        return piece
    if not any(found[letter] for letter in b"tbfv"):  # of the same length
        changed = np.array(values)
        plain = np.arange(256, dtype=np.uint8)
        plain[0x6E], plain[0x72] = 0x0A, 0x0D
        changed[letters] = plain[values[letters]]
        return changed.tobytes()
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


def _quoted_pieces(stream: BinaryIO) -> Iterator[bytes]:
    """The stream in pieces that end with a record, as far as its quotes stand where they may."""
    kept = b""
    is_first = True
    while block := stream.read(_QUOTED_BLOCK):
        if is_first:
            block = block.removeprefix(_BYTE_ORDER_MARK)
            if first_end(block) == b"\r":  # COPY takes it for the end of all
                raise TextNotTaken("The first record ends in a carriage return alone.")
            is_first = False
        block = kept + block if kept else block
        end = _last_end(block)
        if end < 0 and len(block) > LONGEST_RECORD:
            raise TextNotTaken("A record is longer than the limit.")
        piece, kept = block[: end + 1], block[end + 1 :]
        del block
        if piece:
            yield piece
    if kept:
        yield kept + b"\n"


def _last_end(text: bytes) -> int:
    """Where the last line feed is that has an even number of quotes before it; -1 if there is none."""
    end = text.rfind(b"\n")
    quotes = text.count(b'"', 0, max(end, 0))
    while end >= 0 and quotes % 2:
        before = end
        end = text.rfind(b"\n", 0, text.rfind(b'"', 0, before))
        quotes -= text.count(b'"', max(end, 0), before)
    return end


def _positions(text: bytes, byte: bytes) -> NDArray[np.int64]:
    """Where a byte stands in a text, looked for in parts that fit into a processor's cache."""
    import numpy as np

    values, sought = np.frombuffer(text, np.uint8), ord(byte)
    parts = [np.flatnonzero(values[at : at + _PART] == sought) + at for at in range(0, len(text), _PART)]
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


def first_end(text: bytes) -> bytes:
    """What ends the first record of quoted text: a line feed, a carriage return, both, or nothing."""
    end = _FIRST_END.match(text)
    return end[1] if end is not None else b""
