"""Where a task runner works: its folders, storage, environment and settings, and the service that it works for."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NoReturn
from urllib.parse import urlsplit

from penstock.clock import Clock
from penstock.data.storage import Storage, StorageError
from penstock.runner.event_sender import EventSender
from penstock.runner.guard import Guard
from penstock.settings import Settings

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Place:
    """What all tasks of a runner share."""

    endpoint: str
    data_dir: Path
    storage: Storage
    environment: Mapping[str, str]
    clock: Clock
    settings: Settings = field(default_factory=Settings)
    config: Path | None = None
    hostname: str = field(default_factory=socket.gethostname)
    guard: Guard | None = None
    """What ends the commands when this process is killed."""

    events: EventSender | None = None
    """Tells OpenLineage what activities read and write, where the settings say so."""

    certificate: bytes | None = None
    """The service's very certificate (DER), for its server's own runners; others trust as their machine does."""

    @property
    def work_folder(self) -> Path:
        """Under which each attempt has a folder of its own."""
        return self.data_dir / "work"


def is_local(endpoint: str) -> bool:
    """Whether the service runs on this machine, so that its data directory can be ours."""
    return (urlsplit(endpoint).hostname or "") in LOOPBACK


class NoStorage:
    """Stands for embedded storage on a machine that does not have it: every use is refused."""

    def _refuse(self, uri: str) -> NoReturn:
        raise StorageError(
            f"{uri}: the embedded object storage is a folder on the server's machine, which this one does not have.",
            uri=uri,
            remedy="Give --data-dir with a folder that both machines share; S3 endpoints cannot be set yet.",
        )

    def exists(self, uri: str) -> bool:
        """Refused."""
        self._refuse(uri)

    def list(self, prefix_uri: str) -> NoReturn:
        """Refused."""
        self._refuse(prefix_uri)

    def open(self, uri: str) -> BinaryIO:
        """Refused."""
        self._refuse(uri)

    def create(self, uri: str) -> AbstractContextManager[BinaryIO]:
        """Refused."""
        self._refuse(uri)

    def delete(self, uri: str) -> None:
        """Refused."""
        self._refuse(uri)

    def copy(self, source_uri: str, target_uri: str) -> None:
        """Refused."""
        self._refuse(source_uri)

    def download(self, uri: str, path: Path) -> None:
        """Refused."""
        self._refuse(uri)

    def upload(self, path: Path, uri: str) -> None:
        """Refused."""
        self._refuse(uri)
