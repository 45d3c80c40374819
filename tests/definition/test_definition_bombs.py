"""Small definitions that ask for an enormous amount of work, or make an enormous amount of text, are refused soon."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from definition_maker import CATALOGUE

from penstock.definition.api_form import definition_from_api
from penstock.definition.file_form import definition_of
from penstock.definition.limits import MOST_IN_EXPRESSIONS, MOST_OBJECTS, MOST_VALUES, oversize
from penstock.definition.validate import Verdict, validate

SECONDS = 5.0  # of the processor; unbounded they take minutes, or all the memory
MUCH = "make too much together"


def judged(objects: list[dict[str, Any]], **more: Any) -> Verdict:
    return validate(definition_of({"objects": objects, **more}), CATALOGUE, complete=False)


def shell(identity: str, **fields: Any) -> dict[str, Any]:
    return {"id": identity, "type": "ShellCommandActivity", "command": "true", "workerGroup": "g", **fields}


def on_demand(*objects: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"id": "Default", "scheduleType": "ondemand"}, *objects]


def errors(verdict: Verdict) -> str:
    return " ".join(problem.text for problem in verdict.errors)


@pytest.fixture(autouse=True)
def soon() -> Iterator[None]:
    started = time.process_time()
    yield
    assert time.process_time() - started < SECONDS


def chain(value: Any, last: Any) -> dict[str, Any]:
    """Thirty fields, each of which reads the next one."""
    names = [f"my_{number}" for number in range(30)]
    made: dict[str, Any] = {}
    for name, following in pairwise(names):
        read = f"#{{{following}}}"
        made[name] = [read] * 10 if isinstance(value, list) else value.format(read, following)
    return {**made, names[-1]: last}


def test_lists_that_multiply_each_other_end():
    assert MUCH in errors(judged(on_demand(shell("A", **chain([], "x")))))
    assert MUCH in errors(judged(on_demand(shell("A", **chain([], "#{@actualStartTime}")))))


def test_lists_that_multiply_an_unset_parameter_end():
    verdict = judged(on_demand(shell("A", **chain([], "#{myU}"))), parameters=[{"id": "myU", "optional": "true"}])
    assert verdict.errors == ()


@pytest.mark.parametrize("doubled", ["{0}{0}", "#{{{1} + {1}}}"])
def test_texts_that_double_each_other_end(doubled: str):
    assert "longer than" in errors(judged(on_demand(shell("A", **chain(doubled, "x" * 10_000)))))


def test_a_long_text_for_each_item_of_a_list_is_not_made():
    long = {"my_a": "x" * 10_000, "my_b": "#{my_a}" * 9, "my_c": "#{my_b}" * 10, "my_l": [str(n) for n in range(1000)]}
    for text in ("#{my_c}#{my_l}", "#{my_c + my_l}"):
        assert "longer than" in errors(judged(on_demand(shell("A", **long, my_d=text))))


def test_many_long_texts_are_not_made():
    long = {"my_a": "x" * 10_000, "my_b": "#{my_a}" * 9, **{f"my{n}": f"{n}#{{my_b}}" for n in range(50)}}
    assert MUCH in errors(judged(on_demand(*[shell(f"A{n}", **long) for n in range(50)])))


def test_references_through_references_do_not_multiply():
    refs = [{"ref": f"A{n}"} for n in range(60)]
    reads = "dependsOn." * 5
    for command in (f"#{{{reads}name}}", f"#{{@foo + {reads}nowhere}}"):
        objects = on_demand(*[shell(f"A{n}", dependsOn=refs, command=command) for n in range(60)])
        assert judged(objects).errors


def test_names_that_are_nearly_right_are_compared_with_few_and_a_hundred_times_at_most():
    long = "N" * 60
    objects = on_demand(
        *[shell(f"A{n}", **{f"my{long}{m}": f"#{{my{long}x{m}}}" for m in range(30)}) for n in range(60)]
    )
    verdict = judged(objects)
    assert len(verdict.errors) == 1800
    assert 0 < sum("Did you mean" in problem.text for problem in verdict.errors) <= 100


def test_many_wrong_time_zones_are_told_soon():
    zones = {f"my_{n}": f"#{{inTimeZone('2020-01-01', 'Europe/Par{n}')}}" for n in range(500)}
    assert len(judged(on_demand(shell("A", **zones))).errors) == 500


def test_a_list_of_many_values_is_read_at_once():
    fields = [{"key": "my_a", "stringValue": "x"}] * 100_000
    assert len(definition_from_api([{"id": "A", "name": "A", "fields": fields}]).objects["A"].fields["my_a"]) == 100_000


@pytest.mark.parametrize(
    ("objects", "what"),
    [
        ([{"id": f"A{n}"} for n in range(MOST_OBJECTS + 1)], "5,001 objects; 5,000 is the most"),
        ([{"id": "A", "my_a": ["x"] * (MOST_VALUES + 1)}], "100,001 values; 100,000 is the most"),
        ([{"id": "A", "my_a": ["x #{'}'+1} y"] * (MOST_IN_EXPRESSIONS // 8 + 1)}], "characters in expressions"),
        ([{"id": "A", "my_a": ["#{'"] * (MOST_IN_EXPRESSIONS // 3 + 1)}], "characters in expressions"),
    ],
)
def test_a_definition_has_a_most_of_everything(objects: list[dict[str, Any]], what: str):
    found = oversize(definition_of({"objects": objects}))
    assert found is not None
    assert what in found.text


def test_texts_around_expressions_do_not_count_as_expressions():
    text = "x" * 9000 + "#{1}"
    assert oversize(definition_of({"objects": [{"id": "A", "my_a": [text] * 1000}]})) is None


@pytest.mark.parametrize(
    ("long", "short", "is_refused"), [("3 years", "1 second", True), ("1 month", "1 minute", False)]
)
@pytest.mark.parametrize("reads", ["dependsOn", "input"])
def test_an_interval_is_linked_with_so_many_others_at_most(long: str, short: str, is_refused: bool, reads: str):
    objects = [
        {"id": "Default", "scheduleType": "cron"},
        {"id": "Long", "type": "Schedule", "period": long, "startDateTime": "2020-01-01T00:00:00"},
        {"id": "Short", "type": "Schedule", "period": short, "startDateTime": "2020-01-01T00:00:00"},
        {"id": "N", "type": "S3DataNode", "filePath": "s3://a/b", "schedule": {"ref": "Short"}},
        shell("P", schedule={"ref": "Short"}),
        shell("C", schedule={"ref": "Long"}, **{reads: {"ref": "P" if reads == "dependsOn" else "N"}}),
    ]
    assert ("50,000 is the most" in errors(judged(objects))) == is_refused
