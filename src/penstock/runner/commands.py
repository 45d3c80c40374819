"""Commands in process groups of their own, so that stopping ends everything that they started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from penstock.objects.work import WorkFailed, WorkStopped
from penstock.runner.masking import Masking

GRACE_SECONDS = 10.0
DRAIN_SECONDS = 5.0
PASSED_ON = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR")
KEPT_BACK = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_ENDPOINT_URL_DATA_PIPELINE",
)


def clean_environment() -> dict[str, str]:
    """What embedded commands see of this process's environment: where programs and the user's home are."""
    return {key: os.environ[key] for key in PASSED_ON if key in os.environ}


def own_environment() -> dict[str, str]:
    """What commands of a runner that people start themselves see: everything but Penstock's own keys."""
    return {k: v for k, v in os.environ.items() if k not in KEPT_BACK and not k.startswith("PENSTOCK_")}


class Stop:
    """Asks an attempt to stop: sets an event, and ends the process group that runs at the time."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.reason = ""
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def set(self, reason: str) -> None:
        """Stop, for this reason; the group is told by SIGTERM, and by SIGKILL after ten seconds."""
        with self._lock:
            if not self.event.is_set():
                self.reason = reason
                self.event.set()
            process = self._process
        if process is not None:
            signal_group(process, signal.SIGTERM)
            timer = threading.Timer(GRACE_SECONDS, signal_group, (process, signal.SIGKILL))
            timer.daemon = True
            timer.start()

    def holds(self, process: subprocess.Popen[bytes] | None) -> None:
        """The process that a stop must end from now on."""
        with self._lock:
            self._process = process
            is_late = self.event.is_set()
        if is_late and process is not None:
            self.set(self.reason)


def signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Send a signal to every process of a group; one that has ended is passed over."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def execute(
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: Path,
    stop: Stop,
    masking: Masking,
    stdout: Path,
    stderr: Path,
) -> int:
    """Run a command to its end and give its exit status; raises WorkStopped when it was stopped.

    Output goes straight to the files, through the masking where there are secrets to mask.
    """
    with stdout.open("ab") as out, stderr.open("ab") as err:
        try:
            process = subprocess.Popen(
                list(arguments),
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if masking.is_needed else out,
                stderr=subprocess.PIPE if masking.is_needed else err,
                start_new_session=True,
            )
        except OSError as error:
            raise WorkFailed(f"The command could not be started: {error}.") from error
        stop.holds(process)
        readers = _mask(process, masking, out, err) if masking.is_needed else []
        try:
            status = process.wait()
        finally:
            stop.holds(None)
        for reader in readers:
            reader.join(DRAIN_SECONDS)
    if stop.event.is_set():
        signal_group(process, signal.SIGKILL)
        raise WorkStopped(stop.reason)
    return status


def _mask(process: subprocess.Popen[bytes], masking: Masking, out: IO[bytes], err: IO[bytes]) -> list[threading.Thread]:
    started: list[threading.Thread] = []
    for source, target in ((process.stdout, out), (process.stderr, err)):
        assert source is not None
        copy: Callable[..., None] = masking.copy
        thread = threading.Thread(target=copy, args=(source, target), daemon=True)
        thread.start()
        started.append(thread)
    return started
