"""What DuckDB's values are as ours.

| DuckDB | ours |
|---|---|
| BOOLEAN, whole numbers, DECIMAL, DOUBLE, VARCHAR, BLOB, UUID | Python's own |
| FLOAT | the float with the fewest digits that is the same FLOAT |
| DATE, TIMESTAMP, TIMESTAMP WITH TIME ZONE | Python's own, the last in UTC; text where Python has none such |
| all others (INTERVAL, TIME, lists, structs, JSON …) | DuckDB's own text |
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime

import duckdb

_PLAIN_NAMES = """BOOLEAN TINYINT SMALLINT INTEGER BIGINT HUGEINT UTINYINT USMALLINT UINTEGER UBIGINT UHUGEINT DOUBLE
VARCHAR BLOB UUID"""
_PLAIN = frozenset(_PLAIN_NAMES.split())


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
