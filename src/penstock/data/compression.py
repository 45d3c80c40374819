"""Compressed streams: gzip, and none.

A gzip file that is written twice with the same bytes is the same file, byte for byte: it carries no time
and no name.
"""

from __future__ import annotations

import gzip
import io
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, cast

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed import WriteableBuffer

_BUFFER = 1 << 18


class CompressionError(Exception):
    """Bytes that are not what their compression says, or a compression that is not built."""


def open_reader(stream: BinaryIO, compression: str) -> BinaryIO:
    """The bytes of a stream, decompressed; `compression` is `none` or `gzip`, letter case does not matter.

    Reading raises `CompressionError` for bytes that are not gzip, and for a file that ends too early.
    A file of several gzip members is read whole.
    """
    if check_compression(compression) == "none":
        return stream
    return cast("BinaryIO", io.BufferedReader(_GzipReader(stream), _BUFFER))


@contextmanager
def open_writer(stream: BinaryIO, compression: str) -> Iterator[BinaryIO]:
    """A stream that compresses what is written to it into another, which stays open."""
    if check_compression(compression) == "none":
        yield stream
        return
    with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=stream, mtime=0) as compressed:
        yield cast("BinaryIO", compressed)


def check_compression(compression: str) -> str:
    """The name of a compression in lower case; raises `CompressionError` for one that is not built."""
    name = compression.lower()
    if name not in ("none", "gzip"):
        raise CompressionError(f"The compression '{compression}' is not built yet. Use 'gzip' or 'none'.")
    return name


class _GzipReader(io.RawIOBase):
    """The bytes of a gzip stream, with errors that say what is wrong with it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._gzip = gzip.GzipFile(fileobj=stream, mode="rb")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        try:
            return self._gzip.readinto(buffer)
        except EOFError:
            raise CompressionError("The gzip data ends too early: it was cut off.") from None
        except gzip.BadGzipFile:
            raise CompressionError(
                "The data is not gzip, or is damaged. If it is not compressed, set compression to 'none'."
            ) from None
        except zlib.error as error:
            raise CompressionError(f"The gzip data is damaged ({error}).") from None

    def close(self) -> None:
        self._gzip.close()
        self._stream.close()
        super().close()
