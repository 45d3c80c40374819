"""Making instances, interval by interval, with a row for everything that each of them waits for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from penstock.clock import from_ms, ms_to_field, to_ms
from penstock.engine.dependencies import is_deleted, is_met_by
from penstock.engine.plan import Component, Plan
from penstock.engine.skipping import MOST_SKIPPED_AT_ONCE, is_skipped, leave_out, skip
from penstock.engine.status import NOTHING_WRONG
from penstock.engine.turn import Turn
from penstock.store.rows import ComponentState, Instance, read

MOST_SERVED_BEFORE = 1000  # instances that are due before the first interval of their resource
MOST_DEPENDENCIES_AT_ONCE = 5000  # in one transaction, of all components
MOST_AT_ONCE = 50  # instances of a component in one transaction


def advance_due(turn: Turn, pipeline_id: str) -> None:
    """Look at the components of a pipeline of which an interval has become due."""
    for row in turn.tx.all("due_components", pipeline_id=pipeline_id, now=turn.now):
        turn.advance(pipeline_id, row["component"])


@dataclass(frozen=True)
class ToCome:
    """Where a component's schedule stands, how many of its instances are active, and whether it has backfills.

    One that `is_new` was never activated before: it has no instances, and is in the store once its cursor is set.
    """

    state: ComponentState
    active: int = 0
    has_backfills: bool = False
    is_new: bool = False


def to_come(turn: Turn, pipeline_id: str, component_id: str) -> ToCome | None:
    """What may be set going of a component, None where it is unknown; notes whether its pipeline is active."""
    fresh = turn.fresh.pop((pipeline_id, component_id), None)
    if fresh is not None:
        return ToCome(ComponentState(pipeline_id, component_id, *fresh), is_new=True)
    row = turn.known.to_come.pop((pipeline_id, component_id), None)
    if row is None or turn.ends > turn.known.ends:
        row = turn.tx.one("what_is_to_come", pipeline_id=pipeline_id, component=component_id)
    if row is None:
        return None
    columns = dict(row)
    active, has_backfills = int(columns.pop("active")), bool(columns.pop("has_backfills"))
    if columns.pop("has_active_instances"):
        turn.active.add(pipeline_id)
    return ToCome(read(ComponentState, columns), active, has_backfills)


def advance(turn: Turn, upcoming: ToCome) -> None:
    """Make the instances of a component that are due, never more than may be active, and set when to look again."""
    state, active = upcoming.state, upcoming.active
    pipeline_id, component_id = state.pipeline_id, state.component
    pipeline = turn.pipeline(pipeline_id)
    if pipeline.state not in ("SCHEDULED", "FINISHED") or state.next_start is None:
        return
    if state.paused:
        set_cursor(turn, upcoming, state.next_index, from_ms(state.next_start), None)
        return
    index, is_enough = state.next_index, False
    latest: datetime | None = None
    while True:
        plan = turn.plans.find(turn.tx, pipeline_id, pipeline.activation)
        component = plan.components.get(component_id)
        interval = interval_at(turn, plan, component, index) if component else None
        if component is None or interval is None:
            set_cursor(turn, upcoming, index, None, None, latest)
            if component is not None:
                leave_out(turn, plan, component, index)
            return
        plan, start, end = interval
        due = to_ms(end if component.is_due_at_end else start)
        if due > turn.now and not plan.is_on_demand:
            set_cursor(turn, upcoming, index, start, due, latest)
            turn.due(due)
            return
        is_enough = is_enough or turn.dependencies > MOST_DEPENDENCIES_AT_ONCE
        if is_enough or turn.set_going[pipeline_id, component_id] >= MOST_AT_ONCE:
            set_cursor(turn, upcoming, index, start, turn.now, latest)
            turn.due(turn.now)
            return
        if is_skipped(plan, component, start, end):
            skipped = skip(turn, plan, component, index)
            is_enough = skipped - index == MOST_SKIPPED_AT_ONCE
            index = skipped
            continue
        if active >= component.max_active:
            set_cursor(turn, upcoming, index, start, None, latest)
            return
        component = plan.components[component_id]
        active += make_instance(turn, plan, component, "", start, end, is_first=upcoming.is_new)
        latest = start
        turn.set_going[pipeline_id, component_id] += 1
        index += 1


def interval_at(turn: Turn, plan: Plan, component: Component, index: int) -> tuple[Plan, datetime, datetime] | None:
    """The interval of an index with the plan that it belongs to; on demand, the index counts activations from 0."""
    if plan.is_on_demand:
        if index >= turn.pipeline(plan.pipeline_id).activation:
            return None
        its_plan = turn.plans.find(turn.tx, plan.pipeline_id, index + 1)
        moment = from_ms(its_plan.activation.scheduled_at)
        return its_plan, moment, moment
    interval = component.intervals.at(index)
    return (plan, *interval) if interval else None


def set_cursor(
    turn: Turn, of: ToCome, index: int, start: datetime | None, due: int | None, latest: datetime | None = None
) -> None:
    """Note the next interval of a component's schedule, when to look at it, and the `latest` one that was set going."""
    component = {"pipeline_id": of.state.pipeline_id, "component": of.state.component}
    stands = {"next_index": index, "next_start": None if start is None else to_ms(start), "next_due_at": due}
    if of.is_new:
        turn.tx.insert_soon("insert_component", **component, **stands, latest_run_at=latest and to_ms(latest))
    else:
        turn.tx.execute_later("set_cursor", **component, **stands)
        if latest is not None:
            turn.tx.execute_later("set_latest_run", **component, scheduled_start=to_ms(latest))
    if start is None:
        turn.perhaps_over.add(of.state.pipeline_id)


def make_instance(
    turn: Turn,
    plan: Plan,
    component: Component,
    node: str,
    start: datetime,
    end: datetime,
    *,
    is_first: bool = False,
) -> bool:
    """Make one instance and its preconditions' instances; False where there is one of the interval.

    Of one that `is_first` it is known that there is none.
    """
    instance_id = plan.instance_id(component.id, node, ms_to_field(to_ms(start)))
    timed = plan.components[node] if node else component  # a precondition is due when the object that has it is
    late_at = turn.after(component.late_after, to_ms(end if timed.is_due_at_end else start))
    made: dict[str, Any] = {
        "pipeline_id": plan.pipeline_id,
        "instance_id": instance_id,
        "component": component.id,
        "node": node,
        "family": component.family,
        "scheduled_start": to_ms(start),
        "scheduled_end": to_ms(end),
        "activation": plan.activation.number,
        "status": "WAITING_ON_DEPENDENCIES",
        "created_at": turn.now,
        "started_at": None,
        "ended_at": None,
        "late_at": late_at,
        "tries_left": component.maximum_retries,
        "attempt_count": 0,
    }
    if not is_first and not turn.tx.execute("insert_instance", **made):
        return False
    turn.due(late_at)
    before = turn.dependencies
    add_dependencies(turn, plan, component, node, start, end)
    if is_first and turn.dependencies == before and component.family != "Resource":
        turn.ready.append(Instance(**made, is_rerun=0, **NOTHING_WRONG))  # which is inserted as it goes on
    else:
        if is_first:
            turn.tx.insert_soon("insert_instance", **made)
        turn.check(plan.pipeline_id, instance_id)
    if is_first and not turn.dependencies:
        return True  # nothing can wait for it
    named = {
        "pipeline_id": plan.pipeline_id,
        "producer": component.id,
        "producer_node": node,
        "producer_start": to_ms(start),
    }
    waiting = turn.tx.all("waiting_consumers", **named)
    for kind in {row["kind"] for row in waiting if row["met"]}:  # it was deleted, and is there again
        turn.tx.execute("unmeet_producer", **named, kind=kind)
    for row in waiting:
        turn.check(plan.pipeline_id, row["consumer"])
    return True


def add_dependencies(turn: Turn, plan: Plan, component: Component, node: str, start: datetime, end: datetime) -> None:
    """Write down everything that an instance waits for, and make its preconditions' instances."""
    instance_id = plan.instance_id(component.id, node, ms_to_field(to_ms(start)))
    if component.family == "Resource":
        _add_served(turn, plan, component, instance_id, start, end)
    else:
        for producer in plan.components[node].producers if component.is_asked_last else component.producers:
            for producer_start in plan.components[producer].intervals.serving(start, end):
                _add_dependency(turn, plan, instance_id, "data", producer, "", producer_start)
        for precondition in component.preconditions:
            _add_dependency(turn, plan, instance_id, "precondition", precondition, component.id, start)
            make_instance(turn, plan, plan.components[precondition], component.id, start, end)
        where = place_of(plan, component, node)
        resource_start = plan.resource_start(where, start) if component.family in ("Activity", "Precondition") else None
        if resource_start is not None and where.resource is not None:
            _add_dependency(turn, plan, instance_id, "resource", where.resource, "", resource_start)
            if is_deleted(turn, plan.pipeline_id, where.resource, to_ms(resource_start)):
                _make_resource_again(turn, plan, plan.components[where.resource], resource_start)
            serving = plan.instance_id(where.resource, "", ms_to_field(to_ms(resource_start)))
            _add_dependency(turn, plan, serving, "served", component.id, node, start)


def _make_resource_again(turn: Turn, plan: Plan, resource: Component, start: datetime) -> None:
    """Something runs in an old interval whose resource retention has deleted."""
    interval = resource.intervals.at(resource.intervals.index_at(start))
    if interval is not None:
        make_instance(turn, plan, resource, "", *interval)


def place_of(plan: Plan, component: Component, node: str) -> Component:
    """The component that says where an instance runs: its own, or that of the activity a precondition works for."""
    if component.family != "Precondition":
        return component
    if component.is_system_managed:
        return component
    owner = plan.components[node]
    if owner.resource or owner.worker_group:
        return owner
    objects = plan.resolved.objects
    for slot in ("input", "output"):
        for other in plan.components.values():
            if other.family == "Activity" and node in objects[other.id].refs(slot):
                return other
    return owner


def _add_served(turn: Turn, plan: Plan, resource: Component, instance_id: str, start: datetime, end: datetime) -> None:
    """A resource stays until every activity instance that it serves has ended, also those that are not made yet."""
    for name in resource.serves:
        served = plan.components[name]
        if served.intervals.period is None:
            _add_dependency(turn, plan, instance_id, "served", name, "", served.intervals.start)
            continue
        is_first = resource.intervals.at(0) == (start, end)
        index = served.intervals.first_from(start)
        if is_first:  # also those before it, but no multitude: each makes its own row when it is made
            index = max(0, index - MOST_SERVED_BEFORE)
        while (interval := served.intervals.at(index)) is not None and interval[0] < end:
            if resource.intervals.holding(interval[0]) == start:
                _add_dependency(turn, plan, instance_id, "served", name, "", interval[0])
            index += 1


def _add_dependency(
    turn: Turn, plan: Plan, consumer: str, kind: str, producer: str, node: str, start: datetime
) -> None:
    """A row by component and scheduled start, which holds before the producer exists; met where it has ended well."""
    turn.dependencies += 1
    existing = turn.instance_at(plan.pipeline_id, producer, node, to_ms(start))
    turn.tx.execute_later(
        "insert_dependency",
        pipeline_id=plan.pipeline_id,
        consumer=consumer,
        kind=kind,
        producer=producer,
        producer_node=node,
        producer_start=to_ms(start),
        met=int(is_met_by(turn, plan.pipeline_id, kind, existing, producer, to_ms(start))),
    )
