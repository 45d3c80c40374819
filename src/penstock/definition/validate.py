"""All problems of a definition at once: objects, fields, references, expressions, schedules and circles."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import chain

from penstock.definition.dependencies import component_graph, family_of, find_circles, reachable
from penstock.definition.fields import typed_problems, untyped_problems
from penstock.definition.inheritance import DEEPEST_PARENTS
from penstock.definition.limits import limit_problems
from penstock.definition.model import DEFAULT, Definition, PipelineObject, Values
from penstock.definition.parameters import parameter_problems
from penstock.definition.period import Period
from penstock.definition.problems import Problem, closest, few_suggestions, shown
from penstock.definition.resolve import Finding, Resolved, resolve
from penstock.definition.slots import Catalogue, slots_of
from penstock.definition.timetable import LINKS, schedule_of

CASCADE_WARNING = (
    " It is recommended to set 'failureAndRerunMode'  to 'cascade' on Default object to enable cascade failure mode for"
    " Activity, Datanode, Precondition and Resource objects of a pipeline."
)
LOG_WARNING = (
    "'pipelineLogUri'is missing. It is recommended to set this value on Default object for better troubleshooting."
)
DEFAULT_MOST_ACTIVE = 5  # the guide's; a server's settings may say something else
MOST_LINKED = 50_000  # intervals of other objects within one of an object, each of which is a row
SCHEDULED = ("Activity", "DataNode", "Resource")


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
    with few_suggestions():
        return _validate(definition, catalogue, given, complete=complete)


def _validate(definition: Definition, catalogue: Catalogue, given: Values | None, *, complete: bool) -> Verdict:
    resolved, findings = resolve(definition, given)
    problems = [*definition.misread, *limit_problems(definition)]
    problems += parameter_problems(definition, given or {}, complete=complete)
    problems += _expression_problems(resolved, catalogue, findings)
    if not definition.objects and not definition.misread:
        problems.append(Problem("", "objects", "The definition has no objects.", "Give at least one activity."))
    parents = {ref for obj in resolved.definition.objects.values() for ref in obj.refs("parent")}
    for obj in resolved.definition.objects.values():
        problems.extend(_parent_problems(resolved.definition, obj))
        kind = resolved.objects[obj.id].text("type")
        cls = catalogue.find(kind)
        if cls is not None:
            problems.extend(typed_problems(resolved, catalogue, obj, cls, complete=complete))
            if not cls.is_built:
                message = f"{kind} validates, but Penstock cannot run it yet: activation is refused."
                problems.append(Problem(obj.id, "type", message, is_warning=True))
        elif kind is not None and kind != DEFAULT:
            message, remedy = f"The type {shown(kind)} is not known.", closest(kind, catalogue.types)
            problems.append(Problem(resolved.owner(obj.id, "type"), "type", message, remedy, kind))
        elif obj.id != DEFAULT and obj.id not in parents:
            message = "The type is missing." if kind is None else "The type 'Default' is for what others inherit from."
            problems.append(Problem(obj.id, "type", message, "Give the object a type.", kind or ""))
        else:
            problems.extend(untyped_problems(resolved, catalogue, obj))
    problems.extend(_circle_problems(resolved, catalogue))
    problems.extend(_schedule_problems(resolved, catalogue))
    problems.extend(_crowd_problems(resolved, catalogue))
    problems.extend(_standstill_problems(resolved, catalogue))
    problems.extend(_recommendations(resolved, catalogue))
    return Verdict(resolved, tuple(dict.fromkeys(problems)))


def unbuilt(resolved: Resolved, catalogue: Catalogue) -> tuple[Problem, ...]:
    """An error for each object of a type that cannot run yet: what activation refuses a valid definition for."""
    found = []
    for obj in resolved.objects.values():
        cls = catalogue.find(obj.text("type"))
        if cls is not None and not cls.is_built:
            others = sorted(name for name, c in catalogue.types.items() if c.is_built and c.family == cls.family)
            remedy = f"{cls.family} types that can run: {', '.join(others)}." if others else ""
            message = f"{cls.type_name()} cannot run in Penstock yet."
            found.append(Problem(obj.id, "type", message, remedy, cls.type_name()))
    return tuple(found)


def _expression_problems(resolved: Resolved, catalogue: Catalogue, findings: list[Finding]) -> Iterator[Problem]:
    """What is wrong for an object that needs it: parents may hold what makes sense in their children only."""
    for finding in findings:
        obj = resolved.objects[finding.object_id]
        cls = catalogue.find(obj.text("type"))
        own = resolved.definition.objects[obj.id].fields
        is_used = cls is not None and (finding.field in own or finding.field in slots_of(cls))
        if is_used or (cls is None and finding.is_syntax):
            fields, unknown = resolved.inherited[obj.id].fields, finding.unknown
            is_unknown = unknown and unknown not in fields and unknown not in resolved.values
            remedy = closest(unknown, chain(fields, resolved.values)) if is_unknown else ""
            yield replace(finding.problem, remedy=remedy or finding.problem.remedy)


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
        if len(chain) > DEEPEST_PARENTS:
            message = f"The object has more than {DEEPEST_PARENTS} parents above each other."
            yield Problem(obj.id, "parent", message, "Use fewer.")
            return
        chain.append(found.id)
        current = found


def _circle_problems(resolved: Resolved, catalogue: Catalogue) -> Iterator[Problem]:
    for circle in find_circles(component_graph(resolved, catalogue)):
        waits = ", which waits for ".join(circle[1:])
        yield Problem(
            circle[0],
            "dependsOn",
            f"The objects wait for each other: {circle[0]} waits for {waits}.",
            "Break the circle.",
        )


def _schedule_problems(resolved: Resolved, catalogue: Catalogue) -> Iterator[Problem]:
    """A resource without a schedule takes that of the activities on it (the guide: Schedule, examples)."""
    if resolved.may_be_on_demand:
        return
    served = set(_served_resources(resolved, catalogue))
    for obj in resolved.objects.values():
        cls = catalogue.find(obj.text("type"))
        if cls is not None and cls.family == "Schedule":
            for key, value in (("period", "ONDEMAND_PERIOD"), ("startAt", "ONDEMAND_ACTIVATION_TIME")):
                if (obj.text(key) or "").upper() == value:
                    message = f"'{key}' is '{value}', but the pipeline is not on-demand."
                    owner = resolved.owner(obj.id, key)
                    yield Problem(owner, key, message, "Set scheduleType to ondemand on Default.", value)
        if cls is not None and cls.family in SCHEDULED and "schedule" not in obj.fields and obj.id not in served:
            yield Problem(
                obj.id,
                "schedule",
                f"{cls.type_name()} has no schedule.",
                "Refer to a Schedule here or on Default, or set scheduleType to ondemand on Default.",
            )


def _crowd_problems(resolved: Resolved, catalogue: Catalogue) -> Iterator[Problem]:
    """Periods so different that one instance would be linked with a multitude of others."""
    periods = _periods(resolved, catalogue)
    linked: dict[str, int] = {}
    links = [
        (identity, key, other)
        for identity in periods
        for key in LINKS
        for other in resolved.objects[identity].refs(key)
        if other in periods
    ]
    for identity, key, other in links:
        shorter, longer = sorted((identity, other), key=lambda one: periods[one].length())
        before = linked.get(longer, 0)
        linked[longer] = before + periods[longer].length() // periods[shorter].length()
        if before <= MOST_LINKED < linked[longer]:
            message = (
                f"One interval of '{longer}' ({periods[longer]}) is linked with {linked[longer]:,} of others, among"
                f" them '{shorter}' ({periods[shorter]});"
            )
            yield Problem(resolved.owner(identity, key), key, message, f"{MOST_LINKED:,} is the most.", other)


def _periods(resolved: Resolved, catalogue: Catalogue) -> dict[str, Period]:
    """The period of each object that has one; nothing on demand."""
    if resolved.may_be_on_demand:
        return {}
    families = {identity: family_of(resolved, catalogue, identity) for identity in resolved.objects}
    periods: dict[str, Period] = {}
    for identity, obj in resolved.objects.items():
        schedule = schedule_of(resolved, families, obj) if families[identity] in SCHEDULED else None
        with suppress(ValueError):
            period = Period.parse(schedule.text("period") or "") if schedule is not None else None
            if period is not None and period.amount:
                periods[identity] = period
    return periods


def _standstill_problems(resolved: Resolved, catalogue: Catalogue) -> Iterator[Problem]:
    """A resource kept for an activity that waits for what needs a later instance of the same resource."""
    periods = _periods(resolved, catalogue)
    graph = component_graph(resolved, catalogue)
    users: dict[str, list[str]] = {}
    for identity in periods:
        for resource in resolved.objects[identity].refs("runsOn")[:1]:
            users.setdefault(resource, []).append(identity)
    for resource, found in users.items():
        if resource not in periods:
            continue
        kept_for: dict[timedelta, tuple[str, str]] = {}  # for each of these periods an instance may be kept
        for activity in found:
            length = periods[activity].length()
            before = reachable(graph, activity) if length > periods[resource].length() else ()
            later = next((other for other in found if other in before and periods[other].length() < length), None)
            if later is not None:
                kept_for[length] = activity, later
        with suppress(ValueError):  # a problem of its slot
            most = int(resolved.objects[resource].text("maxActiveInstances") or DEFAULT_MOST_ACTIVE)
            if len(kept_for) >= most:
                activity, later = kept_for[max(kept_for)]
                message = (
                    f"'{activity}' ({periods[activity]}) keeps an instance of '{resource}' ({periods[resource]})"
                    f" while it waits for '{later}', which needs later instances; 'maxActiveInstances' is {most}."
                )
                remedy = f"Give it {len(kept_for) + 1} or more, or '{resource}' the schedule of '{activity}'."
                yield Problem(resolved.owner(resource, "maxActiveInstances"), "maxActiveInstances", message, remedy)


def _served_resources(resolved: Resolved, catalogue: Catalogue) -> Iterator[str]:
    """What activities that have a schedule run on."""
    for obj in resolved.objects.values():
        cls = catalogue.find(obj.text("type"))
        if cls is not None and cls.family == "Activity" and "schedule" in obj.fields:
            yield from obj.refs("runsOn")


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
                yield Problem(obj.id, slot.name, message, is_warning=True, is_advice=True)
    for obj in activities:
        if (obj.text("failureAndRerunMode") or "").lower() != "cascade":
            yield Problem(obj.id, "failureAndRerunMode", CASCADE_WARNING, is_warning=True, is_advice=True)
    if activities and not any("pipelineLogUri" in obj.fields for obj in activities):
        yield Problem(DEFAULT, "pipelineLogUri", LOG_WARNING, is_warning=True, is_advice=True)
