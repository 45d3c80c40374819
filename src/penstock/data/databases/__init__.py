"""SQL databases: addresses, connections, scripts, queries that stream, and fast inserts.

SQLite and PostgreSQL are built; the others are refused by name in `parse_connection_string`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Protocol, Self

from penstock.data.databases.address import Address as Address
from penstock.data.databases.address import Dialect as Dialect
from penstock.data.databases.address import parse_connection_string as parse_connection_string
from penstock.data.databases.rows import DatabaseError as DatabaseError
from penstock.data.databases.rows import Records as Records
from penstock.data.databases.rows import Row as Row


class Database(Protocol):
    """A connection. Every method raises `DatabaseError` with the statement and the database's message.

    Values are bound as text where they are text, and the database makes them the column's type.
    """

    @property
    def dialect(self) -> Dialect:
        """Which SQL it speaks."""

    def transaction(self) -> AbstractContextManager[None]:
        """What is done inside happens wholly, or not at all if it raises; one inside another joins it."""

    def execute_script(self, script: str, arguments: Sequence[str] = ()) -> None:
        """Run a script's statements in one transaction; the arguments fill all its `?` in order.

        A script that begins or ends transactions itself keeps its own, and must end those that it begins. A
        single statement runs by itself, so `VACUUM` works. On PostgreSQL `??` is the operator `?`.
        """

    def select(self, query: str, *, batch_size: int = 2000) -> Records:
        """The rows of one query, fetched as they are asked for. Read them to the end before the next call."""

    def select_table(self, table: str, schema: str | None = None, *, batch_size: int = 2000) -> Records:
        """All rows of a table."""

    def insert(self, query: str, batches: Iterable[Sequence[Row]]) -> int:
        """Run the statement for each row, in one transaction, a `?` for each column; returns the count."""

    def insert_into(
        self,
        table: str,
        schema: str | None,
        columns: Sequence[str] | None,
        batches: Iterable[Sequence[Row]],
    ) -> int:
        """Insert rows into a table, in one transaction; without `columns`, into each of its columns."""

    def table_exists(self, table: str, schema: str | None = None) -> bool:
        """Whether there is a table or view of this name."""

    def create_table(self, sql: str, table: str, schema: str | None = None) -> None:
        """Run a createTableSql if the table is missing; two processes may do so at once."""

    def close(self) -> None:
        """End the connection; an open transaction is undone."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...


def connect(address: Address) -> Database:
    """Open a connection; a SQLite file that is missing is made."""
    if address.dialect == "sqlite":
        from penstock.data.databases.sqlite import SqliteDatabase

        return SqliteDatabase(address)
    from penstock.data.databases.postgresql import PostgresqlDatabase

    return PostgresqlDatabase(address)
