"""Tables of PostgreSQL: how they are found, which columns they have, and what can be done with them in bulk.

A table, but for the one that `find` looks for, and its columns are named as they stand in SQL.
"""

from __future__ import annotations

from collections.abc import Sequence

import psycopg

from penstock.data.databases.postgresql_errors import errors
from penstock.data.databases.rows import name_parts, quote

_FIND = """
SELECT n.nspname, c.relname FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relname IN ($1, $2)
  AND CASE WHEN $3::text IS NULL THEN pg_catalog.pg_table_is_visible(c.oid)
      ELSE n.nspname IN ($3, lower($3)) END
ORDER BY c.relname = $1 DESC, n.nspname = $3 DESC LIMIT 1"""
_COLUMNS = """
SELECT attname FROM pg_catalog.pg_attribute
WHERE attrelid = pg_catalog.to_regclass($1) AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
ORDER BY attnum"""
_TYPES = """
SELECT attname, pg_catalog.format_type(atttypid, atttypmod) FROM pg_catalog.pg_attribute
WHERE attrelid = pg_catalog.to_regclass($1) AND attnum > 0 AND NOT attisdropped"""
_TAKES_COPY = """
SELECT relkind IN ('r', 'p') AND NOT relhasrules AND NOT pg_catalog.row_security_active(oid)
FROM pg_catalog.pg_class WHERE oid = pg_catalog.to_regclass($1)"""
_IS_PLAIN = """
SELECT c.relkind = 'r' AND count(*) = 1 FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_class other ON other.relnamespace = c.relnamespace AND lower(other.relname) = lower(c.relname)
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = pg_catalog.to_regclass($1) AND c.relpersistence <> 't'
AND (SELECT count(*) = 1 FROM pg_catalog.pg_namespace same WHERE lower(same.nspname) = lower(n.nspname))
GROUP BY c.relkind"""

_IS_ALONE = """
SELECT relkind = 'r' AND NOT relhassubclass AND NOT relrowsecurity AND NOT EXISTS (
    SELECT 1 FROM pg_catalog.pg_attribute WHERE attrelid = oid AND attgenerated <> ''
) FROM pg_catalog.pg_class WHERE oid = pg_catalog.to_regclass($1)"""


def find(connection: psycopg.Connection, table: str, schema: str | None) -> str | None:
    """The quoted name, with its schema, of a table or view that has this name as it is written or in lower case."""
    written_schema, name, quoted = name_parts(table, schema)
    with errors(f"looking for the table {table}"):
        folded = name if quoted else name.lower()
        row = connection.execute(_FIND.encode(), (name, folded, written_schema)).fetchone()
    return None if row is None else f"{quote(row[0])}.{quote(row[1])}"


def columns_of(connection: psycopg.Connection, table: str) -> list[str]:
    """The quoted names of the columns that take values, in their order."""
    with errors(f"reading the columns of {table}"):
        return [quote(name) for (name,) in connection.execute(_COLUMNS.encode(), (table,))]


def types_of(connection: psycopg.Connection, table: str, columns: Sequence[str]) -> list[str]:
    """The columns' types as PostgreSQL writes them: `numeric(12,2)`, `timestamp without time zone`."""
    with errors(f"reading the columns of {table}"):
        types = {quote(name): kind for name, kind in connection.execute(_TYPES.encode(), (table,))}
    return [types.get(name, "") for name in columns]


def takes_copy(connection: psycopg.Connection, table: str) -> bool:
    """Whether COPY comes to the same as an INSERT: not for a view, nor where there are rules or row security."""
    return _is_true(connection, _TAKES_COPY, table)


def is_plain(connection: psycopg.Connection, table: str) -> bool:
    """Whether it is a table and nothing more, from which no other differs by letter case alone."""
    return _is_true(connection, _IS_PLAIN, table)


def is_alone(connection: psycopg.Connection, table: str) -> bool:
    """Whether a COPY of the table itself has what a query has: it leaves out children and generated columns."""
    return _is_true(connection, _IS_ALONE, table)


def _is_true(connection: psycopg.Connection, query: str, table: str) -> bool:
    with errors(f"looking for the table {table}"):
        return connection.execute(query.encode(), (table,)).fetchone() == (True,)
