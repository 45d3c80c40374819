"""RedshiftCopyActivity's way into a table of PostgreSQL or DuckDB: a staging table, then one of four insert modes.

Everything is one transaction. The rule of the keys: `primaryKeys` of the node; else the table's primary key, with its
distribution key; else the distribution key and the sort key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from penstock.data.databases import Database, DatabaseError
from penstock.data.databases.redshift_types import type_name
from penstock.data.databases.rows import quote
from penstock.data.databases.translated import TranslatedDatabase
from penstock.data.redshift.catalog import Keys, Table, describe
from penstock.data.redshift.load import Files, Loaded, Progress, load, load_columns
from penstock.data.redshift.options import Options
from penstock.data.redshift.values import Column

InsertMode = Literal["KEEP_EXISTING", "OVERWRITE_EXISTING", "TRUNCATE", "APPEND"]
STAGING = "staging"
_TRANSFORMED = "staging_transformed"
_FILE_TYPES = {"STRING": "VARCHAR(65535)", "INT": "INTEGER", "TINYINT": "SMALLINT", "DOUBLE": "FLOAT8"}


@dataclass(frozen=True)
class Target:
    """A table that rows are merged into. `primary_keys` win over the table's own."""

    table: str
    schema: str | None = None
    create_table_sql: str | None = None
    primary_keys: tuple[str, ...] = ()


def copy_into(
    database: Database,
    target: Target,
    mode: InsertMode,
    source: Files | str,
    *,
    transform_sql: str | None = None,
    file_columns: Sequence[tuple[str, str]] = (),
    progress: Progress = lambda rows, size: None,
) -> Loaded:
    """Load files, or the rows of a query of the same database (its own SQL), into the target.

    `file_columns` are (name, type) of the files' columns as a data format says them; with a `transform_sql` they are
    those of the staging table. Raises as `load`.
    """
    with database.transaction():
        if target.create_table_sql is not None:
            database.create_table(target.create_table_sql, target.table, target.schema)
        found = describe(database, target.table, target.schema)
        own = database.inner if isinstance(database, TranslatedDatabase) else database
        keys = merge_keys(mode, target, found.keys, found.columns)
        if own.dialect == "postgresql":
            own.execute_script(f"LOCK TABLE {found.name} IN SHARE ROW EXCLUSIVE MODE")
        options = source.options if isinstance(source, Files) else Options()
        columns = load_columns(found.columns, options)
        staged = _staging_columns(database, columns, file_columns) if transform_sql is not None else columns
        _make_staging(own, found, columns, staged)
        if isinstance(source, Files):
            made = load(database, STAGING, None, staged, source, progress)
        else:
            own.execute_script(f"INSERT INTO {_temporary(own, STAGING)} {source}")
            made = Loaded(rows=_count(own))
        table = STAGING
        if transform_sql is not None:
            query = _translated(database, transform_sql)
            own.execute_script(f"CREATE TEMPORARY TABLE {_TRANSFORMED} AS {query}")
            table, columns = _TRANSFORMED, _transformed_columns(own, found, columns)
        for statement in _merge(own, mode, found, table, columns, keys, options):
            own.execute_script(statement)
        for name in (STAGING, *((_TRANSFORMED,) if transform_sql is not None else ())):
            own.execute_script(f"DROP TABLE {_temporary(own, name)}")
    return made


def merge_keys(mode: InsertMode, target: Target, keys: Keys, columns: Sequence[Column]) -> tuple[str, ...]:
    """The columns in which a row that comes equals one that is there. Raises `DatabaseError` where there are none."""
    if mode in ("TRUNCATE", "APPEND"):
        return ()
    names = {column.name.lower(): column.name for column in columns}
    if target.primary_keys:
        missing = [key for key in target.primary_keys if key.strip('"').lower() not in names]
        if missing:
            raise DatabaseError(f"primaryKeys names '{missing[0]}', but the table {target.table} has no such column.")
        return tuple(names[key.strip('"').lower()] for key in target.primary_keys)
    found = [*keys.primary, *keys.distribution] if keys.primary else [*keys.distribution, *keys.sort]
    if not found:
        raise DatabaseError(
            f"{mode} needs keys, and the table {target.table} has no primary key, distribution key or sort key."
            " Name columns in primaryKeys of the data node, or use APPEND or TRUNCATE."
        )
    return tuple(dict.fromkeys(found))


def _staging_columns(
    database: Database, columns: Sequence[Column], file_columns: Sequence[tuple[str, str]]
) -> list[Column]:
    """The columns of the files, with the types that the data format says; without any, the table's own."""
    if not file_columns:
        return list(columns)
    made = []
    for name, kind in file_columns:
        if not kind:
            raise DatabaseError(
                f"The column {name} of the data format has no type, which transformSql needs. Write '{name} STRING'."
            )
        target = "duckdb" if database.dialect == "duckdb" else "postgres"
        declared, size = type_name(_FILE_TYPES.get(kind.upper(), kind), target)  # type: ignore[arg-type]
        made.append(Column(name.lower(), _KINDS.get(declared.partition("(")[0], "other"), size or 0, declared=declared))
    return made


_KINDS = {
    "VARCHAR": "varchar",
    "CHAR": "char",
    "SMALLINT": "smallint",
    "INTEGER": "integer",
    "BIGINT": "bigint",
    "REAL": "real",
    "DOUBLE PRECISION": "double",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "TIMESTAMP": "timestamp",
    "TIMESTAMPTZ": "timestamptz",
}


def _make_staging(own: Database, found: Table, columns: Sequence[Column], staged: Sequence[Column]) -> None:
    if staged is not columns and [c.declared for c in staged] != [c.declared for c in columns]:
        declared = ", ".join([f"{quote(column.name)} {column.declared}" for column in staged])
        own.execute_script(f"CREATE TEMPORARY TABLE {STAGING} ({declared})")
        return
    names = ", ".join([quote(column.name) for column in columns])
    own.execute_script(f"CREATE TEMPORARY TABLE {STAGING} AS SELECT {names} FROM {found.name} LIMIT 0")  # noqa: S608


def _temporary(own: Database, table: str) -> str:
    return f"temp.main.{table}" if own.dialect == "duckdb" else f"pg_temp.{table}"


def _count(own: Database) -> int:
    rows = [row for batch in own.select(f"SELECT COUNT(*) FROM {_temporary(own, STAGING)}").batches for row in batch]  # noqa: S608
    return int(str(rows[0][0]))


def _translated(database: Database, query: str) -> str:
    if isinstance(database, TranslatedDatabase):
        return database.translate_one(query, "transformSql")
    return query.strip().rstrip(";")


def _transformed_columns(own: Database, found: Table, columns: Sequence[Column]) -> list[Column]:
    """The columns that transformSql's go to, by their order."""
    records = own.select(f"SELECT * FROM {_temporary(own, _TRANSFORMED)} LIMIT 0")  # noqa: S608
    list(records.batches)
    width = len(records.columns)
    for choice in (columns, found.columns):
        if len(choice) == width:
            return list(choice)
    raise DatabaseError(
        f"transformSql gives {width} columns, and the table {found.name} has {len(columns)}. Give one for each."
    )


def _merge(
    own: Database,
    mode: InsertMode,
    found: Table,
    table: str,
    columns: Sequence[Column],
    keys: Sequence[str],
    options: Options,
) -> list[str]:
    source = _temporary(own, table)
    absent = [key for key in keys if key not in [column.name for column in columns]]
    if absent:
        raise DatabaseError(f"The key {absent[0]} is an IDENTITY column that is not loaded. Give EXPLICIT_IDS.")
    names = ", ".join([quote(column.name) for column in columns])
    read = names if table == STAGING else "*"
    brings_ids = any(column.is_identity for column in columns)
    overriding = " OVERRIDING SYSTEM VALUE" if own.dialect == "postgresql" and brings_ids else ""
    insert = f"INSERT INTO {found.name} ({names}){overriding} SELECT {read} FROM {source} AS s"  # noqa: S608
    where = _match(own, table, columns, keys)
    if mode == "APPEND":
        return [insert]
    if mode == "TRUNCATE":
        return [f"TRUNCATE TABLE {found.name}", insert]
    if mode == "KEEP_EXISTING":
        return [f"{insert} WHERE NOT EXISTS (SELECT 1 FROM {found.name} AS t WHERE {where})"]  # noqa: S608
    return [f"DELETE FROM {found.name} AS t USING {source} AS s WHERE {where}", insert]  # noqa: S608


def _match(own: Database, table: str, columns: Sequence[Column], keys: Sequence[str]) -> str:
    """The keys of the table `t` and of the staged rows `s` are equal."""
    if table == STAGING:
        return " AND ".join([f"t.{quote(key)} = s.{quote(key)}" for key in keys])
    records = own.select(f"SELECT * FROM {_temporary(own, table)} LIMIT 0")  # noqa: S608
    list(records.batches)
    staged = {column.name: name for column, name in zip(columns, records.columns, strict=True)}
    return " AND ".join([f"t.{quote(key)} = s.{quote(staged[key])}" for key in keys])
