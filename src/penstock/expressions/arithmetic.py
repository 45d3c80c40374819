"""Numbers and their operators: integers of 64 bits, doubles, and what becomes of both.

Raises Mistake without a position, or with a message to go on after a name where a docstring says so.
"""

import math
import re
from datetime import datetime

from penstock.expressions.arguments import in_range, int_of
from penstock.expressions.errors import Mistake
from penstock.expressions.values import Value, described

_DOUBLE_TEXT = re.compile(
    r"[+-]?([0-9]{1,300}\.[0-9]{0,300}|\.[0-9]{1,300}|[0-9]{1,300}(?=[eE]))([eE][+-]?[0-9]{1,3})?"
)  # what a parameter of type Double may be, and what doubles are written as


def number(value: Value) -> int | float:
    """A value as a number: an int, a double, or a string that holds one.

    Raises Mistake with a message to go on after a name.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if isinstance(value, str):
        whole = int_of(value)
        if whole is not None:
            return whole
        if _DOUBLE_TEXT.fullmatch(value) and math.isfinite(float(value)):
            return float(value)
    if isinstance(value, datetime):
        remedy = "Use plusDays, minusHours and the like to move a DateTime, format to make text of it."
    else:
        remedy = "Use a number here, or a string that holds one."
    raise Mistake(f"is {described(value)}, not a number.", remedy)


def negated(operand: int | float) -> int | float:
    """Minus a number."""
    return _fitting(-operand)


def calculated(operator: str, left: int | float, right: int | float) -> int | float:
    """The result of one of `+ - * / ^`: integers divide towards zero, and `^` gives a double."""
    try:
        return _fitting(_calculated(operator, left, right))
    except ZeroDivisionError:
        raise Mistake("This divides by zero.", "Divide by something else.") from None
    except OverflowError:
        raise _not_fitting() from None
    except ValueError:
        raise Mistake(
            "This power is not a number.",
            "Raise negative numbers to whole powers only, and zero to powers that are not negative.",
        ) from None


def _calculated(operator: str, left: int | float, right: int | float) -> int | float:
    match operator:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "^":
            return math.pow(left, right)
    if isinstance(left, float) or isinstance(right, float):
        return left / right
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


def _fitting(result: int | float) -> int | float:
    if math.isfinite(result) if isinstance(result, float) else in_range(result):
        return result
    raise _not_fitting()


def _not_fitting() -> Mistake:
    return Mistake(
        "The result is too large for a number.",
        "Integers go up to 9223372036854775807, doubles to 1.7976931348623157E308.",
    )
