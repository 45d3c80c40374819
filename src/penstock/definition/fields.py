"""Problems of the fields of one object: against the slots of its type, or of an object that others inherit from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from penstock.definition.conversion import convert_text
from penstock.definition.model import DEFAULT, FieldValue, PipelineObject, Ref, is_user_field
from penstock.definition.problems import Problem, closest, shown, shown_of
from penstock.definition.resolve import Resolved
from penstock.definition.slots import Catalogue, Declared, Slot, slots_of

DECIDED_EARLY = (
    "schedule",
    "scheduleType",
    "period",
    "startDateTime",
    "startAt",
    "endDateTime",
    "occurrences",
    "workerGroup",
    "maxActiveInstances",
    "maximumRetries",
    "retryDelay",
    "failureAndRerunMode",
    "attemptTimeout",
    "reportProgressTimeout",
    "lateAfterTimeout",
    "preconditionTimeout",
    "terminateAfter",
)
"""Fields that the service reads before there is an instance, so that nothing of run time can stand in them."""


def typed_problems(
    resolved: Resolved, catalogue: Catalogue, written: PipelineObject, cls: type[Declared], *, complete: bool
) -> Iterator[Problem]:
    """Problems of an object of a known type; those of inherited fields are reported for the object that has them."""
    obj = resolved.objects[written.id]
    slots = slots_of(cls)
    for key, values in written.fields.items():
        if key in slots:
            if slots[key].unlisted:
                message = f"AWS's reference lists no '{key}' for {cls.type_name()}."
                yield Problem(obj.id, key, message, slots[key].unlisted, is_warning=True)
        elif not (key in ("id", "name", "type") or is_user_field(key) or key.startswith("@")):
            yield from _without_slot(resolved, obj.id, cls, key, values)
    for slot in slots.values():
        values = obj.fields.get(slot.name, ())
        if values:
            owner = resolved.owner(obj.id, slot.name)
            yield from slot_problems(resolved, catalogue, owner, slot, values)
            if complete and slot.name in DECIDED_EARLY:
                yield from _early_problems(resolved, owner, slot, values)
        elif slot.required and not (slot.is_schedule and resolved.may_be_on_demand):
            yield Problem(obj.id, slot.name, f"{cls.type_name()} needs a '{slot.name}'.", slot.doc)
    yield from _group_problems(obj, cls)
    for problem in cls.check(obj):
        yield replace(problem, object_id=resolved.owner(obj.id, problem.field))


def _without_slot(
    resolved: Resolved, owner: str, cls: type[Declared], key: str, values: tuple[FieldValue, ...]
) -> Iterator[Problem]:
    if cls.takes_any_field:
        for value in values:
            if isinstance(value, Ref):
                yield from _missing_target(resolved, owner, key, value)
        return
    remedy = closest(key, slots_of(cls)) or "User-defined fields begin with my and a capital letter, or with _."
    yield Problem(owner, key, f"{cls.type_name()} has no field {shown(key)}.", remedy)


def untyped_problems(resolved: Resolved, catalogue: Catalogue, obj: PipelineObject) -> Iterator[Problem]:
    """Problems of Default, or of a parent without a type: fields that no type has, references to nothing."""
    for key, values in obj.fields.items():
        if key in ("id", "name", "type") or is_user_field(key) or key.startswith("@"):
            continue
        if key == "parent":
            yield from slot_problems(resolved, catalogue, obj.id, slots_of(Declared)[key], values)
            continue
        if not catalogue.knows_field(key):
            yield Problem(
                obj.id,
                key,
                f"No type has a field {shown(key)}.",
                closest(key, (name for cls in catalogue.types.values() for name in slots_of(cls))),
                is_warning=True,
            )
        for value in values:
            if isinstance(value, Ref):
                yield from _missing_target(resolved, obj.id, key, value)


def _missing_target(resolved: Resolved, owner: str, key: str, value: Ref) -> Iterator[Problem]:
    if value.id in resolved.definition.objects or resolved.waits_for_value(value.id):
        return
    message = f"'{key}' refers to {shown(value.id)}, which is no object of the definition."
    yield Problem(owner, key, message, closest(value.id, resolved.definition.objects), value.id)


def _early_problems(resolved: Resolved, owner: str, slot: Slot, values: tuple[FieldValue, ...]) -> Iterator[Problem]:
    for value in values:
        if isinstance(value, str) and "#{" in value and not resolved.waits_for_value(value):
            message = f"'{slot.name}' is {shown_of(slot.name, value)}, which is known only when an instance runs."
            yield Problem(owner, slot.name, message, "Use parameters and fields with fixed values here.", value)


def _group_problems(obj: PipelineObject, cls: type[Declared]) -> Iterator[Problem]:
    groups: dict[str, list[Slot]] = {}
    for slot in slots_of(cls).values():
        if slot.one_of is not None:
            groups.setdefault(slot.one_of, []).append(slot)
    for slots in groups.values():
        names = [slot.name for slot in slots]
        given = [name for name in names if obj.fields.get(name)]
        if not given:
            wanted = f"a '{names[0]}'" if len(names) == 1 else f"one of {', '.join(names)}"
            yield Problem(obj.id, names[0], f"{cls.type_name()} needs {wanted}.", slots[0].doc)
        elif len(given) > 1 and any(slot.at_most_one for slot in slots):
            both = " and ".join(f"'{name}'" for name in given)
            yield Problem(obj.id, given[1], f"{both} exclude each other.", f"Keep one of {', '.join(given)}.")


def slot_problems(
    resolved: Resolved, catalogue: Catalogue, owner: str, slot: Slot, values: tuple[FieldValue, ...]
) -> Iterator[Problem]:
    """Problems of the values of one slot; `owner` is the object that they are written in."""
    if len(values) > 1 and not slot.many:
        yield Problem(owner, slot.name, f"'{slot.name}' has {len(values)} values; it takes one.", "Give one value.")
    for value in values:
        if slot.kind == "ref":
            yield from _ref_problems(resolved, catalogue, owner, slot, value)
        elif isinstance(value, Ref):
            target = resolved.objects.get(value.id)
            kind = (target.text("type") if target else None) or "Default"
            message = f"'{slot.name}' values must be of type 'String'. Found values of type {shown(kind)}"
            yield Problem(owner, slot.name, message, "Give a text, not a reference.", value.id)
        elif "#{" not in value:
            try:
                convert_text(slot, value)
            except ValueError as error:
                kept = "" if slot.is_secret else value
                yield Problem(owner, slot.name, f"'{slot.name}' is {shown_of(slot.name, value)}:", f"{error}.", kept)


def _ref_problems(
    resolved: Resolved, catalogue: Catalogue, owner: str, slot: Slot, value: FieldValue
) -> Iterator[Problem]:
    wanted = "Default" if slot.name == "parent" else " or ".join(target.type_name() for target in slot.targets)
    if isinstance(value, str):
        message = f"'{slot.name}' values must be of type '{wanted}'. Found values of type 'String'"
        known = shown(value)[1:-1] if value in resolved.objects or "#{" in value else "ID"
        yield Problem(owner, slot.name, message, f'Write {{"ref": "{known}"}}.', value)
        return
    target = resolved.objects.get(value.id)
    if target is None:
        yield from _missing_target(resolved, owner, slot.name, value)
        return
    cls = catalogue.find(target.text("type"))
    if slot.name == "parent" or (cls is None and target.text("type") not in (None, DEFAULT)):
        return
    if cls is None or not issubclass(cls, slot.targets):
        found = cls.type_name() if cls else "Default"
        message = f"'{slot.name}' values must be of type '{wanted}'. Found values of type '{found}'"
        yield Problem(owner, slot.name, message, f"{shown(value.id)} is no {wanted}.", value.id)
