"""The store's rows as frozen values; the columns are described in `migrations/`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from penstock.store.database import Row


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A row of pipelines."""

    pipeline_id: str
    name: str
    unique_id: str
    description: str | None
    creator: str
    owner: str
    state: str
    created_at: int
    latest_version: int
    activation: int
    first_activated_at: int | None
    last_activated_at: int | None
    finished_at: int | None


@dataclass(frozen=True, slots=True)
class Activation:
    """A row of activations."""

    pipeline_id: str
    number: int
    version: int
    parameter_values: str
    scheduled_at: int
    start_at: int | None
    activated_at: int
    activated_by: str


@dataclass(frozen=True, slots=True)
class ComponentState:
    """A row of components."""

    pipeline_id: str
    component: str
    next_index: int
    next_start: int | None
    next_due_at: int | None = None
    paused: int = 0
    health: str | None = None
    health_from: str | None = None
    health_at: int | None = None
    latest_run_at: int | None = None
    latest_completed_at: int | None = None
    deactivated_at: int | None = None
    deleted_before: int | None = None


@dataclass(frozen=True, slots=True)
class Backfill:
    """A row of backfills."""

    sequence: int
    pipeline_id: str
    component: str
    next_start: int
    end_start: int
    include_finished: int
    requested_at: int
    due_at: int | None


@dataclass(frozen=True, slots=True)
class Instance:
    """A row of instances."""

    pipeline_id: str
    instance_id: str
    component: str
    node: str
    family: str
    scheduled_start: int
    scheduled_end: int
    activation: int
    status: str
    created_at: int
    started_at: int | None
    ended_at: int | None
    late_at: int | None
    tries_left: int
    attempt_count: int
    is_rerun: int
    error_id: str | None
    error_message: str | None
    error_stack_trace: str | None
    cancellation_reason: str | None
    was_deactivated: int
    cascade_failed_on: str | None

    @property
    def head_attempt(self) -> str | None:
        """The id of the newest attempt."""
        return f"{self.instance_id}_Attempt={self.attempt_count}" if self.attempt_count else None


@dataclass(frozen=True, slots=True)
class Dependency:
    """A row of dependencies."""

    pipeline_id: str
    consumer: str
    kind: str
    producer: str
    producer_node: str
    producer_start: int
    met: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """A row of attempts."""

    pipeline_id: str
    attempt_id: str
    instance_id: str
    number: int
    task_id: str
    worker_group: str
    owner: str
    status: str
    created_at: int
    available_at: int
    expires_at: int | None
    started_at: int | None
    ended_at: int | None
    acknowledged: int
    lease_until: int | None
    ends_at: int | None
    due_at: int | None
    hostname: str | None
    deliveries: int
    reported_at: int | None
    fields: str
    error_id: str | None
    error_message: str | None
    error_stack_trace: str | None


@dataclass(frozen=True, slots=True)
class Event:
    """A row of events."""

    sequence: int
    at: int
    pipeline_id: str
    object_id: str
    sphere: str
    verb: str
    from_status: str
    to_status: str
    detail: str


@dataclass(frozen=True, slots=True)
class AccessKey:
    """A row of access_keys."""

    access_key: str
    secret: str
    role: str
    name: str
    owner: str
    pipeline_id: str | None
    worker_group: str | None
    created_at: int
    revoked_at: int | None


@dataclass(frozen=True, slots=True)
class Alarm:
    """A row of outbox."""

    sequence: int
    pipeline_id: str
    object_id: str
    action: str
    topic: str
    subject: str
    message: str
    created_at: int
    due_at: int
    tries: int
    delivered_to: str
    problem: str


T = TypeVar("T")


def read(cls: type[T], row: Row) -> T:
    """A row as its frozen class."""
    return cls(**dict(row))


def read_all(cls: type[T], rows: list[Row]) -> list[T]:
    """Rows as their frozen class."""
    return [cls(**dict(row)) for row in rows]
