"""The dependency rows: who waits for whom, and when a wait is over."""

from __future__ import annotations

from typing import Any

from penstock.engine.turn import Turn
from penstock.store.rows import Dependency, Instance, read_all


def is_met(kind: str, producer: Instance) -> bool:
    """Whether a producer in this status satisfies a dependency of this kind."""
    if kind == "served":
        return producer.ended_at is not None
    if kind == "resource":
        return producer.status == "RUNNING"
    return producer.status in ("FINISHED", "SKIPPED")


def is_met_by(turn: Turn, pipeline_id: str, kind: str, producer: Instance | None, component: str, start: int) -> bool:
    """The same for a producer by component and start; one that retention has deleted counts as done."""
    if producer is not None:
        return is_met(kind, producer)
    return kind != "resource" and is_deleted(turn, pipeline_id, component, start)


def is_deleted(turn: Turn, pipeline_id: str, component: str, start: int) -> bool:
    """Whether a component's instance of this start, which is not there, was deleted by retention."""
    row = turn.tx.one("component_by_id", pipeline_id=pipeline_id, component=component)
    return row is not None and row["deleted_before"] is not None and start < row["deleted_before"]


def unmet(turn: Turn, instance: Instance) -> list[Dependency]:
    """What an instance still waits for."""
    rows = turn.tx.all("unmet_dependencies", pipeline_id=instance.pipeline_id, consumer=instance.instance_id)
    return read_all(Dependency, rows)


def all_of(turn: Turn, instance: Instance) -> list[Dependency]:
    """Everything that an instance waits or waited for."""
    rows = turn.tx.all("dependencies_of", pipeline_id=instance.pipeline_id, consumer=instance.instance_id)
    return read_all(Dependency, rows)


def producer_of(turn: Turn, dependency: Dependency) -> Instance | None:
    """The instance that a row names, if it is there yet."""
    return turn.instance_at(
        dependency.pipeline_id, dependency.producer, dependency.producer_node, dependency.producer_start
    )


def consumers_at(turn: Turn, pipeline_id: str, component: str, node: str, start: int) -> list[tuple[str, str]]:
    """The instances that wait for a component at a start: their ids and the kinds of their rows."""
    rows = turn.tx.all("waiting_consumers", **_named(pipeline_id, component, node, start))
    return [(row["consumer"], row["kind"]) for row in rows]


def consumers(turn: Turn, producer: Instance) -> list[tuple[str, str]]:
    """The instances that wait for this one: their ids and the kinds of their rows."""
    return consumers_at(turn, producer.pipeline_id, producer.component, producer.node, producer.scheduled_start)


def _named(pipeline_id: str, component: str, node: str, start: int) -> dict[str, Any]:
    return {"pipeline_id": pipeline_id, "producer": component, "producer_node": node, "producer_start": start}


def meet(turn: Turn, producer: Instance, *kinds: str) -> None:
    """Set `met` on the rows of up to three kinds that name this producer, and look at those whose rows they are."""
    named = _named(producer.pipeline_id, producer.component, producer.node, producer.scheduled_start)
    known = turn.known.consumers.pop((producer.pipeline_id, producer.instance_id), None)
    found = turn.tx.all("waiting_consumers", **named) if known is None or turn.ends > turn.known.ends else known
    rows = [row for row in found if row["kind"] in kinds]
    if all(row["met"] for row in rows):
        return
    first, second, third = (kinds * 3)[:3]
    turn.tx.execute_later("meet_producer", **named, kind=first, second_kind=second, third_kind=third)
    for row in rows:
        turn.check(producer.pipeline_id, row["consumer"])


def unmeet(turn: Turn, producer: Instance, kind: str) -> None:
    """Take `met` back: the producer is to run again."""
    named = _named(producer.pipeline_id, producer.component, producer.node, producer.scheduled_start)
    turn.tx.execute_later("unmeet_producer", **named, kind=kind)
