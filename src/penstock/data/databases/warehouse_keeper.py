# ruff: noqa: PTH118, PTH123  (the standard library alone, and quickly)
"""The process that starts the embedded warehouse's PostgreSQL, and ends it when nobody uses it any more.

It is run by its path with the standard library alone: `warehouse_keeper.py FOLDER USER POSTGRES`, where USER is empty
or the user that the server runs as. Whoever uses the warehouse holds the file `used` of the folder (shared); this
process holds `kept` while it lives. When it is killed, so is the server (Linux), and its next user starts another.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

GRACE = 2.0
"""Seconds after its last user for which the server stays, so that the next resource need not start it again."""

SOCKETS = "penstock-warehouse-"
"""What the name of the socket's folder begins with, in the system's folder for temporary files."""

SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "shared_buffers": "128MB",
    "max_wal_size": "4GB",
    "max_connections": "200",
    "timezone": "UTC",
    "lc_messages": "C",
    "logging_collector": "off",
}
_DEATH_SIGNAL = 1  # prctl's PR_SET_PDEATHSIG


def main(folder: str, user: str, postgres: str) -> None:
    """Run the server until it ends by itself, or until nobody uses it, in a process that is nobody's child."""
    kept = os.open(os.path.join(folder, "kept"), os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(kept, fcntl.LOCK_EX)
    if os.fork():
        os._exit(0)  # the lock stays with the child
    os.setsid()
    # The path of a Unix socket has 107 characters at most, and the data directory's may be longer.
    sockets = tempfile.mkdtemp(prefix=SOCKETS)
    noted = os.path.join(folder, "sockets")
    with open(noted, "w", encoding="utf-8") as note:
        note.write(sockets)
    identity: dict[str, object] = {}
    if user:
        entry = pwd.getpwnam(user)
        os.chown(sockets, entry.pw_uid, entry.pw_gid)
        identity = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    options = [
        option
        for name, value in {**SETTINGS, "unix_socket_directories": sockets}.items()
        for option in ("-c", f"{name}={value}")
    ]
    data = os.path.join(folder, "data")
    try:
        server = subprocess.Popen(
            [postgres, "-D", data, *options],
            cwd="/",
            stdin=subprocess.DEVNULL,
            preexec_fn=_end_with_keeper,
            **identity,  # type: ignore[call-overload]
        )
        threading.Thread(target=_end_unused, args=(folder, server), daemon=True).start()
        server.wait()
    finally:
        shutil.rmtree(sockets, ignore_errors=True)


def _end_with_keeper() -> None:
    """Have the server end (fast, without loss) when this process has ended, however that happens."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGINT)


def _end_unused(folder: str, server: subprocess.Popen[bytes]) -> None:
    used = os.open(os.path.join(folder, "used"), os.O_RDWR | os.O_CREAT, 0o600)
    start = os.open(os.path.join(folder, "start"), os.O_RDWR | os.O_CREAT, 0o600)
    while True:
        fcntl.flock(used, fcntl.LOCK_EX)  # comes when nobody uses it
        fcntl.flock(used, fcntl.LOCK_UN)
        time.sleep(GRACE)
        fcntl.flock(start, fcntl.LOCK_EX)  # nobody may begin to use it from here on
        try:
            fcntl.flock(used, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fcntl.flock(start, fcntl.LOCK_UN)
            continue
        server.send_signal(signal.SIGINT)
        server.wait()
        return


if __name__ == "__main__":
    main(*sys.argv[1:4])
