"""Instances that have not ended by their lateAfterTimeout: the late actions fire once, and nothing is ended."""

from __future__ import annotations

from penstock.engine import actions
from penstock.engine.turn import Turn
from penstock.store.rows import Instance, read_all

MOST_AT_ONCE = 100


def fire_late(turn: Turn, owner: str) -> int:
    """Fire the late actions that are due; gives how many instances were late."""
    late = read_all(Instance, turn.tx.all("late_instances", now=turn.now, owner=owner, limit=MOST_AT_ONCE))
    for instance in late:
        turn.tx.execute("set_late", pipeline_id=instance.pipeline_id, instance_id=instance.instance_id)
        component = turn.component(instance)
        if component is not None:
            actions.fire(turn, instance, component.on_late)
    return len(late)
