"""The locks by which the processes of a data directory share a server that they start: files in its folder (flock).

`start` is held by who starts or ends it, `used` (shared) by each of its users while it lives, and `kept` by the keeper,
the process that runs the server and ends it when nobody holds `used`.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def starting(folder: Path) -> Iterator[None]:
    """Be the only one who starts, adopts or ends the server; waits for the others."""
    descriptor = os.open(folder / "start", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def is_kept(folder: Path) -> bool:
    """Whether the server's keeper lives."""
    descriptor = os.open(folder / "kept", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        return not is_free(descriptor)
    finally:
        os.close(descriptor)


def is_free(descriptor: int) -> bool:
    """Whether nobody else holds the file, which is held alone then until it is closed."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
