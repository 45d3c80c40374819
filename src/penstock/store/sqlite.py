"""The embedded store: SQLite."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from penstock.store.database import Row, StoreError, Transaction
from penstock.store.sql_files import migrations, queries, statements

BUSY_SECONDS = 60.0
PAUSE_SECONDS = 0.02
MOST_TOGETHER = 16  # transactions that are committed at once


class _SqliteTransaction:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.queries = queries("sqlite")

    def execute(self, query: str, **parameters: Any) -> int:
        return self.connection.execute(self.queries[query], parameters).rowcount

    def execute_later(self, query: str, **parameters: Any) -> None:
        self.connection.execute(self.queries[query], parameters)  # it costs no more now

    def several(self, *asked: tuple[str, Mapping[str, Any]]) -> list[list[Row]]:
        return [self.all(query, **parameters) for query, parameters in asked]

    def execute_many(self, query: str, rows: Sequence[Mapping[str, Any]]) -> None:
        self.connection.executemany(self.queries[query], rows)

    def insert_later(self, query: str, **parameters: Any) -> None:
        self.connection.execute(self.queries[query], parameters)

    def insert_soon(self, query: str, **parameters: Any) -> None:
        self.connection.execute(self.queries[query], parameters)

    def announce(self, message: str) -> None:
        """Another server on the same file looks by itself now and then."""

    def one(self, query: str, **parameters: Any) -> Row | None:
        rows = self.all(query, **parameters)
        return rows[0] if rows else None

    def all(self, query: str, **parameters: Any) -> list[Row]:
        return self.connection.execute(self.queries[query], parameters).fetchall()


class _Together:
    """Transactions that share a commit, and so the wait for the disk."""

    def __init__(self) -> None:
        self.members = 0
        self.is_over = threading.Event()
        self.error: BaseException | None = None

    def wait(self) -> None:
        """Return when all are committed; raises what kept them from it."""
        self.is_over.wait()
        if self.error is not None:
            raise sqlite3.OperationalError(str(self.error)) from self.error


class SqliteStore:
    """The embedded store: one file, one held writer in this process, readers beside it (WAL).

    Writers that come while one is at work follow it in the same transaction of the database, each behind a savepoint,
    and are committed together: the disk is waited for once. Nobody returns before that.
    """

    dialect = "sqlite"
    reads_here = True
    unavailable: tuple[type[Exception], ...] = (sqlite3.OperationalError,)

    def __init__(self, path: Path, schema: int | None = None) -> None:
        self.path = path
        self.schema = 0
        self._writing = threading.Lock()
        self._counting = threading.Lock()
        self._waiting = 0
        self._together: _Together | None = None
        self._pooling = threading.Lock()  # of its own: whoever writes may wait for another process
        self._readers: list[sqlite3.Connection] = []
        try:
            self._writer = self._connect()
            try:
                _use_wal(self._writer)
                self._migrate(schema)
            except BaseException:
                self._writer.close()
                raise
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"The store {path} cannot be opened: {error}. Is the data directory writable?") from error

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA foreign_keys = ON")
        return connection

    def _migrate(self, last: int | None) -> None:
        connection = self._writer
        connection.execute("BEGIN IMMEDIATE")
        try:
            at = connection.execute("PRAGMA user_version").fetchone()[0]
            self.schema = at
            for number, sql in migrations("sqlite"):
                if number > at and (last is None or number <= last):
                    self.schema = number
                    for statement in statements(sql):
                        connection.execute(statement)
                    connection.execute(f"PRAGMA user_version = {number}")
            if at > max(number for number, _ in migrations("sqlite")):
                raise StoreError(f"The store {self.path} was made by a newer Penstock; use that one.")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """One writer at a time; other processes wait at BEGIN."""
        with self._place():
            together = self._together or self._begin()
            try:
                if together.members:
                    self._writer.execute("SAVEPOINT member")
                yield _SqliteTransaction(self._writer)
                if together.members:
                    self._writer.execute("RELEASE member")
            except BaseException:
                self._undo(together)
                raise
            together.members += 1
            self._perhaps_commit(together)
        together.wait()

    @contextmanager
    def _place(self) -> Iterator[None]:
        """Wait for one's turn, and be seen to wait."""
        with self._counting:
            self._waiting += 1
        try:
            self._writing.acquire()
        finally:
            with self._counting:
                self._waiting -= 1
        try:
            yield
        finally:
            self._writing.release()

    def _begin(self) -> _Together:
        self._writer.execute("BEGIN IMMEDIATE")
        self._together = _Together()
        return self._together

    def _undo(self, together: _Together) -> None:
        """Undo what one writer did; the database may have undone everything already, such as on a full disk."""
        if not together.members:
            self._together = None
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            return
        if self._writer.in_transaction:
            self._writer.execute("ROLLBACK TO member")
            self._writer.execute("RELEASE member")
        self._perhaps_commit(together)

    def _perhaps_commit(self, together: _Together) -> None:
        """Commit, unless there is somebody who will: the next in line."""
        if self._waiting and together.members < MOST_TOGETHER and self._writer.in_transaction:
            return
        self._together = None
        try:
            if not self._writer.in_transaction:
                raise sqlite3.OperationalError("the database has undone the transaction")
            self._writer.execute("COMMIT")
        except BaseException as error:
            together.error = error
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
        finally:
            together.is_over.set()

    @contextmanager
    def snapshot(self) -> Iterator[Transaction]:
        """A reader that sees one state, whatever is written meanwhile."""
        with self._reader() as connection:
            connection.execute("BEGIN")
            try:
                yield _SqliteTransaction(connection)
            finally:
                connection.execute("ROLLBACK")

    def one(self, query: str, **parameters: Any) -> Row | None:
        """The first row of a named query, outside of any transaction."""
        return next(iter(self.all(query, **parameters)), None)

    def all(self, query: str, **parameters: Any) -> list[Row]:
        """All rows of a named query, outside of any transaction."""
        with self._reader() as connection:
            return _SqliteTransaction(connection).all(query, **parameters)

    @contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        with self._pooling:
            connection = self._readers.pop() if self._readers else None
        connection = connection or self._connect()
        try:
            yield connection
        finally:
            with self._pooling:
                self._readers.append(connection)

    def listen(self, hear: Callable[[str | None], None]) -> None:
        """Nobody announces anything."""

    def leads(self) -> bool:
        """Always: two servers on one file both run the clock, which does no harm."""
        return True

    def clock_offset(self) -> float:
        """None: the store's clock is this machine's."""
        return 0.0

    def size(self) -> int:
        """The file, with what is still to be moved into it."""
        paths = (self.path, self.path.with_name(self.path.name + "-wal"))
        return sum(path.stat().st_size for path in paths if path.exists())

    def close(self) -> None:
        """Close every connection."""
        with self._writing, self._pooling:
            for connection in (*self._readers, self._writer):
                connection.close()
            self._readers.clear()


def _use_wal(connection: sqlite3.Connection) -> None:
    """Have readers beside the writer; SQLite does not wait by itself when another process does this as well."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(PAUSE_SECONDS)
