"""What a user does with instances and components: run again, cancel, mark as finished, pause and resume."""

from __future__ import annotations

from penstock.clock import from_ms
from penstock.engine import attempts, endings
from penstock.engine.dependencies import all_of, consumers, is_met_by, producer_of, unmeet
from penstock.engine.materialise import add_dependencies
from penstock.engine.status import HOSTING, NOTHING_WRONG, UNSUCCESSFUL, move
from penstock.engine.turn import Turn
from penstock.store.rows import Attempt, Dependency, Instance, read

BY_USER = "Canceled by a user."


def rerun(turn: Turn, instance: Instance, *, spread: bool = True, counts: bool = False) -> bool:
    """Run an ended instance again, under the active version; False where it has not ended or the pipeline is stopping.

    In cascade mode it spreads to consumers that are CASCADE_FAILED; a resource takes along everything that ran on it
    (the guide: rerunning cascade-failed objects). `counts` says that it counts as active, which reruns do not.
    """
    if turn.pipeline(instance.pipeline_id).state == "DEACTIVATING":
        return False
    was_skipped = instance.status == "SKIPPED"
    again = start_again(turn, instance, counts=counts)
    if again is None:
        return False
    if was_skipped or again.activation != instance.activation:
        _write_dependencies(turn, again)
    for dependency in all_of(turn, again):
        _look_back(turn, again, dependency)
    turn.check(again.pipeline_id, again.instance_id)
    if spread:
        _spread(turn, again)
    return True


def start_again(turn: Turn, instance: Instance, *, counts: bool = False) -> Instance | None:
    """Take an ended instance back to its start, with all of its tries, so that others wait for it again."""
    pipeline = turn.pipeline(instance.pipeline_id)
    plan = turn.plans.find(turn.tx, pipeline.pipeline_id, _activation(turn, instance))
    component = plan.components.get(instance.component)
    if component is None:
        return None
    again = move(
        turn.tx,
        instance,
        "rerun",
        turn.now,
        activation=plan.activation.number,
        tries_left=component.maximum_retries,
        is_rerun=int(not counts),
        started_at=None,
        **NOTHING_WRONG,
    )
    if again is None:
        return None
    turn.move_pipeline(pipeline, "rerun")
    for kind in ("data", "precondition", "served", "resource"):
        unmeet(turn, again, kind)
    _call_back(turn, again)
    return again


def _call_back(turn: Turn, producer: Instance) -> None:
    """What was about to run with the producer's earlier outcome waits for the new one; what runs already goes on."""
    for consumer, kind in consumers(turn, producer):
        found = turn.instance(producer.pipeline_id, consumer) if kind in ("data", "precondition") else None
        waiting = move(turn.tx, found, "wait again", turn.now) if found is not None else None
        if waiting is not None:
            attempts.cancel_active(turn, waiting)


def _write_dependencies(turn: Turn, again: Instance) -> None:
    """A SKIPPED instance was made without them; in another version a schedule may end earlier or later.

    Preconditions keep theirs: another version may call their instances by other ids.
    """
    plan, component = turn.plan(again), turn.component(again)
    if component is None or again.family == "Precondition":
        return
    if again.family != "Resource":
        turn.tx.execute("delete_dependencies_of_consumer", pipeline_id=again.pipeline_id, consumer=again.instance_id)
    start, end = from_ms(again.scheduled_start), from_ms(again.scheduled_end)
    add_dependencies(turn, plan, component, again.node, start, end)


def _look_back(turn: Turn, again: Instance, dependency: Dependency) -> None:
    """See how a producer stands now; preconditions are asked again, and a resource that failed is started again."""
    producer = producer_of(turn, dependency)
    is_lost = dependency.kind == "resource" and producer is not None and producer.status in UNSUCCESSFUL
    if producer is not None and (is_lost or (dependency.kind == "precondition" and producer.ended_at is not None)):
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
        met=int(
            is_met_by(
                turn,
                again.pipeline_id,
                dependency.kind,
                producer,
                dependency.producer,
                dependency.producer_start,
            )
        ),
    )


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
        ) or (kind == "resource" and found.ended_at is not None):
            rerun(turn, found)


def cancel(turn: Turn, instance: Instance) -> bool:
    """Cancel an instance that has not ended."""
    return endings.cancel(turn, instance, BY_USER)


def mark_finished(turn: Turn, instance: Instance) -> bool:
    """Have an instance count as finished, whatever it did; False where it has finished, or is a resource at work."""
    if instance.family == "Resource" and instance.status in HOSTING:
        return False
    moved = move(turn.tx, instance, "mark finished", turn.now, **NOTHING_WRONG)
    if moved is None:
        return False
    attempts.cancel_active(turn, moved)
    endings.finish_preconditions(turn, moved)
    turn.ended.append(moved)
    return True


def set_paused(turn: Turn, pipeline_id: str, component: str, *, paused: bool) -> bool:
    """Hold a component still, or let it go on; False where there is no such component."""
    if not turn.tx.execute("set_paused", pipeline_id=pipeline_id, component=component, paused=int(paused)):
        return False
    if not paused:
        for row in turn.tx.all("active_instances_of_pipeline", pipeline_id=pipeline_id):
            if component in (row["node"], row["component"]):
                _let_go_on(turn, read(Instance, row))
        turn.advance(pipeline_id, component)
    return True


def _let_go_on(turn: Turn, instance: Instance) -> None:
    turn.check(instance.pipeline_id, instance.instance_id)
    row = turn.tx.one("active_attempt", pipeline_id=instance.pipeline_id, instance_id=instance.instance_id)
    if row is not None:
        turn.wake(read(Attempt, row).worker_group)
