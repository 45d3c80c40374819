"""The types that a column can be declared with, and whether a text is a value of its column's type.

They matter in the formats that have types, JSON Lines and Parquet. A text that would have to be changed to fit, as
`1.5` in a column INT, is refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from penstock.data.formats.rows import BadRecord, Column, Row
from penstock.data.records import FormatError

_WHOLE = r"-?(?:0|[1-9]\d*)"
_FLOAT = rf"{_WHOLE}(?:\.\d+)?(?:[eE][+-]?\d+)?"
_DATE = r"\d{4}-\d\d-\d\d"
_TIME = r"\d\d:\d\d(?::\d\d(?:\.\d{1,6}0*)?)?"
_ZONE = r"(?:Z|[+-]\d\d(?::?\d\d)?)"


@dataclass(frozen=True)
class ColumnType:
    """A type: as Parquet is written with (DuckDB's name), and the pattern of its texts, None for any text."""

    name: str
    pattern: str | None
    is_number: bool = False


_TYPES = {
    **dict.fromkeys(("STRING", "VARCHAR", "CHAR", "CHARACTER", "TEXT", "JSON"), ColumnType("VARCHAR", None)),
    "TINYINT": ColumnType("TINYINT", _WHOLE, True),
    **dict.fromkeys(("SMALLINT", "INT2"), ColumnType("SMALLINT", _WHOLE, True)),
    **dict.fromkeys(("INT", "INTEGER", "INT4"), ColumnType("INTEGER", _WHOLE, True)),
    **dict.fromkeys(("BIGINT", "INT8", "LONG"), ColumnType("BIGINT", _WHOLE, True)),
    "UTINYINT": ColumnType("UTINYINT", _WHOLE, True),
    "USMALLINT": ColumnType("USMALLINT", _WHOLE, True),
    "UINTEGER": ColumnType("UINTEGER", _WHOLE, True),
    "UBIGINT": ColumnType("UBIGINT", _WHOLE, True),
    "HUGEINT": ColumnType("DECIMAL(38,0)", _WHOLE, True),
    **dict.fromkeys(("FLOAT", "REAL", "FLOAT4"), ColumnType("FLOAT", rf"{_FLOAT}|NaN|-?Infinity", True)),
    **dict.fromkeys(("DOUBLE", "DOUBLE PRECISION", "FLOAT8"), ColumnType("DOUBLE", rf"{_FLOAT}|NaN|-?Infinity", True)),
    **dict.fromkeys(("BOOLEAN", "BOOL"), ColumnType("BOOLEAN", "true|false")),
    "DATE": ColumnType("DATE", _DATE),
    "TIME": ColumnType("TIME", _TIME),
    **dict.fromkeys(
        ("TIMESTAMP", "DATETIME", "TIMESTAMP WITHOUT TIME ZONE"), ColumnType("TIMESTAMP", rf"{_DATE}(?:[ T]{_TIME})?")
    ),
    "TIMESTAMP_NS": ColumnType("TIMESTAMP_NS", rf"{_DATE}(?:[ T]\d\d:\d\d(?::\d\d(?:\.\d{{1,9}}0*)?)?)?"),
    **dict.fromkeys(
        ("TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE"),
        ColumnType("TIMESTAMP WITH TIME ZONE", rf"{_DATE}[ T]{_TIME}{_ZONE}"),
    ),
    **dict.fromkeys(("BINARY", "VARBINARY", "BLOB", "BYTEA"), ColumnType("BLOB", r"\\x(?:[0-9A-Fa-f]{2})*")),
    "UUID": ColumnType("UUID", r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
}
_SIZED = re.compile(r"([A-Z0-9_ ]+?)\s*\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)")


def column_type(column: Column) -> ColumnType:
    """What a column's type means; text if it has none. Raises `FormatError` for a type that is not known."""
    if not column.type:
        return _TYPES["STRING"]
    known = _TYPES.get(column.type)
    if known is not None:
        return known
    sized = _SIZED.fullmatch(column.type)
    base = sized[1] if sized else column.type
    if base in ("DECIMAL", "NUMERIC", "DEC"):
        precision, scale = (int(sized[2]), int(sized[3] or 0)) if sized else (38, 0)
        if 0 < precision <= 38 and scale <= precision:
            return _decimal(precision, scale)
        raise FormatError(f"The type {column.type} of the column {column.name!r} has more than 38 digits.")
    if sized and base in ("CHAR", "CHARACTER", "VARCHAR", "CHARACTER VARYING") and sized[3] is None:
        return ColumnType("VARCHAR", rf"[\s\S]{{0,{sized[2]}}}")
    raise FormatError(
        f"The type {column.type} of the column {column.name!r} is not known. Use STRING, BOOLEAN, TINYINT, SMALLINT,"
        " INT, BIGINT, FLOAT, DOUBLE, DECIMAL(p,s), DATE, TIME, TIMESTAMP, TIMESTAMP WITH TIME ZONE, UUID or BINARY."
    )


def is_bare(type: str) -> bool:
    """Whether JSON writes the texts of a declared type without quotes: numbers and truth; no type that is not known."""
    try:
        known = column_type(Column("", type))
    except FormatError:
        return False
    return known.is_number or known.name == "BOOLEAN"


def check_texts(rows: Sequence[Row], columns: Sequence[Column], checked: Sequence[bool]) -> None:
    """Raise `BadRecord` for the first text that is no value of its column's type, in the columns to be checked."""
    for place, (column, is_checked) in enumerate(zip(columns, checked, strict=True)):
        kind = column_type(column) if is_checked else None
        if kind is None or kind.pattern is None:
            continue
        texts = [row[place] for row in rows if type(row[place]) is str]
        joined = "\n".join(map(str, texts))
        if not texts or (joined.count("\n") == len(texts) - 1 and _all_of(kind.pattern).fullmatch(joined)):
            continue
        one = re.compile(kind.pattern)
        for index, row in enumerate(rows):
            value = row[place]
            if type(value) is str and one.fullmatch(value) is None:
                raise BadRecord(
                    index, f"has {value[:40]!r} in the column {column.name!r}, which is no {column.type} as it stands."
                )


def _decimal(precision: int, scale: int) -> ColumnType:
    whole = precision - scale
    before = rf"0|[1-9]\d{{0,{whole - 1}}}" if whole else "0"
    after = rf"(?:\.\d{{1,{scale}}}0*)?" if scale else r"(?:\.0+)?"
    return ColumnType(f"DECIMAL({precision},{scale})", rf"-?(?:{before}){after}", True)


def _all_of(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?:{pattern})(?:\n(?:{pattern}))*+")
