"""A connection that is lost during COMMIT itself: the rows are there once, or the error says what is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from penstock.data.copy import FileSide, TableSide, copy
from penstock.data.databases import DatabaseError, parse_connection_string, postgresql_transactions
from penstock.data.databases.mysql_connection import MysqlConnection
from penstock.data.local_folder import LocalFolder

pytestmark = pytest.mark.by_hand

SIDES = ("before", "after")


@pytest.fixture
def source(tmp_path: Path) -> FileSide:
    storage = LocalFolder(tmp_path / "s3")
    with storage.create("s3://b/in") as stream:
        stream.write(b"1,a\n2,b\n")
    return FileSide(storage, "s3://b/in")


@pytest.fixture
def target(postgresql_url: str, tmp_path: Path) -> TableSide:
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute("create table t (a int, b text)")
    return TableSide(parse_connection_string(postgresql_url, folder=tmp_path), "t")


def breaking(execute: Callable[..., object], when: str, left: list[int]) -> Callable[..., object]:
    """Ends the server's side of the connection before or after the first COMMIT, whose answer is lost."""

    def run(self: psycopg.Connection, query: str, *arguments: object, **options: object) -> object:
        if query != "COMMIT" or not left:
            return execute(self, query, *arguments, **options)
        left.pop()
        if when == "after":
            execute(self, query)
        self.close()
        raise psycopg.OperationalError("the connection is lost")

    return run


@pytest.mark.parametrize("when", SIDES)
def test_a_commit_whose_answer_is_lost_is_asked_about(
    source: FileSide, target: TableSide, postgresql_url: str, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    left = [1]
    monkeypatch.setattr(psycopg.Connection, "execute", breaking(psycopg.Connection.execute, when, left))
    assert copy(source, target, pauses=(0,)).rows == 2
    assert not left
    with psycopg.connect(postgresql_url) as connection:
        assert connection.execute("select count(*) from t").fetchone() == (2,)


def test_a_commit_that_nobody_can_tell_about_is_not_tried_again(
    source: FileSide, target: TableSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql_transactions, "_SECONDS_TO_ASK", 0.0)
    monkeypatch.setattr(psycopg.Connection, "execute", breaking(psycopg.Connection.execute, "after", [1]))
    with pytest.raises(DatabaseError, match=r"lost during COMMIT of the transaction \d+.*nothing is tried again"):
        copy(source, target, pauses=(0,))


def test_mysql_cannot_tell_so_nothing_is_tried_again(
    source: FileSide, mysql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = TableSide(
        parse_connection_string(mysql_url, folder=tmp_path),
        "lost",
        None,
        None,
        None,
        "create table lost (a int, b text)",
    )
    run = MysqlConnection.run

    def broken(self: MysqlConnection, statement: str) -> object:
        done = run(self, statement)
        if statement == "COMMIT":
            import pymysql

            self.close()
            raise pymysql.OperationalError(2013, "Lost connection")
        return done

    monkeypatch.setattr(MysqlConnection, "run", broken)
    with pytest.raises(DatabaseError, match=r"lost during COMMIT.*nothing is tried again"):
        copy(source, target, pauses=(0,))
