"""A real PostgreSQL for tests: made in a temporary folder, on a free loopback port, ended with the tests.

The search path's is taken, else Debian's, else that of a wheel with its programs. PENSTOCK_POSTGRESQL=18 asks for that
major version, wherever of these it is.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sysconfig
import tempfile
import threading
from collections.abc import Iterator, Mapping
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
    """The folder of `initdb` and `postgres`, of the version that the environment asks for; raises NoPostgresql."""
    wanted = os.environ.get("PENSTOCK_POSTGRESQL", "")
    found = [folder for folder in _folders() if (folder / "initdb").exists() and (folder / "postgres").exists()]
    for folder in found:
        if not wanted or _version(folder) == wanted:
            return folder
    where = "neither PATH nor /usr/lib/postgresql/*/bin nor a wheel has"
    if wanted:
        others = ", ".join(_version(folder) or "one that cannot be run" for folder in found) or "none"
        raise NoPostgresql(f"{where} initdb and postgres of version {wanted} (PENSTOCK_POSTGRESQL); found: {others}")
    raise NoPostgresql(f"{where} PostgreSQL's initdb and postgres")


def _folders() -> list[Path]:
    on_path = shutil.which("postgres")
    folders = [
        *([Path(on_path).resolve().parent] if on_path else []),
        *sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True),
    ]
    if not folders or os.environ.get("PENSTOCK_POSTGRESQL"):
        of_wheels = sorted(Path(sysconfig.get_path("platlib")).glob("*/pginstall*/bin"), reverse=True)
        folders += [passable(folder.parents[1]) / folder.parent.name / "bin" for folder in of_wheels]
    return list(dict.fromkeys(folders))


def passable(package: Path) -> Path:
    """A folder that the server's own user can come to: this one, or for root in a private place a copy of it."""
    if os.geteuid() != 0 or all(parent.stat().st_mode & 0o001 for parent in package.absolute().parents):
        return package
    copy = Path(tempfile.gettempdir()) / f"penstock-tests-{package.stat().st_ino}-{package.stat().st_mtime_ns}"
    if not copy.exists():
        making = Path(tempfile.mkdtemp(prefix="penstock-tests-"))
        making.chmod(0o755)
        for part in package.parent.glob(f"{package.name}*"):  # the package, and its libraries beside it
            if part.is_dir():
                shutil.copytree(part, making / part.name, symlinks=True)
        with contextlib.suppress(OSError):  # another process was first
            making.rename(copy)
        shutil.rmtree(making, ignore_errors=True)
    return copy / package.name


def _version(folder: Path) -> str:
    """The major version as the server's own user gets it; empty where that user cannot run it."""
    asked = subprocess.run([*_as_user(), folder / "postgres", "--version"], capture_output=True, text=True, check=False)
    return asked.stdout.removeprefix("postgres (PostgreSQL) ").partition(".")[0].strip()


def _as_user() -> list[str]:
    """What makes a command one of another user, since PostgreSQL refuses to run as root."""
    return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.geteuid() == 0 else []


class Running:
    """A server that can be restarted on its port; `url` is that of its database `postgres`, for who may do anything."""

    def __init__(self, command: list[str], folder: Path, settings: Mapping[str, str]) -> None:
        self._command, self._folder, self._settings = command, folder, dict(settings)
        self._server, self.port, self._reader = _start(command, folder, self._settings)
        self.url = f"postgresql://{USER}@127.0.0.1:{self.port}/postgres"

    def stop(self, number: int = signal.SIGQUIT) -> None:
        """SIGINT ends it fast, with everything written down; SIGQUIT at once, as if it had crashed."""
        self._server.send_signal(number)
        self._server.wait()
        self._reader.join()

    def restart(self, number: int) -> None:
        """Stop it and start it again; returns when it takes connections."""
        self.stop(number)
        self._server, _, self._reader = _start(self._command, self._folder, self._settings, self.port)


@contextmanager
def running_postgresql() -> Iterator[str]:
    """Start a server and give the URL of its database `postgres`, for a user who may do everything."""
    with restartable_postgresql(SETTINGS) as running:
        yield running.url


@contextmanager
def restartable_postgresql(settings: Mapping[str, str]) -> Iterator[Running]:
    """Start a server with these settings."""
    binaries = find_binaries()
    as_user = _as_user()
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
        running = Running([*as_user, str(binaries / "postgres"), "-D", str(data)], folder, settings)
        try:
            yield running
        finally:
            running.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _start(
    command: list[str], folder: Path, wanted: Mapping[str, str], at: int | None = None
) -> tuple[subprocess.Popen[str], int, threading.Thread]:
    """Start `postgres` on a free port, another one if somebody else takes it in between; or on the port `at`."""
    log: list[str] = []
    for _ in range(5):
        port = at or _free_port()
        settings = {**wanted, "port": str(port), "unix_socket_directories": str(folder)}
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
