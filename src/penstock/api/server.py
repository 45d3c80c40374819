"""The application on a socket, served by uvicorn in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from functools import partial
from ipaddress import ip_address
from typing import Any, cast

import uvicorn

from penstock.api.application import Application
from penstock.api.connections import PATIENCE, Connection
from penstock.api.tls import Certificate, ServerNotStarted

START_SECONDS = 20.0
LOOPBACK_OF = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Where a server that listens on all addresses is reached from its own machine."""


def check_host(host: str, certificate: Certificate | None, *, is_insecure: bool) -> None:
    """Refuses plain HTTP beyond this machine, unless somebody insists. Raises ServerNotStarted."""
    if certificate is None and not is_insecure and not _is_loopback(host):
        raise ServerNotStarted(
            f"Listening on {host} without TLS would send secrets and data in clear. Serve HTTPS with --tls-cert FILE"
            " and --tls-key FILE; or, in a network where nobody else can listen, say --insecure."
        )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises ServerNotStarted."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    protocol = socket.IPPROTO_TCP  # asyncio sets TCP_NODELAY on sockets that say so
    listener = socket.socket(family, socket.SOCK_STREAM, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(512)
    except OSError as error:
        listener.close()
        raise ServerNotStarted(
            f"The port {port} on {host} cannot be used: {error.strerror}. Give another with --port; 0 takes a free one."
        ) from error
    return listener


def endpoints(listener: socket.socket, host: str, certificate: Certificate | None) -> tuple[str, str]:
    """Two URLs: the one for clients, by a name that the certificate has, and the one for runners on this machine."""
    bound, port = listener.getsockname()[:2]
    scheme = "https" if certificate else "http"
    named = certificate.name_for((host, bound)) if certificate else None
    public = named or (socket.gethostname() if bound in LOOPBACK_OF else bound)
    return _url(scheme, public, port), _url(scheme, LOOPBACK_OF.get(bound, bound), port)


def _url(scheme: str, host: str, port: int) -> str:
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


class _Uvicorn(uvicorn.Server):
    """uvicorn, which looks once a second what time it is, for its answers, instead of ten times."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._leaving = asyncio.Event()

    async def main_loop(self) -> None:
        """Stay until it is to end."""
        self._loop = asyncio.get_running_loop()
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._leaving.wait()

    def leave(self) -> None:
        """End soon; from any thread."""
        self.should_exit = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._leaving.set)


class Server:
    """Serves from when it is made until `stop`: HTTPS with a certificate, else HTTP."""

    def __init__(
        self,
        application: Application,
        listener: socket.socket,
        certificate: Certificate | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self._application = application
        self._server = _Uvicorn(
            uvicorn.Config(
                application,
                lifespan="off",
                log_config=None,
                http=cast(Any, partial(Connection, patience=patience)),  # it is called like the class
                access_log=False,
                proxy_headers=False,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=5,
                ws="none",
                interface="asgi3",
                ssl_certfile=certificate.path if certificate else None,
                ssl_keyfile=certificate.key_path if certificate else None,
            )
        )
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._server.serve(sockets=[listener])), name="server", daemon=True
        )
        self._thread.start()
        deadline = time.monotonic() + START_SECONDS
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise ServerNotStarted("The server did not start; its log says why.")
            time.sleep(0.005)

    def end_polls(self) -> None:
        """Answer the long polls that wait, so that nobody waits for them."""
        self._application.close()

    def stop(self, *, wait: bool) -> None:
        """End, and stay until that is done if `wait` says so."""
        self._server.leave()
        if wait:
            self._thread.join(START_SECONDS)
