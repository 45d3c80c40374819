"""The values that expressions read and give, and how they are written as text."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Protocol

from penstock.expressions.errors import NotYet, UnknownName


class Fields(Protocol):
    """What an expression can see: a pipeline object by its fields."""

    def field(self, name: str) -> "Value":
        """The value of a field; `name` is as written: `@scheduledStartTime`, `*mySecret`, `input`.

        Raises UnknownName for a field that is not there, NotYet for one whose value comes at run time.
        """
        ...


Value = str | int | float | bool | datetime | None | Fields | list["Value"]
"""A value: a datetime is aware and in UTC, a `Fields` is an object behind a reference."""


def flat(value: Value) -> Iterator[Value]:
    """The values in a list and in the lists inside it, or the value itself."""
    if isinstance(value, list):
        for item in value:
            yield from flat(item)
    else:
        yield value


def to_text(value: Value) -> str | list[str]:
    """A value as the text that stands in a field; a list gives a list.

    A datetime is `yyyy-MM-ddTHH:mm:ss` in UTC, a double is as Java writes it, None is empty, and an object
    is its `@id`, or its `id` where it has no `@id` (raises what its `field` raises).
    """
    if isinstance(value, list):
        return [scalar_text(item) for item in flat(value)]
    return scalar_text(value)


def scalar_text(value: Value) -> str:
    """`to_text` of a value that is no list."""
    match value:
        case str():
            return value
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return double_text(value)
        case datetime():
            return _datetime_text(value)
        case list():
            raise TypeError("scalar_text wants a single value")
        case _:
            return _object_text(value)


def double_text(value: float) -> str:
    """A double as Java's `Double.toString` writes it: `4.0`, `0.5`, `1.0E7`, `1.0E-4`."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    shortest = repr(value)
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return shortest
    sign = "-" if value < 0 else ""
    mantissa, _, power = shortest.lstrip("-").partition("e")
    whole, _, fraction = mantissa.partition(".")
    leading = (whole + fraction).lstrip("0")
    exponent = int(power or 0) + len(whole) - 1 - (len(whole + fraction) - len(leading))
    digits = leading.rstrip("0")
    return f"{sign}{digits[0]}.{digits[1:] or '0'}E{exponent}"


def described(value: Value) -> str:
    """A value as an error names it: `the string 'one'`, `the int 4`, `a list`."""
    match value:
        case str():
            return f"the string {_shortened(value)!r}"
        case None:
            return "empty"
        case bool():
            return f"the boolean {scalar_text(value)}"
        case int():
            return f"the int {value}"
        case float():
            return f"the double {double_text(value)}"
        case datetime():
            return f"the DateTime {_datetime_text(value)}"
        case list():
            return "a list"
        case _:
            return "an object"


def _shortened(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"


def _datetime_text(value: datetime) -> str:
    if value.tzinfo is not UTC:
        if value.tzinfo is None:
            raise TypeError("a datetime without a time zone is no value of an expression")
        value = value.astimezone(UTC)
    return value.isoformat("T", "seconds")[:19]


def _object_text(value: Fields) -> str:
    try:
        text = to_text(value.field("@id"))
    except NotYet:
        raise
    except UnknownName:
        text = to_text(value.field("id"))
    return text if isinstance(text, str) else ",".join(text)
