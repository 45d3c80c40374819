"""Templates, names, functions and values as callers see them."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from penstock.expressions import FUNCTIONS, Function, UnknownName, Value, function, names, parse, to_text
from penstock.expressions.functions import _functions
from penstock.expressions.values import double_text


class Named:
    def __init__(self, **values: Value) -> None:
        self.values = values

    def field(self, name: str) -> Value:
        if name not in self.values:
            raise UnknownName(name)
        return self.values[name]


def test_a_text_without_expressions_is_one_part() -> None:
    assert parse("plain ${x} }").parts == ("plain ${x} }",)
    assert parse("").parts == ()


def test_constant_texts_are_read_without_loading_lark() -> None:
    program = (
        "import sys; from penstock.expressions import evaluate, parse, names\n"
        "assert evaluate('s3://bucket/${x} }', None) == 's3://bucket/${x} }'\n"
        "assert 'lark' not in sys.modules\n"
        "parse('#{x}'); assert 'lark' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_grammar_lies_in_the_package() -> None:
    package = Path(sys.modules["penstock.expressions"].__file__ or "").parent
    assert (package / "expressions.lark").is_file()


def test_parsing_a_text_again_gives_the_same_template() -> None:
    assert parse("a #{b + 'again'}") is parse("a #{b + 'again'}")


def test_positions_do_not_count_when_trees_are_compared() -> None:
    assert parse("#{x.format('dd')}") == parse('#{ format( x, "dd" ) }')
    assert hash(parse("#{x+1}")) == hash(parse("#{ x + 1 }"))
    assert parse("#{a - (b - c)}") != parse("#{a - b - c}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", []),
        ("#{node.@scheduledStartTime}", [("node", "@scheduledStartTime")]),
        ("#{@scheduledStartTime.format('dd')}", [("@scheduledStartTime",)]),
        ("#{format(minusDays(b, n), 'dd')} #{a} #{b}", [("b",), ("n",), ("a",)]),
        ("#{-*secret + a.b.c * a}", [("*secret",), ("a", "b", "c"), ("a",)]),
        ("#{day(x).y}", [("x",)]),
        ("#{1 + 'a'}", []),
    ],
)
def test_names_lists_every_path_once_in_order_of_first_use(text: str, expected: list[tuple[str, ...]]) -> None:
    assert names(parse(text)) == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("text", "text"),
        (4, "4"),
        (True, "true"),
        (False, "false"),
        (None, ""),
        (4.0, "4.0"),
        (datetime(2011, 5, 24, 17, 10, 5, 999999, tzinfo=UTC), "2011-05-24T17:10:05"),
        (datetime(2011, 5, 24, 17, tzinfo=timezone(timedelta(hours=2))), "2011-05-24T15:00:00"),
        (datetime(33, 5, 24, tzinfo=UTC), "0033-05-24T00:00:00"),
        ([1, [2.5, None], "x"], ["1", "2.5", "", "x"]),
        (Named(**{"@id": "@A_2011", "id": "A"}), "@A_2011"),
        (Named(id="A"), "A"),
    ],
)
def test_values_have_one_text_form(value: Value, text: object) -> None:
    assert to_text(value) == text


@pytest.mark.parametrize(
    ("double", "text"),
    [
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (0.5, "0.5"),
        (0.001, "0.001"),
        (0.00099, "9.9E-4"),
        (9999999.0, "9999999.0"),
        (1e7, "1.0E7"),
        (-12345678.9, "-1.23456789E7"),
        (1.7976931348623157e308, "1.7976931348623157E308"),
        (1e22, "1.0E22"),
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
        (float("nan"), "NaN"),
    ],
)
def test_doubles_are_written_as_java_writes_them(double: float, text: str) -> None:
    assert double_text(double) == text


def test_a_datetime_without_a_time_zone_is_refused() -> None:
    with pytest.raises(TypeError, match="without a time zone"):
        to_text(datetime(2011, 5, 24))


def test_every_function_is_documented_and_has_a_signature() -> None:
    assert len(FUNCTIONS) >= 29
    for name, found in FUNCTIONS.items():
        assert isinstance(found, Function)
        assert found.name == name
        assert found.doc.splitlines()[0].endswith((".", "'."))
    assert FUNCTIONS["plusDays"].signature == "DateTime plusDays(DateTime myDateTime, int daysToAdd)"
    assert FUNCTIONS["format"].signature == "String format(DateTime myDateTime, String format)"
    assert [parameter.name for parameter in FUNCTIONS["makeDate"].parameters] == ["year", "month", "day"]


def test_a_typed_python_function_becomes_a_function_of_the_language() -> None:
    from penstock.expressions import evaluate

    try:

        @function
        def last_of_month(my_date_time: datetime) -> int:
            """The last day of the month."""
            return 31 if my_date_time.month == 5 else 0

        assert evaluate("#{lastOfMonth('2011-05-24')}", Named()) == 31
    finally:
        _functions.pop("lastOfMonth", None)


def test_a_function_of_types_the_language_does_not_know_is_refused() -> None:
    def takes_bytes(text: bytes) -> int:
        return 0

    def gives_bytes(count: int) -> bytes:
        return b""

    with pytest.raises(TypeError, match="no type for the parameter text"):
        function(takes_bytes)  # type: ignore[type-var]
    with pytest.raises(TypeError, match="no type for the result"):
        function(gives_bytes)  # type: ignore[type-var]
