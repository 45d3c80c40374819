"""One transaction of the engine: what it works with, and what is still to be looked at before it commits."""

from __future__ import annotations

import secrets
from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import timedelta

from penstock.clock import from_ms, to_ms
from penstock.definition.period import Period
from penstock.engine.alarm_targets import TargetsOf, nowhere
from penstock.engine.plan import Component, Plan, Plans
from penstock.engine.status import earliest, move
from penstock.settings import EngineSettings
from penstock.store.database import Row, Transaction
from penstock.store.rows import Instance, Pipeline, read


@dataclass
class Known:
    """What a turn has read ahead, each to be used once: it holds while no more instances have ended than `ends`.

    `consumers` has the rows that name an instance as producer, by pipeline and instance; `to_come` what is to come of a
    component, by pipeline and component.
    """

    ends: int = 0
    consumers: dict[tuple[str, str], list[Row]] = field(default_factory=dict)
    to_come: dict[tuple[str, str], Row] = field(default_factory=dict)


@dataclass
class Turn:
    """A transaction, the moment it happens in, and its follow-ups: `settle` works them off before the commit.

    `ended` holds instances that have just reached a final state, `ready` new ones that wait for nothing and are not
    in the store yet, `checks` others that may be ready, `cursors` components of which more instances may be due,
    `perhaps_over` pipelines that may be finished; of those that are `active`, something was active when the last
    instance had ended. `fresh` has the index and the start of the first interval of new components, which are not
    in the store yet. `ends` counts the instances that have ended. `set_going` counts the instances of a component
    that its schedule and its backfills have set going, `backfilled` are the backfills'.
    `attempts` counts attempts by the status that they were moved to, for metrics.
    `pipelines` holds rows as they are now: whoever changes one takes it out. Those that are `locked` are so since
    before anything was read of them.
    """

    tx: Transaction
    now: int
    plans: Plans
    settings: EngineSettings
    targets_of: TargetsOf = nowhere
    woken: set[str] = field(default_factory=set)
    next_due: int | None = None
    ended: deque[Instance] = field(default_factory=deque)
    ready: deque[Instance] = field(default_factory=deque)
    checks: deque[tuple[str, str]] = field(default_factory=deque)
    cursors: deque[tuple[str, str]] = field(default_factory=deque)
    perhaps_over: set[str] = field(default_factory=set)
    active: set[str] = field(default_factory=set)
    fresh: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    ends: int = 0
    known: Known = field(default_factory=Known)
    pipelines: dict[str, Pipeline] = field(default_factory=dict)
    locked: frozenset[str] = frozenset()
    has_alarms: bool = False
    attempts: Counter[str] = field(default_factory=Counter)
    set_going: Counter[tuple[str, str]] = field(default_factory=Counter)
    backfilled: list[Instance] = field(default_factory=list)
    dependencies: int = 0  # rows that it has made

    def pipeline(self, pipeline_id: str) -> Pipeline:
        """The pipeline's row as it is now."""
        found = self.pipelines.get(pipeline_id)
        if found is None:
            row = self.tx.one("pipeline_by_id", pipeline_id=pipeline_id)
            if row is None:
                raise LookupError(pipeline_id)
            found = self.pipelines[pipeline_id] = read(Pipeline, row)
        return found

    def move_pipeline(self, pipeline: Pipeline, verb: str, detail: str = "") -> Pipeline | None:
        """Move a pipeline's state, if the table allows it; gives the new row, else None."""
        moved = move(self.tx, pipeline, verb, self.now, detail=detail)
        self.pipelines.pop(pipeline.pipeline_id, None)
        return moved

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

    def paused(self, instance: Instance) -> str | None:
        """The component that was told to stand still: the instance's own, or the one that a precondition works for."""
        for name in (instance.node, instance.component):
            row = self.tx.one("component_by_id", pipeline_id=instance.pipeline_id, component=name) if name else None
            if row is not None and row["paused"]:
                return name
        return None

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
