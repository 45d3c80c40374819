"""Which text LOAD DATA and the rows of the wire can be turned into and from, and how.

The bytes that a row of the wire has between its values (packets' heads and values' lengths) are overwritten with bytes
that UTF-8 never has, and these then are replaced by the separators of the format, all rows of a chunk at once. Of the
values only the bytes that need an escape or a quote are touched.
"""

from __future__ import annotations

import numpy as np

from penstock.data.databases.mysql_packets import Bytes, Chunk, Numbers, Values, values_of
from penstock.data.formats import Format

_NOTHING, _COLUMN, _RECORD, _NULL, _NULL_RECORD = 0xFF, 0xFE, 0xFD, 0xFB, 0xFA
_OPEN, _CLOSE, _BOTH = 1, 2, 3
_MARKS = (0xC0, 0xC1, 0xF5, 0xF6, 0xF7, 0xF8, 0xF9, 0xFA, 0xFB, 0xFC, 0xFD, 0xFE, 0xFF)
_QUOTED_COLUMN = np.array([0xFE, 0xF5, 0xF6, 0xF7], np.uint8)
"""The mark between two values: nothing is quoted, the one after it, the one before it, both."""
_QUOTED_RECORD = np.array([0xFD, 0xF8, 0xF9, 0xFA], np.uint8)
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_END_OF_COPY = b"\\."
"""A line that ends the data of PostgreSQL's COPY."""


class NotText(Exception):
    """A value of the database is no UTF-8."""


def takes(format: Format) -> bool:
    """Whether the text of this format can be made in bulk, and be given to LOAD DATA."""
    separator, record = format.column_separator, format.record_separator
    if format.quote_char is not None:
        return separator.isascii() and separator not in '\\"\0'
    marks = separator + record
    if format.escape_char != "\\" or format.null_text != "\\N" or not marks.isascii():
        return False
    return not set(marks) & set("\0\bntrb0ZN'\"")


class TextMaker:
    """Makes the text of chunks of rows, one after another."""

    def __init__(self, format: Format, columns: int) -> None:
        self._format = format
        self._columns = columns
        self._is_first = True
        separator, record = format.column_separator.encode(), format.record_separator.encode()
        table = bytearray(range(256))
        table[_COLUMN], table[_RECORD] = separator[0], record[0]
        self._table = bytes(table)
        if format.quote_char is None:
            marks = sorted({separator, record, b"\r", b"\n"} - {b"\\"})
            self._escapes = [(b"\\", b"\\\\"), *[(mark, b"\\" + mark) for mark in marks]]
            self._replacements = [(_NULL, separator + b"\\N"), (_NULL_RECORD, record + b"\\N")]
        else:
            self._escapes = [(b'"', b'""')]
            special = np.zeros(256, bool)
            special[[*separator, *b'"\r\n']] = True
            self._special = special
            self._replacements = [
                *zip((0xF5, 0xF6, 0xF7), (separator + b'"', b'"' + separator, b'"' + separator + b'"'), strict=True),
                *zip((0xF8, 0xF9, 0xFA), (b'\n"', b'"\n', b'"\n"'), strict=True),
            ]

    def text(self, chunk: Chunk) -> bytes:
        """The text of whole rows; each begins with the end of the record before it, so the first byte is one too many.

        The last record has no end: it is the first byte of what follows.
        """
        array = np.frombuffer(chunk.data, np.uint8)
        starts = np.array(chunk.starts, np.int64)
        columns = values_of(array, starts, self._columns)
        lengths = self._lengths(array, columns)
        last = 0
        if self._format.quote_char is None:
            marks = self._escaped_marks(columns)
        else:
            marks, last = self._quoted_marks(chunk, array, columns)
        if lengths is not None:
            array[lengths] = _NOTHING
        for column, before in zip(columns, marks, strict=True):
            array[column.at] = before
        for place in range(4):
            array[starts + place] = _NOTHING
        data = bytes(memoryview(chunk.data)[chunk.starts[0] : chunk.end])
        self._check(data, columns, starts, lengths)
        for plain, escaped in self._escapes:
            data = data.replace(plain, escaped)
        data = data.translate(self._table, b"\xff")
        for mark, written in self._replacements:
            data = data.replace(bytes([mark]), written)
        return data + b'"' if last else data

    def _lengths(self, array: Bytes, columns: list[Values]) -> Numbers | None:
        """Where the further bytes of long lengths stand."""
        found = []
        for column in columns:
            more = column.begin - column.at - 1
            if more.any():
                long = np.flatnonzero(more)
                places = column.at[long, None] + 1 + np.arange(8)
                found.append(places[places < column.begin[long, None]])
        return np.concatenate(found) if found else None

    def _escaped_marks(self, columns: list[Values]) -> list[Bytes]:
        return [
            np.where(column.null, np.uint8(_NULL if index else _NULL_RECORD), np.uint8(_COLUMN if index else _RECORD))
            for index, column in enumerate(columns)
        ]

    def _quoted_marks(self, chunk: Chunk, array: Bytes, columns: list[Values]) -> tuple[list[Bytes], int]:
        """The marks before each value, and whether the last value of all needs a quote after it."""
        quoted = self._quoted(chunk, array, columns)
        marks = [
            _QUOTED_COLUMN[quoted[index] + 2 * quoted[index - 1].astype(np.int8)] for index in range(1, len(columns))
        ]
        before = np.concatenate([[False], quoted[-1][:-1]])
        return [_QUOTED_RECORD[quoted[0] + 2 * before.astype(np.int8)], *marks], int(quoted[-1][-1])

    def _quoted(self, chunk: Chunk, array: Bytes, columns: list[Values]) -> list[np.typing.NDArray[np.bool_]]:
        """Which values stand in quotes."""
        ends = np.concatenate([column.begin + column.size for column in columns])
        begins = np.concatenate([column.begin for column in columns])
        counts = np.concatenate([[0], np.cumsum(self._special[array[: chunk.end]], dtype=np.int32)])
        quoted = counts[ends] != counts[begins]
        null = np.concatenate([column.null for column in columns])
        quoted |= (ends == begins) & ~null
        if len(columns) == 1 and _END_OF_COPY in chunk.data:
            is_it = ends - begins == len(_END_OF_COPY)
            for place, byte in enumerate(_END_OF_COPY):
                is_it &= array[np.minimum(begins + place, chunk.end - 1)] == byte
            quoted |= is_it
        if self._is_first:
            quoted[0] |= chunk.data.startswith(_BYTE_ORDER_MARK, int(begins[0]))
            self._is_first = False
        return list(quoted.reshape(len(columns), -1))

    def _check(self, data: bytes, columns: list[Values], starts: Numbers, lengths: Numbers | None) -> None:
        """Raise `NotText` for a value that holds one of the marks' bytes."""
        expected = len(starts) * (4 + len(columns)) + (0 if lengths is None else len(lengths))
        if len(data) - len(data.translate(None, bytes(_MARKS))) != expected:
            raise NotText
