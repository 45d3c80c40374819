"""Streams over objects of a server: read by ranges, several ahead at once, and written part by part."""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

MIB = 1 << 20
RANGE = 8 * MIB
"""Bytes of one request of a reader."""
AHEAD = 3
"""Ranges that are fetched before they are asked for, and parts that are sent at a time."""
PART = 16 * MIB
"""Bytes of one part of an upload whose size nobody knows before its end."""
LARGE_PART = 64 * MIB
PARTS = 10_000
"""The most parts of an object (Amazon S3's limit)."""
_FIRST_PARTS = 5_000  # of PART bytes: servers that want all parts alike (R2) take 80 GB


class RangeReader(io.RawIOBase):
    """An object's bytes from `start` to before `end`, of which `first` has been fetched already.

    `fetch(start, end)` gives exactly these bytes, as often as it takes, or raises. So many `workers` call it at once,
    and with a single one in order. `done` is called when nothing more will be.
    """

    def __init__(
        self,
        first: bytes | bytearray,
        start: int,
        end: int,
        fetch: Callable[[int, int], bytearray],
        *,
        workers: int = AHEAD,
        done: Callable[[], None] = lambda: None,
    ) -> None:
        self._part = memoryview(first)
        self._asked = start + len(first)
        self._end = end
        self._fetch = fetch
        self._workers = workers
        self._done = done
        self._pool: ThreadPoolExecutor | None = None
        self._coming: deque[Future[bytearray]] = deque()

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fill the buffer as far as one range goes; 0 at the end."""
        target = memoryview(buffer).cast("B")
        self._ask()
        if not self._part and self._coming:
            self._part = memoryview(self._coming.popleft().result())
            self._ask()
        size = min(len(target), len(self._part))
        target[:size] = self._part[:size]
        self._part = self._part[size:]
        return size

    def _ask(self) -> None:
        while self._asked < self._end and len(self._coming) < AHEAD:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._workers, "range")
            end = min(self._asked + RANGE, self._end)
            self._coming.append(self._pool.submit(self._fetch, self._asked, end))
            self._asked = end

    def close(self) -> None:
        """Ask for nothing more."""
        for future in self._coming:
            future.cancel()
        self._coming.clear()
        if self._pool is None:
            self._done()
        else:
            self._pool.submit(self._done)  # after what is being fetched
            self._pool.shutdown(wait=False)
            self._pool = None
        self._part = memoryview(b"")
        super().close()


def buffered(reader: RangeReader) -> BinaryIO:
    """The reader with all that a stream can."""
    return cast("BinaryIO", io.BufferedReader(reader, MIB))


class Upload(Protocol):
    """How a server takes an object: whole, or in parts that count from 1."""

    def put(self, data: bytes | bytearray) -> None:
        """Make the object of these bytes."""

    def begin(self) -> None:
        """Begin an object of several parts."""

    def part(self, number: int, data: bytes | bytearray) -> None:
        """Send a part; several threads do."""

    def complete(self) -> None:
        """Make the object of its parts."""

    def abort(self) -> None:
        """Forget the parts."""

    def too_large(self, limit: int) -> Exception:
        """What is raised for an object of more bytes."""


class PartsWriter(io.RawIOBase):
    """A stream whose bytes become an object when `finish` is called, and leave nothing if `abort` is.

    At most `AHEAD` parts, or 64 MiB of large ones, are on their way beside the one that is being filled.
    """

    def __init__(self, upload: Upload, size: int | None = None) -> None:
        self._upload = upload
        known = PART if size is None else max(PART, -(-size // PARTS))
        self._sizes = (known, known if size is not None else LARGE_PART)
        self._data = bytearray()
        self._number = 0
        self._pool: ThreadPoolExecutor | None = None
        self._going: set[Future[None]] = set()

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: ReadableBuffer, /) -> int:
        """Take all of it; what failed in sending earlier parts is raised here."""
        view = memoryview(data).cast("B")
        size = len(view)
        while len(view) >= (room := self._room()):
            self._data += view[:room]
            view = view[room:]
            self._send()
        self._data += view
        return size

    def _part_size(self) -> int:
        return self._sizes[0] if self._number < _FIRST_PARTS else self._sizes[1]

    def _room(self) -> int:
        return self._part_size() - len(self._data)

    def _send(self) -> None:
        if self._pool is None:
            self._upload.begin()
            self._pool = ThreadPoolExecutor(AHEAD, "part")
        if self._number == PARTS:
            raise self._upload.too_large(_FIRST_PARTS * sum(self._sizes))
        at_once = AHEAD if len(self._data) <= PART else 1
        while len(self._going) >= at_once:
            done, self._going = wait(self._going, return_when="FIRST_COMPLETED")
            for future in done:
                future.result()
        self._number += 1
        self._going.add(self._pool.submit(self._upload.part, self._number, self._data))
        self._data = bytearray()

    def finish(self) -> None:
        """Make the object."""
        if self._pool is None:
            self._upload.put(self._data)
            return
        if self._data:
            self._send()
        for future in self._going:
            future.result()
        self._pool.shutdown()
        self._upload.complete()

    def abort(self) -> None:
        """Make none."""
        self._data = bytearray()
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)  # a part that comes after the abort would stay
            self._upload.abort()
