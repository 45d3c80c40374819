"""`penstock run --only COMPONENT[@START]`: the part of a definition that one component needs to run by itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from penstock.clock import to_field
from penstock.definition.model import DEFAULT, Definition, FieldValue, PipelineObject, Ref
from penstock.definition.period import Intervals, parse_date_time
from penstock.definition.problems import DefinitionRefused, Problem, closest, shown
from penstock.definition.resolve import Resolved
from penstock.definition.timetable import make_timetable
from penstock.objects import load_catalogue

RUNS = ("Activity",)


def select(resolved: Resolved, wanted: str) -> Definition:
    """The definition with this activity as the only one; with `@START`, only the interval that starts then.

    Other activities and `dependsOn` are left out, so what it reads must be there; preconditions are asked. Raises
    DefinitionRefused.
    """
    component, _, start = wanted.partition("@")
    definition = resolved.definition
    catalogue = load_catalogue()
    families = {}
    for identity, obj in resolved.objects.items():
        cls = catalogue.find(obj.text("type"))
        families[identity] = cls.family if cls is not None else ""
    if families.get(component) not in RUNS:
        activities = [identity for identity, family in families.items() if family in RUNS]
        remedy = closest(component, activities) or f"Activities are {', '.join(activities)}."
        raise DefinitionRefused([Problem("", "--only", f"{shown(component)} is no activity.", remedy)])
    kept = _reachable(definition, component, families)
    objects = {identity: _without_others(definition.objects[identity], kept) for identity in kept}
    if start:
        objects |= _single_interval(resolved, component, start)
    return replace(definition, objects={i: objects[i] for i in definition.objects if i in objects})


def _reachable(definition: Definition, component: str, families: dict[str, str]) -> set[str]:
    kept: set[str] = set()
    pending = [component, *([DEFAULT] if DEFAULT in definition.objects else [])]
    while pending:
        identity = pending.pop()
        if identity in kept or identity not in definition.objects:
            continue
        kept.add(identity)
        for key, values in definition.objects[identity].fields.items():
            if key == "dependsOn":
                continue
            refs = [value.id for value in values if isinstance(value, Ref)]
            pending.extend(ref for ref in refs if families.get(ref) not in RUNS)
    return kept


def _without_others(obj: PipelineObject, kept: set[str]) -> PipelineObject:
    fields: dict[str, tuple[FieldValue, ...]] = {}
    for key, values in obj.fields.items():
        left = tuple(value for value in values if not isinstance(value, Ref) or value.id in kept)
        if left and key != "dependsOn":
            fields[key] = left
    return replace(obj, fields=fields)


def _intervals(resolved: Resolved, component: str) -> Intervals:
    now = datetime.now(UTC)  # for schedules that start with the first activation, which is now
    return make_timetable(resolved, load_catalogue(), now, now).timings[component].intervals


def _single_interval(resolved: Resolved, component: str, start: str) -> dict[str, PipelineObject]:
    """The component's schedule, cut to the interval that starts at the given time."""
    try:
        moment = parse_date_time(start)
    except ValueError as error:
        raise DefinitionRefused([Problem("", "--only", f"The start {shown(start)} is wrong:", f"{error}.")]) from error
    refs = resolved.objects[component].refs("schedule")
    if resolved.is_on_demand or not refs:
        raise DefinitionRefused(
            [Problem("", "--only", f"'{component}' runs on demand.", f"Leave out '@{start}': there are no intervals.")]
        )
    intervals = _intervals(resolved, component)
    index = intervals.index_at(moment)
    if (interval := intervals.at(index)) is None or interval[0] != moment:
        message = f"'{component}' has no interval that starts at {start}."
        nearest = f"One starts at {to_field(intervals.holding(moment))}."
        raise DefinitionRefused([Problem("", "--only", message, nearest)])
    schedule = resolved.definition.objects[refs[0]]
    fields = {k: v for k, v in schedule.fields.items() if k not in ("endDateTime", "startAt", "occurrences")}
    fields |= {"startDateTime": (moment.strftime("%Y-%m-%dT%H:%M:%S"),), "occurrences": ("1",)}
    return {schedule.id: replace(schedule, fields=fields)}
