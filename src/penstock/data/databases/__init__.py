"""SQL databases: addresses, connections, scripts, queries that stream, and fast inserts.

SQLite, PostgreSQL, MySQL and MariaDB, DuckDB and Amazon Redshift are built; the others are refused by name in
`parse_connection_string`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from types import TracebackType
from typing import BinaryIO, Protocol, Self

from penstock.data.databases.address import Address as Address
from penstock.data.databases.address import Dialect as Dialect
from penstock.data.databases.address import parse_connection_string as parse_connection_string
from penstock.data.databases.rows import ConnectionLost as ConnectionLost
from penstock.data.databases.rows import DatabaseError as DatabaseError
from penstock.data.databases.rows import Records as Records
from penstock.data.databases.rows import Row as Row
from penstock.data.databases.rows import TextNotTaken as TextNotTaken
from penstock.data.databases.scripts import StatementProgress as StatementProgress
from penstock.data.formats import Format


class Database(Protocol):
    """A connection. Every method raises `DatabaseError` with the statement and the database's message.

    Values are bound as text where they are text, and the database makes them the column's type.
    """

    @property
    def dialect(self) -> Dialect:
        """Which SQL it speaks."""

    def transaction(self) -> AbstractContextManager[None]:
        """What is done inside happens wholly, or not at all if it raises; one inside another joins it."""

    def execute_script(
        self, script: str, arguments: Sequence[str] = (), progress: StatementProgress | None = None
    ) -> None:
        """Run a script's statements in one transaction; the arguments fill all its `?` in order.

        A script that begins or ends transactions itself keeps its own, and must end those that it begins. A
        single statement runs by itself, so `VACUUM` works. On PostgreSQL `??` is the operator `?`. `progress` is
        told how many statements have run; an exception from it undoes what an error would.
        """

    def select(self, query: str, *, batch_size: int = 2000) -> Records:
        """The rows of one query, fetched as they are asked for. Read them to the end before the next call."""

    def select_table(self, table: str, schema: str | None = None, *, batch_size: int = 2000) -> Records:
        """All rows of a table."""

    def table_query(self, table: str, schema: str | None = None) -> str:
        """The query that gives all rows of a table, for `unload_text`."""

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

    def takes(self, format: Format) -> bool:
        """Whether `load_text` and `unload_text` speak exactly the text of this format: no value would change.

        True promises that a text that `read_rows` reads makes the same rows through `load_text` as through
        `insert_into`, or that `load_text` raises `TextNotTaken`; and that `unload_text` writes the same bytes
        as `write_rows`, or raises `TextNotTaken` before it writes the first.
        """

    def load_text(
        self, table: str, schema: str | None, columns: Sequence[str] | None, format: Format, stream: BinaryIO
    ) -> int:
        """Bulk load the text of one object, in one transaction (it joins one that is open); returns the rows.

        Without `columns`, into each of the table's columns, as `insert_into`. The stream is read in big pieces
        to its end; its errors pass through. Raises `TextNotTaken` for a text (or a table) that must go row by
        row, `ConnectionLost` where a new connection may try again, and `DatabaseError` with the line for a
        value that the database refuses. After an error the caller ends the transaction.
        """

    def unload_text(self, query: str, format: Format, stream: BinaryIO) -> int:
        """Bulk unload a query's rows as text; returns how many. Raises as `load_text`.

        `TextNotTaken` comes before the first byte is written: for a query with columns of a type whose text
        is not proven to be the one that `to_text` gives.
        """

    def describe(self, query: str) -> tuple[tuple[str, str], ...]:
        """The columns of a query for `unload_text`, each (name, type), without running it; raises `TextNotTaken` as it.

        A type is written as `Records.types` are, and empty where it is not known.
        """

    def table_exists(self, table: str, schema: str | None = None) -> bool:
        """Whether there is a table or view of this name."""

    def table_columns(self, table: str, schema: str | None = None) -> tuple[tuple[str, str], ...]:
        """The columns of a table that rows are inserted into, each (name, type), the type as far as it is known."""

    def create_table(self, sql: str, table: str, schema: str | None = None) -> None:
        """Run a createTableSql if the table is missing; two processes may do so at once."""

    def close(self) -> None:
        """End the connection; an open transaction is undone."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...


def connect(address: Address) -> Database:
    """Open a connection; a SQLite or DuckDB file that is missing is made."""
    if address.written_for is not None:
        from penstock.data.databases.translated import TranslatedDatabase

        return TranslatedDatabase(connect(replace(address, written_for=None)))
    if address.dialect == "redshift":
        from penstock.data.databases.redshift import RedshiftDatabase

        return RedshiftDatabase(address)
    if address.dialect == "duckdb":
        from penstock.data.databases.duckdb import DuckdbDatabase

        return DuckdbDatabase(address)
    if address.dialect == "mysql":
        from penstock.data.databases.mysql import MysqlDatabase

        return MysqlDatabase(address)
    if address.dialect == "sqlite":
        from penstock.data.databases.sqlite import SqliteDatabase

        return SqliteDatabase(address)
    from penstock.data.databases.postgresql import PostgresqlDatabase

    return PostgresqlDatabase(address)
