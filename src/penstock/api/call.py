"""One call of an operation: who calls, what they may touch, and the errors of the service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from penstock.api.roles import SYSTEM
from penstock.api.seen_runners import SeenRunners
from penstock.data.log_files import LogFiles
from penstock.definition.api_form import values_from_api
from penstock.definition.file_form import parse_definition
from penstock.definition.model import Definition, Values
from penstock.definition.resolve import Resolved, resolve
from penstock.engine.engine import Engine
from penstock.engine.plan import SYSTEM_GROUP, resource_of_group
from penstock.engine.turn import Turn
from penstock.store.rows import AccessKey, Instance, Pipeline, read
from penstock.wire.errors import ServiceError

Request = Mapping[str, Any]
Answer = dict[str, Any]
MOST_GIVEN = 10_000  # parameter values
DEFINITIONS_KEPT = 64
LARGEST_KEPT = 100_000  # characters: what is kept takes some ten times as much memory


@dataclass(frozen=True)
class Call:
    """The engine that serves a call, the key that it was signed with, and what the service keeps beside the store."""

    engine: Engine
    key: AccessKey
    logs: LogFiles
    runners: SeenRunners

    @property
    def by(self) -> str:
        """Who did it, for the records."""
        return self.key.name or self.key.access_key


def invalid(message: str) -> ServiceError:
    """InvalidRequestException."""
    return ServiceError("InvalidRequestException", message)


def given_parameters(request: Request) -> Values:
    """The parameter values of a request; refuses a multitude of them."""
    given = request.get("parameterValues", ())
    if len(given) > MOST_GIVEN:
        raise invalid(f"{len(given):,} parameter values are given; {MOST_GIVEN:,} is the most.")
    return values_from_api(given)


def task_not_found(task_id: str) -> ServiceError:
    """TaskNotFoundException."""
    return ServiceError("TaskNotFoundException", f"There is no task {task_id[:60]}, or another runner has it now.")


def check_worker_group(key: AccessKey, worker_group: str) -> None:
    """A key may poll the worker groups that it was made for; the service's own group is for its own runner."""
    resource = resource_of_group(worker_group)
    if worker_group == SYSTEM_GROUP:
        allowed = key.role == SYSTEM
    else:
        allowed = key.worker_group in (None, worker_group) and (
            resource is None or key.pipeline_id in (None, resource[0])
        )
    if not allowed:
        raise not_for_group(key, worker_group)


def not_for_group(key: AccessKey, worker_group: str) -> ServiceError:
    """AccessDeniedException for a worker group; the text says which one the key is for, and the remedy."""
    only = f"it is for '{key.worker_group}' only" if key.worker_group else "that group is the service's own"
    return ServiceError(
        "AccessDeniedException",
        f"The key {key.access_key}, of the role {key.role}, may not work for the worker group '{worker_group}': {only}."
        f" Poll and report for {'that group' if key.worker_group else 'a group of your own'}, or have an admin make"
        " another key with `penstock keys create --role runner --worker-group NAME`.",
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
    return (_read(row["body"]).definition, bool(row["errored"])) if row else None


def shown_definition(turn: Turn, pipeline: Pipeline) -> Resolved | None:
    """The latest definition, resolved as far as that goes without an activation; None where there is none."""
    row = turn.tx.one("definition_by_version", pipeline_id=pipeline.pipeline_id, version=pipeline.latest_version)
    return _read(row["body"]).resolved if row else None


class _Read:
    """A definition as it is stored, parsed, and resolved when somebody asks for that."""

    def __init__(self, body: str) -> None:
        self.definition = parse_definition(body)

    @cached_property
    def resolved(self) -> Resolved:
        return resolve(self.definition)[0]


_kept = lru_cache(DEFINITIONS_KEPT)(_Read)  # of the same definition come many reads


def _read(body: str) -> _Read:
    return _kept(body) if len(body) <= LARGEST_KEPT else _Read(body)
