"""A TCP proxy on loopback that can cut connections, stop forwarding, and drop answers."""

from __future__ import annotations

import contextlib
import socket
import threading


class Proxy:
    """Forwards connections to a port of this machine from when it is made until `close`."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._goes = threading.Event()
        self._goes.set()
        self._refuses = False
        self._drop: tuple[bytes, ...] = ()
        self.dropped = 0
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._closed = False
        self._spawn(self._accept)

    def _spawn(self, target: object, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                if self._refuses:
                    raise OSError
                server = socket.create_connection(("127.0.0.1", self._to), 5)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            pair = {"dropping": False}
            with self._lock:
                if not self._refuses:  # it may have been cut since
                    self._open |= {client, server}
            if client not in self._open:
                client.close()
                server.close()
                continue
            self._spawn(self._forward, client, server, pair, True)
            self._spawn(self._forward, server, client, pair, False)

    def _forward(self, source: socket.socket, target: socket.socket, pair: dict[str, bool], is_request: bool) -> None:
        with contextlib.suppress(OSError):
            while part := source.recv(65536):
                self._goes.wait()
                if is_request and any(operation in part for operation in self._drop):
                    pair["dropping"] = True
                if not is_request and pair["dropping"]:
                    self.dropped += 1  # the server has done it, and the caller will not hear of it
                    break
                target.sendall(part)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            with self._lock:
                self._open.discard(end)
        source.close()

    def drop_answers_of(self, *operations: str) -> None:
        """From now on the answers of these operations are lost, with their connections."""
        self._drop = tuple(f".{operation}\r\n".encode() for operation in operations)

    def stop(self) -> None:
        """Forward nothing; connections stay."""
        self._goes.clear()

    def go_on(self) -> None:
        """Forward again, also what came meanwhile."""
        self._refuses = False
        self._goes.set()

    def cut(self) -> None:
        """End all connections, and let nobody in."""
        with self._lock:
            self._refuses = True
            for end in self._open:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._closed = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        self._goes.set()
        for thread in self._threads:
            thread.join(5)
