"""MySQL and MariaDB: LOAD DATA to write, the wire's own text to read, TIMESTAMP in UTC.

A session's sql_mode is the server's own and strict: a value that does not fit its column is an error. Zero dates
(`0000-00-00`) are allowed, since they are there. A statement that makes or changes a table ends the transaction
before it (MySQL commits); what follows is a transaction of its own. So a script that fails later leaves the table,
and not its rows.
"""

from __future__ import annotations

import io
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from types import TracebackType
from typing import BinaryIO, Final, Self

from penstock.data.databases import mysql_insert, mysql_load, mysql_text
from penstock.data.databases.address import Address, Dialect
from penstock.data.databases.mysql_connection import Column, Done, MysqlConnection, Result, errors, rows_of
from penstock.data.databases.mysql_rows import batches_of
from penstock.data.databases.mysql_tables import TableColumn, columns_of, find, quote
from penstock.data.databases.mysql_values import is_date, is_exact_text, loses_digits, text_of
from penstock.data.databases.rows import ConnectionLost, DatabaseError, Progress, Records, Row, TextNotTaken, of_width
from penstock.data.databases.statements import (
    Statement,
    StatementProgress,
    check_arguments,
    one_statement,
    refuse_own_transactions,
    split_script,
    with_arguments,
)
from penstock.data.formats import TSV, Format, FormatError, write_rows
from penstock.data.formats import Column as FormatColumn

_QUERIES = (("SELECT",), ("WITH",), ("VALUES",), ("TABLE",))
_SECONDS_TO_WAIT = 60
_ZERO_IS_ZERO = "SET @penstock_mode = @@sql_mode, sql_mode = CONCAT(@@sql_mode, ',NO_AUTO_VALUE_ON_ZERO')"
_RAGGED = frozenset((1261, 1262, 1300))
"""Rows with too few or too many columns and bytes that are no UTF-8: the reader of rows says it better."""


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

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """What is done inside happens wholly or not at all, but for what makes and changes tables."""
        if self._connection.in_transaction:
            yield
            return
        with errors("the transaction"):
            self._connection.run("SET autocommit = 0")
        try:
            yield
            try:
                with errors("COMMIT"):
                    self._connection.run("COMMIT")
            except ConnectionLost as error:
                raise DatabaseError(
                    "The connection was lost during COMMIT, and MySQL cannot be asked whether that was done, so nothing"
                    " is tried again. Look whether the rows are there, and run it again if they are not."
                    f" {error}"
                ) from error
        except BaseException as error:
            self._roll_back(error)
            raise
        finally:
            with suppress(Exception):
                self._connection.run("SET autocommit = 1")

    def execute_script(
        self, script: str, arguments: Sequence[str] = (), progress: StatementProgress | None = None
    ) -> None:
        """Run a script's statements in one transaction, as far as MySQL has one. See `Database`."""
        statements = split_script(script, self.dialect)
        check_arguments(statements, arguments)
        within = self._connection.in_transaction
        if within:
            refuse_own_transactions(statements)
        if within or len(statements) < 2 or any(statement.controls_transaction for statement in statements):
            self._run_by_themselves(statements, arguments, progress, within=within)
        else:
            with self.transaction():
                self._run(statements, arguments, progress)

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
        return f"SELECT * FROM {self._name(self._found(table, schema))}"  # noqa: S608

    def insert(self, query: str, batches: Iterable[Sequence[Row]]) -> int:
        """Run the statement for each row, in one transaction; a plain INSERT of values goes through LOAD DATA."""
        statement = one_statement(query, self.dialect, "insertQuery")
        target = f"insertQuery ({statement.first_line})"
        with self.transaction():
            plain = mysql_insert.plain_insert(statement)
            if plain is not None and self._takes_load:
                found = self._find(plain.table, None)
                columns = None if found is None else plain.among(columns_of(self._connection, found))
                if found is not None and columns is not None:
                    return self._load_rows(found, columns, batches, target)
            return self._run_for_each(statement, batches, target)

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
                return self._load_rows(found, chosen, batches, target)
            names = ", ".join([column.name for column in chosen])
            places = ", ".join("?" * len(chosen))
            insert = f"INSERT INTO {self._name(found)} ({names}) VALUES ({places})"  # noqa: S608
            return self._run_for_each(one_statement(insert, self.dialect, "INSERT"), batches, target)

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
            pieces = mysql_load.to_load(stream, format, len(chosen))
            return self._load(found, chosen, mysql_load.clauses(format), pieces, f"the table {table}")

    def unload_text(self, query: str, format: Format, stream: BinaryIO) -> int:
        """Unload a query from the wire, without a look at its values. See `Database`."""
        statement = one_statement(query, self.dialect, "selectQuery")
        what = f"selectQuery ({statement.first_line})"
        with errors(what):
            found = self._connection.prepare(statement.text) if statement.words[:1] in _QUERIES else None
            if found is not None:
                self._connection.forget(found[0])
            if found is None or not self._is_exact(found[1]):
                raise TextNotTaken(f"{what} has columns whose text must be made value by value.")
            if format.columns and len(format.columns) != len(found[1]):
                raise TextNotTaken("The format has other columns than the query.")
            result = self._connection.result(statement.text)
            assert result is not None  # what has columns gives rows
            if not self._is_exact(result.columns):
                raise TextNotTaken(f"{what} has columns whose text must be made value by value.")
            write_rows(stream, format, [], columns=[FormatColumn(column.name) for column in result.columns])
            maker = mysql_text.TextMaker(format, len(result.columns))
            rows = 0
            for chunk in rows_of(self._connection, result):
                try:
                    text = maker.text(chunk)
                except mysql_text.NotText:
                    raise DatabaseError(f"{what} gives text that is not UTF-8, after row {rows}.") from None
                stream.write(text if rows else text[1:])
                rows += len(chunk.starts)
            if rows:
                stream.write(format.record_separator.encode())
        return rows

    def describe(self, query: str) -> tuple[tuple[str, str], ...]:
        """The columns of a query, without types. See `Database`."""
        statement = one_statement(query, self.dialect, "selectQuery")
        with errors(f"selectQuery ({statement.first_line})"):
            found = self._connection.prepare(statement.text) if statement.words[:1] in _QUERIES else None
            if found is None:
                raise TextNotTaken(f"{statement.first_line} is no query that is described before it runs.")
            self._connection.forget(found[0])
        return tuple([(column.name, "") for column in found[1]])

    def table_exists(self, table: str, schema: str | None = None) -> bool:
        """Whether there is a table or view of this name; a schema is a database here."""
        return self._find(table, schema) is not None

    def table_columns(self, table: str, schema: str | None = None) -> tuple[tuple[str, str], ...]:
        """The columns of a table, each (name, type). See `Database`."""
        columns = self._columns(self._found(table, schema), None)
        return tuple([(column.name[1:-1].replace("``", "`"), column.full_type.upper()) for column in columns])

    def create_table(self, sql: str, table: str, schema: str | None = None) -> None:
        """Run a createTableSql if the table is missing; of two at once, the second waits for the first."""
        if self.table_exists(table, schema):
            return
        with errors("the lock for createTableSql"):
            ((got,),) = self._connection.query("SELECT GET_LOCK('penstock.create_table', %s)", (_SECONDS_TO_WAIT,))
        if got != "1":
            raise DatabaseError(f"Another process has been making a table for {_SECONDS_TO_WAIT} seconds. Try again.")
        try:
            if not self.table_exists(table, schema):
                self.execute_script(sql)
                if not self.table_exists(table, schema):
                    raise DatabaseError(
                        f"createTableSql ran, but there is still no table {table}. Correct the name in one of them."
                    )
        finally:
            with suppress(Exception):
                self._connection.query("SELECT RELEASE_LOCK('penstock.create_table')")

    def close(self) -> None:
        """End the connection; an open transaction is undone."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()

    def _roll_back(self, error: BaseException) -> None:
        """Undo the transaction; a table of an engine without transactions keeps its rows, which the error then says."""
        try:
            done = self._connection.run("ROLLBACK")
        except Exception:
            return  # the connection is lost, and the server undoes it
        if done.warnings and isinstance(error, DatabaseError):
            kept = "What was written to tables whose engine has no transactions (such as MyISAM) is still there"
            raise type(error)(f"{error} {kept}.") from error

    def _run(
        self, statements: Sequence[Statement], arguments: Sequence[str], progress: StatementProgress | None
    ) -> None:
        for statement, values in with_arguments(statements, arguments, progress):
            with errors(f"statement {statement.number} ({statement.first_line})"):
                self._connection.run(mysql_insert.filled(statement, values))

    def _run_by_themselves(
        self,
        statements: Sequence[Statement],
        arguments: Sequence[str],
        progress: StatementProgress | None,
        *,
        within: bool,
    ) -> None:
        """Run statements that need, or bring, their own transactions."""
        try:
            self._run(statements, arguments, progress)
            if not within and self._connection.has_begun:
                raise DatabaseError("The script begins a transaction that it does not end. Add COMMIT.")
        finally:
            if not within and self._connection.in_transaction:
                with suppress(Exception):
                    self._connection.run("ROLLBACK")
                    self._connection.run("SET autocommit = 1")

    def _run_for_each(self, statement: Statement, batches: Iterable[Sequence[Row]], target: str) -> int:
        progress = Progress()
        for batch in of_width(batches, statement.placeholders, target, progress):
            position = 0
            for text, count in mysql_insert.filled_for_rows(statement, batch, self._largest, progress.rows, target):
                first = progress.rows + position + 1
                position += count
                with mysql_insert.row_errors(first, count, target):
                    done = self._connection.run(text)
                if done.warnings and "IGNORE" not in statement.words:
                    self._check_warnings(done, f"rows {first} to {first + count - 1} for {target}", first)
        return progress.rows

    def _load_rows(
        self, found: tuple[str, str], columns: Sequence[TableColumn], batches: Iterable[Sequence[Row]], target: str
    ) -> int:
        progress = Progress()
        numbers = [column.is_number for column in columns]

        def pieces() -> Iterator[bytes]:
            for batch in of_width(batches, len(columns), target, progress):
                kinds = {type(value) for row in batch for value in row}
                if bool in kinds or datetime in kinds:
                    batch = [[_plain(*pair) for pair in zip(row, numbers, strict=True)] for row in batch]
                stream = io.BytesIO()
                try:
                    write_rows(stream, TSV(), [batch], first_row=progress.rows + 1)
                except FormatError as error:
                    raise DatabaseError(f"MySQL cannot take a row for {target}. {error}") from error
                yield stream.getvalue()

        self._load(found, columns, mysql_load.clauses(TSV()), pieces(), target)
        return progress.rows

    def _load(
        self, found: tuple[str, str], columns: Sequence[TableColumn], how: str, pieces: Iterable[bytes], target: str
    ) -> int:
        places, changes = [], []
        for number, column in enumerate(columns):
            made = column.from_text(f"@penstock{number}")
            places.append(f"@penstock{number}" if made else column.name)
            if made:
                changes.append(f"{column.name} = {made}")
        load = (
            f"LOAD DATA LOCAL INFILE 'penstock' INTO TABLE {self._name(found)} CHARACTER SET utf8mb4 {how}"
            f" ({', '.join(places)})" + (f" SET {', '.join(changes)}" if changes else "")
        )
        with errors(target):
            self._connection.run(_ZERO_IS_ZERO)
            try:
                done = self._connection.load(load, pieces)
                if done.warnings:
                    self._check_warnings(done, target)
            finally:
                with suppress(Exception):
                    self._connection.run("SET sql_mode = @penstock_mode")
        return done.rows

    def _check_warnings(self, done: Done, target: str, first_row: int = 1) -> None:
        """Raise what the server only warns of: a value that it changed, a row that it left out."""
        rows = self._connection.query("SHOW WARNINGS LIMIT 64")
        for _, code, message in rows:
            if int(code or 0) in _RAGGED:
                raise TextNotTaken(f"MySQL refused {target}: {message}.")
            if mysql_insert.changes_data(int(code or 0)):
                more = f" (and {done.warnings - 1} more)" if done.warnings > 1 else ""
                raise DatabaseError(f"MySQL refused {target}: {mysql_insert.with_row(str(message), first_row)}{more}.")

    def _batches(
        self, result: Result, prepared: int | None, what: str, batch_size: int
    ) -> Generator[list[tuple[object, ...]], None, None]:
        with errors(what), closing(batches_of(self._connection, result, prepared, self._zeros, batch_size)) as batches:
            try:
                yield from batches
            except ValueError as error:
                raise DatabaseError(f"{what}: {error}.") from None

    def _is_exact(self, columns: Sequence[Column]) -> bool:
        if self._zeros and any(is_date(column) for column in columns):
            return False
        return bool(columns) and all(is_exact_text(column) for column in columns)

    def _columns(self, found: tuple[str, str], names: Sequence[str] | None) -> list[TableColumn]:
        with errors(f"reading the columns of {found[1]}"):
            columns = columns_of(self._connection, found)
        if names is None:
            return columns
        known = {column.name.lower(): column for column in columns}
        return [known.get(quote(name).lower(), TableColumn(quote(name), "", "")) for name in names]

    def _found(self, table: str, schema: str | None) -> tuple[str, str]:
        found = self._find(table, schema)
        if found is None:
            where = f"the database {schema} of {self._address}" if schema else str(self._address)
            raise DatabaseError(f"There is no table {table} in {where}. Give createTableSql, or make it before.")
        return found

    def _find(self, table: str, schema: str | None) -> tuple[str, str] | None:
        with errors(f"looking for the table {table}"):
            return find(self._connection, table, schema)

    def _name(self, found: tuple[str, str]) -> str:
        return f"{quote(found[0])}.{quote(found[1])}"


def _plain(value: object, is_number: bool) -> object:
    if type(value) is bool and is_number:
        return "1" if value else "0"
    return text_of(value) if isinstance(value, datetime) else value
