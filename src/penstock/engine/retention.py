"""Deleting old history: instances with what belongs to them, events, versions of definitions and logs, as settings say.

What may go is written down in docs/decisions: what retention may delete. A pass is a row of short transactions with a
rest after each, so nobody waits for it; it is begun anew after a restart, and what one pass leaves the next one finds.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator, Mapping
from dataclasses import replace
from graphlib import TopologicalSorter
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from penstock.clock import to_ms
from penstock.data.file_names import log_folder
from penstock.engine.dependencies import all_of, consumers, producer_of
from penstock.engine.old_logs import delete_logs, delete_old_logs
from penstock.engine.plan import Component, Plan
from penstock.engine.turn import Turn
from penstock.store.rows import ComponentState, Instance, Pipeline, read_all

if TYPE_CHECKING:
    from penstock.engine.engine import Engine

LOG = logging.getLogger(__name__)
EVERY = 3_600_000  # milliseconds from the end of a pass to the next one
REST = 20  # milliseconds after a batch, for others
BATCH_SECONDS = 0.005  # a batch ends when it has taken this long; with its commit others wait some 10 ms
PAGE = 200
NEVER = -(2**62)
DAY = 86_400_000


class Retention:
    """The passes of one engine; `data_dir` is where the logs are, and without one there is no retention."""

    def __init__(self, engine: Engine, data_dir: Path | None) -> None:
        self.engine = engine
        self.settings = engine.settings.retention
        self.data_dir = data_dir
        self._due = 0 if data_dir is not None and self.settings.is_on else None
        self._steps: Iterator[None] | None = None
        self._began = 0.0

    def go_on(self, now: int) -> int | None:
        """Do a batch if one is due; gives the time of the next one."""
        if self._due is None or now < self._due:
            return self._due
        self._began = monotonic()
        if self._steps is None:
            self._steps = self._pass(now)
        try:
            next(self._steps)
            self._due = now + REST
        except StopIteration:
            self._steps, self._due = None, now + EVERY
        except self.engine.store.unavailable:
            self._steps = None  # the next one begins again
            raise
        except Exception:  # history that stays for longer harms nobody
            LOG.exception("Old history could not be deleted; it is tried again in an hour")
            self._steps, self._due = None, now + EVERY
        return self._due

    def _is_enough(self) -> bool:
        return monotonic() - self._began > BATCH_SECONDS

    def _pass(self, now: int) -> Iterator[None]:
        with self.engine.store.snapshot() as tx:
            pipelines = [row["pipeline_id"] for row in tx.all("pipelines_of_owner", owner=self.engine.owner)]
        for pipeline_id in pipelines:
            ended = yield from self._instances(pipeline_id, now)
            yield from self._events(pipeline_id, now, ended)
            if ended > NEVER:
                yield from self._activations(pipeline_id)
            yield from self._versions(pipeline_id)
            if self._is_enough():
                yield
        if self.settings.logs_days and self.data_dir is not None:
            for _ in delete_old_logs(self.data_dir, now - self._days(self.settings.logs_days), self._running()):
                if self._is_enough():
                    yield

    @staticmethod
    def _days(days: float) -> int:
        return int(days * DAY)

    def _instances(self, pipeline_id: str, now: int) -> Generator[None, None, int]:
        """Delete a pipeline's old instances, consumers first; gives when the latest of them had ended."""
        latest = NEVER
        if not self.settings.instances_days and not self.settings.instances_per_component:
            return latest
        with self.engine.reading() as turn:
            if not _is_at_rest(turn, pipeline_id):
                return latest
            plan = turn.plans.find(turn.tx, pipeline_id, turn.pipeline(pipeline_id).activation)
        for component in consumers_first(plan):
            since = NEVER
            while found := self._old(pipeline_id, component, since, now):
                since = found[-1][1]
                waiting = [instance_id for instance_id, _ in found]
                while waiting:
                    deleted = self._delete_some(pipeline_id, plan, waiting)
                    latest = max([latest, *(instance.ended_at or NEVER for instance in deleted)])
                    yield
                if self._is_enough():
                    yield
        return latest

    def _old(self, pipeline_id: str, component: str, since: int, now: int) -> list[tuple[str, int]]:
        """The next instances of a component that are old and that nothing waits for, by id and start."""
        days, most = self.settings.instances_days, self.settings.instances_per_component
        named = {"pipeline_id": pipeline_id, "component": component}
        with self.engine.store.snapshot() as tx:
            newest = tx.one("newest_start", **named)
            beyond = tx.one("start_beyond", **named, most=most) if most else None
            if newest is None or newest["at"] is None:
                return []
            rows = tx.all(
                "old_instances",
                **named,
                since=since,
                newest=newest["at"],
                ended_before=now - self._days(days) if days else NEVER,
                started_until=beyond["at"] if beyond is not None else NEVER,
                limit=PAGE,
            )
        return [(row["instance_id"], row["scheduled_start"]) for row in rows]

    def _delete_some(self, pipeline_id: str, plan: Plan, waiting: list[str]) -> list[Instance]:
        """Take instances from the front of the list until time is up; gives those that were deleted."""
        deleted: list[Instance] = []
        with self.engine.turn(pipeline_id) as turn:
            self._began = monotonic()  # others did not wait while this waited for them
            pipeline = turn.pipeline(pipeline_id)
            rows = turn.tx.all("components_of", pipeline_id=pipeline_id)
            states = {state.component: state for state in read_all(ComponentState, rows)}
            is_same = pipeline.activation == plan.activation.number and _is_at_rest(turn, pipeline_id)
            while waiting:
                instance = turn.instance(pipeline_id, waiting.pop(0))
                if is_same and instance is not None and may_go(turn, pipeline, plan, states, instance):
                    deleted += delete(turn, instance)
                if self._is_enough():
                    break
        if self.data_dir is not None:
            for gone in deleted:
                for number in range(1, gone.attempt_count + 1):
                    attempt = replace(gone, attempt_count=number).head_attempt
                    delete_logs(log_folder(self.data_dir, pipeline_id, str(attempt)))
        return deleted

    def _events(self, pipeline_id: str, now: int, ended: int) -> Iterator[None]:
        """Delete events that are old, and those of deleted instances, of which the latest had ended then."""
        days = self.settings.events_days
        before, sequence = now - self._days(days) if days else NEVER, 0
        while max(before, ended) > NEVER:
            with self.engine.store.snapshot() as tx:
                rows = tx.all("events_with_owners", pipeline_id=pipeline_id, sequence=sequence, limit=PAGE)
            old = [{"sequence": row["sequence"]} for row in rows if row["at"] < before or not row["owners"]]
            if old:
                with self.engine.store.transaction() as tx:
                    tx.execute_many("delete_event", old)
                yield
            if len(rows) < PAGE or rows[-1]["at"] > max(before, ended):
                return
            sequence = rows[-1]["sequence"]
            if self._is_enough():
                yield

    def _activations(self, pipeline_id: str) -> Iterator[None]:
        """Delete activations of which every instance was made and has gone; the latest one stays."""
        with self.engine.reading() as turn:
            used = {row["activation"] for row in turn.tx.all("activations_with_instances", pipeline_id=pipeline_id)}
            rows = turn.tx.all("activation_numbers", pipeline_id=pipeline_id)
            if not rows:
                return  # the pipeline was deleted meanwhile
            plan = turn.plans.find(turn.tx, pipeline_id, rows[-1]["number"])
            states = {row["component"]: row for row in turn.tx.all("components_of", pipeline_id=pipeline_id)}
        made = rows[-1]["number"]
        if plan.is_on_demand:
            made = min((states[name]["next_index"] for name in consumers_first(plan)), default=0)
        waiting = [row["number"] for row in rows[:-1] if row["number"] not in used and row["number"] <= made]
        for first in range(0, len(waiting), PAGE):
            with self.engine.store.transaction() as tx:
                gone = [{"pipeline_id": pipeline_id, "number": number} for number in waiting[first : first + PAGE]]
                tx.execute_many("delete_activation", gone)
            yield

    def _versions(self, pipeline_id: str) -> Iterator[None]:
        """Delete versions of the definition of which no activation is left, but for the newest ones."""
        kept = self.settings.definition_versions
        if not kept:
            return
        with self.engine.store.snapshot() as tx:
            rows = tx.all("unused_versions", pipeline_id=pipeline_id, kept=kept, limit=PAGE)
        if rows:
            with self.engine.turn(pipeline_id) as turn:
                for row in rows:
                    if not turn.tx.one("activation_of_version", pipeline_id=pipeline_id, version=row["version"]):
                        turn.tx.execute("delete_definition", pipeline_id=pipeline_id, version=row["version"])
            yield

    def _running(self) -> set[Path]:
        """The log folders of attempts that are not over, however old their files are."""
        assert self.data_dir is not None
        with self.engine.store.snapshot() as tx:
            rows = tx.all("unended_attempts")
        return {log_folder(self.data_dir, row["pipeline_id"], row["attempt_id"]) for row in rows}


def _is_at_rest(turn: Turn, pipeline_id: str) -> bool:
    """Whether the pipeline was activated and no backfill, which needs old instances, is under way."""
    row = turn.tx.one("pipeline_by_id", pipeline_id=pipeline_id)
    return row is not None and row["activation"] > 0 and not turn.tx.all("backfills_of", pipeline_id=pipeline_id)


def consumers_first(plan: Plan) -> list[str]:
    """The components that have instances of their own, each before those that it waits for."""
    producers = {
        component.id: (*component.producers, *((component.resource,) if component.resource else ()))
        for component in plan.components.values()
        if component.family != "Precondition"
    }
    order = TopologicalSorter(producers).static_order()
    return [name for name in reversed(list(order)) if name in producers]


def may_go(
    turn: Turn, pipeline: Pipeline, plan: Plan, states: Mapping[str, ComponentState], instance: Instance
) -> bool:
    """Whether an old instance is needed by nothing (docs/decisions: what retention may delete)."""
    if instance.ended_at is None or any(state.health_from == instance.instance_id for state in states.values()):
        return False
    if instance.was_deactivated and pipeline.state in ("DEACTIVATING", "INACTIVE"):  # the next activation runs it
        return False
    if plan.is_on_demand:
        if _is_run_unfinished(turn, plan, states, instance):
            return False
    elif any(_will_need(other, states.get(other.id), instance) for other in plan.components.values()):
        return False
    if any(not _is_served_and_over(turn, instance, *row) for row in consumers(turn, instance)):
        return False
    return all(found.ended_at is not None for found in _preconditions(turn, instance))


def _is_run_unfinished(turn: Turn, plan: Plan, states: Mapping[str, ComponentState], instance: Instance) -> bool:
    """On demand: whether something of the instance's activation is active, or is still to be made."""
    named = {"pipeline_id": instance.pipeline_id, "activation": instance.activation}
    active = turn.tx.one("active_in_activation", **named)
    made = (
        states[name].next_index
        for name, component in plan.components.items()
        if component.family != "Precondition" and name in states
    )
    return bool(active and active["n"]) or min(made, default=0) < instance.activation


def _will_need(other: Component, state: ComponentState | None, instance: Instance) -> bool:
    """Whether an instance of another component that is still to be made will wait for this one.

    The next interval counts even where the schedule has ended: a later version may let it go on.
    """
    if state is None or instance.component not in (*other.producers, other.resource):
        return False
    endless = replace(other.intervals, end=None, count=None)
    upcoming = endless.at(state.next_index)
    if upcoming is None:
        return False
    start = to_ms(upcoming[0])
    return instance.scheduled_end > start or instance.scheduled_start >= start


def _is_served_and_over(turn: Turn, instance: Instance, consumer: str, kind: str) -> bool:
    """Whether the row is that of a resource which served the instance and has ended."""
    found = turn.instance(instance.pipeline_id, consumer) if kind == "served" else None
    return found is not None and found.ended_at is not None


def _preconditions(turn: Turn, instance: Instance) -> list[Instance]:
    found = [producer_of(turn, row) for row in all_of(turn, instance) if row.kind == "precondition"]
    return [precondition for precondition in found if precondition is not None]


def delete(turn: Turn, instance: Instance) -> list[Instance]:
    """Delete an instance with its preconditions, attempts and dependencies; gives all instances that have gone."""
    deleted = [*_preconditions(turn, instance), instance]
    for each in deleted:
        named = {"pipeline_id": each.pipeline_id, "instance_id": each.instance_id}
        turn.tx.execute("delete_attempts_of_instance", **named)
        turn.tx.execute("delete_dependencies_of_consumer", pipeline_id=each.pipeline_id, consumer=each.instance_id)
        turn.tx.execute(
            "delete_dependencies_on_producer",
            pipeline_id=each.pipeline_id,
            producer=each.component,
            producer_node=each.node,
            producer_start=each.scheduled_start,
        )
        turn.tx.execute("delete_instance", **named)
    turn.tx.execute(
        "set_deleted_before",
        pipeline_id=instance.pipeline_id,
        component=instance.component,
        at=instance.scheduled_start + 1,
    )
    return deleted
