"""What the commands need from whoever starts a service; the composition root provides it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

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


class Service(Protocol):
    """A service that runs in this process."""

    endpoint: str
    credentials: Credentials

    def start_runner(self, pipeline_id: str, groups: list[str]) -> None:
        """Start a task runner for worker groups of one pipeline, beside the one for the service's own tasks."""

    def wait(self) -> None:
        """Stay until the service is stopped."""

    def stop(self) -> None:
        """End runners, their tasks and the service."""

    def kill(self) -> None:
        """End the commands of all tasks at once; the process is about to end."""


StartService = Callable[[ServiceOptions], Service]


class ServiceNotStarted(Exception):
    """A service could not be started; the text says why and what to do."""
