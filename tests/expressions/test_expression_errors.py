"""Errors of expressions: what a user reads, and what callers can rely on."""

import pickle

import pytest

from penstock.expressions import ExpressionError, Fields, NotYet, UnknownName, Value, evaluate, parse


class NoFields:
    def field(self, name: str) -> Value:
        raise UnknownName(name, "Did you mean 'myTable'?")


def error_of(text: str, fields: Fields | None = None) -> ExpressionError:
    with pytest.raises(ExpressionError) as caught:
        evaluate(text, fields or NoFields())
    return caught.value


def test_an_error_shows_the_line_with_a_caret_below_the_place_and_the_remedy() -> None:
    error = error_of("first\n\tcopy #{1 / 0} now\r\nlast")
    assert str(error) == ("This divides by zero.\n    \tcopy #{1 / 0} now\n    \t         ^\nDivide by something else.")


def test_a_place_at_the_end_of_the_text_gets_its_caret() -> None:
    assert str(error_of("a #{x")).splitlines()[1:3] == ["    a #{x", "      ^"]


@pytest.mark.parametrize("before", [0, 40, 3000])
@pytest.mark.parametrize("after", [0, 40, 3000])
def test_a_long_line_is_cut_around_the_place(before: int, after: int) -> None:
    error = error_of("a" * before + "#{1 / 0}" + "b" * after)
    _, line, caret, _ = str(error).splitlines()
    assert line[caret.index("^")] == "/"
    assert len(line) <= 4 + 102


def test_an_unknown_name_keeps_its_cause_and_its_remedy() -> None:
    error = error_of("#{mytable}")
    assert isinstance(error.__cause__, UnknownName)
    assert error.__cause__.name == "mytable"
    assert error.remedy == "Did you mean 'myTable'?"
    assert "mytable" in str(error.__cause__)


def test_an_unknown_name_behind_an_objects_text_keeps_its_cause() -> None:
    class Node:
        def field(self, name: str) -> Value:
            if name == "node":
                return NoFields()
            raise UnknownName(name)

    for text in ("is #{node}", "#{'is ' + node}"):
        error = error_of(text, Node())
        assert isinstance(error.__cause__, UnknownName)
        assert "no text" in error.message


def test_a_subclass_of_not_yet_passes_through_untouched() -> None:
    class AfterStart(NotYet):
        pass

    thrown = AfterStart("@actualStartTime")

    class Waiting:
        def field(self, name: str) -> Value:
            raise thrown

    for text in ("#{x}", "a #{x.y} b", "#{day(x)}"):
        with pytest.raises(AfterStart) as caught:
            evaluate(text, Waiting())
        assert caught.value is thrown
    assert str(thrown) == "The value of '@actualStartTime' is not known yet."


def test_an_object_whose_id_comes_later_has_no_text_yet() -> None:
    class Waiting:
        def field(self, name: str) -> Value:
            if name == "@id":
                raise NotYet(name)
            return self

    with pytest.raises(NotYet):
        evaluate("is #{node}", Waiting())


def test_the_value_of_a_secret_never_stands_in_an_error() -> None:
    class Secrets:
        def field(self, name: str) -> Value:
            return "hunter2"

    for body in (
        "*p - 1",
        "-*p",
        "*p.x",
        "day(*p)",
        "plusPeriod('2011-01-01', *p)",
        "format('2011-01-01', *p)",
    ):
        assert "hunter2" not in str(error_of(f"#{{{body}}}", Secrets()))
        assert "hunter2" not in str(error_of(f"#{{{body}}}", Secrets()).__cause__)


def test_the_closest_function_is_named() -> None:
    assert error_of("#{frmat(x)}").remedy == "Did you mean format?"
    assert error_of("#{DAYOFYEAR(x)}").remedy == "Did you mean dayOfYear?"
    assert "midnight" in error_of("#{qqqq(x)}").remedy


def test_the_closest_time_zone_is_named() -> None:
    assert error_of("#{inTimeZone('2011-01-01', 'Europe/Berln')}").remedy == "Did you mean 'Europe/Berlin'?"


def test_wrong_constants_are_found_before_anything_is_evaluated() -> None:
    for text in ("#{nothing(x)}", "#{day(x, 1)}", "#{format(x, 'YYYY-T')}", "#{x.plusPeriod('soon')}"):
        with pytest.raises(ExpressionError):
            parse(text)


def test_an_error_survives_pickling() -> None:
    error = error_of("#{1 / 0}")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
