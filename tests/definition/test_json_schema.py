"""The JSON Schema for editors: what validation accepts it accepts, and the usual mistakes are marked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from penstock.definition.file_form import definition_of
from penstock.definition.json_schema import EXTENSION, json_schema
from penstock.definition.slots import slots_of
from penstock.definition.validate import validate
from penstock.objects import load_catalogue

ROOT = Path(__file__).parents[2]
CATALOGUE = load_catalogue()
SCHEMA = json_schema(CATALOGUE)
VALIDATOR = Draft7Validator(SCHEMA)


def valid_documents() -> Iterator[Any]:
    """Every definition of the vectors, the examples and the templates that has no errors."""
    for path in sorted((ROOT / "tests/definitions").glob("*.json")):
        for vector in json.loads(path.read_text(encoding="utf-8")):
            if not vector["errors"] and not vector.get("given"):
                document = vector.get("definition") or json.loads(vector["text"].removeprefix("\ufeff"))
                yield pytest.param(document, id=f"{path.stem}-{vector['name']}")
    for path in [*ROOT.glob("examples/*/pipeline.json"), *ROOT.glob("src/penstock/templates/*/pipeline.json")]:
        yield pytest.param(json.loads(path.read_text(encoding="utf-8")), id=str(path.relative_to(ROOT)))


def marked(document: Any) -> list[str]:
    """Where the schema marks a document, as paths such as `objects/0/command`."""
    return ["/".join(map(str, error.absolute_path)) for error in VALIDATOR.iter_errors(document)]


def test_it_is_a_json_schema_that_refers_to_nothing_missing() -> None:
    Draft7Validator.check_schema(SCHEMA)
    text = json.dumps(SCHEMA)
    for part in text.split('"$ref": "')[1:]:
        target: Any = SCHEMA
        for name in part[: part.index('"')].removeprefix("#/").split("/"):
            target = target[name]


@pytest.mark.parametrize("document", list(valid_documents()))
def test_what_is_valid_is_not_marked(document: Any) -> None:
    assert marked(document) == []


def with_field(key: str, value: Any) -> dict[str, Any]:
    """A definition of one activity with a field."""
    activity = {"id": "A", "type": "ShellCommandActivity", "command": "true", "workerGroup": "g", key: value}
    return {"objects": [{"id": "Default", "scheduleType": "ondemand"}, activity]}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("comand", "true"),
        ("type", "ShelCommandActivity"),
        ("scheduleType", "weekly"),
        ("scheduleType", 5),
        ("failureAndRerunMode", ""),
        ("input", "N"),
        ("input", ["N"]),
        ("input", [{"ref": "N"}, "M"]),
        ("input", {"rf": "N"}),
        ("input", {"ref": ""}),
        ("runsOn", [{"ref": "R"}, {"ref": "S"}]),
        ("command", {"ref": "N"}),
        ("command", ["a", "b"]),
        ("command", None),
        ("command", ""),
        ("command", {"x": "y"}),
        ("stage", "yes"),
        ("stage", 1),
        ("maximumRetries", "two"),
        ("maximumRetries", 2.5),
        ("maximumRetries", True),
        ("attemptTimeout", "soon"),
        ("attemptTimeout", "15"),
        ("myTable", None),
        ("*myTable", {"x": "y"}),
        ("mytable", "x"),
    ],
)
def test_a_mistake_is_marked_at_its_object(key: str, value: Any) -> None:
    document = with_field(key, value)
    places = marked(document)
    assert places
    assert all(place.startswith("objects/1") for place in places)
    assert validate(definition_of(document), CATALOGUE).errors


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("scheduleType", "CRON"),
        ("scheduleType", "#{myType}"),
        ("stage", True),
        ("stage", "TRUE"),
        ("stage", "#{myStage}"),
        ("maximumRetries", 3),
        ("maximumRetries", " 3 "),
        ("maximumRetries", "#{myCount}"),
        ("attemptTimeout", "15 Minutes"),
        ("attemptTimeout", "1day"),
        ("attemptTimeout", "#{myCount} minutes"),
        ("scriptArgument", ["a", 1, True, "#{x}"]),
        ("scriptArgument", "a"),
        ("input", {"ref": "#{myInput}"}),
        ("input", [{"ref": "N"}, {"ref": "M"}]),
        ("runsOn", [{"ref": "R"}]),
        ("command", 5),
        ("myTable", ["a", {"ref": "N"}]),
        ("*_x", ""),
        ("@sphere", "COMPONENT"),
        ("name", "Say hello"),
        ("parent", {"ref": "P"}),
    ],
)
def test_what_is_right_is_not_marked(key: str, value: Any) -> None:
    assert marked(with_field(key, value)) == []


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ({"object": []}, ""),
        ({"objects": []}, "objects"),
        ({"objects": {}}, "objects"),
        ({"objects": [5]}, "objects/0"),
        ({"objects": [{"type": "CSV"}]}, "objects/0"),
        ({"objects": [{"id": "Default", "scheduleType": "weekly"}]}, "objects/0/scheduleType"),
        ({"objects": [{"id": "P", "schedule": "S"}]}, "objects/0/schedule"),
        ({"objects": [{"id": "S", "type": "Schedule", "startDateTime": "1.1.2025"}]}, "objects/0/startDateTime"),
        ({"objects": [{"id": "S", "type": "Schedule", "startAt": "now"}]}, "objects/0/startAt"),
        ({"objects": [{"id": "S"}], "parameters": [{"id": "myX", "type": "Number"}]}, "parameters/0/type"),
        ({"objects": [{"id": "S"}], "parameters": [{"type": "String"}]}, "parameters/0"),
        ({"objects": [{"id": "S"}], "values": {"myX": {"a": "b"}}}, "values/myX"),
    ],
)
def test_a_mistake_is_marked_where_it_stands(document: Any, place: str) -> None:
    assert place in marked(document)


def test_editors_are_told_every_type_and_every_field_with_its_documentation() -> None:
    kinds = SCHEMA["properties"]["objects"]["items"]["properties"]["type"]
    assert set(kinds["enum"]) == {*CATALOGUE.types, "Default"}
    assert all(kinds["enumDescriptions"])
    assert len(kinds["enum"]) == len(kinds["enumDescriptions"])
    for name, cls in CATALOGUE.types.items():
        fields = SCHEMA["definitions"][name]["properties"]
        for slot in slots_of(cls).values():
            field = fields[slot.name]
            if "$ref" in field:
                _, _, family, _, key = field["$ref"].split("/")
                field = SCHEMA["definitions"][family]["properties"][key]
            assert field["description"] == (f"{slot.doc} {EXTENSION}" if slot.is_extension else slot.doc)


def test_objects_without_a_type_are_offered_the_fields_of_all_types() -> None:
    known = {name for cls in CATALOGUE.types.values() for name in slots_of(cls)}
    assert known <= set(SCHEMA["definitions"]["Untyped"]["properties"])
