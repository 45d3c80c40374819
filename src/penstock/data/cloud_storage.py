"""Objects on Google Cloud Storage and Azure, for buckets that the settings map there, by obstore.

obstore makes paths of keys, so a key that is no path (`a//b`, `dir/`, `..`) is refused. It retries by itself and goes
on where a connection broke, and lists by folder: string prefixes are looked for in their folder here.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, cast

from penstock.data.object_streams import MIB, PART, RANGE, RangeReader, buffered
from penstock.data.storage import (
    Entry,
    NoPermission,
    NoSuchKey,
    ObjectChanged,
    StorageError,
    format_uri,
    is_path,
    parse_object_uri,
    parse_uri,
    read_unchanged,
    written_whole,
)
from penstock.storage_settings import BucketSetting

_NAMES = {"gs": "Google Cloud Storage", "az": "Azure"}
_AT_ONCE = 4


@dataclass(frozen=True)
class CloudStorage:
    """One bucket, which all URIs mean whatever bucket they name."""

    setting: BucketSetting

    def encrypted(self) -> CloudStorage:
        """The same: both services encrypt everything."""
        return self

    def exists(self, uri: str) -> bool:
        """Whether there is an object of exactly this key."""
        try:
            self.head(uri)
        except NoSuchKey:
            return False
        return True

    def head(self, uri: str) -> Entry:
        """The object's size, time and mark. Raises `NoSuchKey`."""
        import obstore

        key = self._key(uri)
        with self.errors(uri):
            meta = obstore.head(self._store, key)
        return _entry(format_uri(*parse_uri(uri)), meta)

    def list(self, prefix_uri: str) -> Iterator[Entry]:
        """The objects whose key begins with this string, in the order of their UTF-8 bytes."""
        bucket, prefix = parse_uri(prefix_uri)
        folder = prefix.rpartition("/")[0]
        if folder and not is_path(folder):
            return
        for meta in self._listed(folder, prefix_uri):
            key = str(meta["path"])
            if not meta["size"] and self._is_folder(key, prefix_uri):
                key += "/"
            if key.startswith(prefix):
                yield _entry(format_uri(bucket, key), meta)

    def _listed(self, folder: str, uri: str) -> Iterator[Any]:
        import obstore

        with self.errors(uri, is_missing_fine=True):
            for page in obstore.list(self._store, folder or None, chunk_size=1000):
                yield from page

    def _is_folder(self, key: str, uri: str) -> bool:
        """Whether an empty object's key really ends in a slash, which obstore does not tell."""
        import obstore

        try:
            with self.errors(uri):
                obstore.head(self._store, key)
        except NoSuchKey:
            return True
        return False

    def open(self, uri: str, start: int = 0, end: int | None = None) -> BinaryIO:
        """A stream over the object's bytes, from `start` to before `end`. Raises `NoSuchKey` and `ObjectChanged`."""
        found = self.head(uri)
        last = found.size if end is None else min(end, found.size)
        key = self._key(uri)

        def fetch(begin: int, until: int) -> bytearray:
            import obstore

            with self.errors(uri):
                options: Any = {"range": (begin, until), "if_match": found.etag or None}
                return bytearray(obstore.get(self._store, key, options=options).bytes())

        first = fetch(start, min(last, start + RANGE)) if start < last else bytearray()
        return buffered(RangeReader(first, start, max(start, last), fetch))

    @contextmanager
    def create(self, uri: str) -> Iterator[BinaryIO]:
        """A stream to write the object to; it appears whole when the block ends, not at all if it raises.

        Parts of one that was given up stay invisible: Azure removes them after a week, on Google Cloud Storage a
        lifecycle rule for incomplete uploads does.
        """
        import obstore

        key = self._key(uri)
        with self.errors(uri):
            stream = obstore.open_writer(self._store, key, buffer_size=PART, max_concurrency=_AT_ONCE)
        yield cast("BinaryIO", _Writer(self, uri, stream))
        with self.errors(uri):
            stream.close()  # and not where the block raised: that would make the object

    def delete(self, uri: str) -> None:
        """Remove the object; nothing happens where there is none."""
        import obstore

        key = self._key(uri)
        with self.errors(uri, is_missing_fine=True):
            obstore.delete(self._store, key)

    def copy(self, source_uri: str, target_uri: str) -> None:
        """Make the target an object with the source's bytes, which do not come here. Raises `NoSuchKey`."""
        import obstore

        source, target = self._key(source_uri), self._key(target_uri)
        if source == target:
            self.head(source_uri)
            return
        with self.errors(source_uri):
            obstore.copy(self._store, source, target)

    def download(self, uri: str, path: Path) -> None:
        """Write the object's bytes to a local file; a file that was there stays as it is if that fails."""
        with closing(self.open(uri)) as source, written_whole(path) as target:
            shutil.copyfileobj(source, target, MIB)

    def upload(self, path: Path, uri: str, *, move: bool = False) -> None:
        """Make an object of a local file's bytes; it stays in any case."""
        with self.create(uri) as target, read_unchanged(path) as source:
            shutil.copyfileobj(source, target, MIB)

    @property
    def _store(self) -> Any:
        return _store_of(self.setting)

    def _key(self, uri: str) -> str:
        _, key = parse_object_uri(uri)
        if not is_path(key):
            raise StorageError(
                f"{uri!r} cannot be said to {_NAMES[self.setting.kind]}: its key is no path.",
                uri=uri,
                remedy="Use keys without empty segments, '.', '..', backslashes and control characters there.",
            )
        return key

    @contextmanager
    def errors(self, uri: str, *, is_missing_fine: bool = False) -> Iterator[None]:
        """Raise obstore's errors as `StorageError`, without what requests and settings hold."""
        from obstore.exceptions import (
            BaseError,
            NotFoundError,
            PermissionDeniedError,
            PreconditionError,
            UnauthenticatedError,
        )

        try:
            yield
        except (NotFoundError, FileNotFoundError):
            if not is_missing_fine:
                raise NoSuchKey(uri) from None
        except PreconditionError:
            raise ObjectChanged(uri) from None
        except (PermissionDeniedError, UnauthenticatedError):
            raise self._refused(uri) from None
        except (BaseError, OSError) as error:  # OSError: whatever a writer has
            raise self._other(error, uri) from None

    def _other(self, error: Exception, uri: str) -> StorageError:
        text = str(error)
        for code, kind in (("404 Not Found", NoSuchKey), ("403 Forbidden", None), ("401 Unauthorized", None)):
            if code in text:
                return kind(uri) if kind is not None else self._refused(uri)
        text = text.split("\n")[0]
        return StorageError(f"{uri} failed at {self._name}: {text[:300].rstrip('.')}.", uri=uri)

    def _refused(self, uri: str) -> NoPermission:
        return NoPermission(
            f"{self._name} does not allow what {uri} needs.", uri=uri, remedy="Check the keys of the bucket's settings."
        )

    @property
    def _name(self) -> str:
        return f"{_NAMES[self.setting.kind]} ({self.setting.name})"


class _Writer:
    """A stream to write to, whose errors are the storage's."""

    def __init__(self, storage: CloudStorage, uri: str, stream: Any) -> None:
        self._storage, self._uri, self._stream = storage, uri, stream

    def write(self, data: Any) -> int:
        with self._storage.errors(self._uri):
            self._stream.write(data)
        return len(memoryview(data).cast("B"))

    def flush(self) -> None:
        """Nothing is there before the end."""

    def close(self) -> None:
        """The storage closes it."""


def _entry(uri: str, meta: Any) -> Entry:
    modified: datetime = meta["last_modified"]
    return Entry(uri, meta["size"], modified.astimezone(UTC), meta.get("e_tag") or "")


@cache
def _store_of(setting: BucketSetting) -> Any:
    """The one client of this process for a bucket. Without keys in the settings it is the environment that has them."""
    from obstore.exceptions import BaseError
    from obstore.store import AzureStore, GCSStore

    any_options: Any = {
        "connect_timeout": timedelta(seconds=setting.connect_timeout),
        "read_timeout": timedelta(seconds=setting.read_timeout),
        "allow_http": (setting.endpoint or "").startswith("http://"),
    }
    retries: Any = {"max_retries": setting.max_attempts - 1}
    try:
        if setting.kind == "gs":
            config = {"service_account": setting.service_account_file, "base_url": setting.endpoint}
            made: Any = GCSStore(setting.name, client_options=any_options, retry_config=retries, **_given(config))
        else:
            config = {
                "account_name": setting.account,
                "account_key": setting.account_key,
                "sas_key": setting.sas_token,
                "endpoint": setting.endpoint,
            }
            made = AzureStore(setting.name, client_options=any_options, retry_config=retries, **_given(config))
    except (BaseError, ValueError, OSError) as error:
        raise StorageError(
            f"The settings of the bucket {setting.kind}://{setting.name} cannot be used ({type(error).__name__}).",
            uri=f"{setting.kind}://{setting.name}",
            remedy="Check service_account_file, account_key or sas_token, and the environment.",
        ) from None
    return made


def _given(config: dict[str, str | None]) -> dict[str, Any]:
    return {name: value for name, value in config.items() if value is not None}
