"""Parquet without a record touched on the way: DuckDB reads and writes it, on both cores.

| from | to | how |
|---|---|---|
| CSV, TSV, Custom | Parquet | DuckDB reads the text |
| Parquet | PostgreSQL | DuckDB makes binary COPY, which our own connection loads in its transaction |
| PostgreSQL | Parquet | DuckDB reads the table or the query, in one transaction that only reads |

Each way raises `TextNotTaken` where it might not come to the same as record by record: for other types than those
listed here, and for a value that is not written as its column's type is, or that DuckDB has no such value for.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from penstock.data.compression import open_reader, open_writer
from penstock.data.copy import text
from penstock.data.copy.count import Count, errors_of
from penstock.data.copy.rows import load_errors, make_table
from penstock.data.databases import Database, TextNotTaken
from penstock.data.databases.postgresql_text import takes, to_copy
from penstock.data.databases.rows import quote
from penstock.data.formats import Column, Format, FormatError, Parquet, parse_columns
from penstock.data.formats.column_types import column_type
from penstock.data.formats.parquet import literal, row_group
from penstock.data.formats.rows import named_columns
from penstock.data.records import LONGEST_RECORD
from penstock.data.sides import FileSide, TableSide, objects_of
from penstock.data.storage import Entry

if TYPE_CHECKING:
    import duckdb

    from penstock.data.databases.postgresql import PostgresqlDatabase

_MEMORY = "400MB"
"""Of this DuckDB keeps at most a quarter waiting to be written; with less, one of its two threads would wait."""
_MEMORY_OF_LONG_ROWS = "160MB"
_LONG_ROW = 2000
_ROW_GROUP = 61_440
_BUFFER = 4 << 20
_BLOCK = 1 << 16
_CHUNK = 1 << 20
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_CANONICAL = "{v}::VARCHAR = {c}"
_DAYS = "{v} >= '0001-01-01' AND {v} < '10000-01-01'"
_GUARDS = {
    **dict.fromkeys(("TINYINT", "SMALLINT", "INTEGER", "BIGINT"), _CANONICAL),
    "DATE": f"{_CANONICAL} AND {_DAYS}",
    "TIMESTAMP": (
        f"{_DAYS} AND {{c}} >= '0' AND"
        f" ({{c}} LIKE '____-__-__ __:__:__' AND substr({{c}}, 12, 1) >= '0' OR {_CANONICAL})"
    ),
}
"""When the value `{v}` of the text `{c}` is one that the column's pattern allows, without the slow pattern itself."""
_SAME = {
    **dict.fromkeys(("TINYINT", "SMALLINT", "INTEGER", "BIGINT"), ("smallint", "integer", "bigint")),
    "DOUBLE": ("double precision",),
    "BOOLEAN": ("boolean",),
    "DATE": ("date",),
    "TIMESTAMP": ("timestamp without time zone",),
    "TIMESTAMP WITH TIME ZONE": ("timestamp with time zone",),
    "UUID": ("uuid",),
    "BLOB": ("bytea",),
    "VARCHAR": ("text", "character varying", "json"),
}
"""DuckDB's types, and those of PostgreSQL that have the same values. DECIMAL and `numeric` are compared by digits."""
_TYPES = {
    "smallint": "SMALLINT",
    "integer": "INTEGER",
    "bigint": "BIGINT",
    "double precision": "DOUBLE",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "timestamp without time zone": "TIMESTAMP",
    "timestamp with time zone": "TIMESTAMP WITH TIME ZONE",
    "uuid": "UUID",
    "bytea": "BLOB",
    "text": "VARCHAR",
    "character varying": "VARCHAR",
    "json": "VARCHAR",
}
_READ = frozenset(
    ("int2", "int4", "int8", "float8", "bool", "date", "timestamp", "timestamptz", "uuid", "bytea", "text", "varchar")
)


# Text to Parquet


def convert(source: FileSide, entry: Entry, target: FileSide, path: Path, count: Count) -> None:
    """Write the Parquet file of an object's records."""
    format = source.rows
    if not isinstance(format, Format) or not isinstance(target.rows, Parquet) or target.compression != "none":
        raise TextNotTaken("Not text to Parquet.")
    if source.longest_record < LONGEST_RECORD:
        raise TextNotTaken("DuckDB reads longer records than are allowed.")
    if (format.header and not format.columns) or not takes(format):
        raise TextNotTaken("The names are in the file, or DuckDB does not read the format.")
    columns = named_columns("Parquet", target.rows.columns, parse_columns(format.columns))
    if format.columns and len(columns) != len(format.columns):
        raise TextNotTaken("Target and source have other columns.")
    with (
        tempfile.TemporaryDirectory(prefix="penstock-parquet-") as folder,
        source.storage.open(entry.uri) as stream,
        _errors(),
    ):
        plain = open_reader(count.counted(stream), source.compression)
        pieces = _checked(to_copy(plain, format, len(columns)), format)
        own = _own_path(stream) if format.quote_char and not format.header and source.compression == "none" else None
        begin = next(pieces, b"")
        if begin.startswith(_BYTE_ORDER_MARK):
            raise TextNotTaken("The first value begins with what DuckDB takes for a byte order mark.")
        if own is None:
            own = Path(folder) / "text"
            with own.open("wb") as file:
                for piece in chain([begin], pieces):
                    file.write(piece)
            pieces = iter(())
        size = len(begin) // max(begin.count(b"\n"), 1) + 1
        query = _text_query(own, format, columns, path, min(_ROW_GROUP, row_group(size)))
        with _connect(folder, is_long=size > _LONG_ROW) as connection, _checked_meanwhile(pieces, connection):
            rows = connection.execute(query).fetchone()
    count.rows += rows[0] if rows else 0
    count.columns = count.columns or tuple(parse_columns(format.columns))
    count.report()


def _own_path(stream: BinaryIO) -> Path | None:
    """The path of a stream that is a file."""
    try:
        path = Path(f"/proc/self/fd/{stream.fileno()}")
    except (AttributeError, OSError):
        return None
    return path if path.is_file() and not stream.tell() else None


def _checked(pieces: Iterator[bytes], format: Format) -> Iterator[bytes]:
    """The pieces, if DuckDB sees the records that `read_rows` sees."""
    mark = re.escape(format.column_separator.encode())
    null = re.compile(rb"(?<![^%b\n])\\N(?=[%b\n])" % (mark, mark))
    for piece in pieces:
        if format.quote_char:
            if piece.startswith(b"\n") or _is_outside(piece, b"\r") or _is_outside(piece, b"\n\n"):
                raise TextNotTaken("An empty record, or a carriage return outside of quotes.")
        elif piece.startswith(b"\n") or b"\n\n" in piece or b"\r" in piece:
            raise TextNotTaken("An empty record, or a carriage return.")
        elif b"\\" in piece and len(null.findall(piece)) != piece.count(b"\\"):
            raise TextNotTaken("DuckDB does not know escapes outside of quotes.")
        yield piece


def _is_outside(piece: bytes, mark: bytes) -> bool:
    """Whether a mark stands outside of quotes."""
    done = quotes = 0
    place = piece.find(mark)
    while place >= 0:
        quotes += piece.count(b'"', done, place)
        if quotes % 2 == 0:
            return True
        done = place
        place = piece.find(mark, place + 1)
    return False


@contextmanager
def _checked_meanwhile(pieces: Iterator[bytes], connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Check what is left while DuckDB reads the same file; what is found ends its work."""
    errors: list[BaseException] = []

    def check() -> None:
        try:
            for _ in pieces:
                pass
        except BaseException as error:
            errors.append(error)
            connection.interrupt()

    thread = threading.Thread(target=check, name="check")
    thread.start()
    try:
        yield
    finally:
        thread.join()
        if errors:
            raise errors[0]


def _text_query(source: Path, format: Format, columns: Sequence[Column], made: Path, group: int) -> str:
    values, guards = [], []
    for number, column in enumerate(columns):
        kind = column_type(column)
        text = f"c{number}"
        value = f"unhex(substr({text}, 3))" if kind.name == "BLOB" else f"CAST({text} AS {kind.name})"
        values.append(f"{value} AS {quote(column.name)}")
        if kind.pattern is None:
            continue
        pattern = kind.pattern.replace("'", "''")
        guard = f"regexp_full_match({text}, '{pattern}')"
        quick = _CANONICAL if kind.name.startswith("DECIMAL") else _GUARDS.get(kind.name)
        if kind.name == "VARCHAR":
            guard = f"length({text}) <= {pattern.rpartition(',')[2].rstrip('}')}"
        elif quick is not None:
            guard = f"({quick.format(c=text, v=value)}) OR {guard}"
        guards.append(f"({text} IS NULL OR {guard})")
    fields = ", ".join([f"'c{number}': 'VARCHAR'" for number in range(len(columns))])
    quoting = "quote = '\"', escape = '\"', nullstr = ''"
    if not format.quote_char:
        quoting = r"quote = '', escape = '', nullstr = '\N'"
    return (
        f"COPY (SELECT {', '.join(values)} FROM read_csv({literal(source)}, columns = {{{fields}}}, {quoting},"  # noqa: S608
        f" delim = E'\\x{ord(format.column_separator):02x}', allow_quoted_nulls = false, header = false,"
        f" auto_detect = false, strict_mode = true, new_line = '\\n', buffer_size = {_BUFFER})"
        f" WHERE CASE WHEN {' AND '.join(guards) or 'true'} THEN true ELSE error('other') END)"
        f" TO {literal(made)} (FORMAT parquet, COMPRESSION snappy, ROW_GROUP_SIZE {group})"
    )


# Parquet to PostgreSQL


def load(database: Database, source: FileSide, target: TableSide, count: Count) -> None:
    """Load Parquet files into a table, in one transaction."""
    format = source.rows
    if not isinstance(format, Parquet):
        raise TextNotTaken("No Parquet.")
    postgresql = _postgresql(database)
    with database.transaction():
        make_table(database, target)
        table, schema, columns = text.into(database, target)
        types = postgresql.column_types(table, schema, columns)
        for entry in objects_of(source):
            with (
                tempfile.TemporaryDirectory(prefix="penstock-parquet-") as folder,
                source.storage.open(entry.uri) as stream,
                errors_of(entry.uri),
                load_errors(entry, target, TextNotTaken),
            ):
                plain = open_reader(count.counted(stream), source.compression)
                file = _own_path(stream) if source.compression == "none" else None
                if file is None:
                    file = Path(folder) / "in.parquet"
                    with file.open("wb") as kept:
                        shutil.copyfileobj(plain, kept, _CHUNK)
                else:
                    count.add_bytes(entry.size)
                with _errors(), _connect(folder, reads=True) as connection:
                    query = _values_query(connection, file, format, types)
                    blocks = _binary(connection, query)
                    count.rows += postgresql.load_binary(table, schema, columns, blocks)
                count.report()


def _values_query(connection: duckdb.DuckDBPyConnection, file: Path, format: Parquet, types: Sequence[str]) -> str:
    """The values of a file, as PostgreSQL's types have them."""
    source = f"read_parquet({literal(file)}, hive_partitioning = false, file_row_number = false)"
    described = connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()  # noqa: S608
    kinds: dict[str, str] = {row[0]: row[1] for row in described}
    names = [column.name for column in parse_columns(format.columns)] or list(kinds)
    if len(names) != len(types) or len(names) < 2 or not set(names) <= kinds.keys():
        raise TextNotTaken("The file and the table have other columns.")
    values, guards = [], []
    for name, kind in zip(names, types, strict=True):
        made = _made(kinds[name], kind)
        if made is None:
            raise TextNotTaken(f"{kinds[name]} is no {kind}.")
        values.append(f"CAST({quote(name)} AS {made})")
        if made.startswith(("DATE", "TIMESTAMP")):
            guards.append(f"({quote(name)} IS NULL OR {_DAYS.format(v=quote(name))})")
    where = f" WHERE CASE WHEN {' AND '.join(guards)} THEN true ELSE error('other') END" if guards else ""
    return f"SELECT {', '.join(values)} FROM {source}{where}"  # noqa: S608


def _made(found: str, wanted: str) -> str | None:
    """The type of DuckDB that values are cast to, without a change, for a column of PostgreSQL."""
    base = "character varying" if wanted.startswith("character varying(") else wanted
    if wanted.startswith("numeric("):
        precision, scale = map(int, wanted[8:-1].split(","))
        digits = int(found[:-1].partition(",")[2]) if found.startswith("DECIMAL(") and found.endswith(")") else 0
        is_number = found.startswith("DECIMAL(") or "bigint" in _SAME.get(found, ())
        return f"DECIMAL({precision},{scale})" if is_number and digits <= scale and precision <= 38 else None
    return _TYPES[base] if base in _SAME.get(found, ()) else None


def _binary(connection: duckdb.DuckDBPyConnection, query: str) -> Iterator[bytes]:
    """What DuckDB writes for a binary COPY. Raises `TextNotTaken` at the end if DuckDB did not come to its own."""
    reader, writer = os.pipe()
    errors: list[BaseException] = []

    def run() -> None:
        try:
            connection.execute(f"COPY ({query}) TO '/dev/fd/{writer}' (FORMAT postgres_binary, USE_TMP_FILE false)")
        except BaseException as error:
            errors.append(error)
        finally:
            os.close(writer)

    thread = threading.Thread(target=run, name="parquet")
    thread.start()
    try:
        with os.fdopen(reader, "rb", buffering=0) as stream:  # closed, it is a broken pipe for DuckDB
            yield from iter(partial(stream.read, _BLOCK), b"")
    finally:
        thread.join()
    if errors:
        raise errors[0]


# PostgreSQL to Parquet


def unload(database: Database, source: TableSide, target: FileSide, uri: str, count: Count) -> None:
    """Write the Parquet file of a table or a query."""
    if not isinstance(target.rows, Parquet):
        raise TextNotTaken("No Parquet.")
    postgresql = _postgresql(database)
    found = postgresql.columns_of(text.query(database, source))
    columns = named_columns("Parquet", target.rows.columns, [Column(name, kind) for name, kind, _ in found])
    declared = [column_type(Column(name, kind)).name if kind else "VARCHAR" for name, kind, _ in found]
    kinds = [column_type(column) for column in columns]
    if [kind.name for kind in kinds] != declared or any(kind.name == "VARCHAR" and kind.pattern for kind in kinds):
        raise TextNotTaken("The file has columns of other types than the query.")
    if any(not _is_read(name) for _, _, name in found) or len({column.name.lower() for column in columns}) < len(found):
        raise TextNotTaken("DuckDB reads a type, or tells two names, otherwise.")
    with (
        tempfile.TemporaryDirectory(prefix="penstock-parquet-") as folder,
        errors_of(uri),
        _errors(),
        _connect(folder, reads=True) as connection,
    ):
        made = Path(folder) / "out.parquet"
        connection.execute(f"ATTACH {_text(postgresql.conninfo())} AS pg (TYPE postgres, READ_ONLY)")
        connection.execute("BEGIN")
        rows = _write_table(connection, postgresql, source, found, columns, made)
        with (
            made.open("rb") as file,
            target.storage.create(uri) as stream,
            open_writer(count.counted(stream), target.compression) as plain,
        ):
            shutil.copyfileobj(file, plain, _CHUNK)
    count.rows = rows
    count.columns = tuple((name, kind) for name, kind, _ in found)
    count.report()


def _write_table(
    connection: duckdb.DuckDBPyConnection,
    postgresql: PostgresqlDatabase,
    source: TableSide,
    found: Sequence[tuple[str, str, str]],
    columns: Sequence[Column],
    made: Path,
) -> int:
    """Write the file and return its rows. A `NaN` in a decimal column, which DuckDB reads as 0, is looked for."""
    places = [f"c{number}" for number in range(len(found))]
    decimals = [number for number, (_, kind, _) in enumerate(found) if kind.startswith("DECIMAL")]
    table = postgresql.plain_table(source.table, source.schema) if source.select_query is None else None
    if table is not None:
        rows = f"SELECT * FROM pg.{table}"  # noqa: S608
    else:
        nans = "".join([f" WHEN c{number} = 'NaN' THEN c{number}::int IS NULL" for number in decimals])
        where = f" WHERE CASE{nans} ELSE true END" if nans else ""
        asked = f"SELECT * FROM ({text.query(postgresql, source)}\n) AS described ({', '.join(places)}){where}"  # noqa: S608
        rows = f"SELECT * FROM postgres_query('pg', {_text(asked)})"  # noqa: S608
    values = ", ".join([f"{place} AS {quote(column.name)}" for place, column in zip(places, columns, strict=True)])
    copied = connection.execute(
        f"COPY (SELECT {values} FROM ({rows}) AS read ({', '.join(places)}))"  # noqa: S608
        f" TO {literal(made)} (FORMAT parquet, COMPRESSION snappy, ROW_GROUP_SIZE {_ROW_GROUP})"
    ).fetchone()
    checks = [
        f"count(*) FILTER (NOT ({_DAYS.format(v=quote(column.name))}))"
        for column, (_, kind, _) in zip(columns, found, strict=True)
        if kind.startswith(("DATE", "TIMESTAMP"))
    ]
    zeros = [f"count(*) FILTER ({quote(columns[number].name)} = 0)" for number in decimals] if table else []
    if checks or zeros:
        seen = connection.execute(f"SELECT {', '.join(checks + zeros)} FROM {literal(made)}").fetchone() or ()  # noqa: S608
        if any(seen[: len(checks)]):
            raise TextNotTaken("A date that DuckDB, or Parquet, does not have.")
        for number, zero in zip(decimals, seen[len(checks) :], strict=False):
            if not zero:
                continue
            asked = f"SELECT 1 FROM {table} WHERE {quote(found[number][0])} = 'NaN' LIMIT 1"  # noqa: S608
            if connection.execute(f"SELECT * FROM postgres_query('pg', {_text(asked)})").fetchone():  # noqa: S608
                raise TextNotTaken("A NaN in a column of decimals.")
    return int(copied[0]) if copied else 0


def _is_read(name: str) -> bool:
    """Whether DuckDB reads the values of a PostgreSQL type as they are; `float4` and `char(n)` are none of them."""
    return name in _READ or name.startswith(("numeric(", "varchar("))


def _postgresql(database: Database) -> PostgresqlDatabase:
    from penstock.data.databases.postgresql import PostgresqlDatabase
    from penstock.data.databases.postgresql_binary import is_available
    from penstock.data.formats import TSV

    if not isinstance(database, PostgresqlDatabase) or not database.takes(TSV()) or not is_available():
        raise TextNotTaken("No PostgreSQL whose text is UTF-8, or no extension of DuckDB for it.")
    return database


@contextmanager
def _connect(folder: str, *, reads: bool = False, is_long: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB of two threads, with its extension for PostgreSQL if that is wanted."""
    import duckdb

    from penstock.data.databases.postgresql_binary import extension

    config: dict[str, str | bool | int | float | list[str]] = {
        "threads": 2,
        "memory_limit": _MEMORY_OF_LONG_ROWS if is_long else _MEMORY,
        "temp_directory": folder,
        "autoinstall_known_extensions": False,
    }
    with duckdb.connect(config=config) as connection:
        connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        if reads:
            connection.execute(f"LOAD '{extension()}'")
        yield connection


@contextmanager
def _errors() -> Iterator[None]:
    """What DuckDB does not do, goes record by record, which then says what is wrong."""
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        raise TextNotTaken(str(error)) from error
    except FormatError as error:
        raise TextNotTaken(str(error)) from error


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
