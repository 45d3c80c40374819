"""What instances have moved, in words: for progress, tables, and to see where data came from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FIELDS = ("rows", "bytes", "seconds", "statements", "source", "target", "columns", "way", "lastResult")
"""What an instance says of the data that it has moved or looked at: extensions of ours."""
LISTS = ("source", "target", "columns", "way")
"""Those of them that may have several values."""
WAYS = {
    "storage": "copied by the storage itself",
    "bytes": "as the bytes that they are",
    "bulk": "by bulk load or unload",
    "rows": "row by row",
}
"""How data went, by the field `way`."""
COUNTED = ("RUNNING", "FINISHED")
MOST_COLUMNS = 20


def amount(fields: Mapping[str, Any]) -> str:
    """`336,776 rows, 26.2 MB`, or how many statements of a script have run; empty where nothing is known."""
    rows, bytes = (_number(fields.get(key)) for key in ("rows", "bytes"))
    parts = [f"{fields['statements']} statements"] if fields.get("statements") else []
    if rows or (rows == 0 and not bytes and not parts):
        parts.append(f"{rows:,} row{'' if rows == 1 else 's'}")
    if bytes:
        parts.append(size(bytes))
    return ", ".join(parts)


def json_of(fields: Mapping[str, str]) -> dict[str, Any]:
    """The same fields of an instance as JSON has them, where it has any."""
    known = {key: fields[key] for key in FIELDS if key in fields}
    return {key: value.splitlines() if key in LISTS else value for key, value in known.items()}


def size(bytes: int) -> str:
    """A number of bytes as people read it: `999 bytes`, `1.2 MB`."""
    if bytes < 1000:
        return f"{bytes} bytes"
    value, units = bytes / 1000, ["kB", "MB", "GB", "TB", "PB"]
    while value >= 999.95 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:,.1f} {units[0]}"


def amount_of_instance(fields: Mapping[str, str]) -> str:
    """The same for a table of instances: what failed has moved nothing, whatever it reported on its way."""
    return amount(fields) if fields.get("@status") in COUNTED else ""


def lineage(fields: Mapping[str, str]) -> list[str]:
    """Where data came from and went to, a sentence a line; empty where an instance has moved none."""
    if "source" not in fields and "target" not in fields:
        return []
    took = f" in {float(fields['seconds']):,.1f} s" if fields.get("seconds") else ""
    lines = [f"It moved {amount(fields) or 'data'}{took}."]
    for key, word in (("source", "from"), ("target", "to")):
        lines += [f"{word} {line}" for line in fields.get(key, "").splitlines()]
    lines += [WAYS.get(way, f"by {way}") for way in fields.get("way", "").splitlines()]
    columns = fields.get("columns", "").splitlines()
    if columns:
        more = f" and {len(columns) - MOST_COLUMNS} more" if len(columns) > MOST_COLUMNS else ""
        lines.append(f"columns {', '.join(columns[:MOST_COLUMNS])}{more}")
    return lines


def _number(value: Any) -> int | None:
    text = str(value)
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None
