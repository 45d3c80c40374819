"""Which storage a bucket is in, as the settings say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from penstock.data.cloud_storage import CloudStorage
from penstock.data.local_folder import LocalFolder
from penstock.data.s3_storage import S3Storage
from penstock.data.storage import Entry, Storage, copy_between, parse_uri
from penstock.storage_settings import S3Setting, StorageSettings

LOCAL = "s3"
"""The folder of the data directory that is the embedded storage."""


def open_storage(settings: StorageSettings, data_dir: Path, embedded: S3Setting | None = None) -> Storage:
    """The storage of the settings; `embedded` leads to the embedded S3 server, if that is what they say."""
    setting = settings.s3 if settings.embedded is None else embedded
    return map_buckets(S3Storage(setting) if setting is not None else LocalFolder(data_dir / LOCAL), settings)


def map_buckets(default: Storage, settings: StorageSettings) -> Storage:
    """The storage `default`, but for the buckets that the settings have elsewhere."""
    if not settings.buckets:
        return default
    names: dict[S3Setting, dict[str, str]] = defaultdict(dict)
    for bucket, entry in settings.buckets.items():
        if entry.s3 is not None:
            names[entry.s3][bucket] = entry.name
    buckets: dict[str, Storage] = {}
    for bucket, entry in settings.buckets.items():
        buckets[bucket] = CloudStorage(entry) if entry.s3 is None else S3Storage(entry.s3, names[entry.s3])
    if isinstance(default, S3Storage):
        default = S3Storage(default.setting, names[default.setting])
    return BucketMap(default, buckets)


@dataclass(frozen=True)
class BucketMap:
    """One storage for all buckets but some, which have storages of their own."""

    default: Storage
    buckets: Mapping[str, Storage] = field(hash=False)

    def encrypted(self) -> BucketMap:
        """The same places, asked to encrypt what is written."""
        return replace(
            self,
            default=self.default.encrypted(),
            buckets={name: storage.encrypted() for name, storage in self.buckets.items()},
        )

    def place(self, uri: str) -> Storage:
        """The storage that the URI's bucket is in."""
        return self.buckets.get(parse_uri(uri)[0], self.default)

    def exists(self, uri: str) -> bool:
        """Whether there is an object of exactly this key."""
        return self.place(uri).exists(uri)

    def list(self, prefix_uri: str) -> Iterator[Entry]:
        """The objects whose key begins with this string, in the order of their UTF-8 bytes."""
        return self.place(prefix_uri).list(prefix_uri)

    def head(self, uri: str) -> Entry:
        """The object's size, time and mark."""
        return self.place(uri).head(uri)

    def open(self, uri: str, start: int = 0, end: int | None = None) -> BinaryIO:
        """A stream over the object's bytes."""
        return self.place(uri).open(uri, start, end)

    def create(self, uri: str) -> AbstractContextManager[BinaryIO]:
        """A stream to write the object to."""
        return self.place(uri).create(uri)

    def delete(self, uri: str) -> None:
        """Remove the object."""
        self.place(uri).delete(uri)

    def copy(self, source_uri: str, target_uri: str) -> None:
        """Make the target an object with the source's bytes: within a storage by itself, else through here."""
        copy_between(self.place(source_uri), source_uri, self.place(target_uri), target_uri)

    def download(self, uri: str, path: Path) -> None:
        """Write the object's bytes to a local file."""
        self.place(uri).download(uri, path)

    def upload(self, path: Path, uri: str, *, move: bool = False) -> None:
        """Make an object of a local file's bytes; with `move` the file need not stay."""
        self.place(uri).upload(path, uri, move=move)
