"""Definitions made from the declarations: valid ones have no errors, and of broken ones the broken place is named.

`FUZZ=10000 python -m pytest tests/definition/test_definition_fuzz.py -n 2` makes that many definitions, half of them
broken, and `FUZZ_FROM=…` begins with another seed. A failure names its seed, which makes the same definition again.
"""

from __future__ import annotations

import json
import os
from random import Random
from typing import Any

import pytest
from definition_breaks import OF_THE_DOCUMENT, OF_THE_MAKER, broken
from definition_maker import CATALOGUE, Maker
from jsonschema import Draft7Validator

from penstock.cli.output import problems_json
from penstock.definition.api_form import definition_from_api, definition_to_api
from penstock.definition.file_form import definition_of
from penstock.definition.json_schema import json_schema
from penstock.definition.slots import slots_of
from penstock.definition.validate import Verdict, validate

COUNT = int(os.environ.get("FUZZ", "600")) // 2
FROM = int(os.environ.get("FUZZ_FROM", "0"))
PARTS = 4
SEEDS = [range(FROM + part, FROM + COUNT, PARTS) for part in range(PARTS)]


def judged(document: Any) -> Verdict:
    """The verdict on a document, each problem of which can be printed."""
    verdict = validate(definition_of(document), CATALOGUE)
    for problem in verdict.problems:
        assert problem.message
    json.dumps(problems_json(verdict.problems)).encode()
    return verdict


@pytest.mark.parametrize("seeds", SEEDS, ids=str)
def test_a_definition_that_is_made_by_the_rules_has_no_errors(seeds: range) -> None:
    for seed in seeds:
        document = Maker(Random(seed)).document()
        assert judged(document).errors == (), seed


@pytest.mark.parametrize("seeds", SEEDS, ids=str)
def test_of_a_definition_that_is_broken_in_one_place_the_place_is_named(seeds: range) -> None:
    for seed in seeds:
        name, document, places = broken(Random(seed))
        named = {(problem.object_id, problem.field) for problem in judged(document).errors}
        assert named & places, (seed, name, places, named)


def test_every_type_and_nearly_every_field_are_tried_and_every_way_to_break() -> None:
    fields: set[tuple[str, str]] = set()
    for seed in range(300):
        for obj in Maker(Random(seed)).objects.values():
            assert obj.cls is not None
            fields |= {(obj.cls.type_name(), key) for key in obj.fields}
    assert {name for name, _ in fields} == set(CATALOGUE.types)
    declared = {(name, key) for name, cls in CATALOGUE.types.items() for key in slots_of(cls)}
    assert len(fields & declared) > 0.85 * len(declared)
    missing = {*OF_THE_MAKER, *OF_THE_DOCUMENT}
    for seed in range(10_000):  # some are rare
        missing.discard(broken(Random(seed))[0])
        if not missing:
            break
    assert not missing


def test_a_valid_definition_is_valid_in_the_api_form_and_for_editors_too() -> None:
    schema = Draft7Validator(json_schema(CATALOGUE))
    for seed in range(FROM, FROM + COUNT, 20):
        document = Maker(Random(seed)).document()
        assert list(schema.iter_errors(document)) == [], seed
        definition = definition_of(document)
        form = definition_to_api(definition)
        again = definition_from_api(form["pipelineObjects"], form["parameterObjects"], form["parameterValues"])
        assert again == definition, seed
        assert validate(again, CATALOGUE).errors == (), seed
