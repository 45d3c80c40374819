"""Operations of task runners: poll, report, and say that they are alive; how tasks end is in `ends`."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from penstock.api.call import Answer, Call, Request, check_worker_group, not_for_group, task_not_found
from penstock.clock import to_ms
from penstock.definition.api_form import object_to_api
from penstock.definition.model import PipelineObject
from penstock.engine import attempts, resources
from penstock.engine.engine import Engine
from penstock.engine.evaluation import NotEvaluated, task_objects
from penstock.engine.plan import resource_group, resource_of_group
from penstock.engine.turn import Turn
from penstock.log_lines import about
from penstock.store.database import Reads, Row, Transaction
from penstock.store.keys import insert_key, new_key
from penstock.store.rows import Attempt, Instance, read, read_all
from penstock.wire.sigv4 import unknown_access_key

LOG = logging.getLogger(__name__)
PUT_OFF = 60.0  # seconds
FREE = "waiting_attempts_for_update"  # of pipelines that nobody else works on
NOT_MADE = attempts.Failure("TaskNotMade", "The service could not make the task; its log says why.")  # no secret in it


def poll_for_task(call: Call, request: Request) -> Answer | None:
    """A task of the worker group, evaluated; None when there is none now, {} when there will be none."""
    group = request["workerGroup"]
    check_worker_group(call.key, group)
    call.runners.saw(request.get("hostname", ""), group, call.key.access_key)
    if _resource_ends(call, group):
        return {}
    while True:
        claim = Claim(call, group)
        try:
            with call.engine.turn(claim) as turn:
                if not claim.attempts:
                    return None
                taken = attempts.take_all(turn, claim.attempts, request.get("hostname", ""))
                task = task_object(call, turn, *taken[0]) if taken else None
        except call.engine.store.unavailable:
            raise
        except Exception:  # whatever is wrong with one task, the others of the group must not wait for it
            if not claim.attempts:
                raise
            (waiting,) = claim.attempts
            LOG.exception(
                "The task of %s in %s could not be made",
                waiting.attempt_id,
                waiting.pipeline_id,
                extra=about(waiting.pipeline_id, waiting.attempt_id),
            )
            _set_aside(call, waiting)
            continue
        if task is not None:
            return {"taskObject": task}


class Claim:
    """Finds the attempts that wait longest as the first thing of a transaction, and gives the pipeline to lock.

    On PostgreSQL those of pipelines that nobody works on now come first, so that servers do not wait for each other.
    """

    def __init__(self, call: Call, group: str, most: int = 1, *, is_patient: bool = True) -> None:
        self._call = call
        self._group = group
        self._most = most
        self._is_patient = is_patient or call.engine.store.reads_here  # whether it may wait for a pipeline's lock
        self.attempts: list[Attempt] = []

    def __call__(self, tx: Transaction) -> str | None:
        """The pipeline of the first attempt that was found."""
        query, known = self.question()
        self.attempts = read_all(Attempt, tx.all(query, **known))
        if not self.attempts and self._is_patient and query == FREE:
            query, known = _waiting(self._call, self._group, self._most)
            self.attempts = read_all(Attempt, tx.all(query, **known))
        return self.attempts[0].pipeline_id if self.attempts else None

    def question(self) -> tuple[str, dict[str, Any]]:
        """The query that finds them, and its parameters."""
        if self._call.engine.store.reads_here or self._call.key.pipeline_id is not None:
            return _waiting(self._call, self._group, self._most)  # there is one writer, or one pipeline
        return FREE, _known(self._call, self._group) | {"limit": self._most}


def nothing_waits(call: Call, group: str, hostname: str) -> bool:
    """Whether a poll would find nothing now, as far as a single read can tell."""
    check_worker_group(call.key, group)
    call.runners.saw(hostname, group, call.key.access_key)
    query, known = _waiting(call, group, 1)
    return resource_of_group(group) is None and call.engine.store.one(query, **known) is None


def waiting_groups(engine: Engine) -> set[str]:
    """The worker groups for which tasks wait."""
    with engine.reading() as turn:
        return {row["worker_group"] for row in turn.tx.all("waiting_groups", now=turn.now, owner=engine.owner)}


def _set_aside(call: Call, waiting: Attempt) -> None:
    """End an attempt whose task cannot be made; one whose pipeline cannot even be worked out is put off for a while."""
    try:
        with call.engine.turn(waiting.pipeline_id) as turn:
            attempts.failed(turn, waiting, NOT_MADE)
    except call.engine.store.unavailable:
        raise
    except Exception:
        LOG.exception(
            "%s in %s cannot be ended either; it is put off",
            waiting.attempt_id,
            waiting.pipeline_id,
            extra=about(waiting.pipeline_id, waiting.attempt_id),
        )
        with call.engine.turn(waiting.pipeline_id) as turn:
            available_at = turn.in_seconds(PUT_OFF)
            turn.tx.execute(
                "put_off_attempt",
                pipeline_id=waiting.pipeline_id,
                attempt_id=waiting.attempt_id,
                available_at=available_at,
            )
            turn.due(available_at)


def check_key(call: Call) -> None:
    """For a poll that has waited: its key may have been revoked meanwhile."""
    key = call.engine.store.one("key_by_id", access_key=call.key.access_key)
    if key is None or key["revoked_at"] is not None:
        raise unknown_access_key()


def _known(call: Call, group: str) -> dict[str, Any]:
    return {"worker_group": group, "now": to_ms(call.engine.clock.now()), "owner": call.engine.owner}


def _waiting(call: Call, group: str, most: int) -> tuple[str, dict[str, Any]]:
    known = _known(call, group) | {"limit": most}
    if call.key.pipeline_id is not None:
        return "waiting_attempts_of_pipeline", known | {"pipeline_id": call.key.pipeline_id}
    return "waiting_attempts", known


def _resource_ends(call: Call, group: str) -> bool:
    """For the group of a resource: note that its own runner is there; True when that has nothing more to do."""
    ids = resource_of_group(group)
    if ids is None:
        return False
    with call.engine.reading() as turn:
        row = turn.tx.one("pipeline_by_id", pipeline_id=ids[0])
        if row is not None and row["owner"] != call.engine.owner:
            raise not_for_group(call.key, group)
        resource = turn.instance(*ids)
        if resource is None or resource.status == "RUNNING":
            return resource is None
    with call.engine.turn(ids[0]) as turn:
        resource = turn.instance(*ids)
        if resource is not None:
            resources.is_ready(turn, resource)
        return resource is None or resources.must_end(resource)


def task_object(call: Call, turn: Turn, attempt: Attempt, instance: Instance) -> Answer | None:
    """A task as it is handed out, evaluated; None where it cannot be: it has failed then."""
    plan = turn.plan(instance)
    try:
        objects = dict(task_objects(turn, plan, instance, attempt, call.engine.catalogue, call.engine.secrets.reveal))
    except NotEvaluated as error:
        attempts.failed(turn, attempt, attempts.Failure("ExpressionError", str(error)))
        return None
    if instance.family == "Resource":
        objects[attempt.attempt_id] = _with_key(call, turn, objects[attempt.attempt_id], instance)
    return {
        "taskId": attempt.task_id,
        "pipelineId": attempt.pipeline_id,
        "attemptId": attempt.attempt_id,
        "objects": {identity: object_to_api(obj) for identity, obj in objects.items()},
    }


def hand_back(call: Call, task_id: str, *, is_unused: bool = False) -> None:
    """Let another runner have a task at once: the one that polled for it has gone, or says that it is unused."""
    with task_turn(call, task_id) as (turn, attempt):
        attempts.hand_back(turn, attempt, is_unused=is_unused)


def _with_key(call: Call, turn: Turn, obj: PipelineObject, instance: Instance) -> PipelineObject:
    """A resource's task carries a key that may work for the resource's own worker group only."""
    group = resource_group(instance.pipeline_id, instance.instance_id)
    access_key, secret = new_key()
    turn.tx.execute("delete_keys_of_group", pipeline_id=instance.pipeline_id, worker_group=group)
    insert_key(
        turn.tx,
        call.engine.secrets,
        turn.now,
        access_key,
        secret,
        role="runner",
        name=group,
        owner=call.engine.owner,
        pipeline_id=instance.pipeline_id,
        worker_group=group,
    )
    fields = {"@workerGroup": (group,), "@accessKeyId": (access_key,), "*secretAccessKey": (secret,)}
    return PipelineObject(obj.id, obj.name, {**obj.fields, **fields})


@contextmanager
def task_turn(call: Call, task_id: str) -> Iterator[tuple[Turn, Attempt]]:
    """A turn on the pipeline of a task, with its attempt; TaskNotFoundException where the caller does not hold it."""
    with call.engine.turn(lambda tx: tx.one("pipeline_of_task_for_update", task_id=task_id)) as turn:
        yield turn, held(call, turn.tx, task_id)


def held(call: Call, reads: Reads, task_id: str) -> Attempt:
    """The attempt of a task that the caller holds; TaskNotFoundException where it does not."""
    return of_the_caller(call, task_id, reads.one("attempt_by_task", task_id=task_id))


def of_the_caller(call: Call, task_id: str, row: Row | None) -> Attempt:
    """The row of a task as an attempt; TaskNotFoundException where the caller does not hold it."""
    if row is None or row["owner"] != call.engine.owner:
        raise task_not_found(task_id)
    attempt = read(Attempt, row)
    check_worker_group(call.key, attempt.worker_group)
    if call.key.pipeline_id not in (None, attempt.pipeline_id):
        raise task_not_found(task_id)
    return attempt


def report_task_progress(call: Call, request: Request) -> Answer:
    """Renew the lease and note the fields; `canceled` tells the runner to stop."""
    fields = {field["key"]: field.get("stringValue", "") for field in request.get("fields", ())}
    with task_turn(call, request["taskId"]) as (turn, attempt):
        is_held = attempts.report(turn, attempt, fields)
    call.runners.saw(attempt.hostname or "", attempt.worker_group, call.key.access_key)
    call.runners.write_if_due()
    return {"canceled": not is_held}


def report_task_runner_heartbeat(call: Call, request: Request) -> Answer:
    """`terminate` tells the runner of a resource that it may end; to others there is nothing to say."""
    group = request.get("workerGroup", "")
    if group:
        check_worker_group(call.key, group)
        call.runners.saw(request.get("hostname", ""), group, call.key.access_key)
    return {"terminate": _resource_ends(call, group)}
