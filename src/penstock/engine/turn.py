"""One transaction of the engine: what it works with, and what is still to be looked at before it commits."""

from __future__ import annotations

import secrets
from collections import deque
from dataclasses import dataclass, field
from datetime import timedelta

from penstock.clock import from_ms, to_ms
from penstock.definition.period import Period
from penstock.engine.plan import Component, Plan, Plans
from penstock.engine.status import earliest
from penstock.settings import EngineSettings
from penstock.store.database import Transaction
from penstock.store.rows import Instance, Pipeline, read


@dataclass
class Turn:
    """A transaction, the moment it happens in, and its follow-ups: `settle` works them off before the commit.

    `ended` holds instances that have just reached a final state, `checks` instances that may be ready, `cursors`
    components of which more instances may be due, `perhaps_over` pipelines that may be finished.
    """

    tx: Transaction
    now: int
    plans: Plans
    settings: EngineSettings
    woken: set[str] = field(default_factory=set)
    next_due: int | None = None
    ended: deque[Instance] = field(default_factory=deque)
    checks: deque[tuple[str, str]] = field(default_factory=deque)
    cursors: deque[tuple[str, str]] = field(default_factory=deque)
    perhaps_over: set[str] = field(default_factory=set)

    def pipeline(self, pipeline_id: str) -> Pipeline:
        """The pipeline's row as it is now."""
        row = self.tx.one("pipeline_by_id", pipeline_id=pipeline_id)
        if row is None:
            raise LookupError(pipeline_id)
        return read(Pipeline, row)

    def plan(self, instance: Instance) -> Plan:
        """The plan that the instance belongs to."""
        return self.plans.of(self.tx, instance)

    def component(self, instance: Instance) -> Component | None:
        """The instance's component; None where a later version dropped it."""
        return self.plan(instance).components.get(instance.component)

    def instance(self, pipeline_id: str, instance_id: str) -> Instance | None:
        """An instance as it is now."""
        row = self.tx.one("instance_by_id", pipeline_id=pipeline_id, instance_id=instance_id)
        return read(Instance, row) if row else None

    def is_paused(self, instance: Instance) -> bool:
        """Whether the instance's component was told to stand still; a precondition's is the one that it works for."""
        name = instance.node or instance.component
        row = self.tx.one("component_by_id", pipeline_id=instance.pipeline_id, component=name)
        return row is not None and bool(row["paused"])

    def instance_at(self, pipeline_id: str, component: str, node: str, start: int) -> Instance | None:
        """The instance of a component at a scheduled start."""
        row = self.tx.one(
            "instance_by_key", pipeline_id=pipeline_id, component=component, node=node, scheduled_start=start
        )
        return read(Instance, row) if row else None

    def check(self, pipeline_id: str, instance_id: str) -> None:
        """Look at an instance before the transaction ends: it may be ready."""
        self.checks.append((pipeline_id, instance_id))

    def advance(self, pipeline_id: str, component: str) -> None:
        """Look at a component's schedule before the transaction ends: more instances may be due."""
        self.cursors.append((pipeline_id, component))

    def wake(self, worker_group: str) -> None:
        """Wake a task runner that waits for this group once the transaction has committed."""
        self.woken.add(worker_group)

    def due(self, moment: int | None) -> None:
        """Have the loop look again at this time, or earlier."""
        self.next_due = earliest(self.next_due, moment)

    def after(self, period: Period | None, start: int | None = None) -> int | None:
        """The time a period after `start` (now, if not given)."""
        if period is None:
            return None
        try:
            return to_ms(period.after(from_ms(self.now if start is None else start), 1))
        except (OverflowError, ValueError):
            return None

    def in_seconds(self, seconds: float) -> int:
        """The time some seconds from now."""
        return to_ms(from_ms(self.now) + timedelta(seconds=seconds))


def new_token() -> str:
    """A task's id: nobody can guess it, so it proves who holds the lease."""
    return secrets.token_urlsafe(32)
