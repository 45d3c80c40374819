"""One connection of a client: uvicorn's, with limits on what is read before anybody knows who sends it."""

from __future__ import annotations

import asyncio
import uuid
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from penstock.wire.json_protocol import encode_error

PATIENCE = 60.0  # seconds for a whole request to arrive, and for an answer to be taken
LINGER = 1.0  # seconds in which a client that was refused may take its answer
MOST_HEADERS = 100
LONGEST_HEAD = 64 * 1024  # bytes of the URL and the headers


class Connection(HttpToolsProtocol):
    """Ends whoever is too slow or sends too much, and refuses what is no HTTP in the protocol's form."""

    def __init__(self, *arguments: Any, patience: float = PATIENCE, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.patience = patience
        self._arrives_until: asyncio.TimerHandle | None = None
        self._taken_until: asyncio.TimerHandle | None = None
        self._head = 0
        self._refusal: tuple[int, str, str] | None = None
        self._is_refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client is there; its first request must come."""
        super().connection_made(transport)
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone."""
        self._forget()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """A part of a request, or several requests; nothing is read any more after a refusal."""
        if self._is_refused:
            return
        if self.cycle is None or self.cycle.response_complete:
            self._expect()
        super().data_received(data)

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._head = 0
        self._expect()

    def on_url(self, url: bytes) -> None:
        """A part of the URL."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header of a request, or a trailer behind its body."""
        self._count(len(name) + len(value))
        if len(self.headers) >= MOST_HEADERS:
            self._refuse(431, "RequestHeaderSectionTooLarge", f"A request has at most {MOST_HEADERS} headers.")
        super().on_header(name, value)

    def on_message_complete(self) -> None:
        """A request is there."""
        if self._arrives_until is not None:
            self._arrives_until.cancel()
            self._arrives_until = None
        super().on_message_complete()

    def pause_writing(self) -> None:
        """The client does not take its answer."""
        super().pause_writing()
        if self._taken_until is None:
            self._taken_until = self.loop.call_later(self.patience, self.transport.abort)

    def resume_writing(self) -> None:
        """The client has taken what was written."""
        if self._taken_until is not None:
            self._taken_until.cancel()
            self._taken_until = None
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be read, and end the connection."""
        code = "MalformedHttpRequestException"
        status, code, text = self._refusal or (400, code, "This is no HTTP/1.1 request that the service can read.")
        body = encode_error(code, text)
        head = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
            "content-type: application/x-amz-json-1.1\r\n"
            f"content-length: {len(body)}\r\n"
            f"x-amzn-requestid: {uuid.uuid4()}\r\n"
            f"x-amzn-errortype: {code}\r\n"
            "connection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self._forget()
        self._is_refused = True
        if self.transport.can_write_eof():  # closed at once, what the client still sends would take the answer along
            self.transport.write_eof()
            self._taken_until = self.loop.call_later(min(self.patience, LINGER), self.transport.close)
        else:
            self.transport.close()

    def _count(self, size: int) -> None:
        self._head += size
        if self._head > LONGEST_HEAD:
            most = f"{LONGEST_HEAD:,}"
            self._refuse(431, "RequestHeaderSectionTooLarge", f"The URL and headers have at most {most} bytes.")

    def _refuse(self, status: int, code: str, text: str) -> None:
        """End reading: the parser turns the exception of a callback into an error of its own."""
        self._refusal = (status, code, text)
        raise ValueError(text)

    def _expect(self) -> None:
        """A request must have come in time; a trickle does not count as one."""
        if self._arrives_until is None:
            self._arrives_until = self.loop.call_later(self.patience, self._too_slow)

    def _too_slow(self) -> None:
        self._arrives_until = None
        if self.transport.is_closing() or self._is_refused:
            return
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            seconds = f"{self.patience:g}"
            self._refusal = (408, "RequestTimeoutException", f"The request did not arrive within {seconds} seconds.")
            self.send_400_response("")
        else:
            self.transport.abort()

    def _forget(self) -> None:
        for timer in (self._arrives_until, self._taken_until):
            if timer is not None:
                timer.cancel()
        self._arrives_until = self._taken_until = None
