"""What a table is like: its columns, and the keys by which rows are merged. For PostgreSQL and DuckDB."""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import dataclass

from penstock.data.databases import Database, DatabaseError
from penstock.data.databases.rows import name_parts, quote
from penstock.data.databases.translated import TranslatedDatabase
from penstock.data.redshift.values import Column

_KINDS = {
    "smallint": "smallint",
    "integer": "integer",
    "bigint": "bigint",
    "real": "real",
    "float": "real",
    "double precision": "double",
    "double": "double",
    "boolean": "boolean",
    "date": "date",
    "timestamp without time zone": "timestamp",
    "timestamp": "timestamp",
    "timestamp with time zone": "timestamptz",
    "time without time zone": "time",
    "time with time zone": "time",
    "time": "time",
    "bytea": "bytes",
    "blob": "bytes",
    "character varying": "varchar",
    "varchar": "varchar",
    "text": "varchar",
    "character": "char",
    "numeric": "decimal",
    "decimal": "decimal",
}
_KEY = re.compile(r"'redshift (primary|distribution|sort) key'")
_LENGTH = re.compile(r"strlen\((?P<name>\"(?:[^\"]|\"\")+\"|\w+)\) <= (?P<size>\d+)")
_POSTGRES_COLUMNS = """
SELECT a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull, a.attidentity <> '', a.atthasdef
FROM pg_catalog.pg_attribute a
WHERE a.attrelid = pg_catalog.to_regclass({table}) AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
ORDER BY a.attnum"""
_POSTGRES_CHECKS = """
SELECT pg_catalog.pg_get_constraintdef(c.oid), c.contype = 'p', a.attname
FROM pg_catalog.pg_constraint c
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey)
WHERE c.conrelid = pg_catalog.to_regclass({table}) AND c.contype IN ('p', 'c')
ORDER BY c.oid, array_position(c.conkey, a.attnum)"""
_DUCKDB_COLUMNS = """
SELECT column_name, data_type, is_nullable, false, column_default IS NOT NULL FROM duckdb_columns()
WHERE database_name = current_database() AND lower(schema_name) = lower({schema}) AND lower(table_name) = lower({name})
ORDER BY column_index"""
_DUCKDB_CHECKS = """
SELECT coalesce(expression, ''), constraint_type = 'PRIMARY KEY', constraint_column_names FROM duckdb_constraints()
WHERE database_name = current_database() AND lower(schema_name) = lower({schema}) AND lower(table_name) = lower({name})
ORDER BY constraint_index"""


@dataclass(frozen=True)
class Keys:
    """The keys of a table, each its columns; empty where it has none."""

    primary: tuple[str, ...] = ()
    distribution: tuple[str, ...] = ()
    sort: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table: how statements name it, its columns that can be written, and its keys."""

    name: str
    columns: tuple[Column, ...]
    keys: Keys


def describe(database: Database, table: str, schema: str | None) -> Table:
    """Look a table up. Raises `DatabaseError` if there is none."""
    own = database.inner if isinstance(database, TranslatedDatabase) else database
    if database.dialect == "duckdb":
        return _duckdb(own, table, schema, is_redshift=own is not database)
    return _postgresql(own, table, schema)


def _rows(database: Database, query: str) -> list[tuple[object, ...]]:
    with closing(database.select(query).batches) as batches:
        return [row for batch in batches for row in batch]


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _postgresql(database: Database, table: str, schema: str | None) -> Table:
    written_schema, name, is_quoted = name_parts(table, schema)
    names = dict.fromkeys((name, name if is_quoted else name.lower()))
    schemas = dict.fromkeys((written_schema, written_schema.lower() if written_schema else None))
    for in_schema in schemas:
        for written in names:
            full = quote(written) if in_schema is None else f"{quote(in_schema)}.{quote(written)}"
            rows = _rows(database, _POSTGRES_COLUMNS.format(table=_literal(full)))
            if not rows:
                continue
            checks = _rows(database, _POSTGRES_CHECKS.format(table=_literal(full)))
            columns = tuple(_column(str(row[0]), str(row[1]), row) for row in rows)
            found = [(str(text), bool(is_primary), [str(column)]) for text, is_primary, column in checks]
            return Table(full, columns, _keys(found))
    raise _missing(table, schema)


def _duckdb(database: Database, table: str, schema: str | None, *, is_redshift: bool) -> Table:
    written_schema, name, _ = name_parts(table, schema)
    in_schema = written_schema or ("public" if is_redshift else "main")
    names = {"schema": _literal(in_schema), "name": _literal(name)}
    rows = _rows(database, _DUCKDB_COLUMNS.format(**names))
    if not rows:
        raise _missing(table, schema)
    checks = []
    lengths: dict[str, int] = {}
    for text, is_primary, columns in _rows(database, _DUCKDB_CHECKS.format(**names)):
        matched = _LENGTH.search(str(text))
        if matched is not None:
            lengths[matched["name"].strip('"').replace('""', '"').lower()] = int(matched["size"])
        checks.append((str(text), bool(is_primary), _listed(str(columns))))
    columns_found = tuple(_column(str(row[0]), str(row[1]), row, lengths.get(str(row[0]).lower(), 0)) for row in rows)
    return Table(f"{quote(in_schema)}.{quote(name)}", columns_found, _keys(checks))


def _listed(text: str) -> list[str]:
    return [part.strip().strip("'\"") for part in text.strip("[]").split(",")]


def _keys(checks: list[tuple[str, bool, list[str]]]) -> Keys:
    found: dict[str, list[str]] = {"primary": [], "distribution": [], "sort": []}
    for text, is_primary, columns in checks:
        match = _KEY.search(text)
        kind = "primary" if is_primary else match[1] if match else None
        if kind is not None:
            found[kind] += [column for column in columns if column not in found[kind]]
    return Keys(tuple(found["primary"]), tuple(found["distribution"]), tuple(found["sort"]))


def _column(name: str, declared: str, row: tuple[object, ...], size: int = 0) -> Column:
    match = re.fullmatch(r"([a-z ]+?)(?:\((\d+)(?:,(\d+))?\))?((?: with| without) time zone)?", declared.lower())
    kind = _KINDS.get(match[1] + (match[4] or ""), "other") if match else "other"
    scale = 0
    if match is not None and kind in ("decimal", "varchar", "char"):
        size = int(match[2] or size or 0)
        scale = int(match[3] or 0)
    return Column(name, kind, size, scale, bool(row[2]), bool(row[3]), bool(row[4]), declared)


def _missing(table: str, schema: str | None) -> DatabaseError:
    where = f" in the schema {schema}" if schema else ""
    return DatabaseError(f"There is no table {table}{where}. Give createTableSql, or make it before.")
