"""Instances that have not ended by their lateAfterTimeout: the late actions fire once; only a Terminate ends them."""

from __future__ import annotations

from penstock.engine import actions, endings
from penstock.engine.turn import Turn
from penstock.store.rows import Instance, read_all

MOST_AT_ONCE = 100
LATE = "It had not ended by its lateAfterTimeout, and its onLateAction is a Terminate."


def fire_late(turn: Turn, pipeline_id: str) -> None:
    """Fire the late actions of a pipeline that are due."""
    late = turn.tx.all("late_instances", pipeline_id=pipeline_id, now=turn.now, limit=MOST_AT_ONCE)
    for instance in read_all(Instance, late):
        turn.tx.execute("set_late", pipeline_id=instance.pipeline_id, instance_id=instance.instance_id)
        component = turn.component(instance)
        if component is not None:
            actions.fire(turn, instance, component.on_late)
            if actions.ends_instance(turn, instance, component.on_late):
                endings.cancel(turn, instance, LATE)
