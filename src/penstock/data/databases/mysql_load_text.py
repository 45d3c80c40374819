"""What LOAD DATA is given for a text: the few bytes of it that LOAD DATA would read otherwise are changed on the way.

In the service's own CSV and TSV, LOAD DATA gives a backslash before some letters a meaning of its own (`\\n`, `\\t`,
`\\0`), where our formats take the letter itself. In quoted text it knows no difference between nothing and `""`, but
between the word NULL outside of quotes, which is NULL, and inside: so an empty field gets that word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO, cast

import numpy as np

from penstock.data.databases.headers import without_header
from penstock.data.databases.rows import TextNotTaken
from penstock.data.formats import Format
from penstock.data.formats.delimited_files import WithoutMark
from penstock.data.records import RecordTooLong, whole_records

_MEANS_MORE = re.compile(rb"\\[ntrb0Z]")
_LETTERS = b"ntrb0Z"
_QUOTE, _RETURN, _LINE = 0x22, 0x0D, 0x0A


def clauses(format: Format) -> str:
    """How LOAD DATA reads what `to_load` gives."""
    column, record = _literal(format.column_separator), _literal(format.record_separator)
    if format.quote_char is not None:
        return f"FIELDS TERMINATED BY {column} OPTIONALLY ENCLOSED BY '\"' ESCAPED BY '' LINES TERMINATED BY {record}"
    return f"FIELDS TERMINATED BY {column} ESCAPED BY '\\\\' LINES TERMINATED BY {record}"


def to_load(stream: BinaryIO, format: Format, width: int) -> Iterator[bytes]:
    """The pieces of a text as LOAD DATA reads them. Raises `TextNotTaken` where the two would not see the same rows.

    `width` is the number of columns: LOAD DATA says nothing of one that is too many and empty.
    """
    if format.columns and len(format.columns) != width:
        raise TextNotTaken("The format has other columns than the table.")
    end = format.record_separator.encode()
    separator = format.column_separator.encode()
    try:
        for piece in _records(stream, format, width):
            _check_unicode(piece)
            if format.quote_char is not None:
                yield _quoted(piece + end, separator[0], width)
            else:
                changed = _escaped(piece, end)
                if separator + end in changed:
                    _check_width(changed, separator, end, width)
                yield changed
    except RecordTooLong as error:
        raise TextNotTaken(f"A record {error}.") from None


def _records(stream: BinaryIO, format: Format, width: int) -> Iterator[bytes]:
    """Pieces of whole records without the last separator, and without a byte order mark and the header."""
    if format.quote_char is not None:
        stream = cast("BinaryIO", WithoutMark(stream))
    pieces = whole_records(stream, format)
    first = next(pieces, None) if format.header else None
    if first is not None:
        end = format.record_separator.encode()
        rest = without_header(first + end, format, width)
        if rest:
            yield rest.removesuffix(end)
    yield from pieces


def _literal(character: str) -> str:
    return f"x'{character.encode().hex()}'"


def _check_unicode(piece: bytes) -> None:
    """Raise `TextNotTaken` for what is not UTF-8: MariaDB takes halves of surrogate pairs, and names no row."""
    try:
        piece.decode()
    except UnicodeDecodeError:
        raise TextNotTaken("The text is not UTF-8.") from None


def _escaped(piece: bytes, end: bytes) -> bytes:
    has_return = b"\r" in piece and end == b"\n"
    if not has_return and not piece.endswith(b"\\") and _MEANS_MORE.search(piece) is None:
        return piece + end
    plain = piece.replace(b"\\\\", b"\xff")
    _refuse(plain.endswith(b"\\"), "The text ends in an escape character.")
    if not has_return and _MEANS_MORE.search(plain) is None:
        return piece + end
    plain += end
    for letter in _LETTERS:
        plain = plain.replace(b"\\" + bytes([letter]), bytes([letter]))
    if has_return:
        plain = plain.replace(b"\\\r", b"\xfe").replace(b"\r\n", b"\n").replace(b"\xfe", b"\\\r")
    return plain.replace(b"\xff", b"\\\\")


def _check_width(piece: bytes, separator: bytes, end: bytes, width: int) -> None:
    plain = piece.replace(b"\\\\", b"  ").replace(b"\\" + separator, b"  ").replace(b"\\" + end, b"  ")
    array = np.frombuffer(plain, np.uint8)
    places = np.flatnonzero((array == separator[0]) | (array == end[0]))
    _refuse_widths(np.flatnonzero(array[places] == end[0]), width)


def _refuse_widths(ends: np.typing.NDArray[np.int64], width: int) -> None:
    """Raise `TextNotTaken` unless every end of a record is `width` separators after the one before."""
    _refuse(bool((np.diff(ends, prepend=-1) != width).any()), "A row has too few or too many columns.")


def _quoted(piece: bytes, separator: int, width: int) -> bytes:
    array = np.frombuffer(bytearray(piece), np.uint8)
    ends = (array == separator) | (array == _LINE)
    if b'"' in piece:
        is_quote = array == _QUOTE
        _check_quotes(array, np.flatnonzero(is_quote), separator)
        inside = np.cumsum(is_quote, dtype=np.uint8) & 1
        ends &= inside == 0
        if b"\r" in piece:
            _take_off_returns(array, (array == _RETURN) & (inside == 0))
    elif b"\r" in piece:
        _take_off_returns(array, array == _RETURN)
    places = np.flatnonzero(ends)
    _refuse_widths(np.flatnonzero(array[places] == _LINE), width)
    before = np.concatenate([[-1], places[:-1]])
    sizes = places - before - 1
    if b"\r\n" in piece:
        sizes -= array[places - 1] == 0xFF
    empty = before[sizes == 0]
    starts_empty = bool(empty.size) and empty[0] < 0
    if starts_empty:
        empty = empty[1:]
    words = _words(array, before[sizes == 4], piece)
    array[empty] = np.where(array[empty] == separator, np.uint8(0xFE), np.uint8(0xFD))
    mark = bytes([separator])
    data = array.tobytes()
    if words.size:
        data = _quote_words(data, words)
    if empty.size:
        data = data.replace(b"\xfe", mark + b"NULL").replace(b"\xfd", b"\nNULL")
    if b"\r" in piece:
        data = data.replace(b"\xff", b"")
    return b"NULL" + data if starts_empty else data


def _check_quotes(array: np.typing.NDArray[np.uint8], places: np.typing.NDArray[np.int64], separator: int) -> None:
    """Raise `TextNotTaken` unless every quote opens or closes a whole field, or is doubled inside of one."""
    _refuse(bool(places.size % 2), "A quote is never closed.")
    opening, closing = places[0::2], places[1::2]
    before = array[opening[1:] - 1] if opening[0] == 0 else array[opening - 1]
    after = array[closing + 1]  # a piece ends in a line feed
    for found in (before, after):
        fine = (found == separator) | (found == _LINE) | (found == _QUOTE)
        if found is after:
            fine |= (found == _RETURN) & (array[np.minimum(closing + 2, array.size - 1)] == _LINE)
        _refuse(not fine.all(), "A quote stands where it must not.")


def _take_off_returns(array: np.typing.NDArray[np.uint8], returns: np.typing.NDArray[np.bool_]) -> None:
    places = np.flatnonzero(returns)
    _refuse(bool((array[places + 1] != _LINE).any()), "A carriage return stands alone.")
    array[places] = 0xFF


def _words(
    array: np.typing.NDArray[np.uint8], before: np.typing.NDArray[np.int64], piece: bytes
) -> np.typing.NDArray[np.int64]:
    """Where a field that is the word NULL begins."""
    if b"NULL" not in piece:
        return before[:0]
    begins = before + 1
    is_word = np.ones(begins.size, bool)
    for place, byte in enumerate(b"NULL"):
        is_word &= array[begins + place] == byte
    return begins[is_word]


def _quote_words(data: bytes, begins: np.typing.NDArray[np.int64]) -> bytes:
    parts, done = [], 0
    for begin in begins.tolist():
        parts += [data[done:begin], b'"NULL"']
        done = begin + 4
    return b"".join([*parts, data[done:]])


def _refuse(condition: bool, reason: str) -> None:
    if condition:
        raise TextNotTaken(reason)
