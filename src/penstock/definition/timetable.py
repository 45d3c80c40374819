"""When the components of an activation run, and how their instances are called and linked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from penstock.clock import to_field
from penstock.definition.dependencies import family_of
from penstock.definition.model import PipelineObject
from penstock.definition.period import Intervals, Period, parse_date_time
from penstock.definition.resolve import Resolved
from penstock.definition.scope import Entry
from penstock.definition.slots import Catalogue

SCHEDULED = ("Activity", "DataNode", "Resource")
LINKS = ("input", "output", "dependsOn", "runsOn")
CRON = "cron"


@dataclass(frozen=True, slots=True)
class Timing:
    """A component's intervals, and whether an instance is due at the end of its interval or at the start."""

    intervals: Intervals
    is_due_at_end: bool

    def due(self, interval: tuple[datetime, datetime]) -> datetime:
        """When the instance of an interval is due."""
        return interval[1] if self.is_due_at_end else interval[0]

    def due_count(self, moment: datetime) -> int:
        """How many intervals are due by a moment: the index of the first that is not."""
        intervals = self.intervals
        if intervals.start > moment:
            return 0
        if intervals.period is None:
            return 1
        holding = intervals.index_at(moment)
        count = holding if self.is_due_at_end else holding + 1
        if intervals.count is not None:
            count = min(count, intervals.count)
        if intervals.end is not None:
            count = min(count, intervals.first_from(intervals.end))
        return max(count, 0)

    def until(self, moment: datetime) -> Iterator[tuple[datetime, datetime]]:
        """The intervals that are due by a moment, oldest first."""
        for index in range(self.due_count(moment)):
            interval = self.intervals.at(index)
            assert interval is not None
            yield interval


@dataclass(frozen=True)
class Timetable:
    """The timings of activities, data nodes and resources by id; `users` are the objects that have a precondition."""

    resolved: Resolved
    timings: Mapping[str, Timing]
    users: Mapping[str, tuple[str, ...]]

    def instance_id(self, component: str, node: str, start: str) -> str:
        """`@Component_start` (recorded); a precondition of several objects has the object's id in between."""
        if node and len(self.users.get(component, ())) > 1:
            return f"@{component}_{node}_{start}"
        return f"@{component}_{start}"

    def links(
        self, component: str, start: datetime, end: datetime
    ) -> tuple[dict[str, tuple[str, ...]], dict[str, Entry]]:
        """What an instance refers to: by field the ids of instances, and what is known of each of them."""
        refs: dict[str, tuple[str, ...]] = {}
        entries: dict[str, Entry] = {}
        obj = self.resolved.objects.get(component)
        for field in LINKS:
            found: list[str] = []
            for target in obj.refs(field) if obj is not None else ():
                timing = self.timings.get(target)
                if timing is None:
                    found.append(target)
                    continue
                intervals = timing.intervals
                starts = [intervals.holding(start)] if field == "runsOn" else intervals.serving(start, end)
                for its_start in starts:
                    key = self.instance_id(target, "", to_field(its_start))
                    interval = intervals.at(intervals.index_at(its_start)) or (its_start, its_start)
                    entries[key] = Entry(target, {"@scheduledStartTime": interval[0], "@scheduledEndTime": interval[1]})
                    found.append(key)
            if found:
                refs[field] = tuple(dict.fromkeys(found))
        return refs, entries


def make_timetable(
    resolved: Resolved, catalogue: Catalogue, activated_at: datetime, first_activated_at: datetime
) -> Timetable:
    """Work out the timings of an activation; on demand, everything runs once, at `activated_at`.

    A resource without a schedule takes that of the first activity that runs on it (the guide: Schedule, examples).
    """
    families = {identity: family_of(resolved, catalogue, identity) for identity in resolved.objects}
    on_demand = resolved.is_on_demand
    timings: dict[str, Timing] = {}
    users: dict[str, list[str]] = {}
    for identity, obj in resolved.objects.items():
        if families[identity] not in SCHEDULED:
            continue
        for precondition in obj.refs("precondition"):
            users.setdefault(precondition, []).append(identity)
        schedule = None if on_demand else schedule_of(resolved, families, obj)
        intervals = Intervals(activated_at, None) if schedule is None else _intervals(schedule, first_activated_at)
        is_cron = (obj.text("scheduleType") or "").lower() == CRON or families[identity] == "Resource"
        timings[identity] = Timing(intervals, not is_cron and intervals.period is not None)
    return Timetable(resolved, timings, {precondition: tuple(found) for precondition, found in users.items()})


def schedule_of(resolved: Resolved, families: Mapping[str, str], obj: PipelineObject) -> PipelineObject | None:
    """The schedule of an object: its own, or that of the first activity that runs on it."""
    refs = obj.refs("schedule")
    if not refs and families[obj.id] == "Resource":
        for other in resolved.objects.values():
            if families[other.id] == "Activity" and obj.id in other.refs("runsOn") and other.refs("schedule"):
                refs = other.refs("schedule")
                break
    return resolved.objects.get(refs[0]) if refs else None


def _intervals(schedule: PipelineObject, first_activated_at: datetime) -> Intervals:
    start, end, occurrences = (schedule.text(key) for key in ("startDateTime", "endDateTime", "occurrences"))
    period = Period.parse(schedule.text("period") or "")
    if period.amount == 0:
        raise ValueError("a schedule's period is longer than nothing")
    return Intervals(
        parse_date_time(start) if start is not None else first_activated_at.replace(microsecond=0),
        period,
        parse_date_time(end) if end else None,
        int(occurrences) if occurrences else None,
    )
