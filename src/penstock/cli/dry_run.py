"""`penstock run --dry-run`: what would run, interval by interval, with every expression evaluated that can be."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from graphlib import TopologicalSorter
from heapq import merge
from typing import Any

import click

from penstock.cli.output import counted, moment, print_json
from penstock.clock import SystemClock
from penstock.definition.dependencies import component_graph
from penstock.definition.model import FieldValue, Ref, is_secret, is_user_field
from penstock.definition.resolve import Resolved
from penstock.definition.scope import Entry
from penstock.definition.slots import Catalogue
from penstock.definition.timetable import Timetable, Timing, make_timetable
from penstock.expressions import ExpressionError, NotYet

MASK = "*****"
NOT_SHOWN = ("type", "parent", "schedule", "scheduleType", "role", "resourceRole")
Run = dict[str, Any]


def dry_run(resolved: Resolved, catalogue: Catalogue, *, as_json: bool) -> None:
    """Print the instances that are due by now, by interval and then by what waits for what; nothing is executed."""
    now = SystemClock().now().replace(microsecond=0)
    timetable = make_timetable(resolved, catalogue, now, now)
    runs = planned(timetable, catalogue, now)
    count = 0
    if as_json:
        found = list(runs)
        print_json({"instances": found})
        count = len(found)
    else:
        start = ""
        for run in runs:
            count += 1
            if run["@scheduledStartTime"] != start:
                start = run["@scheduledStartTime"]
                click.echo(f"{start}")
            _print(run)
    click.echo(f"\n{counted(count, 'instance')} would run now; nothing was executed.", err=True)
    following = [(t, t.intervals.at(t.due_count(now))) for t in timetable.timings.values()]
    due = [timing.due(interval) for timing, interval in following if interval is not None]
    if due:
        click.echo(f"More is due at {moment(min(due))} UTC.", err=True)


def _print(run: Run) -> None:
    click.echo(f"  {run['@componentParent']} ({run['type']}) until {run['@scheduledEndTime']}, due {run['due']}")
    for key, values in run["fields"].items():
        for value in values:
            lines = value.splitlines() or [""]
            click.echo(f"      {key}: {lines[0]}")
            for line in lines[1:]:
                click.echo(f"          {line}")


def planned(timetable: Timetable, catalogue: Catalogue, now: datetime) -> Iterator[Run]:
    """The instances that are due, by the start of their interval and then by what waits for what."""
    resolved = timetable.resolved
    ranks = {name: n for n, name in enumerate(TopologicalSorter(component_graph(resolved, catalogue)).static_order())}

    def instances(component: str, timing: Timing) -> Iterator[tuple[datetime, int, str, datetime]]:
        for start, end in timing.until(now):
            yield start, ranks.get(component, -1), component, end

    for start, _, component, end in merge(*(instances(*entry) for entry in timetable.timings.items())):
        due = moment(timetable.timings[component].due((start, end)))
        uses = [p for p in resolved.objects[component].refs("precondition") if p in resolved.objects]
        for name, node in [*((precondition, component) for precondition in uses), (component, "")]:
            yield {
                "id": timetable.instance_id(name, node, moment(start)),
                "@componentParent": name,
                "type": resolved.objects[name].text("type"),
                "@scheduledStartTime": moment(start),
                "@scheduledEndTime": moment(end),
                "due": due,
                "fields": _fields(timetable, name, node, (start, end)),
            }


def _fields(
    timetable: Timetable, component: str, node: str, interval: tuple[datetime, datetime]
) -> dict[str, list[str]]:
    """The object's own fields as they would be for the interval; what only a run knows stays as written.

    `node` is the object that has a precondition.
    """
    times = {"@scheduledStartTime": interval[0], "@scheduledEndTime": interval[1]}
    refs, entries = timetable.links(node or component, *interval)
    own, user = f"@{component}", f"@{node}"
    if node:
        entries[user] = Entry(node, times, refs)
        refs = {}
    entries[own] = Entry(component, times, refs, user if node else None)
    scope = timetable.resolved.scope(entries=entries)
    inherited = timetable.resolved.inherited[component].fields
    shown: dict[str, list[str]] = {}
    for key in timetable.resolved.definition.objects[component].fields:
        if key in NOT_SHOWN or is_user_field(key):
            continue
        values: tuple[FieldValue, ...] = inherited[key]
        if is_secret(key):
            shown[key] = [MASK]
            continue
        if key in refs:
            values = tuple(Ref(identity) for identity in refs[key])
        else:
            try:
                values = scope.evaluate_field(own, key, values)
            except (ExpressionError, NotYet):
                values = inherited[key]
        shown[key] = [value.id if isinstance(value, Ref) else value for value in values]
    return {key: values for key, values in shown.items() if values}
