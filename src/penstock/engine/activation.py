"""Activating and deactivating a pipeline."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime

from penstock.clock import from_ms, to_ms
from penstock.definition.model import Values
from penstock.definition.timetable import Timing
from penstock.engine import endings, rerun
from penstock.engine.materialise import ToCome, set_cursor
from penstock.engine.plan import Component, Plan
from penstock.engine.skipping import leave_out
from penstock.engine.turn import Turn
from penstock.store.rows import Activation, ComponentState, Instance, Pipeline, read, read_all
from penstock.wire.reasons import DEACTIVATED


def activate(
    turn: Turn, pipeline: Pipeline, version: int, values: Values, start_at: int | None, by: str
) -> Activation | None:
    """Make an activation and let its components run; None where the pipeline's state does not allow it."""
    if turn.move_pipeline(pipeline, "activate", by) is None:
        return None
    number = pipeline.activation + 1
    scheduled_at, skip_until = turn.now // 1000 * 1000, start_at
    row = turn.tx.one("activation_by_number", pipeline_id=pipeline.pipeline_id, number=pipeline.activation)
    if row is not None:
        scheduled_at = max(scheduled_at, row["scheduled_at"] + 1000)
        skip_until = row["start_at"] if start_at is None else start_at  # what was to be SKIPPED still is
    activation = Activation(
        pipeline.pipeline_id, number, version, _json(values), scheduled_at, skip_until, turn.now, by
    )
    turn.tx.execute(
        "insert_activation",
        pipeline_id=activation.pipeline_id,
        number=number,
        version=version,
        parameter_values=activation.parameter_values,
        scheduled_at=scheduled_at,
        start_at=skip_until,
        activated_at=turn.now,
        activated_by=by,
    )
    turn.tx.execute("set_activation", pipeline_id=pipeline.pipeline_id, number=number, at=turn.now)
    turn.pipelines.pop(pipeline.pipeline_id, None)
    plan = turn.plans.find(turn.tx, pipeline.pipeline_id, number)
    states = {
        state.component: state
        for state in read_all(ComponentState, turn.tx.all("components_of", pipeline_id=plan.pipeline_id))
    }
    for state in states.values():  # components that the definition no longer has are made no more
        if state.component not in plan.components and state.next_start is not None:
            turn.advance(plan.pipeline_id, state.component)
    for component in plan.components.values():
        _set_out(turn, plan, component, states.get(component.id))
    if pipeline.state == "INACTIVE":
        _resume(turn, pipeline.pipeline_id, start_at)
    turn.perhaps_over.add(pipeline.pipeline_id)
    return activation


def _resume(turn: Turn, pipeline_id: str, start_at: int | None) -> None:
    """Run what the last deactivation cancelled, unless it lies before the start, and look at what stood still."""
    for row in turn.tx.all("deactivated_instances", pipeline_id=pipeline_id):
        if start_at is None or row["scheduled_start"] >= start_at:
            rerun.rerun(turn, read(Instance, row), spread=False, counts=not row["is_rerun"])
    for row in turn.tx.all("active_instances_of_pipeline", pipeline_id=pipeline_id):
        turn.check(pipeline_id, row["instance_id"])


def _json(values: Values) -> str:
    return json.dumps({key: list(entries) for key, entries in values.items()})


def _set_out(turn: Turn, plan: Plan, component: Component, state: ComponentState | None) -> None:
    """Put a component's cursor where it goes on: on demand at this activation, else after its last interval."""
    if component.family == "Precondition":
        if state is None:
            _insert(turn, plan, component, 0, None)
        return
    index = state.next_index if state is not None else 0
    start: datetime | None
    if plan.is_on_demand:
        index = plan.activation.number - 1 if state is None else index
        start = from_ms(plan.activation.scheduled_at)
    else:
        interval = component.intervals.at(index)
        start = interval[0] if interval else None
    if state is None:
        _insert(turn, plan, component, index, start)
    else:
        set_cursor(turn, ToCome(state), index, start, None)
    if start is None:
        leave_out(turn, plan, component, index)
    turn.advance(plan.pipeline_id, component.id)


def _insert(turn: Turn, plan: Plan, component: Component, index: int, start: datetime | None) -> None:
    if start is not None:
        turn.fresh[plan.pipeline_id, component.id] = (index, to_ms(start))
    else:
        state = ComponentState(plan.pipeline_id, component.id, index, None)
        set_cursor(turn, ToCome(state, is_new=True), index, None, None)


def deactivate(turn: Turn, pipeline: Pipeline, *, cancel_active: bool) -> bool:
    """Make no more instances and cancel those that wait, and the running ones too unless they may finish."""
    if turn.move_pipeline(pipeline, "deactivate") is None:
        return False
    turn.tx.execute("stop_cursors", pipeline_id=pipeline.pipeline_id, at=turn.now)
    rows = turn.tx.all("active_instances_of_pipeline", pipeline_id=pipeline.pipeline_id)
    for instance in read_all(Instance, rows):
        if instance.family == "Resource":
            turn.check(instance.pipeline_id, instance.instance_id)  # it ends when what runs on it has
        elif cancel_active or instance.status != "RUNNING":
            endings.cancel(turn, instance, DEACTIVATED, was_deactivated=True)
    turn.perhaps_over.add(pipeline.pipeline_id)
    return True


def due_intervals(plan: Plan, now: int) -> Mapping[str, int]:
    """How many intervals of each scheduled component are due now."""
    return {
        component.id: due_index(component, now)
        for component in plan.components.values()
        if component.family != "Precondition" and component.intervals.period is not None
    }


def due_index(component: Component, now: int) -> int:
    """The index of the first interval of a component that is not due yet."""
    return Timing(component.intervals, component.is_due_at_end).due_count(from_ms(now))
