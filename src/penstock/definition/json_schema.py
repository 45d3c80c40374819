"""A JSON Schema of the file form, from the declarations, for editors that complete and mark errors."""

from __future__ import annotations

import inspect
from typing import Any

from penstock.definition.period import UNITS
from penstock.definition.slots import Catalogue, Declared, Slot, slots_of

DRAFT = "http://json-schema.org/draft-07/schema#"  # the one that editors know best
EXPRESSION = {"type": "string", "pattern": r"#\{"}
USER_FIELD = r"^\*?(my[^a-z]|_)"
_PATTERNS = {
    "integer": r"^\s*[+-]?\d+\s*$",
    "double": r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$",
    "datetime": r"^\s*\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?Z?)?\s*$",
}
Schema = dict[str, Any]


def json_schema(catalogue: Catalogue) -> Schema:
    """The schema of a definition file: objects by their type, parameters and values."""
    types = sorted(catalogue.types.values(), key=lambda cls: cls.type_name())
    names = [cls.type_name() for cls in types]
    item = {
        "type": "object",
        "required": ["id"],
        "properties": {"id": _text("The id that references name."), "type": {"enum": names}},
        "allOf": [
            {
                "if": {"properties": {"type": {"const": cls.type_name()}}, "required": ["type"]},
                "then": {"$ref": f"#/definitions/{cls.type_name()}"},
            }
            for cls in types
        ],
    }
    return {
        "$schema": DRAFT,
        "title": "AWS Data Pipeline definition",
        "type": "object",
        "required": ["objects"],
        "additionalProperties": False,
        "properties": {
            "objects": {"type": "array", "items": item, "description": "The pipeline's objects."},
            "parameters": {"type": "array", "items": _parameter(), "description": "What an activation can set."},
            "values": {"type": "object", "description": "Values of parameters.", "additionalProperties": _several({})},
            "metadata": {"description": "Notes that tools leave; not read."},
        },
        "definitions": {cls.type_name(): _type(cls) for cls in types},
    }


def _type(cls: type[Declared]) -> Schema:
    slots = slots_of(cls)
    return {
        "type": "object",
        "description": inspect.cleandoc(cls.__doc__ or ""),
        "properties": {
            "id": _text("The id that references name."),
            "name": _text("The name; the id where it is left out."),
            "type": {"const": cls.type_name()},
            **{slot.name: _slot(slot) for slot in slots.values()},
        },
        "patternProperties": {USER_FIELD: _several(_value_or_ref()), "^@": {}},
        "additionalProperties": False,
    }


def _slot(slot: Slot) -> Schema:
    made = _value(slot)
    made = _several(made) if slot.many else made
    default = {} if slot.default in (None, []) else {"default": slot.default}
    return {"description": slot.doc, **default, **made}


def _value(slot: Slot) -> Schema:
    if slot.kind == "ref":
        return _ref(" or ".join(target.type_name() or "any object" for target in slot.targets))
    if slot.kind == "enum":
        return {"anyOf": [{"enum": list(slot.choices)}, *({"pattern": _any_case(c)} for c in slot.choices), EXPRESSION]}
    if slot.kind == "boolean":
        texts = [{"pattern": _any_case("true")}, {"pattern": _any_case("false")}]
        return {"anyOf": [{"enum": ["true", "false"]}, {"type": "boolean"}, *texts, EXPRESSION]}
    if slot.kind == "period":
        units = "|".join(_any_case(unit)[1:-1] + "[sS]?" for unit in UNITS)
        return {"anyOf": [{"type": "string", "pattern": rf"^\s*\d+\s*({units})\s*$"}, EXPRESSION]}
    if slot.kind in ("integer", "double"):
        number = {"type": "integer" if slot.kind == "integer" else "number"}
        return {"anyOf": [{"type": "string", "pattern": _PATTERNS[slot.kind]}, number, EXPRESSION]}
    if slot.kind == "datetime":
        return {"anyOf": [{"type": "string", "pattern": _PATTERNS["datetime"]}, EXPRESSION]}
    return {"type": ["string", "number", "boolean"]}


def _any_case(word: str) -> str:
    return "^" + "".join(f"[{c.lower()}{c.upper()}]" if c.isalpha() else c for c in word) + "$"


def _ref(what: str) -> Schema:
    return {
        "type": "object",
        "required": ["ref"],
        "additionalProperties": False,
        "properties": {"ref": _text(f"The id of a {what}.")},
    }


def _value_or_ref() -> Schema:
    return {"anyOf": [{"type": ["string", "number", "boolean"]}, _ref("object")]}


def _several(schema: Schema) -> Schema:
    return {"anyOf": [schema or {"type": ["string", "number", "boolean"]}, {"type": "array", "items": schema}]}


def _text(description: str) -> Schema:
    return {"type": "string", "minLength": 1, "description": description}


def _parameter() -> Schema:
    attributes = {
        "id": _text("`my…`; `*my…` for a secret."),
        "type": {"anyOf": [{"enum": ["String", "Integer", "Double", "AWS::S3::ObjectKey"]}, {"type": "string"}]},
        "description": {"type": "string", "description": "What the parameter is for."},
        "optional": {"description": "Whether it may stay without a value.", "enum": ["true", "false", True, False]},
        "default": _several({}),
        "allowedValues": _several({}),
        "isArray": {"description": "Whether it has several values.", "enum": ["true", "false", True, False]},
        "helpText": {"type": "string"},
        "watermark": {"type": "string"},
        "helpLink": {"type": "string"},
    }
    return {"type": "object", "required": ["id"], "properties": attributes}
