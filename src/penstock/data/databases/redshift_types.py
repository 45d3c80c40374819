"""The types of Redshift, and what they are in PostgreSQL and DuckDB."""

from __future__ import annotations

import re

from penstock.data.databases.redshift_functions import Target
from penstock.data.databases.rows import DatabaseError, quote

_TYPE = re.compile(
    r"([a-z][a-z0-9_ ]*?)\s*(?:\(\s*(max|\d+)\s*(?:,\s*(\d+)\s*)?\))?\s*((?:with|without) time zone)?", re.I
)
_PLAIN = {
    "smallint": "SMALLINT",
    "int2": "SMALLINT",
    "integer": "INTEGER",
    "int": "INTEGER",
    "int4": "INTEGER",
    "bigint": "BIGINT",
    "int8": "BIGINT",
    "real": "REAL",
    "float4": "REAL",
    "double precision": "DOUBLE PRECISION",
    "double": "DOUBLE PRECISION",
    "float8": "DOUBLE PRECISION",
    "float": "DOUBLE PRECISION",
    "boolean": "BOOLEAN",
    "bool": "BOOLEAN",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
    "timestamptz": "TIMESTAMPTZ",
    "time": "TIME",
    "timetz": "TIMETZ",
}
_TEXTS = {"varchar": 256, "character varying": 256, "nvarchar": 256, "text": 256, "char": 1, "character": 1, "nchar": 1}
_TEXTS["bpchar"] = 256
_FIXED = frozenset(("char", "character", "nchar", "bpchar"))
_BYTES = frozenset(("varbyte", "varbinary", "binary varying"))
LONGEST_VARCHAR = 65535
KEY_MARK = "redshift "
"""What the texts in the CHECKs begin with; `primary key`, `distribution key` or `sort key` follows."""


def type_name(text: str, target: Target) -> tuple[str, int | None]:
    """The target's type for one of Redshift's, and how many bytes its texts may have.

    Raises `DatabaseError` for a type that there is none for, such as SUPER.
    """
    found = _TYPE.fullmatch(" ".join(text.split()))
    name = found[1].lower() if found else ""
    if found is None or not (name in _PLAIN or name in _TEXTS or name in _BYTES or name in ("decimal", "numeric")):
        raise DatabaseError(f"Redshift's type {text.strip()} is not translated. Use VARCHAR, or a real cluster.")
    size, scale, zone = found[2], found[3], (found[4] or "").lower()
    if zone and name not in ("timestamp", "time"):
        raise DatabaseError(f"Redshift has no type {text.strip()}.")
    if name in ("decimal", "numeric"):
        return f"DECIMAL({size or 18},{scale or 0})", None
    if name in _TEXTS:
        length = LONGEST_VARCHAR if (size or "").lower() == "max" else int(size or _TEXTS[name])
        if target == "duckdb":
            return "VARCHAR", length
        return f"{'CHAR' if name in _FIXED else 'VARCHAR'}({length})", length
    if name in _BYTES:
        return ("BLOB" if target == "duckdb" else "BYTEA"), None
    plain = _PLAIN[name]
    if zone.startswith("with "):
        plain += "TZ"
    if name in ("float",) and size is not None and int(size) < 25:
        plain = "REAL"
    return plain, None


def key_check(kind: str, columns: list[str]) -> str:
    """A CHECK that is always true and names the columns of a key."""
    terms = [f"{quote(column)} IS NULL" for column in columns]
    return f"CHECK ({' OR '.join(terms)} OR '{KEY_MARK}{kind}' <> '')"
