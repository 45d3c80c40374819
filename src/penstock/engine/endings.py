"""What follows when an instance has ended: its consumers, its resource, its alarms, its component and its pipeline."""

from __future__ import annotations

from typing import Any

from penstock.engine import actions, attempts
from penstock.engine.dependencies import all_of, consumers, meet, producer_of, unmeet
from penstock.engine.status import ENDED, UNSUCCESSFUL, move
from penstock.engine.turn import Turn
from penstock.store.rows import Instance

RESOURCE_FAILED = "The resource failed."


def ended(turn: Turn, instance: Instance) -> None:
    """Carry the end of an instance to its neighbours; work is in proportion to their number only."""
    assert instance.status in ENDED
    turn.active.discard(instance.pipeline_id)
    turn.ends += 1
    component = turn.component(instance)
    if instance.family == "Resource":
        unmeet(turn, instance, "resource")
    if instance.status == "FINISHED" and instance.family != "Resource":
        meet(turn, instance, "data", "precondition", "served")
    else:
        for consumer, _ in consumers(turn, instance):
            turn.check(instance.pipeline_id, consumer)
        meet(turn, instance, "served")
    if instance.status in UNSUCCESSFUL:
        _cancel_preconditions(turn, instance)
        if instance.family == "Resource":
            _cancel_tasks(turn, instance)
    if instance.family == "Resource":
        attempts.dismiss_runner(turn, instance)
    if instance.was_deactivated:
        turn.perhaps_over.add(instance.pipeline_id)
        return
    _set_health(turn, instance)
    if component is not None:
        names = component.on_success if instance.status == "FINISHED" else component.on_fail
        actions.fire(turn, instance, names)
    if not instance.node:
        turn.advance(instance.pipeline_id, instance.component)
    turn.perhaps_over.add(instance.pipeline_id)


def _cancel_preconditions(turn: Turn, instance: Instance) -> None:
    """The preconditions of what has failed are CANCELED (the guide: cascading failures)."""
    for dependency in all_of(turn, instance):
        found = producer_of(turn, dependency) if dependency.kind == "precondition" else None
        if found is not None:
            cancel(turn, found, f"{instance.instance_id} is {instance.status}.")


def finish_preconditions(turn: Turn, instance: Instance) -> None:
    """What was marked as finished needs its preconditions no more."""
    for dependency in all_of(turn, instance):
        found = producer_of(turn, dependency) if dependency.kind == "precondition" else None
        moved = move(turn.tx, found, "mark finished", turn.now) if found and found.ended_at is None else None
        if moved is not None:
            attempts.cancel_active(turn, moved)
            turn.ended.append(moved)


def cancel(turn: Turn, instance: Instance, reason: str, *, was_deactivated: bool = False) -> bool:
    """Cancel an instance that has not ended, with its attempt; False where it has ended.

    What `was_deactivated` runs again with the next activation, and its end says nothing of its health.
    """
    changes: dict[str, Any] = {"cancellation_reason": reason, "was_deactivated": int(was_deactivated)}
    moved = move(turn.tx, instance, "cancel", turn.now, detail=reason, **changes)
    if moved is None:
        return False
    attempts.cancel_active(turn, moved)
    turn.ended.append(moved)
    return True


def _cancel_tasks(turn: Turn, resource: Instance) -> None:
    """A failed resource cancels the activities that need it (the guide: cascading failures, activities)."""
    for consumer, kind in consumers(turn, resource):
        found = turn.instance(resource.pipeline_id, consumer) if kind == "resource" else None
        if found is not None:
            cancel(turn, found, RESOURCE_FAILED)


def _set_health(turn: Turn, instance: Instance) -> None:
    """HEALTHY after FINISHED, ERROR after FAILED, TIMEDOUT or CANCELED (the guide: interpreting health status).

    An object is in ERROR, too, when one of its preconditions has failed.
    """
    if instance.status not in ("FINISHED", "FAILED", "TIMEDOUT", "CANCELED"):
        return
    for component in {instance.component, *([instance.node] if instance.status == "FAILED" and instance.node else ())}:
        turn.tx.execute_later(
            "set_health",
            pipeline_id=instance.pipeline_id,
            component=component,
            health="HEALTHY" if instance.status == "FINISHED" else "ERROR",
            instance_id=instance.instance_id,
            at=turn.now,
            completed=instance.scheduled_start if component == instance.component else None,
        )


def perhaps_over(turn: Turn, pipeline_id: str) -> None:
    """A pipeline with no active instance and no interval to come is FINISHED; one that was to stop is INACTIVE."""
    if pipeline_id in turn.active:
        return
    pipeline = turn.pipeline(pipeline_id)
    active = turn.tx.one("has_active_instances", pipeline_id=pipeline_id)
    if active is not None and active["n"]:
        return
    if pipeline.state == "DEACTIVATING":
        turn.move_pipeline(pipeline, "settle")
        return
    unfinished = turn.tx.one("unfinished_components", pipeline_id=pipeline_id)
    if pipeline.state == "SCHEDULED" and unfinished is not None and not unfinished["n"]:
        turn.move_pipeline(pipeline, "finish")
