"""Attempts: queued, taken as a lease, reported on, ended, and tried again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from penstock.clock import from_ms, ms_to_field, to_field
from penstock.engine.dependencies import consumers, unmeet, unmet
from penstock.engine.materialise import place_of
from penstock.engine.plan import SYSTEM_GROUP, Component, Plan, resource_group
from penstock.engine.status import earliest, move
from penstock.engine.turn import Turn, new_token
from penstock.store.database import Row
from penstock.store.rows import Attempt, Instance, read

MOST_DELIVERIES = 5
SERVICE_ENDED = "The service that hosted the resource has ended."


@dataclass(frozen=True)
class Failure:
    """Why an attempt failed, as a task runner reports it."""

    error_id: str
    message: str
    stack_trace: str | None = None
    is_tried_at_once: bool = False


def queue(
    turn: Turn,
    instance: Instance,
    component: Component,
    *,
    verb: str = "queue",
    after: Attempt | None = None,
    delay: int = 0,
    is_current: bool = False,
    is_new: bool = False,
) -> None:
    """Make the next attempt, or another try `after` a failed one; task runners have it after the delay in ms.

    `is_current` and `is_new` are those of `move`.
    """
    plan = turn.plan(instance)
    number = instance.attempt_count + 1
    moved = move(turn.tx, instance, verb, turn.now, is_current=is_current, is_new=is_new, attempt_count=number)
    if moved is None:
        return
    group = worker_group(plan, component, instance)
    available_at = turn.now + delay
    expires_at = after.expires_at if after else turn.after(component.precondition_timeout)
    turn.tx.insert_soon(
        "insert_attempt",
        pipeline_id=instance.pipeline_id,
        attempt_id=moved.head_attempt,
        instance_id=instance.instance_id,
        number=number,
        task_id=new_token(),
        worker_group=group,
        owner=turn.pipeline(instance.pipeline_id).owner,
        created_at=turn.now,
        available_at=available_at,
        expires_at=expires_at,
    )
    if available_at > turn.now:
        turn.due(available_at)
    turn.due(expires_at)
    turn.wake(group)


def worker_group(plan: Plan, component: Component, instance: Instance) -> str:
    """The group whose task runners may do the work: a resource's own, the named one, or the service's."""
    if component.family == "Resource" or component.is_system_managed:
        return SYSTEM_GROUP
    place = place_of(plan, component, instance.node)
    start = plan.resource_start(place, from_ms(instance.scheduled_start))
    if start is not None and place.resource is not None:
        return resource_group(plan.pipeline_id, plan.instance_id(place.resource, "", to_field(start)))
    return place.worker_group or ""


def to_take(found: Sequence[Attempt]) -> list[tuple[str, dict[str, str]]]:
    """What must be asked before attempts are taken: their instances, and whether they are paused."""
    asked = ({"pipeline_id": attempt.pipeline_id, "instance_id": attempt.instance_id} for attempt in found)
    return [("instance_and_its_pause", known) for known in asked]


def take_all(
    turn: Turn, found: Sequence[Attempt], hostname: str, asked: Sequence[Sequence[Row]] | None = None
) -> list[tuple[Attempt, Instance]]:
    """Give attempts to a task runner as leases, but those that somebody else was first with or that were paused.

    `asked` are the answers to `to_take`, where they are known already.
    """
    taken: list[tuple[Attempt, Instance]] = []
    for attempt, rows in zip(found, turn.tx.several(*to_take(found)) if asked is None else asked, strict=True):
        columns = dict(rows[0]) if rows else {"is_paused": 1}
        if not columns.pop("is_paused"):
            moved = _take(turn, attempt, read(Instance, columns), hostname)
            taken += [moved] if moved is not None else []
    return taken


def _take(turn: Turn, attempt: Attempt, instance: Instance, hostname: str) -> tuple[Attempt, Instance] | None:
    component = turn.component(instance)
    lease_until = turn.in_seconds(turn.settings.acknowledge_within)
    limit = None
    if component is not None:
        started_within = component.init_timeout or component.terminate_after
        limit = started_within if component.family == "Resource" else component.attempt_timeout
    ends_at = turn.after(limit)
    taken = move(
        turn.tx,
        attempt,
        "take",
        turn.now,
        detail=hostname,
        is_current=attempt.pipeline_id in turn.locked,
        started_at=turn.now,
        acknowledged=0,
        lease_until=lease_until,
        ends_at=ends_at,
        hostname=hostname,
    )
    if taken is None:
        return None
    turn.attempts["RUNNING"] += 1
    turn.due(taken.due_at)
    if instance.family != "Resource":
        instance = move(turn.tx, instance, "take", turn.now, is_current=True) or instance
    return taken, instance


def hand_back(turn: Turn, attempt: Attempt, *, is_unused: bool = False) -> None:
    """Let another task runner have an attempt at once, under a new task id.

    One that has come back too often without an acknowledgement has failed: it may be what ends its task runners. That
    is not so where its task runner says that it has not begun, so that it `is_unused`.
    """
    if not attempt.acknowledged and not is_unused:
        attempt = replace(attempt, deliveries=attempt.deliveries + 1)
    if attempt.deliveries >= MOST_DELIVERIES:
        message = f"{MOST_DELIVERIES} times a task runner took the task and did not acknowledge it."
        failed(turn, attempt, Failure("TaskNotAcknowledged", message), verb="time out")
        return
    moved = move(turn.tx, attempt, "hand back", turn.now, task_id=new_token(), available_at=turn.now)
    instance = turn.instance(attempt.pipeline_id, attempt.instance_id)
    if moved is not None and instance is not None:
        if instance.family != "Resource":  # it is CREATING, not RUNNING, until its own runner calls
            _wait_again(turn, move(turn.tx, instance, "hand back", turn.now))
        turn.wake(moved.worker_group)


def _wait_again(turn: Turn, instance: Instance | None) -> None:
    """What is about to run, but whose producer is running again by now, waits for the new outcome."""
    kinds = {dependency.kind for dependency in unmet(turn, instance)} if instance is not None else set()
    waiting = move(turn.tx, instance, "wait again", turn.now) if instance and kinds & {"data", "precondition"} else None
    if waiting is not None:
        cancel_active(turn, waiting)


def report(turn: Turn, attempt: Attempt, fields: Mapping[str, str]) -> bool:
    """Renew the lease and keep the fields; False when the attempt is no longer the runner's."""
    if attempt.status != "RUNNING":
        return False
    instance = turn.instance(attempt.pipeline_id, attempt.instance_id)
    component = turn.component(instance) if instance else None
    lease_until = turn.after(component.report_timeout) if component else None
    if attempt.worker_group == SYSTEM_GROUP:  # whatever it says: another server must see that this one has ended
        lease_until = earliest(lease_until, turn.in_seconds(turn.settings.system_lease))
    elif lease_until is None:
        lease_until = turn.in_seconds(turn.settings.lease)
    kept = {**json.loads(attempt.fields), **fields}
    done = turn.tx.execute(
        "renew_lease",
        task_id=attempt.task_id,
        lease_until=lease_until,
        due_at=earliest(lease_until, attempt.ends_at),
        now=turn.now,
        fields=json.dumps(kept),
    )
    turn.due(lease_until)
    return done == 1


def finished(turn: Turn, attempt: Attempt, instance: Instance | None) -> None:
    """The work is done: the attempt and its instance, both as they are now, have finished."""
    if move(turn.tx, attempt, "finish", turn.now, is_current=True) is None:
        return
    turn.attempts["FINISHED"] += 1
    moved = move(turn.tx, instance, "finish", turn.now, is_current=True) if instance else None
    if moved is not None:
        turn.ended.append(moved)


def is_false(turn: Turn, attempt: Attempt) -> None:
    """A precondition does not hold: its attempt is kept and asked again later, and counts how often that was."""
    again = turn.in_seconds(turn.settings.precondition_interval)
    if attempt.expires_at is not None and attempt.expires_at <= turn.now:
        expired(turn, attempt)
        return
    moved = move(turn.tx, attempt, "ask again", turn.now, task_id=new_token(), available_at=again, deliveries=0)
    instance = turn.instance(attempt.pipeline_id, attempt.instance_id)
    if moved is not None and instance is not None:
        move(turn.tx, instance, "hand back", turn.now)
        turn.due(again)
        fields = json.loads(attempt.fields)
        before = str(fields.get("currentRetryCount", "0"))
        count = int(before) + 1 if before.isdecimal() and len(before) < 10 else 1  # a task runner may report anything
        fields |= {"currentRetryCount": str(count), "lastRetryTime": ms_to_field(attempt.started_at or turn.now)}
        turn.tx.execute(
            "set_attempt_fields",
            pipeline_id=attempt.pipeline_id,
            attempt_id=attempt.attempt_id,
            fields=json.dumps(fields),
        )


def expired(turn: Turn, attempt: Attempt) -> None:
    """A precondition has not held for all of its preconditionTimeout: it has failed, without another try."""
    failure = Failure("PreconditionTimeout", "The precondition did not hold before its preconditionTimeout.")
    _end(turn, attempt, "time out", failure, may_retry=False)


def failed(turn: Turn, attempt: Attempt, failure: Failure, *, verb: str = "fail") -> None:
    """An attempt has failed; there is another one while tries are left."""
    _end(turn, attempt, verb, failure, may_retry=True)


def _end(turn: Turn, attempt: Attempt, verb: str, failure: Failure, *, may_retry: bool) -> None:
    errors: dict[str, Any] = {
        "error_id": failure.error_id,
        "error_message": failure.message.replace("\0", ""),  # which PostgreSQL does not take
        "error_stack_trace": failure.stack_trace.replace("\0", "") if failure.stack_trace else None,
    }
    detail = (errors["error_message"] or "")[:1000]
    ended = move(turn.tx, attempt, verb, turn.now, detail=detail, **errors)
    if ended is None:
        return
    turn.attempts[ended.status] += 1
    instance = turn.instance(attempt.pipeline_id, attempt.instance_id)
    component = turn.component(instance) if instance else None
    if instance is None:
        return
    if component is not None and may_retry and instance.tries_left > 0 and instance.status != "SHUTTING_DOWN":
        if instance.family == "Resource":
            dismiss_runner(turn, instance)
            lose_tasks(turn, instance, is_tried_at_once=failure.is_tried_at_once)
        counted = replace(instance, tries_left=instance.tries_left - 1)
        again = "create" if instance.family == "Resource" else "retry"
        delay = 0 if failure.is_tried_at_once else component.retry_delay
        queue(turn, counted, component, verb=again, after=attempt, delay=delay)
        if instance.family != "Resource":
            _wait_again(turn, turn.instance(instance.pipeline_id, instance.instance_id))
        return
    if instance.family == "Resource" and instance.status == "SHUTTING_DOWN":
        errors, ending = {}, "finish"  # it has done its work, however its end went
    else:
        ending = "fail"
    moved = move(turn.tx, instance, ending, turn.now, detail=detail, **errors)
    if moved is not None:
        turn.ended.append(moved)


def lost(turn: Turn, attempt: Attempt) -> None:
    """The service process that held one of the service's own tasks has ended: another one has it without a pause.

    A precondition is asked again, which is no failure, unless it ends one process after the other.
    """
    instance = turn.instance(attempt.pipeline_id, attempt.instance_id)
    if instance is not None and instance.family == "Resource":
        failed(turn, attempt, Failure("ServiceRestarted", SERVICE_ENDED, is_tried_at_once=True))
    else:
        hand_back(turn, replace(attempt, acknowledged=0))


def dismiss_runner(turn: Turn, resource: Instance) -> None:
    """A resource's task runner has nothing more to do: its key is gone, and its poll ends now."""
    group = resource_group(resource.pipeline_id, resource.instance_id)
    turn.tx.execute("delete_keys_of_group", pipeline_id=resource.pipeline_id, worker_group=group)
    turn.wake(group)


def lose_tasks(turn: Turn, resource: Instance, *, is_tried_at_once: bool) -> None:
    """A resource is started again: what ran on it counts as failed and is tried again."""
    unmeet(turn, resource, "resource")
    for consumer, kind in consumers(turn, resource):
        row = turn.tx.one("active_attempt", pipeline_id=resource.pipeline_id, instance_id=consumer)
        if kind == "resource" and row is not None and row["status"] == "RUNNING":
            message = f"{resource.instance_id} was lost."
            failed(turn, read(Attempt, row), Failure("ResourceLost", message, is_tried_at_once=is_tried_at_once))


def cancel_active(turn: Turn, instance: Instance) -> None:
    """End the attempt of an instance that is being cancelled; its runner hears of it when it reports."""
    row = turn.tx.one("active_attempt", pipeline_id=instance.pipeline_id, instance_id=instance.instance_id)
    if row is not None:
        turn.attempts["CANCELED"] += move(turn.tx, read(Attempt, row), "cancel", turn.now) is not None
