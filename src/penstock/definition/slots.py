"""The slot kit: an object type is a class with annotated slots, and nothing else lists it.

A type looks like this; validation, conversion, documentation and dispatch derive from it::

    class ShellCommandActivity(Activity):
        \"\"\"Runs a command or a script.\"\"\"
        command: str | None = slot("The command to run.", one_of="program")
        stage: bool = slot("Whether inputs and outputs are staged as local folders.", default=False)

The annotation gives the slot's kind: str, int, float, bool, datetime, Period, a Literal of texts (an enumeration), or
another object type (a reference); `list[…]` allows several values, `| None` makes it optional.
"""

from __future__ import annotations

import inspect
import re
import types
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, ClassVar, Literal, Union, dataclass_transform, get_args, get_origin

from penstock.definition.model import PipelineObject
from penstock.definition.period import Period
from penstock.definition.problems import Problem

UNSET: Any = object()
_UPPER = re.compile(r"_([a-z0-9])")
_KINDS: dict[Any, str] = {
    str: "string",
    int: "integer",
    float: "double",
    bool: "boolean",
    datetime: "datetime",
    Period: "period",
}


@dataclass(frozen=True, slots=True)
class Slot:
    """One field of an object type, as its class declares it."""

    name: str
    attribute: str
    doc: str
    kind: str  # string integer double boolean datetime period enum ref
    many: bool
    required: bool
    default: Any
    one_of: str | None = None
    at_most_one: bool = False
    choices: tuple[str, ...] = ()
    targets: tuple[type[Declared], ...] = ()
    for_aws_only: bool = False
    is_schedule: bool = False
    unlisted: str = ""
    is_extension: bool = False
    unit: str = ""

    @property
    def is_secret(self) -> bool:
        """Whether the value is kept encrypted and handed out to task runners only."""
        return self.name.startswith("*")


@dataclass(frozen=True, slots=True)
class _SlotSpec:
    doc: str
    default: Any
    one_of: str | None
    at_most_one: bool
    name: str | None
    for_aws_only: bool
    is_schedule: bool
    unlisted: str
    is_extension: bool
    unit: str


def slot(
    doc: str,
    *,
    default: Any = UNSET,
    one_of: str | None = None,
    at_most_one: bool = False,
    name: str | None = None,
    for_aws_only: bool = False,
    is_schedule: bool = False,
    unlisted: str = "",
    is_extension: bool = False,
    unit: str = "",
) -> Any:
    """Declare a slot.

    `one_of` names a group of which at least one must be given (and not two, with `at_most_one`); `name` is the wire
    name where it is not the attribute in camel case; `for_aws_only` marks what only AWS's own service needs (a warning
    here); `is_schedule` marks a field that on-demand pipelines leave out; `unlisted` marks a field that real
    definitions have though AWS's reference does not list it (a warning), and says what to do instead; `is_extension`
    marks a field that AWS Data Pipeline does not know; `unit` is that of a period given as a number alone.
    """
    return _SlotSpec(doc, default, one_of, at_most_one, name, for_aws_only, is_schedule, unlisted, is_extension, unit)


@dataclass_transform(kw_only_default=True, field_specifiers=(slot,))
class Declared:
    """The root of all object types; an instance is a converted object that code can work with.

    `is_built` says that Penstock can run the type: one that is not validates, and is refused at activation.
    `takes_any_field` marks a type whose fields AWS has not published: those without a slot are accepted as they are.
    `is_extension` marks a type that AWS Data Pipeline does not know.
    """

    is_abstract: ClassVar[bool] = True
    is_built: ClassVar[bool] = True
    takes_any_field: ClassVar[bool] = False
    is_extension: ClassVar[bool] = False
    family: ClassVar[str] = ""
    icon: ClassVar[str] = "object"

    id: str
    name: str
    parent: Declared | None = slot("The object whose fields are inherited.")

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if "is_abstract" not in cls.__dict__:
            cls.is_abstract = False

    def __init__(self, **values: Any) -> None:
        self.id = values.pop("id", "")
        self.name = values.pop("name", self.id)
        for declared in slots_of(type(self)).values():
            default = list(declared.default) if isinstance(declared.default, list) else declared.default
            setattr(self, declared.attribute, values.pop(declared.attribute, default))
        if values:
            raise TypeError(f"{type(self).__name__} has no slot {', '.join(values)}")

    @classmethod
    def type_name(cls) -> str:
        """The type as definitions write it; the family's name for a family."""
        return cls.family if cls.is_abstract else cls.__name__

    @classmethod
    def check(cls, obj: PipelineObject) -> list[Problem]:
        """Problems that no slot can express; `obj` holds every inherited field, with parameters filled in."""
        return []


def slots_of(cls: type[Declared]) -> dict[str, Slot]:
    """The slots of a type and of its ancestors, by wire name, in the order of the first declaration."""
    found = _SLOTS.get(cls)
    if found is None:
        found = _SLOTS[cls] = _read_slots(cls)
    return found


_SLOTS: dict[type, dict[str, Slot]] = {}


def _read_slots(cls: type[Declared]) -> dict[str, Slot]:
    found: dict[str, Slot] = {}
    for ancestor in reversed(cls.__mro__):
        found |= {made.name: made for made in _own_slots(ancestor)}
    return found


@cache
def _own_slots(cls: type) -> tuple[Slot, ...]:
    if not any(isinstance(value, _SlotSpec) for value in vars(cls).values()):
        return ()
    made = []
    for attribute, annotation in inspect.get_annotations(cls, eval_str=True).items():
        spec = cls.__dict__.get(attribute)
        if isinstance(spec, _SlotSpec):
            made.append(_make(cls, attribute, annotation, spec))
    return tuple(made)


def _make(cls: type, attribute: str, annotation: Any, spec: _SlotSpec) -> Slot:
    many = optional = False
    if get_origin(annotation) in (Union, types.UnionType):
        parts = [part for part in get_args(annotation) if part is not type(None)]
        optional = len(parts) < len(get_args(annotation))
        annotation = parts[0] if len(parts) == 1 else tuple(parts)
    if get_origin(annotation) is list:
        many = True
        annotation = get_args(annotation)[0]
        if get_origin(annotation) in (Union, types.UnionType):
            annotation = get_args(annotation)
    choices: tuple[str, ...] = ()
    targets: tuple[type[Declared], ...] = ()
    if get_origin(annotation) is Literal:
        kind, choices = "enum", get_args(annotation)
    elif annotation in _KINDS:
        kind = _KINDS[annotation]
    else:
        targets = annotation if isinstance(annotation, tuple) else (annotation,)
        if not all(isinstance(target, type) and issubclass(target, Declared) for target in targets):
            raise TypeError(f"{cls.__name__}.{attribute}: {annotation!r} is no kind of slot")
        kind = "ref"
    required = spec.default is UNSET and not many and not optional and spec.one_of is None and not spec.for_aws_only
    default = spec.default if spec.default is not UNSET else ([] if many else None)
    return Slot(
        name=spec.name or _UPPER.sub(lambda match: match[1].upper(), attribute),
        attribute=attribute,
        doc=spec.doc,
        kind=kind,
        many=many,
        required=required,
        default=default,
        one_of=spec.one_of,
        at_most_one=spec.at_most_one,
        choices=choices,
        targets=targets,
        for_aws_only=spec.for_aws_only,
        is_schedule=spec.is_schedule,
        unlisted=spec.unlisted,
        is_extension=spec.is_extension,
        unit=spec.unit,
    )


@dataclass(frozen=True)
class Catalogue:
    """The object types that exist here."""

    types: dict[str, type[Declared]]
    _fields: set[str] = field(default_factory=set)

    def find(self, type_name: str | None) -> type[Declared] | None:
        """The class of a type name, which is compared exactly."""
        return self.types.get(type_name) if type_name else None

    def knows_field(self, name: str) -> bool:
        """Whether any type declares a field of this name."""
        if not self._fields:
            self._fields.update(name for cls in self.types.values() for name in slots_of(cls))
        return name in self._fields
