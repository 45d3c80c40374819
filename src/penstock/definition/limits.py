"""What every text of a definition must keep to, whatever object it stands in: sizes, characters, not being empty."""

from __future__ import annotations

import re
from collections.abc import Iterator

from penstock.definition.model import Definition, FieldValue, PipelineObject, Ref, is_secret, is_user_field
from penstock.definition.problems import Problem, shown
from penstock.expressions import expression_length

LONGEST_NAME = 256  # bytes (the guide: limits)
LONGEST_VALUE = 10_240
MOST_OBJECTS = 5_000
MOST_VALUES = 100_000
MOST_IN_EXPRESSIONS = 250_000  # characters: reading that many takes about a second
_FORBIDDEN = re.compile("[^\\t\\n\\r\\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # the service model's pattern


def oversize(definition: Definition) -> Problem | None:
    """What is too large about a definition to be looked at any further."""
    texts = [
        *(value for obj in definition.objects.values() for values in obj.fields.values() for value in values),
        *(text for p in definition.parameters.values() for texts in p.attributes.values() for text in texts),
        *(text for values in definition.values.values() for text in values),
    ]
    sizes = (
        ("objects", len(definition.objects), MOST_OBJECTS),
        ("values", len(texts), MOST_VALUES),
        (
            "characters in expressions",
            sum(expression_length(t if isinstance(t, str) else t.id) for t in texts),
            MOST_IN_EXPRESSIONS,
        ),
    )
    for what, size, most in sizes:
        if size > most:
            message = f"The definition has {size:,} {what}; {most:,} is the most."
            return Problem("", "objects", message, "Make several pipelines of it.")
    return None


def limit_problems(definition: Definition) -> Iterator[Problem]:
    """Problems of ids, names, field names, values and parameters."""
    too_large = oversize(definition)
    if too_large is not None:
        yield too_large
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
