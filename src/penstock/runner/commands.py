"""Commands in process groups of their own, so that stopping ends everything that they started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from penstock.objects.work import WorkFailed, WorkStopped
from penstock.runner.guard import Guard
from penstock.runner.masking import Masking
from penstock.runner.output import Output, wait

GRACE_SECONDS = 10.0
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
        self._lock = threading.RLock()
        self._process: subprocess.Popen[bytes] | None = None
        self._grace = GRACE_SECONDS
        self._timer: threading.Timer | None = None
        self._is_killed = False

    def set(self, reason: str) -> None:
        """Stop, for this reason; the group is told by SIGTERM, and by SIGKILL when its grace is over."""
        with self._lock:
            if self.event.is_set():
                return
            self.reason = reason
            self.event.set()
            self._end_group()

    def kill(self) -> None:
        """End the group at once, also one that only begins now; what it holds is lost."""
        with self._lock:
            self._is_killed = True
            if self._process is not None:
                signal_group(self._process, signal.SIGKILL)

    def holds(self, process: subprocess.Popen[bytes], grace: float) -> None:
        """The process that a stop must end from now on, and the seconds that it has after SIGTERM."""
        with self._lock:
            self._process, self._grace = process, grace
            if self._is_killed:
                self.kill()
            elif self.event.is_set():
                self._end_group()

    def lets_go(self) -> None:
        """The process has ended; if it was stopped, what it has left of its group ends with it."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            if self.event.is_set():
                self.kill()
            self._process = self._timer = None

    def _end_group(self) -> None:
        if self._process is None:
            return
        signal_group(self._process, signal.SIGTERM)
        self._timer = threading.Timer(self._grace, self.kill)
        self._timer.daemon = True
        self._timer.start()


def signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Send a signal to every process of a group; one that has ended is passed over."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _is_anybody_in(group: int) -> bool:
    """Whether a process group still has processes."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def execute(
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: Path,
    stop: Stop,
    masking: Masking,
    stdout: Path,
    stderr: Path,
    guard: Guard | None = None,
    goes_on: Callable[[], None] = lambda: None,
) -> int:
    """Run a command to its end and give its exit status; raises WorkStopped when it was stopped.

    A `guard` ends it when this process is killed. Output goes to the files without secrets. A process that the command
    has left in the background goes on, but nobody waits for it: `goes_on` is called then.
    """
    try:
        if guard is not None:
            guard.make_ready()
        process = subprocess.Popen(
            list(arguments),
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
    except OSError as error:
        raise WorkFailed(f"The command could not be started: {error}.") from error
    except ValueError as error:  # a null byte in an argument
        raise WorkFailed(f"The command cannot be started: {error}.") from error
    if guard is not None:
        guard.begins(process.pid)
    stop.holds(process, GRACE_SECONDS)
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        outputs = (Output(process.stdout, stdout, masking), Output(process.stderr, stderr, masking))
        try:
            status = wait(process, outputs)
        except OSError as error:  # such as a full disk: the command need not go on
            stop.kill()
            process.wait()
            raise WorkFailed(f"The output of the command cannot be kept: {error}.") from error
    finally:
        stop.lets_go()
        if guard is not None:
            guard.ends(process.pid)
        if _is_anybody_in(process.pid):
            goes_on()
    if stop.event.is_set():
        raise WorkStopped(stop.reason)
    return status
