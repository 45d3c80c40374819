"""The packets of MySQL's rows, as a connection that stays open gives them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from penstock.data.databases.mysql_packets import Packets, values_of

_END = b"\xfe\0\0\2\0"


def _packet(payload: bytes, number: int) -> bytes:
    return len(payload).to_bytes(3, "little") + bytes([number % 256]) + payload


def _value(value: bytes) -> bytes:
    size = len(value)
    return (bytes([size]) if size < 251 else b"\xfc" + size.to_bytes(2, "little")) + value


@given(
    st.lists(st.tuples(st.integers(0, 60_000), st.binary(max_size=20)), max_size=40),
    st.lists(st.integers(0, 2_000_000), max_size=8),
)
def test_rows_end_with_the_packet_that_says_so_however_they_come(
    rows: list[tuple[int, bytes]], cuts: list[int]
) -> None:
    values = [(b"x" * size, other) for size, other in rows]
    sent = b"".join([_packet(_value(a) + _value(b), number) for number, (a, b) in enumerate(values)])
    sent += _packet(_END, len(values))
    places = [0, *sorted(cut % len(sent) for cut in cuts), len(sent)]
    pieces = [sent[begin:end] for begin, end in pairwise(places) if begin < end]

    def read_into(view: memoryview) -> int:
        piece = pieces.pop(0)  # of nothing it would wait for ever
        count = min(len(piece), len(view))
        view[:count] = piece[:count]
        if piece[count:]:
            pieces.insert(0, piece[count:])
        return count

    packets = Packets(read_into, lambda: bool(pieces))
    found: list[tuple[bytes, bytes]] = []
    for chunk in packets.chunks():
        data = bytes(chunk.data)
        array = np.frombuffer(data, np.uint8)
        columns = values_of(array, np.array(chunk.starts, np.int64), 2)
        texts = [
            [
                data[begin : begin + size]
                for begin, size in zip(column.begin.tolist(), column.size.tolist(), strict=True)
            ]
            for column in columns
        ]
        found += list(zip(*texts, strict=True))
    assert found == values
    assert packets.last == _END
