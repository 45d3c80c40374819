"""Files that a process holds while it lives, so that others see whether it still does (flock)."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

IN_USE = "in-use"
"""A file of the data directory that every server and run there holds together, and what must be alone holds alone."""


class HeldFile:
    """A file that this process holds; the name tells whose it is."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor: int | None = descriptor

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.name

    def let_go(self) -> None:
        """Let others hold it; a second time does nothing."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def remove(self) -> None:
        """Remove the file, and let it go."""
        self.path.unlink(missing_ok=True)
        self.let_go()


def hold(path: Path, *, shared: bool = False) -> HeldFile | None:
    """Make the file if it is missing, and hold it; None while another process does. Raises OSError.

    Any number of processes can hold it `shared` at the same time.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            if _is_there(path, descriptor):
                return HeldFile(path, descriptor)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)  # whoever held it has removed it meanwhile


def _is_there(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def hold_abandoned(folder: Path) -> list[HeldFile]:
    """Hold all files of a folder that no process holds, by name; the folder is made if it is missing."""
    folder.mkdir(exist_ok=True)
    held = (hold(path) for path in sorted(folder.iterdir()))
    return [file for file in held if file is not None]
