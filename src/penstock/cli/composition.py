"""What the commands need from the composition root: a service, and task runners."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from penstock.data.storage import Storage
from penstock.wire.sigv4 import Credentials


@dataclass(frozen=True)
class ServiceOptions:
    """How a service is to be started."""

    data_dir: Path
    config: Path | None = None
    host: str = "127.0.0.1"
    port: int = 0
    store: str | None = None
    is_run: bool = False
    has_runner: bool = True
    tls_cert: Path | None = None
    tls_key: Path | None = None
    is_insecure: bool = False
    metrics_host: str = "127.0.0.1"
    metrics_port: int | None = None


class Service(Protocol):
    """A service that runs in this process."""

    endpoint: str
    credentials: Credentials
    is_self_signed: bool
    """Whether it serves HTTPS with a certificate that no authority has signed."""

    metrics_url: str | None
    """Where its metrics are, if it serves them."""

    def embedded_storage(self, bucket: str) -> Storage | None:
        """The embedded storage, if this bucket is there; None where the settings have it elsewhere."""

    def storage_place(self, data_dir: Path) -> str:
        """Where s3:// is, for people: a folder of the data directory (as it was given), or an endpoint."""

    def start_runner(self, pipeline_id: str, groups: list[str]) -> None:
        """Start a task runner for worker groups of one pipeline, beside the one for the service's own tasks."""

    def stop(self) -> None:
        """End runners, their tasks and the service."""

    def kill(self) -> None:
        """End the commands of all tasks at once; the process is about to end."""


StartService = Callable[[ServiceOptions], Service]


class ServiceNotStarted(Exception):
    """A service could not be started; the text says why and what to do."""


@dataclass(frozen=True)
class BackupOptions:
    """Which file holds a backup, and of what or for what."""

    file: Path
    data_dir: Path
    store: str | None = None
    with_key: bool = False
    with_logs: bool = False


@dataclass(frozen=True)
class Maintenance:
    """What is done to a store as a whole; each gives sentences to print, or raises MaintenanceRefused."""

    backup: Callable[[BackupOptions], list[str]]
    restore: Callable[[BackupOptions], list[str]]
    rotate_master_key: Callable[[str | None, Path], list[str]]


class MaintenanceRefused(Exception):
    """It cannot be done; the text says why and what to do."""


@dataclass(frozen=True)
class RunnerOptions:
    """How a task runner is to work; `is_embedded` ones host a resource and end with its service."""

    endpoint: str
    groups: tuple[str, ...]
    tasks: int
    data_dir: Path | None
    config: Path | None
    is_embedded: bool = False


class TaskRunner(Protocol):
    """A task runner in this process; `refusal` is why the service did not let it work."""

    refusal: Exception | None

    def start(self) -> None:
        """Begin to poll."""

    def join(self, check: Callable[[], None] = ...) -> None:
        """Stay until it has ended, calling `check` now and then."""

    def stop(self) -> None:
        """Take no more tasks and end those that run."""

    def kill(self) -> None:
        """End the commands of all tasks at once."""


MakeTaskRunner = Callable[[RunnerOptions], TaskRunner]


class RunnerNotStarted(Exception):
    """A task runner cannot work; the text says why and what to do."""
