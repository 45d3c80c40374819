"""How tasks end: SetTaskStatus, and EndTasks, which gives the next ones with the ends."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from penstock.api.call import Answer, Call, Request, check_worker_group, invalid
from penstock.api.tasks import Claim, held, of_the_caller, task_object, task_turn
from penstock.engine import attempts
from penstock.engine.plan import resource_of_group
from penstock.engine.settle import settle
from penstock.engine.turn import Turn
from penstock.store.database import Row, Transaction
from penstock.store.rows import Attempt, Instance, read
from penstock.wire.errors import ServiceError

LOG = logging.getLogger(__name__)
LONGEST_ERROR = 20_000


def set_task_status(call: Call, request: Request) -> Answer:
    """End a task; one that has ended, or was cancelled, stays as it is."""
    with task_turn(call, request["taskId"]) as (turn, attempt):
        _end(turn, attempt, request)
    return {}


def end_tasks(call: Call, request: Request) -> Answer:
    """End tasks, and give as many next ones of the worker group, if they wait: one transaction for each pipeline.

    A task that the caller does not hold is refused alone. A next one that cannot be made is left to a poll, which knows
    what to do about it; the ends must not be lost with it.
    """
    group, hostname = request["workerGroup"], request.get("hostname", "")
    check_worker_group(call.key, group)
    following: list[Answer] = []
    refused: list[Answer] = []
    ends = {end["taskId"]: end for end in reversed(request["ends"])}
    while ends:
        try:
            following += _end_of_one_pipeline(call, ends, group, hostname)
        except ServiceError as error:
            task_id = next(iter(ends))
            if len(ends) == 1 and len(request["ends"]) == 1:
                raise
            refused.append({"taskId": task_id, "errorCode": error.code, "message": error.message})
            del ends[task_id]
    call.runners.saw(hostname, group, call.key.access_key)
    return {"taskObjects": following, "refused": refused}


def _end_of_one_pipeline(call: Call, ends: dict[str, Any], group: str, hostname: str) -> list[Answer]:
    """End those of the tasks that are of the first one's pipeline, and take them out; gives the next tasks."""
    held_tasks = _HeldTasks(list(ends))
    first = held_tasks.task_ids[0]
    try:
        with call.engine.turn(held_tasks) as turn:
            done = _end_all(call, turn, ends, held_tasks)
            settle(turn)
            answers = _next_tasks(call, turn, group, hostname, len(done))
    except ServiceError:
        raise
    except call.engine.store.unavailable:
        raise
    except Exception:
        LOG.exception("The task after %s could not be made; it is left to a poll", first)
        set_task_status(call, ends[first])
        done, answers = [first], []
    for task_id in done:
        del ends[task_id]
    return answers


class _HeldTasks:
    """Locks the pipeline of the first of some tasks, and reads all of them with the same message."""

    def __init__(self, task_ids: list[str]) -> None:
        self.task_ids = task_ids
        self.attempts: list[Row | None] = []
        self.instances: list[Row | None] = []

    def __call__(self, tx: Transaction) -> Row | None:
        """The pipeline's row."""
        named: list[Mapping[str, Any]] = [{"task_id": task_id} for task_id in self.task_ids]
        found, *rows = tx.several(
            ("pipeline_of_task_for_update", named[0]),
            *(("attempt_by_task", known) for known in named),
            *(("instance_of_task", known) for known in named),
        )
        firsts = [row[0] if row else None for row in rows]
        self.attempts, self.instances = firsts[: len(named)], firsts[len(named) :]
        return found[0] if found else None


def _end_all(call: Call, turn: Turn, ends: Mapping[str, Any], tasks: _HeldTasks) -> list[str]:
    """End the first task, and with it those of its pipeline that have FINISHED; gives the ids of all that have ended.

    The others are in other pipelines, are refused or may end more than themselves: they come first in a turn of theirs.
    """
    first, done = tasks.task_ids[0], []
    for task_id, attempt_row, instance_row in zip(tasks.task_ids, tasks.attempts, tasks.instances, strict=True):
        is_first, has_finished = task_id == first, ends[task_id]["taskStatus"] == "FINISHED"
        is_here = attempt_row is not None and attempt_row["pipeline_id"] in turn.pipelines
        if is_first or (has_finished and is_here):
            try:
                attempt = of_the_caller(call, task_id, attempt_row)
            except ServiceError:
                if is_first:
                    raise
                continue
            done.append(task_id)
            if has_finished:
                attempts.finished(turn, attempt, read(Instance, instance_row) if instance_row else None)
    if ends[first]["taskStatus"] != "FINISHED":
        _end(turn, held(call, turn.tx, first), ends[first])
    return done


def _next_tasks(call: Call, turn: Turn, group: str, hostname: str, most: int) -> list[Answer]:
    """At most so many tasks of the group that wait, of pipelines that nobody else works on now."""
    claim = Claim(call, group, most, is_patient=False)
    if _is_at_work(turn, group):
        claim(turn.tx)
    taken = attempts.take_all(turn, claim.attempts, hostname)
    answers = [task_object(call, turn, attempt, instance) for attempt, instance in taken]
    return [answer for answer in answers if answer is not None]


def _is_at_work(turn: Turn, group: str) -> bool:
    """Whether the group is none of a resource, or of one that is to go on."""
    ids = resource_of_group(group)
    resource = turn.instance(*ids) if ids is not None else None
    return ids is None or (resource is not None and resource.status == "RUNNING")


def _end(turn: Turn, attempt: Attempt, request: Request) -> None:
    status = request["taskStatus"]
    instance = turn.instance(attempt.pipeline_id, attempt.instance_id)
    if status == "FINISHED":
        attempts.finished(turn, attempt, instance)
    elif status == "FALSE":
        if instance is None or instance.family != "Precondition":
            raise invalid("Only a precondition's task can be FALSE; end others with FINISHED or FAILED.")
        attempts.is_false(turn, attempt)
    else:
        failure = attempts.Failure(
            request.get("errorId") or "ActivityFailed",
            (request.get("errorMessage") or "The task runner gave no reason.")[:LONGEST_ERROR],
            request.get("errorStackTrace"),
        )
        attempts.failed(turn, attempt, failure)
