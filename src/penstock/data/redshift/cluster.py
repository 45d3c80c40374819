"""RedshiftCopyActivity on a real Redshift: COPY and UNLOAD between the cluster and S3, and the merge by its own SQL.

Nothing passes through the task runner, so the statements are all there is; they are made here and run in one
transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

from penstock.data.databases import Database
from penstock.data.databases.rows import name_parts, quote
from penstock.data.formats import AnyFormat, Format, JsonLines
from penstock.data.redshift.catalog import Keys
from penstock.data.redshift.merge import STAGING, InsertMode, Target, merge_keys
from penstock.data.redshift.option_text import OptionError
from penstock.data.redshift.values import Column

_COLUMNS = """
SELECT "column", type, "notnull", distkey, sortkey FROM pg_table_def
WHERE schemaname = {schema} AND tablename = {table}"""
_PRIMARY = """
SELECT a.attname FROM pg_constraint c
JOIN pg_class t ON t.oid = c.conrelid JOIN pg_namespace n ON n.oid = t.relnamespace
JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey)
WHERE c.contype = 'p' AND n.nspname = {schema} AND t.relname = {table} ORDER BY a.attnum"""


@dataclass(frozen=True)
class ClusterTable:
    """A table of the cluster: how statements name it, the names of its columns, and its keys."""

    name: str
    columns: tuple[str, ...]
    keys: Keys


def describe(database: Database, table: str, schema: str | None) -> ClusterTable:
    """Look a table up in the cluster's catalogue."""
    written_schema, written, _ = name_parts(table, schema)
    schema, table = (written_schema or "public").lower(), written.lower()
    names = {"schema": _literal(schema), "table": _literal(table)}
    database.execute_script(f"SET search_path TO {quote(schema)}")  # pg_table_def shows only what is in it
    rows = _rows(database, _COLUMNS.format(**names))
    primary = tuple(str(row[0]) for row in _rows(database, _PRIMARY.format(**names)))
    distribution = tuple(str(row[0]) for row in rows if row[3])
    sort = tuple(str(row[0]) for row in sorted(rows, key=lambda row: abs(int(str(row[4])))) if int(str(row[4])))
    columns = tuple(str(row[0]) for row in rows)
    return ClusterTable(f"{quote(schema)}.{quote(table)}", columns, Keys(primary, distribution, sort))


def merge_statements(
    mode: InsertMode, target: Target, found: ClusterTable, copy: Sequence[str], transform_sql: str | None
) -> list[str]:
    """What runs after the table is there; `copy` fills the table `staging`."""
    keys = merge_keys(mode, target, found.keys, [Column(name, "other") for name in found.columns])
    source = STAGING if transform_sql is None else f"{STAGING}_transformed"
    where = " AND ".join([f"{found.name}.{quote(key)} = {source}.{quote(key)}" for key in keys])
    insert = f"INSERT INTO {found.name} SELECT * FROM {source}"  # noqa: S608
    statements = [f"CREATE TEMP TABLE {STAGING} (LIKE {found.name})", *copy]
    if transform_sql is not None:
        statements.append(f"CREATE TEMP TABLE {source} AS {transform_sql.strip().rstrip(';')}")
    if mode == "TRUNCATE":
        # TRUNCATE itself would end the transaction.
        statements.append(f"DELETE FROM {found.name}")  # noqa: S608
    elif mode == "OVERWRITE_EXISTING":
        statements.append(f"DELETE FROM {found.name} USING {source} WHERE {where}")  # noqa: S608
    elif mode == "KEEP_EXISTING":
        insert += f" WHERE NOT EXISTS (SELECT 1 FROM {found.name} WHERE {where})"  # noqa: S608
    return [*statements, insert, f"DROP TABLE {STAGING}", *([f"DROP TABLE {source}"] if source != STAGING else [])]


def format_options(format: AnyFormat | None, compression: str) -> list[str]:
    """The options of COPY and UNLOAD that mean a data format. Raises `OptionError` for one that they have none for."""
    gzip = ["GZIP"] if compression.lower() == "gzip" else []
    if isinstance(format, JsonLines):
        return ["JSON 'auto'", *gzip]
    chosen = format or Format("CSV", ",", "\n", "\\")
    if not isinstance(chosen, Format) or chosen.record_separator != "\n":
        raise OptionError(f"A Redshift cluster cannot read the data format {chosen.name}. Use CSV or TSV.")
    delimiter = "\\t" if chosen.column_separator == "\t" else chosen.column_separator
    null = (chosen.null_text or "\\N").replace("\\", "\\\\")
    if chosen.quote_char is not None or chosen.header:
        raise OptionError(
            f"The format {chosen.name} with quoting or a header is not what a cluster reads exactly: it does not tell"
            " NULL from the empty string there. Use CSV without them, or commandOptions."
        )
    if chosen.escape_char not in ("\\", None):
        raise OptionError(f"A Redshift cluster knows the escapeChar \\ alone, not {chosen.escape_char}.")
    escape = ["ESCAPE"] if chosen.escape_char else []
    return [f"DELIMITER '{delimiter}'", *escape, f"NULL AS '{null}'", *gzip]


def _rows(database: Database, query: str) -> list[tuple[object, ...]]:
    with closing(database.select(query).batches) as batches:
        return [row for batch in batches for row in batch]


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
