"""Writers of one process that come at once are committed together on SQLite."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.store.sqlite import MOST_TOGETHER, SqliteStore

SECONDS = 20.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    made = SqliteStore(tmp_path / "penstock.db")
    yield made
    made.close()


class Writer:
    """A thread that writes one row of metadata, waiting inside its transaction until it may go on."""

    def __init__(self, store: SqliteStore, name: str, fails: bool = False) -> None:
        self.store, self.name, self.fails = store, name, fails
        self.is_inside, self.may_go_on = threading.Event(), threading.Event()
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            with self.store.transaction() as tx:
                tx.execute("insert_metadata", name=self.name, value="written")
                self.is_inside.set()
                assert self.may_go_on.wait(SECONDS)
                if self.fails:
                    raise ValueError(self.name)
        except BaseException as error:
            self.error = error

    def end(self) -> None:
        """Let it go on, and wait until it has returned."""
        self.may_go_on.set()
        self.thread.join(SECONDS)
        assert not self.thread.is_alive()


def until_waiting(store: SqliteStore, count: int) -> None:
    """Returns when so many writers wait for their turn."""
    tick = threading.Event()
    for _ in range(2000):
        if store._waiting == count:
            return
        tick.wait(0.01)
    raise AssertionError(f"{store._waiting} writers wait, not {count}")


def commits(store: SqliteStore) -> list[str]:
    """The statements that end transactions of the database, from now on."""
    seen: list[str] = []
    store._writer.set_trace_callback(lambda sql: seen.append(sql) if sql in ("COMMIT", "ROLLBACK") else None)
    return seen


def is_written(store: SqliteStore, name: str) -> bool:
    return store.one("metadata_by_name", name=name) is not None


def test_two_that_come_at_once_share_a_commit_and_return_after_it(store: SqliteStore) -> None:
    seen = commits(store)
    one = Writer(store, "one")
    assert one.is_inside.wait(SECONDS)
    two = Writer(store, "two")
    until_waiting(store, 1)
    one.may_go_on.set()
    assert two.is_inside.wait(SECONDS)
    assert one.thread.is_alive()  # what it wrote is not safe yet
    assert not is_written(store, "one")
    two.end()
    one.end()
    assert seen == ["COMMIT"]
    assert is_written(store, "one")
    assert is_written(store, "two")


def test_one_that_fails_takes_nobody_along(store: SqliteStore) -> None:
    writers = [Writer(store, "one")]
    assert writers[0].is_inside.wait(SECONDS)
    writers += [Writer(store, "two", fails=True)]
    until_waiting(store, 1)
    writers[0].may_go_on.set()
    assert writers[1].is_inside.wait(SECONDS)
    for writer in reversed(writers):
        writer.end()
    assert isinstance(writers[1].error, ValueError)
    assert writers[0].error is None
    assert is_written(store, "one")
    assert not is_written(store, "two")


def test_when_the_first_fails_the_next_begins_anew(store: SqliteStore) -> None:
    seen = commits(store)
    one = Writer(store, "one", fails=True)
    assert one.is_inside.wait(SECONDS)
    two = Writer(store, "two")
    until_waiting(store, 1)
    one.end()
    two.end()
    assert seen == ["ROLLBACK", "COMMIT"]
    assert not is_written(store, "one")
    assert is_written(store, "two")


def test_a_commit_that_fails_fails_for_everybody_who_shares_it(store: SqliteStore) -> None:
    one = Writer(store, "one")
    assert one.is_inside.wait(SECONDS)
    two = Writer(store, "two")
    until_waiting(store, 1)
    one.may_go_on.set()
    assert two.is_inside.wait(SECONDS)
    store._writer.execute("ROLLBACK")  # as the database does by itself when the disk is full
    two.end()
    one.end()
    assert isinstance(one.error, sqlite3.OperationalError)
    assert two.error is not None
    assert not is_written(store, "one")
    with store.transaction() as tx:  # the next one begins anew
        tx.execute("insert_metadata", name="three", value="written")
    assert is_written(store, "three")


def test_nobody_waits_for_more_than_a_few_others(store: SqliteStore) -> None:
    seen = commits(store)
    first = Writer(store, "first")
    assert first.is_inside.wait(SECONDS)
    others = [Writer(store, f"other {number}") for number in range(MOST_TOGETHER + 3)]
    until_waiting(store, len(others))
    for writer in (first, *others):
        writer.may_go_on.set()
    for writer in (first, *others):
        writer.end()
    assert seen == ["COMMIT", "COMMIT"]
    assert all(is_written(store, writer.name) for writer in (first, *others))
