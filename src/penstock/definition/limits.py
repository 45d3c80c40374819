"""What every text of a definition must keep to, whatever object it stands in: sizes, characters, not being empty."""

from __future__ import annotations

import re
from collections.abc import Iterator

from penstock.definition.model import Definition, FieldValue, PipelineObject, Ref, is_secret, is_user_field
from penstock.definition.problems import Problem, shown

LONGEST_NAME = 256  # bytes (the guide: limits)
LONGEST_VALUE = 10_240
_FORBIDDEN = re.compile("[^\\t\\n\\r\\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # the service model's pattern


def limit_problems(definition: Definition) -> Iterator[Problem]:
    """Problems of ids, names, field names, values and parameters."""
    for obj in definition.objects.values():
        yield from _object_problems(obj)
    for parameter in definition.parameters.values():
        yield from _name_problems(parameter.id, "id", parameter.id)
        for key, texts in parameter.attributes.items():
            for text in texts:
                yield from _value_problems(parameter.id, key, text, is_hidden=is_secret(parameter.id))
    for identity, texts in definition.values.items():
        for text in texts:
            yield from _value_problems(identity, "values", text, is_hidden=is_secret(identity))


def _object_problems(obj: PipelineObject) -> Iterator[Problem]:
    yield from _name_problems(obj.id, "id", obj.id)
    yield from _name_problems(obj.id, "name", obj.name)
    if obj.id.startswith("@"):
        yield Problem(obj.id, "id", f"The id {shown(obj.id)} begins with '@', as only instances do.", "Rename it.")
    for key, values in obj.fields.items():
        yield from _name_problems(obj.id, "field name", key)
        if key in ("id", "name"):
            yield Problem(obj.id, key, f"An object has one {key}, which is no field.", "Remove the field.")
        for value in values:
            yield from _field_problems(obj.id, key, value)


def _field_problems(identity: str, key: str, value: FieldValue) -> Iterator[Problem]:
    if isinstance(value, Ref):
        yield from _name_problems(identity, key, value.id)
        return
    if value == "" and not is_user_field(key):
        yield Problem(identity, key, f"'{key}' is empty.", "Give a value, or remove the field.")
    yield from _value_problems(identity, key, value, is_hidden=is_secret(key))


def _name_problems(identity: str, label: str, text: str) -> Iterator[Problem]:
    if len(text.encode("utf-8", "surrogatepass")) > LONGEST_NAME:
        yield Problem(identity, label, f"The {label} {shown(text)} is too long.", f"{LONGEST_NAME} bytes at most.")
    if _FORBIDDEN.search(text):
        yield Problem(identity, label, f"The {label} {shown(text)} holds a character that is not allowed.")


def _value_problems(identity: str, key: str, value: str, *, is_hidden: bool) -> Iterator[Problem]:
    size = len(value.encode("utf-8", "surrogatepass"))
    kept = "" if is_hidden else value
    if size > LONGEST_VALUE:
        message = f"The value of '{key}' has {size:,} bytes; {LONGEST_VALUE:,} is the most."
        yield Problem(identity, key, message, "Keep long texts in a file (scriptUri).", kept)
    forbidden = _FORBIDDEN.search(value)
    if forbidden:
        character = "" if is_hidden else f" (U+{ord(forbidden[0]):04X})"
        message = f"The value of '{key}' holds a character that is not allowed{character}."
        yield Problem(identity, key, message, "Of control characters only tabs and line breaks are.", kept)
