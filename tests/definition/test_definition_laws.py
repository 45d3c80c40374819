"""Laws of definitions: nothing is lost between the forms, nothing crashes, and no secret is ever shown."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.cli.output import problems_json
from penstock.definition.api_form import definition_from_api, definition_to_api
from penstock.definition.conversion import convert, convert_text
from penstock.definition.file_form import definition_of, parse_json, to_file_form
from penstock.definition.limits import LONGEST_NAME
from penstock.definition.model import Definition, ParameterObject, PipelineObject, Ref
from penstock.definition.period import Period, parse_date_time
from penstock.definition.problems import DefinitionRefused, shown
from penstock.definition.slots import Slot, slots_of
from penstock.definition.validate import validate
from penstock.objects import load_catalogue

CATALOGUE = load_catalogue()
FIELDS = sorted({name for cls in CATALOGUE.types.values() for name in slots_of(cls)} | {"type", "_x", "myY", "*myZ"})
IDS = ["Default", "A", "B", "C", "myP", "*myS", "S"]
TEXTS = [
    "#{myP}", "#{*myS}", "#{_x}", "#{@scheduledStartTime}", "#{input._x} #{myP}", "#{node.x}", "#{", "#{x y}", "#{1/0}",
    "true", "ondemand", "cron", "CASCADE", "1 day", "0 days", "9" * 5000, "2013-01-01", "2013-99-01T00:00:00",
    "ONDEMAND_PERIOD", "penstock:x", "-1", "", "1e400", "\ud800", "\x00", "٣", "s3://b/k",
]  # fmt: skip

ATTRIBUTES = ("type", "default", "optional", "isArray", "allowedValues", "description", "watermark")
UNITS = ["seconds", "Minute", "HOURS", "day", "weeks", "months", "year"]

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(TEXTS)
refs = st.fixed_dictionaries({"ref": st.sampled_from([*IDS, "Q", "#{myP}"])})
json_documents = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
values = scalars | refs | st.lists(scalars | refs, max_size=3) | json_documents
objects = st.builds(
    lambda fields, more: {**fields, **more},
    st.dictionaries(st.sampled_from(FIELDS), values, max_size=6),
    st.fixed_dictionaries(
        {"id": st.sampled_from(IDS)},
        optional={
            "type": st.sampled_from([*CATALOGUE.types, "HiveActivity", "Default", "nope"]),
            "parent": refs,
            "name": values,
            "input": refs,
            "dependsOn": st.lists(refs, max_size=3),
        },
    ),
)
parameters = st.fixed_dictionaries({"id": st.sampled_from(IDS)}, optional=dict.fromkeys(ATTRIBUTES, values))
documents = st.fixed_dictionaries(
    {"objects": st.lists(objects | values, max_size=6) | json_documents},
    optional={
        "parameters": st.lists(parameters | values, max_size=3),
        "values": st.dictionaries(st.sampled_from(IDS), values, max_size=3) | json_documents,
    },
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(document=documents, complete=st.booleans())
def test_no_document_makes_reading_or_validation_crash(document: dict[str, Any], complete: bool) -> None:
    definition = definition_of(document)
    for problem in validate(definition, CATALOGUE, complete=complete).problems:
        assert problem.message
        json.dumps(problems_json([problem]))


@settings(max_examples=100, deadline=None)
@given(document=json_documents)
def test_any_json_at_all_is_read_or_refused(document: Any) -> None:
    try:
        validate(definition_of(document), CATALOGUE)
    except DefinitionRefused as refused:
        assert refused.problems


@settings(max_examples=150, deadline=None)
@given(text=st.text(alphabet="{}[]\",:'\\/ #u\nd8objectsid0", max_size=40))
def test_any_text_is_parsed_or_refused_with_its_place(text: str) -> None:
    try:
        parse_json(text, "FILE")
    except DefinitionRefused as refused:
        (problem,) = refused.problems
        assert problem.message.startswith("FILE")


texts = st.text(st.characters(codec="utf-8"), max_size=12)
names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=6)
field_values = texts | st.builds(Ref, names)
definitions = st.builds(
    lambda objects, parameters, values: Definition(
        {obj.id: obj for obj in objects}, {entry.id: entry for entry in parameters}, values
    ),
    st.lists(
        st.builds(
            PipelineObject,
            names,
            names,
            st.dictionaries(
                names.filter(lambda key: key not in ("id", "name")),
                st.lists(field_values, min_size=1, max_size=3).map(tuple),
                max_size=4,
            ),
        ),
        max_size=4,
    ),
    st.lists(
        st.builds(
            ParameterObject,
            names,
            st.dictionaries(
                names.filter(lambda key: key != "id"), st.lists(texts, min_size=1, max_size=3).map(tuple), max_size=3
            ),
        ),
        max_size=3,
    ),
    st.dictionaries(names, st.lists(texts, min_size=1, max_size=3).map(tuple), max_size=3),
)


@settings(max_examples=80, deadline=None)
@given(definition=definitions)
def test_a_definition_is_the_same_after_the_file_form(definition: Definition) -> None:
    assert definition_of(to_file_form(definition)) == definition
    assert definition_of(json.loads(json.dumps(to_file_form(definition)))) == definition


@settings(max_examples=80, deadline=None)
@given(definition=definitions)
def test_a_definition_is_the_same_after_the_api_form(definition: Definition) -> None:
    form = definition_to_api(definition)
    made = definition_from_api(form["pipelineObjects"], form["parameterObjects"], form["parameterValues"])
    assert made == definition
    assert to_file_form(made) == to_file_form(definition)


def test_repeated_ids_of_the_api_form_are_problems() -> None:
    obj = {"id": "A", "name": "A", "fields": []}
    parameter = {"id": "myX", "attributes": []}
    made = definition_from_api([obj, obj], [parameter, parameter])
    assert [(problem.object_id, problem.field) for problem in made.misread] == [("A", "id"), ("myX", "id")]


def test_a_field_called_id_does_not_take_the_place_of_the_id() -> None:
    fields = [{"key": "id", "stringValue": "B"}, {"key": "type", "stringValue": "CSV"}]
    made = definition_from_api([{"id": "A", "name": "A", "fields": fields}])
    assert to_file_form(made)["objects"] == [{"id": "A", "name": "A", "type": "CSV"}]
    errors = validate(made, CATALOGUE).errors
    assert [(problem.object_id, problem.field) for problem in errors] == [("A", "id")]


SECRET = "hush-9f3a"
WRONG = ["#{", "#{1 +", "#{nope}", "#{*myS + nope(1)}", "#{1/0}", "\x00", "\ud800", "k" * 10_300, "#{*myS", "'", "\n"]


@settings(max_examples=150, deadline=None)
@given(
    before=st.sampled_from(["", "#{", "#{'", *WRONG]),
    after=st.sampled_from(["", "}", "'}", *WRONG]),
    key=st.sampled_from(["*password", "*_x", "*myOwn", "*unknown"]),
    kind=st.sampled_from(["JdbcDatabase", "ShellCommandActivity", "nope", None]),
    parameter=st.sampled_from(["String", "Integer", "Double", "Nope"]),
    several=st.booleans(),
)
def test_no_problem_ever_shows_a_secret(
    before: str, after: str, key: str, kind: str | None, parameter: str, several: bool
) -> None:
    wrong: Any = before + SECRET + after
    wrong = [wrong, wrong] if several else wrong
    document = {
        "objects": [
            {"id": "Default", key: wrong, "*password": wrong},
            {"id": "A", key: wrong, "command": "#{*myS} #{*password} #{*_x} #{*myOwn}", "period": "#{*myS}"},
        ],
        "parameters": [
            {"id": "*myS", "type": parameter, "default": wrong, "allowedValues": ["x", SECRET]},
            {"id": "*myT", "type": parameter},
        ],
        "values": {"*myT": wrong, "*myU": wrong},
    }
    if kind is not None:
        document["objects"][1]["type"] = kind  # type: ignore[index]
    problems = validate(definition_of(document), CATALOGUE).problems
    assert problems
    for problem in problems:
        assert SECRET not in f"{problem.message}{problem.remedy}{problem.value}", problem


def test_a_wrong_secret_is_not_shown_when_a_task_is_converted_either() -> None:
    slot = Slot(name="*pin", attribute="pin", doc="A pin.", kind="integer", many=False, required=False, default=None)
    cls = CATALOGUE.types["JdbcDatabase"]
    slots_of(cls)["*pin"] = slot
    try:
        obj = PipelineObject("B", "B", {"type": ("JdbcDatabase",), "*pin": (SECRET,)})
        with pytest.raises(ValueError, match=r"\*\*\*\*\*") as wrong:
            convert({"B": obj}, "B", CATALOGUE)
        assert SECRET not in str(wrong.value)
    finally:
        del slots_of(cls)["*pin"]


@settings(max_examples=100, deadline=None)
@given(
    amount=st.integers(0, 10**30),
    unit=st.sampled_from(UNITS),
)
def test_a_period_can_be_added_to_a_date_or_is_refused(amount: int, unit: str) -> None:
    try:
        period = Period.parse(f"{amount} {unit}")
    except ValueError as error:
        assert "100 years" in str(error)
        return
    assert Period.parse(str(period)) == period
    assert period.after(parse_date_time("2013-01-31"), 1).year <= 2114


@pytest.mark.parametrize("kind", ["string", "integer", "double", "boolean", "datetime", "period"])
@settings(max_examples=40, deadline=None)
@given(text=st.text(max_size=12) | st.sampled_from(TEXTS))
def test_converting_a_text_gives_a_value_or_a_reason(kind: str, text: str) -> None:
    slot = Slot(name="x", attribute="x", doc="", kind=kind, many=False, required=False, default=None)
    try:
        convert_text(slot, text)
    except ValueError as error:
        assert str(error)


def test_what_a_message_shows_is_short_and_printable() -> None:
    assert shown("a\nb\t\x00\ud800é") == "'a\\nb\\t\\u0000\\ud800é'"
    assert len(shown("x" * LONGEST_NAME)) < 90


def large_definition() -> dict[str, Any]:
    """250 objects and 263 parameters, as the largest real definition has."""
    made: list[dict[str, Any]] = [
        {"id": "Default", "scheduleType": "cron", "schedule": {"ref": "S"}, "pipelineLogUri": "s3://b/#{myP1}"},
        {"id": "S", "type": "Schedule", "period": "1 day", "startDateTime": "2013-01-01T00:00:00"},
    ]
    for n in range(248):
        activity = {
            "id": f"A{n}",
            "type": "ShellCommandActivity",
            "workerGroup": "g",
            "command": f"run #{{myP{n}}} #{{format(@scheduledStartTime,'YYYY-MM-dd')}} {n}",
            "scriptArgument": [f"#{{myP{n + 1}}}", f"#{{minusDays(@scheduledStartTime,{n})}}"],
            "_note": "n#{myP2}",
        }
        made.append(activity | ({"dependsOn": {"ref": f"A{n - 1}"}} if n else {}))
    return {"objects": made, "parameters": [{"id": f"myP{n}", "default": f"v{n}"} for n in range(263)]}


def test_a_definition_as_large_as_the_largest_real_one_is_validated_at_once() -> None:
    document = large_definition()
    validate(definition_of({"objects": []}), CATALOGUE)
    started = time.process_time()
    verdict = validate(definition_of(document), CATALOGUE)
    assert time.process_time() - started < 0.6  # 0.12 s here; a busy machine may be slower
    assert verdict.errors == ()
