"""docs/reference/api.md: every operation has an example that a real service answered, and that service is this one."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from penstock.api.operations import operations
from penstock.wire.limits import problems

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "reference" / "api.md").read_text(encoding="utf-8")
OPERATIONS = {name: model for model, functions in operations().values() for name in functions}
sys.path.insert(0, str(DOCS))


def section(operation: str) -> str:
    found = re.search(rf"^### {operation}$(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"{operation} is not on the page; run `make docs`"
    return found.group(1)


def examples(operation: str) -> list[Any]:
    return [json.loads(text) for text in re.findall(r"^```json\n(.*?)^```", section(operation), re.M | re.S)]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_has_an_example_that_its_model_allows(operation: str):
    model = OPERATIONS[operation]
    request, answer = examples(operation)
    shapes = model.operations[operation]
    assert shapes.input is not None
    assert problems(model, shapes.input, request) == []
    assert problems(model, shapes.output, answer) == [] if shapes.output else answer == {}
    for member in shapes.input.members:
        assert f"| `{member}`" in section(operation)


def test_the_page_has_no_other_operations_and_every_one_once():
    assert sorted(re.findall(r"^### (\w+)$", PAGE, re.MULTILINE)) == sorted(OPERATIONS)


def test_the_examples_are_what_this_service_answers():
    from api_reference import api

    assert "\n\n".join(api()) + "\n" == PAGE, "docs/reference/api.md is not current; run `make docs`"
