"""The status table, and the one function that moves a status.

Statuses and their meaning are those of the guide's page on pipeline status details; verbs are ours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeVar

from penstock.store.database import Transaction
from penstock.store.rows import Attempt, Instance, Pipeline


@dataclass(frozen=True, slots=True)
class Transition:
    """A verb takes an object of a sphere from one of the sources to the target."""

    sphere: str
    verb: str
    sources: tuple[str, ...]
    target: str


WAITING = ("WAITING_ON_DEPENDENCIES", "WAITING_FOR_RUNNER")
HOSTING = ("CREATING", "RUNNING", "SHUTTING_DOWN")
ENDED = ("FINISHED", "FAILED", "CANCELED", "CASCADE_FAILED", "TIMEDOUT", "SKIPPED")
PIPELINE_STATES = ("PENDING", "SCHEDULED", "FINISHED", "DEACTIVATING", "INACTIVE")
UNSUCCESSFUL = ("FAILED", "CANCELED", "CASCADE_FAILED", "TIMEDOUT")

# fmt: off
TRANSITIONS = (
    Transition("PIPELINE", "activate",      ("PENDING", "SCHEDULED", "FINISHED", "INACTIVE"), "SCHEDULED"),
    Transition("PIPELINE", "finish",        ("SCHEDULED",), "FINISHED"),
    Transition("PIPELINE", "rerun",         ("FINISHED",), "SCHEDULED"),
    Transition("PIPELINE", "deactivate",    ("SCHEDULED", "FINISHED"), "DEACTIVATING"),
    Transition("PIPELINE", "settle",        ("DEACTIVATING",), "INACTIVE"),
    Transition("PIPELINE", "delete",        PIPELINE_STATES, "DELETING"),

    Transition("INSTANCE", "queue",         ("WAITING_ON_DEPENDENCIES",), "WAITING_FOR_RUNNER"),
    Transition("INSTANCE", "take",          ("WAITING_FOR_RUNNER",), "RUNNING"),
    Transition("INSTANCE", "hand back",     ("RUNNING",), "WAITING_FOR_RUNNER"),
    Transition("INSTANCE", "retry",         ("RUNNING", "WAITING_FOR_RUNNER"), "WAITING_FOR_RUNNER"),
    Transition("INSTANCE", "create",        ("WAITING_ON_DEPENDENCIES", *HOSTING), "CREATING"),
    Transition("INSTANCE", "start",         ("CREATING",), "RUNNING"),
    Transition("INSTANCE", "shut down",     ("CREATING", "RUNNING"), "SHUTTING_DOWN"),
    Transition("INSTANCE", "finish",        (*WAITING, *HOSTING), "FINISHED"),
    Transition("INSTANCE", "fail",          (*WAITING, *HOSTING), "FAILED"),
    Transition("INSTANCE", "time out",      HOSTING, "TIMEDOUT"),
    Transition("INSTANCE", "cancel",        (*WAITING, *HOSTING), "CANCELED"),
    Transition("INSTANCE", "cascade",       ("WAITING_ON_DEPENDENCIES",), "CASCADE_FAILED"),
    Transition("INSTANCE", "mark finished", (*WAITING, *HOSTING, *UNSUCCESSFUL), "FINISHED"),
    Transition("INSTANCE", "rerun",         ENDED, "WAITING_ON_DEPENDENCIES"),

    Transition("ATTEMPT", "take",           ("WAITING_FOR_RUNNER",), "RUNNING"),
    Transition("ATTEMPT", "hand back",      ("RUNNING",), "WAITING_FOR_RUNNER"),
    Transition("ATTEMPT", "ask again",      ("RUNNING",), "WAITING_FOR_RUNNER"),
    Transition("ATTEMPT", "finish",         ("RUNNING", "WAITING_FOR_RUNNER"), "FINISHED"),
    Transition("ATTEMPT", "fail",           ("RUNNING", "WAITING_FOR_RUNNER"), "FAILED"),
    Transition("ATTEMPT", "time out",       ("RUNNING", "WAITING_FOR_RUNNER"), "TIMEDOUT"),
    Transition("ATTEMPT", "cancel",         ("RUNNING", "WAITING_FOR_RUNNER"), "CANCELED"),
)
# fmt: on

_TARGETS = {(t.sphere, t.verb, source): t.target for t in TRANSITIONS for source in t.sources}

T = TypeVar("T", Pipeline, Instance, Attempt)


def move(tx: Transaction, row: T, verb: str, now: int, *, detail: str = "", **changes: Any) -> T | None:
    """Move a status, if the table allows it and nobody else was first; gives the new row, else None.

    The update and its event are one transaction. `changes` are other columns that change with the status; whether an
    object has ended, and when a running attempt is due, follow from the status.
    """
    if isinstance(row, Pipeline):
        return _move_pipeline(tx, row, verb, now, detail)
    if isinstance(row, Instance):
        return _move_instance(tx, row, verb, now, detail, changes)
    return _move_attempt(tx, row, verb, now, detail, changes)


def _move_pipeline(tx: Transaction, row: Pipeline, verb: str, now: int, detail: str) -> Pipeline | None:
    target = _TARGETS.get(("PIPELINE", verb, row.state))
    if target is None:
        return None
    moved = replace(row, state=target, finished_at=now if target == "FINISHED" else None)
    done = tx.execute(
        "move_pipeline",
        pipeline_id=row.pipeline_id,
        from_status=row.state,
        to_status=target,
        finished_at=moved.finished_at,
    )
    if not done:
        return None
    _event(tx, now, row.pipeline_id, row.pipeline_id, "PIPELINE", verb, row.state, target, detail)
    return moved


def _move_instance(
    tx: Transaction, row: Instance, verb: str, now: int, detail: str, changes: dict[str, Any]
) -> Instance | None:
    target = _TARGETS.get(("INSTANCE", verb, row.status))
    if target is None:
        return None
    ended = target in ENDED
    changes.setdefault("started_at", row.started_at or (now if target in ("RUNNING", "CREATING") else None))
    if ended:
        changes |= {"late_at": None, "is_rerun": 0}
    moved = replace(row, **changes, status=target, ended_at=now if ended else None)
    done = tx.execute(
        "move_instance",
        pipeline_id=row.pipeline_id,
        instance_id=row.instance_id,
        from_status=row.status,
        to_status=target,
        started_at=moved.started_at,
        ended_at=moved.ended_at,
        late_at=moved.late_at,
        tries_left=moved.tries_left,
        attempt_count=moved.attempt_count,
        activation=moved.activation,
        is_rerun=moved.is_rerun,
        error_id=moved.error_id,
        error_message=moved.error_message,
        error_stack_trace=moved.error_stack_trace,
        cancellation_reason=moved.cancellation_reason,
        cascade_failed_on=moved.cascade_failed_on,
    )
    if not done:
        return None
    _event(tx, now, row.pipeline_id, row.instance_id, "INSTANCE", verb, row.status, target, detail)
    return moved


def _move_attempt(
    tx: Transaction, row: Attempt, verb: str, now: int, detail: str, changes: dict[str, Any]
) -> Attempt | None:
    target = _TARGETS.get(("ATTEMPT", verb, row.status))
    if target is None:
        return None
    moved = replace(row, **changes, status=target)
    is_running = target == "RUNNING"
    moved = replace(
        moved,
        ended_at=None if target in ("RUNNING", "WAITING_FOR_RUNNER") else now,
        lease_until=moved.lease_until if is_running else None,
        ends_at=moved.ends_at if is_running else None,
        due_at=earliest(moved.lease_until, moved.ends_at) if is_running else None,
    )
    done = tx.execute(
        "move_attempt",
        pipeline_id=row.pipeline_id,
        attempt_id=row.attempt_id,
        from_status=row.status,
        held_task_id=row.task_id,
        to_status=target,
        task_id=moved.task_id,
        available_at=moved.available_at,
        started_at=moved.started_at,
        ended_at=moved.ended_at,
        acknowledged=moved.acknowledged,
        lease_until=moved.lease_until,
        ends_at=moved.ends_at,
        due_at=moved.due_at,
        hostname=moved.hostname,
        error_id=moved.error_id,
        error_message=moved.error_message,
        error_stack_trace=moved.error_stack_trace,
    )
    if not done:
        return None
    _event(tx, now, row.pipeline_id, row.attempt_id, "ATTEMPT", verb, row.status, target, detail)
    return moved


def _event(
    tx: Transaction,
    now: int,
    pipeline_id: str,
    object_id: str,
    sphere: str,
    verb: str,
    old: str,
    new: str,
    detail: str,
) -> None:
    tx.execute(
        "insert_event",
        at=now,
        pipeline_id=pipeline_id,
        object_id=object_id,
        sphere=sphere,
        verb=verb,
        from_status=old,
        to_status=new,
        detail=detail,
    )


def earliest(*moments: int | None) -> int | None:
    """The earliest of some times, of which any may be missing."""
    return min((moment for moment in moments if moment is not None), default=None)
