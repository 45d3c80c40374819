"""A data directory for the embedded warehouse of the tests: short, and one that PostgreSQL's user can reach."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from penstock.data.databases import DatabaseError
from penstock.data.databases.warehouse import find_binaries


@contextmanager
def warehouse_folder() -> Iterator[Path]:
    """A data directory; skips where the wheel is not installed. The server ends with its last user."""
    try:
        find_binaries()
    except DatabaseError as reason:
        pytest.skip(str(reason))
    folder = Path(tempfile.mkdtemp(prefix="wh-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
