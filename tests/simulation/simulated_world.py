"""A whole service under a clock that is moved by hand: steps are data, and each of them can be replayed alone.

A step is a tuple: a word and what it is about, by names that are the same in each replay (`World.do` lists them).
Tasks are named by their attempt and by how often that was handed out before.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import patch

from story import SYSTEM, Pipe, Story, Task

from penstock.api import backfill, definitions, pipelines, tasks
from penstock.api.ends import end_tasks
from penstock.clock import from_ms, to_ms
from penstock.definition.api_form import definition_to_api
from penstock.definition.file_form import parse_definition
from penstock.engine import retention
from penstock.engine.alarm_targets import Message, NotDelivered, Target
from penstock.engine.delivery import deliver_due
from penstock.engine.engine import AFTER_FAILURE, Engine
from penstock.engine.recovery import recover
from penstock.engine.status import earliest
from penstock.objects import load_catalogue
from penstock.settings import EngineSettings, RetentionSettings, Settings
from penstock.store.database import Row, Store, Transaction
from penstock.store.secrets import Secrets
from penstock.wire.errors import ServiceError

Step = tuple[Any, ...]
Key = tuple[Any, ...]
TABLES = (
    *("outbox", "events", "backfills", "dependencies", "attempts", "instances", "components", "activations"),
    *("definitions", "tags", "access_keys", "pipelines"),
)
OWNER = "story:simulation"
BEGIN = "2024-01-01T00:00:00"
MOST_MOMENTS = 3000  # that a step lets time pass by


class Died(BaseException):
    """The process ends in the middle of a transaction."""


class StoreAway(sqlite3.OperationalError):
    """The database fails a statement; the process lives on."""


class Breaking:
    """A store of which a chosen statement fails; what the transaction had done must then be gone."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.statements_left: int | None = None
        self.error: type[BaseException] = Died
        self.has_broken = False
        self.unavailable = (*store.unavailable, StoreAway)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        if self.statements_left is None:
            with self.store.transaction() as tx:
                yield tx
            return
        before = everything(self.store)
        try:
            with self.store.transaction() as tx:
                yield BreakingTransaction(self, tx)
                self.count()
        except (Died, StoreAway):
            assert everything(self.store) == before, "a transaction that failed has left a trace"
            raise

    def count(self) -> None:
        if self.statements_left is None:
            return
        self.statements_left -= 1
        if self.statements_left < 0:
            self.statements_left, self.has_broken = None, True
            raise self.error

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)  # what only reads


class BreakingTransaction:
    def __init__(self, breaking: Breaking, tx: Transaction) -> None:
        self.breaking, self.tx = breaking, tx

    def __getattr__(self, name: str) -> Any:
        self.breaking.count()
        return getattr(self.tx, name)


def broken(*_: object) -> None:
    """History may stay for longer while the store is away, for no other reason."""
    error = sys.exc_info()[1]
    assert isinstance(error, StoreAway), f"retention has failed: {error!r}"


def rows_of(tx: Transaction, sql: str) -> list[Row]:
    """The rows of a statement of the simulation's own."""
    found: list[Row] = tx.connection.execute(sql).fetchall()  # type: ignore[attr-defined]
    return found


def everything(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables."""
    with store.snapshot() as tx:
        return {
            name: sorted(map(repr, (tuple(dict(row).values()) for row in rows_of(tx, f"SELECT * FROM {name}"))))  # type: ignore[misc]
            for name in TABLES
        }


def empty(store: Store) -> None:
    """Delete all rows, as if the store were new."""
    with store.transaction() as tx:
        for name in TABLES:
            tx.connection.execute(f"DELETE FROM {name}")  # type: ignore[attr-defined]


class World(Story):
    """The service with its pipelines, and what its task runners hold."""

    def __init__(self, store: Store, folder: Path, options: Mapping[str, Any], given: list[list[Any]]) -> None:
        empty(store)
        self.breaking = Breaking(store)
        self.options = options
        super().__init__(self.breaking, folder, BEGIN)
        self.definitions = given
        self.pipes: list[Pipe] = []
        self.versions: dict[tuple[str, int], Any] = {}
        self.put = [0] * len(given)  # the versions that were put last; none comes back
        self.held: dict[tuple[int, str, int], Task] = {}
        self.hosts: dict[tuple[int, str, int], str] = {}
        self.asleep: set[str] = set()
        self.sent: list[Message] = []
        self.has_delivery_failed = count()
        self.deleted: set[str] = set()
        self.is_failing = False  # what was due has failed, and is tried again in a second
        for number in range(len(given)):
            pipeline_id = f"df-SIMULATION0000000{number:04}"
            with self.engine.turn() as turn:
                turn.tx.execute(
                    "insert_pipeline",
                    pipeline_id=pipeline_id,
                    name="simulated",
                    unique_id=str(number),
                    description=None,
                    creator="tester",
                    owner=self.owner,
                    created_at=turn.now,
                )
            self.pipes.append(Pipe(self, pipeline_id))
            self._put(number, 0)

    def new_engine(self, folder: Path, **settings: Any) -> Engine:
        """An engine that knows only what the store holds."""
        self.owner = OWNER
        chosen = Settings(
            engine=EngineSettings(**self.options.get("engine", {})),
            retention=RetentionSettings(**self.options.get("retention", {})),
        )
        ticks = count()
        engine = Engine(self.breaking, load_catalogue(), self.clock, chosen, Secrets(folder), OWNER, folder / "data")
        if self.options.get("delivery"):
            engine.targets_of = lambda topic: [Target("receiver", self._receive)]
        self.ticks = lambda: next(ticks) * 0.002  # retention ends a batch by the time that it has taken
        return engine

    def _receive(self, message: Message) -> None:
        if next(self.has_delivery_failed) % 3 == 1:
            raise NotDelivered("nobody is there")
        self.sent.append(message)

    @property
    def now(self) -> int:
        return to_ms(self.clock.moment)

    def do(self, step: Step) -> None:
        """Do one step; what the service refuses is refused."""
        word, *about = step
        with patch.object(retention, "monotonic", self.ticks), patch.object(retention.LOG, "exception", broken):
            try:
                getattr(self, f"_{word}")(*about)
            except ServiceError:
                pass
            except StoreAway:
                self.asleep.clear()  # the polls that waited had an error, and ask again

    def _note_wakes(self) -> None:
        self.asleep -= set(self.woken)
        self.woken.clear()

    # time

    def _tick(self) -> None:
        """The engine's loop does what is due."""
        self.engine._next_due = None
        try:
            upcoming = self.engine.run_due()
        except StoreAway:
            upcoming = self.now + AFTER_FAILURE
        self.is_failing = self.breaking.has_broken
        self.breaking.has_broken = False
        self.engine._next_due = earliest(self.engine._next_due, upcoming)
        deliver_due(self.engine)
        self._note_wakes()

    def _sleep(self, seconds: float) -> None:
        """Time passes while the engine does nothing."""
        self.clock.moment += timedelta(seconds=seconds)

    def _next(self) -> None:
        """Time passes to the next moment that the engine sleeps for."""
        due = self.engine._next_due
        if due is not None and due > self.now:
            self.clock.moment = from_ms(due)
        self._tick()

    def _pass(self, seconds: float) -> None:
        """Time passes, and what becomes due on the way is done when it is due."""
        target = self.clock.moment + timedelta(seconds=seconds)
        for _ in range(MOST_MOMENTS):
            self._tick()
            due = self.engine._next_due
            if due is None or from_ms(due) > target:
                break
            self.clock.moment = max(self.clock.moment, from_ms(due))
        else:
            raise AssertionError("the engine never comes to rest")
        self.clock.moment = target
        self._tick()

    # task runners

    def _poll(self, group: str, host: str = "host-1") -> None:
        """A task runner asks for a task, and waits for one if there is none."""
        role = "system" if group == SYSTEM else "runner"
        answer = tasks.poll_for_task(self.call(role), {"workerGroup": group, "hostname": host})
        self._note_wakes()
        if answer is None:
            self.asleep.add(group)
        elif answer:
            self._hold(answer["taskObject"], host)

    def _hold(self, made: Mapping[str, Any], host: str) -> None:
        number = next(n for n, pipe in enumerate(self.pipes) if pipe.id == made["pipelineId"])
        before = sum(key[:2] == (number, made["attemptId"]) for key in self.held)
        self.held[number, made["attemptId"], before] = Task(made["taskId"], made["attemptId"], made["objects"])
        self.hosts[number, made["attemptId"], before] = host

    def group_of(self, number: int, instance_id: str) -> str:
        return f"resource:{self.pipes[number].id}_{instance_id}"

    def _poll_on(self, number: int, instance_id: str) -> None:
        """The task runner of a resource asks for a task."""
        self._poll(self.group_of(number, instance_id))

    def _heartbeat(self, number: int, instance_id: str) -> None:
        group = self.group_of(number, instance_id)
        beat = {"taskrunnerId": "runner", "workerGroup": group, "hostname": "host-1"}
        tasks.report_task_runner_heartbeat(self.call("runner"), beat)
        self._note_wakes()

    def _report(self, number: int, attempt_id: str, delivery: int) -> None:
        task = self.held.get((number, attempt_id, delivery))
        if task is not None:
            self.report(task)

    def _end(self, number: int, attempt_id: str, delivery: int, status: str) -> None:
        task = self.held.get((number, attempt_id, delivery))
        if task is None:
            return
        is_stale = not self._holds(task)
        before = everything(self.store) if is_stale else {}
        try:
            self.end(task, status)
        finally:
            if is_stale:
                assert everything(self.store) == before, f"a lost lease has changed something: {attempt_id}"
        self._note_wakes()

    def _end_together(self, group: str, host: str, count: int, ends: Sequence[Key], returned: Sequence[Key]) -> None:
        """A task runner of our own ends tasks, gives others back, and takes so many next ones.

        Of `ends` each has the status besides the task's name.
        """
        known = [(self.held[*end[:3]], end[3]) for end in ends if end[:3] in self.held]
        request = {
            "ends": [{"taskId": task.task_id, "taskStatus": status} for task, status in known],
            "returned": [self.held[key].task_id for key in returned if key in self.held],
            "workerGroup": group,
            "hostname": host,
            "taskCount": count,
        }
        answer = end_tasks(self.call("system" if group == SYSTEM else "runner"), request)
        self._note_wakes()
        for made in answer["taskObjects"]:
            self._hold(made, host)

    def _holds(self, task: Task) -> bool:
        with self.store.snapshot() as tx:
            row = tx.one("attempt_by_task", task_id=task.task_id)
        return row is not None and row["status"] == "RUNNING"

    def _hand_back(self, number: int, attempt_id: str, delivery: int) -> None:
        """The connection of a poll was cut before its answer was read."""
        task = self.held.get((number, attempt_id, delivery))
        with self.store.snapshot() as tx:
            row = None if task is None else tx.one("attempt_by_task", task_id=task.task_id)
        if task is not None and row is not None and row["status"] == "RUNNING" and not row["acknowledged"]:
            tasks.hand_back(self.call("system"), task.task_id)
            self._note_wakes()

    # people

    def _put(self, number: int, version: int) -> None:
        pipe = self.pipes[number]
        if version < len(self.definitions[number]):
            definition = parse_definition(json.dumps(self.definitions[number][version]))
            request = {"pipelineId": pipe.id, **definition_to_api(definition)}
            definitions.put_pipeline_definition(self.call(), request)  # with errors, it cannot be activated
            with self.store.snapshot() as tx:
                row = tx.one("pipeline_by_id", pipeline_id=pipe.id)
            assert row is not None
            self.put[number] = version
            self.versions[pipe.id, row["latest_version"]] = self.definitions[number][version]

    def _activate(self, number: int, start: int | None, word: str | None) -> None:
        """Activate, from some hours after the beginning of the story if they are given."""
        at = None if start is None else f"2024-01-{1 + start // 24:02}T{start % 24:02}:00:00"
        self.pipes[number].activate(at, **({} if word is None else {"myWord": word}))
        self._note_wakes()

    def _deactivate(self, number: int, cancel_active: bool) -> None:
        self.clock.moment += timedelta(milliseconds=1)  # two of them at one moment would be one
        self.pipes[number].deactivate(cancel_active=cancel_active)
        self._note_wakes()

    def _set_status(self, number: int, verb: str, *ids: str) -> None:
        self.pipes[number].set_status(verb, *ids)
        self._note_wakes()

    def _backfill(self, number: int, first: int, hours: int, components: Sequence[str], is_all: bool) -> None:
        start = self.begin + timedelta(hours=first)
        request = {"pipelineId": self.pipes[number].id, "includeFinished": is_all, "components": list(components)}
        backfill.backfill_range(self.call(), {**request, "startTime": start, "endTime": start + timedelta(hours=hours)})
        self._note_wakes()

    @property
    def begin(self) -> Any:
        return from_ms(1_704_067_200_000)

    def _stop_backfills(self, number: int) -> None:
        backfill.stop_backfills(self.call(), {"pipelineId": self.pipes[number].id})

    def _delete(self, number: int) -> None:
        pipelines.delete_pipeline(self.call(), {"pipelineId": self.pipes[number].id})
        self.deleted.add(self.pipes[number].id)
        self._note_wakes()

    # the machine

    def _restart(self) -> None:
        """The service ends and starts: what it had in memory is gone."""
        self.engine = self.new_engine(self.folder)
        self.engine.on_wake = self.woken.extend
        self.asleep.clear()
        self.woken.clear()
        recover(self.engine, "host-1")
        self._tick()

    def _recover(self) -> None:
        recover(self.engine, "host-1")
        self._note_wakes()

    def _break(self, statements: int, dies: bool, step: Step) -> None:
        """A step in which a statement fails: the process dies with it, or lives on."""
        self.breaking.has_broken = False
        self.breaking.statements_left, self.breaking.error = statements, Died if dies else StoreAway
        try:
            word, *about = step
            getattr(self, f"_{word}")(*about)
        except (Died, StoreAway) as error:
            self.breaking.statements_left = None
            if isinstance(error, Died) or step[0] in ("restart", "recover"):
                self._restart()
            else:
                raise
        finally:
            self.breaking.statements_left = None
            self._note_wakes()
