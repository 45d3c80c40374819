"""A real PostgreSQL for tests: made in a temporary folder, on a free loopback port, ended with the tests."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

USER = "penstock"
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "logging_collector": "off",
    "log_destination": "stderr",
    "lc_messages": "C",
}
INITDB_OPTIONS = ["-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions"]


class NoPostgresql(Exception):
    """The machine has no PostgreSQL to start."""


def find_binaries() -> Path:
    """The folder of `initdb` and `postgres`: where the search path leads, else Debian's."""
    on_path = shutil.which("postgres")
    folders = [Path(on_path).resolve().parent] if on_path else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise NoPostgresql("neither PATH nor /usr/lib/postgresql/*/bin has PostgreSQL's initdb and postgres")


@contextmanager
def running_postgresql() -> Iterator[str]:
    """Start a server and give the URL of its database `postgres`, for a user who may do everything."""
    binaries = find_binaries()
    as_user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.geteuid() == 0 else []
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # short: the path of a Unix socket has 107 characters
    try:
        if as_user:
            shutil.chown(folder, "nobody", "nogroup")
        data = folder / "data"
        made = subprocess.run(
            [*as_user, binaries / "initdb", "-D", data, "-U", USER, *INITDB_OPTIONS],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode != 0:
            raise RuntimeError(f"initdb failed: {made.stderr or made.stdout}")
        server, port, reader = _start([*as_user, str(binaries / "postgres"), "-D", str(data)], folder)
        try:
            yield f"postgresql://{USER}@127.0.0.1:{port}/postgres"
        finally:
            server.send_signal(3)  # SIGQUIT: at once, without writing anything down
            server.wait()
            reader.join()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _start(command: list[str], folder: Path) -> tuple[subprocess.Popen[str], int, threading.Thread]:
    """Start `postgres` on a free port; another one if somebody else takes it in between."""
    log: list[str] = []
    for _ in range(5):
        port = _free_port()
        settings = {**SETTINGS, "port": str(port), "unix_socket_directories": str(folder)}
        options = [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]
        server = subprocess.Popen([*command, *options], cwd=folder, stderr=subprocess.PIPE, text=True)
        assert server.stderr is not None
        log = []
        for line in server.stderr:
            log.append(line)
            if "ready to accept connections" in line:
                reader = threading.Thread(target=_drain, args=(server.stderr,), daemon=True)
                reader.start()
                return server, port, reader
        server.stderr.close()
        server.wait()
    raise RuntimeError("PostgreSQL did not start: " + "".join(log))


def _drain(stream: IO[str]) -> None:
    """Read the server's log to its end, so that it never waits for a reader."""
    with stream:
        for _ in stream:
            pass


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
