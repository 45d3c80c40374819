"""The application on a socket, served by uvicorn in a thread of its own."""

from __future__ import annotations

import asyncio
import socket
import threading
import time

import uvicorn

from penstock.api.application import Application

START_SECONDS = 20.0


class ServerNotStarted(Exception):
    """The port cannot be used, or the server did not come up; the text says why."""


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


class Server:
    """Serves from when it is made until `stop`."""

    def __init__(self, application: Application, listener: socket.socket) -> None:
        self._application = application
        self._server = uvicorn.Server(
            uvicorn.Config(
                application,
                lifespan="off",
                log_level="warning",
                access_log=False,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=5,
                ws="none",
                interface="asgi3",
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
        self._server.should_exit = True
        if wait:
            self._thread.join(START_SECONDS)
