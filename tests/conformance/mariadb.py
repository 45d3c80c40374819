"""A real MariaDB for tests: made in a temporary folder, on a free loopback port, ended with the tests."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

SETTINGS = [
    "--bind-address=127.0.0.1",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-buffer-pool-size=64M",
    "--innodb-log-file-size=64M",
    "--innodb-flush-method=nosync",
    "--skip-log-bin",
    "--skip-name-resolve",
    "--lower-case-table-names=0",
    "--max-connections=200",
]
_FOLDERS = ("/usr/sbin", "/usr/bin", "/usr/local/bin", "/opt/homebrew/bin")


class NoMariadb(Exception):
    """The machine has no MariaDB to start."""


def find_programs() -> tuple[str, str]:
    """`mariadb-install-db` and `mariadbd`; raises NoMariadb."""
    path = os.pathsep.join([os.environ.get("PATH", ""), *_FOLDERS])
    install, server = shutil.which("mariadb-install-db", path=path), shutil.which("mariadbd", path=path)
    if install is None or server is None:
        raise NoMariadb("neither PATH nor /usr/sbin has mariadb-install-db and mariadbd (Debian: mariadb-server)")
    return install, server


@contextmanager
def running_mariadb(*settings: str) -> Iterator[str]:
    """Start a server and give the URL of its database `mysql`, for a user who may do everything."""
    install, server = find_programs()
    folder = Path(tempfile.mkdtemp(prefix="my-"))  # short: the path of a Unix socket has 107 characters
    try:
        made = subprocess.run(
            [
                install,
                "--no-defaults",
                f"--datadir={folder / 'data'}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                *(["--user=root"] if os.geteuid() == 0 else []),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode != 0:
            raise RuntimeError(f"mariadb-install-db failed: {made.stderr or made.stdout}")
        process, port = _start(server, folder, settings)
        try:
            yield f"mysql://root@127.0.0.1:{port}/mysql"
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _start(server: str, folder: Path, settings: Sequence[str]) -> tuple[subprocess.Popen[bytes], int]:
    """Start `mariadbd` on a free port, another one if somebody else takes it in between."""
    log = folder / "log"
    for _ in range(5):
        port = _free_port()
        command = [server, "--no-defaults", f"--datadir={folder / 'data'}", f"--socket={folder / 's'}"]
        command += [f"--port={port}", f"--pid-file={folder / 'pid'}", *SETTINGS, *settings]
        command += ["--user=root"] if os.geteuid() == 0 else []
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output)
        while process.poll() is None:
            if b"ready for connections" in log.read_bytes() and _answers(port):
                return process, port
            time.sleep(0.01)  # the server says it in its log alone
    raise RuntimeError("MariaDB did not start: " + log.read_text(errors="replace")[-2000:])


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
