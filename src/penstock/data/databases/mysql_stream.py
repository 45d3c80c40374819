"""The stream that PyMySQL has opened: read past its small buffer, and with what was read too much put back."""

from __future__ import annotations

import io
import socket
import ssl
from collections.abc import Callable
from select import POLLIN, poll
from typing import Any

from penstock.data.databases.mysql_packets import EndOfStream

_MOMENT = 2
"""Milliseconds."""


def reader(stream: io.BufferedReader) -> Callable[[memoryview], int]:
    """Reads what PyMySQL has read ahead, and then past its small buffer."""
    is_ahead = True

    def read_into(view: memoryview) -> int:
        nonlocal is_ahead
        try:
            if not is_ahead:
                return int(stream.raw.readinto(view) or 0)
            ahead = len(stream.peek(1))
            is_ahead = ahead > len(view)
            return stream.readinto(view[:ahead])
        except OSError as error:
            raise EndOfStream(str(error)) from error

    return read_into


def has_more(sock: socket.socket) -> bool:
    """Whether bytes can be read, or come within a moment in which a server that has some would send them."""
    if isinstance(sock, ssl.SSLSocket) and sock.pending():
        return True
    waiting = poll()
    waiting.register(sock, POLLIN)
    return bool(waiting.poll(_MOMENT))


def put_back(ahead: bytes, stream: io.BufferedReader) -> io.BufferedReader:
    """The stream with some bytes before what it gives next."""
    return io.BufferedReader(_Unread(ahead, stream.detach()))


class _Unread(io.RawIOBase):
    """A stream before which some bytes are put back."""

    def __init__(self, ahead: bytes, stream: io.RawIOBase) -> None:
        self._ahead = ahead
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if not self._ahead:
            return self._stream.readinto(buffer)
        count = min(len(buffer), len(self._ahead))
        buffer[:count] = self._ahead[:count]
        self._ahead = self._ahead[count:]
        return count

    def close(self) -> None:
        self._stream.close()
        super().close()
