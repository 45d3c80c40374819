"""Laws: printing and reading agree, arithmetic agrees with a naive evaluator, no text crashes."""

import math
import time
from datetime import UTC, datetime
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from penstock.expressions import (
    Expression,
    ExpressionError,
    Template,
    UnknownName,
    Value,
    evaluate,
    names,
    parse,
    print_template,
)
from penstock.expressions.evaluator import MAX_ITEMS, MAX_TEXT
from penstock.expressions.tree import Access, Call, Literal, Name, Negation, Node, Operation

FIELDS: dict[str, Value] = {
    "a": 3,
    "x": "text",
    "t": datetime(2011, 5, 24, 17, 10, tzinfo=UTC),
    "list": ["1", 2, 3.5],
    "many": list(range(1000)),
    "long": "x" * 10_000,
    "nothing": None,
}


class World:
    def field(self, name: str) -> Value:
        if name == "node":
            return self
        if name not in FIELDS:
            raise UnknownName(name)
        return FIELDS[name]


identifiers = st.from_regex(r"@?[a-zA-Z_é][a-zA-Z0-9_é]{0,6}", fullmatch=True)
secrets = st.from_regex(r"\*[a-zA-Z_][a-zA-Z0-9_]{0,6}", fullmatch=True)
numbers = st.integers(0, 2**63 - 1) | st.floats(0, allow_nan=False, allow_infinity=False)
leaves = st.builds(Literal, st.text() | numbers) | st.builds(Name, identifiers) | st.builds(Name, secrets)


def larger(nodes: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    one = st.tuples(nodes.filter(lambda node: not isinstance(node, Literal)))
    return (
        st.builds(Operation, st.sampled_from("+-*/^"), nodes, nodes)
        | st.builds(Negation, nodes)
        | st.builds(Access, nodes, identifiers)
        | st.builds(Call, st.sampled_from(["day", "midnight", "yesterday"]), one)
    )


trees: st.SearchStrategy[Node] = st.recursive(leaves, larger, max_leaves=12)
texts = st.text(min_size=1).filter(lambda text: "#{" not in text)


@st.composite
def templates(draw: st.DrawFn) -> Template:
    parts: list[str | Expression] = []
    for expression in draw(st.lists(trees.map(Expression), max_size=3)):
        parts.extend([*draw(st.lists(texts, max_size=1)), expression])
    return Template((*parts, *draw(st.lists(texts, max_size=1))))


@given(templates())
def test_a_printed_template_reads_back_as_itself(template: Template) -> None:
    again = parse(print_template(template))
    assert again == template
    assert repr(again).replace(" ", "")  # every node can be shown
    assert names(again) == names(template)


def survives(text: str) -> None:
    try:
        evaluate(text, World())
    except ExpressionError as error:
        assert 0 <= error.position <= len(text)
        assert error.message
        assert error.remedy
        assert "^" in str(error)


@given(st.text())
def test_no_text_crashes(text: str) -> None:
    survives(text)


SIGNS = [*"()+-*/^.,'\"\\{}#@ \n\x00é²٣\ud800", "#{", "**"]
WORDS = [
    "a",
    "x",
    "t",
    "list",
    "nothing",
    "node",
    "missing",
    "day",
    "format",
    "plusDays",
    "makeDate",
    "inTimeZone",
]
CONSTANTS = ["1", "0", "2.5", "9e99", "9999999999999999999", "'YYYY'", "'1 day'", "'2011-05-24'"]
pieces = st.sampled_from(SIGNS + WORDS + CONSTANTS)


@given(st.lists(pieces, max_size=30).map(" ".join) | st.lists(pieces, max_size=30).map("".join))
@example("²")
@example("t.plusDays(9223372036854775807)")
@example("format(t, x)")
def test_no_expression_crashes(body: str) -> None:
    survives("#{" + body + "}")


@pytest.mark.parametrize(
    "text",
    [
        *("#{" + unit * (10_000 // len(unit)) + "}" for unit in ("(", ")", "-", "'", '"', "\\", "{", "#", "#{", "a.")),
        *(
            "#{" + unit * (10_000 // len(unit)) + "1}"
            for unit in ("1+", "1^", "-", "a*", "a.a+", "day(", "'a'+", "1-(")
        ),
        *("#{a" + unit * (10_000 // len(unit)) + "}" for unit in (".a", ".day()", " ", "\\'", "'\\", "+list")),
        "#{" * 5000,
        "#{a}" * 2500,
        "#{list}" * 1400,
        "#{" + "(" * 5000 + "1" + ")" * 5000 + "}",
        "#{" + "9" * 10_000 + "}",
        "#{1e" + "9" * 10_000 + "}",
        "#{'" + "\\\\" * 5000 + "}",
        "#{'" + "\\x" * 5000 + "'}",
        "#{format(t, '" + "d" * 10_000 + "')}",
        '#{format(t, "' + "'" * 10_000 + '")}',
        "#{inTimeZone(t, '" + "a/" * 5000 + "')}",
        "#{plusPeriod(t, '" + " " * 10_000 + "')}",
        "#{plusPeriod(t, '1 " + "s" * 10_000 + "')}",
        "#{" + "a" * 10_000 + "(1)}",
        "#{" + "a" * 10_000 + "}",
        "#{makeDate(" + "1," * 5000 + "1)}",
    ],
    ids=lambda text: repr(text[:12]),
)
def test_no_long_text_hangs_or_overflows(text: str) -> None:
    started = time.thread_time()
    survives(text)
    assert time.thread_time() - started < 2


@pytest.mark.parametrize(("before", "after"), [("(", ")"), ("-", ""), ("midnight(", ")"), ("1+(", ")")])
def test_a_deeply_nested_expression_within_the_limit_can_be_used_in_every_way(before: str, after: str) -> None:
    depth = 199 if len(before) == 1 else 99
    inner = "t" if "midnight" in before else "1"
    template = parse("#{" + before * depth + inner + after * depth + "}")
    evaluate(template, World())
    assert parse(print_template(template)) == template
    assert hash(template)
    assert repr(template)
    assert isinstance(names(template), list)
    survives("#{" + before * 200 + inner + after * 200 + "}")


@pytest.mark.parametrize("text", ["#{many + many}", "#{many}#{many}", "#{plusDays(t, many) + many}"])
def test_lists_do_not_multiply_without_bound(text: str) -> None:
    with pytest.raises(ExpressionError, match=f"{MAX_ITEMS} items is the limit"):
        evaluate(text, World())


def test_a_text_does_not_grow_without_bound() -> None:
    with pytest.raises(ExpressionError, match=f"longer than {MAX_TEXT} characters"):
        evaluate("#{" + "+".join(["long"] * 150) + "}", World())
    with pytest.raises(ExpressionError, match=f"longer than {MAX_TEXT} characters"):
        evaluate("#{long}" * 150 + "#{list}", World())


sums = st.recursive(
    st.integers(0, 1000).map(Literal) | st.integers(0, 10**6).map(lambda n: Literal(n / 1000)),
    lambda nodes: st.builds(Operation, st.sampled_from("+-*/^"), nodes, nodes) | st.builds(Negation, nodes),
    max_leaves=10,
)


def naive(node: Node) -> int | float:
    """The value by Python's own arithmetic; what the language refuses raises ArithmeticError."""
    if isinstance(node, Literal):
        assert not isinstance(node.value, str)
        return node.value
    if isinstance(node, Negation):
        return -naive(node.operand)
    assert isinstance(node, Operation)
    left, right = naive(node.left), naive(node.right)
    result: int | float
    if node.operator == "^":
        try:
            result = math.pow(left, right)
        except ValueError:
            raise ArithmeticError from None
    elif node.operator == "/":
        result = int(Fraction(left, right)) if isinstance(left, int) and isinstance(right, int) else left / right
    else:
        result = {"+": left + right, "-": left - right, "*": left * right}[node.operator]
    if isinstance(result, int) and not -(2**63) <= result < 2**63:
        raise ArithmeticError
    if isinstance(result, float) and not math.isfinite(result):
        raise ArithmeticError
    return result


@given(sums)
def test_arithmetic_agrees_with_a_naive_evaluator(tree: Node) -> None:
    text = print_template(Template((Expression(tree),)))
    try:
        expected: int | float | None = naive(tree)
    except ArithmeticError:
        expected = None
    if expected is None:
        with pytest.raises(ExpressionError):
            evaluate(text, World())
    else:
        result = evaluate(text, World())
        assert (type(result), result) == (type(expected), expected)


def test_a_typical_expression_evaluates_in_a_few_microseconds() -> None:
    template = parse("#{format(minusDays(t, 1), 'YYYY-MM-dd')}")
    world = World()
    best = math.inf
    for _ in range(5):
        started = time.perf_counter()
        for _ in range(200):
            evaluate(template, world)
        best = min(best, (time.perf_counter() - started) / 200)
    assert best < 100e-6
