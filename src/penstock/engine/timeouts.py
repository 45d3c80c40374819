"""Attempts whose time is up: never acknowledged, silent for too long, past their timeout, or a precondition's end."""

from __future__ import annotations

from penstock.engine.attempts import Failure, expired, failed, hand_back, lost
from penstock.engine.plan import SYSTEM_GROUP
from penstock.engine.status import move
from penstock.engine.turn import Turn
from penstock.store.rows import Attempt, Instance, read_all

MOST_AT_ONCE = 100


def end_due(turn: Turn, pipeline_id: str) -> None:
    """Work off the attempts of a pipeline that are due."""
    due = turn.tx.all("due_attempts", pipeline_id=pipeline_id, now=turn.now, limit=MOST_AT_ONCE)
    for attempt in read_all(Attempt, due):
        _end(turn, attempt)
    over = turn.tx.all("expired_attempts", pipeline_id=pipeline_id, now=turn.now, limit=MOST_AT_ONCE)
    for attempt in read_all(Attempt, over):
        expired(turn, attempt)


def _end(turn: Turn, attempt: Attempt) -> None:
    instance = turn.instance(attempt.pipeline_id, attempt.instance_id)
    if instance is None:
        return
    if attempt.ends_at is not None and attempt.ends_at <= turn.now:
        component = turn.component(instance)
        if instance.status == "CREATING" and component is not None and component.init_timeout:
            limit = component.init_timeout
            failure = Failure("InitTimeout", f"The resource took longer to start than its initTimeout of {limit}.")
            failed(turn, attempt, failure, verb="time out")
            return
        if instance.family == "Resource":
            _end_resource(turn, attempt, instance)
            return
        timeout = component.attempt_timeout if component else None
        failure = Failure("AttemptTimeout", f"The attempt took longer than its attemptTimeout of {timeout}.")
        failed(turn, attempt, failure, verb="time out")
    elif not attempt.acknowledged:
        hand_back(turn, attempt)
    elif attempt.worker_group == SYSTEM_GROUP:
        lost(turn, attempt)
    else:
        message = f"The task runner on {attempt.hostname or 'an unknown host'} has not reported for too long."
        failed(turn, attempt, Failure("TaskRunnerLost", message), verb="time out")


def _end_resource(turn: Turn, attempt: Attempt, instance: Instance) -> None:
    """A resource that lives longer than terminateAfter is TIMEDOUT, without another try (the guide: status codes).

    One that shuts down has done its work.
    """
    message = "The resource has lived longer than its terminateAfter."
    if instance.status == "SHUTTING_DOWN":
        failed(turn, attempt, Failure("TerminateAfter", message), verb="time out")
        return
    if move(turn.tx, attempt, "time out", turn.now, error_message=message) is None:
        return
    turn.attempts["TIMEDOUT"] += 1
    moved = move(turn.tx, instance, "time out", turn.now, error_id="TerminateAfter", error_message=message)
    if moved is not None:
        turn.ended.append(moved)
