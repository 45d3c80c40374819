"""MySQL and MariaDB: LOAD DATA to write, the wire's own text to read, TIMESTAMP in UTC.

A session's sql_mode is the server's own and strict: a value that does not fit its column is an error. Zero dates
(`0000-00-00`) are allowed, since they are there. A statement that makes or changes a table ends the transaction
before it (MySQL commits); what follows is a transaction of its own. So a script that fails later leaves the table,
and not its rows.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from types import TracebackType
from typing import BinaryIO, Final, Self

from penstock.data.databases import mysql_insert, mysql_load, mysql_tables, mysql_text, mysql_transactions, mysql_unload
from penstock.data.databases.address import Address, Dialect
from penstock.data.databases.mysql_connection import Column, MysqlConnection, Result
from penstock.data.databases.mysql_errors import errors
from penstock.data.databases.mysql_rows import batches_of
from penstock.data.databases.mysql_tables import Table, TableColumn
from penstock.data.databases.mysql_values import loses_digits
from penstock.data.databases.rows import DatabaseError, Records, Row, TextNotTaken
from penstock.data.databases.scripts import StatementProgress, check_arguments, script_transaction, with_arguments
from penstock.data.databases.statements import Statement, one_statement, split_script
from penstock.data.databases.tables import create_table, no_table
from penstock.data.formats import Format

_QUERIES = (("SELECT",), ("WITH",), ("VALUES",), ("TABLE",))
_SECONDS_TO_WAIT = 60


class MysqlDatabase:
    """A connection to MySQL or MariaDB. See `Database`."""

    dialect: Final[Dialect] = "mysql"

    def __init__(self, address: Address) -> None:
        self._address = address
        self._zeros = dict(address.options).get("zero_dates", "")
        with errors(f"the settings of a connection to {address}"):
            self._connection = MysqlConnection(address)
            ((taken, packet),) = self._connection.query("SELECT @@local_infile, @@max_allowed_packet")
        self._takes_load = taken == "1"
        self._largest = min(int(packet or 1 << 20) - 1024, 1 << 20)

    def transaction(self) -> AbstractContextManager[None]:
        """What is done inside happens wholly or not at all, but for what makes and changes tables."""
        return mysql_transactions.transaction(self._connection)

    def execute_script(
        self, script: str, arguments: Sequence[str] = (), progress: StatementProgress | None = None
    ) -> None:
        """Run a script's statements in one transaction, as far as MySQL has one. See `Database`."""
        statements = split_script(script, self.dialect)
        check_arguments(statements, arguments)
        with script_transaction(
            statements,
            self.transaction,
            is_within=self._connection.in_transaction,
            is_open=lambda: self._connection.has_begun,
            undo=lambda: mysql_transactions.undo(self._connection),
        ):
            for statement, values in with_arguments(statements, arguments, progress):
                with errors(f"statement {statement.number} ({statement.first_line})"):
                    self._connection.run(mysql_insert.filled(statement, values))

    def select(self, query: str, *, batch_size: int = 2000) -> Records:
        """The rows of one query, as they come from the server."""
        statement = one_statement(query, self.dialect, "selectQuery")
        what = f"selectQuery ({statement.first_line})"
        prepared = None
        with errors(what):
            found = self._connection.prepare(statement.text) if statement.words[:1] in _QUERIES else None
            if found is not None:
                prepared, columns = found
                if not any(loses_digits(column) for column in columns):
                    self._connection.forget(prepared)
                    prepared = None
            if prepared is None:
                result = self._connection.result(statement.text)
            else:
                result = self._connection.execute(prepared)
        if result is None:
            raise DatabaseError(f"{what} gives no rows. Write a SELECT.")
        names = tuple([column.name for column in result.columns])
        return Records(names, self._batches(result, prepared, what, batch_size))

    def select_table(self, table: str, schema: str | None = None, *, batch_size: int = 2000) -> Records:
        """All rows of a table."""
        return self.select(self.table_query(table, schema), batch_size=batch_size)

    def table_query(self, table: str, schema: str | None = None) -> str:
        """The query that gives all rows of a table."""
        return f"SELECT * FROM {self._found(table, schema).quoted}"  # noqa: S608

    def insert(self, query: str, batches: Iterable[Sequence[Row]]) -> int:
        """Run the statement for each row, in one transaction; a plain INSERT of values goes through LOAD DATA."""
        statement = one_statement(query, self.dialect, "insertQuery")
        target = f"insertQuery ({statement.first_line})"
        with self.transaction():
            plain = mysql_insert.plain_insert(statement)
            if plain is not None and self._takes_load:
                found = mysql_tables.find(self._connection, plain.table, None)
                columns = None if found is None else plain.among(mysql_tables.columns_of(self._connection, found))
                if found is not None and columns is not None:
                    return mysql_load.load_rows(self._connection, found.quoted, columns, batches, target)
            return mysql_insert.insert_rows(self._connection, statement, batches, self._largest, target)

    def insert_into(
        self,
        table: str,
        schema: str | None,
        columns: Sequence[str] | None,
        batches: Iterable[Sequence[Row]],
    ) -> int:
        """Insert rows into a table, in one transaction, through LOAD DATA where the server allows it."""
        with self.transaction():
            found = self._found(table, schema)
            chosen = self._columns(found, columns)
            target = f"the table {table}"
            if self._takes_load:
                return mysql_load.load_rows(self._connection, found.quoted, chosen, batches, target)
            names = ", ".join([column.name for column in chosen])
            places = ", ".join("?" * len(chosen))
            insert = f"INSERT INTO {found.quoted} ({names}) VALUES ({places})"  # noqa: S608
            statement = one_statement(insert, self.dialect, "INSERT")
            return mysql_insert.insert_rows(self._connection, statement, batches, self._largest, target)

    def takes(self, format: Format) -> bool:
        """Whether LOAD DATA can be given this format, and the text of rows be made in it in bulk."""
        return mysql_text.takes(format)

    def load_text(
        self, table: str, schema: str | None, columns: Sequence[str] | None, format: Format, stream: BinaryIO
    ) -> int:
        """Load a text by LOAD DATA LOCAL. See `Database`."""
        if not self._takes_load:
            raise TextNotTaken("The server's local_infile is off.")
        with self.transaction():
            found = self._found(table, schema)
            chosen = self._columns(found, columns)
            target = f"the table {table}"
            return mysql_load.load_text(self._connection, found.quoted, chosen, format, stream, target)

    def unload_text(self, query: str, format: Format, stream: BinaryIO) -> int:
        """Unload a query from the wire, without a look at its values. See `Database`."""
        statement = one_statement(query, self.dialect, "selectQuery")
        what = f"selectQuery ({statement.first_line})"
        with errors(what):
            described = self._described(statement)
            return mysql_unload.unload(self._connection, statement.text, described, self._zeros, format, stream, what)

    def describe(self, query: str) -> tuple[tuple[str, str], ...]:
        """The columns of a query, without types. See `Database`."""
        statement = one_statement(query, self.dialect, "selectQuery")
        with errors(f"selectQuery ({statement.first_line})"):
            columns = self._described(statement)
        if columns is None:
            raise TextNotTaken(f"{statement.first_line} is no query that is described before it runs.")
        return tuple([(column.name, "") for column in columns])

    def table_exists(self, table: str, schema: str | None = None) -> bool:
        """Whether there is a table or view of this name; a schema is a database here."""
        return mysql_tables.find(self._connection, table, schema) is not None

    def table_columns(self, table: str, schema: str | None = None) -> tuple[tuple[str, str], ...]:
        """The columns of a table, each (name, type). See `Database`."""
        columns = self._columns(self._found(table, schema), None)
        return tuple([(column.name[1:-1].replace("``", "`"), column.full_type.upper()) for column in columns])

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
        with errors("the lock for createTableSql"):
            ((got,),) = self._connection.query("SELECT GET_LOCK('penstock.create_table', %s)", (_SECONDS_TO_WAIT,))
        if got != "1":
            raise DatabaseError(f"Another process has been making a table for {_SECONDS_TO_WAIT} seconds. Try again.")
        try:
            yield
        finally:
            with suppress(Exception):
                self._connection.query("SELECT RELEASE_LOCK('penstock.create_table')")

    def _described(self, statement: Statement) -> tuple[Column, ...] | None:
        """The columns of a query that has not run; None for what is not known before."""
        found = self._connection.prepare(statement.text) if statement.words[:1] in _QUERIES else None
        if found is None:
            return None
        prepared, columns = found
        self._connection.forget(prepared)
        return columns

    def _batches(
        self, result: Result, prepared: int | None, what: str, batch_size: int
    ) -> Generator[list[tuple[object, ...]], None, None]:
        with errors(what), closing(batches_of(self._connection, result, prepared, self._zeros, batch_size)) as batches:
            try:
                yield from batches
            except ValueError as error:
                raise DatabaseError(f"{what}: {error}.") from None

    def _columns(self, found: Table, names: Sequence[str] | None) -> list[TableColumn]:
        return mysql_tables.chosen(mysql_tables.columns_of(self._connection, found), names)

    def _found(self, table: str, schema: str | None) -> Table:
        found = mysql_tables.find(self._connection, table, schema)
        if found is None:
            raise no_table(table, schema, self._address)
        return found
