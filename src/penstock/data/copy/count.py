"""What a copy has come to so far: rows and bytes, told to whoever asked while it goes on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol, cast

from penstock.data.compression import CompressionError
from penstock.data.formats import FormatError, Row

_BYTES_BETWEEN_REPORTS = 1 << 22


class Progress(Protocol):
    """Is called now and then with what has been copied so far. An exception from it ends the copy."""

    def __call__(self, *, rows: int, bytes: int) -> None:
        """Take note of the totals."""


@dataclass
class Count:
    """What has been copied so far, and the columns that were seen, each (name, type)."""

    progress: Progress | None
    rows: int = field(default=0, init=False)
    bytes: int = field(default=0, init=False)
    columns: tuple[tuple[str, str], ...] = field(default=(), init=False)
    _told: int = field(default=0, init=False)

    def report(self) -> None:
        """Tell the totals."""
        self._told = self.bytes
        if self.progress is not None:
            self.progress(rows=self.rows, bytes=self.bytes)

    def add_bytes(self, size: int) -> None:
        """Count bytes, and tell the totals if there are many new ones."""
        self.bytes += size
        if self.bytes - self._told >= _BYTES_BETWEEN_REPORTS:
            self.report()

    def begin_again(self) -> None:
        """Forget all: the copy goes another way from the start."""
        self.rows = self.bytes = self._told = 0
        self.columns = ()

    def rows_of(self, batches: Iterable[Sequence[Row]]) -> Iterator[Sequence[Row]]:
        """The batches, counted as they are used."""
        for batch in batches:
            yield batch
            self.rows += len(batch)
            del batch  # a long one is not kept while the next is read
            self.report()

    def counted(self, stream: BinaryIO) -> BinaryIO:
        """The stream, whose bytes are counted as they are read or written."""
        return cast("BinaryIO", _Counted(stream, self))


class _Counted:
    """A stream that is counted; it leaves closing to its owner."""

    def __init__(self, stream: BinaryIO, count: Count) -> None:
        self._stream = stream
        self._count = count

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._count.add_bytes(len(data))
        return data

    def write(self, data: bytes) -> int:
        self._count.add_bytes(len(data))
        return self._stream.write(data)

    def flush(self) -> None:
        self._stream.flush()

    def close(self) -> None:
        pass


@contextmanager
def errors_of(uri: str) -> Iterator[None]:
    """Name the object in the errors of its bytes."""
    try:
        yield
    except FormatError as error:
        raise FormatError(f"{uri}: {error}") from None
    except CompressionError as error:
        raise CompressionError(f"{uri}: {error}") from None
