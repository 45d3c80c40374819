"""Which values PostgreSQL gives as Python's own, which as its own text, and how a query says that text itself."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import cast

import psycopg
from psycopg.abc import Buffer
from psycopg.types.datetime import DateLoader, TimestampLoader, TimestamptzLoader
from psycopg.types.string import TextLoader

_TYPED_NAMES = 'bool int2 int4 int8 oid float4 float8 numeric text varchar bpchar name "char" bytea uuid'
_TYPED = frozenset(_TYPED_NAMES.split())
"""Types whose values come typed, with the dates; a value of any other type comes as text."""


def choose_types(connection: psycopg.Connection) -> None:
    """Let plain types come typed, and all others (intervals, arrays, JSON …) as PostgreSQL's own text.

    That text goes into another table, or a file, unchanged.
    """
    adapters = connection.adapters
    for known in adapters.types:
        if known.name not in _TYPED:
            adapters.register_loader(known.oid, TextLoader)
        if known.array_oid:
            adapters.register_loader(known.array_oid, TextLoader)
    adapters.register_loader("date", _Date)
    adapters.register_loader("timestamp", _Timestamp)
    adapters.register_loader("timestamptz", _TimestampWithZone)


_SAME_TEXT_NAMES = (
    "int2 int4 int8 oid numeric text varchar bpchar name bytea uuid date timestamp time timetz interval json jsonb inet"
    " cidr macaddr macaddr8 bit varbit int4range int8range numrange daterange"
)
_SAME_TEXT = frozenset(_SAME_TEXT_NAMES.split())
"""Types, and all arrays, whose text in a COPY is what `to_text` makes of their values; a test holds them to it."""
_AS_EXPRESSIONS = {
    "bool": "{0}::pg_catalog.text",
    "timestamptz": (
        "CASE WHEN {0} >= '0001-01-01' AND {0} < '10000-01-01'"
        " THEN ({0} AT TIME ZONE 'UTC')::pg_catalog.text || '+00:00' ELSE {0}::pg_catalog.text END"
    ),
}
"""Types whose text an expression makes the same; `{0}` is the column."""


_DECLARED = {
    "bool": "BOOLEAN",
    "int2": "SMALLINT",
    "int4": "INTEGER",
    "int8": "BIGINT",
    "float4": "REAL",
    "float8": "DOUBLE",
    "date": "DATE",
    "bytea": "BYTEA",
    "uuid": "UUID",
    "boolean": "BOOLEAN",
    "smallint": "SMALLINT",
    "integer": "INTEGER",
    "bigint": "BIGINT",
    "real": "REAL",
    "double precision": "DOUBLE",
}
"""Types by the short names that psycopg has, and by those that PostgreSQL's `format_type` writes."""
_NUMERIC = re.compile(r"numeric\((\d+), ?(\d+)\)")


def declared_type(display: str) -> str:
    """The type of a column, as a data format declares it: `VARCHAR` for what only its text can keep whole."""
    numeric = _NUMERIC.fullmatch(display)
    if numeric is not None and int(numeric[2]) <= int(numeric[1]) <= 38:
        return f"DECIMAL({numeric[1]},{numeric[2]})"
    if re.fullmatch(r"timestamptz(\(\d\))?|timestamp(\(\d\))? with time zone", display):
        return "TIMESTAMP WITH TIME ZONE"
    if re.fullmatch(r"timestamp(\(\d\))?( without time zone)?", display):
        return "TIMESTAMP"
    return _DECLARED.get(display, "VARCHAR")


def exact_text(connection: psycopg.Connection, query: str) -> tuple[list[str], str] | None:
    """The columns of a query, and a query whose COPY gives the text that `to_text` makes of its values; or None."""
    with psycopg.RawCursor(connection) as cursor:
        cursor.execute(f"SELECT * FROM ({query}\n) AS described LIMIT 0".encode())  # noqa: S608
        columns = [column.name for column in cursor.description or ()]
        names = [_name(connection, column.type_code) for column in cursor.description or ()]
    if not names or not set(names) <= _SAME_TEXT | _AS_EXPRESSIONS.keys():
        return None
    if _SAME_TEXT.issuperset(names):
        return columns, query
    if "timestamptz" in names and connection.info.parameter_status("TimeZone") != "UTC":
        return None
    aliases = ", ".join([f"c{number}" for number in range(len(names))])
    texts = [_AS_EXPRESSIONS.get(name, "{0}").format(f"c{number}") for number, name in enumerate(names)]
    return columns, f"SELECT {', '.join(texts)} FROM ({query}\n) AS described ({aliases})"  # noqa: S608


def _name(connection: psycopg.Connection, oid: int) -> str:
    known = connection.adapters.types.get(oid)
    if known is None:
        return ""
    return "text" if oid == known.array_oid else known.name  # an array comes as PostgreSQL's own text


class _Date(DateLoader):
    """A date; as text where Python has none such, like `infinity` and years before 1."""

    def load(self, data: Buffer) -> date:
        try:
            return super().load(data)
        except psycopg.DataError:
            return cast("date", bytes(data).decode())


class _Timestamp(TimestampLoader):
    """A timestamp; as text where Python has none such."""

    def load(self, data: Buffer) -> datetime:
        try:
            return super().load(data)
        except psycopg.DataError:
            return cast("datetime", bytes(data).decode())


class _TimestampWithZone(TimestamptzLoader):
    """A timestamp with its zone; as text where Python has none such."""

    def load(self, data: Buffer) -> datetime:
        try:
            return super().load(data)
        except psycopg.DataError:
            return cast("datetime", bytes(data).decode())
