"""Compressed streams."""

from __future__ import annotations

import gzip
import io
import random

import pytest

from penstock.data.compression import CompressionError, open_reader, open_writer


def compressed(data: bytes, compression: str = "gzip") -> bytes:
    stream = io.BytesIO()
    with open_writer(stream, compression) as writer:
        writer.write(data)
    return stream.getvalue()


@pytest.mark.parametrize("compression", ["none", "gzip", "GZIP", "None", "zstd"])
def test_what_is_written_reads_back(compression: str) -> None:
    data = b"0123456789" * 100_000
    with open_reader(io.BytesIO(compressed(data, compression)), compression) as reader:
        assert reader.read() == data


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_what_is_written_in_pieces_is_read_in_pieces(compression: str) -> None:
    pieces = [b"", b"a" * 3_000_000, b"b", random.Random(1).randbytes(400_000), b"c" * 10]
    stream = io.BytesIO()
    with open_writer(stream, compression) as writer:
        for piece in pieces:
            writer.write(piece)

    class Trickle(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(997)

    with open_reader(Trickle(stream.getvalue()), compression) as reader:
        assert b"".join(iter(lambda: reader.read(10_007), b"")) == b"".join(pieces)


def test_gzip_is_read_and_written_as_others_do() -> None:
    data = b"0123456789" * 100_000
    assert gzip.decompress(compressed(data)) == data
    with open_reader(io.BytesIO(gzip.compress(data) + b"\0" * 512), "gzip") as reader:
        assert reader.read() == data


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_an_empty_file_has_no_bytes(compression: str) -> None:
    assert open_reader(io.BytesIO(), compression).read() == b""
    assert open_reader(io.BytesIO(compressed(b"", compression)), compression).read() == b""


def test_the_same_data_makes_the_same_file() -> None:
    data = compressed(b"data")
    assert data == compressed(b"data")
    assert data[4:8] == b"\0\0\0\0"
    assert len(compressed(b"x" * 1000)) < 100


def test_a_file_of_several_members_is_read_whole() -> None:
    for compression in ("gzip", "zstd"):
        data = compressed(b"one\n", compression) + compressed(b"two\n", compression)
        with open_reader(io.BytesIO(data), compression) as reader:
            assert reader.read() == b"one\ntwo\n"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (gzip.compress(b"0123456789" * 1000, mtime=0)[:-20], "ends too early"),
        (gzip.compress(b"0123456789", mtime=0)[:-1], "ends too early"),
        (b"1,2,3\n", "is not gzip.*set compression to 'none'"),
        (gzip.compress(b"one", mtime=0)[:-8] + b"\0" * 8, "damaged"),
        (gzip.compress(b"one", mtime=0)[:10] + b"\xff" * 20, "damaged"),
    ],
)
def test_data_that_is_not_gzip_is_refused(data: bytes, problem: str) -> None:
    with open_reader(io.BytesIO(data), "gzip") as reader, pytest.raises(CompressionError, match=problem):
        reader.read()


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (compressed(b"0123456789" * 1000, "zstd")[:-3], "ends too early"),
        (b"1,2,3\n", "is not zstd.*set compression to 'none'"),
        (compressed(b"0123456789", "zstd")[:-4] + b"\0" * 4, "damaged"),
    ],
)
def test_data_that_is_not_zstd_is_refused(data: bytes, problem: str) -> None:
    with open_reader(io.BytesIO(data), "zstd") as reader, pytest.raises(CompressionError, match=problem):
        reader.read()


def test_another_compression_is_refused() -> None:
    with pytest.raises(CompressionError, match=r"'lzo' is not built yet. Use 'gzip', 'zstd' or 'none'"):
        open_reader(io.BytesIO(), "lzo")
