"""Fixtures for all tests: a real PostgreSQL and fresh databases in it."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent / "conformance"))
sys.path.insert(1, str(Path(__file__).parent / "definition"))

from mariadb import NoMariadb, find_programs, running_mariadb
from object_servers import running_seaweedfs
from postgresql import NoPostgresql, find_binaries, running_postgresql
from warehouse import warehouse_folder

from penstock.data.databases import connect, parse_connection_string
from penstock.storage_settings import S3Setting

_numbers = itertools.count(1)

# How many examples a test of a law looks at that does not say it itself: `make test-long` looks at more.
settings.register_profile("quick", max_examples=25)
settings.register_profile("long", max_examples=200)
settings.load_profile("quick")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave what takes long to whoever asks for it with `-m`, or names a folder or a file."""
    if config.getoption("markexpr") or config.args != config.getini("testpaths"):
        return
    long = [item for item in items if item.get_closest_marker("by_hand")]
    items[:] = [item for item in items if not item.get_closest_marker("by_hand")]
    config.hook.pytest_deselected(items=long)


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
        pytest.skip(f"There is no PostgreSQL for this test: {reason}.")
    with running_postgresql() as url:
        yield url


@pytest.fixture(scope="session")
def seaweedfs_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Setting]:
    """A SeaweedFS for S3; each pytest-xdist worker has a server of its own."""
    with running_seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as setting:
        yield setting


@pytest.fixture(scope="session")
def warehouse() -> Iterator[Path]:
    """A data directory with an embedded warehouse, which ends with the tests; skips where its wheel is missing."""
    with warehouse_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def spare_postgresql_urls() -> list[str]:
    """Databases that earlier tests have used, emptied: making another one takes ten times as long."""
    return []


@pytest.fixture
def new_postgresql_url(postgresql: str, spare_postgresql_urls: list[str]) -> Iterator[Callable[[], str]]:
    """Gives the URL of another empty database at each call; all are emptied after the test."""
    used: list[str] = []

    def make() -> str:
        if spare_postgresql_urls:
            used.append(spare_postgresql_urls.pop())
        else:
            name = f"test_{next(_numbers)}"
            with psycopg.connect(postgresql, autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {name}")
            used.append(f"{postgresql.rpartition('/')[0]}/{name}")
        return used[-1]

    yield make
    for url in used:
        _empty(url)
        spare_postgresql_urls.append(url)


@pytest.fixture
def postgresql_url(new_postgresql_url: Callable[[], str]) -> str:
    """The URL of a fresh PostgreSQL database."""
    return new_postgresql_url()


@pytest.fixture(scope="session")
def mariadb() -> Iterator[str]:
    """The URL of a MariaDB server's database `mysql`; each pytest-xdist worker has a server of its own.

    Skips where the machine has no MariaDB, unless the environment says CI=true.
    """
    try:
        find_programs()
    except NoMariadb as reason:
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(f"MariaDB is needed here: {reason}.")
        pytest.skip(f"There is no MariaDB for this test: {reason}.")
    with running_mariadb() as url:
        yield url


@pytest.fixture
def mysql_url(mariadb: str) -> Iterator[str]:
    """The URL of a fresh MariaDB database."""
    name = f"test_{next(_numbers)}"
    server = parse_connection_string(mariadb, folder=Path())
    with connect(server) as database:
        database.execute_script(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        yield f"{mariadb.rpartition('/')[0]}/{name}"
        database.execute_script(f"DROP DATABASE {name}")


def _empty(url: str) -> None:
    """End the database's other connections and drop all that is in it."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        schemas = connection.execute(
            "SELECT quote_ident(nspname) FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'"
        )
        names = ", ".join(name for (name,) in schemas)
        dropped = f"DROP SCHEMA {names} CASCADE; " if names else ""
        connection.execute("SET client_min_messages = error")
        connection.execute(
            f"{dropped}CREATE SCHEMA public AUTHORIZATION pg_database_owner; GRANT USAGE ON SCHEMA public TO PUBLIC"
        )
