"""Fixtures for all tests: a real PostgreSQL and fresh databases in it."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

sys.path.insert(0, str(Path(__file__).parent / "conformance"))
sys.path.insert(1, str(Path(__file__).parent / "definition"))

from postgresql import NoPostgresql, find_binaries, running_postgresql

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of a PostgreSQL server's database `postgres`; each pytest-xdist worker has a server of its own.

    Skips where the machine has no PostgreSQL, unless the environment says CI=true.
    """
    try:
        find_binaries()
    except NoPostgresql as reason:
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(f"PostgreSQL is needed here: {reason}.")
        pytest.skip(f"PostgreSQL is not installed: {reason}.")
    with running_postgresql() as url:
        yield url


@pytest.fixture
def new_postgresql_url(postgresql: str) -> Iterator[Callable[[], str]]:
    """Makes another fresh database at each call and gives its URL; all are dropped after the test."""
    with ExitStack() as stack:

        def make() -> str:
            name = f"test_{next(_numbers)}"
            with psycopg.connect(postgresql, autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {name}")
            stack.callback(_drop, postgresql, name)
            return f"{postgresql.rpartition('/')[0]}/{name}"

        yield make


@pytest.fixture
def postgresql_url(new_postgresql_url: Callable[[], str]) -> str:
    """The URL of a fresh PostgreSQL database."""
    return new_postgresql_url()


def _drop(server: str, name: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
