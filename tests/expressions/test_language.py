"""Runs every vector of tests/language/: the language as data that any implementation can be held against.

A vector has an `expression` (a whole string field), `fields`, and one outcome: a `result` (with an optional
`text`, the result written as text), an `error` (a part of its message) with the offset `at`, or `notYet`, the
name of the field whose value is not known before run time. `{"datetime": …}` is a DateTime in UTC,
`{"object": {…}}` an object by its fields, `{"notYet": true}` a field without a value yet; a number with a
fraction or exponent is a double.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from penstock.expressions import (
    ExpressionError,
    NotYet,
    UnknownName,
    Value,
    evaluate,
    parse,
    print_template,
    to_text,
)

VECTORS = [
    pytest.param(vector, id=f"{path.stem}-{number}")
    for path in sorted((Path(__file__).parents[1] / "language").glob("*.json"))
    for number, vector in enumerate(json.loads(path.read_text(encoding="utf-8")), start=1)
]


class Missing:
    """A field whose value comes at run time."""


class VectorFields:
    def __init__(self, fields: dict[str, Any]) -> None:
        self.values = {name: decoded(value) for name, value in fields.items()}

    def field(self, name: str) -> Value:
        if name not in self.values:
            raise UnknownName(name)
        value = self.values[name]
        if isinstance(value, Missing):
            raise NotYet(name)
        return value


def decoded(value: Any) -> Any:
    match value:
        case {"datetime": text}:
            return datetime.fromisoformat(text).replace(tzinfo=UTC)
        case {"object": fields}:
            return VectorFields(fields)
        case {"notYet": True}:
            return Missing()
        case list():
            return [decoded(item) for item in value]
    return value


def typed(value: Any) -> Any:
    """A value with its type, so that 4 and 4.0 differ."""
    return [typed(item) for item in value] if isinstance(value, list) else (type(value), value)


@pytest.mark.parametrize("vector", VECTORS)
def test_the_language_does_what_the_vector_says(vector: dict[str, Any]) -> None:
    assert set(vector) <= {"expression", "fields", "result", "text", "error", "at", "notYet"}
    fields = VectorFields(vector.get("fields", {}))
    if "error" in vector:
        with pytest.raises(ExpressionError) as caught:
            evaluate(vector["expression"], fields)
        assert vector["error"] in caught.value.message
        assert caught.value.position == vector["at"]
        assert caught.value.text == vector["expression"]
        assert caught.value.remedy
    elif "notYet" in vector:
        with pytest.raises(NotYet) as waiting:
            evaluate(vector["expression"], fields)
        assert waiting.value.name == vector["notYet"]
    else:
        result = evaluate(vector["expression"], fields)
        assert typed(result) == typed(decoded(vector["result"]))
        if "text" in vector:
            assert to_text(result) == vector["text"]


@pytest.mark.parametrize("vector", [vector for vector in VECTORS if "result" in vector.values[0]])
def test_a_printed_template_is_read_back_as_the_same_template(vector: dict[str, Any]) -> None:
    template = parse(vector["expression"])
    assert parse(print_template(template)) == template


def test_there_are_enough_vectors() -> None:
    assert len(VECTORS) >= 350
