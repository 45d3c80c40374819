"""One text form for every value that a database gives."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from uuid import UUID


def to_text(value: object) -> str | None:
    """The text of a value, the same wherever it is written; None is NULL and stays None.

    | value | text |
    |---|---|
    | bool | `true`, `false` |
    | int, Decimal | plain digits, never an exponent; a Decimal keeps its zeros |
    | float | the shortest that reads back as the same number; `NaN`, `Infinity`, `-Infinity` |
    | datetime | `yyyy-MM-dd HH:mm:ss[.f]`, and `+HH:MM` if it is aware |
    | date, time | `yyyy-MM-dd`, `HH:mm:ss[.f]` |
    | bytes | `\\x` and hexadecimal digits |
    | UUID | its usual form |
    | dict, list | JSON without spaces |

    A fraction of a second has as many digits as it needs, as PostgreSQL and DuckDB write it.

    Raises TypeError for any other type.
    """
    if value is None:
        return None
    convert = _CONVERSIONS.get(type(value))
    if convert is not None:
        return convert(value)
    for known, conversion in _CONVERSIONS.items():
        if isinstance(value, known):
            return conversion(value)
    raise TypeError(f"A value of type {type(value).__name__} has no text form: {value!r}.")


def _decimal(value: Decimal) -> str:
    return format(value, "f")


def _float(value: float) -> str:
    text = float.__repr__(value)
    return _NOT_FINITE.get(text, text)


def _datetime(value: datetime) -> str:
    text = value.isoformat(" ")
    if not value.microsecond:
        return text
    return text[:26].rstrip("0") + text[26:]


def _time(value: time) -> str:
    text = value.isoformat()
    return text[:15].rstrip("0") + text[15:] if value.microsecond else text


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=to_text)


_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
_CONVERSIONS: dict[type, Callable[..., str]] = {
    str: str,
    bool: lambda value: "true" if value else "false",
    int: int.__repr__,
    float: _float,
    Decimal: _decimal,
    datetime: _datetime,
    date: date.isoformat,
    time: _time,
    bytes: lambda value: "\\x" + value.hex(),
    bytearray: lambda value: "\\x" + value.hex(),
    memoryview: lambda value: "\\x" + value.hex(),
    UUID: str,
    dict: _json,
    list: _json,
    tuple: _json,
}
