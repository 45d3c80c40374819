"""Operations of task runners: poll, report, end, and say that they are alive."""

from __future__ import annotations

import secrets

from penstock.api.call import Answer, Call, Request, check_worker_group, invalid, task_not_found
from penstock.definition.api_form import object_to_api
from penstock.definition.model import PipelineObject
from penstock.engine import attempts, resources
from penstock.engine.evaluation import NotEvaluated, task_objects
from penstock.engine.plan import SYSTEM_GROUP
from penstock.engine.status import move
from penstock.engine.turn import Turn, new_token
from penstock.store.rows import Attempt, Instance, read
from penstock.wire.sigv4 import unknown_access_key

RESOURCE_PREFIX = "resource:"
LONGEST_ERROR = 20_000


def poll_for_task(call: Call, request: Request) -> Answer | None:
    """A task of the worker group, evaluated; None when there is none now, {} when there will be none."""
    group = request["workerGroup"]
    check_worker_group(call.key, group)
    if group.startswith(RESOURCE_PREFIX) and _resource_ends(call, group):
        return {}
    while (waiting := _next_waiting(call, group)) is not None:
        with call.engine.turn(waiting.pipeline_id) as turn:
            taken = attempts.take(turn, waiting, request.get("hostname", ""))
            if taken is None:
                continue
            answer = _task(call, turn, *taken)
            if answer is not None:
                return answer
    return None


def _next_waiting(call: Call, group: str) -> Attempt | None:
    with call.engine.reading() as turn:
        key = turn.tx.one("key_by_id", access_key=call.key.access_key)
        if key is None or key["revoked_at"] is not None:  # while the poll was waiting
            raise unknown_access_key()
        if call.key.pipeline_id is not None:
            row = turn.tx.one(
                "next_waiting_attempt_of_pipeline",
                worker_group=group,
                now=turn.now,
                owner=call.engine.owner,
                pipeline_id=call.key.pipeline_id,
            )
        else:
            row = turn.tx.one("next_waiting_attempt", worker_group=group, now=turn.now, owner=call.engine.owner)
    return read(Attempt, row) if row else None


def _resource_ends(call: Call, group: str) -> bool:
    """A resource's own runner has called: note that it is there; True when it has nothing more to do."""
    pipeline_id = group[len(RESOURCE_PREFIX) :].split("_", 1)[0]
    with call.engine.reading() as turn:
        resource = resources.of_group(turn, pipeline_id, group)
        if resource is not None and resource.status == "RUNNING":
            return False
    with call.engine.turn(pipeline_id) as turn:
        resources.is_ready(turn, pipeline_id, group)
        return resources.must_end(turn, pipeline_id, group)


def _task(call: Call, turn: Turn, attempt: Attempt, instance: Instance) -> Answer | None:
    plan = turn.plan(instance)
    try:
        objects = dict(task_objects(turn, plan, instance, attempt, call.engine.catalogue, call.engine.secrets.reveal))
    except NotEvaluated as error:
        attempts.failed(turn, attempt, attempts.Failure("ExpressionError", str(error)))
        return None
    if instance.family == "Resource":
        objects[attempt.attempt_id] = _with_key(call, turn, objects[attempt.attempt_id], instance)
    return {
        "taskObject": {
            "taskId": attempt.task_id,
            "pipelineId": attempt.pipeline_id,
            "attemptId": attempt.attempt_id,
            "objects": {identity: object_to_api(obj) for identity, obj in objects.items()},
        }
    }


def hand_back(call: Call, task_id: str) -> None:
    """Let another runner have a task at once: the one that polled for it has gone."""
    with call.engine.reading() as turn:
        pipeline_id = _held(call, turn, task_id).pipeline_id
    with call.engine.turn(pipeline_id) as turn:
        attempt = _held(call, turn, task_id)
        moved = move(turn.tx, attempt, "hand back", turn.now, task_id=new_token(), available_at=turn.now)
        instance = turn.instance(attempt.pipeline_id, attempt.instance_id)
        if moved is None or instance is None:
            return
        if instance.family != "Resource":
            move(turn.tx, instance, "hand back", turn.now)
        turn.wake(moved.worker_group)


def _with_key(call: Call, turn: Turn, obj: PipelineObject, instance: Instance) -> PipelineObject:
    """A resource's task carries a key that may work for the resource's own worker group only."""
    group = attempts.resource_group(instance.pipeline_id, instance.instance_id)
    access_key, secret = new_key()
    turn.tx.execute("delete_keys_of_group", pipeline_id=instance.pipeline_id, worker_group=group)
    turn.tx.execute(
        "insert_key",
        access_key=access_key,
        secret=call.engine.secrets.encrypt(secret),
        role="runner",
        name=group,
        owner=call.engine.owner,
        pipeline_id=instance.pipeline_id,
        worker_group=group,
        created_at=turn.now,
    )
    fields = {"@workerGroup": (group,), "@accessKeyId": (access_key,), "*secretAccessKey": (secret,)}
    return PipelineObject(obj.id, obj.name, {**obj.fields, **fields})


def new_key() -> tuple[str, str]:
    """An access key id and a secret, in the lengths that AWS's have."""
    return "AKPS" + secrets.token_hex(8).upper(), secrets.token_urlsafe(30)


def _held(call: Call, turn: Turn, task_id: str) -> Attempt:
    row = turn.tx.one("attempt_by_task", task_id=task_id)
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
    with call.engine.reading() as turn:
        pipeline_id = _held(call, turn, request["taskId"]).pipeline_id
    with call.engine.turn(pipeline_id) as turn:
        attempt = _held(call, turn, request["taskId"])
        return {"canceled": not attempts.report(turn, attempt, fields)}


def set_task_status(call: Call, request: Request) -> Answer:
    """End a task; one that has ended, or was cancelled, stays as it is."""
    status = request["taskStatus"]
    with call.engine.reading() as turn:
        pipeline_id = _held(call, turn, request["taskId"]).pipeline_id
    with call.engine.turn(pipeline_id) as turn:
        attempt = _held(call, turn, request["taskId"])
        if status == "FINISHED":
            attempts.finished(turn, attempt)
        elif status == "FALSE":
            instance = turn.instance(attempt.pipeline_id, attempt.instance_id)
            if instance is None or instance.family != "Precondition":
                raise invalid("Only a precondition's task can be FALSE.")
            attempts.is_false(turn, attempt)
        else:
            failure = attempts.Failure(
                request.get("errorId") or "ActivityFailed",
                (request.get("errorMessage") or "The task runner gave no reason.")[:LONGEST_ERROR],
                request.get("errorStackTrace"),
            )
            attempts.failed(turn, attempt, failure)
    return {}


def report_task_runner_heartbeat(call: Call, request: Request) -> Answer:
    """Note that a runner is alive; `terminate` tells the runner of a resource that it may end."""
    group = request.get("workerGroup", "")
    if group:
        check_worker_group(call.key, group)
    with call.engine.turn() as turn:
        turn.tx.execute(
            "upsert_runner",
            runner_id=request["taskrunnerId"],
            worker_group=group,
            hostname=request.get("hostname", ""),
            now=turn.now,
        )
    is_resource = group.startswith(RESOURCE_PREFIX) and group != SYSTEM_GROUP
    return {"terminate": is_resource and _resource_ends(call, group)}
