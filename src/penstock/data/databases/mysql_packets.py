"""The rows of MySQL's text protocol, many at once: where each value of some hundred kilobytes of rows begins and ends.

PyMySQL takes 16 microseconds for a row of ten columns, since it looks at every value by itself. Here the lengths of a
column are read for all rows of a chunk in one step of numpy, and the values stay where they came in.

A packet is three bytes of length, a number, and the payload; a row is its values one after another, each its length
and its bytes. A length is one byte, or 0xFC, 0xFD, 0xFE and two, three, eight bytes; 0xFB is NULL. A row of 16 MiB or
more lies in several packets, of which all but the last are full.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SIZE = 1 << 20
_FULL = 0xFFFFFF
_HEADER = 4
_length = struct.Struct("<I").unpack_from

Bytes = NDArray[np.uint8]
Numbers = NDArray[np.int64]


class EndOfStream(Exception):
    """The server has closed the connection in the middle of its rows."""


@dataclass(frozen=True)
class Chunk:
    """Whole rows as they came: the bytes, and where the packet of each row begins in them."""

    data: bytearray
    starts: list[int]
    end: int


@dataclass(frozen=True)
class Values:
    """One column of a chunk: where the length of each value stands, where its bytes begin, how many, and the NULLs."""

    at: Numbers
    begin: Numbers
    size: Numbers
    null: NDArray[np.bool_]


class Packets:
    """Reads the packets of one result. `last` is the payload of the packet that ended it, and `number` its number.

    `read_into` waits for bytes, and `has_more` says whether there are some to read without waiting for long.
    """

    def __init__(self, read_into: Callable[[memoryview], int | None], has_more: Callable[[], bool]) -> None:
        self._read_into = read_into
        self._has_more = has_more
        self._data = bytearray(SIZE)
        self._have = 0
        self.last = b""
        self.number = 0

    def chunks(self) -> Iterator[Chunk]:
        """The rows, in the buffer that the next chunk overwrites. Raises `EndOfStream`."""
        while not self.last:
            self._fill()
            starts, end = self._whole_packets()
            if starts:
                yield Chunk(self._data, starts, end)
            elif not self.last:
                yield from self._big_row()
                continue
            self._take(end + (_HEADER + len(self.last) if self.last else 0))

    def rest(self) -> bytes:
        """What was read past the end: the next result of a statement that gives several."""
        rest, self._have = bytes(self._data[: self._have]), 0
        return rest

    def _fill(self) -> None:
        """Read until half of the buffer is full, or the server has no more for now."""
        view = memoryview(self._data)
        while True:
            got = self._read_into(view[self._have :])
            if not got:
                raise EndOfStream
            self._have += got
            if self._have > SIZE // 2 or not self._has_more():
                return  # what came may be the end of the result, after which nothing comes

    def _whole_packets(self) -> tuple[list[int], int]:
        """Where the rows of the buffer begin, and where the last one ends."""
        data, have = self._data, self._have
        starts: list[int] = []
        add = starts.append
        position, stop = 0, have - _HEADER
        while position <= stop:
            size = _length(data, position)[0] & _FULL
            if size < 9 or size == _FULL:
                if size == _FULL:
                    return starts, position
                if position + _HEADER + size > have:
                    break
                if data[position + _HEADER] == 0xFE:
                    self.last = bytes(data[position + _HEADER : position + _HEADER + size])
                    self.number = data[position + 3]
                    return starts, position
            add(position)
            position += size + _HEADER
        if position > have:
            position = starts.pop()
        elif starts and data[starts[-1] + _HEADER] == 0xFF:
            begin = starts.pop()
            self.last = bytes(data[begin + _HEADER : position])
            position = begin
        return starts, position

    def _big_row(self) -> Iterator[Chunk]:
        """The first row, which the buffer is too small for, or which lies in several packets; put together."""
        while self._have < _HEADER:
            self._fill()
        payload = bytearray(_HEADER)
        while True:
            size = _length(self._data, 0)[0] & _FULL
            if size < _FULL and len(payload) == _HEADER and size + _HEADER <= SIZE:
                return  # it only has to be read to its end
            begin = len(payload)
            payload += bytes(size)
            have = min(size, self._have - _HEADER)
            payload[begin : begin + have] = self._data[_HEADER : _HEADER + have]
            self._take(_HEADER + have)
            view = memoryview(payload)
            while have < size:
                got = self._read_into(view[begin + have :])
                if not got:
                    raise EndOfStream
                have += got
            view.release()
            if size < _FULL:
                break
            while self._have < _HEADER:
                self._fill()
        yield Chunk(payload, [0], len(payload))

    def _take(self, count: int) -> None:
        kept = self._data[count : self._have]
        self._data[: len(kept)] = kept
        self._have = len(kept)


def values_of(array: Bytes, starts: Numbers, columns: int) -> list[Values]:
    """The columns of a chunk."""
    found = []
    at = starts + _HEADER
    for _ in range(columns):
        first = array[at]
        null = first == 0xFB
        size = first.astype(np.int64)
        begin = at + 1
        if first.size and first.max() > 0xFA:
            size[null] = 0
            for mark, width in ((0xFC, 2), (0xFD, 3), (0xFE, 8)):
                long = np.flatnonzero(first == mark)
                if long.size:
                    place = begin[long]
                    length = np.zeros(long.size, np.int64)
                    for byte in range(width):
                        length |= array[place + byte].astype(np.int64) << (8 * byte)
                    size[long] = length
                    begin[long] += width
        found.append(Values(at, begin, size, null))
        at = begin + size
    return found
