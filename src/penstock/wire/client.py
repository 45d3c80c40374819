"""A small client of an AWS JSON service: one call, one answer, over kept-alive connections."""

from __future__ import annotations

import re
import ssl
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import SplitResult, urlsplit

from penstock import __version__
from penstock.clock import SystemClock
from penstock.wire.connection import Connection, NoAnswer
from penstock.wire.errors import ProtocolError, ServiceError
from penstock.wire.json_protocol import decode_error, decode_output, encode_input
from penstock.wire.model import ServiceModel
from penstock.wire.sigv4 import Credentials, sign
from penstock.wire.tls import CA_BUNDLE, is_pinned, pinning, trusting

_SERVER_TIME = re.compile(r"\((\d{8}T\d{6}Z) [+-] \d+ min\.\)")  # AWS's services say it in the same words
_CLOSED = "this client was closed"
_OTHER_HOST = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH


class ConnectionFailed(Exception):
    """The server at `endpoint` cannot be reached or gave no answer, for the reason that `reason` states."""

    def __init__(
        self, endpoint: str, reason: str, remedy: str = "Does the server run, and is the endpoint right?"
    ) -> None:
        super().__init__(endpoint, reason, remedy)
        self.endpoint = endpoint
        self.reason = reason
        self.remedy = remedy

    def __str__(self) -> str:
        return f"No answer from {self.endpoint}: {self.reason}. {self.remedy}"


class Client:
    """Calls the operations of a service; safe to share between threads.

    There are as many connections as calls under way at once, and they are kept for the next calls.
    `timeout` is in seconds, for connecting and for each wait for the answer; `clock` tells the time that
    requests are signed with. Over HTTPS it trusts the system's authorities and those of the file `ca_bundle`, or
    only the server that has this very `certificate` (DER), whatever its host name and its age. ValueError if
    `endpoint` is not an HTTP URL, or `ca_bundle` holds no certificates.
    """

    def __init__(
        self,
        endpoint: str,
        credentials: Credentials,
        model: ServiceModel,
        *,
        region: str = "us-east-1",
        timeout: float = 70.0,
        clock: Callable[[], datetime] | None = None,
        ca_bundle: str | None = None,
        certificate: bytes | None = None,
    ) -> None:
        self.endpoint = endpoint
        self._url = _checked_endpoint(endpoint)
        self._credentials = credentials
        self._model = model
        self._region = region
        self._timeout = timeout
        self._clock = clock or SystemClock().now
        self._ahead = timedelta()  # the server's clock, where it is known to differ much
        self._lock = threading.Lock()
        self._idle: list[Connection] = []
        self._busy: set[Connection] = set()
        self._closed = False
        self._certificate = certificate
        self._tls: ssl.SSLContext | None = None
        if self._url.scheme == "https":
            self._tls = trusting(ca_bundle) if certificate is None else pinning()

    def call(self, operation: str, /, *, _timeout: float | None = None, **parameters: Any) -> dict[str, Any]:
        """The answer of an operation; `_timeout` replaces the client's for this call.

        A server whose clock differs too much from ours says what time it is, and is asked again with that.

        ServiceError where the server answers with an error, ConnectionFailed where it does not answer,
        ValueError for parameters that the operation does not have.
        """
        body = encode_input(self._model, operation, parameters)
        timeout = self._timeout if _timeout is None else _timeout
        status, headers, answer = self._signed(operation, body, timeout)
        if status != 200:
            error = decode_error(status, headers, answer)
            if not self._learns_time(error):
                raise error
            status, headers, answer = self._signed(operation, body, timeout)
            if status != 200:
                raise decode_error(status, headers, answer)
        try:
            return decode_output(self._model, operation, answer)
        except ProtocolError as error:
            raise ServiceError(
                error.code,
                f"{self.endpoint} gave an answer that is not one of {self._model.name}. {error.message}",
                status,
            ) from None

    def _learns_time(self, error: ServiceError) -> bool:
        """Whether an error tells the server's time; signatures have that from now on."""
        told = _SERVER_TIME.search(error.message) if error.code == "InvalidSignatureException" else None
        if told is None:
            return False
        try:
            moment = datetime.strptime(told[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        except ValueError:
            return False
        self._ahead = moment - self._clock()
        return True

    def _signed(self, operation: str, body: bytes, timeout: float) -> tuple[int, dict[str, str], bytes]:
        """The answer to a signed request."""
        path = self._url.path or "/"
        headers = sign(
            "POST",
            self._url._replace(path=path).geturl(),
            {
                "Content-Type": f"application/x-amz-json-{self._model.json_version}",
                "User-Agent": _user_agent(),
                "X-Amz-Target": f"{self._model.target_prefix}.{operation}",
            },
            body,
            self._credentials,
            region=self._region,
            service=self._model.signing_name,
            now=self._clock() + self._ahead,
        )
        return self._exchange(path, headers, body, timeout)

    def close(self) -> None:
        """Closes all connections; calls under way in other threads and later ones raise ConnectionFailed."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            for connection in self._busy:
                # Shut down, not closed: the thread that reads from it wakes up and closes it itself.
                connection.shut_down()
        for connection in idle:
            connection.close()

    def _exchange(
        self, path: str, headers: dict[str, str], body: bytes, timeout: float
    ) -> tuple[int, dict[str, str], bytes]:
        for may_be_kept in (True, False):
            connection, kept = self._take(timeout, may_be_kept)
            connection.timeout = timeout
            try:
                if not kept:
                    connection.connect()
                    if self._certificate is not None and not is_pinned(connection.socket, self._certificate):
                        raise ConnectionFailed(self.endpoint, "it is not the server that this runner belongs to")
                if self._closed:
                    raise ConnectionFailed(self.endpoint, _CLOSED)
                answer = connection.exchange(path, headers, body)
                return answer.status, answer.headers, answer.body
            except (OSError, NoAnswer) as error:
                # A server may close a connection it had kept just when the next request is on its way; such a
                # request, unanswered, is sent once more, on a new connection.
                is_cut = isinstance(error, BrokenPipeError | ConnectionResetError) or getattr(error, "is_cut", False)
                dropped = kept and is_cut
                if not dropped or self._closed:
                    raise self._failed(error, timeout) from error
            finally:
                self._give_back(connection)
        raise AssertionError("a new connection either answers or fails")

    def _take(self, timeout: float, may_be_kept: bool) -> tuple[Connection, bool]:
        """A connection to use, and whether it is one that was kept."""
        with self._lock:
            if self._closed:
                raise ConnectionFailed(self.endpoint, _CLOSED)
            while may_be_kept and self._idle:
                connection = self._idle.pop()
                if connection.is_alive():
                    self._busy.add(connection)
                    return connection, True
                connection.close()
            connection = self._new_connection(timeout)
            self._busy.add(connection)
            return connection, False

    def _new_connection(self, timeout: float) -> Connection:
        port = self._url.port or (443 if self._tls is not None else 80)
        return Connection(self._url.hostname or "", port, timeout, self._tls)

    def _give_back(self, connection: Connection) -> None:
        with self._lock:
            self._busy.discard(connection)
            if connection.is_reusable and not self._closed:
                self._idle.append(connection)
                return
        connection.close()

    def _failed(self, error: Exception, timeout: float) -> ConnectionFailed:
        if self._closed:
            return ConnectionFailed(self.endpoint, _CLOSED)
        if isinstance(error, TimeoutError):
            return ConnectionFailed(self.endpoint, f"nothing came within {timeout:g} seconds")
        if isinstance(error, ssl.SSLCertVerificationError):
            reason = f"its certificate is not trusted ({error.verify_message.rstrip('.')})"
            remedy = f"Name a file with that certificate, or with its authority's, in {CA_BUNDLE}."
            if error.verify_code in _OTHER_HOST:
                remedy = "Give an endpoint with a host that the certificate names."
            return ConnectionFailed(self.endpoint, reason, remedy)
        if isinstance(error, ssl.SSLError):
            return ConnectionFailed(self.endpoint, f"it does not speak HTTPS as we do ({error.reason})")
        reason = getattr(error, "strerror", None) or str(error) or repr(error)
        if self._tls is None and isinstance(error, NoAnswer):
            return ConnectionFailed(self.endpoint, reason, "If it serves HTTPS, the endpoint begins with https://.")
        return ConnectionFailed(self.endpoint, reason)


def _checked_endpoint(endpoint: str) -> SplitResult:
    try:
        url = urlsplit(endpoint)
        # A port that is no number is only noticed when it is read.
        if url.scheme in ("http", "https") and url.hostname and (url.port is None or url.port > 0):
            return url._replace(query="", fragment="")
    except ValueError:
        pass
    raise ValueError(f"The endpoint '{endpoint}' is not a URL; write it like http://127.0.0.1:4780")


def _user_agent() -> str:
    return f"penstock/{__version__}"
