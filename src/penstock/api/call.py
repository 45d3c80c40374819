"""One call of an operation: who calls, what they may touch, and the errors of the service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from penstock.definition.file_form import parse_definition
from penstock.definition.model import Definition
from penstock.engine.engine import Engine
from penstock.engine.plan import SYSTEM_GROUP, resource_of_group
from penstock.engine.turn import Turn
from penstock.store.rows import AccessKey, Instance, Pipeline, read
from penstock.wire.errors import ServiceError

Request = Mapping[str, Any]
Answer = dict[str, Any]
RUNNER_OPERATIONS = ("PollForTask", "ReportTaskProgress", "SetTaskStatus", "ReportTaskRunnerHeartbeat")


@dataclass(frozen=True)
class Call:
    """The engine that serves a call, and the key that it was signed with."""

    engine: Engine
    key: AccessKey

    @property
    def by(self) -> str:
        """Who did it, for the records."""
        return self.key.name or self.key.access_key


def invalid(message: str) -> ServiceError:
    """InvalidRequestException."""
    return ServiceError("InvalidRequestException", message)


def task_not_found(task_id: str) -> ServiceError:
    """TaskNotFoundException."""
    return ServiceError("TaskNotFoundException", f"There is no task {task_id[:60]}, or another runner has it now.")


def check_operation(key: AccessKey, operation: str) -> None:
    """A runner's key may only poll and report."""
    if key.role in ("runner", "system") and operation not in RUNNER_OPERATIONS:
        raise ServiceError(
            "AccessDeniedException",
            f"The key {key.access_key} has the role {key.role}, which may not {operation}.",
        )


def check_worker_group(key: AccessKey, worker_group: str) -> None:
    """A key may poll the worker groups that it was made for; the service's own group is for its own runner."""
    resource = resource_of_group(worker_group)
    if worker_group == SYSTEM_GROUP:
        allowed = key.role == "system"
    else:
        allowed = key.worker_group in (None, worker_group) and (
            resource is None or key.pipeline_id in (None, resource[0])
        )
    if not allowed:
        raise not_for_group(key, worker_group)


def not_for_group(key: AccessKey, worker_group: str) -> ServiceError:
    """AccessDeniedException for a worker group."""
    return ServiceError(
        "AccessDeniedException", f"The key {key.access_key} may not work for the worker group '{worker_group}'."
    )


def find_pipeline(call: Call, turn: Turn, pipeline_id: str) -> Pipeline:
    """A pipeline that the caller may touch; PipelineNotFoundException or PipelineDeletedException."""
    row = turn.tx.one("pipeline_by_id", pipeline_id=pipeline_id)
    if row is None or (call.key.owner and row["owner"] != call.key.owner):
        raise ServiceError("PipelineNotFoundException", f"Pipeline with id: {pipeline_id} does not exist")
    pipeline = read(Pipeline, row)
    if pipeline.state == "DELETING":
        raise ServiceError("PipelineDeletedException", f"Pipeline with id: {pipeline_id} does not exist")
    return pipeline


def find_instance(turn: Turn, pipeline_id: str, object_id: str) -> Instance | None:
    """The instance of an id, if it is one."""
    return turn.instance(pipeline_id, object_id) if object_id.startswith("@") else None


def active_version(turn: Turn, pipeline: Pipeline) -> int:
    """The version of the latest activation; 0 before the first."""
    if not pipeline.activation:
        return 0
    row = turn.tx.one("activation_by_number", pipeline_id=pipeline.pipeline_id, number=pipeline.activation)
    return int(row["version"]) if row else 0


def stored_definition(turn: Turn, pipeline_id: str, version: int) -> tuple[Definition, bool] | None:
    """A stored definition, secrets encrypted, and whether it has errors."""
    row = turn.tx.one("definition_by_version", pipeline_id=pipeline_id, version=version)
    return (parse_definition(row["body"]), bool(row["errored"])) if row else None
