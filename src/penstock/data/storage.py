"""Objects by URI: what a storage does, its errors, and how an S3 URI is read.

A key is an opaque string of at most 1024 bytes of UTF-8 and a prefix is a string prefix: `a/b//c`,
`part#1`, `dir/`, and `a` beside `a/b` are all keys, as they are in S3.
"""

from __future__ import annotations

import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol

KEY_BYTES = 1024
"""The longest key, in bytes of UTF-8 (Amazon S3's limit)."""

_URI = re.compile(r"(s3|s3n|s3a)://([^/]*)(?:/(.*))?", re.DOTALL | re.IGNORECASE)
_NO_PATH = re.compile(r"//|/\.\.?/|[\x00-\x1f\x7f\\]")
_USER = re.compile(r"\A([^/]*//)[^/]*@")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")


class StorageError(Exception):
    """What went wrong with an object, the URI it is about, and what to do.

    `uri` names the object or prefix; `remedy` is a sentence, empty where the message says it all.
    """

    def __init__(self, message: str, *, uri: str, remedy: str = "") -> None:
        super().__init__(f"{message} {remedy}" if remedy else message)
        self.uri = uri
        self.remedy = remedy


class NoSuchKey(StorageError):
    """There is no object of this URI."""

    def __init__(self, uri: str, message: str = "", remedy: str = "") -> None:
        super().__init__(message or f"There is no object {uri}.", uri=uri, remedy=remedy)


class NoSuchBucket(NoSuchKey):
    """There is no object of this URI, and not even its bucket."""

    def __init__(self, uri: str, message: str = "", remedy: str = "") -> None:
        bucket, _ = parse_uri(uri)
        super().__init__(
            uri,
            message or f"There is no bucket {bucket}, so there is no object {uri}.",
            remedy or "A bucket is made when the first object is written to it.",
        )


class NoPermission(StorageError):
    """The storage does not let these keys do this."""


class ObjectChanged(StorageError):
    """The object is no longer the one that was opened, or it was removed meanwhile."""

    def __init__(self, uri: str) -> None:
        super().__init__(
            f"{uri} was changed or removed while it was read.",
            uri=uri,
            remedy="Let nobody write it meanwhile, and try again.",
        )


@dataclass(frozen=True)
class Entry:
    """One object: its URI, its size in bytes, when it was last written (aware, UTC), and the mark of its content.

    An object with another `etag` has been written anew; "" where a storage tells none.
    """

    uri: str
    size: int
    modified: datetime
    etag: str = ""


class Storage(Protocol):
    """Where objects lie. Every method takes URIs as `parse_uri` reads them and raises `StorageError`."""

    def exists(self, uri: str) -> bool:
        """Whether there is an object of exactly this key."""

    def list(self, prefix_uri: str) -> Iterator[Entry]:
        """The objects whose key begins with this string, in the order of their UTF-8 bytes."""

    def head(self, uri: str) -> Entry:
        """The object's size, time and mark. Raises `NoSuchKey`."""

    def open(self, uri: str, start: int = 0, end: int | None = None) -> BinaryIO:
        """A stream over the object's bytes, from `start` to before `end`. Raises `NoSuchKey`.

        All of it is of one object: if another is written meanwhile, the stream goes on with the first or raises
        `ObjectChanged`.
        """

    def create(self, uri: str) -> AbstractContextManager[BinaryIO]:
        """A stream to write the object to; it appears whole when the block ends, not at all if it raises."""

    def delete(self, uri: str) -> None:
        """Remove the object; nothing happens where there is none, as in S3."""

    def copy(self, source_uri: str, target_uri: str) -> None:
        """Make the target an object with the source's bytes. Raises `NoSuchKey`."""

    def download(self, uri: str, path: Path) -> None:
        """Write the object's bytes to a local file. Raises `NoSuchKey`."""

    def upload(self, path: Path, uri: str, *, move: bool = False) -> None:
        """Make an object of a local file's bytes; with `move` the file need not stay."""

    def encrypted(self) -> Storage:
        """The same place, which is asked to encrypt what is written (`s3EncryptionType`) where it takes that."""


def without_keys(uri: str) -> str:
    """The URI as it can be shown: what stands before an @ where a bucket should be may be a secret."""
    return _USER.sub(r"\1*****@", uri)


def parse_uri(uri: str) -> tuple[str, str]:
    """The bucket and the key of `s3://bucket/key`; the key is empty for a bucket alone.

    `s3n://` and `s3a://` mean the same. Nothing is decoded: `#`, `?` and `%` are characters of the key.
    """
    match = _URI.fullmatch(uri)
    if match is None:
        raise StorageError(
            f"'{without_keys(uri)}' is not the URI of an S3 object.",
            uri=without_keys(uri),
            remedy='Write s3://bucket/key (or s3n:// or s3a://); [buckets."bucket"] in the settings maps it elsewhere.',
        )
    bucket, key = match[2], match[3] or ""
    if not bucket:
        raise StorageError(f"'{uri}' names no bucket.", uri=uri, remedy="Write s3://bucket/key.")
    if "@" in bucket:
        raise StorageError(
            f"'{without_keys(uri)}' has keys in it.",
            uri=without_keys(uri),
            remedy='Write s3://bucket/key, and the keys into [storage] or [buckets."bucket"] of the settings.',
        )
    if _BUCKET.fullmatch(bucket) is None:
        raise StorageError(
            f"'{bucket}' in '{uri}' is not a bucket name.",
            uri=uri,
            remedy="Use letters, digits, '.', '-' and '_', and begin with a letter or a digit.",
        )
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        raise StorageError(f"The key of {uri!a} is not valid Unicode.", uri=uri) from None
    if size > KEY_BYTES:
        raise StorageError(f"The key of '{uri}' has {size} bytes; {KEY_BYTES} is the limit.", uri=uri)
    return bucket, key


def parse_object_uri(uri: str) -> tuple[str, str]:
    """The bucket and the key of a URI that must name an object."""
    bucket, key = parse_uri(uri)
    if not key:
        raise StorageError(f"'{uri}' names a bucket and no object.", uri=uri, remedy="Write s3://bucket/key.")
    return bucket, key


def format_uri(bucket: str, key: str) -> str:
    """The one spelling of an object's URI."""
    return f"s3://{bucket}/{key}"


def is_path(key: str) -> bool:
    """Whether the key is the same as a path: storages that make paths of keys would change any other one."""
    return not _NO_PATH.search(f"/{key}/")


def copy_between(source: Storage, source_uri: str, target: Storage, target_uri: str) -> None:
    """Make the target an object with the source's bytes: in the storage itself if it is one, else through here."""
    if source == target:
        target.copy(source_uri, target_uri)
        return
    with source.open(source_uri) as stream, target.create(target_uri) as written:
        shutil.copyfileobj(stream, written, 1 << 20)


@contextmanager
def written_whole(path: Path) -> Iterator[BinaryIO]:
    """A stream to write a local file to; if the block raises, the file that was there stays as it is."""
    partial = path.with_name(f".{uuid.uuid4().hex}")
    try:
        with partial.open("xb") as stream:
            yield stream
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


@contextmanager
def read_unchanged(path: Path) -> Iterator[BinaryIO]:
    """A stream over a local file; raises StorageError at the end of the block if the file changed meanwhile."""
    with path.open("rb") as stream:
        before = os.fstat(stream.fileno())
        yield stream
        after = os.fstat(stream.fileno())
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise StorageError(f"{path} was changed while it was read.", uri=str(path), remedy="Try again.")
