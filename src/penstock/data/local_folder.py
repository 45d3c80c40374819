"""The embedded storage: a folder with a folder per bucket, whose files carry the names of their keys.

People may look at the files and drop their own in; `local_names` says which name a key has. Several
processes may write at once: an object is written to `.writing/` and moved to its place under a lock. On a
file system that takes `A` and `a` for one name, keys that differ in nothing else are one object.
"""

from __future__ import annotations

import fcntl
import io
import os
import shutil
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from penstock.data import local_names
from penstock.data.storage import (
    Entry,
    NoSuchBucket,
    NoSuchKey,
    ObjectChanged,
    StorageError,
    format_uri,
    parse_object_uri,
    parse_uri,
    read_unchanged,
    written_whole,
)

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_ABANDONED = 24 * 3600
"""Seconds after which a file in `.writing/` that no process holds is removed."""
_BUFFER = 1 << 17


@dataclass(frozen=True)
class _Item:
    segment: str
    sort_key: bytes
    path: str
    is_folder: bool


class LocalFolder:
    """A storage in a local folder. `root` is made on the first write; symbolic links in it are refused."""

    def __init__(self, root: Path) -> None:
        self.root = Path(os.path.realpath(root))
        self._writing = self.root / ".writing"
        self._swept = False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LocalFolder) and other.root == self.root

    def __hash__(self) -> int:
        return hash(self.root)

    def exists(self, uri: str) -> bool:
        """Whether there is an object of exactly this key."""
        return self._find(uri) is not None

    def list(self, prefix_uri: str) -> Iterator[Entry]:
        """The objects whose key begins with this string, in the order of their bytes, a folder at a time."""
        bucket, prefix = parse_uri(prefix_uri)
        parent, slash, rest = prefix.rpartition("/")
        folder = f"{self.root}/{bucket}" + (f"/{local_names.key_to_path(parent)}" if slash else "")
        self._refuse_link(folder, prefix_uri)
        yield from self._walk(bucket, parent + slash, rest, folder)

    def head(self, uri: str) -> Entry:
        """The object's size, time and mark. Raises `NoSuchKey`."""
        path = self._find(uri)
        if path is None:
            raise self._missing(uri)
        return _entry(format_uri(*parse_object_uri(uri)), os.lstat(path))

    def open(self, uri: str, start: int = 0, end: int | None = None) -> BinaryIO:
        """A stream over the object's bytes. Raises `NoSuchKey`, or `NoSuchBucket` if that is missing too."""
        for _ in range(2):  # an object may move to its marked name between finding and opening
            path = self._find(uri)
            if path is not None:
                with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
                    stream = io.BufferedReader(_Unchanged(path, uri), _BUFFER)
                    stream.seek(start)
                    return stream if end is None else cast("BinaryIO", io.BufferedReader(_Range(stream, end)))
        raise self._missing(uri)

    def _missing(self, uri: str) -> NoSuchKey:
        bucket, _ = parse_uri(uri)
        return NoSuchKey(uri) if (self.root / bucket).is_dir() else NoSuchBucket(uri)

    @contextmanager
    def create(self, uri: str) -> Iterator[BinaryIO]:
        """A stream to write the object to; it appears whole when the block ends, not at all if it raises."""
        parse_object_uri(uri)
        self._writing.mkdir(parents=True, exist_ok=True)
        path = self._writing / uuid.uuid4().hex
        stream = path.open("xb")
        try:
            fcntl.flock(stream, fcntl.LOCK_EX)
            self._sweep(os.fstat(stream.fileno()).st_mtime)
            yield stream
            stream.close()
            self._put_in_place(path, uri)
        except BaseException:
            with suppress(OSError):  # a full disk does not take what is left in the buffer
                stream.close()
            path.unlink(missing_ok=True)
            raise

    def delete(self, uri: str) -> None:
        """Remove the object, and the folders that it leaves empty; nothing happens where there is none."""
        if self._find(uri) is None:
            return
        bucket, key = parse_object_uri(uri)
        path = f"{self.root}/{bucket}/{local_names.key_to_path(key)}"
        with self._locked():
            for name in (path, path + local_names.OBJECT_MARK):
                with suppress(FileNotFoundError, NotADirectoryError):
                    if not stat.S_ISDIR(os.lstat(name).st_mode):
                        Path(name).unlink()
            folder = Path(path).parent
            while folder != self.root / bucket:
                try:
                    folder.rmdir()
                except OSError:
                    break
                folder = folder.parent

    def copy(self, source_uri: str, target_uri: str) -> None:
        """Make the target an object with the source's bytes. Raises `NoSuchKey`."""
        with self.open(source_uri) as source, self.create(target_uri) as target:
            shutil.copyfileobj(source, target, 1 << 20)

    def download(self, uri: str, path: Path) -> None:
        """Write the object's bytes to a local file; a file that was there stays as it is if that fails."""
        with self.open(uri) as source, written_whole(path) as target:
            shutil.copyfileobj(source, target, 1 << 20)

    def upload(self, path: Path, uri: str, *, move: bool = False) -> None:
        """Make an object of a local file's bytes; with `move` the file itself, where it is on the same disk."""
        written = self._taken_in(path) if move else None
        if written is not None:
            try:
                self._put_in_place(written, uri)
            except BaseException:
                written.unlink(missing_ok=True)
                raise
            return
        with self.create(uri) as target, read_unchanged(path) as source:
            shutil.copyfileobj(source, target, 1 << 20)

    def _taken_in(self, path: Path) -> Path | None:
        """A file moved to `.writing/`; None if it is on another disk."""
        self._writing.mkdir(parents=True, exist_ok=True)
        try:
            return path.rename(self._writing / uuid.uuid4().hex)
        except OSError:
            return None

    def encrypted(self) -> LocalFolder:
        """The folder itself: whoever wants it encrypted puts it on a disk that is."""
        return self

    def _find(self, uri: str) -> str | None:
        """The file that holds the object: by its natural name, else by its marked one."""
        bucket, key = parse_object_uri(uri)
        path = f"{self.root}/{bucket}/{local_names.key_to_path(key)}"
        self._refuse_link(path, uri)
        for name in (path, path + local_names.OBJECT_MARK):
            with suppress(FileNotFoundError, NotADirectoryError):
                if stat.S_ISREG(os.lstat(name).st_mode):
                    return name
        return None

    def _put_in_place(self, written: Path, uri: str) -> None:
        bucket, key = parse_object_uri(uri)
        path = f"{self.root}/{bucket}/{local_names.key_to_path(key)}"
        with self._locked():
            self._refuse_link(path, uri)
            self._make_folders(bucket, path.rpartition("/")[0])
            marked = path + local_names.OBJECT_MARK
            is_file = Path(path).is_file()
            written.replace(marked if not is_file and (Path(path).is_dir() or Path(marked).exists()) else path)

    def _make_folders(self, bucket: str, folder: str) -> None:
        """Make a folder and those above it; an object that has the name of one of them gets its mark."""
        if os.path.isdir(folder):  # noqa: PTH112
            return
        path = f"{self.root}/{bucket}"
        for name in ["", *folder[len(path) + 1 :].split("/")]:
            path = f"{path}/{name}" if name else path
            try:
                Path(path).mkdir()
            except FileExistsError:
                if Path(path).is_file():
                    Path(path).replace(path + local_names.OBJECT_MARK)
                    Path(path).mkdir()

    def _refuse_link(self, path: str, uri: str) -> None:
        if os.path.realpath(path) != path:
            raise StorageError(
                f"{uri} lies behind a symbolic link in {self.root}, which is not followed.",
                uri=uri,
                remedy="Put the file itself or a hard link there.",
            )

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the folder's names: one process at a time moves, makes and removes them."""
        self._writing.mkdir(parents=True, exist_ok=True)
        with (self._writing / "lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _sweep(self, now: float) -> None:
        """Once for each storage object, remove what writers that died have left in `.writing/`."""
        if self._swept:
            return
        self._swept = True
        for entry in os.scandir(self._writing):
            with suppress(OSError):
                if entry.name != "lock" and entry.stat().st_mtime < now - _ABANDONED:
                    with Path(entry.path).open("rb") as stream:
                        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        Path(entry.path).unlink()

    def _walk(self, bucket: str, parent: str, rest: str, folder: str) -> Iterator[Entry]:
        """The objects under a folder whose key is `parent`, `rest` and anything more."""
        open_folders = [(parent, self._in_order(bucket, folder, rest))]  # a key may have a thousand of them
        while open_folders:
            parent, items = open_folders[-1]
            item = next(items, None)
            if item is None:
                open_folders.pop()
            elif item.is_folder:
                open_folders.append((f"{parent}{item.segment}/", self._in_order(bucket, item.path, "")))
            else:
                with suppress(FileNotFoundError):
                    yield _entry(format_uri(bucket, parent + item.segment), os.lstat(item.path))

    def _in_order(self, bucket: str, folder: str, rest: str) -> Iterator[_Item]:
        """What a folder holds in the order of keys; of `a` and a stale `a%` only the first."""
        previous = None
        items = [item for item in self._items(bucket, folder, "") if item.segment.startswith(rest)]
        for item in sorted(items, key=lambda item: (item.sort_key, item.path)):
            if item.sort_key != previous:
                previous = item.sort_key
                yield item

    def _items(self, bucket: str, folder: str, piece: str) -> Iterator[_Item]:
        """A folder's own objects and folders, with those of its over-long names among them."""
        try:
            entries = list(os.scandir(folder))
        except (FileNotFoundError, NotADirectoryError):
            return
        for entry in entries:
            name, path, is_folder = entry.name, entry.path, entry.is_dir(follow_symlinks=False)
            if entry.is_symlink():
                self._refuse_link(path, f"s3://{bucket} (file {path})")
            if not is_folder and not entry.is_file(follow_symlinks=False):
                continue
            if piece:
                if not name.startswith(local_names.NEXT_PIECE):
                    raise _no_key(bucket, path)
                name = piece + name.removeprefix(local_names.NEXT_PIECE)
            if is_folder and name.endswith(local_names.PIECE_MARK):
                yield from self._items(bucket, path, name.removesuffix(local_names.PIECE_MARK))
                continue
            segment = local_names.name_to_segment(name if is_folder else name.removesuffix(local_names.OBJECT_MARK))
            if segment is None or (not piece and len(os.fsencode(name)) > local_names.NAME_BYTES + 1):
                raise _no_key(bucket, path)
            try:
                sort_key = segment.encode()
            except UnicodeEncodeError:
                raise _no_key(bucket, path) from None
            yield _Item(segment, sort_key + b"/" if is_folder else sort_key, path, is_folder)


def _entry(uri: str, found: os.stat_result) -> Entry:
    mark = f"{found.st_ino:x}-{found.st_mtime_ns:x}-{found.st_size:x}"
    return Entry(uri, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC), mark)


class _Unchanged(io.FileIO):
    """A file whose end is only reached if it is as it was when it was opened: people write into their own files."""

    def __init__(self, path: str, uri: str) -> None:
        super().__init__(path)
        self._uri = uri
        self._before = self._state()

    def readinto(self, buffer: WriteableBuffer, /) -> int | None:
        size = super().readinto(buffer)
        if not size and self._state() != self._before and len(memoryview(buffer)):
            raise ObjectChanged(self._uri)
        return size

    def readall(self) -> bytes:
        data = super().readall()
        if self._state() != self._before:
            raise ObjectChanged(self._uri)
        return data

    def _state(self) -> tuple[int, int]:
        found = os.fstat(self.fileno())
        return found.st_size, found.st_mtime_ns


class _Range(io.RawIOBase):
    """What a file has before `end`."""

    def __init__(self, stream: BinaryIO, end: int) -> None:
        self._stream = stream
        self._left = max(0, end - stream.tell())

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        data = self._stream.read(min(self._left, len(memoryview(buffer))))
        memoryview(buffer)[: len(data)] = data
        self._left -= len(data)
        return len(data)

    def close(self) -> None:
        self._stream.close()
        super().close()


def _no_key(bucket: str, path: str) -> StorageError:
    return StorageError(
        f"The file {path!a} in the bucket {bucket} has a name that no key has.",
        uri=f"s3://{bucket}/",
        remedy="Rename it, without control characters, bytes that are not UTF-8 and escapes such as %25.",
    )
