"""Deleting logs of attempts: those of deleted instances, and those that are older than the settings say."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path


def delete_logs(folder: Path) -> None:
    """Delete the folder with the logs of an attempt, if it is there."""
    shutil.rmtree(folder, ignore_errors=True)


def delete_old_logs(data_dir: Path, before: int, running: set[Path]) -> Iterator[None]:
    """Delete log folders of attempts in which nothing was written since `before` (milliseconds), then empty ones.

    Stops after each folder, so that the caller can rest. `running` are the folders of attempts that are not over.
    """
    used = {parent for folder in running for parent in (folder, *folder.parents)}
    top = data_dir / "logs"
    for pipeline in _folders(top):
        for attempt in _folders(pipeline):
            if attempt not in used and _written(attempt) < before:
                delete_logs(attempt)
            yield
        _remove_empty(pipeline, used)


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.is_symlink())
    except OSError:  # it is not there, or has gone meanwhile
        return []


def _written(folder: Path) -> int:
    """When something in the folder was written last, in milliseconds."""
    latest = 0.0
    with contextlib.suppress(OSError):
        latest = folder.stat().st_mtime
        for entry in folder.iterdir():
            latest = max(latest, entry.stat().st_mtime)
    return int(latest * 1000)


def _remove_empty(folder: Path, used: set[Path]) -> None:
    if folder not in used:
        with contextlib.suppress(OSError):  # it is not empty
            folder.rmdir()
