"""What comes over the socket and is no request as clients make them: it is refused in the protocol's form, in time."""

from __future__ import annotations

import http.client
import io
import json
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, cast

import pytest
from api_service import Api
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.api.connections import LONGEST_HEAD, MOST_HEADERS
from penstock.api.server import Server, listen
from penstock.wire.sigv4 import sign

HOST = b"Host: localhost\r\n"
PATIENCE = 0.15
MALFORMED = "MalformedHttpRequestException"
TOO_MUCH = "RequestHeaderSectionTooLarge"


class Socket(io.BytesIO):
    """What a socket is to `http.client` where the answer is there already."""

    def makefile(self, mode: str) -> Socket:
        return self


def exchange(port: int, *parts: bytes, end: bool = False) -> bytes:
    """Send bytes and read until the server closes the connection, which it must."""
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        received = b""
        try:
            for part in parts:
                connection.sendall(part)
            if end:
                connection.shutdown(socket.SHUT_WR)
            while data := connection.recv(65536):
                received += data
        except (ConnectionResetError, BrokenPipeError):  # it closed with bytes of ours still on the way
            pass
        return received


def answered(content: bytes) -> tuple[int, Any]:
    """The status and the document of the first answer, which must be in the protocol's form."""
    response = http.client.HTTPResponse(cast(socket.socket, Socket(content)))
    response.begin()
    body = response.read()
    assert response.headers["x-amzn-requestid"]
    assert response.headers["content-type"] == "application/x-amz-json-1.1"
    document = json.loads(body)
    assert b"Traceback" not in body and b".py" not in body
    if response.status != 200:
        assert response.headers["x-amzn-errortype"] == document["__type"]
    return response.status, document


@pytest.fixture
def port(api: Api) -> int:
    return int(api.endpoint.rpartition(":")[2])


def is_well(api: Api) -> None:
    """Whether the service still answers others."""
    assert api.send("GET", "/health", b"", {})[0] == 200
    api.boto.list_pipelines()


@pytest.mark.parametrize(
    "sent",
    [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 100,
        b"\x00" * 1000,
        b"\xff\xfe" * 1000,
        b"A" * 200_000,
        b"GET / HTTP/3.9\r\n" + HOST + b"\r\n",
        b"FETCH / HTTP/1.1\r\n" + HOST + b"\r\n",
        b"G\0T / HTTP/1.1\r\n" + HOST + b"\r\n",
        b"POST /\xff HTTP/1.1\r\n" + HOST + b"\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: -5\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 99999999999999999999999\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Bad Header: x\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b": x\r\n\r\n",
        b"CONNECT localhost:80 HTTP/1.1\r\n" + HOST + b"\r\n",
    ],
    ids=lambda sent: repr(sent[:40]),
)
def test_what_is_no_http_is_refused_in_the_protocols_form(api: Api, port: int, sent: bytes):
    status, document = answered(exchange(port, sent))
    assert (status, document["__type"]) == (400, MALFORMED)
    is_well(api)


@pytest.mark.parametrize(
    "head",
    [
        b"".join(b"X-H%d: x\r\n" % number for number in range(MOST_HEADERS + 1)),
        b"X: " + b"x" * (LONGEST_HEAD + 1) + b"\r\n",
        b"".join(b"X%d: %s\r\n" % (number, b"y" * 5000) for number in range(20)),
        b"Y" * (LONGEST_HEAD + 1) + b": x\r\n",
    ],
    ids=["many", "long", "large", "name"],
)
def test_a_request_with_too_many_or_too_large_headers_is_refused_before_it_is_read(api: Api, port: int, head: bytes):
    status, document = answered(exchange(port, b"POST / HTTP/1.1\r\n", HOST, head, b"\r\n"))
    assert (status, document["__type"]) == (431, TOO_MUCH)
    is_well(api)


def test_a_url_that_is_too_long_is_refused(api: Api, port: int):
    status, document = answered(exchange(port, b"POST /" + b"x" * LONGEST_HEAD + b" HTTP/1.1\r\n", HOST, b"\r\n"))
    assert (status, document["__type"]) == (431, TOO_MUCH)


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"POST http://elsewhere/%zz?%%%=&&a=b=c;d HTTP/1.1\r\n", "MissingAuthenticationTokenException"),
        (b"POST /%ff%fe/../..//%00 HTTP/1.1\r\n", "MissingAuthenticationTokenException"),
        (b"GET /\r\n", "MissingAuthenticationTokenException"),
        (b"OPTIONS * HTTP/1.1\r\n", None),
        (b"PROPFIND / HTTP/1.1\r\n", "MissingAuthenticationTokenException"),
        (b"TRACE / HTTP/1.0\r\n", "MissingAuthenticationTokenException"),
        (b"POST / HTTP/1.1\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n", None),
        (b"POST / HTTP/1.1\r\nX-Amz-Target: \xff\xfe\r\n", "MissingAuthenticationTokenException"),
        (b"POST / HTTP/1.1\r\nAuthorization: \xff\xfe\r\n", "IncompleteSignatureException"),
        (b"POST / HTTP/1.1\r\nAuthorization: AWS4-HMAC-SHA256 \r\n", "IncompleteSignatureException"),
        (
            b"POST / HTTP/1.1\r\nAuthorization: AWS4-HMAC-SHA256 " + b"=," * 20_000 + b"\r\n",
            "IncompleteSignatureException",
        ),
        (b"POST / HTTP/1.1\r\nAuthorization: Basic YTpi\r\n", "IncompleteSignatureException"),
    ],
    ids=lambda sent: repr(sent[:60]) if isinstance(sent, bytes) else "",
)
def test_requests_that_nobody_makes_are_answered_like_any_other(api: Api, port: int, sent: bytes, code: str | None):
    status, document = answered(exchange(port, sent + HOST + b"Connection: close\r\n\r\n", end=False))
    assert status == 400
    assert code in (None, document["__type"])
    is_well(api)


def signed(api: Api, body: bytes, **headers: str) -> bytes:
    """The head of a good request, without its Content-Length."""
    given = {"X-Amz-Target": "DataPipeline.ListPipelines", "Content-Type": "application/x-amz-json-1.1", **headers}
    from datetime import UTC, datetime

    names = sign(
        "POST", api.endpoint + "/", given, body, api.credentials, region="us-east-1", service="datapipeline",
        now=datetime.now(UTC),
    )  # fmt: skip
    return b"POST / HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in names.items()).encode()


def test_a_body_in_chunks_is_read_like_one_in_a_piece(api: Api, port: int):
    head = signed(api, b"{}") + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    assert answered(exchange(port, head, b"1\r\n{\r\n1;a=b\r\n}\r\n0\r\nTrailer: x\r\n\r\n"))[0] == 200
    assert answered(exchange(port, head, b"zz\r\n{}"))[0] == 400
    assert answered(exchange(port, head, b"1\r\n{}\r\n0\r\n\r\n"))[0] == 400
    is_well(api)


def test_requests_sent_at_once_are_answered_one_after_the_other(api: Api, port: int):
    one = signed(api, b"{}") + b"Content-Length: 2\r\n"
    content = exchange(port, (one + b"\r\n{}") * 50 + one + b"Connection: close\r\n\r\n{}")
    assert content.count(b"HTTP/1.1 200 OK") == 51


def test_expect_100_continue_is_honoured(api: Api, port: int):
    head = signed(api, b"{}") + b"Content-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(head)
        assert connection.recv(100).startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.sendall(b"{}")
        assert connection.recv(10_000).startswith(b"HTTP/1.1 200 OK")


def test_a_compressed_body_is_no_json(api: Api, port: int):
    body = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xab\xae\x05\x00C\xbf\xa6\xa3\x02\x00\x00\x00"
    head = signed(api, body) + b"Content-Encoding: gzip\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
    status, document = answered(exchange(port, head + body))
    assert (status, document["__type"]) == (400, "SerializationException")


def test_a_request_that_ends_too_early_ends_its_connection(api: Api, port: int):
    head = signed(api, b"{}") + b"Content-Length: 2\r\n\r\n"
    for length in (1, 10, len(head) // 2, len(head) - 1, len(head)):
        assert exchange(port, head[:length], end=True) == b""
    is_well(api)


def test_a_header_named_twice_in_the_signature_is_refused(api: Api, port: int):
    head = signed(api, b"{}").replace(b"SignedHeaders=", b"SignedHeaders=" + b"host;" * 9000)
    status, document = answered(exchange(port, head + b"Connection: close\r\nContent-Length: 2\r\n\r\n{}"))
    assert (status, document["__type"]) == (400, "InvalidSignatureException")
    assert "twice" in document["message"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.integers(0, 700), st.integers(-1, 255)), min_size=1, max_size=6))
def test_a_request_with_other_bytes_in_it_is_answered_or_ended(api: Api, port: int, changes: list[tuple[int, int]]):
    sent = bytearray(signed(api, b"{}") + b"Content-Length: 2\r\nConnection: close\r\n\r\n{}")
    for place, byte in changes:
        if byte < 0:
            del sent[place % len(sent)]
        else:
            sent[place % len(sent)] = byte
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(bytes(sent))
        connection.settimeout(0.05)  # some now wait for more
        content = b""
        try:
            while data := connection.recv(65536):
                content += data
        except TimeoutError:
            pass
        except ConnectionResetError:  # it closed with bytes of ours still on the way, which may take its answer along
            content = b""
    if content:
        assert answered(content)[0] in (200, 400, 403, 413, 431)


class Fake:
    """An application that reads a request and answers much."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body, more = body + message.get("body", b""), message.get("more_body", False)
        self.bodies.append(body)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"40000000")]})
        for _ in range(40):
            await send({"type": "http.response.body", "body": b"x" * 1_000_000, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


@pytest.fixture
def impatient(impatient_server: tuple[Fake, int]) -> tuple[Fake, int]:
    """An application that has read nothing yet, and the port of its server, which waits a moment only."""
    impatient_server[0].bodies.clear()
    return impatient_server


@pytest.fixture(scope="module")
def impatient_server() -> Iterator[tuple[Fake, int]]:
    """The server of `impatient`, which many tests share."""
    fake, listener = Fake(), listen("127.0.0.1", 0)
    server = Server(cast(Any, fake), listener, patience=PATIENCE)
    yield fake, listener.getsockname()[1]
    server.stop(wait=True)


@pytest.mark.parametrize(
    "begun",
    [b"", b"\r\n", b"POST /", b"POST / HTTP/1.1\r\nX: ", b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 9\r\n\r\n{"],
    ids=["nothing", "line end", "url", "header", "body"],
)
def test_a_request_that_trickles_is_ended_in_time_however_often_a_byte_comes(impatient: tuple[Fake, int], begun: bytes):
    started = time.monotonic()
    with socket.create_connection(("127.0.0.1", impatient[1]), 10) as connection:
        connection.sendall(begun)
        connection.settimeout(0.02)
        received = b""
        while time.monotonic() - started < 10:
            try:
                data = connection.recv(10_000)
            except TimeoutError:
                connection.sendall(b"\r\n" if begun == b"\r\n" else b"a" if begun else b"")
                continue
            except ConnectionResetError:
                data = b""
            received += data
            if not data:
                break
    assert PATIENCE * 0.9 < time.monotonic() - started < 9
    assert (answered(received)[0], answered(received)[1]["__type"]) == (408, "RequestTimeoutException")
    assert impatient[0].bodies == []


def test_an_answer_that_nobody_takes_is_given_up(impatient: tuple[Fake, int]):
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(10)
        connection.connect(("127.0.0.1", impatient[1]))
        connection.sendall(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
        connection.recv(1000)
        started, size = time.monotonic(), 0
        while time.monotonic() - started < PATIENCE * 2:  # what is in the buffers keeps it from noticing at once
            time.sleep(0.02)
        with suppress(ConnectionResetError):
            while data := connection.recv(1 << 20):
                size += len(data)
        assert size < 40_000_000
