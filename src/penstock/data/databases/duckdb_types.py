"""What DuckDB's values are as ours, and which tables and columns there are.

| DuckDB | ours |
|---|---|
| BOOLEAN, whole numbers, DECIMAL, DOUBLE, VARCHAR, BLOB, UUID | Python's own |
| FLOAT | the float with the fewest digits that is the same FLOAT |
| DATE, TIMESTAMP, TIMESTAMP WITH TIME ZONE | Python's own, the last in UTC; text where Python has none such |
| all others (INTERVAL, TIME, lists, structs, JSON …) | DuckDB's own text |
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

import duckdb

from penstock.data.databases.rows import name_parts, quote
from penstock.data.databases.statements import Statement

_PLAIN_NAMES = """BOOLEAN TINYINT SMALLINT INTEGER BIGINT HUGEINT UTINYINT USMALLINT UINTEGER UBIGINT UHUGEINT DOUBLE
VARCHAR BLOB UUID"""
_PLAIN = frozenset(_PLAIN_NAMES.split())
_NAME = r'(?:[^\W\d][\w$]*|"(?:[^"]|"")+")'
_PLAIN_INSERT = re.compile(
    rf"INSERT\s+INTO\s+(?P<table>{_NAME}(?:\s*\.\s*{_NAME})?)\s*"
    rf"(?:\(\s*(?P<columns>{_NAME}(?:\s*,\s*{_NAME})*)\s*\)\s*)?"
    r"VALUES\s*\(\s*\?(?:\s*,\s*\?)*\s*\)",
    re.IGNORECASE,
)
_FIND = """
SELECT database_name, schema_name, name, sql FROM (
    SELECT database_name, schema_name, table_name AS name, sql FROM duckdb_tables()
    WHERE database_name = current_database() OR temporary AND $3
    UNION ALL
    SELECT database_name, schema_name, view_name, '' FROM duckdb_views()
    WHERE database_name = current_database() AND NOT internal
) WHERE lower(name) = lower($1) AND (lower(schema_name) = lower($2) OR database_name = 'temp')
ORDER BY database_name = 'temp' DESC"""
_COLUMNS = """
SELECT column_name, data_type, column_default IS NOT NULL FROM duckdb_columns()
WHERE database_name = $3 AND schema_name = $1 AND table_name = $2 ORDER BY column_index"""


@dataclass(frozen=True)
class Table:
    """A table or view: its quoted name with the schema, and the columns that take values, each (name, type)."""

    name: str
    columns: tuple[tuple[str, str], ...]


def find_table(connection: duckdb.DuckDBPyConnection, table: str, schema: str | None) -> Table | None:
    """The table or view of this name; letter case does not matter.

    Without a schema it is a temporary one, or in the schema that the connection looks in (`main` if nothing else is
    set).
    """
    written_schema, name, _ = name_parts(table, schema)
    own = connection.execute("SELECT current_schema()").fetchone()
    default = str(own[0]) if own else "main"
    row = connection.execute(_FIND, [name, written_schema or default, written_schema is None]).fetchone()
    if row is None and name != table:  # the dot may belong to the name
        row = connection.execute(_FIND, [table, schema or default, schema is None]).fetchone()
    if row is None:
        return None
    database, found_schema, found, sql = row
    columns = connection.execute(_COLUMNS, [found_schema, found, database]).fetchall()
    kept = tuple(
        (column, kind)
        for column, kind, has_expression in columns
        if not (has_expression and _is_generated(column, sql or ""))
    )
    place = "temp." if database == "temp" else ""
    return Table(f"{place}{quote(found_schema)}.{quote(found)}", kept)


def plain_insert(connection: duckdb.DuckDBPyConnection, statement: Statement) -> tuple[Table, list[str]] | None:
    """The table and the columns of an INSERT of nothing but placeholders; None for any other, and a missing table."""
    plain = _PLAIN_INSERT.fullmatch(statement.text)
    table = find_table(connection, re.sub(r"\s*\.\s*", ".", plain["table"]), None) if plain is not None else None
    if plain is None or table is None:
        return None
    if plain["columns"] is None:
        names = [name for name, _ in table.columns]
        return (table, names) if len(names) == statement.placeholders else None
    names = [
        (quoted or bare).replace('""', '"')
        for quoted, bare in re.findall(r'"((?:[^"]|"")+)"|([^\W\d][\w$]*)', plain["columns"])
    ]
    return (table, names) if len(names) == statement.placeholders else None


def typed(column: str, kind: str) -> str:
    """The expression that makes a text the type of its column, where DuckDB's own way is another."""
    if kind == "BLOB":
        return rf"CASE WHEN starts_with({column}, '\x') THEN unhex(substr({column}, 3)) ELSE CAST({column} AS BLOB) END"
    return column


Conversion = Callable[[object], object]


def readable(
    connection: duckdb.DuckDBPyConnection, query: str
) -> tuple[str, tuple[str, ...], Sequence[Conversion | None]]:
    """A query that gives values of types that Python has; the names of its columns; and what to do with the values."""
    described = connection.execute(f"DESCRIBE {query}").fetchall()
    names = tuple(row[0] for row in described)
    kinds = [row[1] for row in described]
    if all(_is_plain(kind) for kind in kinds):
        return query, names, [None] * len(kinds)
    aliases = [f"c{number}" for number in range(len(kinds))]
    values = [
        alias if _is_plain(kind) else f"CAST({_in_utc(alias, kind)} AS VARCHAR)"
        for alias, kind in zip(aliases, kinds, strict=True)
    ]
    text = f"SELECT {', '.join(values)} FROM ({query}\n) AS described ({', '.join(aliases)})"  # noqa: S608
    return text, names, [_CONVERSIONS.get(kind) for kind in kinds]


def _is_plain(kind: str) -> bool:
    return kind in _PLAIN or (kind.startswith("DECIMAL(") and not kind.endswith("]"))


def _in_utc(column: str, kind: str) -> str:
    return f"timezone('UTC', {column})" if kind == "TIMESTAMP WITH TIME ZONE" else column


def _is_generated(column: str, sql: str) -> bool:
    names = f"(?:{re.escape(quote(column))}|{re.escape(column)})"
    return re.search(rf"[(,] ?{names} (?:[^,]|,\d)*? GENERATED ALWAYS AS", sql) is not None


def _date(value: object) -> object:
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        return value


def _timestamp(value: object) -> object:
    try:
        return datetime.fromisoformat(str(value))
    except ValueError:
        return value


def _timestamp_with_zone(value: object) -> object:
    try:
        return datetime.fromisoformat(str(value)).replace(tzinfo=UTC)
    except ValueError:
        return value


def _float(value: object) -> object:
    return float(str(value))


_CONVERSIONS: dict[str, Conversion] = {
    "DATE": _date,
    "TIMESTAMP": _timestamp,
    "TIMESTAMP WITH TIME ZONE": _timestamp_with_zone,
    "FLOAT": _float,
}
