"""From the texts of fields to the values of slots."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from penstock.definition.model import PipelineObject, Ref
from penstock.definition.period import Period, parse_date_time
from penstock.definition.problems import shown_of
from penstock.definition.slots import Catalogue, Declared, Slot, slots_of

BOOLEANS = {"true": True, "false": False}
LARGEST_INTEGER = 2**31 - 1  # Java's int, which the service's Integer slots are
_INTEGER = re.compile(r"\s*[+-]?[0-9]+\s*")
_DOUBLE = re.compile(r"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?\s*")


def convert_text(slot: Slot, text: str) -> Any:
    """The value that a slot's text means; raises ValueError with what would be right."""
    if slot.kind == "string":
        return text
    if slot.kind == "enum":
        for choice in slot.choices:
            if choice.lower() == text.strip().lower():
                return choice
        raise ValueError(f"it must be one of {', '.join(slot.choices)}")
    if slot.kind == "boolean":
        if text.strip().lower() not in BOOLEANS:
            raise ValueError("it must be true or false")
        return BOOLEANS[text.strip().lower()]
    if slot.kind == "period":
        return Period.parse(f"{text} {slot.unit}" if slot.unit and text.strip().isdecimal() else text)
    if slot.kind == "datetime":
        return parse_date_time(text)
    return read_integer(text) if slot.kind == "integer" else read_double(text)


def read_integer(text: str) -> int:
    """A whole number of 32 bits; raises ValueError."""
    if not _INTEGER.fullmatch(text):
        raise ValueError("it must be a whole number")
    if len(text) > 40 or abs(int(text)) > LARGEST_INTEGER:
        raise ValueError(f"it must be a whole number of {LARGEST_INTEGER:,} at most")
    return int(text)


def read_double(text: str) -> float:
    """A number with or without a fraction; raises ValueError."""
    if not _DOUBLE.fullmatch(text):
        raise ValueError("it must be a number")
    return float(text)


def convert(objects: Mapping[str, PipelineObject], object_id: str, catalogue: Catalogue) -> Declared:
    """The typed instance of an evaluated object, with the objects that it refers to; raises ValueError.

    References to objects that are not among `objects` are left out, as a task carries only what it needs.
    """
    return _Converter(objects, catalogue).object(object_id)


class _Converter:
    def __init__(self, objects: Mapping[str, PipelineObject], catalogue: Catalogue) -> None:
        self.objects = objects
        self.catalogue = catalogue
        self.made: dict[str, Declared] = {}

    def object(self, object_id: str) -> Declared:
        if object_id in self.made:
            return self.made[object_id]
        obj = self.objects[object_id]
        cls = self.catalogue.find(obj.text("type"))
        if cls is None:
            raise ValueError(f"{object_id}: the type '{obj.text('type')}' is not known here")
        made = self.made[object_id] = cls(id=obj.id, name=obj.name)
        for slot in slots_of(cls).values():
            values = [v for v in (self.value(obj, slot, v) for v in obj.fields.get(slot.name, ())) if v is not None]
            if values:
                setattr(made, slot.attribute, values if slot.many else values[0])
        return made

    def value(self, obj: PipelineObject, slot: Slot, value: str | Ref) -> Any:
        if isinstance(value, Ref):
            if value.id not in self.objects:
                return None
            target = self.object(value.id)
            return target if slot.kind == "ref" and isinstance(target, slot.targets) else None
        if slot.kind == "ref":
            return None
        try:
            return convert_text(slot, value)
        except ValueError as error:
            seen = shown_of(slot.name, value)
            raise ValueError(f"{obj.id}: the value {seen} of '{slot.name}' is wrong: {error}") from None
