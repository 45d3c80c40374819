"""Objects on an S3 endpoint. Keys and prefixes are strings, as S3 has them.

SeaweedFS makes paths of keys (`a//b` becomes `a/b`, `dir/` a folder) and lists them in the order of folders: there a
key that is no path is refused, and a listing is put in order here.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

from penstock.data.object_streams import AHEAD, MIB, PARTS, RANGE, PartsWriter, RangeReader, buffered
from penstock.data.s3_client import S3Client, client_of
from penstock.data.s3_transfer import S3Read, S3Upload
from penstock.data.storage import (
    Entry,
    NoSuchBucket,
    NoSuchKey,
    StorageError,
    format_uri,
    is_path,
    parse_object_uri,
    parse_uri,
    read_unchanged,
    written_whole,
)
from penstock.storage_settings import S3Setting

COPY_LIMIT = 5 * 1024 * MIB
"""The most bytes that one request copies (Amazon S3's limit)."""
COPY_PART = 256 * MIB
_TOO_LARGE = ("InvalidRequest", "EntityTooLarge", "InvalidArgument")  # what servers say of a copy beyond that
_PAGE = 1000  # objects of one answer, S3's most
_COPIES = 8  # parts that are copied at a time
_Item = tuple[str, int, datetime, str]  # key, size, time, mark
_Page = list[_Item]
_KEPT = ("ContentType", "ContentEncoding", "ContentLanguage", "ContentDisposition", "CacheControl", "Metadata")


@dataclass(frozen=True)
class S3Storage:
    """An endpoint. `names` are the buckets that have another name there than in URIs."""

    setting: S3Setting
    names: Mapping[str, str] = field(default_factory=dict, compare=False)
    is_encrypted: bool = field(default=False, compare=False)

    def encrypted(self) -> S3Storage:
        """The same place, asked to encrypt: AWS with AES256, others only if the settings say how."""
        return replace(self, is_encrypted=True)

    @property
    def _s3(self) -> S3Client:
        return client_of(self.setting)

    def exists(self, uri: str) -> bool:
        """Whether there is an object of exactly this key."""
        try:
            self.head(uri)
        except NoSuchKey:
            return False
        return True

    def head(self, uri: str) -> Entry:
        """The object's size, time and mark. Raises `NoSuchKey`."""
        answer = self._head(uri)
        modified = answer["LastModified"].astimezone(UTC)
        return Entry(format_uri(*parse_uri(uri)), answer["ContentLength"], modified, answer.get("ETag", ""))

    def list(self, prefix_uri: str) -> Iterator[Entry]:
        """The objects whose key begins with this string, in the order of their UTF-8 bytes."""
        named, prefix = parse_uri(prefix_uri)
        bucket = self.names.get(named, named)
        found = self._pages(bucket, prefix, prefix_uri)
        first: _Page = next(found)
        items: Iterator[_Item] = itertools.chain(first, itertools.chain.from_iterable(found))
        if bucket.endswith("--x-s3") or self._s3.server.startswith("SeaweedFS"):  # in no such order
            items = iter(sorted(items, key=lambda item: item[0].encode()))
        for item in items:
            yield self._entry(named, item)

    @staticmethod
    def _entry(bucket: str, item: _Item) -> Entry:
        key, size, modified, etag = item
        return Entry(format_uri(bucket, key), size, modified.astimezone(UTC), etag)

    def _pages(self, bucket: str, prefix: str, uri: str) -> Iterator[_Page]:
        token: dict[str, str] = {}
        while True:
            answer: dict[str, Any] = {}
            with self._s3.errors(uri, "ListObjectsV2", is_missing_fine=True):
                answer = self._s3.client.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=_PAGE, **token)
            yield [
                (item["Key"], item["Size"], item["LastModified"], item.get("ETag", ""))
                for item in answer.get("Contents", ())
                if item["Key"].startswith(prefix)
            ]
            if not answer.get("IsTruncated"):
                return
            token = {"ContinuationToken": answer["NextContinuationToken"]}

    def open(self, uri: str, start: int = 0, end: int | None = None) -> BinaryIO:
        """A stream over the object's bytes, from `start` to before `end`. Raises `NoSuchKey`.

        What breaks off is asked for again from there, if it is the same object still; else `ObjectChanged` is raised.
        """
        where = self._where(uri)
        last = start + RANGE if end is None else min(end, start + RANGE)
        in_one = self._s3.server.startswith("SeaweedFS")  # whose work by ranges is half as much again
        read = S3Read(self._s3, uri, where, self.setting.max_attempts)
        first = read.begin(start, last, end if in_one else last)
        whole = read.size if end is None else min(end, read.size)
        return buffered(RangeReader(first, start, whole, read.fetch, workers=1 if in_one else AHEAD, done=read.close))

    @contextmanager
    def create(self, uri: str) -> Iterator[BinaryIO]:
        """A stream to write the object to; it appears whole when the block ends, not at all if it raises."""
        with self._created(uri, None) as stream:
            yield stream

    @contextmanager
    def _created(self, uri: str, size: int | None) -> Iterator[BinaryIO]:
        where = self._where(uri)
        self._s3.make_bucket(where["Bucket"])
        upload = S3Upload(self._s3, uri, where, self._options())
        writer = PartsWriter(upload, size)
        try:
            yield cast("BinaryIO", writer)
            writer.finish()
        except BaseException:
            writer.abort()
            raise

    def delete(self, uri: str) -> None:
        """Remove the object; nothing happens where there is none."""
        with self._s3.errors(uri, "DeleteObject", is_missing_fine=True):
            self._s3.client.delete_object(**self._where(uri))

    def copy(self, source_uri: str, target_uri: str) -> None:
        """Make the target an object with the source's bytes, which do not come here. Raises `NoSuchKey`."""
        source, target = self._where(source_uri), self._where(target_uri)
        if source == target:  # S3 refuses that
            self.head(source_uri)
            return
        self._s3.make_bucket(target["Bucket"])
        try:
            found = self._copy_whole(source, target, source_uri)
        except NoSuchBucket:
            self.head(source_uri)
            raise self._s3.no_bucket(target_uri) from None  # as it is not the source's
        if found is not None:
            self._copy_parts(source_uri, target_uri, found)

    def _copy_whole(self, source: dict[str, str], target: dict[str, str], uri: str) -> dict[str, Any] | None:
        """Copy in one request; gives what the source is if it is too large for that."""
        from botocore.exceptions import ClientError  # type: ignore[import-untyped]

        with self._s3.errors(uri, "CopyObject"):
            try:
                self._s3.client.copy_object(**target, CopySource=source, **self._options())
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") not in _TOO_LARGE:
                    raise
                found: dict[str, Any] = self._s3.client.head_object(**source)
                if found["ContentLength"] <= COPY_LIMIT:
                    raise error from None
                return found
        return None

    def _copy_parts(self, source_uri: str, target_uri: str, found: dict[str, Any]) -> None:
        size, source = found["ContentLength"], self._where(source_uri)
        kept = {name: found[name] for name in _KEPT if found.get(name)}
        upload = S3Upload(self._s3, target_uri, self._where(target_uri), self._options() | kept)
        length = max(COPY_PART, -(-size // PARTS))
        upload.begin()
        try:
            with ThreadPoolExecutor(_COPIES, "copy") as pool:
                part = partial(upload.copy_part, source, source_uri, found["ETag"])
                for future in [
                    pool.submit(part, number, start, min(start + length, size))
                    for number, start in enumerate(range(0, size, length), 1)
                ]:
                    future.result()
            upload.complete()
        except BaseException:
            upload.abort()
            raise

    def download(self, uri: str, path: Path) -> None:
        """Write the object's bytes to a local file; a file that was there stays as it is if that fails."""
        with closing(self.open(uri)) as source, written_whole(path) as target:
            shutil.copyfileobj(source, target, MIB)

    def upload(self, path: Path, uri: str, *, move: bool = False) -> None:
        """Make an object of a local file's bytes; it stays in any case."""
        with self._created(uri, path.stat().st_size) as target, read_unchanged(path) as source:
            shutil.copyfileobj(source, target, 4 * MIB)

    def _head(self, uri: str) -> dict[str, Any]:
        where = self._where(uri)
        with self._s3.errors(uri, "HeadObject"):
            answer: dict[str, Any] = self._s3.client.head_object(**where)
        if where["Key"].endswith("/") and self._s3.is_seaweedfs(where["Bucket"]):  # it says the same of any folder
            with self._s3.errors(uri, "ListObjectsV2"):
                found = self._s3.client.list_objects_v2(Bucket=where["Bucket"], Prefix=where["Key"], MaxKeys=1)
            if [item["Key"] for item in found.get("Contents", ())] != [where["Key"]]:
                raise NoSuchKey(uri)
        return answer

    def _where(self, uri: str) -> dict[str, str]:
        named, key = parse_object_uri(uri)
        bucket = self.names.get(named, named)
        if not is_path(key.removesuffix("/")) and self._s3.is_seaweedfs(bucket):
            raise StorageError(
                f"SeaweedFS at {self._s3.endpoint} would store {uri!r} under another key: it makes a path of it.",
                uri=uri,
                remedy="Use keys without empty segments, '.', '..', backslashes and control characters there.",
            )
        return {"Bucket": bucket, "Key": key}

    def _options(self) -> dict[str, str]:
        way = self.setting.server_side_encryption or ("AES256" if self._s3.is_aws else "none")
        return {"ServerSideEncryption": way} if self.is_encrypted and way != "none" else {}
