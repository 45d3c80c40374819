"""Runs every vector of tests/definitions/: definitions as data, and the problems that each of them has.

A vector has a `name`, a `definition` (a JSON document; or a `text`, where the JSON itself is broken), perhaps the
values `given`, and the errors that are found: a list of `[object id, field, part of the text]` in any order, all of
them and no other. `warnings` is a list of the same kind, of which each must be there. `complete: false` checks as
PutPipelineDefinition does, when parameters may still get their values.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from penstock.definition.api_form import definition_from_api, definition_to_api
from penstock.definition.file_form import definition_of, parse_definition
from penstock.definition.model import Definition
from penstock.definition.problems import DefinitionRefused, Problem
from penstock.definition.validate import validate
from penstock.objects import load_catalogue

FOLDER = Path(__file__).parents[1] / "definitions"
VECTORS = [
    pytest.param(vector, id=f"{path.stem}-{vector['name'].replace(' ', '-')}")
    for path in sorted(FOLDER.glob("*.json"))
    for vector in json.loads(path.read_text(encoding="utf-8"))
]
DOCUMENTS = [vector for vector in VECTORS if "definition" in vector.values[0]]  # type: ignore[operator]


def read(vector: dict[str, Any]) -> Definition:
    return definition_of(vector["definition"]) if "definition" in vector else parse_definition(vector["text"], "file")


def given(vector: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    return {key: tuple(values) for key, values in vector.get("given", {}).items()}


def found(vector: dict[str, Any], definition: Definition) -> tuple[Problem, ...]:
    return validate(definition, load_catalogue(), given(vector), complete=vector.get("complete", True)).problems


def check(problems: tuple[Problem, ...], vector: dict[str, Any]) -> None:
    errors = [problem for problem in problems if not problem.is_warning]
    for wanted in vector["errors"]:
        matching = [problem for problem in errors if is_meant(problem, wanted)]
        assert matching, (wanted, errors)
        errors.remove(matching[0])
    assert errors == []
    warnings = [problem for problem in problems if problem.is_warning]
    for wanted in vector.get("warnings", []):
        assert any(is_meant(problem, wanted) for problem in warnings), (wanted, warnings)


def is_meant(problem: Problem, wanted: list[str]) -> bool:
    return [problem.object_id, problem.field] == wanted[:2] and wanted[2] in problem.text


@pytest.mark.parametrize("vector", VECTORS)
def test_a_definition_has_exactly_the_problems_that_its_vector_lists(vector: dict[str, Any]) -> None:
    assert set(vector) <= {"name", "definition", "text", "given", "complete", "errors", "warnings"}
    try:
        problems = found(vector, read(vector))
    except DefinitionRefused as refused:
        problems = refused.problems
    check(problems, vector)
    for problem in problems:
        assert problem.text.strip()
        problem.text.encode()


@pytest.mark.parametrize("vector", DOCUMENTS)
def test_a_definition_has_the_same_problems_in_the_api_form(vector: dict[str, Any]) -> None:
    try:
        definition = read(vector)
    except DefinitionRefused:
        return  # it has no API form
    if definition.misread:
        return
    form = definition_to_api(definition)
    again = definition_from_api(form["pipelineObjects"], form["parameterObjects"], form["parameterValues"])
    assert again == definition
    check(found(vector, again), vector)


def test_no_two_vectors_have_the_same_name() -> None:
    names = [vector.id for vector in VECTORS]
    assert len(names) == len(set(names))
    assert len(names) >= 100
