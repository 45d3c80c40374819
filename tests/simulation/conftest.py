"""Fixtures of the simulation: stores that need not be safe, on SQLite and on PostgreSQL."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from penstock.store.database import Store, open_store

sys.path.insert(0, str(Path(__file__).parents[1] / "stories"))


def fast_store(folder: Path) -> Store:
    """SQLite that does not wait for the disk."""
    store = open_store(None, folder)
    with store.transaction() as tx:
        connection = tx.connection  # type: ignore[attr-defined]
    connection.execute("PRAGMA synchronous = OFF")
    return store


@pytest.fixture(scope="session")
def sqlite_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = fast_store(tmp_path_factory.mktemp("simulation"))
    yield store
    store.close()


@pytest.fixture(scope="session")
def postgresql_store(postgresql: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute("CREATE DATABASE simulation")
    store = open_store(f"{postgresql.rpartition('/')[0]}/simulation", tmp_path_factory.mktemp("none"))
    yield store
    store.close()
