"""Intervals before an activation's start timestamp are left SKIPPED (the guide: status codes)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from penstock.clock import ms_to_field, to_ms
from penstock.engine.plan import Component, Plan
from penstock.engine.turn import Turn

MOST_SKIPPED_AT_ONCE = 1000  # in one transaction
FOR_EVER = 2**62  # milliseconds


def is_skipped(plan: Plan, component: Component, start: datetime, end: datetime) -> bool:
    """Whether the interval lies before the start timestamp.

    A resource's interval that goes on past the start does not: what runs in it needs the resource.
    """
    start_at = plan.activation.start_at
    if start_at is None or plan.is_on_demand:
        return False
    return to_ms(end) <= start_at if component.family == "Resource" else to_ms(start) < start_at


def skip(turn: Turn, plan: Plan, component: Component, index: int) -> int:
    """Make SKIPPED instances from this index on, as many as are due and go at once; gives the next index.

    They count as done for those that wait for them already.
    """
    rows: list[dict[str, Any]] = []
    while len(rows) < MOST_SKIPPED_AT_ONCE and (interval := component.intervals.at(index)) is not None:
        start, end = interval
        if to_ms(end if component.is_due_at_end else start) > turn.now or not is_skipped(plan, component, start, end):
            break
        rows.append(_row(turn, plan, component, to_ms(start), to_ms(end)))
        index += 1
    turn.tx.execute_many("insert_instance", rows)
    _count_as_done(turn, plan, component, rows[0]["scheduled_start"], rows[-1]["scheduled_start"])
    return index


def leave_out(turn: Turn, plan: Plan, component: Component, index: int) -> None:
    """There are no intervals from this index on: what waits for some, as an earlier version had them, waits no more."""
    upcoming = replace(component.intervals, end=None, count=None).at(index)
    if upcoming is not None and component.intervals.period is not None:
        _count_as_done(turn, plan, component, to_ms(upcoming[0]), FOR_EVER)


def _count_as_done(turn: Turn, plan: Plan, component: Component, first: int, last: int) -> None:
    stretch = {"pipeline_id": plan.pipeline_id, "producer": component.id, "first": first, "last": last}
    consumers = turn.tx.all("consumers_of_stretch", **stretch)
    if consumers:
        turn.tx.execute("meet_stretch", **stretch)
    for row in consumers:
        turn.check(plan.pipeline_id, row["consumer"])


def _row(turn: Turn, plan: Plan, component: Component, start: int, end: int) -> dict[str, Any]:
    return {
        "pipeline_id": plan.pipeline_id,
        "instance_id": plan.instance_id(component.id, "", ms_to_field(start)),
        "component": component.id,
        "node": "",
        "family": component.family,
        "scheduled_start": start,
        "scheduled_end": end,
        "activation": plan.activation.number,
        "status": "SKIPPED",
        "created_at": turn.now,
        "started_at": None,
        "ended_at": turn.now,
        "late_at": None,
        "tries_left": component.maximum_retries,
        "attempt_count": 0,
    }
