"""The kinds of argument that functions take, and how a value becomes one.

A converter raises Mistake, whose message goes on after the name of the argument: `is the string 'x', not an
int.`
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import cache, lru_cache

from penstock.expressions.dates import Period, datetime_of, period
from penstock.expressions.errors import Mistake
from penstock.expressions.joda import Pattern, pattern
from penstock.expressions.values import Value, described

INT_LIMIT = 2**63
"""Integers are 64 bits wide, as Java's long."""

_INT_TEXT = re.compile(r"[+-]?[0-9]{1,19}")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of argument: its name in a signature, and its converter."""

    word: str
    convert: Callable[[Value], object]


def in_range(value: int) -> bool:
    """Whether an integer fits in 64 bits."""
    return -INT_LIMIT <= value < INT_LIMIT


def int_of(text: str) -> int | None:
    """The integer that a string of digits stands for, else None."""
    return int(text) if _INT_TEXT.fullmatch(text) and in_range(int(text)) else None


def _unfit(value: Value, wanted: str, advice: str) -> Mistake:
    return Mistake(f"is {described(value)}, not {wanted}.", advice)


_DATETIME_ADVICE = "Give a DateTime such as @scheduledStartTime, or a text such as '2011-05-24T17:10:00' (UTC)."
_INT_ADVICE = "Give an integer, such as 1."
_PATTERN_ADVICE = "Give a Joda-Time pattern in quotes, such as 'YYYY-MM-dd HH:mm:ss'."
_PERIOD_ADVICE = "Give a number and a unit in quotes, such as '1 day'."
_ZONE_ADVICE = "Give the name of a time zone in quotes, such as 'America/Los_Angeles'."


def _to_datetime(value: Value) -> datetime:
    if isinstance(value, datetime):
        return value
    found = datetime_of(value) if isinstance(value, str) else None
    if found is None:
        raise _unfit(value, "a DateTime", _DATETIME_ADVICE)
    return found


def _to_int(value: Value) -> int:
    if type(value) is int:
        found: int | None = value
    elif isinstance(value, str):
        found = int_of(value)
    elif isinstance(value, float) and value.is_integer():
        found = int(value)
    else:
        found = None
    if found is None or not in_range(found):
        raise _unfit(value, "an int", _INT_ADVICE)
    return found


def _to_pattern(value: Value) -> Pattern:
    if not isinstance(value, str):
        raise _unfit(value, "a pattern", _PATTERN_ADVICE)
    return pattern(value)


def _to_period(value: Value) -> Period:
    if not isinstance(value, str):
        raise _unfit(value, "a period", _PERIOD_ADVICE)
    return period(value)


def _to_zone(value: Value) -> tzinfo:
    if not isinstance(value, str):
        raise _unfit(value, "a time zone", _ZONE_ADVICE)
    return _zone(value)


@lru_cache(maxsize=256)
def _zone(name: str) -> tzinfo:
    if name.upper() in ("UTC", "GMT", "Z"):
        return UTC
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise Mistake(f"is {name!r}, not a time zone that is known here.", _zone_advice(name)) from None


def _zone_advice(name: str) -> str:
    from difflib import get_close_matches

    known = _zones()
    if not known:
        return "This machine has no time zone data: install the system's tzdata or the Python package tzdata."
    region, _, city = name[:40].rpartition("/")
    alike = [zone for zone in known if _city(zone)[:2].lower() == city[:2].lower() and zone.startswith(region[:2])]
    close = get_close_matches(name[:40], sorted(alike), 1)  # among all zones it takes as long as everything else
    return f"Did you mean {close[0]!r}?" if close else _ZONE_ADVICE


@cache
def _zones() -> frozenset[str]:
    """The names of all time zones, for which many folders are read."""
    from zoneinfo import available_timezones

    return frozenset(available_timezones())


def _city(zone: str) -> str:
    return zone.rpartition("/")[2]


KINDS: dict[object, Kind] = {
    datetime: Kind("DateTime", _to_datetime),
    int: Kind("int", _to_int),
    Pattern: Kind("String", _to_pattern),
    Period: Kind("Period", _to_period),
    tzinfo: Kind("String", _to_zone),
}
"""The kind of each type that a function may name in its signature."""

RESULTS: dict[object, str] = {datetime: "DateTime", int: "int", str: "String"}
"""The word for each type that a function may return."""
