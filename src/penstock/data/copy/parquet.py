"""Parquet without a record touched on the way: DuckDB reads and writes it, on both cores.

| from | to | how |
|---|---|---|
| Parquet | PostgreSQL | DuckDB makes binary COPY, which our own connection loads in its transaction |
| PostgreSQL | Parquet | DuckDB reads the table or the query, in one transaction that only reads |

Each way raises `TextNotTaken` where it might not come to the same as record by record: for other types than those
listed here, and for a value that is not written as its column's type is, or that DuckDB has no such value for.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.data.compression import open_reader, open_writer
from penstock.data.copy import text
from penstock.data.copy.by_duckdb import binary, connected, errors, own_path, postgresql_of, read_to_its_end
from penstock.data.copy.columns import Columns, into
from penstock.data.copy.count import Count, errors_of
from penstock.data.copy.rows import load_errors, make_table, refuse_other_names
from penstock.data.databases import Database, TextNotTaken
from penstock.data.databases.rows import quote
from penstock.data.formats import Column, Parquet, parse_columns
from penstock.data.formats.column_types import column_type
from penstock.data.formats.parquet import literal
from penstock.data.formats.rows import named_columns
from penstock.data.sides import FileSide, TableSide, objects_of

if TYPE_CHECKING:
    import duckdb

    from penstock.data.databases.postgresql import PostgresqlDatabase

_CHUNK = 1 << 20
_ROW_GROUP = 61_440
_DAYS = "{v} >= '0001-01-01' AND {v} < '10000-01-01'"
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


# Parquet to PostgreSQL


def load(database: Database, source: FileSide, target: TableSide, count: Count) -> None:
    """Load Parquet files into a table, in one transaction."""
    format = source.rows
    if not isinstance(format, Parquet):
        raise TextNotTaken("No Parquet.")
    postgresql = postgresql_of(database)
    with database.transaction():
        make_table(database, target)
        table, schema, columns = into(database, target)
        types = postgresql.column_types(table, schema, columns)
        for entry in objects_of(source):
            with (
                tempfile.TemporaryDirectory(prefix="penstock-parquet-") as folder,
                source.storage.open(entry.uri) as stream,
                errors_of(entry.uri),
                load_errors(entry, target, TextNotTaken),
            ):
                plain = open_reader(count.counted(stream), source.compression)
                file = own_path(stream) if source.compression == "none" else None
                if file is None:
                    file = Path(folder) / "in.parquet"
                    with file.open("wb") as kept:
                        shutil.copyfileobj(plain, kept, _CHUNK)
                else:
                    count.add_bytes(entry.size)
                with errors(), connected(folder, reads=True) as connection:
                    query, found = _values_query(connection, file, format, types)
                    count.columns = count.columns or found
                    refuse_other_names(entry, found, count.columns)
                    with closing(binary(connection, query)) as blocks:
                        count.rows += postgresql.load_binary(table, schema, columns, blocks)
                if file.parent != Path(folder):
                    read_to_its_end(stream)
                count.report()


def _values_query(
    connection: duckdb.DuckDBPyConnection, file: Path, format: Parquet, types: Sequence[str]
) -> tuple[str, Columns]:
    """The values of a file, as PostgreSQL's types have them, and the file's columns."""
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
    seen = tuple([(name, kinds[name].upper()) for name in names])
    return f"SELECT {', '.join(values)} FROM {source}{where}", seen  # noqa: S608


def _made(found: str, wanted: str) -> str | None:
    """The type of DuckDB that values are cast to, without a change, for a column of PostgreSQL."""
    base = "character varying" if wanted.startswith("character varying(") else wanted
    if wanted.startswith("numeric("):
        precision, scale = map(int, wanted[8:-1].split(","))
        digits = int(found[:-1].partition(",")[2]) if found.startswith("DECIMAL(") and found.endswith(")") else 0
        is_number = found.startswith("DECIMAL(") or "bigint" in _SAME.get(found, ())
        return f"DECIMAL({precision},{scale})" if is_number and digits <= scale and precision <= 38 else None
    return _TYPES[base] if base in _SAME.get(found, ()) else None


# PostgreSQL to Parquet


def unload(database: Database, source: TableSide, target: FileSide, uri: str, count: Count) -> None:
    """Write the Parquet file of a table or a query."""
    if not isinstance(target.rows, Parquet):
        raise TextNotTaken("No Parquet.")
    postgresql = postgresql_of(database)
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
        errors(),
        connected(folder, reads=True) as connection,
    ):
        made = Path(folder) / "out.parquet"
        connection.execute(f"ATTACH {_text(postgresql.conninfo())} AS pg (TYPE postgres, READ_ONLY)")
        connection.execute("BEGIN")
        rows = _write_table(connection, postgresql, source, found, columns, made)
        if target.compression == "none":
            count.add_bytes(made.stat().st_size)
            target.storage.upload(made, uri, move=True)
        else:
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


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
