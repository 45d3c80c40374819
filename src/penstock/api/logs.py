"""The logs of attempts, of the service model `penstock`: task runners write them, everybody else reads them."""

from __future__ import annotations

from pathlib import Path

from penstock.api.call import Answer, Call, Request, find_instance, find_pipeline, invalid
from penstock.api.object_fields import instance_object
from penstock.api.tasks import held
from penstock.data.file_names import log_uri
from penstock.data.log_files import CHUNK, Part
from penstock.data.storage import StorageError
from penstock.engine.turn import Turn
from penstock.store.rows import Attempt, Instance, read
from penstock.wire.errors import ServiceError

LAST_WORDS = 30_000  # milliseconds after an attempt was ended from outside: its runner has yet to hear of it


def write_log(call: Call, request: Request) -> Answer:
    """Keep what a task has added to one of its logs; a task that has lost its lease is TaskNotFoundException."""
    attempt = held(call, call.engine.store, request["taskId"])
    folder = _folder(call, attempt)
    try:
        size, is_more_wanted = call.logs.write(
            folder, request["taskId"], request["name"], request["offset"], request["content"]
        )
    except OSError as error:
        message = f"The logs of {attempt.attempt_id} cannot be kept: {error.strerror}."
        raise ServiceError("InternalServiceError", message, 500) from error
    return {"size": size, "isMoreWanted": is_more_wanted, "isThere": call.logs.has_own(folder, request["taskId"])}


def read_log(call: Call, request: Request) -> Answer:
    """A part of a log: of a file of the service, else of what the task runner put under pipelineLogUri."""
    name, offset, limit = request["name"], request.get("offset", 0), request.get("limit", CHUNK)
    with call.engine.reading() as turn:
        instance, attempt = _attempt(call, turn, request["pipelineId"], request["objectId"])
        is_over = _is_over(attempt, turn.now)  # before the log is read: what it has then is all of it
        folder = _folder(call, attempt)
        uri = _uri(turn, instance, attempt) if not folder.is_dir() else None
    try:
        part = call.logs.read(folder, name, offset, limit)
        if part is None and uri is not None:
            part = call.logs.read_stored(uri, name, offset, limit)
            if part is None and is_over and not call.logs.stored_names(uri):
                raise _nowhere(attempt, uri)
    except OSError as error:
        raise invalid(f"The log {name} of {attempt.attempt_id} cannot be read: {error.strerror}.") from error
    except StorageError as error:
        if is_over:
            raise invalid(str(error)) from error
        part = None
    if part is None:
        if is_over and uri is None and attempt.status != "FINISHED":
            raise _nowhere(attempt, uri)
        part = Part(b"", None, offset, True)
    return {
        "attemptId": attempt.attempt_id,
        "content": part.content,
        "size": part.size,
        "nextOffset": part.next_offset,
        "isComplete": is_over and part.is_end,
    }


def list_logs(call: Call, request: Request) -> Answer:
    """Which logs there are of an attempt, or of an instance's last one."""
    with call.engine.reading() as turn:
        instance, attempt = _attempt(call, turn, request["pipelineId"], request["objectId"])
        is_over = _is_over(attempt, turn.now)
        uri = _uri(turn, instance, attempt)
    answer: Answer = {"attemptId": attempt.attempt_id, "isEnded": is_over, "uri": uri}
    sizes = call.logs.names(_folder(call, attempt))
    if sizes is not None:
        return {**answer, "logs": [{"name": name, "size": size} for name, size in sizes.items()]}
    try:
        stored = call.logs.stored_names(uri) if uri else []
    except StorageError as error:
        raise invalid(str(error)) from error
    if is_over and not stored and (attempt.status != "FINISHED" or uri is not None):
        raise _nowhere(attempt, uri)
    return {**answer, "logs": [{"name": name} for name in stored]}


def _attempt(call: Call, turn: Turn, pipeline_id: str, object_id: str) -> tuple[Instance, Attempt]:
    """The attempt of an id, or the last one of an instance."""
    pipeline = find_pipeline(call, turn, pipeline_id)
    instance = find_instance(turn, pipeline_id, object_id)
    if instance is not None and not instance.head_attempt:
        raise invalid(f"{object_id} has no logs, as it was never tried: it is {instance.status}.")
    attempt_id = (instance.head_attempt if instance is not None else None) or object_id
    row = turn.tx.one("attempt_by_id", pipeline_id=pipeline_id, attempt_id=attempt_id)
    instance = turn.instance(pipeline_id, row["instance_id"]) if row is not None else None
    if row is None or instance is None:
        raise invalid(f"'{object_id}' is no instance and no attempt of {pipeline.pipeline_id}.")
    return instance, read(Attempt, row)


def _folder(call: Call, attempt: Attempt) -> Path:
    return call.logs.folder(attempt.pipeline_id, attempt.attempt_id)


def _uri(turn: Turn, instance: Instance, attempt: Attempt) -> str | None:
    """Where the task runner puts the logs of an attempt; the URI is evaluated for its instance."""
    values = instance_object(turn, instance, evaluate=True).fields.get("pipelineLogUri", ())
    given = next((value for value in values if isinstance(value, str)), None)
    return log_uri(given, attempt.pipeline_id, instance.component, instance.instance_id, attempt.attempt_id)


def _is_over(attempt: Attempt, now: int) -> bool:
    """Whether an attempt has ended, and its runner sends nothing more.

    A runner sends everything before it says how a task ended. One whose task was ended from outside hears of that when
    it reports, and sends its last words then.
    """
    if attempt.ended_at is None:
        return False
    return attempt.status in ("FINISHED", "FAILED") or attempt.started_at is None or now > attempt.ended_at + LAST_WORDS


def _nowhere(attempt: Attempt, uri: str | None) -> ServiceError:
    place = f"there is nothing under {uri}/" if uri else "the pipeline has no pipelineLogUri"
    return invalid(
        f"The service has no logs of {attempt.attempt_id}: its task runner sent none, and {place}."
        " They are in the data directory of that runner, if it keeps any."
    )
