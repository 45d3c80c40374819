"""The output of a command on its way into the logs, without its secrets; an output without a byte makes no file."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from penstock.runner.masking import Masking

CHUNK = 65536
LINGER = 0.1  # seconds in which output may still come after the command has ended
LOOK_SECONDS = 0.02  # how often to look for the end of a process where that cannot be waited for beside its output


class Output:
    """One output of a command: what comes from its pipe goes to the file, masked."""

    def __init__(self, source: IO[bytes], path: Path, masking: Masking) -> None:
        self.source = source
        self._path = path
        self._masked = masking.stream()
        self._file: IO[bytes] | None = None

    def take(self) -> bool:
        """Take what has come; False at the end of the output."""
        part = os.read(self.source.fileno(), CHUNK)
        self._write(self._masked.part(part) if part else self._masked.rest())
        return bool(part)

    def close(self) -> None:
        """Close the pipe and the file."""
        self.source.close()
        if self._file is not None:
            self._file.close()

    def _write(self, part: bytes) -> None:
        if not part:
            return
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("ab", buffering=0)
        self._file.write(part)


def wait(process: subprocess.Popen[bytes], outputs: Sequence[Output]) -> int:
    """Take the outputs until the process has ended, and give its exit status.

    What it has left in the background may hold a pipe: its output is taken on, by a thread that nobody waits for.
    Raises OSError where a file cannot be written; the process goes on then, and its output is thrown away.
    """
    open_outputs = {output.source.fileno(): output for output in outputs}
    try:
        with _end_of(process) as ended:
            poller = select.poll()
            for descriptor in (*open_outputs, *([ended] if ended is not None else [])):
                poller.register(descriptor, select.POLLIN)
            until: float | None = None
            while open_outputs and (until is None or time.monotonic() < until):
                pause = LOOK_SECONDS if until is not None or ended is None else None
                for descriptor, _ in poller.poll(None if pause is None else pause * 1000):
                    if descriptor == ended:
                        poller.unregister(descriptor)
                    elif not open_outputs[descriptor].take():
                        poller.unregister(descriptor)
                        open_outputs.pop(descriptor).close()
                if until is None and open_outputs and process.poll() is not None:
                    until = time.monotonic() + LINGER
    except BaseException:
        for output in open_outputs.values():
            threading.Thread(target=_throw_away, args=(output,), daemon=True).start()
        raise
    for output in open_outputs.values():
        threading.Thread(target=_take_on, args=(output,), daemon=True).start()
    return process.wait()


@contextlib.contextmanager
def _end_of(process: subprocess.Popen[bytes]) -> Iterator[int | None]:
    """A descriptor that can be read when the process has ended; None where the system has no such thing (macOS)."""
    descriptor = os.pidfd_open(process.pid) if hasattr(os, "pidfd_open") else None
    try:
        yield descriptor
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _take_on(output: Output) -> None:
    with contextlib.suppress(OSError, ValueError):
        while output.take():
            pass
    output.close()


def _throw_away(output: Output) -> None:
    """Read on, so that a process whose output cannot be kept is not ended by that."""
    with contextlib.suppress(OSError, ValueError):
        while os.read(output.source.fileno(), CHUNK):
            pass
    output.close()
