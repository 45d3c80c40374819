"""What an object's `run` is given: a folder of its own, storage, databases, logs, and a way to be stopped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Protocol

from penstock.data.storage import Storage
from penstock.objects.lineage import Lineage
from penstock.settings import DatabaseSetting, DataSettings, RedshiftSettings


class WorkFailed(Exception):
    """The attempt failed for a reason that the message says whole; no stack trace is needed."""


class WorkStopped(Exception):
    """The attempt was cancelled or ran out of time, and the work has ended."""


class Execute(Protocol):
    """Runs a command in a process group of its own and gives its exit status; stopping ends the whole group."""

    def __call__(self, arguments: Sequence[str], *, environment: Mapping[str, str], folder: Path) -> int:
        """Run to the end; output goes to the attempt's logs."""


@dataclass
class Work:
    """One attempt as the object that runs sees it."""

    pipeline_id: str
    attempt_id: str
    folder: Path
    storage: Storage
    execute: Execute
    log: Callable[[str], None]
    stopped: Event
    environment: Mapping[str, str]
    stdout: Path
    stderr: Path
    data_dir: Path
    databases: Mapping[str, DatabaseSetting] = field(default_factory=dict)
    redshift: RedshiftSettings = field(default_factory=RedshiftSettings)
    data: DataSettings = field(default_factory=DataSettings)
    report: Callable[[Mapping[str, str]], None] = lambda fields: None
    record: Callable[[Lineage], None] = lambda lineage: None
    host_runner: Callable[[], None] = lambda: None

    def check_stopped(self) -> None:
        """Raise WorkStopped when the attempt must end; long work calls it now and then."""
        if self.stopped.is_set():
            raise WorkStopped

    def pause(self, seconds: float) -> None:
        """Wait, and end here as soon as the attempt is stopped."""
        if self.stopped.wait(seconds):
            raise WorkStopped

    def progress(self, *, rows: int, bytes: int) -> None:
        """Report rows and bytes so far, and end here when the attempt was stopped."""
        self.check_stopped()
        self.report({"rows": str(rows), "bytes": str(bytes)})

    def found(self, text: str) -> None:
        """Log what a precondition has found, and keep it with the attempt for those who wonder what it waits for."""
        self.log(text)
        self.report({"lastResult": text})

    def statements(self, *, done: int, of: int, rows: int | None = None) -> None:
        """Report how many statements of a script have run, with the rows that they affected, and end here if asked."""
        self.check_stopped()
        self.report({"statements": f"{done} of {of}"} | ({} if rows is None else {"rows": str(rows)}))
