"""PostgreSQL: server-side cursors to read, COPY and pipelines to write, times in UTC."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from types import TracebackType
from typing import BinaryIO, Final, Self

import psycopg
from psycopg import capabilities

from penstock.data.databases import (
    postgresql_load,
    postgresql_tables,
    postgresql_text,
    postgresql_transactions,
    postgresql_unload,
)
from penstock.data.databases.address import Address, Dialect
from penstock.data.databases.plain_insert import PLAIN_INSERT
from penstock.data.databases.postgresql_connection import connect, conninfo
from penstock.data.databases.postgresql_errors import errors, one_line
from penstock.data.databases.postgresql_insert import insert_rows
from penstock.data.databases.postgresql_load import copy_into
from penstock.data.databases.postgresql_types import choose_types, declared_type
from penstock.data.databases.rows import DatabaseError, Records, Row, TextNotTaken, quote, unquoted
from penstock.data.databases.scripts import StatementProgress, check_arguments, script_transaction, with_arguments
from penstock.data.databases.statements import Statement, one_statement, split_script
from penstock.data.databases.tables import create_table, no_table
from penstock.data.formats import Format

_QUERIES = (("SELECT",), ("WITH",), ("VALUES",), ("TABLE",))
_CREATE_LOCK = 0x70656E73746F636B
_ROWS_AT_ONCE = 2000


class PostgresqlDatabase:
    """A connection to PostgreSQL. See `Database`."""

    dialect: Final[Dialect] = "postgresql"

    def __init__(self, address: Address) -> None:
        self._address = address
        try:
            self._conninfo = conninfo(address, connect_timeout="30", application_name="penstock")
            self._connection = connect(self._conninfo)
            self._connection.server_cursor_factory = psycopg.RawServerCursor
            with errors("a connection"):
                self._connection.execute("SET datestyle TO ISO; SET bytea_output TO hex")
                if "timezone" not in dict(address.options).get("options", "").lower():
                    self._connection.execute("SET timezone TO 'UTC'")
        except psycopg.Error as error:
            raise DatabaseError(f"Cannot connect to {address}: {one_line(str(error))}") from None
        choose_types(self._connection)

    def transaction(self) -> AbstractContextManager[None]:
        """What is done inside happens wholly or not at all; a COMMIT whose answer is lost is asked about."""
        return postgresql_transactions.transaction(self._connection, self._conninfo)

    def execute_script(
        self, script: str, arguments: Sequence[str] = (), progress: StatementProgress | None = None
    ) -> None:
        """Run a script's statements in one transaction. See `Database`."""
        statements = split_script(script, self.dialect)
        check_arguments(statements, arguments)
        with script_transaction(
            statements,
            self.transaction,
            is_within=self._is_within(),
            is_open=self._is_within,
            undo=lambda: postgresql_transactions.undo(self._connection),
        ):
            for statement, values in with_arguments(statements, arguments, progress):
                with errors(f"statement {statement.number} ({statement.first_line})"):
                    self._run(statement, values)

    def select(self, query: str, *, batch_size: int = 2000) -> Records:
        """The rows of one query through a server-side cursor, in a transaction that ends with the last row.

        A query that no cursor takes (`SHOW`, `INSERT … RETURNING`) is read as a whole.
        """
        statement = one_statement(query, self.dialect, "selectQuery")
        what = f"selectQuery ({statement.first_line})"
        stack = ExitStack()
        cursor: psycopg.RawCursor[tuple[object, ...]] | psycopg.RawServerCursor[tuple[object, ...]]
        try:
            with errors(what):
                stack.enter_context(self.transaction())
                if statement.words[:1] in _QUERIES:
                    self._connection.execute("SET LOCAL cursor_tuple_fraction = 1")
                    cursor = psycopg.RawServerCursor(self._connection, "penstock_select")
                else:
                    cursor = psycopg.RawCursor(self._connection)
                stack.enter_context(cursor)
                cursor.execute(_query(statement))
            if cursor.description is None:
                raise DatabaseError(f"{what} gives no rows. Write a SELECT.")
        except BaseException as error:
            stack.__exit__(type(error), error, error.__traceback__)
            raise
        columns = tuple(column.name for column in cursor.description or ())
        types = tuple(declared_type(column.type_display) for column in cursor.description or ())
        return Records(columns, _batches(cursor, stack, what, batch_size), types)

    def select_table(self, table: str, schema: str | None = None, *, batch_size: int = 2000) -> Records:
        """All rows of a table."""
        return self.select(self.table_query(table, schema), batch_size=batch_size)

    def table_query(self, table: str, schema: str | None = None) -> str:
        """The query that gives all rows of a table."""
        return f"SELECT * FROM {self._found(table, schema)}"  # noqa: S608

    def insert(self, query: str, batches: Iterable[Sequence[Row]]) -> int:
        """Run the statement for each row, in one transaction; a plain INSERT of values goes through COPY."""
        statement = one_statement(query, self.dialect, "insertQuery")
        target = f"insertQuery ({statement.first_line})"
        plain = PLAIN_INSERT.fullmatch(statement.text)
        with self.transaction():
            if plain is not None and postgresql_tables.takes_copy(self._connection, plain["table"]):
                table, width = plain["table"], statement.placeholders
                columns = [plain["columns"]] if plain["columns"] else self._columns(table, None)[:width]
                return postgresql_load.load_rows(self._connection, copy_into(table, columns), width, batches, target)
            return insert_rows(self._connection, statement, _query(statement), batches, target)

    def insert_into(
        self,
        table: str,
        schema: str | None,
        columns: Sequence[str] | None,
        batches: Iterable[Sequence[Row]],
    ) -> int:
        """Insert rows into a table, in one transaction; through COPY where the table takes it."""
        with self.transaction():
            found = self._found(table, schema)
            names = self._columns(found, columns)
            target = f"the table {table}"
            if postgresql_tables.takes_copy(self._connection, found):
                copy = copy_into(found, names)
                return postgresql_load.load_rows(self._connection, copy, len(names), batches, target)
            places = ", ".join("?" * len(names))
            insert = f"INSERT INTO {found} ({', '.join(names)}) VALUES ({places})"  # noqa: S608
            statement = one_statement(insert, self.dialect, "INSERT")
            return insert_rows(self._connection, statement, _query(statement), batches, target)

    def takes(self, format: Format) -> bool:
        """Whether COPY speaks this format, and the database's text is UTF-8."""
        encoding = self._connection.info.parameter_status("server_encoding")
        return encoding == "UTF8" and postgresql_text.takes(format)

    def load_text(
        self, table: str, schema: str | None, columns: Sequence[str] | None, format: Format, stream: BinaryIO
    ) -> int:
        """Load a text by COPY. See `Database`."""
        with self.transaction():
            found = self._found_for_copy(table, schema)
            names = self._columns(found, columns)
            return postgresql_load.load_text(self._connection, found, names, format, stream, f"the table {table}")

    def column_types(self, table: str, schema: str | None, columns: Sequence[str] | None) -> list[str]:
        """The types that `load_binary` must have, as PostgreSQL writes them: `numeric(12,2)`; raises `TextNotTaken`."""
        found = self._found_for_copy(table, schema)
        return postgresql_tables.types_of(self._connection, found, self._columns(found, columns))

    def load_binary(
        self, table: str, schema: str | None, columns: Sequence[str] | None, blocks: Iterable[bytes]
    ) -> int:
        """Load a binary COPY of values of the `column_types`; returns the rows."""
        with self.transaction():
            found = self._found(table, schema)
            copy = copy_into(found, self._columns(found, columns))
            return postgresql_load.load_binary(self._connection, copy, blocks, f"the table {table}")

    def columns_of(self, query: str) -> list[tuple[str, str, str]]:
        """The columns of a query: name, declared type, and PostgreSQL's own, as `numeric(12, 2)`."""
        statement = one_statement(query, self.dialect, "selectQuery")
        if statement.words[:1] not in _QUERIES:
            raise TextNotTaken(f"{statement.first_line} is no query of a table.")
        what = f"selectQuery ({statement.first_line})"
        with errors(what), psycopg.RawCursor(self._connection) as cursor:
            cursor.execute(f"SELECT * FROM ({statement.numbered()}\n) AS described LIMIT 0".encode())  # noqa: S608
            return [
                (column.name, declared_type(column.type_display), column.type_display)
                for column in cursor.description or ()
            ]

    def describe(self, query: str) -> tuple[tuple[str, str], ...]:
        """The columns of a query, each (name, type). See `Database`."""
        return tuple([(name, kind) for name, kind, _ in self.columns_of(query)])

    def plain_table(self, table: str, schema: str | None) -> str | None:
        """The quoted name of a table that is nothing more, and that no other differs from by letter case alone."""
        found = self._found(table, schema)
        return found if postgresql_tables.is_plain(self._connection, found) else None

    def conninfo(self) -> str:
        """What libpq takes to connect to the same database in the same way, with the password."""
        return self._conninfo

    def unload_text(self, query: str, format: Format, stream: BinaryIO) -> int:
        """Unload a query by COPY. See `Database`."""
        statement = one_statement(query, self.dialect, "selectQuery")
        if statement.words[:1] not in _QUERIES:
            raise TextNotTaken(f"{statement.first_line} is no query that COPY takes.")
        what = f"selectQuery ({statement.first_line})"
        with self.transaction(), errors(what):
            return postgresql_unload.unload(self._connection, statement.numbered(), format, stream, what)

    def table_exists(self, table: str, schema: str | None = None) -> bool:
        """Whether there is a table or view of this name, as it is written or in lower case."""
        return postgresql_tables.find(self._connection, table, schema) is not None

    def table_columns(self, table: str, schema: str | None = None) -> tuple[tuple[str, str], ...]:
        """The columns of a table, each (name, type). See `Database`."""
        found = self._found(table, schema)
        names = self._columns(found, None)
        types = postgresql_tables.types_of(self._connection, found, names)
        return tuple([(unquoted(name), declared_type(kind)) for name, kind in zip(names, types, strict=True)])

    def create_table(self, sql: str, table: str, schema: str | None = None) -> None:
        """Run a createTableSql if the table is missing; of two at once, the second waits for the first."""
        create_table(self, sql, table, schema, self._lock_for_create)

    def close(self) -> None:
        """End the connection; an open transaction is undone."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()

    @contextmanager
    def _lock_for_create(self) -> Iterator[None]:
        with self.transaction():
            with errors("the lock for createTableSql"):
                self._connection.execute("SELECT pg_catalog.pg_advisory_xact_lock($1)", (_CREATE_LOCK,))
            yield

    def _is_within(self) -> bool:
        return postgresql_transactions.is_within(self._connection)

    def _run(self, statement: Statement, values: Sequence[str]) -> None:
        with psycopg.RawCursor(self._connection) as cursor:
            if statement.words[:1] not in (("SELECT",), ("VALUES",), ("TABLE",)):
                cursor.execute(_query(statement), values or None)
                return
            try:
                size = _ROWS_AT_ONCE if capabilities.has_stream_chunked() else 1
                for _ in cursor.stream(_query(statement), values or None, size=size):
                    pass  # the rows are nobody's, and there may be many of them
            except psycopg.ProgrammingError as error:
                if error.sqlstate is not None:  # SELECT INTO has run well, but gives no rows
                    raise

    def _columns(self, table: str, columns: Sequence[str] | None) -> list[str]:
        """Columns of a table, quoted; without `columns`, all that take values."""
        if columns is None:
            return postgresql_tables.columns_of(self._connection, table)
        return [quote(column) for column in columns]

    def _found(self, table: str, schema: str | None) -> str:
        found = postgresql_tables.find(self._connection, table, schema)
        if found is None:
            raise no_table(table, schema, self._address)
        return found

    def _found_for_copy(self, table: str, schema: str | None) -> str:
        found = self._found(table, schema)
        if not postgresql_tables.takes_copy(self._connection, found):
            raise TextNotTaken(f"{table} is a view, or has rules or row security.")
        return found


def _batches(
    cursor: psycopg.Cursor[tuple[object, ...]] | psycopg.ServerCursor[tuple[object, ...]],
    stack: ExitStack,
    what: str,
    batch_size: int,
) -> Generator[list[tuple[object, ...]], None, None]:
    with stack:
        while True:
            with errors(what):
                rows = cursor.fetchmany(batch_size)
            if not rows:
                return
            yield rows


def _query(statement: Statement) -> bytes:
    try:
        return statement.numbered().encode()
    except UnicodeEncodeError:
        raise DatabaseError(f"Statement {statement.number} is not valid Unicode.") from None
