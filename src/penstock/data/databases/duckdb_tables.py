"""Tables of DuckDB: how they are found, and which columns they have."""

from __future__ import annotations

import re
from dataclasses import dataclass

import duckdb

from penstock.data.databases.duckdb_errors import errors
from penstock.data.databases.plain_insert import PLAIN_INSERT
from penstock.data.databases.rows import name_parts, quote
from penstock.data.databases.statements import Statement

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


def find(connection: duckdb.DuckDBPyConnection, table: str, schema: str | None) -> Table | None:
    """The table or view of this name; letter case does not matter.

    Without a schema it is a temporary one, or in the schema that the connection looks in (`main` if nothing else is
    set).
    """
    with errors(f"looking for the table {table}"):
        return _find(connection, table, schema)


def plain_insert(connection: duckdb.DuckDBPyConnection, statement: Statement) -> tuple[Table, list[str]] | None:
    """The table and the columns of an INSERT of nothing but placeholders; None for any other, and a missing table."""
    plain = PLAIN_INSERT.fullmatch(statement.text)
    table = find(connection, re.sub(r"\s*\.\s*", ".", plain["table"]), None) if plain is not None else None
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


def _find(connection: duckdb.DuckDBPyConnection, table: str, schema: str | None) -> Table | None:
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


def _is_generated(column: str, sql: str) -> bool:
    names = f"(?:{re.escape(quote(column))}|{re.escape(column)})"
    return re.search(rf"[(,] ?{names} (?:[^,]|,\d)*? GENERATED ALWAYS AS", sql) is not None
