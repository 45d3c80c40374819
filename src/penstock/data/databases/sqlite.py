"""SQLite: a file that several processes may use at once, each waiting up to 60 seconds for the others."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

from penstock.data.databases.address import Address, Dialect
from penstock.data.databases.rows import (
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
from penstock.data.databases.statements import Statement, one_statement, split_script
from penstock.data.databases.tables import create_table, no_table
from penstock.data.formats import Format
from penstock.data.values import to_text

_SECONDS_TO_WAIT = 60
_AS_IT_IS = frozenset((str, bytes, type(None)))


class SqliteDatabase:
    """A connection to a SQLite file. See `Database`."""

    dialect: Final[Dialect] = "sqlite"

    def __init__(self, address: Address) -> None:
        self._address = address
        path = Path(address.database)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                path, timeout=_SECONDS_TO_WAIT, isolation_level=None, check_same_thread=False
            )
        except (sqlite3.Error, OSError) as error:
            raise DatabaseError(f"Cannot open {address}: {error}.") from None
        try:
            if self._connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
                self._use_write_ahead_log()
        except sqlite3.Error as error:
            self._connection.close()
            raise DatabaseError(f"Cannot open {address}: {error}.") from None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """What is done inside happens wholly or not at all; it holds the file's one write lock."""
        if self._connection.in_transaction:
            yield
            return
        with _errors("BEGIN IMMEDIATE"):
            self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            with _errors("COMMIT"):
                self._connection.execute("COMMIT")
        except BaseException:
            self._undo()
            raise

    def execute_script(
        self, script: str, arguments: Sequence[str] = (), progress: StatementProgress | None = None
    ) -> None:
        """Run a script's statements in one transaction. See `Database`."""
        statements = split_script(script, self.dialect)
        check_arguments(statements, arguments)
        with script_transaction(
            statements,
            self.transaction,
            is_within=self._connection.in_transaction,
            is_open=lambda: self._connection.in_transaction,
            undo=self._undo,
        ):
            for statement, values in with_arguments(statements, arguments, progress):
                with _errors(f"statement {statement.number} ({statement.first_line})"):
                    for _ in self._connection.execute(statement.text, values):
                        pass  # a SELECT may call functions, and must run to its end

    def select(self, query: str, *, batch_size: int = 2000) -> Records:
        """The rows of one query, fetched as they are asked for."""
        statement = one_statement(query, self.dialect, "selectQuery")
        with _errors(f"selectQuery ({statement.first_line})"):
            cursor = self._connection.execute(statement.text)
        if cursor.description is None:
            raise DatabaseError(f"selectQuery ({statement.first_line}) gives no rows. Write a SELECT.")
        return Records(tuple(column[0] for column in cursor.description), _batches(cursor, statement, batch_size))

    def select_table(self, table: str, schema: str | None = None, *, batch_size: int = 2000) -> Records:
        """All rows of a table."""
        return self.select(self.table_query(table, schema), batch_size=batch_size)

    def table_query(self, table: str, schema: str | None = None) -> str:
        """The query that gives all rows of a table."""
        return f"SELECT * FROM {quote(self._found(table, schema))}"  # noqa: S608

    def insert(self, query: str, batches: Iterable[Sequence[Row]]) -> int:
        """Run the statement for each row, in one transaction; returns how many rows."""
        statement = one_statement(query, self.dialect, "insertQuery")
        return self._insert(statement, batches, f"insertQuery ({statement.first_line})")

    def insert_into(
        self,
        table: str,
        schema: str | None,
        columns: Sequence[str] | None,
        batches: Iterable[Sequence[Row]],
    ) -> int:
        """Insert rows into a table, in one transaction."""
        found = self._found(table, schema)
        if columns is None:
            columns = [name for name, _ in self.table_columns(table, schema)]
        names = ", ".join([quote(column) for column in columns])
        places = ", ".join("?" * len(columns))
        statement = one_statement(
            f"INSERT INTO {quote(found)} ({names}) VALUES ({places})",  # noqa: S608
            self.dialect,
            "INSERT",
        )
        return self._insert(statement, batches, f"the table {table}")

    def takes(self, format: Format) -> bool:
        """Never: the library has no bulk load or unload of text."""
        return False

    def load_text(
        self, table: str, schema: str | None, columns: Sequence[str] | None, format: Format, stream: BinaryIO
    ) -> int:
        """Refused; see `takes`."""
        raise TextNotTaken("SQLite has no bulk load of text.")

    def unload_text(self, query: str, format: Format, stream: BinaryIO) -> int:
        """Refused; see `takes`."""
        raise TextNotTaken("SQLite has no bulk unload of text.")

    def describe(self, query: str) -> tuple[tuple[str, str], ...]:
        """Refused; see `takes`."""
        raise TextNotTaken("SQLite has no bulk unload of text.")

    def table_exists(self, table: str, schema: str | None = None) -> bool:
        """Whether there is a table or view of this name; letter case does not matter."""
        return self._name(table, schema) is not None

    def table_columns(self, table: str, schema: str | None = None) -> tuple[tuple[str, str], ...]:
        """The columns of a table, each (name, type). See `Database`."""
        found = self._found(table, schema)
        with _errors(f"reading the columns of {table}"):
            rows = self._connection.execute("SELECT name, type, hidden FROM pragma_table_xinfo(?)", (found,))
            return tuple([(name, kind.upper()) for name, kind, hidden in rows if not hidden])

    def create_table(self, sql: str, table: str, schema: str | None = None) -> None:
        """Run a createTableSql if the table is missing; two processes may do so at once."""
        create_table(self, sql, table, schema, self.transaction)

    def close(self) -> None:
        """End the connection; an open transaction is undone."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()

    def _use_write_ahead_log(self) -> None:
        # Another process that opens the new file at this moment sets it for both of us.
        with suppress(sqlite3.OperationalError):
            self._connection.execute("PRAGMA journal_mode = WAL")

    def _undo(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _insert(self, statement: Statement, batches: Iterable[Sequence[Row]], target: str) -> int:
        progress = Progress()
        position = 0

        def counted(batch: Sequence[Row]) -> Iterator[Row]:
            nonlocal position
            for position, row in enumerate(_bindable(batch), progress.rows + 1):  # noqa: B007
                yield row

        with self.transaction():
            for batch in of_width(batches, statement.placeholders, target, progress):
                with _errors(lambda: f"row {position} for {target}"):
                    self._connection.executemany(statement.text, counted(batch))
        return progress.rows

    def _found(self, table: str, schema: str | None) -> str:
        name = self._name(table, schema)
        if name is None:
            raise no_table(table, None, self._address)
        return name

    def _name(self, table: str, schema: str | None) -> str | None:
        """The name of a table or view as it was created."""
        written_schema, name, _ = name_parts(table, schema)
        if written_schema is not None and written_schema.lower() != "main":
            raise DatabaseError(f"SQLite has no schemas, so not '{written_schema}' either. Remove schemaName.")
        with _errors(f"looking for the table {table}"):
            row = self._connection.execute(
                "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name = ? COLLATE NOCASE",
                (name,),
            ).fetchone()
        return None if row is None else str(row[0])


def _batches(
    cursor: sqlite3.Cursor, statement: Statement, batch_size: int
) -> Generator[list[tuple[object, ...]], None, None]:
    try:
        while True:
            with _errors(f"selectQuery ({statement.first_line})"):
                rows = cursor.fetchmany(batch_size)
            if not rows:
                return
            yield rows
    finally:
        with suppress(sqlite3.ProgrammingError):  # the connection may be closed already
            cursor.close()


def _bindable(batch: Sequence[Row]) -> Iterable[Row]:
    """The rows with values that SQLite can hold: numbers, text, bytes, NULL; anything else as its text."""
    if {type(value) for row in batch for value in row} <= _AS_IT_IS:
        return batch
    return ([_bound(value) for value in row] for row in batch)


def _bound(value: object) -> object:
    kind = type(value)
    if kind in _AS_IT_IS:
        return value
    if kind is bool or (kind is int and -(2**63) <= value < 2**63):  # type: ignore[operator]
        return value
    if kind is float and value == value:  # SQLite would make NaN NULL
        return value
    return bytes(value) if isinstance(value, bytearray | memoryview) else to_text(value)


@contextmanager
def _errors(what: object) -> Iterator[None]:
    """Turn SQLite's errors into ours; `what` says what was being done, or is called to say it."""
    try:
        yield
    except (sqlite3.Error, sqlite3.Warning, TypeError, UnicodeError) as error:
        raise DatabaseError(f"SQLite refused {what() if callable(what) else what}: {error}.") from error
