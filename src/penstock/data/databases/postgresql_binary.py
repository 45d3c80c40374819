"""Quoted text as PostgreSQL's binary COPY, made by DuckDB: which types there are, and which values are proven.

The server takes binary values in about half of the time that it takes to parse text. Only values whose meaning is the
same to both are made binary: each is compared with the text that it came from, or with a pattern of what both read
alike. One other value, and the text is none for this way, as it is with types that are not in the list.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from penstock.data.databases import duckdb_csv as csv
from penstock.data.formats import Format, Row

_SECOND = "[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,6})?"
_ZONE = "(Z|[+-](0[0-9]|1[0-4])(:[0-5][0-9])?)"
_FLOAT = "-?[0-9]{1,17}(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?"
_ANY_DAY = "{c} IS NULL OR {v} >= '0001-01-01' AND {v} < '10000-01-01'"
_VALUES = {
    "smallint": csv.Value("CAST({c} AS SMALLINT)", csv.SAME),
    "integer": csv.Value("CAST({c} AS INTEGER)", csv.SAME),
    "bigint": csv.Value("CAST({c} AS BIGINT)", csv.SAME),
    "date": csv.Value("CAST({c} AS DATE)", f"{csv.SAME} AND ({_ANY_DAY})"),
    "timestamp with time zone": csv.Value(
        "CAST({c} AS TIMESTAMPTZ)",
        f"({{c}} IS NULL OR regexp_full_match({{c}}, '{_SECOND}{_ZONE}')) AND ({_ANY_DAY})",
    ),
    "boolean": csv.Value("CAST({c} AS BOOLEAN)", "{c} IS NULL OR {c} IN ('true', 'false', 't', 'f')"),
    "double precision": csv.Value("CAST({c} AS DOUBLE)", f"{{c}} IS NULL OR regexp_full_match({{c}}, '{_FLOAT}')"),
    "uuid": csv.Value("CAST({c} AS UUID)", csv.SAME),
    "text": csv.Value(),
    "character varying": csv.Value(),
    "json": csv.Value(),
}
"""PostgreSQL's name of a type: what DuckDB makes of its text, and when that is what PostgreSQL reads."""
_TIMESTAMP = "timestamp without time zone"
_NUMERIC = re.compile(r"numeric\((\d+),(\d+)\)")
_VARYING = re.compile(r"character varying\(\d+\)")


def is_available() -> bool:
    """Whether DuckDB and its extension for PostgreSQL are installed."""
    return extension() is not None


def takes(types: list[str]) -> bool:
    """Whether there is a binary form of each of these types, as PostgreSQL names them; a single column has none."""
    return len(types) > 1 and all(_value(kind, (), 0) is not None for kind in types)


def query(path: str, types: Sequence[str], format: Format, rows: Sequence[Row], new_line: str | None = "\\n") -> str:
    """The values of a text file for columns of these types; `rows` are its first. `path` is a literal of SQL."""
    values = [_value(kind, rows, place) for place, kind in enumerate(types)]
    return csv.select(
        path, format, [value for value in values if value is not None], header=format.header, new_line=new_line
    )


def _value(kind: str, rows: Sequence[Row], place: int) -> csv.Value | None:
    if kind == _TIMESTAMP:
        return csv.timestamp(_SECOND, rows, place)
    number = _NUMERIC.fullmatch(kind)
    if number is not None:
        precision, scale = int(number[1]), int(number[2])
        if not 0 <= scale <= precision <= 38:
            return None
        fraction = f"(\\.[0-9]{{1,{scale}}})?" if scale else ""
        plain = f"regexp_full_match({{c}}, '-?[0-9]{{1,{max(precision - scale, 1)}}}{fraction}')"
        return csv.Value(f"CAST({{c}} AS DECIMAL({precision},{scale}))", csv.SAME, plain)
    return _VALUES.get("text" if _VARYING.fullmatch(kind) else kind)


def extension() -> Path | None:
    """The file of DuckDB's extension for PostgreSQL, which a wheel brings."""
    try:
        import duckdb
        import duckdb_extension_postgres_scanner as wheel  # type: ignore[import-untyped]
    except ImportError:
        return None
    folder = Path(next(iter(wheel.__path__))) / "extensions" / f"v{duckdb.__version__}"
    path = folder / "postgres_scanner.duckdb_extension"
    return path if path.exists() else None
