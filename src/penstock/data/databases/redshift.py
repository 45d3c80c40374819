"""Amazon Redshift by PostgreSQL's protocol: its own SQL untouched, cursors to read, INSERTs of many rows to write.

Bulk loads go through COPY from S3 (RedshiftCopyActivity); a CopyActivity writes rows with INSERT, which is slow there.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from types import TracebackType
from typing import BinaryIO, Final, Self

import psycopg

from penstock.data.databases.address import Address, Dialect
from penstock.data.databases.postgresql_connection import connect, conninfo
from penstock.data.databases.postgresql_transactions import is_within
from penstock.data.databases.postgresql_types import choose_types
from penstock.data.databases.rows import (
    ConnectionLost,
    DatabaseError,
    Progress,
    Records,
    Row,
    TextNotTaken,
    name_parts,
    of_width,
    quote,
)
from penstock.data.databases.scripts import StatementProgress, check_arguments, script_transaction, with_arguments
from penstock.data.databases.statements import one_statement, split_script
from penstock.data.databases.tables import create_table, no_table
from penstock.data.formats import Format
from penstock.data.values import to_text

_FIND_TABLE = """
SELECT n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'v') AND c.relname = {table}
  AND ({schema} IS NULL AND pg_catalog.pg_table_is_visible(c.oid) OR n.nspname = {schema})"""
_COLUMNS = """
SELECT a.attname FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = {schema} AND c.relname = {table} AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"""
_QUERIES = (("SELECT",), ("WITH",))
_VALUES_AT_ONCE = 30000  # the protocol takes 32,767 parameters


class RedshiftDatabase:
    """A connection to a Redshift cluster. See `Database`."""

    dialect: Final[Dialect] = "redshift"

    def __init__(self, address: Address) -> None:
        self._address = address
        named = replace(address, database=address.database or "dev")
        try:
            self._connection = connect(conninfo(named, connect_timeout="30", sslmode="prefer"))
            self._connection.prepare_threshold = None
            self._connection.execute("SET datestyle TO ISO")
            self._connection.execute("SET timezone TO 'UTC'")
        except psycopg.Error as error:
            raise DatabaseError(f"Cannot connect to {address}: {' '.join(str(error).split())}") from None
        choose_types(self._connection)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """What is done inside happens wholly or not at all."""
        if is_within(self._connection):
            yield
            return
        with _errors("the transaction"), self._connection.transaction():
            yield

    def execute_script(
        self, script: str, arguments: Sequence[str] = (), progress: StatementProgress | None = None
    ) -> None:
        """Run a script's statements in one transaction. See `Database`."""
        statements = split_script(script, self.dialect)
        check_arguments(statements, arguments)
        with script_transaction(
            statements,
            self.transaction,
            is_within=is_within(self._connection),
            is_open=lambda: is_within(self._connection),
            undo=self._undo,
        ):
            for statement, values in with_arguments(statements, arguments, progress):
                shown = statement.words[0] if statement.words[:1] in (("COPY",), ("UNLOAD",)) else statement.first_line
                with _errors(f"statement {statement.number} ({shown})"), psycopg.RawCursor(self._connection) as cursor:
                    cursor.execute(statement.numbered().encode(), list(values) or None)

    def select(self, query: str, *, batch_size: int = 2000) -> Records:
        """The rows of one query through a cursor, in a transaction that ends with the last row."""
        statement = one_statement(query, self.dialect, "selectQuery")
        what = f"selectQuery ({statement.first_line})"
        stack = ExitStack()
        cursor = psycopg.RawCursor(self._connection)
        try:
            with _errors(what):
                stack.enter_context(self.transaction())
                stack.enter_context(cursor)
                if statement.words[:1] in _QUERIES:
                    cursor.execute(f"DECLARE penstock_select CURSOR FOR {statement.numbered()}".encode())
                    stack.callback(cursor.execute, b"CLOSE penstock_select")
                    cursor.execute(f"FETCH FORWARD {batch_size} FROM penstock_select".encode())
                    more = f"FETCH FORWARD {batch_size} FROM penstock_select".encode()
                else:
                    cursor.execute(statement.numbered().encode())
                    more = b""
            if cursor.description is None:
                raise DatabaseError(f"{what} gives no rows. Write a SELECT.")
            columns = tuple(column.name for column in cursor.description)
        except BaseException as error:
            stack.pop_all()
            self._undo()
            raise error
        return Records(columns, _batches(cursor, stack, what, more, batch_size))

    def select_table(self, table: str, schema: str | None = None, *, batch_size: int = 2000) -> Records:
        """All rows of a table."""
        return self.select(self.table_query(table, schema), batch_size=batch_size)

    def table_query(self, table: str, schema: str | None = None) -> str:
        """The query that gives all rows of a table."""
        found_schema, found = self._found(table, schema)
        return f"SELECT * FROM {quote(found_schema)}.{quote(found)}"  # noqa: S608

    def insert(self, query: str, batches: Iterable[Sequence[Row]]) -> int:
        """Run the statement for each row, in one transaction."""
        statement = one_statement(query, self.dialect, "insertQuery")
        target = f"insertQuery ({statement.first_line})"
        progress = Progress()
        text = statement.numbered().encode()
        with self.transaction(), psycopg.RawCursor(self._connection) as cursor:
            for batch in of_width(batches, statement.placeholders, target, progress):
                for number, row in enumerate(batch, progress.rows + 1):
                    with _errors(f"row {number} for {target}"):
                        cursor.execute(text, [to_text(value) for value in row])
        return progress.rows

    def insert_into(
        self, table: str, schema: str | None, columns: Sequence[str] | None, batches: Iterable[Sequence[Row]]
    ) -> int:
        """Insert rows into a table, many with each statement, in one transaction."""
        progress = Progress()
        with self.transaction():
            found_schema, found = self._found(table, schema)
            names = list(columns) if columns is not None else self._columns(found_schema, found)
            head = f"INSERT INTO {quote(found_schema)}.{quote(found)} ({', '.join(map(quote, names))}) VALUES "  # noqa: S608
            at_once = max(1, _VALUES_AT_ONCE // max(1, len(names)))
            with psycopg.RawCursor(self._connection) as cursor:
                for batch in of_width(batches, len(names), f"the table {table}", progress):
                    for start in range(0, len(batch), at_once):
                        _insert_rows(cursor, head, batch[start : start + at_once], progress.rows + start + 1, table)
        return progress.rows

    def takes(self, format: Format) -> bool:
        """Never: Redshift loads files from S3 alone."""
        return False

    def load_text(
        self, table: str, schema: str | None, columns: Sequence[str] | None, format: Format, stream: BinaryIO
    ) -> int:
        """Refused; see `takes`."""
        raise TextNotTaken("Redshift loads files from S3 alone.")

    def unload_text(self, query: str, format: Format, stream: BinaryIO) -> int:
        """Refused; see `takes`."""
        raise TextNotTaken("Redshift unloads to S3 alone.")

    def describe(self, query: str) -> tuple[tuple[str, str], ...]:
        """Refused; see `takes`."""
        raise TextNotTaken("Redshift unloads to S3 alone.")

    def table_exists(self, table: str, schema: str | None = None) -> bool:
        """Whether there is a table or view of this name; letter case does not matter."""
        return self._name(table, schema) is not None

    def table_columns(self, table: str, schema: str | None = None) -> tuple[tuple[str, str], ...]:
        """The columns of a table, without types. See `Database`."""
        return tuple([(name, "") for name in self._columns(*self._found(table, schema))])

    def create_table(self, sql: str, table: str, schema: str | None = None) -> None:
        """Run a createTableSql if the table is missing."""
        create_table(self, sql, table, schema)

    def close(self) -> None:
        """End the connection; an open transaction is undone."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()

    def _undo(self) -> None:
        if is_within(self._connection) and not self._connection.closed:
            self._connection.execute("ROLLBACK")

    def _columns(self, schema: str, table: str) -> list[str]:
        with _errors(f"reading the columns of {table}"):
            query = _COLUMNS.format(schema=_literal(schema), table=_literal(table))
            return [str(name) for (name,) in self._connection.execute(query.encode())]

    def _found(self, table: str, schema: str | None) -> tuple[str, str]:
        found = self._name(table, schema)
        if found is None:
            raise no_table(table, schema, self._address)
        return found

    def _name(self, table: str, schema: str | None) -> tuple[str, str] | None:
        written_schema, name, _ = name_parts(table, schema)
        in_schema = "NULL" if written_schema is None else _literal(written_schema.lower())
        with _errors(f"looking for the table {table}"):
            query = _FIND_TABLE.format(table=_literal(name.lower()), schema=in_schema)
            row = self._connection.execute(query.encode()).fetchone()
        return None if row is None else (str(row[0]), str(row[1]))


def _insert_rows(
    cursor: psycopg.RawCursor[tuple[object, ...]], head: str, rows: Sequence[Row], first: int, table: str
) -> None:
    values = [to_text(value) for row in rows for value in row]
    width = len(rows[0]) if rows else 0
    places = [
        "(" + ", ".join([f"${start + column + 1}" for column in range(width)]) + ")"
        for start in range(0, len(values), width or 1)
    ]
    if places:
        with _errors(f"rows {first} to {first + len(rows) - 1} for the table {table}"):
            cursor.execute((head + ", ".join(places)).encode(), values)


def _batches(
    cursor: psycopg.RawCursor[tuple[object, ...]], stack: ExitStack, what: str, more: bytes, batch_size: int
) -> Generator[list[tuple[object, ...]], None, None]:
    with stack:
        while True:
            with _errors(what):
                rows = cursor.fetchmany(batch_size)
                if not rows and more:
                    cursor.execute(more)
                    rows = cursor.fetchall()
            if not rows:
                return
            yield rows


def _literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


@contextmanager
def _errors(what: str) -> Iterator[None]:
    """Turn the driver's errors into ours; `what` says what was being done."""
    try:
        yield
    except psycopg.Error as error:
        found = error.diag
        parts = [found.message_primary or str(error), found.message_detail, found.message_hint]
        message = ". ".join([" ".join(part.split()).rstrip(".") for part in parts if part])
        kind = (
            ConnectionLost if error.sqlstate is None and isinstance(error, psycopg.OperationalError) else DatabaseError
        )
        raise kind(f"Redshift refused {what}: {message}.") from error
