"""A JSON Schema of the file form, from the declarations, for editors that complete and mark errors.

It is looser than validation, which knows the whole definition: a field that is missing may be inherited, and what a
parent or Default holds depends on the objects that use it. What validation accepts, the schema accepts too, but for
values on a parent or on Default that no object uses. `patternErrorMessage`, `enumDescriptions` and `defaultSnippets`
are VS Code's; other editors pass over them.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

from penstock.definition.model import DEFAULT
from penstock.definition.period import UNITS
from penstock.definition.slots import Catalogue, Declared, Slot, slots_of

DRAFT = "http://json-schema.org/draft-07/schema#"  # the one that editors know best
EXPRESSION = r"#\{"
USER_FIELD = r"^\*?(my[^a-z]|_)"
UNTYPED = "Untyped"
EXTENSION = "(An extension: AWS Data Pipeline does not know it.)"
TEXT = {"not": {"type": ["object", "array", "null"]}, "minLength": 1, "errorMessage": "Give a text."}
ANY_TEXT = {"type": ["string", "number", "boolean"]}
_PARAMETER_TYPES = ("String", "Integer", "Double", "AWS::S3::ObjectKey")
_BOOLEANS = ("true", "false")
_EXAMPLES = {"period": ("15 minutes", "1 hour", "1 day"), "datetime": ("2025-01-01T00:00:00",)}
Schema = dict[str, Any]


def json_schema(catalogue: Catalogue) -> Schema:
    """The schema of a definition file: objects by their type, parameters and values."""
    types = sorted(catalogue.types.values(), key=lambda cls: cls.type_name())
    return {
        "$schema": DRAFT,
        "title": "AWS Data Pipeline definition",
        "type": "object",
        "required": ["objects"],
        "additionalProperties": False,
        "properties": {
            "objects": {
                "type": "array",
                "minItems": 1,
                "items": _object(types),
                "description": "The pipeline's objects.",
            },
            "parameters": {"type": "array", "items": _parameter(), "description": "What an activation can set."},
            "values": {
                "type": "object",
                "description": "Values of parameters.",
                "additionalProperties": _several(ANY_TEXT),
            },
            "metadata": {"description": "Notes that tools leave; not read."},
        },
        "definitions": {
            **{_key(slot): _value(slot) for cls in types for slot in slots_of(cls).values()},
            **{_shared_key(cls): _shared(family_of(cls)) for cls in types},
            **{cls.type_name(): _type(cls) for cls in types},
            UNTYPED: _untyped(types),
        },
    }


def family_of(cls: type[Declared]) -> type[Declared]:
    """The class that declares what all types of a type's family share."""
    return next((found for found in cls.__mro__ if "family" in found.__dict__), Declared)


def _object(types: list[type[Declared]]) -> Schema:
    """Any object: its type decides about its fields."""
    names = {cls.type_name(): _summary(cls) for cls in types}
    names[DEFAULT] = "What all other objects inherit from; it needs no type."
    return {
        "type": "object",
        "anyOf": [{"required": ["id"]}, {"required": ["name"]}],
        "properties": {
            "id": _name("The id that references name."),
            "type": {
                "description": "The object's type; an object that others inherit from needs none.",
                "enum": list(names),
                "enumDescriptions": list(names.values()),
            },
        },
        "allOf": [
            *(_if_type(cls.type_name(), {"$ref": f"#/definitions/{cls.type_name()}"}) for cls in types),
            {
                "if": {"properties": {"type": {"const": DEFAULT}}},
                "then": {"$ref": f"#/definitions/{UNTYPED}"},
            },
        ],
    }


def _if_type(name: str, then: Schema) -> Schema:
    return {"if": {"properties": {"type": {"const": name}}, "required": ["type"]}, "then": then}


def _type(cls: type[Declared]) -> Schema:
    return {
        "type": "object",
        "description": _summary(cls),
        "properties": {
            "id": _name("The id that references name."),
            "name": _name("The name; the id where it is left out."),
            "type": {"const": cls.type_name(), "description": _summary(cls)},
            **{slot.name: _slot_or_shared(cls, slot) for slot in slots_of(cls).values()},
        },
        "patternProperties": {USER_FIELD: _several(_value_or_ref()), "^@": {}},
        "additionalProperties": _several(_value_or_ref()) if cls.takes_any_field else False,
    }


def _slot_or_shared(cls: type[Declared], slot: Slot) -> Schema:
    if slots_of(family_of(cls)).get(slot.name) == slot:
        return {"$ref": f"#/definitions/{_shared_key(cls)}/properties/{slot.name}"}
    return _slot(slot)


def _shared(family: type[Declared]) -> Schema:
    """The fields of every type of a family, for types to refer to."""
    return {"properties": {slot.name: _slot(slot) for slot in slots_of(family).values()}}


def _shared_key(cls: type[Declared]) -> str:
    return f"every-{family_of(cls).family or 'object'}"


def _summary(cls: type[Declared]) -> str:
    text = " ".join(inspect.cleandoc(cls.__doc__ or "").split("\n\n")[0].split())
    text += f" {EXTENSION}" if cls.is_extension else ""
    return text if cls.is_built else f"{text} (It validates, but cannot run here yet.)"


def _untyped(types: Iterable[type[Declared]]) -> Schema:
    """Default, or a parent without a type: each field as some type has it, and perhaps others."""
    variants: dict[str, dict[str, Schema]] = {}
    for cls in types:
        for slot in slots_of(cls).values():
            path = {"$ref": f"#/definitions/{cls.type_name()}/properties/{slot.name}"}
            variants.setdefault(slot.name, {}).setdefault(str({**_slot(slot), "description": ""}), path)
    fields = {name: list(schemas.values()) for name, schemas in variants.items()}
    return {
        "type": "object",
        "description": "What other objects inherit from.",
        "properties": {
            "id": _name("The id that references name."),
            "name": _name("The name; the id where it is left out."),
            "type": {"const": DEFAULT},
            **{name: refs[0] if len(refs) == 1 else {"anyOf": refs} for name, refs in fields.items()},
        },
        "patternProperties": {USER_FIELD: _several(_value_or_ref()), "^@": {}},
    }


def _slot(slot: Slot) -> Schema:
    value = {"$ref": f"#/definitions/{_key(slot)}"}
    doc = f"{slot.doc} {EXTENSION}" if slot.is_extension else slot.doc
    made = {"description": doc, **(_several(value) if slot.many else _single(value))}
    if slot.default not in (None, []):
        made["default"] = _written(slot.default)
    elif slot.kind == "ref":
        made["defaultSnippets"] = [{"label": '{"ref": …}', "body": {"ref": "$1"}}]
    elif examples := slot.choices or _EXAMPLES.get(slot.kind):
        made["examples"] = list(examples)
    else:
        made["defaultSnippets"] = [{"label": '"…"', "body": "$1"}]
    return made


def _key(slot: Slot) -> str:
    """The name of a slot's values among the definitions."""
    if slot.kind == "ref":
        return "-".join(["ref", *(target.type_name() or "object" for target in slot.targets)])
    if slot.unit:
        return f"{slot.kind}-or-{slot.unit}s"
    return "-".join(["one-of", *slot.choices]) if slot.kind == "enum" else slot.kind


def _written(default: object) -> str:
    """A default as definitions write it: a string, as the service wants numbers and booleans too."""
    return str(default).lower() if isinstance(default, bool) else str(default)


def _value(slot: Slot) -> Schema:
    if slot.kind == "ref":
        return _ref(" or ".join(target.type_name() or "any object" for target in slot.targets))
    if slot.kind == "enum":
        return _choice(slot.choices)
    if slot.kind == "boolean":
        return _choice(_BOOLEANS, "boolean")
    if slot.kind == "integer":
        return _pattern(r"[+-]?\d+", "Give a whole number, or an expression.", "integer")
    if slot.kind == "double":
        return _pattern(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", "Give a number, or an expression.", "number")
    if slot.kind == "period":
        units = rf"\s*({'|'.join(_any_case(unit) for unit in UNITS)})[sS]?"
        if slot.unit:
            message = f"Give a number and a unit, such as 15 minutes, a number of {slot.unit}s, or an expression."
            return _pattern(rf"\d+({units})?", message, "integer")
        return _pattern(rf"\d+{units}", "Give a number and a unit, such as 15 minutes, or an expression.")
    if slot.kind == "datetime":
        pattern = r"\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?Z?)?"
        return _pattern(pattern, "Give a date-time as yyyy-MM-ddTHH:mm:ss (UTC), or an expression.")
    return TEXT


def _choice(choices: Iterable[str], also: str = "string") -> Schema:
    """One of some words; editors offer them as they are, any letter case is right."""
    words = "|".join(_any_case(choice) for choice in choices)
    return {"anyOf": [{"enum": list(choices)}, _pattern(words, f"Give one of {', '.join(choices)}.", also)]}


def _pattern(pattern: str, message: str, also: str = "string") -> Schema:
    """A text of a pattern, or one with an expression in it; `also` is another JSON type that may stand for it."""
    return {
        "type": "string" if also == "string" else ["string", also],
        "pattern": rf"^\s*({pattern})\s*$|{EXPRESSION}",
        "patternErrorMessage": message,
    }


def _any_case(word: str) -> str:
    return "".join(f"[{c.lower()}{c.upper()}]" if c.isalpha() else c for c in word)


def _ref(what: str) -> Schema:
    return {
        "type": "object",
        "required": ["ref"],
        "additionalProperties": False,
        "properties": {"ref": _name(f"The id of an object: {what}.")},
    }


def _value_or_ref() -> Schema:
    return {"anyOf": [ANY_TEXT, _ref("any object")]}


def _several(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "array", "items": schema}]}


def _single(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "array", "items": schema, "maxItems": 1}]}


def _name(description: str) -> Schema:
    return {"type": "string", "minLength": 1, "description": description}


def _parameter() -> Schema:
    attributes = {
        "id": _name("`my…`; `*my…` for a secret."),
        "type": {"description": "The kind of value; String if left out.", **_choice(_PARAMETER_TYPES)},
        "description": {"description": "What the parameter is for.", **_single(ANY_TEXT)},
        "optional": {"description": "Whether it may stay without a value.", **_choice(_BOOLEANS, "boolean")},
        "default": {"description": "The value where none is given.", **_several(ANY_TEXT)},
        "allowedValues": {"description": "The only values that are allowed.", **_several(ANY_TEXT)},
        "isArray": {"description": "Whether it may have several values.", **_choice(_BOOLEANS, "boolean")},
        "helpText": {"description": "Help for whoever gives a value.", **_single(ANY_TEXT)},
        "watermark": {"description": "What an empty form shows.", **_single(ANY_TEXT)},
    }
    return {"type": "object", "required": ["id"], "properties": attributes}
