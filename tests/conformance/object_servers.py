"""Object storages for tests: a SeaweedFS, moto's S3 (which takes any key), and obstore's storage in memory."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from penstock.data import cloud_storage, seaweedfs
from penstock.data.cloud_storage import CloudStorage
from penstock.data.s3_storage import S3Storage
from penstock.data.storage import Storage, is_path
from penstock.storage_settings import BucketSetting, S3Setting

BUCKETS = ("bucket", "one", "two")
_numbers = itertools.count(1)


@contextmanager
def running_moto() -> Iterator[S3Setting]:
    """moto's S3 server in this process; it is slow, and its keys are strings as Amazon's."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield S3Setting(f"http://{host}:{port}", "us-east-1", "AKIATEST", "secret", makes_buckets=True)
    finally:
        server.stop()


def emptied(storage: Storage) -> Storage:
    """The storage without what earlier tests have left."""
    for bucket in BUCKETS:
        for entry in storage.list(f"s3://{bucket}/"):
            storage.delete(entry.uri)
    return storage


def in_memory(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Storage]:
    """Makes storages by obstore whose objects are in memory: what GCS and Azure have in common."""
    from obstore.store import MemoryStore

    stores: dict[BucketSetting, MemoryStore] = {}
    monkeypatch.setattr(cloud_storage, "_store_of", lambda setting: stores.setdefault(setting, MemoryStore()))
    return lambda: CloudStorage(BucketSetting("gs", f"bucket{next(_numbers)}"))


def takes(storage: Storage, key: str) -> bool:
    """Whether the server behind the storage can have this key."""
    if isinstance(storage, CloudStorage):
        return is_path(key)
    if isinstance(storage, S3Storage):
        if storage.setting.access_key_id == "AKIATEST":  # moto's web server ends a path there
            return not {"\x00", "\n"} & set(key)
        return is_path(key) and len(key.rpartition("/")[2].encode()) <= 255
    return True


@contextmanager
def running_seaweedfs(folder: Path) -> Iterator[S3Setting]:
    """The embedded S3 server, in a data directory of its own."""
    use = seaweedfs.use(folder)
    try:
        yield use.address.setting()
    finally:
        use.end()
