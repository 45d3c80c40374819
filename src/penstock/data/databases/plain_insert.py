"""Which insertQuery is a plain insert of its values, so that a bulk load can take its place."""

from __future__ import annotations

import re
from dataclasses import dataclass

from penstock.data.databases.address import Dialect
from penstock.data.databases.rows import quote

_NAME = r'(?:[^\W\d][\w$]*|"(?:[^"]|"")+")'
PLAIN_INSERT = re.compile(
    rf"INSERT\s+INTO\s+(?P<table>{_NAME}(?:\s*\.\s*{_NAME})?)\s*"
    rf"(?:\(\s*(?P<columns>{_NAME}(?:\s*,\s*{_NAME})*)\s*\)\s*)?"
    r"VALUES\s*\(\s*\?(?:\s*,\s*\?)*\s*\)",
    re.IGNORECASE,
)
"""A plain insert of PostgreSQL or DuckDB as it is mostly written, which needs no parser: its `table` and `columns`."""
_INSERT_INTO = re.compile(r"\s*INSERT\s+INTO\b", re.IGNORECASE)
_OVERRIDING = re.compile(r"\bOVERRIDING\b", re.IGNORECASE)
_DIALECTS = {"postgresql": "postgres"}


@dataclass(frozen=True)
class PlainInsert:
    """A plain insert: its table as SQL has it, the columns in their order or None for all, and their number."""

    table: str
    columns: list[str] | None
    width: int


def plain_insert(query: str, dialect: Dialect) -> PlainInsert | None:
    """What a query inserts, if it is `INSERT INTO table [(columns)] VALUES (?, …)` and nothing more; else None."""
    if _INSERT_INTO.match(query) is None or _OVERRIDING.search(query) is not None:
        return None
    import sqlglot
    from sqlglot import expressions

    try:
        statements = [found for found in sqlglot.parse(query, read=_DIALECTS.get(dialect, dialect)) if found]
    except sqlglot.errors.SqlglotError:
        return None
    insert = statements[0] if len(statements) == 1 else None
    if not isinstance(insert, expressions.Insert):
        return None
    if any(value for key, value in insert.args.items() if key not in ("this", "expression")):
        return None
    target, values = insert.this, insert.expression
    table = target.this if isinstance(target, expressions.Schema) else target
    if not isinstance(table, expressions.Table) or not isinstance(values, expressions.Values):
        return None
    if {key for key, value in table.args.items() if value} - {"this", "db"}:
        return None
    rows = values.expressions
    if len(rows) != 1 or not isinstance(rows[0], expressions.Tuple):
        return None
    if not all(isinstance(value, expressions.Placeholder) and value.this is None for value in rows[0].expressions):
        return None
    width = len(rows[0].expressions)
    columns: list[str] | None = None
    if isinstance(target, expressions.Schema):
        if not all(isinstance(column, expressions.Identifier) for column in target.expressions):
            return None
        columns = [_name(column, dialect) for column in target.expressions]
        if len(columns) != width:
            return None
    names = [quote(_name(part, dialect)) for part in (table.args.get("db"), table.this) if part is not None]
    return PlainInsert(".".join(names), columns, width)


def _name(identifier: object, dialect: Dialect) -> str:
    """The name that an identifier means: PostgreSQL folds what is not quoted."""
    name, is_quoted = str(identifier.name), bool(identifier.args.get("quoted"))  # type: ignore[attr-defined]
    return name if is_quoted or dialect != "postgresql" else name.lower()
