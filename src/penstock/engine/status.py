"""The status table, and the one function that moves a status.

Statuses and their meaning are those of the guide's page on pipeline status details; verbs are ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
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
    Transition("INSTANCE", "wait again",    ("WAITING_FOR_RUNNER",), "WAITING_ON_DEPENDENCIES"),
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

NOTHING_WRONG: Mapping[str, Any] = {
    "error_id": None,
    "error_message": None,
    "error_stack_trace": None,
    "cancellation_reason": None,
    "was_deactivated": 0,
    "cascade_failed_on": None,
}
"""The columns of an instance that say what went wrong, where nothing did."""
_COLUMNS = {cls: tuple(column.name for column in fields(cls)) for cls in (Pipeline, Instance, Attempt)}
OF_NEW = (
    *("pipeline_id", "instance_id", "component", "node", "family", "scheduled_start", "scheduled_end", "activation"),
    *("status", "created_at", "started_at", "ended_at", "late_at", "tries_left", "attempt_count"),
)
"""The columns of an instance that are given when it is inserted; the others say that nothing is wrong."""
_TARGETS = {(t.sphere, t.verb, source): t.target for t in TRANSITIONS for source in t.sources}

T = TypeVar("T", Pipeline, Instance, Attempt)


def move(
    tx: Transaction,
    row: T,
    verb: str,
    now: int,
    *,
    detail: str = "",
    is_current: bool = False,
    is_new: bool = False,
    **changes: Any,
) -> T | None:
    """Move a status, if the table allows it and nobody else was first; gives the new row, else None.

    The update and its event are one transaction. `changes` are other columns that change with the status; whether an
    object has ended, and when a running attempt is due, follow from the status. A row that `is_current` was read while
    its pipeline was locked and has not been moved since: nobody can have been first. An instance that `is_new` is in
    the store only now, as it is after the move.
    """
    sphere, query, object_id, status = _of(row)
    target = _TARGETS.get((sphere, verb, status))
    if target is None:
        return None
    moved = replace(row, **changes | _following(row, target, now, changes))
    columns = {name: getattr(moved, name) for name in _COLUMNS[type(moved)]}
    held: dict[str, Any] = {"held_task_id": row.task_id} if isinstance(row, Attempt) else {}
    known = columns | held | {"from_status": status, "to_status": target}
    if is_new:
        tx.insert_soon("insert_instance", **{name: columns[name] for name in OF_NEW})
    elif is_current:
        tx.execute_later(query, **known)
    elif not tx.execute(query, **known):
        return None
    tx.insert_later(
        "insert_event",
        at=now,
        pipeline_id=row.pipeline_id,
        object_id=object_id,
        sphere=sphere,
        verb=verb,
        from_status=status,
        to_status=target,
        detail=detail,
    )
    return moved


def _of(row: Pipeline | Instance | Attempt) -> tuple[str, str, str, str]:
    """The sphere of a row, the query that moves it, its id and its status."""
    if isinstance(row, Pipeline):
        return "PIPELINE", "move_pipeline", row.pipeline_id, row.state
    if isinstance(row, Instance):
        return "INSTANCE", "move_instance", row.instance_id, row.status
    return "ATTEMPT", "move_attempt", row.attempt_id, row.status


def _following(row: Pipeline | Instance | Attempt, target: str, now: int, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that follow from the new status, which is among them."""
    if isinstance(row, Pipeline):
        return {"state": target, "finished_at": now if target == "FINISHED" else None}
    if isinstance(row, Instance):
        started_at = row.started_at or (now if target in ("RUNNING", "CREATING") else None)
        found = {"status": target, "started_at": changes.get("started_at", started_at), "ended_at": None}
        return found | ({"ended_at": now, "late_at": None} if target in ENDED else {})
    found = {"status": target, "ended_at": now, "lease_until": None, "ends_at": None, "due_at": None}
    if target == "WAITING_FOR_RUNNER":
        found["ended_at"] = None
    elif target == "RUNNING":
        lease_until, ends_at = changes.get("lease_until", row.lease_until), changes.get("ends_at", row.ends_at)
        due_at = earliest(lease_until, ends_at)
        found |= {"ended_at": None, "lease_until": lease_until, "ends_at": ends_at, "due_at": due_at}
    return found


def earliest(*moments: int | None) -> int | None:
    """The earliest of some times, of which any may be missing."""
    return min((moment for moment in moments if moment is not None), default=None)
