"""Transactions on SQLite and on PostgreSQL, with queries by name."""

from __future__ import annotations

import contextlib
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

from penstock.store.sql_files import migrations, queries, statements

Row = Mapping[str, Any]
T = TypeVar("T")
BUSY_SECONDS = 60.0
PAUSE_SECONDS = 0.02
WRITING = "BEGIN"
_QUOTED = re.compile(r"""(["']).*\1""")  # a host that errors quote is a part of the password if that has an @
READING = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


class StoreError(Exception):
    """The store cannot be opened; the text says why and what to do."""


class Reads(Protocol):
    """What can be read from: a transaction, or the store itself."""

    def one(self, query: str, **parameters: Any) -> Row | None:
        """The first row of a named query."""

    def all(self, query: str, **parameters: Any) -> list[Row]:
        """All rows of a named query."""


class Transaction(Reads, Protocol):
    """One transaction; leaving it by an exception undoes everything."""

    def execute(self, query: str, **parameters: Any) -> int:
        """Run a named query; gives the number of rows that it changed."""

    def execute_many(self, query: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run a named query once for each row of parameters."""


class Store(Reads, Protocol):
    """The store: transactions that write, snapshots that read, and single reads, which cost a third of a snapshot."""

    dialect: str
    schema: int
    """The number of the schema: that of the last migration."""
    reads_here: bool
    """Whether a read is a matter of this process: it takes microseconds and waits for nobody."""
    unavailable: tuple[type[Exception], ...]
    """What transactions raise when nothing is wrong with what was asked: the database cannot be used now."""

    def transaction(self) -> contextlib.AbstractContextManager[Transaction]:
        """A transaction that may write."""

    def snapshot(self) -> contextlib.AbstractContextManager[Transaction]:
        """A transaction that only reads, beside writers."""

    def size(self) -> int:
        """How many bytes it takes on the disk."""

    def close(self) -> None:
        """Close every connection."""


class _SqliteTransaction:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.queries = queries("sqlite")

    def execute(self, query: str, **parameters: Any) -> int:
        return self.connection.execute(self.queries[query], parameters).rowcount

    def execute_many(self, query: str, rows: Sequence[Mapping[str, Any]]) -> None:
        self.connection.executemany(self.queries[query], rows)

    def one(self, query: str, **parameters: Any) -> Row | None:
        rows = self.all(query, **parameters)
        return rows[0] if rows else None

    def all(self, query: str, **parameters: Any) -> list[Row]:
        return self.connection.execute(self.queries[query], parameters).fetchall()


class SqliteStore:
    """The embedded store: one file, one held writer in this process, readers beside it (WAL)."""

    dialect = "sqlite"
    reads_here = True
    unavailable: tuple[type[Exception], ...] = (sqlite3.OperationalError,)

    def __init__(self, path: Path, schema: int | None = None) -> None:
        self.path = path
        self.schema = 0
        self._writing = threading.Lock()
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
        with self._writing:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield _SqliteTransaction(self._writer)
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

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


class _PostgresqlTransaction:
    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.queries = queries("postgresql")

    def execute(self, query: str, **parameters: Any) -> int:
        return int(self.connection.execute(self.queries[query], parameters).rowcount)

    def execute_many(self, query: str, rows: Sequence[Mapping[str, Any]]) -> None:
        with self.connection.cursor() as cursor:
            cursor.executemany(self.queries[query], rows)

    def one(self, query: str, **parameters: Any) -> Row | None:
        rows = self.all(query, **parameters)
        return rows[0] if rows else None

    def all(self, query: str, **parameters: Any) -> list[Row]:
        found: list[Row] = self.connection.execute(self.queries[query], parameters).fetchall()
        return found


class PostgresqlStore:
    """The store on PostgreSQL, for `--store postgresql://…`."""

    dialect = "postgresql"
    reads_here = False

    def __init__(self, url: str, schema: int | None = None) -> None:
        import psycopg
        from psycopg.conninfo import conninfo_to_dict
        from psycopg.rows import dict_row

        try:
            conninfo_to_dict(url)
        except psycopg.ProgrammingError:
            raise StoreError(
                "The URL of the store on PostgreSQL cannot be read. Write postgresql://USER:PASSWORD@HOST:PORT/DATABASE,"
                " and in it %40 for @, %2F for /, %3A for : and %25 for %."
            ) from None  # the error quotes what may be the password

        self._open: Callable[[], Any] = lambda: psycopg.connect(url, row_factory=dict_row, autocommit=True)
        self.unavailable: tuple[type[Exception], ...] = (psycopg.OperationalError, psycopg.InterfaceError)
        self._lock = threading.Lock()
        self._idle: list[Any] = []
        self.schema = 0
        try:
            self._migrate(schema)
        except StoreError:
            self.close()
            raise
        except psycopg.Error as error:
            self.close()
            reason = _QUOTED.sub("…", str(error).strip().rpartition("failed: ")[2])
            raise StoreError(f"The store on PostgreSQL cannot be opened: {reason}.") from None

    def _migrate(self, last: int | None) -> None:
        with self._begun(WRITING) as connection:
            connection.execute("SELECT pg_advisory_xact_lock(7367)")
            connection.execute("CREATE TABLE IF NOT EXISTS penstock_schema (version BIGINT NOT NULL)")
            row = connection.execute("SELECT max(version) AS version FROM penstock_schema").fetchone()
            at = row["version"] or 0
            self.schema = at
            for number, sql in migrations("postgresql"):
                if number > at and (last is None or number <= last):
                    self.schema = number
                    connection.execute(sql)
                    connection.execute("INSERT INTO penstock_schema VALUES (%s)", (number,))
            if at > max(number for number, _ in migrations("postgresql")):
                raise StoreError("The store on PostgreSQL was made by a newer Penstock; use that one.")

    @contextmanager
    def _begun(self, kind: str) -> Iterator[Any]:
        connection, _ = self._first(lambda connection: connection.execute(kind))
        try:
            yield connection
            connection.execute("COMMIT")
        finally:
            if not connection.closed and connection.info.transaction_status:
                connection.execute("ROLLBACK")
            self._take_back(connection)

    def _first(self, work: Callable[[Any], T]) -> tuple[Any, T]:
        """A connection that has done its first work; one that the server has cut since its last use is dropped."""
        while True:
            with self._lock:
                idle = self._idle.pop() if self._idle else None
            connection = idle or self._open()
            try:
                return connection, work(connection)
            except self.unavailable:
                connection.close()
                if idle is None:
                    raise
            except BaseException:
                self._take_back(connection)
                raise

    def _take_back(self, connection: Any) -> None:
        if not connection.closed:
            with self._lock:
                self._idle.append(connection)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """A transaction; what it reads to decide it locks itself."""
        with self._begun(WRITING) as connection:
            yield _PostgresqlTransaction(connection)

    @contextmanager
    def snapshot(self) -> Iterator[Transaction]:
        """A reader that sees one state."""
        with self._begun(READING) as connection:
            yield _PostgresqlTransaction(connection)

    def size(self) -> int:
        """The whole database."""
        with self._begun(READING) as connection:
            return int(connection.execute("SELECT pg_database_size(current_database()) AS n").fetchone()["n"])

    def one(self, query: str, **parameters: Any) -> Row | None:
        """The first row of a named query, outside of any transaction."""
        return next(iter(self.all(query, **parameters)), None)

    def all(self, query: str, **parameters: Any) -> list[Row]:
        """All rows of a named query, outside of any transaction."""
        connection, rows = self._first(lambda connection: _PostgresqlTransaction(connection).all(query, **parameters))
        self._take_back(connection)
        return rows

    def close(self) -> None:
        """Close every idle connection."""
        with self._lock:
            for connection in self._idle:
                connection.close()
            self._idle.clear()


def open_store(url: str | None, data_dir: Path, schema: int | None = None) -> Store:
    """The store by URL: none for SQLite in the data directory, or `postgresql://…`. Raises StoreError.

    It is migrated to the newest schema, or no further than `schema`: 0 leaves it as it is.
    """
    if url is None:
        return SqliteStore(data_dir / "penstock.db", schema)
    if url.startswith(("postgresql://", "postgres://")):
        return PostgresqlStore(url, schema)
    scheme = url.split("://", 1)[0] if "://" in url else url.split(":", 1)[0]  # the rest may hold a password
    raise StoreError(f"A store of the kind '{scheme}' is not known; give postgresql://…, or nothing for SQLite.")
