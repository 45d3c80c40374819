"""A proxy on loopback in front of an HTTP server, which breaks answers off, and answers in the server's place."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field


def answer(status: str, code: str) -> bytes:
    """An error of S3, whose connection closes."""
    body = f"<Error><Code>{code}</Code><Message>as the test wants it</Message></Error>".encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nConnection: close\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


SLOW_DOWN = answer("503 Slow Down", "SlowDown")


@dataclass
class Fault:
    """What happens to the next request that begins with `method`.

    It gets `instead`, or so many bytes of its answer before the connection ends (is reset, if none); `then` is called
    after that.
    """

    method: bytes
    instead: bytes | None = None
    bytes_before_reset: int = 0
    then: Callable[[], object] = field(default=lambda: None)


class FaultyProxy:
    """Forwards to a port of this machine until `close`; `requests` are the heads of those that came."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.faults: list[Fault] = []
        self.requests: list[str] = []
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._to)) as server, contextlib.suppress(OSError):
            fault: Fault | None = None
            left = 0
            while True:
                for end in select.select([client, server], [], [])[0]:
                    data = end.recv(65536)
                    if not data:
                        return
                    if end is client:
                        taken = self._fault(data)
                        if taken is not None and taken.instead is not None:
                            client.sendall(taken.instead)
                            taken.then()
                            return
                        if taken is not None:
                            fault, left = taken, taken.bytes_before_reset
                        server.sendall(data)
                    elif fault is None:
                        client.sendall(data)
                    else:
                        client.sendall(data[:left])
                        left -= len(data)
                        if left <= 0:
                            fault.then()
                            if fault.bytes_before_reset:  # a reset would take along what was not read yet
                                return
                            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                            return

    def _fault(self, data: bytes) -> Fault | None:
        """The fault for this request; None if it is none, or a part of a body."""
        if not data.startswith((b"GET ", b"PUT ", b"POST ", b"HEAD ", b"DELETE ")):
            return None
        with self._lock:
            self.requests.append(data.partition(b"\r\n\r\n")[0].decode("latin-1"))
            if self.faults and data.startswith(self.faults[0].method):
                return self.faults.pop(0)
        return None

    def close(self) -> None:
        """Take no more connections."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
