"""The logs that a service has of attempts: plain files where a task runner on its machine keeps them, and storage.

A task runner writes its own files there itself if it works in the service's data directory. What others send is
written to files of the same names, at most `keep_bytes` of each: its beginning, and a line that says so. Several tasks
may write the log of one attempt, one after the other, as when it is handed out again; each follows what was there.
"""

from __future__ import annotations

import fcntl
import gzip
import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from penstock.data.file_names import log_folder, task_mark
from penstock.data.storage import NoSuchKey, Storage, StorageError

NAMES = ("Activity.log", "StdOutput", "StdError")
CHUNK = 1 << 20
"""The most bytes of one part of a log that are sent or read (the service model's limit)."""
_LAST_TASK = ".last-task"  # which task wrote last, and where in each file its own part begins


@dataclass(frozen=True)
class Part:
    """A part of a log: the whole log's size if that is known, and whether the part goes to its end."""

    content: bytes
    size: int | None
    next_offset: int
    is_end: bool


@dataclass(frozen=True)
class LogFiles:
    """The logs of all attempts of a service."""

    data_dir: Path
    storage: Storage
    keep_bytes: int

    def folder(self, pipeline_id: str, attempt: str) -> Path:
        """Where the files of an attempt are, or would be."""
        return log_folder(self.data_dir, pipeline_id, attempt)

    def write(self, folder: Path, task_id: str, name: str, offset: int, content: bytes) -> tuple[int, bool]:
        """Write what a task has added to a log after `offset` bytes of its own; the same again changes nothing.

        Gives how many bytes of the task are there, from where it should go on, and whether any more is wanted. Nothing
        is written behind a gap. Raises OSError.
        """
        if self.has_own(folder, task_id):
            return offset + len(content), False
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / _LAST_TASK).open("a+", encoding="utf-8") as note:
            fcntl.flock(note, fcntl.LOCK_EX)
            size = _size(folder / name)
            begin = _beginning(note, folder, task_id, name)
            new = content[max(0, size - begin - offset) :] if begin + offset <= size else b""
            kept = new[: max(0, self.keep_bytes - size)]
            if new:
                is_cut = len(kept) < len(new) and size <= self.keep_bytes
                with (folder / name).open("ab") as stream:
                    stream.write(kept + self._left_out() if is_cut else kept)
            return size + len(kept) - begin, len(kept) == len(new) and size <= self.keep_bytes

    def has_own(self, folder: Path, task_id: str) -> bool:
        """Whether the folder is the very one that the task's runner writes to."""
        return (folder / task_mark(task_id)).exists()

    def _left_out(self) -> bytes:
        text = (
            f"\n[All that follows the first {self.keep_bytes:,} bytes is left out here, by the server's setting"
            " [logs] keep_bytes. The whole log is under pipelineLogUri, if the pipeline has one.]\n"
        )
        return text.encode()

    def names(self, folder: Path) -> dict[str, int] | None:
        """The sizes of the files of an attempt; None if there is no folder of it."""
        if not folder.is_dir():
            return None
        return {name: _size(folder / name) for name in NAMES if (folder / name).is_file()}

    def read(self, folder: Path, name: str, offset: int, limit: int) -> Part | None:
        """A part of a file; None if there is no folder of the attempt. Raises OSError."""
        try:
            with (folder / name).open("rb") as stream:
                size = stream.seek(0, 2)
                stream.seek(min(offset, size))
                content = stream.read(min(limit, size - stream.tell()))
        except FileNotFoundError:
            return Part(b"", 0, 0, True) if folder.is_dir() else None
        return Part(content, size, min(offset, size) + len(content), offset + len(content) >= size)

    def stored_names(self, uri: str) -> list[str]:
        """The logs that lie, compressed, under an attempt's log URI. Raises StorageError."""
        there = {entry.uri.rpartition("/")[2] for entry in self.storage.list(f"{uri}/")}
        return [name for name in NAMES if f"{name}.gz" in there]

    def read_stored(self, uri: str, name: str, offset: int, limit: int) -> Part | None:
        """A part of a log that lies under an attempt's log URI, within `keep_bytes`; None if there is none.

        Raises StorageError.
        """
        try:
            with self.storage.open(f"{uri}/{name}.gz") as packed, gzip.GzipFile(fileobj=packed) as stream:
                start = stream.seek(min(offset, self.keep_bytes))
                content = stream.read(min(limit, self.keep_bytes - start))
                is_end = not stream.read(1)
        except NoSuchKey:
            return None
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise StorageError(f"{uri}/{name}.gz is not compressed by gzip: {error}.", uri=uri) from None
        if not is_end and start == self.keep_bytes:
            content = self._left_out() if offset == start else b""
            return Part(content, None, max(offset, start) + len(content), True)
        return Part(content, None, start + len(content), is_end)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _beginning(note: IO[str], folder: Path, task_id: str, name: str) -> int:
    """Where in a file the part of a task begins; a task that writes for the first time begins at the end of each."""
    mark = task_mark(task_id)
    note.seek(0)
    try:
        known: dict[str, Any] = json.loads(note.read() or "{}")
    except ValueError:  # whoever wrote it was killed in the middle
        known = {}
    if known.get("task") != mark:
        known = {"task": mark, "beginnings": {name: _size(folder / name) for name in NAMES}}
    elif known["beginnings"][name] > _size(folder / name):  # somebody has removed the file
        known["beginnings"][name] = 0
    else:
        return int(known["beginnings"][name])
    note.seek(0)
    note.truncate()
    note.write(json.dumps(known))
    note.flush()
    return int(known["beginnings"][name])
