"""PostgreSQL: server-side cursors to read, COPY and pipelines to write, times in UTC."""

from __future__ import annotations

import re
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from itertools import chain, islice
from types import TracebackType
from typing import BinaryIO, Final, Self

import psycopg
from psycopg import capabilities
from psycopg.pq import TransactionStatus

from penstock.data.databases import postgresql_binary, postgresql_text, postgresql_unload
from penstock.data.databases.address import Address, Dialect
from penstock.data.databases.postgresql_errors import errors, one_line
from penstock.data.databases.postgresql_insert import insert_rows
from penstock.data.databases.postgresql_types import choose_types, declared_type
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
    unquoted,
)
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

_NAME = r'(?:[^\W\d][\w$]*|"(?:[^"]|"")+")'
_PLAIN_INSERT = re.compile(
    rf"INSERT\s+INTO\s+(?P<table>{_NAME}(?:\s*\.\s*{_NAME})?)\s*"
    rf"(?:\(\s*(?P<columns>{_NAME}(?:\s*,\s*{_NAME})*)\s*\)\s*)?"
    r"VALUES\s*\(\s*\?(?:\s*,\s*\?)*\s*\)",
    re.IGNORECASE,
)
_FIND_TABLE = """
SELECT n.nspname, c.relname FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relname IN ($1, $2)
  AND CASE WHEN $3::text IS NULL THEN pg_catalog.pg_table_is_visible(c.oid)
      ELSE n.nspname IN ($3, lower($3)) END
ORDER BY c.relname = $1 DESC, n.nspname = $3 DESC LIMIT 1"""
_TAKES_COPY = """
SELECT relkind IN ('r', 'p') AND NOT relhasrules AND NOT pg_catalog.row_security_active(oid)
FROM pg_catalog.pg_class WHERE oid = pg_catalog.to_regclass($1)"""
_COLUMNS = """
SELECT attname FROM pg_catalog.pg_attribute
WHERE attrelid = pg_catalog.to_regclass($1) AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
ORDER BY attnum"""
_IS_PLAIN = """
SELECT c.relkind = 'r' AND count(*) = 1 FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_class other ON other.relnamespace = c.relnamespace AND lower(other.relname) = lower(c.relname)
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = pg_catalog.to_regclass($1) AND c.relpersistence <> 't'
AND (SELECT count(*) = 1 FROM pg_catalog.pg_namespace same WHERE lower(same.nspname) = lower(n.nspname))
GROUP BY c.relkind"""
_TRANSACTION = "SELECT pg_catalog.txid_current_if_assigned()::text"
_COMMITTED = "SELECT pg_catalog.txid_status($1::text::bigint)"
_TYPES = """
SELECT attname, pg_catalog.format_type(atttypid, atttypmod) FROM pg_catalog.pg_attribute
WHERE attrelid = pg_catalog.to_regclass($1) AND attnum > 0 AND NOT attisdropped"""
_SECONDS_TO_ASK = 20.0
_PAUSE = 0.2
_CREATE_LOCK = 0x70656E73746F636B
_ROWS_AT_ONCE = 2000
_BLOCK = 1 << 18


class PostgresqlDatabase:
    """A connection to PostgreSQL. See `Database`."""

    dialect: Final[Dialect] = "postgresql"

    def __init__(self, address: Address) -> None:
        self._address = address
        self._parameters: dict[str, str | None] = {
            "connect_timeout": "30",
            "application_name": "penstock",
            **dict(address.options),
            "host": address.host or None,
            "port": address.port or None,
            "dbname": address.database or None,
            "user": address.username,
            "password": address.password,
            "client_encoding": "utf8",
        }
        try:
            self._connection = self._connect()
            self._connection.server_cursor_factory = psycopg.RawServerCursor
            with errors("a connection"):
                self._connection.execute("SET datestyle TO ISO; SET bytea_output TO hex")
                if "timezone" not in dict(address.options).get("options", "").lower():
                    self._connection.execute("SET timezone TO 'UTC'")
        except psycopg.Error as error:
            raise DatabaseError(f"Cannot connect to {address}: {one_line(str(error))}") from None
        choose_types(self._connection)

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(
            **self._parameters,  # type: ignore[arg-type]
            autocommit=True,
            cursor_factory=psycopg.RawCursor,
        )

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """What is done inside happens wholly or not at all."""
        if self._connection.info.transaction_status != TransactionStatus.IDLE:
            yield
            return
        with errors("the transaction"):
            self._connection.execute("BEGIN")
        try:
            with errors("the transaction"):
                yield
        except BaseException:
            with suppress(psycopg.Error):  # the connection is lost, and the server undoes it
                self._connection.execute("ROLLBACK")
            raise
        self._commit()

    def _commit(self) -> None:
        """Commit; if the connection is lost meanwhile, another one asks whether the server has done it."""
        with errors("the transaction"):
            row = self._connection.execute(_TRANSACTION).fetchone()
        try:
            with errors("COMMIT"):
                self._connection.execute("COMMIT")
        except ConnectionLost as error:
            if row is None or row[0] is None:
                raise  # it has changed nothing
            if not self._is_committed(str(row[0]), error):
                raise

    def _is_committed(self, transaction: str, lost: ConnectionLost) -> bool:
        end = time.monotonic() + _SECONDS_TO_ASK
        status: str | None = None
        while time.monotonic() < end:
            with suppress(psycopg.Error), self._connect() as connection:
                row = connection.execute(_COMMITTED, (transaction,)).fetchone()
                status = str(row[0]) if row else None
                if status in ("committed", "aborted"):
                    return status == "committed"
            time.sleep(_PAUSE)
        raise DatabaseError(
            f"The connection was lost during COMMIT of the transaction {transaction}, and the server does not say"
            " whether that was done, so nothing is tried again. Look whether the rows are there, and run it again if"
            f" they are not. {lost}"
        ) from lost

    def execute_script(
        self, script: str, arguments: Sequence[str] = (), progress: StatementProgress | None = None
    ) -> None:
        """Run a script's statements in one transaction. See `Database`."""
        statements = split_script(script, self.dialect)
        check_arguments(statements, arguments)
        within = self._connection.info.transaction_status != TransactionStatus.IDLE
        if within:
            refuse_own_transactions(statements)
        if len(statements) < 2 or any(statement.controls_transaction for statement in statements):
            self._run_by_themselves(statements, arguments, progress, within=within)
        else:
            with self.transaction():
                self._run(statements, arguments, progress)

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
                if statement.words[:1] in (("SELECT",), ("WITH",), ("VALUES",), ("TABLE",)):
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
        plain = _PLAIN_INSERT.fullmatch(statement.text)
        with self.transaction():
            if plain is not None and self._takes_copy(plain["table"]):
                columns = plain["columns"] or ", ".join(self._columns(plain["table"])[: statement.placeholders])
                return self._copy_in(plain["table"], columns, statement.placeholders, batches, target)
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
            names = self._columns(found) if columns is None else [quote(column) for column in columns]
            target = f"the table {table}"
            if self._takes_copy(found):
                return self._copy_in(found, ", ".join(names), len(names), batches, target)
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
            found = self._found(table, schema)
            if not self._takes_copy(found):
                raise TextNotTaken(f"{table} is a view, or has rules or row security.")
            names = self._columns(found) if columns is None else [quote(column) for column in columns]
            copy = f"COPY {found} ({', '.join(names)}) FROM STDIN"
            pieces = postgresql_text.to_copy(stream, format, len(names))
            start = list(islice(pieces, 2))
            if len(start) == 2 and format.quote_char:  # below, to start DuckDB takes longer than it saves
                types = self._types(found, names)
                if postgresql_binary.takes(types) and postgresql_binary.is_available():
                    return self._load_binary(copy, types, format, chain(start, pieces), table)
            checked = postgresql_text.without_end_marks(chain(start, pieces), format)
            try:
                return self._load(f"{copy} {postgresql_text.options(format)}", checked, table, 0)
            except ConnectionLost:
                raise
            except DatabaseError as error:
                if not format.quote_char or ", row " not in str(error):
                    raise
                # COPY counts the line breaks in quotes, but for those before the first line's end
                raise TextNotTaken(str(error)) from error

    def _load(self, copy: str, pieces: Iterable[bytes], table: str, rows_before: int | None = None) -> int:
        """Run one COPY; with `rows_before` its lines are rows, after so many others."""
        with errors(f"the table {table}", rows_before), psycopg.RawCursor(self._connection) as cursor:
            with cursor.copy(copy.encode()) as target:
                for piece in pieces:
                    target.write(piece)
            return cursor.rowcount

    def _load_binary(self, copy: str, types: list[str], format: Format, pieces: Iterator[bytes], table: str) -> int:
        """Load pieces as binary values where they can be; the first as text, while DuckDB starts."""
        first = next(pieces)
        with postgresql_binary.BinaryMaker(types, format) as maker, maker.pieces(pieces) as made:
            rows = self._load_piece(copy, first, format, table)
            for piece in made:
                with piece.stream as stream:
                    if piece.is_binary:
                        blocks = iter(partial(stream.read, _BLOCK), b"")
                        rows += self._load(f"{copy} (FORMAT binary)", blocks, table, rows)
                    else:
                        rows += self._load_piece(copy, stream.read(), format, table)
        return rows

    def _load_piece(self, copy: str, piece: bytes, format: Format, table: str) -> int:
        blocks = postgresql_text.without_end_marks([piece], format)
        try:
            return self._load(f"{copy} {postgresql_text.options(format)}", blocks, table)
        except ConnectionLost:
            raise
        except DatabaseError as error:  # its lines are those of the piece
            raise TextNotTaken(str(error)) from error

    def column_types(self, table: str, schema: str | None, columns: Sequence[str] | None) -> list[str]:
        """The types that `load_binary` must have, as PostgreSQL writes them: `numeric(12,2)`; raises `TextNotTaken`."""
        found = self._found(table, schema)
        if not self._takes_copy(found):
            raise TextNotTaken(f"{table} is a view, or has rules or row security.")
        return self._types(found, self._columns(found) if columns is None else [quote(column) for column in columns])

    def load_binary(
        self, table: str, schema: str | None, columns: Sequence[str] | None, blocks: Iterable[bytes]
    ) -> int:
        """Load a binary COPY of values of the `column_types`; returns the rows."""
        with self.transaction():
            found = self._found(table, schema)
            names = self._columns(found) if columns is None else [quote(column) for column in columns]
            return self._load(f"COPY {found} ({', '.join(names)}) FROM STDIN (FORMAT binary)", blocks, table, 0)

    def columns_of(self, query: str) -> list[tuple[str, str, str]]:
        """The columns of a query: name, declared type, and PostgreSQL's own, as `numeric(12, 2)`."""
        statement = one_statement(query, self.dialect, "selectQuery")
        if statement.words[:1] not in (("SELECT",), ("WITH",), ("VALUES",), ("TABLE",)):
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
        with errors(f"looking for the table {table}"):
            row = self._connection.execute(_IS_PLAIN.encode(), (found,)).fetchone()
        return found if row == (True,) else None

    def conninfo(self) -> str:
        """What libpq takes to connect to the same database in the same way, with the password."""
        return psycopg.conninfo.make_conninfo(**{k: v for k, v in self._parameters.items() if v is not None})

    def unload_text(self, query: str, format: Format, stream: BinaryIO) -> int:
        """Unload a query by COPY. See `Database`."""
        statement = one_statement(query, self.dialect, "selectQuery")
        if statement.words[:1] not in (("SELECT",), ("WITH",), ("VALUES",), ("TABLE",)):
            raise TextNotTaken(f"{statement.first_line} is no query that COPY takes.")
        what = f"selectQuery ({statement.first_line})"
        with self.transaction(), errors(what):
            return postgresql_unload.unload(self._connection, statement.numbered(), format, stream, what)

    def table_exists(self, table: str, schema: str | None = None) -> bool:
        """Whether there is a table or view of this name, as it is written or in lower case."""
        return self._name(table, schema) is not None

    def table_columns(self, table: str, schema: str | None = None) -> tuple[tuple[str, str], ...]:
        """The columns of a table, each (name, type). See `Database`."""
        found = self._found(table, schema)
        names = self._columns(found)
        types = self._types(found, names)
        return tuple([(unquoted(name), declared_type(kind)) for name, kind in zip(names, types, strict=True)])

    def create_table(self, sql: str, table: str, schema: str | None = None) -> None:
        """Run a createTableSql if the table is missing; of two at once, the second waits for the first."""
        if self.table_exists(table, schema):
            return
        with self.transaction():
            with errors("the lock for createTableSql"):
                self._connection.execute("SELECT pg_catalog.pg_advisory_xact_lock($1)", (_CREATE_LOCK,))
            if not self.table_exists(table, schema):
                self.execute_script(sql)
                if not self.table_exists(table, schema):
                    raise DatabaseError(
                        f"createTableSql ran, but there is still no table {table}. Correct the name in one of them."
                    )

    def close(self) -> None:
        """End the connection; an open transaction is undone."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()

    def _run(
        self, statements: Sequence[Statement], arguments: Sequence[str], progress: StatementProgress | None
    ) -> None:
        for statement, values in with_arguments(statements, arguments, progress):
            with errors(f"statement {statement.number} ({statement.first_line})"):
                self._run_one(statement, values)

    def _run_one(self, statement: Statement, values: Sequence[str]) -> None:
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
            if not within and self._connection.info.transaction_status != TransactionStatus.IDLE:
                raise DatabaseError("The script begins a transaction that it does not end. Add COMMIT.")
        finally:
            if not within and self._connection.info.transaction_status in (
                TransactionStatus.INTRANS,
                TransactionStatus.INERROR,
            ):
                self._connection.execute("ROLLBACK")

    def _copy_in(self, table: str, columns: str, width: int, batches: Iterable[Sequence[Row]], target: str) -> int:
        progress = Progress()
        copy = f"COPY {table} ({columns}) FROM STDIN".encode()
        with errors(target, 0), psycopg.RawCursor(self._connection) as cursor, cursor.copy(copy) as stream:
            for batch in of_width(batches, width, target, progress):
                try:
                    write_rows(stream, TSV(), [batch], first_row=progress.rows + 1)
                except FormatError as error:
                    raise DatabaseError(f"PostgreSQL cannot take a row for {target}. {error}") from error
        return progress.rows

    def _takes_copy(self, table: str) -> bool:
        with errors(f"looking for the table {table}"):
            return self._connection.execute(_TAKES_COPY.encode(), (table,)).fetchone() == (True,)

    def _types(self, table: str, names: Sequence[str]) -> list[str]:
        """The columns' types as PostgreSQL writes them: `numeric(12,2)`, `timestamp without time zone`."""
        with errors(f"reading the columns of {table}"):
            types = {quote(name): kind for name, kind in self._connection.execute(_TYPES.encode(), (table,))}
        return [types.get(name, "") for name in names]

    def _columns(self, table: str) -> list[str]:
        with errors(f"reading the columns of {table}"):
            return [quote(name) for (name,) in self._connection.execute(_COLUMNS.encode(), (table,))]

    def _found(self, table: str, schema: str | None) -> str:
        name = self._name(table, schema)
        if name is None:
            where = f"the schema {schema} of {self._address}" if schema else str(self._address)
            raise DatabaseError(f"There is no table {table} in {where}. Give createTableSql, or make it before.")
        return name

    def _name(self, table: str, schema: str | None) -> str | None:
        """The quoted name of a table or view, with its schema."""
        written_schema, name, quoted = name_parts(table, schema)
        with errors(f"looking for the table {table}"):
            folded = name if quoted else name.lower()
            row = self._connection.execute(_FIND_TABLE.encode(), (name, folded, written_schema)).fetchone()
        return None if row is None else f"{quote(row[0])}.{quote(row[1])}"


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
