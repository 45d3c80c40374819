"""All problems of a definition at once: objects, fields, references, expressions, schedules and circles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from penstock.definition.conversion import convert_text
from penstock.definition.dependencies import component_graph, find_circle
from penstock.definition.model import (
    DEFAULT,
    Definition,
    FieldValue,
    PipelineObject,
    Ref,
    Values,
    is_user_field,
)
from penstock.definition.parameters import parameter_problems
from penstock.definition.problems import Problem, closest, shown
from penstock.definition.resolve import Resolved, resolve
from penstock.definition.slots import Catalogue, Declared, Slot, slots_of

LONGEST_NAME = 256  # bytes (the guide: limits)
LONGEST_VALUE = 10_240
CASCADE_WARNING = (
    " It is recommended to set 'failureAndRerunMode'  to 'cascade' on Default object to enable cascade failure mode for"
    " Activity, Datanode, Precondition and Resource objects of a pipeline."
)
LOG_WARNING = (
    "'pipelineLogUri'is missing. It is recommended to set this value on Default object for better troubleshooting."
)
SCHEDULED = ("Activity", "DataNode", "Resource")
RUNNABLE = (*SCHEDULED, "Precondition")


@dataclass(frozen=True)
class Verdict:
    """A resolved definition with its errors and warnings."""

    resolved: Resolved
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that keep the definition from being activated."""
        return tuple(problem for problem in self.problems if not problem.is_warning)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """What is accepted but worth a look."""
        return tuple(problem for problem in self.problems if problem.is_warning)


def validate(
    definition: Definition, catalogue: Catalogue, given: Values | None = None, *, complete: bool = True
) -> Verdict:
    """Check a definition; `complete` says that every parameter must have its value now (not so at put)."""
    resolved, problems = resolve(definition, given)
    problems = [*parameter_problems(definition, given or {}, complete=complete), *problems]
    for identity in definition.duplicates:
        problems.append(Problem(identity, "id", f"Two objects have the id {shown(identity)}.", "Rename one of them."))
    if not definition.objects:
        problems.append(Problem("", "objects", "The definition has no objects.", "Give at least one activity."))
    parents = {ref for obj in definition.objects.values() for ref in obj.refs("parent")}
    for obj in definition.objects.values():
        problems.extend(_size_problems(obj))
        problems.extend(_parent_problems(definition, obj))
        kind = resolved.objects[obj.id].text("type")
        cls = catalogue.find(kind)
        if cls is not None:
            problems.extend(_object_problems(resolved, catalogue, obj, cls))
        elif kind is not None:
            problems.append(_type_problem(catalogue, obj.id, kind))
        elif obj.id != DEFAULT and obj.id not in parents:
            problems.append(Problem(obj.id, "type", "The type is missing.", "Give the object a type."))
        else:
            problems.extend(_untyped_problems(definition, catalogue, obj))
    problems.extend(_circle_problems(resolved, catalogue))
    problems.extend(_schedule_problems(resolved, catalogue))
    problems.extend(_recommendations(resolved, catalogue))
    return Verdict(resolved, tuple(dict.fromkeys(problems)))


def _type_problem(catalogue: Catalogue, identity: str, kind: str) -> Problem:
    if kind in catalogue.not_built:
        return Problem(
            identity,
            "type",
            f"{kind} is a type of AWS Data Pipeline that Penstock cannot run yet.",
            f"Types that run: {', '.join(sorted(catalogue.types))}.",
            kind,
        )
    remedy = closest(kind, [*catalogue.types, *catalogue.not_built])
    return Problem(identity, "type", f"The type {shown(kind)} is not known.", remedy, kind)


def _size_problems(obj: PipelineObject) -> Iterator[Problem]:
    for label, text in (("id", obj.id), ("name", obj.name)):
        if len(text.encode()) > LONGEST_NAME:
            yield Problem(obj.id, label, f"The {label} {shown(text)} is too long.", f"{LONGEST_NAME} bytes at most.")
    if obj.id.startswith("@"):
        yield Problem(obj.id, "id", f"The id {shown(obj.id)} begins with '@', as only instances do.", "Rename it.")
    for key, values in obj.fields.items():
        for value in values:
            if isinstance(value, str) and len(value.encode()) > LONGEST_VALUE:
                yield Problem(
                    obj.id,
                    key,
                    f"The value of '{key}' has {len(value.encode()):,} bytes; {LONGEST_VALUE:,} is the most.",
                    "Keep long texts in a file (scriptUri).",
                    value,
                )


def _parent_problems(definition: Definition, obj: PipelineObject) -> Iterator[Problem]:
    chain = [obj.id]
    current = obj
    while parents := current.refs("parent"):
        if parents[0] in chain:
            if parents[0] == obj.id:
                circle = " → ".join([*chain, parents[0]])
                yield Problem(obj.id, "parent", f"The parents run in a circle: {circle}.", "Break the circle.")
            return
        found = definition.objects.get(parents[0])
        if found is None:
            return
        chain.append(found.id)
        current = found


def _untyped_problems(definition: Definition, catalogue: Catalogue, obj: PipelineObject) -> Iterator[Problem]:
    for key, values in obj.fields.items():
        if key in ("parent", "type") or is_user_field(key) or key.startswith("@"):
            continue
        if not catalogue.knows_field(key):
            yield Problem(
                obj.id,
                key,
                f"No type that runs here has a field '{key}'.",
                closest(key, {name for cls in catalogue.types.values() for name in slots_of(cls)}),
                is_warning=True,
            )
        for value in values:
            if isinstance(value, Ref) and value.id not in definition.objects:
                yield _missing_target(definition, obj.id, key, value)


def _missing_target(definition: Definition, identity: str, key: str, value: Ref) -> Problem:
    return Problem(
        identity,
        key,
        f"'{key}' refers to {shown(value.id)}, which is no object of the definition.",
        closest(value.id, definition.objects),
        value.id,
    )


def _object_problems(
    resolved: Resolved, catalogue: Catalogue, written: PipelineObject, cls: type[Declared]
) -> Iterator[Problem]:
    obj = resolved.objects[written.id]
    slots = slots_of(cls)
    for key in written.fields:
        if key in slots or key in ("type", "parent") or is_user_field(key) or key.startswith("@"):
            continue
        yield Problem(
            obj.id,
            key,
            f"{cls.type_name()} has no field '{key}'.",
            closest(key, slots) or "User-defined fields begin with my and a capital letter, or with _.",
        )
    for slot in slots.values():
        values = obj.fields.get(slot.name, ())
        if values:
            yield from _slot_problems(resolved, catalogue, obj, slot, values, is_own=slot.name in written.fields)
        elif slot.name in obj.fields:
            yield Problem(obj.id, slot.name, f"'{slot.name}' has no value.", "Give one, or remove the field.")
        elif slot.required and not (slot.is_schedule and resolved.is_on_demand):
            yield Problem(obj.id, slot.name, f"{cls.type_name()} needs a '{slot.name}'.", slot.doc)
    yield from _group_problems(obj, cls)
    yield from cls.check(obj)


def _group_problems(obj: PipelineObject, cls: type[Declared]) -> Iterator[Problem]:
    groups: dict[str, list[Slot]] = {}
    for slot in slots_of(cls).values():
        if slot.one_of is not None:
            groups.setdefault(slot.one_of, []).append(slot)
    for slots in groups.values():
        names = [slot.name for slot in slots]
        given = [name for name in names if obj.fields.get(name)]
        if not given:
            yield Problem(obj.id, names[0], f"{cls.type_name()} needs one of {', '.join(names)}.", "None is given.")
        elif len(given) > 1 and any(slot.at_most_one for slot in slots):
            yield Problem(obj.id, given[1], f"Only one of {', '.join(names)} may be given.", "Remove the others.")


def _slot_problems(
    resolved: Resolved,
    catalogue: Catalogue,
    obj: PipelineObject,
    slot: Slot,
    values: tuple[FieldValue, ...],
    *,
    is_own: bool,
) -> Iterator[Problem]:
    if len(values) > 1 and not slot.many:
        yield Problem(obj.id, slot.name, f"'{slot.name}' has {len(values)} values; it takes one.", "Give one value.")
    for value in values:
        if slot.kind == "ref":
            yield from _ref_problems(resolved, catalogue, obj, slot, value, is_own=is_own)
        elif isinstance(value, Ref):
            target = resolved.objects.get(value.id)
            kind = target.text("type") if target else None
            yield Problem(
                obj.id,
                slot.name,
                f"'{slot.name}' values must be of type 'String'. Found values of type '{kind or 'Default'}'",
                "Give a text, not a reference.",
                value.id,
            )
        elif value == "" and slot.required:
            yield Problem(obj.id, slot.name, f"'{slot.name}' is empty.", slot.doc)
        elif "#{" not in value:
            try:
                convert_text(slot, value)
            except ValueError as error:
                yield Problem(obj.id, slot.name, f"'{slot.name}' is {shown(value)}:", f"{error}.", value)


def _ref_problems(
    resolved: Resolved,
    catalogue: Catalogue,
    obj: PipelineObject,
    slot: Slot,
    value: FieldValue,
    *,
    is_own: bool,
) -> Iterator[Problem]:
    wanted = "Default" if slot.name == "parent" else " or ".join(target.type_name() for target in slot.targets)
    if isinstance(value, str):
        yield Problem(
            obj.id,
            slot.name,
            f"'{slot.name}' values must be of type '{wanted}'. Found values of type 'String'",
            f'Write {{"ref": "{value[:60]}"}}.',
            value,
        )
        return
    target = resolved.objects.get(value.id)
    if target is None:
        if is_own:
            yield _missing_target(resolved.definition, obj.id, slot.name, value)
        return
    cls = catalogue.find(target.text("type"))
    if slot.name == "parent" or (cls is None and target.text("type") is not None):
        return
    if cls is None or not issubclass(cls, slot.targets):
        found = cls.type_name() if cls else "Default"
        yield Problem(
            obj.id,
            slot.name,
            f"'{slot.name}' values must be of type '{wanted}'. Found values of type '{found}'",
            f"{shown(value.id)} is no {wanted}.",
            value.id,
        )


def _circle_problems(resolved: Resolved, catalogue: Catalogue) -> Iterator[Problem]:
    circle = find_circle(component_graph(resolved, catalogue))
    if circle:
        waits = ", which waits for ".join(circle[1:])
        yield Problem(
            circle[0],
            "dependsOn",
            f"The objects wait for each other: {circle[0]} waits for {waits}.",
            "Break the circle.",
        )


def _schedule_problems(resolved: Resolved, catalogue: Catalogue) -> Iterator[Problem]:
    if resolved.is_on_demand:
        return
    for obj in resolved.objects.values():
        cls = catalogue.find(obj.text("type"))
        if cls is not None and cls.family in SCHEDULED and "schedule" not in obj.fields:
            yield Problem(
                obj.id,
                "schedule",
                f"{cls.type_name()} has no schedule.",
                "Refer to a Schedule here or on Default, or set scheduleType to ondemand on Default.",
            )


def _recommendations(resolved: Resolved, catalogue: Catalogue) -> Iterator[Problem]:
    activities = []
    for obj in resolved.objects.values():
        cls = catalogue.find(obj.text("type"))
        if cls is None:
            continue
        if cls.family == "Activity":
            activities.append(obj)
        for slot in slots_of(cls).values():
            if slot.for_aws_only and slot.name not in obj.fields:
                message = f"AWS Data Pipeline needs a '{slot.name}' here; Penstock does not."
                yield Problem(obj.id, slot.name, message, is_warning=True)
    for obj in activities:
        if (obj.text("failureAndRerunMode") or "").lower() != "cascade":
            yield Problem(obj.id, "failureAndRerunMode", CASCADE_WARNING, is_warning=True)
    if activities and not any("pipelineLogUri" in obj.fields for obj in activities):
        yield Problem(DEFAULT, "pipelineLogUri", LOG_WARNING, is_warning=True)
