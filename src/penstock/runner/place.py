"""Where a task runner works: its folders, storage, environment and settings, and the service that it works for."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, NoReturn
from urllib.parse import urlsplit

from penstock.clock import Clock
from penstock.data.storage import Storage, StorageError
from penstock.runner.event_sender import EventSender
from penstock.runner.guard import Guard
from penstock.runner.work_folders import WorkFolders
from penstock.settings import Settings

_SECRETS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
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
    def secrets(self) -> list[str]:
        """What commands are told and their logs must not show."""
        return [self.environment[name] for name in _SECRETS if self.environment.get(name)]

    @cached_property
    def folders(self) -> WorkFolders:
        """In which each attempt has a folder of its own."""
        return WorkFolders(self.data_dir / "work")


def is_local(endpoint: str) -> bool:
    """Whether the service runs on this machine, so that its data directory can be ours."""
    return (urlsplit(endpoint).hostname or "") in LOOPBACK


class NoStorage:
    """Stands for embedded storage on a machine that does not have it: every use is refused.

    Buckets that the settings have elsewhere are not refused (`penstock.data.bucket_map`).
    """

    def _refuse(self, uri: str) -> NoReturn:
        raise StorageError(
            f"{uri}: the embedded object storage is on the server's machine, and this is another one.",
            uri=uri,
            remedy="Set [storage] endpoint in the file that --config names, for the server and for this runner, or give"
            ' --data-dir with a folder that both machines share (not with embedded = "seaweedfs").',
        )

    def encrypted(self) -> NoStorage:
        """The same."""
        return self

    def exists(self, uri: str) -> bool:
        """Refused."""
        self._refuse(uri)

    def head(self, uri: str) -> NoReturn:
        """Refused."""
        self._refuse(uri)

    def list(self, prefix_uri: str) -> NoReturn:
        """Refused."""
        self._refuse(prefix_uri)

    def open(self, uri: str, start: int = 0, end: int | None = None) -> BinaryIO:
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

    def upload(self, path: Path, uri: str, *, move: bool = False) -> None:
        """Refused."""
        self._refuse(uri)
