"""The storage that a process works with, as its settings say, and what its commands are told of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from penstock.data import seaweedfs
from penstock.data.bucket_map import LOCAL, map_buckets, open_storage
from penstock.data.storage import Storage
from penstock.runner.place import NoStorage
from penstock.storage_settings import SEAWEEDFS, StorageSettings


@dataclass(frozen=True)
class StorageInUse:
    """`environment` is what commands are given to find it with `aws s3` and the like."""

    settings: StorageSettings
    data_dir: Path
    storage: Storage
    environment: Mapping[str, str]
    server: seaweedfs.Use | None = None

    def embedded(self, bucket: str) -> Storage | None:
        """The embedded storage, if this bucket is there."""
        is_there = self.settings.embedded is not None and bucket not in self.settings.buckets
        return self.storage if is_there else None

    def place(self, data_dir: Path) -> str:
        """Where s3:// is, for people: a folder of the data directory, or an endpoint."""
        if self.settings.embedded is None:
            return self.settings.s3.endpoint or "where AWS_ENDPOINT_URL_S3 says, else AWS"
        return str(data_dir / (LOCAL if self.server is None else seaweedfs.FOLDER))

    def end(self) -> None:
        """Use it no longer; an embedded server ends when its last user has ended."""
        if self.server is not None:
            self.server.end()


def use_storage(settings: StorageSettings, data_dir: Path) -> StorageInUse:
    """The storage of the settings; starts an embedded server. Raises seaweedfs.NotInstalled and NotStarted."""
    if settings.embedded != SEAWEEDFS:
        environment = seaweedfs.command_environment(settings.s3) if settings.embedded is None else {}
        return StorageInUse(settings, data_dir, open_storage(settings, data_dir), environment)
    server = seaweedfs.use(data_dir)
    setting = server.address.setting()
    storage = open_storage(settings, data_dir, setting)
    return StorageInUse(settings, data_dir, storage, seaweedfs.command_environment(setting), server)


def use_storage_elsewhere(settings: StorageSettings, data_dir: Path, *, is_shared: bool) -> StorageInUse:
    """The storage on another machine than the service's: nothing embedded, but for a data directory that is shared."""
    if settings.embedded is None or (is_shared and settings.embedded != SEAWEEDFS):
        return use_storage(settings, data_dir)
    return StorageInUse(settings, data_dir, map_buckets(NoStorage(), settings), {})
