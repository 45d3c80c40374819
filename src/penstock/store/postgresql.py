"""The store on PostgreSQL, which several servers may share."""

from __future__ import annotations

import logging
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict

from penstock.store.database import Row, StoreError, Transaction
from penstock.store.postgresql_connection import Connection, Statement
from penstock.store.postgresql_transaction import CHANNEL, PostgresqlTransaction
from penstock.store.sql_files import migrations, queries

LOG = logging.getLogger(__name__)
T = TypeVar("T")
MIGRATION, LEADER = 7367, 7368  # advisory locks
HEAR_SECONDS, AGAIN_SECONDS = 1.0, 1.0
OFFSET_SECONDS = 5.0
CLOCK = "SELECT extract(epoch FROM clock_timestamp()) AS at"
FOUND_DEAD = ("tcp_keepalives_idle = 4", "tcp_keepalives_interval = 2", "tcp_keepalives_count = 3")
WRITING: Statement = ("BEGIN", {})
READING: Statement = ("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", {})
_QUOTED = re.compile(r"""(["']).*\1""")  # a host that errors quote is a part of the password if that has an @


class PostgresqlStore:
    """The store on PostgreSQL, for `--store postgresql://…`.

    Servers hear of each other by LISTEN and NOTIFY, the one that runs the clock holds an advisory lock while its
    connection lives, and all tell the time by the database's clock.
    """

    dialect = "postgresql"
    reads_here = False

    def __init__(self, url: str, schema: int | None = None) -> None:
        try:
            conninfo_to_dict(url)
        except psycopg.ProgrammingError:
            raise StoreError(
                "The URL of the store on PostgreSQL cannot be read. Write postgresql://USER:PASSWORD@HOST:PORT/DATABASE,"
                " and in it %40 for @, %2F for /, %3A for : and %25 for %."
            ) from None  # the error quotes what may be the password

        self._open: Callable[[], Connection] = lambda: Connection(url)
        self.unavailable: tuple[type[Exception], ...] = (psycopg.OperationalError, psycopg.InterfaceError)
        self._lock = threading.Lock()
        self._idle: list[Connection] = []
        self._leading: Connection | None = None
        self._ahead = time.time() - time.monotonic()  # the database's clock against one that never jumps
        self._offset_at = float("-inf")
        self._closing = threading.Event()
        self._listening: threading.Thread | None = None
        self._hearing: psycopg.Connection[Any] | None = None
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
        with self._begun(WRITING) as tx:
            connection = tx.connection
            connection.execute(f"SELECT pg_advisory_xact_lock({MIGRATION})")
            connection.execute("CREATE TABLE IF NOT EXISTS penstock_schema (version BIGINT NOT NULL)")
            at = connection.execute("SELECT max(version) AS version FROM penstock_schema").fetchone()["version"] or 0
            self.schema = at
            for number, sql in migrations("postgresql"):
                if number > at and (last is None or number <= last):
                    self.schema = number
                    connection.execute(sql)
                    connection.execute("INSERT INTO penstock_schema VALUES (%s)", (number,))
            if at > max(number for number, _ in migrations("postgresql")):
                raise StoreError("The store on PostgreSQL was made by a newer Penstock; use that one.")

    @contextmanager
    def _begun(self, begin: Statement) -> Iterator[PostgresqlTransaction]:
        tx = PostgresqlTransaction(self._first, begin)
        try:
            yield tx
            tx.commit()
        finally:
            if tx.used is not None:
                self._take_back(tx.used)

    def _first(self, work: Callable[[Connection], T]) -> tuple[Connection, T]:
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

    def _take_back(self, connection: Connection) -> None:
        """Keep a connection for the next one, without what it may have begun."""
        if connection.is_closed:
            connection.close()
            return
        if connection.has_begun:
            connection.run([("ROLLBACK", {})])
        with self._lock:
            self._idle.append(connection)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """A transaction; what it reads to decide it locks itself."""
        with self._begun(WRITING) as tx:
            yield tx

    @contextmanager
    def snapshot(self) -> Iterator[Transaction]:
        """A reader that sees one state."""
        with self._begun(READING) as tx:
            yield tx

    def listen(self, hear: Callable[[str | None], None]) -> None:
        """Hear what servers announce, this one too; a lost connection is made again, and None says that it was."""
        self._listening = threading.Thread(target=self._listen, args=(hear,), name="listening", daemon=True)
        self._listening.start()

    def _listen(self, hear: Callable[[str | None], None]) -> None:
        while not self._closing.is_set():
            try:
                with self._open().psycopg as connection:
                    self._hearing = connection
                    connection.execute(f"LISTEN {CHANNEL}")
                    hear(None)
                    while not self._closing.is_set():
                        for notification in connection.notifies(timeout=HEAR_SECONDS, stop_after=1):
                            hear(notification.payload)
            except self.unavailable as error:
                if not self._closing.is_set():
                    LOG.warning("What other servers announce is not heard for now: %s", error)
                    self._closing.wait(AGAIN_SECONDS)

    def leads(self) -> bool:
        """Hold the lock of the server that runs the clock, or try to get it; it ends with a server's connection."""
        try:
            if self._leading is None:
                connection = self._open()
                for setting in FOUND_DEAD:
                    connection.psycopg.execute(f"SET {setting}")
                (answer,) = connection.run([("SELECT pg_try_advisory_lock(%(key)s) AS got", {"key": LEADER})])
                if not answer.rows[0]["got"]:
                    connection.close()
                    return False
                self._leading = connection
            else:
                self._leading.run([("SELECT 1", {})])
        except self.unavailable:
            if self._leading is not None:
                self._leading.close()
                self._leading = None
            raise
        return True

    def clock_offset(self) -> float:
        """The database's clock against this machine's, asked for every few seconds; the last known while it is away.

        In between it goes on evenly, however this machine's clock jumps.
        """
        now = time.monotonic()
        if now - self._offset_at > OFFSET_SECONDS:
            self._offset_at = now
            try:
                began = time.monotonic()
                connection, (answer,) = self._first(lambda connection: connection.run([(CLOCK, {})]))
                self._ahead = float(answer.rows[0]["at"]) - (began + time.monotonic()) / 2
                self._take_back(connection)
            except self.unavailable:
                LOG.warning("The database's clock cannot be read for now.")
        return self._ahead + time.monotonic() - time.time()

    def size(self) -> int:
        """The whole database."""
        with self._begun(READING) as tx:
            return int(tx.send(("SELECT pg_database_size(current_database()) AS n", {}))[0].rows[0]["n"])

    def one(self, query: str, **parameters: Any) -> Row | None:
        """The first row of a named query, outside of any transaction."""
        return next(iter(self.all(query, **parameters)), None)

    def all(self, query: str, **parameters: Any) -> list[Row]:
        """All rows of a named query, outside of any transaction."""
        statement = queries("postgresql")[query], parameters
        connection, (answer,) = self._first(lambda connection: connection.run([statement]))
        self._take_back(connection)
        return answer.rows

    def close(self) -> None:
        """Close every idle connection, and those that listen and lead."""
        self._closing.set()
        if self._listening is not None:
            if self._hearing is not None and not self._hearing.closed:
                with suppress(OSError), socket.socket(fileno=os.dup(self._hearing.fileno())) as hearing:
                    hearing.shutdown(socket.SHUT_RDWR)  # it hears nothing more, and need not wait for that
            self._listening.join(2 * HEAR_SECONDS)
        if self._leading is not None:
            self._leading.close()
            self._leading = None
        with self._lock:
            for connection in self._idle:
                connection.close()
            self._idle.clear()
