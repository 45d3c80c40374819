"""DuckDB: a file that one process at a time may use; others wait up to 60 seconds for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

import duckdb

from penstock.data.databases.address import Address, Dialect
from penstock.data.databases.duckdb_errors import errors, one_line
from penstock.data.databases.duckdb_load import load
from penstock.data.databases.duckdb_tables import Table, find, plain_insert
from penstock.data.databases.duckdb_types import readable
from penstock.data.databases.rows import DatabaseError, Progress, Records, Row, TextNotTaken, of_width
from penstock.data.databases.scripts import StatementProgress, check_arguments, script_transaction, with_arguments
from penstock.data.databases.statements import Statement, one_statement, split_script
from penstock.data.databases.tables import create_table, no_table
from penstock.data.formats import Format
from penstock.data.values import to_text

_SECONDS_TO_WAIT = 60.0
_PAUSE = 0.1
_AS_IT_IS = frozenset((str, bytes, type(None)))
_QUERIES = ("SELECT", "WITH", "VALUES", "TABLE", "FROM")

_locks: dict[str, threading.RLock] = {}
_locks_lock = threading.Lock()


class DuckdbDatabase:
    """A connection to a DuckDB file. See `Database`.

    Transactions of the threads of one process come one after the other, since DuckDB would refuse the second of two
    that change the same.
    """

    dialect: Final[Dialect] = "duckdb"

    def __init__(self, address: Address) -> None:
        self._address = address
        path = Path(address.database)
        with _locks_lock:
            self._lock = _locks.setdefault(str(path), threading.RLock())
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = _connect(path)
            self._connection.execute("SET TimeZone = 'UTC'")
        except (duckdb.Error, OSError) as error:
            raise DatabaseError(f"Cannot open {address}: {one_line(error)}") from None
        self._is_in_transaction = False

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """What is done inside happens wholly or not at all."""
        if self._is_in_transaction:
            yield
            return
        with self._lock:
            self._control("BEGIN")
            try:
                yield
                self._control("COMMIT")
            except BaseException:
                self._undo()
                raise

    def execute_script(
        self, script: str, arguments: Sequence[str] = (), progress: StatementProgress | None = None
    ) -> None:
        """Run a script's statements in one transaction. See `Database`."""
        statements = split_script(script, self.dialect)
        check_arguments(statements, arguments)
        with (
            self._lock,
            script_transaction(
                statements,
                self.transaction,
                is_within=self._is_in_transaction,
                is_open=lambda: self._is_in_transaction,
                undo=self._undo,
            ),
        ):
            for statement, values in with_arguments(statements, arguments, progress):
                with errors(f"statement {statement.number} ({statement.first_line})"):
                    self._run(statement, values)

    def select(self, query: str, *, batch_size: int = 2000) -> Records:
        """The rows of one query, fetched as they are asked for."""
        statement = one_statement(query, self.dialect, "selectQuery")
        what = f"selectQuery ({statement.first_line})"
        text = statement.numbered()
        convert: Sequence[Callable[[object], object] | None] = ()
        with errors(what):
            if statement.words[:1] and statement.words[0] in _QUERIES:
                text, columns, convert = readable(self._connection, text)
                result = self._connection.execute(text)
            else:
                result = self._connection.execute(text)
                columns = tuple(column[0] for column in result.description or ())
                if not columns or columns == ("Count",) or not result.description:
                    raise DatabaseError(f"{what} gives no rows. Write a SELECT.")
        return Records(columns, _batches(result, what, batch_size, convert))

    def select_table(self, table: str, schema: str | None = None, *, batch_size: int = 2000) -> Records:
        """All rows of a table."""
        return self.select(self.table_query(table, schema), batch_size=batch_size)

    def table_query(self, table: str, schema: str | None = None) -> str:
        """The query that gives all rows of a table."""
        return f"SELECT * FROM {self._found(table, schema).name}"  # noqa: S608

    def insert(self, query: str, batches: Iterable[Sequence[Row]]) -> int:
        """Run the statement for each row, in one transaction; a plain INSERT of values goes in bulk."""
        statement = one_statement(query, self.dialect, "insertQuery")
        target = f"insertQuery ({statement.first_line})"
        with self.transaction():
            plain = plain_insert(self._connection, statement)
            if plain is not None:
                return load(self._connection, *plain, batches, target)
            return self._run_for_each(statement, batches, target)

    def insert_into(
        self,
        table: str,
        schema: str | None,
        columns: Sequence[str] | None,
        batches: Iterable[Sequence[Row]],
    ) -> int:
        """Insert rows into a table in bulk, in one transaction."""
        with self.transaction():
            found = self._found(table, schema)
            names = [name for name, _ in found.columns] if columns is None else list(columns)
            return load(self._connection, found, names, batches, f"the table {table}")

    def takes(self, format: Format) -> bool:
        """Never: DuckDB's CSV reader sees other rows where lines or quotes are not as it expects them."""
        return False

    def load_text(
        self, table: str, schema: str | None, columns: Sequence[str] | None, format: Format, stream: BinaryIO
    ) -> int:
        """Refused; see `takes`."""
        raise TextNotTaken("DuckDB's bulk load of text is not exact.")

    def unload_text(self, query: str, format: Format, stream: BinaryIO) -> int:
        """Refused; see `takes`."""
        raise TextNotTaken("DuckDB's bulk unload of text is not exact.")

    def describe(self, query: str) -> tuple[tuple[str, str], ...]:
        """Refused; see `takes`."""
        raise TextNotTaken("DuckDB's bulk unload of text is not exact.")

    def table_exists(self, table: str, schema: str | None = None) -> bool:
        """Whether there is a table or view of this name; letter case does not matter."""
        return find(self._connection, table, schema) is not None

    def table_columns(self, table: str, schema: str | None = None) -> tuple[tuple[str, str], ...]:
        """The columns of a table, each (name, type). See `Database`."""
        return self._found(table, schema).columns

    def create_table(self, sql: str, table: str, schema: str | None = None) -> None:
        """Run a createTableSql if the table is missing; two threads may do so at once."""
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

    def _control(self, command: str) -> None:
        with errors(command):
            self._connection.execute(command)
        self._is_in_transaction = command == "BEGIN"

    def _undo(self) -> None:
        if self._is_in_transaction:
            self._is_in_transaction = False
            with suppress(duckdb.Error):  # a COMMIT that failed has ended the transaction
                self._connection.execute("ROLLBACK")

    def _run(self, statement: Statement, values: Sequence[str]) -> None:
        result = self._connection.execute(statement.numbered(), list(values) or None)
        while result.fetchmany(2000):
            pass  # the rows are nobody's, and there may be many of them
        if statement.controls_transaction:
            self._is_in_transaction = statement.words[0] in ("BEGIN", "START")

    def _run_for_each(self, statement: Statement, batches: Iterable[Sequence[Row]], target: str) -> int:
        progress = Progress()
        query = statement.numbered()
        for batch in of_width(batches, statement.placeholders, target, progress):
            with errors(f"rows {progress.rows + 1} to {progress.rows + len(batch)} for {target}"):
                if batch:
                    self._connection.executemany(query, [[_bound(value) for value in row] for row in batch])
        return progress.rows

    def _found(self, table: str, schema: str | None) -> Table:
        found = find(self._connection, table, schema)
        if found is None:
            raise no_table(table, schema, self._address)
        return found


def _connect(path: Path) -> duckdb.DuckDBPyConnection:
    """Open the file; while another process has it, wait for that."""
    end = time.monotonic() + _SECONDS_TO_WAIT
    while True:
        try:
            return duckdb.connect(str(path))
        except duckdb.IOException as error:
            if "lock on file" not in str(error):
                raise
            if time.monotonic() > end:
                raise OSError(
                    f"another process has used it for {_SECONDS_TO_WAIT:.0f} seconds, and DuckDB lets in one at a time."
                    f" Wait for that, or use PostgreSQL. {error}"
                ) from None
        time.sleep(_PAUSE)


def _bound(value: object) -> object:
    return value if type(value) in _AS_IT_IS else to_text(value)


def _batches(
    result: duckdb.DuckDBPyConnection,
    what: str,
    batch_size: int,
    convert: Sequence[Callable[[object], object] | None],
) -> Generator[list[tuple[object, ...]], None, None]:
    changes = any(convert)
    while True:
        with errors(what):
            rows = result.fetchmany(batch_size)
        if not rows:
            return
        if changes:
            rows = [
                tuple(
                    [
                        value if change is None or value is None else change(value)
                        for value, change in zip(row, convert, strict=True)
                    ]
                )
                for row in rows
            ]
        yield rows
