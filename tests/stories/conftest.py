"""Fixtures of stories: a store that all stories of a session share, and a fresh story in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from story import Story

from penstock.store.database import Store, open_store


@pytest.fixture(scope="session")
def sqlite_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = open_store(None, tmp_path_factory.mktemp("stories"))
    yield store
    store.close()


@pytest.fixture(scope="session")
def postgresql_store(postgresql: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute("CREATE DATABASE stories")
    store = open_store(f"{postgresql.rpartition('/')[0]}/stories", tmp_path_factory.mktemp("none"))
    yield store
    store.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest) -> Store:
    made: Store = request.getfixturevalue(f"{request.param}_store")
    return made


@pytest.fixture
def story(store: Store, tmp_path: Path) -> Story:
    """A story that begins on 2024-01-01T00:00:00."""
    return Story(store, tmp_path)


@pytest.fixture
def new_story(store: Store, tmp_path: Path) -> Callable[..., Story]:
    """Begins a story at another time or with other settings."""

    def make(start: str = "2024-01-01T00:00:00", **settings: Any) -> Story:
        return Story(store, tmp_path, start, **settings)

    return make
