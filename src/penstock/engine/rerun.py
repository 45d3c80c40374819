"""What a user does with instances and components: run again, cancel, mark as finished, pause and resume."""

from __future__ import annotations

from penstock.engine import attempts, endings
from penstock.engine.dependencies import all_of, consumers, is_met, producer_of, unmeet
from penstock.engine.status import UNSUCCESSFUL, move
from penstock.engine.turn import Turn
from penstock.store.rows import Instance

BY_USER = "Canceled by a user."


def rerun(turn: Turn, instance: Instance, *, spread: bool = True) -> bool:
    """Run an ended instance again, under the active version; False where it has not ended.

    In cascade mode it spreads to consumers that are CASCADE_FAILED; a resource takes along what it failed to serve
    (the guide: rerunning cascade-failed objects).
    """
    pipeline = turn.pipeline(instance.pipeline_id)
    plan = turn.plans.find(turn.tx, pipeline.pipeline_id, _activation(turn, instance))
    component = plan.components.get(instance.component)
    if component is None:
        return False
    again = move(
        turn.tx,
        instance,
        "rerun",
        turn.now,
        activation=plan.activation.number,
        tries_left=component.maximum_retries,
        is_rerun=1,
        started_at=None,
        error_id=None,
        error_message=None,
        error_stack_trace=None,
        cancellation_reason=None,
        cascade_failed_on=None,
    )
    if again is None:
        return False
    move(turn.tx, pipeline, "rerun", turn.now)
    for dependency in all_of(turn, again):
        producer = producer_of(turn, dependency)
        if dependency.kind == "precondition" and producer is not None and producer.ended_at is not None:
            rerun(turn, producer, spread=False)
            producer = producer_of(turn, dependency)
        turn.tx.execute(
            "set_met",
            pipeline_id=again.pipeline_id,
            consumer=again.instance_id,
            kind=dependency.kind,
            producer=dependency.producer,
            producer_node=dependency.producer_node,
            producer_start=dependency.producer_start,
            met=int(producer is not None and is_met(dependency.kind, producer)),
        )
    for kind in ("data", "precondition", "served"):
        unmeet(turn, again, kind)
    turn.check(again.pipeline_id, again.instance_id)
    if spread:
        _spread(turn, again)
    return True


def _activation(turn: Turn, instance: Instance) -> int:
    """An on-demand instance keeps its activation, whose start it has; others take the latest one."""
    latest = turn.pipeline(instance.pipeline_id).activation
    plan = turn.plans.find(turn.tx, instance.pipeline_id, latest)
    return instance.activation if plan.is_on_demand else latest


def _spread(turn: Turn, producer: Instance) -> None:
    for consumer, kind in consumers(turn, producer):
        found = turn.instance(producer.pipeline_id, consumer)
        if found is None:
            continue
        component = turn.component(found)
        if (
            kind in ("data", "precondition") and found.status == "CASCADE_FAILED" and component and component.cascades
        ) or (kind == "resource" and found.status in UNSUCCESSFUL):
            rerun(turn, found)


def cancel(turn: Turn, instance: Instance) -> bool:
    """Cancel an instance that has not ended."""
    return endings.cancel(turn, instance, BY_USER)


def mark_finished(turn: Turn, instance: Instance) -> bool:
    """Have an instance count as finished, whatever it did; False where it has finished or was skipped."""
    moved = move(turn.tx, instance, "mark finished", turn.now)
    if moved is None:
        return False
    attempts.cancel_active(turn, moved)
    turn.ended.append(moved)
    return True


def set_paused(turn: Turn, pipeline_id: str, component: str, *, paused: bool) -> bool:
    """Hold a component still, or let it go on; False where there is no such component."""
    if not turn.tx.execute("set_paused", pipeline_id=pipeline_id, component=component, paused=int(paused)):
        return False
    if not paused:
        for row in turn.tx.all("active_instances_of_component", pipeline_id=pipeline_id, component=component):
            turn.check(pipeline_id, row["instance_id"])
        turn.advance(pipeline_id, component)
    return True
