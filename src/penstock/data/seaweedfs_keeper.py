"""The process that runs the embedded SeaweedFS, and ends it when nobody uses it any more.

It is run by its path with the standard library alone: `seaweedfs_keeper.py FOLDER PROGRAM ARGUMENT…`. Whoever uses the
storage holds the file `used` of the folder (shared), so that it counts as used no longer when its process has ended,
however that happened. This process holds `kept` while it lives. When it is killed itself, so is the server (Linux).
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import threading

GRACE = 5.0
"""Seconds that the server has to end; it loses nothing when it is killed."""
_AGAIN = 1.0  # seconds after which a server that ended by itself is started again
_DEATH_SIGNAL = 1  # prctl's PR_SET_PDEATHSIG


def main(folder: str, arguments: list[str]) -> None:
    """Run the server until nobody uses it, again and again if it ends by itself."""
    kept = os.open(f"{folder}/kept", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(kept, fcntl.LOCK_EX)
    unused = threading.Event()
    threading.Thread(target=_wait_unused, args=(folder, unused), daemon=True).start()
    while not unused.is_set():
        server = subprocess.Popen(arguments, cwd=folder, stdin=subprocess.DEVNULL, preexec_fn=_end_with_keeper)
        while server.poll() is None and not unused.wait(0.2):
            pass
        if server.poll() is None:
            _end(server)
        else:
            unused.wait(_AGAIN)


def _end(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        server.wait(GRACE)
    server.kill()
    server.wait()


def _end_with_keeper() -> None:
    """Have the server end when this process has ended, however that happens."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL)


def _wait_unused(folder: str, unused: threading.Event) -> None:
    """Wait until nobody holds `used`; from then on nobody can, until this process has ended."""
    used = os.open(f"{folder}/used", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(used, fcntl.LOCK_EX)
    unused.set()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
