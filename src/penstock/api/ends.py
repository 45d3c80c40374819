"""How tasks end: SetTaskStatus, and EndTasks, which gives the next ones with the ends."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from penstock.api.call import Answer, Call, Request, check_worker_group, invalid
from penstock.api.tasks import Claim, hand_back, held, of_the_caller, task_object, task_turn
from penstock.engine import attempts
from penstock.engine.plan import resource_of_group
from penstock.engine.settle import settle
from penstock.engine.turn import Turn
from penstock.store.database import Row, Transaction
from penstock.store.rows import Attempt, Instance, read, read_all
from penstock.wire.errors import ServiceError

LOG = logging.getLogger(__name__)
LONGEST_ERROR = 20_000


def set_task_status(call: Call, request: Request) -> Answer:
    """End a task; one that has ended, or was cancelled, stays as it is."""
    with task_turn(call, request["taskId"]) as (turn, attempt):
        _end(turn, attempt, request)
    return {}


def end_tasks(call: Call, request: Request) -> Answer:
    """End tasks, and give next ones of the worker group, if they wait: one transaction for each pipeline.

    A task that the caller does not hold is refused alone. A next one that cannot be made is left to a poll, which knows
    what to do about it; the ends must not be lost with it.
    """
    group, hostname = request["workerGroup"], request.get("hostname", "")
    check_worker_group(call.key, group)
    for task_id in request.get("returned", ()):
        with suppress(ServiceError):  # it is not the caller's any more
            hand_back(call, task_id, is_unused=True)
    most = request.get("taskCount", len(request["ends"]))
    following: list[Answer] = []
    refused: list[Answer] = []
    ends = {end["taskId"]: end for end in reversed(request["ends"])}
    while ends:
        try:
            following += _end_of_one_pipeline(call, ends, group, hostname, most - len(following))
        except ServiceError as error:
            task_id = next(iter(ends))
            if len(ends) == 1 and len(request["ends"]) == 1:
                raise
            refused.append({"taskId": task_id, "errorCode": error.code, "message": error.message})
            del ends[task_id]
        except call.engine.store.unavailable:
            if not following:
                raise
            LOG.exception("Some ends of tasks have to wait; the next tasks that others have brought are not lost")
            later = {"errorCode": "InternalServiceError", "message": "The service's store cannot be used now."}
            refused += [{"taskId": task_id, **later} for task_id in ends]
            break
    call.runners.saw(hostname, group, call.key.access_key)
    return {"taskObjects": following, "refused": refused}


def _end_of_one_pipeline(call: Call, ends: dict[str, Any], group: str, hostname: str, most: int) -> list[Answer]:
    """End those of the tasks that are of the first one's pipeline, and take them out; gives next tasks, `most` of them.

    They may be of other pipelines.
    """
    held_tasks = _HeldTasks(list(ends), Claim(call, group, most, is_patient=False))
    first = held_tasks.task_ids[0]
    try:
        with call.engine.turn(held_tasks) as turn:
            done = _end_all(call, turn, ends, held_tasks)
            waiting = held_tasks.waiting
            asked = _read_ahead(turn, held_tasks, waiting)
            settle(turn)
            is_new = turn.ends == turn.known.ends  # nothing but these has ended, so all that waited still does
            taken = attempts.take_all(turn, waiting, hostname, asked) if is_new and _is_at_work(turn, group) else []
            if len(taken) < most and (group in turn.woken or not is_new) and _is_at_work(turn, group):
                claim = Claim(call, group, most - len(taken), is_patient=False)
                claim(turn.tx)
                taken += attempts.take_all(turn, claim.attempts, hostname)
            tasks = [task_object(call, turn, attempt, instance) for attempt, instance in taken]
            answers = [task for task in tasks if task is not None]
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
    """Locks the pipeline of the first of some tasks, and reads with the same message all of them, what waits for their
    instances, and the tasks that may be next."""

    def __init__(self, task_ids: list[str], claim: Claim) -> None:
        self.task_ids = task_ids
        self._claim = claim
        self.attempts: list[Row | None] = []
        self.instances: list[Row | None] = []
        self.consumers: list[list[Row]] = []
        self.waiting: list[Attempt] = []

    def __call__(self, tx: Transaction) -> Row | None:
        """The pipeline's row."""
        named: list[Mapping[str, Any]] = [{"task_id": task_id} for task_id in self.task_ids]
        found, *rows = tx.several(
            ("pipeline_of_task_for_update", named[0]),
            *(("attempt_by_task", known) for known in named),
            *(("instance_of_task", known) for known in named),
            *(("consumers_of_task", known) for known in named),
            self._claim.question(),
        )
        count = len(named)
        firsts = [row[0] if row else None for row in rows[: 2 * count]]
        self.attempts, self.instances = firsts[:count], firsts[count:]
        self.consumers = rows[2 * count : 3 * count]
        self.waiting = read_all(Attempt, rows[-1])
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


def _read_ahead(turn: Turn, tasks: _HeldTasks, waiting: Sequence[Attempt]) -> list[list[Row]]:
    """Ask at once what the follow-ups of the ends will ask, and what the next tasks need; gives that of the tasks."""
    components = list({(i.pipeline_id, i.component): None for i in turn.ended if not i.node})
    asked = attempts.to_take(waiting)
    upcoming = [("what_is_to_come", {"pipeline_id": pipeline, "component": name}) for pipeline, name in components]
    answers = turn.tx.several(*asked, *upcoming)
    turn.known.ends = len(turn.ended)
    turn.known.to_come = {key: rows[0] for key, rows in zip(components, answers[len(asked) :], strict=True) if rows}
    turn.known.consumers = {
        (row["pipeline_id"], row["instance_id"]): consumers
        for row, consumers in zip(tasks.instances, tasks.consumers, strict=True)
        if row is not None
    }
    return answers[: len(asked)]


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
