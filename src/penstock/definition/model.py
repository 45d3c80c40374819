"""The data of a pipeline definition: objects with fields, parameters and values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from penstock.definition.problems import Problem

DEFAULT = "Default"


@dataclass(frozen=True, slots=True)
class Ref:
    """A reference to another object of the definition, by its id."""

    id: str


FieldValue = str | Ref
Fields = Mapping[str, tuple[FieldValue, ...]]


@dataclass(frozen=True)
class PipelineObject:
    """An object of a definition: its id, its name and its own fields; a field holds one or more values."""

    id: str
    name: str
    fields: Fields

    def text(self, key: str) -> str | None:
        """The first value of a field, when it is a string."""
        for value in self.fields.get(key, ()):
            if isinstance(value, str):
                return value
        return None

    def refs(self, key: str) -> tuple[str, ...]:
        """The ids that a field refers to."""
        return tuple(value.id for value in self.fields.get(key, ()) if isinstance(value, Ref))


@dataclass(frozen=True)
class ParameterObject:
    """A declared parameter: its id (`my…`, or `*my…` for a secret) and its attributes."""

    id: str
    attributes: Mapping[str, tuple[str, ...]]

    def attribute(self, key: str) -> str | None:
        """The first value of an attribute."""
        values = self.attributes.get(key, ())
        return values[0] if values else None

    @property
    def is_optional(self) -> bool:
        """Whether the parameter may stay without a value."""
        return (self.attribute("optional") or "").lower() == "true"


Values = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Definition:
    """A whole definition.

    `misread` holds what could not be kept when it was read, such as a second object of the same id: a definition that
    has any is not whole, and validation reports them with all other problems.
    """

    objects: Mapping[str, PipelineObject] = field(default_factory=dict)
    parameters: Mapping[str, ParameterObject] = field(default_factory=dict)
    values: Values = field(default_factory=dict)
    misread: tuple[Problem, ...] = ()


def is_secret(key: str) -> bool:
    """Whether a field or parameter of this name is kept encrypted and never shown again (the guide: `*` first)."""
    return key.startswith("*")


def is_user_field(key: str) -> bool:
    """Whether a field is user-defined: `my` and a capital letter, or `_` first; a secret one has `*` before it."""
    name = key.removeprefix("*")
    return name.startswith("_") or (name.startswith("my") and len(name) > 2 and not name[2].islower())
