"""A stream of what a thread writes, so that both ends of a copy work at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty, Full, Queue
from typing import BinaryIO, cast

_BLOCKS = 8
_SECONDS = 0.2


@contextmanager
def written(write: Callable[[BinaryIO], object]) -> Iterator[BinaryIO]:
    """What `write` writes to its stream in a thread, some blocks ahead of who reads it; its error is the reader's."""
    pipe = _Pipe()
    stream = cast("BinaryIO", pipe)
    writer = threading.Thread(target=pipe.fill, args=(lambda: write(stream),), name="written")
    writer.start()
    try:
        yield stream
    finally:
        pipe.is_left = True
        writer.join()
    pipe.check()


class _Pipe:
    def __init__(self) -> None:
        self.is_left = False
        self._blocks: Queue[bytes] = Queue(_BLOCKS)
        self._rest = b""
        self._error: BaseException | None = None
        self._is_full = False

    def fill(self, write: Callable[[], object]) -> None:
        try:
            write()
        except BaseException as error:
            self._error = error
        finally:
            self._is_full = True

    def write(self, data: bytes) -> int:
        while data:
            if self.is_left:
                raise BrokenPipeError
            try:
                self._blocks.put(data, timeout=_SECONDS)
            except Full:
                continue
            break
        return len(data)

    def read(self, size: int = -1) -> bytes:
        block = self._rest or self._next()
        if 0 <= size < len(block):
            block, self._rest = block[:size], block[size:]
        else:
            self._rest = b""
        return block

    def _next(self) -> bytes:
        while True:
            is_full = self._is_full
            try:
                return self._blocks.get(timeout=_SECONDS if not is_full else 0)
            except Empty:
                if is_full:
                    self.check()
                    return b""

    def check(self) -> None:
        if self._error is not None:
            raise self._error
