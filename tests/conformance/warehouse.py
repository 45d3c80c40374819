"""A data directory for the embedded warehouse of the tests: short, and one that PostgreSQL's user can reach."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from postgresql import passable

from penstock.data.databases import DatabaseError
from penstock.data.databases.warehouse import find_binaries


@contextmanager
def warehouse_folder() -> Iterator[Path]:
    """A data directory; skips where the wheel is not installed. The server ends with its last user."""
    try:
        package = find_binaries().parents[1]
    except DatabaseError as reason:
        pytest.skip(str(reason))
    folder_of_packages = str(passable(package).parent)
    if folder_of_packages not in sys.path and passable(package) != package:
        sys.path.insert(0, folder_of_packages)
        os.environ["PYTHONPATH"] = folder_of_packages  # for the processes that tests start
    folder = Path(tempfile.mkdtemp(prefix="wh-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
