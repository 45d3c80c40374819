"""A small process beside a task runner that ends the runner's commands when the runner is killed.

Commands run in process groups of their own, so they would outlive a runner that has no time to end them, and run on
beside the attempt that follows theirs.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import threading
from typing import IO

# It waits until the runner has gone, however that happens, and is not ended by what ends a runner. What runs then is in
# a file, its standard output, that both have open: so nobody is woken when a command begins or ends.
SCRIPT = """
trap '' INT TERM HUP
read -r gone
while read -r group; do
    [ -z "$group" ] || kill -9 "-$group"
done <&1
"""
WIDTH = 12  # bytes of a line of the file


class Guard:
    """Knows the process groups of commands that run now; its process is started with the first of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: dict[int, int] = {}  # of the file, by group
        self._free: list[int] = []
        self._file: IO[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def make_ready(self) -> None:
        """Start the process, if there is none: a command that begins must be known at once. Raises OSError."""
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._start()

    def begins(self, group: int) -> None:
        """A process group that must not outlive this process. Raises OSError."""
        self.make_ready()
        with self._lock:
            line = self._free.pop() if self._free else len(self._lines)
            self._lines[group] = line
            self._write(line, str(group))

    def ends(self, group: int) -> None:
        """It has ended; what it has left in the background may go on."""
        with self._lock:
            line = self._lines.pop(group, None)
            if line is not None:
                self._write(line, "")
                self._free.append(line)

    def close(self) -> None:
        """End what is left of the groups."""
        with self._lock:
            if self._process is not None:
                self._let_go(self._process)
                self._process = None
            if self._file is not None:
                self._file.close()
                self._file = None
                self._lines.clear()
                self._free.clear()

    def _start(self) -> None:
        """Start the process, in place of one that somebody has ended."""
        if self._process is not None:
            self._let_go(self._process)
        if self._file is None:
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", SCRIPT],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=self._file,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )

    def _write(self, line: int, text: str) -> None:
        assert self._file is not None
        os.pwrite(self._file.fileno(), text.ljust(WIDTH - 1).encode("ascii") + b"\n", line * WIDTH)

    @staticmethod
    def _let_go(process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        with contextlib.suppress(OSError):
            process.stdin.close()
        process.wait()
