"""Evaluation agrees with a second evaluator, which is as plain as can be: texts, numbers, lists, DateTimes, fields."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.expressions import Expression, ExpressionError, Template, UnknownName, Value, evaluate, print_template
from penstock.expressions.tree import Access, Call, Literal, Name, Negation, Node, Operation

TIME = datetime(2012, 2, 29, 17, 10, 59, tzinfo=UTC)


class Holder:
    def __init__(self, **values: Value) -> None:
        self.values = values

    def field(self, name: str) -> Value:
        if name not in self.values:
            raise UnknownName(name)
        return self.values[name]


INNER = Holder(id="In", n=7, s="inner", l=["p", "q"], t=TIME)
WORLD = Holder(
    n=3, f=2.5, s="text", five="5", t=TIME, d="2011-05-31", nothing=None, flag=True, empty=[], l=[1, "2", 0.5],
    nested=["a", ["b", ["c"]]], times=[TIME, "2011-01-31"], o=INNER, os=[INNER, INNER],
)  # fmt: skip


class Refused(Exception):
    """What the language refuses."""


@dataclass
class Several:
    """The items of a list."""

    items: list[Any]


def naive(node: Node) -> Any:
    """The value of a node; a list is a Several."""
    match node:
        case Literal():
            return node.value
        case Name():
            return field_of(WORLD, node.name)
        case Access():
            return mapped([naive(node.object)], lambda holder: field_of(holder, node.name))
        case Negation():
            return mapped([naive(node.operand)], lambda value: fitting(-number(value)))
        case Operation():
            operands = [naive(node.left), naive(node.right)]
            return mapped(operands, lambda left, right: operated(node.operator, left, right))
        case Call():
            return mapped([naive(argument) for argument in node.arguments], lambda *values: called(node, *values))
    raise AssertionError(node)


def mapped(values: list[Any], call: Any) -> Any:
    """The result for every choice of one item of each list, the first list outermost; a single one without lists."""
    chosen: list[list[Any]] = [[]]
    for value in values:
        chosen = [
            [*start, item] for start in chosen for item in (value.items if isinstance(value, Several) else [value])
        ]
    made = [call(*choice) for choice in chosen]
    if not any(isinstance(value, Several) for value in values):
        return made[0]
    return Several([item for one in made for item in (one.items if isinstance(one, Several) else [one])])


def field_of(holder: Any, name: str) -> Any:
    if not isinstance(holder, Holder) or name not in holder.values:
        raise Refused
    value = holder.values[name]
    return Several(flattened(value)) if isinstance(value, list) else value


def flattened(value: Any) -> list[Any]:
    return [one for item in value for one in flattened(item)] if isinstance(value, list) else [value]


def number(value: Any) -> Any:
    if isinstance(value, str):
        for kind in (int, float):
            try:
                return fitting(kind(value))
            except ValueError:
                continue
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused
    return value


def fitting(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        raise Refused
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise Refused
    return value


def operated(sign: str, left: Any, right: Any) -> Any:
    if sign == "+" and (isinstance(left, str) or isinstance(right, str)):
        return text(left) + text(right)
    a, b = number(left), number(right)
    try:
        match sign:
            case "^":
                return fitting(math.pow(a, b))
            case "/":
                whole = isinstance(a, int) and isinstance(b, int)
                return fitting(int(Fraction(a, b)) if whole else a / b)
        return fitting({"+": a + b, "-": a - b, "*": a * b}[sign])
    except (ArithmeticError, ValueError):
        raise Refused from None


def text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Holder):
        return text(field_of(value, "id"))
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%S}"
    if isinstance(value, float):
        # Java's form, where it is the same as Python's: the tree has no others in sums with texts
        return str(value) if value == 0 or 1e-3 <= abs(value) < 1e7 else java(value)
    return "" if value is None else str(value)


def java(value: float) -> str:
    digits, _, power = f"{value!r}".partition("e")
    exponent = int(power or 0)
    sign, digits = ("-", digits[1:]) if digits.startswith("-") else ("", digits)
    whole, _, rest = digits.partition(".")
    exact = Fraction(int(whole + rest), 10 ** len(rest)) * Fraction(10) ** exponent
    exponent = 0
    while exact >= 10:
        exact, exponent = exact / 10, exponent + 1
    while exact < 1:
        exact, exponent = exact * 10, exponent - 1
    mantissa = f"{float(exact)!r}"
    return f"{sign}{mantissa}E{exponent}"


def called(node: Call, value: Any, *others: Any) -> Any:
    if isinstance(value, str):
        try:
            day = date.fromisoformat(value) if len(value) == 10 else None
        except ValueError:
            day = None
        value = datetime(day.year, day.month, day.day, tzinfo=UTC) if day else None
    if not isinstance(value, datetime):
        raise Refused
    if node.function == "format":
        return {"YYYY-MM-dd": f"{value:%Y-%m-%d}", "D/HH": f"{int(f'{value:%j}')}/{value:%H}"}[others[0]]
    if node.function in ("year", "month", "day", "hour", "minute"):
        return getattr(value, node.function)
    if node.function == "midnight":
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    if node.function == "sunday":
        while f"{value:%a}" != "Sun":
            value -= timedelta(days=1)
        return value
    count = number(others[0]) if not isinstance(others[0], float) else others[0]
    if isinstance(count, float):
        if not count.is_integer() or isinstance(others[0], str):
            raise Refused
        count = int(count)
    count = -count if node.function.startswith("minus") else count
    try:
        if node.function.endswith("Days"):
            return value + timedelta(days=count)
        if node.function.endswith("Hours"):
            return value + timedelta(seconds=3600 * count)
        return months_later(value, count)
    except (OverflowError, ValueError):
        raise Refused from None


def months_later(value: datetime, count: int) -> datetime:
    """By counting months one by one, and days back until the day exists."""
    if abs(count) > 12 * 10_000:
        raise Refused
    year, month = value.year, value.month
    for _ in range(abs(count)):
        month += 1 if count > 0 else -1
        if month in (0, 13):
            year, month = (year - 1, 12) if month == 0 else (year + 1, 1)
    if not 1 <= year <= 9999:
        raise Refused
    for day in range(value.day, 0, -1):
        try:
            return value.replace(year=year, month=month, day=day)
        except ValueError:
            continue
    raise Refused


leaves = (
    st.sampled_from([Name(name) for name in [*WORLD.values, "missing"]])
    | (st.integers(0, 40) | st.sampled_from([0.5, 1e9, 2**62, 1e-5])).map(Literal)
    | st.sampled_from([Literal("x"), Literal("12"), Literal("2.5"), Literal("2011-01-31")])
)
MOVES = ["plusDays", "minusDays", "plusMonths", "minusMonths", "plusHours", "minusHours"]
PARTS = ["year", "month", "day", "hour", "minute", "midnight", "sunday"]


def not_wrong_from_the_start(node: Node) -> bool:
    """Whether a constant argument fits, as parsing refuses others whatever the rest is."""
    if not isinstance(node, Call):
        return True
    try:
        for argument, wanted in zip(node.arguments, ("2011-01-31", 1), strict=False):
            if isinstance(argument, Literal) and node.function != "format":
                called(
                    Call("plusDays", ()), argument.value if wanted != 1 else TIME, argument.value if wanted == 1 else 1
                )
    except Refused:
        return False
    return True


def larger(nodes: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    formats = st.sampled_from([Literal("YYYY-MM-dd"), Literal("D/HH")])
    calls = (
        st.builds(lambda name, one: Call(name, (one,)), st.sampled_from(PARTS), nodes)
        | st.builds(lambda name, one, two: Call(name, (one, two)), st.sampled_from(MOVES), nodes, nodes)
        | st.builds(lambda one, two: Call("format", (one, two)), nodes, formats)
    )
    return (
        st.builds(Operation, st.sampled_from("+-*/^"), nodes, nodes)
        | st.builds(Negation, nodes)
        | st.builds(Access, nodes, st.sampled_from(["n", "s", "l", "t", "missing"]))
        | calls.filter(not_wrong_from_the_start)
    )


trees: st.SearchStrategy[Node] = st.recursive(leaves, larger, max_leaves=6)


def comparable(value: Any) -> Any:
    """A value with its types, so that 4 and 4.0 differ."""
    if isinstance(value, Several):
        value = value.items
    return [comparable(item) for item in value] if isinstance(value, list) else (type(value), value)


@given(trees)
def test_evaluation_agrees_with_a_naive_evaluator(tree: Node) -> None:
    written = print_template(Template((Expression(tree),)))
    try:
        expected = naive(tree)
    except Refused:
        with pytest.raises(ExpressionError):
            evaluate(written, WORLD)
    else:
        assert comparable(evaluate(written, WORLD)) == comparable(expected)
