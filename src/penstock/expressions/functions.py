"""The functions of the language, each a typed Python function under a decorator.

The service's name of a function and of its parameters is the Python name in camel case. Where a docstring
names no source, the function is one of the Developer Guide's page "Date and Time Functions".
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from types import MappingProxyType
from typing import NamedTuple, TypeVar

from penstock.expressions.arguments import KINDS, RESULTS, Kind
from penstock.expressions.dates import Period, moved, settled, start_of
from penstock.expressions.errors import Mistake
from penstock.expressions.joda import Pattern
from penstock.expressions.values import Value

F = TypeVar("F", bound=Callable[..., Value])


class Parameter(NamedTuple):
    """A parameter of a function: its name, the word for its type, and its kind."""

    name: str
    type: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the language; `call` takes its arguments already converted."""

    name: str
    doc: str
    parameters: tuple[Parameter, ...]
    result: str
    call: Callable[..., Value]

    @property
    def signature(self) -> str:
        """The function as the guide shows it: `DateTime plusDays(DateTime myDateTime, int daysToAdd)`."""
        parameters = ", ".join(f"{parameter.type} {parameter.name}" for parameter in self.parameters)
        return f"{self.result} {self.name}({parameters})"


_functions: dict[str, Function] = {}

FUNCTIONS: Mapping[str, Function] = MappingProxyType(_functions)
"""Every function by its name."""


def function(call: F) -> F:
    """Make a typed, documented Python function a function of the language.

    Its parameters are of the types in `KINDS`, its result of those in `RESULTS`, else TypeError.
    """
    name = _camel_case(call.__name__)
    signature = inspect.signature(call)
    parameters = []
    for parameter in signature.parameters.values():
        if parameter.annotation not in KINDS:
            raise TypeError(f"{name}: the language has no type for the parameter {parameter}")
        kind = KINDS[parameter.annotation]
        parameters.append(Parameter(_camel_case(parameter.name), kind.word, kind))
    result = RESULTS.get(signature.return_annotation)
    if result is None:
        raise TypeError(f"{name}: the language has no type for the result {signature.return_annotation}")
    _functions[name] = Function(name, inspect.getdoc(call) or "", tuple(parameters), result, call)
    return call


def _camel_case(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def function_for(name: str, count: int) -> Function:
    """The function of a name for a number of arguments; raises Mistake if there is none."""
    found = FUNCTIONS.get(name)
    if found is None:
        raise Mistake(f"There is no function {name!r}.", _closest(name))
    if count != len(found.parameters):
        takes = len(found.parameters)
        wanted = ", ".join(parameter.name for parameter in found.parameters)
        raise Mistake(
            f"{name} takes {takes} argument{'' if takes == 1 else 's'} ({wanted}), not {count}.",
            f"Write it as {found.signature}.",
        )
    return found


def _closest(name: str) -> str:
    from difflib import get_close_matches

    by_lower_case = {known.lower(): known for known in FUNCTIONS}
    close = get_close_matches(name[:40].lower(), by_lower_case, 1, 0.5)
    if close:
        return f"Did you mean {by_lower_case[close[0]]}?"
    return f"The functions are {', '.join(sorted(FUNCTIONS))}."


# Parts of a DateTime


@function
def year(my_date_time: datetime) -> int:
    """The year of a DateTime."""
    return my_date_time.year


@function
def month(my_date_time: datetime) -> int:
    """The month of a DateTime, 1 to 12."""
    return my_date_time.month


@function
def day(my_date_time: datetime) -> int:
    """The day of the month of a DateTime."""
    return my_date_time.day


@function
def day_of_year(my_date_time: datetime) -> int:
    """The day of the year of a DateTime, 1 to 366."""
    return my_date_time.timetuple().tm_yday


@function
def hour(my_date_time: datetime) -> int:
    """The hour of a DateTime, 0 to 23."""
    return my_date_time.hour


@function
def minute(my_date_time: datetime) -> int:
    """The minute of a DateTime."""
    return my_date_time.minute


@function
def format(my_date_time: datetime, format: Pattern) -> str:
    """A DateTime as text, in a pattern of Joda-Time's DateTimeFormat."""
    return format.printed(my_date_time)


# Making a DateTime


@function
def make_date(year: int, month: int, day: int) -> datetime:
    """The midnight (UTC) that begins a date."""
    return make_date_time(year, month, day, 0, 0)


@function
def make_date_time(year: int, month: int, day: int, hour: int, minute: int) -> datetime:
    """The DateTime (UTC) of a date and a time."""
    try:
        return datetime(year, month, day, hour, minute, tzinfo=UTC)
    except (ValueError, OverflowError):
        raise Mistake(
            f"There is no date and time {year}-{month:02d}-{day:02d} {hour:02d}:{minute:02d}.",
            "Give a year to 9999, a month to 12, a day of that month, an hour to 23 and a minute to 59.",
        ) from None


@function
def in_time_zone(my_date_time: datetime, zone: tzinfo) -> datetime:
    """The same moment on the clocks of a time zone, daylight saving time included.

    What is read from it (format, hour, midnight, plusDays) follows those clocks; as the value of a field it
    is in UTC again. From earlier editions of the guide.
    """
    return my_date_time.astimezone(zone)


# Rounding


@function
def midnight(my_date_time: datetime) -> datetime:
    """The midnight that begins the day of a DateTime."""
    return settled(my_date_time.replace(hour=0, minute=0, second=0, microsecond=0, fold=0))


@function
def first_of_month(my_date_time: datetime) -> datetime:
    """The first day of the month of a DateTime, at the same time of day."""
    return settled(my_date_time.replace(day=1, fold=0))


@function
def sunday(my_date_time: datetime) -> datetime:
    """The Sunday before a DateTime, at the same time of day; a Sunday gives itself."""
    return moved(my_date_time, -(my_date_time.isoweekday() % 7), "day")


@function
def yesterday(my_date_time: datetime) -> datetime:
    """The day before, at the same time of day."""
    return moved(my_date_time, -1, "day")


@function
def round_down(my_date_time: datetime, period: Period) -> datetime:
    """The start of the period that a DateTime lies in: '15 minutes', '1 hour', '1 day', '3 months', '1 year'.

    Periods are counted from the start of the next larger unit, so a period must divide that unit. Ours: the
    guide has only midnight and firstOfMonth.
    """
    try:
        return start_of(my_date_time, period)
    except Mistake as mistake:
        raise mistake.at(0, "period of roundDown") from None


# Moving


@function
def plus_period(my_date_time: datetime, period: Period) -> datetime:
    """The DateTime a period later, such as '1 day'; on the guide's page of SqlActivity."""
    return moved(my_date_time, period.count, period.unit)


@function
def minus_period(my_date_time: datetime, period: Period) -> datetime:
    """The DateTime a period earlier, such as '1 day'; the counterpart of plusPeriod."""
    return moved(my_date_time, -period.count, period.unit)


@function
def plus_years(my_date_time: datetime, years_to_add: int) -> datetime:
    """The DateTime a number of years later."""
    return moved(my_date_time, years_to_add, "year")


@function
def minus_years(my_date_time: datetime, years_to_sub: int) -> datetime:
    """The DateTime a number of years earlier."""
    return moved(my_date_time, -years_to_sub, "year")


@function
def plus_months(my_date_time: datetime, months_to_add: int) -> datetime:
    """The DateTime a number of months later; a day that the month does not have becomes its last."""
    return moved(my_date_time, months_to_add, "month")


@function
def minus_months(my_date_time: datetime, months_to_sub: int) -> datetime:
    """The DateTime a number of months earlier; a day that the month does not have becomes its last."""
    return moved(my_date_time, -months_to_sub, "month")


@function
def plus_weeks(my_date_time: datetime, weeks_to_add: int) -> datetime:
    """The DateTime a number of weeks later."""
    return moved(my_date_time, weeks_to_add, "week")


@function
def minus_weeks(my_date_time: datetime, weeks_to_sub: int) -> datetime:
    """The DateTime a number of weeks earlier."""
    return moved(my_date_time, -weeks_to_sub, "week")


@function
def plus_days(my_date_time: datetime, days_to_add: int) -> datetime:
    """The DateTime a number of days later."""
    return moved(my_date_time, days_to_add, "day")


@function
def minus_days(my_date_time: datetime, days_to_sub: int) -> datetime:
    """The DateTime a number of days earlier."""
    return moved(my_date_time, -days_to_sub, "day")


@function
def plus_hours(my_date_time: datetime, hours_to_add: int) -> datetime:
    """The DateTime a number of hours later."""
    return moved(my_date_time, hours_to_add, "hour")


@function
def minus_hours(my_date_time: datetime, hours_to_sub: int) -> datetime:
    """The DateTime a number of hours earlier."""
    return moved(my_date_time, -hours_to_sub, "hour")


@function
def plus_minutes(my_date_time: datetime, minutes_to_add: int) -> datetime:
    """The DateTime a number of minutes later."""
    return moved(my_date_time, minutes_to_add, "minute")


@function
def minus_minutes(my_date_time: datetime, minutes_to_sub: int) -> datetime:
    """The DateTime a number of minutes earlier."""
    return moved(my_date_time, -minutes_to_sub, "minute")
