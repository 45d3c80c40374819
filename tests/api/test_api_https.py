"""HTTPS: who is trusted, how the server's own runners reach it, and which certificates are refused."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from api_service import ON_DEMAND, Api, shell, until
from botocore.exceptions import SSLError

from certificates import Pair, make_pair
from penstock.api.server import check_host, endpoints, listen
from penstock.api.tls import ServerNotStarted, given_certificate
from penstock.cli.composition import ServiceNotStarted, ServiceOptions
from penstock.cli.credentials import data_pipeline_client
from penstock.clock import SystemClock
from penstock.service import EmbeddedService
from penstock.wire.client import ConnectionFailed


@pytest.fixture(autouse=True)
def no_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment names no authorities."""
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """A certificate for localhost, and not for the address of loopback."""
    return make_pair(tmp_path_factory.mktemp("https"), "localhost")


@pytest.fixture(scope="module")
def secure(pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A server with its runner, which serves HTTPS on all addresses."""
    folder = tmp_path_factory.mktemp("secure")
    config = folder / "penstock.toml"
    config.write_text("[engine]\nretry_delay = 0\n")
    options = ServiceOptions(folder / "data", config=config, host="0.0.0.0", tls_cert=pair.cert, tls_key=pair.key)
    with pytest.MonkeyPatch.context() as patched:
        patched.delenv("AWS_CA_BUNDLE", raising=False)
        service = EmbeddedService(options)
        patched.setenv("AWS_CA_BUNDLE", str(pair.cert))
        api = Api(service)
    yield api
    api.own.close()
    api.boto.close()
    service.stop()


def client(api: Api, **more: Any) -> Any:
    return boto3.client(
        "datapipeline",
        endpoint_url=api.endpoint,
        region_name="us-east-1",
        aws_access_key_id=api.credentials.access_key,
        aws_secret_access_key=api.credentials.secret_key,
        **more,
    )


def test_the_endpoint_is_https_and_has_a_name_of_the_certificate(secure: Api):
    assert secure.endpoint.startswith("https://localhost:")
    assert secure.service.is_self_signed


def test_boto3_speaks_https_with_a_server_whose_certificate_it_is_given(secure: Api, pair: Pair):
    trusting = client(secure, verify=str(pair.cert))
    assert "pipelineIdList" in trusting.list_pipelines()
    trusting.close()
    with pytest.raises(SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        client(secure).list_pipelines()


def test_our_clients_take_authorities_from_the_variable_of_boto3(
    secure: Api, pair: Pair, monkeypatch: pytest.MonkeyPatch
):
    with pytest.raises(ConnectionFailed, match=r"its certificate is not trusted.*AWS_CA_BUNDLE"):
        data_pipeline_client(secure.endpoint, secure.credentials).call("ListPipelines")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(pair.cert))
    trusting = data_pipeline_client(secure.endpoint, secure.credentials)
    assert "pipelineIdList" in trusting.call("ListPipelines")
    trusting.close()


def test_plain_http_gets_no_answer_from_an_https_server(secure: Api):
    connection = http.client.HTTPConnection(urlsplit(secure.endpoint).netloc, timeout=20)
    connection.request("GET", "/health")
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        connection.getresponse()
    connection.close()


def test_a_resources_runner_works_over_https_under_another_name_than_the_certificates(secure: Api):
    pipeline_id = secure.activated(
        ON_DEMAND,
        {"id": "Machine", "type": "Ec2Resource"},
        shell("Work", "", workerGroup=[], runsOn={"ref": "Machine"}),
    )
    until(lambda: secure.status(pipeline_id, "Work") in ("FINISHED", "FAILED"), 30)
    assert secure.status(pipeline_id, "Work") == "FINISHED"
    until(lambda: secure.status(pipeline_id, "Machine") == "FINISHED", 30)


def test_a_runner_that_is_closed_ends_its_poll_over_https(secure: Api, pair: Pair):
    der = ssl.PEM_cert_to_DER_cert(pair.cert.read_text())
    polling = data_pipeline_client(secure.endpoint, secure.credentials, der)
    failures: list[str] = []

    def poll() -> None:
        try:
            polling.call("PollForTask", workerGroup="nobody")
        except ConnectionFailed as error:
            failures.append(error.reason)

    thread = threading.Thread(target=poll)
    thread.start()
    secure.until_waiting("nobody")
    polling.close()
    thread.join(20)
    assert failures == ["this client was closed"]


def test_plain_http_is_for_this_machine_unless_somebody_insists():
    for host in ("127.0.0.1", "127.0.0.2", "localhost", "::1"):
        check_host(host, None, is_insecure=False)
    for host in ("0.0.0.0", "::", "10.0.0.1", "penstock.example"):
        with pytest.raises(ServerNotStarted, match=rf"{host} without TLS.*--tls-cert FILE.*--tls-key.*--insecure"):
            check_host(host, None, is_insecure=False)
        check_host(host, None, is_insecure=True)


class Bound:
    """A listener that is bound to an address."""

    def __init__(self, host: str) -> None:
        self.host = host

    def getsockname(self) -> tuple[str, int]:
        return self.host, 4780


@pytest.mark.parametrize(
    ("bound", "host", "names", "public", "own"),
    [
        ("127.0.0.1", "127.0.0.1", (), "http://127.0.0.1", "http://127.0.0.1"),
        ("::1", "::1", (), "http://[::1]", "http://[::1]"),
        ("0.0.0.0", "0.0.0.0", (), f"http://{socket.gethostname()}", "http://127.0.0.1"),
        ("::", "::", (), f"http://{socket.gethostname()}", "http://[::1]"),
        ("10.0.0.1", "10.0.0.1", ("a.example",), "https://a.example", "https://10.0.0.1"),
        ("10.0.0.1", "10.0.0.1", ("a.example", "10.0.0.1"), "https://10.0.0.1", "https://10.0.0.1"),
        ("127.0.0.1", "localhost", ("127.0.0.1", "localhost"), "https://localhost", "https://127.0.0.1"),
        ("0.0.0.0", "0.0.0.0", ("*.example", "b.example"), "https://b.example", "https://127.0.0.1"),
        ("0.0.0.0", "0.0.0.0", ("*.example",), f"https://{socket.gethostname()}", "https://127.0.0.1"),
    ],
)
def test_clients_get_a_url_that_they_can_use(
    tmp_path: Path, bound: str, host: str, names: tuple[str, ...], public: str, own: str
):
    pair = make_pair(tmp_path, *names) if names else None
    certificate = given_certificate(pair.cert, pair.key, SystemClock().now()) if pair else None
    assert endpoints(Bound(bound), host, certificate) == (f"{public}:4780", f"{own}:4780")  # type: ignore[arg-type]


def test_a_listener_on_all_addresses_is_reached_at_loopback():
    with listen("0.0.0.0", 0) as listener:
        own = urlsplit(endpoints(listener, "0.0.0.0", None)[1])
        socket.create_connection((own.hostname, own.port or 0), 20).close()


def text(path: Path, content: str) -> Path:
    path.write_text(content)
    return path


MakePair = Callable[[Path, Pair], tuple[Path | None, Path | None]]
REFUSED: dict[str, tuple[MakePair, str]] = {
    "no certificate": (lambda f, p: (None, p.key), "--tls-key is given without --tls-cert; HTTPS needs both"),
    "no key": (lambda f, p: (p.cert, None), "--tls-cert is given without --tls-key; HTTPS needs both"),
    "a missing certificate": (lambda f, p: (f / "no.pem", p.key), r"--tls-cert .*no\.pem cannot be read: No such file"),
    "a missing key": (lambda f, p: (p.cert, f / "no.pem"), r"--tls-key .*no\.pem cannot be read: No such file"),
    "a folder": (lambda f, p: (f, p.key), "--tls-cert .* cannot be read: Is a directory"),
    "a certificate that is none": (
        lambda f, p: (text(f / "a.pem", "a"), p.key),
        r"--tls-cert .*a\.pem holds no certificate in PEM form\. Make both",
    ),
    "the key as certificate": (lambda f, p: (p.key, p.key), r"--tls-cert .*key\.pem holds no certificate"),
    "the certificate as key": (lambda f, p: (p.cert, p.cert), r"--tls-key .*cert\.pem holds no private key"),
    "the key of another": (
        lambda f, p: (p.cert, make_pair(f, "localhost").key),
        r"The key .*key\.pem does not belong to the certificate .*cert\.pem\. Give the two",
    ),
    "an encrypted key": (
        lambda f, p: (lambda made: (made.cert, made.key))(make_pair(f, "localhost", passphrase=b"word")),
        r"The key .*key\.pem is encrypted.*`openssl pkey -in .*key\.pem -out plain-key\.pem`",
    ),
    "a certificate of the past": (
        lambda f, p: (lambda made: (made.cert, made.key))(make_pair(f, "localhost", ends=timedelta(hours=-1))),
        r"The certificate .*cert\.pem has expired on 20.*Renew it",
    ),
    "a certificate of the future": (
        lambda f, p: (lambda made: (made.cert, made.key))(make_pair(f, "localhost", starts=timedelta(hours=1))),
        r"The certificate .*cert\.pem is valid only from 20",
    ),
}


@pytest.mark.parametrize("what", list(REFUSED))
def test_files_that_cannot_be_served_are_named_before_anything_is_made(tmp_path: Path, pair: Pair, what: str):
    make, reason = REFUSED[what]
    cert, key = make(tmp_path, pair)
    with pytest.raises(ServiceNotStarted, match=reason):
        EmbeddedService(ServiceOptions(tmp_path / "data", tls_cert=cert, tls_key=key))
    assert not (tmp_path / "data").exists()


def test_a_key_that_cannot_be_read_is_named_with_the_reason(tmp_path: Path):
    pair = make_pair(tmp_path, "localhost")
    endless = tmp_path / "endless.pem"
    endless.symlink_to(endless)  # not even the superuser can read it
    with pytest.raises(ServiceNotStarted, match=r"--tls-key .*endless\.pem cannot be read: Too many levels"):
        EmbeddedService(ServiceOptions(tmp_path / "data", tls_cert=pair.cert, tls_key=endless))
