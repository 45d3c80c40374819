"""The folders that attempts work in."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class WorkFolder:
    """The folder of one attempt; `is_in_use` says that something of it may go on there when it has ended."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.is_in_use = False


class WorkFolders:
    """Gives each attempt a folder of its own under `parent`.

    One that is left empty serves the next attempt: making and removing folders waits for the disk, and takes longer
    than starting a short command.
    """

    def __init__(self, parent: Path) -> None:
        self._parent = parent
        self._lock = threading.Lock()
        self._empty: list[Path] = []

    @contextmanager
    def folder(self) -> Iterator[WorkFolder]:
        """An empty folder, which is nobody else's inside the block."""
        with self._lock:
            kept = self._empty.pop() if self._empty else None
        folder = WorkFolder(kept or self._made())
        try:
            yield folder
        finally:
            if folder.is_in_use or not _is_empty(folder.path):
                shutil.rmtree(folder.path, ignore_errors=True)
            else:
                with self._lock:
                    self._empty.append(folder.path)

    def _made(self) -> Path:
        self._parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix="task-", dir=self._parent))

    def close(self) -> None:
        """Remove the folders that are kept."""
        with self._lock:
            for path in self._empty:
                with suppress(OSError):
                    path.rmdir()
            self._empty.clear()


def _is_empty(path: Path) -> bool:
    """Whether a folder is as it was made; an attempt may have removed it, or changed who may use it."""
    try:
        with os.scandir(path) as entries:
            return path.stat().st_mode & 0o777 == 0o700 and next(entries, None) is None
    except OSError:
        return False
