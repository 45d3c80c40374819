"""Calendar arithmetic on aware datetimes, as Joda-Time does it, and the periods of the service.

Years, months, weeks and days move the wall clock of the datetime's own zone; hours, minutes and seconds are
time that passes. What leaves the years 1 to 9999 raises OverflowError.
"""

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import MAXYEAR, UTC, datetime, timedelta

from penstock.expressions.errors import Mistake

UNITS = ("year", "month", "week", "day", "hour", "minute", "second")

_PERIOD = re.compile(r"\s*([0-9]{1,9})\s+([a-z]+?)s?\s*", re.IGNORECASE)
_DATETIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}Z?)?")


@dataclass(frozen=True, slots=True)
class Period:
    """A number of units of the calendar, such as 15 minutes."""

    count: int
    unit: str


def period(text: str) -> Period:
    """Read a period such as `1 day` or `15 Minutes`; raises Mistake with a message to put after a name."""
    found = _PERIOD.fullmatch(text)
    if found is None or found[2].lower() not in UNITS:
        raise Mistake(
            f"is {text!r}, not a period.",
            "Write a number and a unit from years to seconds, such as '1 day'.",
        )
    return Period(int(found[1]), found[2].lower())


def datetime_of(text: str) -> datetime | None:
    """The datetime that a text such as `2011-05-24` or `2011-05-24T17:10:00` (UTC) stands for, else None."""
    if not _DATETIME.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=UTC)
    except ValueError:
        return None


def moved(value: datetime, count: int, unit: str) -> datetime:
    """The datetime that lies `count` units later; a day that a month does not have becomes its last."""
    match unit:
        case "year":
            return _moved_by_months(value, count * 12)
        case "month":
            return _moved_by_months(value, count)
        case "week" | "day":
            return settled(value + timedelta(days=count * (7 if unit == "week" else 1)))
    passed = timedelta(**{f"{unit}s": count})
    if value.tzinfo is UTC:
        return value + passed
    return (value.astimezone(UTC) + passed).astimezone(value.tzinfo)


def _moved_by_months(value: datetime, count: int) -> datetime:
    year, month = divmod(value.year * 12 + value.month - 1 + count, 12)
    if not 1 <= year <= MAXYEAR:
        raise OverflowError("year out of range")
    day = min(value.day, monthrange(year, month + 1)[1])
    return settled(value.replace(year=year, month=month + 1, day=day, fold=0))


def settled(value: datetime) -> datetime:
    """The same wall clock, or the time after the gap where the zone's clocks skip it."""
    if value.tzinfo is UTC:
        return value
    return value.astimezone(UTC).astimezone(value.tzinfo)


def start_of(value: datetime, step: Period) -> datetime:
    """The start of the step that a datetime lies in, counted from the start of the next larger unit.

    Raises Mistake, with a message to put after a name, for steps that do not fill the larger unit.
    """
    count, unit = step.count, step.unit
    whole = {"second": 60, "minute": 60, "hour": 24, "day": 1, "month": 12, "year": 1}.get(unit)
    if whole is None or count == 0 or whole % count:
        raise Mistake(
            f"is {count} {unit}{'' if count == 1 else 's'}, which does not divide the time into equal steps.",
            "Write a divisor of 60 seconds, 60 minutes, 24 hours or 12 months, or '1 day' or '1 year';"
            " for weeks use midnight(sunday(…)).",
        )
    first = _FIRST.get(unit, 0)
    kept = getattr(value, unit)
    start = {unit: kept - (kept - first) % count}
    smaller = _ORDER[_ORDER.index(unit) + 1 :]
    start.update({name: _FIRST.get(name, 0) for name in smaller})
    return settled(_replaced(value, start))


_ORDER = ("year", "month", "day", "hour", "minute", "second")
_FIRST = {"month": 1, "day": 1}


def _replaced(value: datetime, parts: dict[str, int]) -> datetime:
    """A datetime with other parts; the earlier of two equal wall clocks where its day begins anew."""
    year, month, day, hour, minute, second = (parts.get(name, getattr(value, name)) for name in _ORDER)
    fold = 0 if "day" in parts else value.fold
    return datetime(year, month, day, hour, minute, second, tzinfo=value.tzinfo, fold=fold)
