"""Compressed streams."""

from __future__ import annotations

import gzip
import io

import pytest

from penstock.data.compression import CompressionError, open_reader, open_writer


def compressed(data: bytes, compression: str = "gzip") -> bytes:
    stream = io.BytesIO()
    with open_writer(stream, compression) as writer:
        writer.write(data)
    return stream.getvalue()


@pytest.mark.parametrize("compression", ["none", "gzip", "GZIP", "None"])
def test_what_is_written_reads_back(compression: str) -> None:
    data = b"0123456789" * 100_000
    with open_reader(io.BytesIO(compressed(data, compression)), compression) as reader:
        assert reader.read() == data


def test_the_same_data_makes_the_same_file() -> None:
    data = compressed(b"data")
    assert data == compressed(b"data")
    assert data[4:8] == b"\0\0\0\0"
    assert len(compressed(b"x" * 1000)) < 100


def test_a_file_of_several_members_is_read_whole() -> None:
    data = gzip.compress(b"one\n") + gzip.compress(b"two\n")
    with open_reader(io.BytesIO(data), "gzip") as reader:
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


def test_another_compression_is_refused() -> None:
    with pytest.raises(CompressionError, match=r"'lzo' is not built yet. Use 'gzip' or 'none'"):
        open_reader(io.BytesIO(), "lzo")
