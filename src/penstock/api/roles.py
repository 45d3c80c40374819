"""Which role may call which operation: one table for both service models."""

from __future__ import annotations

from collections.abc import Mapping

from penstock.store.rows import AccessKey
from penstock.wire.errors import ServiceError

SYSTEM = "system"
"""The role of the service's own runner; no operation makes a key of it."""

_READS = ("viewer", "operator", "admin")
_OPERATES = ("operator", "admin")
_POLLS = ("runner", SYSTEM, "admin")
_ADMINISTERS = ("admin",)

ROLES_OF_OPERATIONS: Mapping[str, tuple[str, ...]] = {
    # AWS Data Pipeline
    "ListPipelines": _READS,
    "DescribePipelines": _READS,
    "GetPipelineDefinition": _READS,
    "ValidatePipelineDefinition": _READS,
    "DescribeObjects": _READS,
    "QueryObjects": _READS,
    "EvaluateExpression": _READS,
    "CreatePipeline": _OPERATES,
    "PutPipelineDefinition": _OPERATES,
    "ActivatePipeline": _OPERATES,
    "DeactivatePipeline": _OPERATES,
    "DeletePipeline": _OPERATES,
    "AddTags": _OPERATES,
    "RemoveTags": _OPERATES,
    "SetStatus": _OPERATES,
    "PollForTask": _POLLS,
    "ReportTaskProgress": _POLLS,
    "SetTaskStatus": _POLLS,
    "ReportTaskRunnerHeartbeat": _POLLS,
    # Our own
    "PreviewIntervals": _READS,
    "DescribeProgress": _READS,
    "ListEvents": _READS,
    "ExplainWaiting": _READS,
    "ListVersions": _READS,
    "ListRunners": _READS,
    "ReadLog": _READS,
    "ListLogs": _READS,
    "BackfillRange": _OPERATES,
    "StopBackfills": _OPERATES,
    "SendTestAlarm": _OPERATES,
    "EndTasks": _POLLS,
    "WriteLog": _POLLS,
    "CreateKey": _ADMINISTERS,
    "ListKeys": _ADMINISTERS,
    "RevokeKey": _ADMINISTERS,
}
"""The roles that may call an operation, the one that may do least first. What is not listed only an admin may call."""


def roles_for(operation: str) -> tuple[str, ...]:
    """The roles that may call an operation."""
    return ROLES_OF_OPERATIONS.get(operation, _ADMINISTERS)


def check_operation(key: AccessKey, operation: str) -> None:
    """AccessDeniedException where the role of the key may not call the operation."""
    allowed = roles_for(operation)
    if key.role in allowed:
        return
    people = [role for role in allowed if role != SYSTEM]
    others, last = people[:-1], people[-1]
    may = f"{', '.join(others)} and {last}" if others else last
    raise ServiceError(
        "AccessDeniedException",
        f"The key {key.access_key} has the role {key.role}, which may not {operation}; {may} may."
        f" Sign with such a key: an admin makes one with `penstock keys create --role {people[0]}`.",
    )
