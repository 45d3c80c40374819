"""The client against servers on loopback that behave well, badly, or not at all."""

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from certificates import Pair, make_pair
from penstock.wire.client import Client, ConnectionFailed
from penstock.wire.errors import ServiceError
from penstock.wire.json_protocol import encode_error
from penstock.wire.model import load_botocore_model
from penstock.wire.sigv4 import Credentials, parse_authorization, verify

PIPELINES = load_botocore_model("datapipeline")
NOW = datetime(2024, 7, 25, 12, 0, tzinfo=UTC)
KEY = Credentials("AKIDEXAMPLE", "a secret")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "Service"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        service = self.server
        service.seen.append((self.path, dict(self.headers.items()), body))
        service.connections.add(self.client_address)
        service.behave(self)

    def answer(self, status: int, body: bytes, length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


class Service(ThreadingHTTPServer):
    """A server that keeps what it was sent and answers as `behave` says."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[tuple[str, dict[str, str], bytes]] = []
        self.connections: set[Any] = set()
        self.behave: Callable[[Handler], None] = lambda handler: handler.answer(200, b"{}")
        self.endpoint = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing of clients that leave."""


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def client(service: Service) -> Iterator[Client]:
    client = Client(service.endpoint, KEY, PIPELINES, clock=lambda: NOW, timeout=20)
    yield client
    client.close()


def then(*steps: Callable[[Handler], None]) -> Callable[[Handler], None]:
    """Behaves one way for each request in turn."""
    left = list(steps)
    return lambda handler: left.pop(0)(handler)


def well(handler: Handler) -> None:
    handler.answer(200, b"{}")


def drop(handler: Handler) -> None:
    """Closes the connection without an answer."""
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)


def test_a_call_sends_a_signed_request_and_returns_the_answer(service: Service, client: Client):
    service.behave = lambda handler: handler.answer(200, b'{"pipelineId":"df-1"}')
    answer = client.call("CreatePipeline", name="é", uniqueId="u", description=None)
    assert answer == {"pipelineId": "df-1"}
    path, headers, body = service.seen[0]
    assert path == "/"
    assert json.loads(body) == {"name": "é", "uniqueId": "u"}
    assert headers["Content-Type"] == "application/x-amz-json-1.1"
    assert headers["X-Amz-Target"] == "DataPipeline.CreatePipeline"
    assert headers["User-Agent"] == f"penstock/{version('penstock')}"
    request = parse_authorization(headers)
    assert (request.access_key, request.region) == ("AKIDEXAMPLE", "us-east-1")
    verify("POST", path, "", headers, body, request, "a secret", NOW, service="datapipeline")


def test_an_endpoint_may_have_a_path(service: Service):
    client = Client(service.endpoint + "/behind/proxy", KEY, PIPELINES, clock=lambda: NOW)
    client.call("ListPipelines")
    client.close()
    path, headers, body = service.seen[0]
    assert path == "/behind/proxy"
    verify("POST", path, "", headers, body, parse_authorization(headers), "a secret", NOW, service="datapipeline")


def test_the_clock_is_the_systems_unless_one_is_given(service: Service):
    client = Client(service.endpoint, KEY, PIPELINES)
    client.call("ListPipelines")
    client.close()
    _, headers, body = service.seen[0]
    request = parse_authorization(headers)
    verify("POST", "/", "", headers, body, request, "a secret", datetime.now(UTC), service="datapipeline")


def test_an_error_answer_is_raised_with_its_code_text_and_status(service: Service, client: Client):
    body = encode_error("InternalServiceError", "It broke.")
    service.behave = lambda handler: handler.answer(500, body)
    with pytest.raises(ServiceError) as error:
        client.call("ListPipelines")
    assert (error.value.code, error.value.message, error.value.status) == (
        "InternalServiceError",
        "It broke.",
        500,
    )


@pytest.mark.parametrize("hours", [1, -1])
def test_a_server_whose_clock_differs_much_is_asked_again_with_its_own_time(
    service: Service, client: Client, hours: int
):
    theirs = NOW + timedelta(hours=hours)

    def behave(handler: Handler) -> None:
        path, headers, body = service.seen[-1]
        try:
            verify(
                "POST",
                path,
                "",
                headers,
                body,
                parse_authorization(headers),
                "a secret",
                theirs,
                service="datapipeline",
            )
        except ServiceError as error:
            handler.answer(error.status, encode_error(error.code, error.message))
        else:
            handler.answer(200, b"{}")

    service.behave = behave
    client.call("ListPipelines")
    assert len(service.seen) == 2
    client.call("ListPipelines")
    assert len(service.seen) == 3  # the difference is known by now
    theirs -= timedelta(hours=3 * hours)
    client.call("ListPipelines")
    assert len(service.seen) == 5


def test_a_wrong_secret_is_no_matter_of_time(service: Service, client: Client):
    body = encode_error("InvalidSignatureException", "The request signature we calculated does not match.")
    service.behave = lambda handler: handler.answer(400, body)
    with pytest.raises(ServiceError, match="does not match"):
        client.call("ListPipelines")
    assert len(service.seen) == 1


def test_an_answer_of_some_other_server_is_told_from_the_services(service: Service, client: Client):
    service.behave = lambda handler: handler.answer(200, b"<html>")
    with pytest.raises(ServiceError, match="gave an answer that is not one of Data Pipeline") as error:
        client.call("ListPipelines")
    assert service.endpoint in error.value.message


def test_a_parameter_that_the_operation_does_not_have_is_never_sent(service: Service, client: Client):
    with pytest.raises(ValueError, match="has no member 'pipelineID'"):
        client.call("DeletePipeline", pipelineID="df-1")
    assert service.seen == []


def test_the_connection_is_kept_for_the_next_call(service: Service, client: Client):
    for _ in range(3):
        client.call("ListPipelines")
    assert len(service.connections) == 1


def test_a_connection_that_the_server_closes_after_its_answer_is_not_kept(service: Service, client: Client):
    def last(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "2")
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.wfile.write(b"{}")

    service.behave = last
    client.call("ListPipelines")
    client.call("ListPipelines")
    assert len(service.connections) == 2


def test_a_kept_connection_that_is_closed_on_the_next_request_is_replaced_silently(service: Service, client: Client):
    service.behave = then(well, drop, well)
    client.call("ListPipelines")
    client.call("ListPipelines")
    assert len(service.seen) == 3
    assert len(service.connections) == 2


def test_a_request_is_sent_again_only_once(service: Service, client: Client):
    service.behave = then(well, drop, drop)
    client.call("ListPipelines")
    with pytest.raises(ConnectionFailed):
        client.call("ListPipelines")
    assert len(service.seen) == 3


def test_a_new_connection_that_is_closed_without_an_answer_is_not_tried_again(service: Service, client: Client):
    service.behave = drop
    with pytest.raises(ConnectionFailed, match="it closed the connection without an answer"):
        client.call("ListPipelines")
    assert len(service.seen) == 1


def test_an_answer_that_breaks_off_is_not_asked_for_again(service: Service, client: Client):
    def half(handler: Handler) -> None:
        handler.answer(200, b"{", length=50)
        drop(handler)

    service.behave = then(well, half)
    client.call("ListPipelines")
    with pytest.raises(ConnectionFailed):
        client.call("ListPipelines")
    assert len(service.seen) == 2


def test_a_kept_connection_that_was_closed_meanwhile_is_not_used(service: Service, client: Client):
    closed = threading.Event()

    def answer_and_leave(handler: Handler) -> None:
        well(handler)
        handler.close_connection = True
        handler.connection.shutdown(socket.SHUT_RDWR)
        closed.set()

    service.behave = then(answer_and_leave, well)
    client.call("ListPipelines")
    assert closed.wait(10)
    client.call("ListPipelines")
    assert len(service.seen) == 2


def test_a_server_that_is_not_there_is_named_with_the_endpoint():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(ConnectionFailed) as error:
            Client(endpoint, KEY, PIPELINES).call("ListPipelines")
    assert (error.value.endpoint, error.value.reason) == (endpoint, "Connection refused")
    assert str(error.value) == (
        f"No answer from {endpoint}: Connection refused. Does the server run, and is the endpoint right?"
    )


def test_a_call_ends_when_nothing_comes_in_time(service: Service, client: Client):
    over = threading.Event()
    service.behave = lambda handler: drop(handler) if over.wait(20) else None
    with pytest.raises(ConnectionFailed, match=r"nothing came within 0\.05 seconds"):
        client.call("PollForTask", workerGroup="g", _timeout=0.05)
    over.set()


def test_the_timeout_of_a_call_holds_on_a_kept_connection_too(service: Service, client: Client):
    over = threading.Event()
    service.behave = then(well, lambda handler: drop(handler) if over.wait(20) else None)
    client.call("ListPipelines")
    with pytest.raises(ConnectionFailed, match=r"nothing came within 0\.05 seconds"):
        client.call("PollForTask", workerGroup="g", _timeout=0.05)
    over.set()


def test_threads_call_at_the_same_time_each_on_its_own_connection(service: Service, client: Client):
    together = threading.Barrier(4)

    def wait_for_all(handler: Handler) -> None:
        together.wait(20)
        well(handler)

    service.behave = wait_for_all
    threads = [threading.Thread(target=client.call, args=("ListPipelines",)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(service.connections) == 4
    service.behave = well
    client.call("ListPipelines")
    assert len(service.connections) == 4


def test_closing_ends_a_call_that_is_under_way(service: Service, client: Client):
    waiting, over = threading.Event(), threading.Event()
    failures: list[str] = []

    def hold(handler: Handler) -> None:
        waiting.set()
        over.wait(20)
        handler.close_connection = True

    def poll() -> None:
        try:
            client.call("PollForTask", workerGroup="g")
        except ConnectionFailed as failure:
            failures.append(failure.reason)

    service.behave = hold
    thread = threading.Thread(target=poll)
    thread.start()
    assert waiting.wait(20)
    client.close()
    thread.join()
    over.set()
    assert failures == ["this client was closed"]
    with pytest.raises(ConnectionFailed, match="this client was closed"):
        client.call("ListPipelines")


@pytest.mark.parametrize(
    "endpoint", ["localhost:4780", "127.0.0.1", "ftp://x", "http://", "http://x:port", "http://x:0"]
)
def test_an_endpoint_that_is_no_url_is_refused_with_an_example(endpoint: str):
    with pytest.raises(ValueError, match=r"is not a URL; write it like http://127\.0\.0\.1:4780") as error:
        Client(endpoint, KEY, PIPELINES)
    assert f"'{endpoint}'" in str(error.value)


@pytest.fixture
def certificate(tmp_path: Path) -> Pair:
    """A certificate of 127.0.0.1 that signs itself."""
    return make_pair(tmp_path, "127.0.0.1")


@pytest.fixture
def https_endpoint(service: Service, certificate: Pair) -> str:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.cert, certificate.key)
    service.socket = context.wrap_socket(service.socket, server_side=True, do_handshake_on_connect=False)
    return service.endpoint.replace("http:", "https:")


def test_https_is_spoken_with_servers_whose_certificate_is_trusted(
    service: Service, https_endpoint: str, certificate: Pair, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.cert))
    client = Client(https_endpoint, KEY, PIPELINES)
    for _ in range(3):
        assert client.call("ListPipelines") == {}
    client.close()
    assert len(service.connections) == 1


def test_a_certificate_that_is_not_trusted_is_named_as_the_reason(https_endpoint: str):
    client = Client(https_endpoint, KEY, PIPELINES)
    with pytest.raises(ConnectionFailed, match=r"not trusted \(self-signed certificate\)\. Name .* in AWS_CA_BUNDLE"):
        client.call("ListPipelines")


def test_a_file_of_authorities_is_trusted_beside_the_systems(https_endpoint: str, certificate: Pair):
    client = Client(https_endpoint, KEY, PIPELINES, ca_bundle=str(certificate.cert))
    assert client.call("ListPipelines") == {}
    client.close()


def test_a_certificate_of_another_host_is_not_trusted(https_endpoint: str, certificate: Pair):
    client = Client(https_endpoint.replace("127.0.0.1", "localhost"), KEY, PIPELINES, ca_bundle=str(certificate.cert))
    with pytest.raises(ConnectionFailed, match=r"not valid for 'localhost'.*a host that the certificate names"):
        client.call("ListPipelines")


def test_a_pinned_certificate_is_trusted_under_any_name_and_no_other_is(
    https_endpoint: str, certificate: Pair, tmp_path: Path
):
    elsewhere = https_endpoint.replace("127.0.0.1", "localhost")
    pairs = (certificate, make_pair(tmp_path / "b", "localhost"))
    own, other = (ssl.PEM_cert_to_DER_cert(pair.cert.read_text()) for pair in pairs)
    client = Client(elsewhere, KEY, PIPELINES, certificate=own)
    assert [client.call("ListPipelines") for _ in range(3)] == [{}, {}, {}]
    client.close()
    client = Client(elsewhere, KEY, PIPELINES, certificate=other)
    with pytest.raises(ConnectionFailed, match="it is not the server that this runner belongs to"):
        client.call("ListPipelines")


def test_nothing_is_sent_to_a_server_that_has_not_the_pinned_certificate(
    service: Service, https_endpoint: str, tmp_path: Path
):
    other = ssl.PEM_cert_to_DER_cert(make_pair(tmp_path / "b", "127.0.0.1").cert.read_text())
    with pytest.raises(ConnectionFailed):
        Client(https_endpoint, KEY, PIPELINES, certificate=other).call("ListPipelines")
    assert service.seen == []


def test_a_server_that_speaks_no_https_is_named(service: Service):
    client = Client(service.endpoint.replace("http:", "https:"), KEY, PIPELINES)
    with pytest.raises(ConnectionFailed, match="does not speak HTTPS as we do"):
        client.call("ListPipelines")


def test_a_server_that_closes_at_http_may_speak_https(service: Service, client: Client):
    service.behave = drop
    with pytest.raises(ConnectionFailed, match="the endpoint begins with https://"):
        client.call("ListPipelines")


def test_a_file_of_authorities_that_is_none_is_named(tmp_path: Path):
    wrong = tmp_path / "bundle.pem"
    with pytest.raises(ValueError, match=rf"{wrong} of AWS_CA_BUNDLE cannot be read: No such file.*or unset it"):
        Client("https://127.0.0.1:1", KEY, PIPELINES, ca_bundle=str(wrong))
    wrong.write_text("nothing")
    with pytest.raises(ValueError, match=rf"{wrong} of AWS_CA_BUNDLE holds no certificates"):
        Client("https://127.0.0.1:1", KEY, PIPELINES, ca_bundle=str(wrong))
