"""One HTTP/1.1 connection of a client: a request out in one piece, the answer parsed by httptools.

The standard library's client sends head and body apart and reads headers as mail: three times the processor time.
"""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Mapping

import httptools

_PART = 256 * 1024


class NoAnswer(Exception):
    """The connection ended, or something else than HTTP came; the text says which. `is_cut` where nothing came."""

    def __init__(self, text: str, *, is_cut: bool = False) -> None:
        super().__init__(text)
        self.is_cut = is_cut


class Answer:
    """An answer while it comes: the parser calls the methods, the rest is read when it is whole."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.is_whole = False
        self.is_last = True
        self._parts: list[bytes] = []
        self._parser = httptools.HttpResponseParser(self)

    @property
    def body(self) -> bytes:
        """The body in one piece."""
        return b"".join(self._parts)

    def feed(self, part: bytes) -> None:
        """Bytes have come; raises NoAnswer."""
        try:
            self._parser.feed_data(part)
        except httptools.HttpParserError as error:
            raise NoAnswer(f"what came is no HTTP ({error})") from error

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header has come; its name is kept in lower case."""
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """All headers have come: after them the parser knows whether another answer may follow on the connection."""
        self.status = self._parser.get_status_code()
        self.is_last = not self._parser.should_keep_alive()

    def on_body(self, part: bytes) -> None:
        """A part of the body has come."""
        self._parts.append(part)

    def on_message_complete(self) -> None:
        """Everything has come."""
        self.is_whole = True


class Connection:
    """A connection to a host, over TLS where a context is given; it is made by `connect`."""

    def __init__(self, host: str, port: int, timeout: float, tls: ssl.SSLContext | None) -> None:
        self._address = host, port
        self._tls = tls
        self.timeout = timeout
        self.socket: socket.socket | None = None
        self.is_reusable = False

    def connect(self) -> None:
        """Connect; raises OSError."""
        made = socket.create_connection(self._address, self.timeout)
        try:
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.socket = self._tls.wrap_socket(made, server_hostname=self._address[0]) if self._tls else made
        except BaseException:
            made.close()
            raise

    def exchange(self, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """POST, and the answer; raises OSError and NoAnswer."""
        assert self.socket is not None
        self.is_reusable = False
        lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        lines += [f"Content-Length: {len(body)}", "", ""]
        self.socket.settimeout(self.timeout)
        self.socket.sendall("\r\n".join(lines).encode("latin-1") + body)
        answer = Answer()
        has_begun = False
        while not answer.is_whole:
            part = self.socket.recv(_PART)
            if not part:
                when = "in the middle of its answer" if has_begun else "without an answer"
                raise NoAnswer(f"it closed the connection {when}", is_cut=not has_begun)
            has_begun = True
            answer.feed(part)
        self.is_reusable = not answer.is_last
        return answer

    def is_alive(self) -> bool:
        """Whether an idle connection may be used: one that has something to read was closed by the server."""
        if self.socket is None:
            return False
        try:
            poll = select.poll()
            poll.register(self.socket, select.POLLIN)
            return not poll.poll(0)
        except (OSError, ValueError):
            return False

    def shut_down(self) -> None:
        """Wake the thread that reads, with the end of the connection; it closes the connection itself."""
        try:
            if self.socket is not None:
                # Not SSLSocket's own, which takes the connection's state away from the thread that reads.
                socket.socket.shutdown(self.socket, socket.SHUT_RDWR)
        except OSError:
            pass

    def close(self) -> None:
        """Close the socket."""
        if self.socket is not None:
            self.socket.close()
