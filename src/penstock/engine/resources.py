"""Resources: made with their interval, started when the first activity needs them, ended after the last one."""

from __future__ import annotations

from penstock.engine import attempts, endings, rerun
from penstock.engine.dependencies import all_of, consumers, meet, producer_of, unmeet
from penstock.engine.plan import resource_group
from penstock.engine.status import move
from penstock.engine.turn import Turn
from penstock.store.rows import Attempt, Dependency, Instance, read


def want(turn: Turn, consumer: Instance, dependency: Dependency) -> None:
    """An activity is ready but for its resource: start the resource, again if it has already ended.

    One that has failed for good takes the activity with it (the guide: cascading failures, activities).
    """
    resource = producer_of(turn, dependency)
    if resource is None:
        return
    if resource.status in ("FAILED", "CANCELED"):
        endings.cancel(turn, consumer, endings.RESOURCE_FAILED)
        return
    if resource.ended_at is not None:
        reset = rerun.start_again(turn, resource)
        if reset is None:
            return
        resource = reset
    if resource.status == "WAITING_ON_DEPENDENCIES":
        component = turn.component(resource)
        if component is not None:
            attempts.queue(turn, resource, component, verb="create")


def is_ready(turn: Turn, resource: Instance) -> None:
    """A resource's own task runner has called: the resource is RUNNING, and what waits for it may go on."""
    if resource.status != "CREATING":
        return
    row = turn.tx.one("active_attempt", pipeline_id=resource.pipeline_id, instance_id=resource.instance_id)
    if row is None or row["status"] != "RUNNING":
        return  # it is the task runner of an earlier attempt
    moved = move(turn.tx, resource, "start", turn.now)
    if moved is None:
        return
    attempts.report(turn, read(Attempt, row), {})  # who has started a task runner has acknowledged the task
    component = turn.component(moved)
    if component is not None:
        ends_at = turn.after(component.terminate_after)
        turn.tx.execute("set_attempt_end", pipeline_id=moved.pipeline_id, attempt_id=row["attempt_id"], ends_at=ends_at)
        turn.due(ends_at)
    meet(turn, moved, "resource")


def is_needed(turn: Turn, resource: Instance, waits: list[Dependency]) -> bool:
    """Whether something runs on the resource or will; of a pipeline that is stopped, only what is active now counts."""
    if turn.pipeline(resource.pipeline_id).state in ("SCHEDULED", "FINISHED"):
        return bool(waits)
    served = (producer_of(turn, dependency) for dependency in waits)
    return any(instance is not None and instance.ended_at is None for instance in served)


def shut_down(turn: Turn, resource: Instance) -> None:
    """Nothing needs the resource: have its task runner end; one that was never started is FINISHED at once."""
    if resource.status == "SHUTTING_DOWN":
        return
    row = turn.tx.one("active_attempt", pipeline_id=resource.pipeline_id, instance_id=resource.instance_id)
    attempt = read(Attempt, row) if row else None
    if attempt is not None and attempt.status == "RUNNING":
        if move(turn.tx, resource, "shut down", turn.now) is not None:
            turn.wake(resource_group(resource.pipeline_id, resource.instance_id))
        return
    if attempt is not None:
        turn.attempts["CANCELED"] += move(turn.tx, attempt, "cancel", turn.now) is not None
    moved = move(turn.tx, resource, "finish", turn.now)
    if moved is not None:
        turn.ended.append(moved)


def end_after_failure(turn: Turn, instance: Instance) -> None:
    """A task has failed for good: a resource whose actionOnTaskFailure is terminate ends with it.

    Where something else runs on it, that is a failure of the resource, which is tried again like any other.
    """
    if instance.status != "FAILED" or instance.family == "Resource":
        return
    for dependency in all_of(turn, instance):
        resource = producer_of(turn, dependency) if dependency.kind == "resource" else None
        component = turn.component(resource) if resource is not None else None
        if resource is None or resource.status != "RUNNING" or not component or not component.ends_with_a_failed_task:
            continue
        row = turn.tx.one("active_attempt", pipeline_id=resource.pipeline_id, instance_id=resource.instance_id)
        if row is not None and _has_tasks(turn, resource):
            message = f"{instance.instance_id} failed on it, and its actionOnTaskFailure is terminate."
            attempts.failed(turn, read(Attempt, row), attempts.Failure("TaskFailed", message))
        else:
            unmeet(turn, resource, "resource")  # what becomes ready meanwhile starts it again
            shut_down(turn, resource)


def _has_tasks(turn: Turn, resource: Instance) -> bool:
    """Whether tasks run on the resource or wait for its task runner."""
    return any(
        kind == "resource"
        and turn.tx.one("active_attempt", pipeline_id=resource.pipeline_id, instance_id=consumer) is not None
        for consumer, kind in consumers(turn, resource)
    )


def must_end(resource: Instance) -> bool:
    """Whether the resource's own task runner has nothing more to do."""
    return resource.status == "SHUTTING_DOWN" or resource.ended_at is not None
