"""When a waiting instance goes on: nothing unmet is left, or only the resource that it must first ask for."""

from __future__ import annotations

from penstock.engine import attempts, resources
from penstock.engine.dependencies import producer_of
from penstock.engine.status import UNSUCCESSFUL, move
from penstock.engine.turn import Turn
from penstock.store.rows import Dependency, Instance, read, read_all


def check(turn: Turn, pipeline_id: str, instance_id: str) -> None:
    """Look at one instance: it goes on, fails with what it waits for, or stays."""
    instances, dependencies = turn.tx.several(
        ("instance_and_its_pause", {"pipeline_id": pipeline_id, "instance_id": instance_id}),
        ("unmet_dependencies", {"pipeline_id": pipeline_id, "consumer": instance_id}),
    )
    if not instances:
        return
    columns = dict(instances[0])
    is_paused = bool(columns.pop("is_paused"))
    instance, waits = read(Instance, columns), read_all(Dependency, dependencies)
    component = turn.component(instance)
    if component is None or instance.ended_at is not None:
        return
    if instance.family == "Resource":
        if not resources.is_needed(turn, instance, waits):
            resources.shut_down(turn, instance)
        return
    if instance.status != "WAITING_ON_DEPENDENCIES":
        return
    owner = turn.plan(instance).components.get(instance.node) if component.is_asked_last else None
    if (component.cascades or (owner is not None and owner.cascades)) and _cascade(turn, instance, waits):
        return
    if is_paused or turn.pipeline(pipeline_id).state not in ("SCHEDULED", "FINISHED"):
        return
    kinds = {dependency.kind for dependency in waits}
    if not waits:
        go_on(turn, instance)
    elif kinds == {"resource"}:
        for dependency in waits:
            resources.want(turn, instance, dependency)
    elif kinds <= {"resource", "precondition"}:
        _ask_preconditions_now(turn, waits)


def go_on(turn: Turn, instance: Instance, *, is_new: bool = False) -> None:
    """Let an instance, as it is now, do its work: it waits for nothing any more. One that `is_new` is inserted."""
    component = turn.plan(instance).components[instance.component]
    if instance.family == "DataNode":
        moved = move(turn.tx, instance, "finish", turn.now, is_current=True, is_new=is_new, started_at=turn.now)
        if moved is not None:
            turn.ended.append(moved)
    else:
        attempts.queue(turn, instance, component, is_current=True, is_new=is_new)


def _cascade(turn: Turn, instance: Instance, waits: list[Dependency]) -> bool:
    """In cascade mode an instance whose producer has failed fails with it (the guide: cascading failures)."""
    for dependency in waits:
        producer = producer_of(turn, dependency) if dependency.kind != "resource" else None
        if producer is not None and producer.status in UNSUCCESSFUL:
            moved = move(turn.tx, instance, "cascade", turn.now, cascade_failed_on=producer.instance_id)
            if moved is not None:
                turn.ended.append(moved)
            return True
    return False


def _ask_preconditions_now(turn: Turn, waits: list[Dependency]) -> None:
    """Everything else is there: a precondition that was FALSE before need not wait for its next time."""
    for dependency in waits:
        found = producer_of(turn, dependency) if dependency.kind == "precondition" else None
        if found is not None and turn.tx.execute(
            "make_available", pipeline_id=found.pipeline_id, instance_id=found.instance_id, now=turn.now
        ):
            attempt = turn.tx.one("active_attempt", pipeline_id=found.pipeline_id, instance_id=found.instance_id)
            if attempt is not None:
                turn.wake(attempt["worker_group"])
