"""What a definition says, worked out once more and more simply than the engine does: who waits for whom, and when.

Times are milliseconds since 1970. Periods have fixed lengths here; the calendar has tests of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from story import milliseconds

LENGTHS = {"minute": 60_000, "hour": 3_600_000, "day": 86_400_000, "week": 604_800_000}
FAMILIES = {
    "ShellCommandActivity": "Activity",
    "S3DataNode": "DataNode",
    "Ec2Resource": "Resource",
    "ShellCommandPrecondition": "Precondition",
    "S3KeyExists": "Precondition",
}
Key = tuple[str, str, int]  # of an instance: its component, the object that a precondition works for or '', its start


def length_of(period: str) -> int:
    number, unit = period.split()
    return int(number) * LENGTHS[unit.rstrip("s")]


@dataclass(frozen=True)
class Part:
    """One component: its intervals (`period` 0: one, on demand), its limits and what it refers to."""

    id: str
    family: str
    start: int
    period: int
    count: int
    at_end: bool
    max_active: int
    retries: int
    cascades: bool
    producers: tuple[str, ...]
    preconditions: tuple[str, ...]
    resource: str | None
    fields: dict[str, Any]

    def at(self, index: int) -> tuple[int, int]:
        return self.start + index * self.period, self.start + (index + 1) * self.period

    def starts(self) -> list[int]:
        return [self.at(index)[0] for index in range(self.count)]

    def due(self, index: int) -> int:
        return self.at(index)[1 if self.at_end else 0]

    def serving(self, start: int, end: int) -> list[int]:
        """The starts of this producer that an instance with the interval [start, end) waits for."""
        inside = [own for own in self.starts() if start <= own < max(end, start + 1)]
        if inside or not self.period:
            return inside
        return [own for own in self.starts() if own <= start < own + self.period]

    def nearest(self, moment: int) -> int:
        """The start of the interval that holds the moment; else of the first or the last one."""
        if not self.period:
            return self.start
        return self.at(min(max((moment - self.start) // self.period, 0), self.count - 1))[0]


class Model:
    """The components of one activation of a definition."""

    def __init__(self, definition: dict[str, Any], scheduled_at: int, first_at: int) -> None:
        objects = {obj["id"]: obj for obj in definition["objects"]}
        default = objects["Default"]
        self.on_demand = default["scheduleType"] == "ondemand"
        self.users: dict[str, list[str]] = {}
        self.parts: dict[str, Part] = {}
        for name, obj in objects.items():
            family = FAMILIES.get(obj.get("type", ""))
            if family is None:
                continue
            given = {**default, **obj}
            preconditions = _refs(obj, "precondition")
            for precondition in preconditions:
                self.users.setdefault(precondition, []).append(name)
            start, period, count = scheduled_at, 0, 1
            if not self.on_demand and family != "Precondition":
                plan = objects[given["schedule"]["ref"]]
                start = milliseconds(plan["startDateTime"]) if "startDateTime" in plan else first_at // 1000 * 1000
                period, count = length_of(plan["period"]), int(plan["occurrences"])
            producers = [*_refs(obj, "input"), *_refs(obj, "dependsOn")] if family == "Activity" else []
            if family == "DataNode":
                producers = [other for other, its in objects.items() if name in _refs(its, "output")]
            self.parts[name] = Part(
                id=name,
                family=family,
                start=start,
                period=period,
                count=count,
                at_end=given["scheduleType"] == "timeseries" and family != "Resource",
                max_active=int(given.get("maxActiveInstances", 1 if self.on_demand else 5)),
                retries=int(given.get("maximumRetries", 3 if family == "Resource" else 2)),
                cascades=given["failureAndRerunMode"] == "cascade",
                producers=tuple(dict.fromkeys(producers)),
                preconditions=preconditions,
                resource=next(iter(_refs(obj, "runsOn")), None),
                fields=given,
            )

    def resource_of(self, part: Part, node: str) -> str | None:
        """Where an instance runs, if on a resource; a precondition runs where the activity of its object does."""
        if part.family == "Activity":
            return part.resource
        if part.family != "Precondition" or part.fields["type"] == "S3KeyExists":
            return None
        owner = self.parts[node]
        if owner.family == "Activity":
            return owner.resource
        for slot in ("input", "output"):
            for other in self.parts.values():
                if other.family == "Activity" and node in _refs(other.fields, slot):
                    return other.resource
        return None

    def waits(self, name: str, node: str, start: int, end: int) -> Iterator[tuple[str, Key]]:
        """All that an instance waits for, by kind."""
        part = self.parts[name]
        for producer in part.producers:
            for its_start in self.parts[producer].serving(start, end):
                yield "data", (producer, "", its_start)
        for precondition in part.preconditions:
            yield "precondition", (precondition, name, start)
        resource = self.resource_of(part, node)
        if resource is not None:
            yield "resource", (resource, "", self.parts[resource].nearest(start))


def _refs(obj: dict[str, Any], key: str) -> tuple[str, ...]:
    value = obj.get(key, [])
    return tuple(entry["ref"] for entry in (value if isinstance(value, list) else [value]))
