"""The engine: turns on the store, and the loop that does what is due."""

from __future__ import annotations

import json
import logging
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

from penstock.clock import Clock, to_ms
from penstock.definition.slots import Catalogue
from penstock.engine import absence, lateness, materialise, timeouts
from penstock.engine.alarm_targets import TargetsOf, nowhere
from penstock.engine.measures import Measures
from penstock.engine.plan import Plans
from penstock.engine.retention import Retention
from penstock.engine.settle import settle
from penstock.engine.status import earliest
from penstock.engine.turn import Turn
from penstock.log_lines import about
from penstock.settings import Settings
from penstock.store.database import Row, Store, Transaction
from penstock.store.rows import Pipeline, read
from penstock.store.secrets import Secrets

LOG = logging.getLogger(__name__)
LONGEST_SLEEP = 30.0
PIPELINES_AT_ONCE = 20
AFTER_FAILURE = FOLLOWING = 1000  # milliseconds
SOON = 30_000  # milliseconds; the server that runs the clock looks at least that often by itself
LONGEST_MESSAGE = 7900  # PostgreSQL sends less than 8,000 bytes


class Engine:
    """Decides what happens next for the pipelines of one owner: those of servers (''), or those of one run."""

    def __init__(
        self,
        store: Store,
        catalogue: Catalogue,
        clock: Clock,
        settings: Settings,
        secrets: Secrets,
        owner: str = "",
        data_dir: Path | None = None,
    ) -> None:
        self.store = store
        self.catalogue = catalogue
        self.clock = clock
        self.settings = settings
        self.secrets = secrets
        self.owner = owner
        self.plans = Plans(catalogue, settings.engine)
        self.name = uuid.uuid4().hex
        self.on_wake: Callable[[set[str] | None], None] = lambda groups: None  # None: any group
        self.on_alarm: Callable[[], None] = lambda: None
        self.targets_of: TargetsOf = nowhere
        self.measures = Measures()
        self.retention = Retention(self, data_dir)
        self._presence = absence.Presence()
        self._condition = threading.Condition()
        self._next_due: int | None = None
        self._seen = 0
        self._stopped = False

    @contextmanager
    def turn(self, of: str | Callable[[Transaction], str | Row | None] | None = None) -> Iterator[Turn]:
        """A transaction with its follow-ups; give the pipeline that it is about, so that others wait for it.

        Or a function that finds the pipeline as the first thing in the transaction: its id, or its row, locked.
        """
        began = perf_counter()
        pipeline_id = of if isinstance(of, str) else None
        try:
            with self.store.transaction() as tx:
                found = of(tx) if callable(of) else of
                locked = tx.one("pipeline_for_update", pipeline_id=found) if isinstance(found, str) else found
                pipeline_id = locked["pipeline_id"] if locked is not None else pipeline_id
                turn = Turn(tx, to_ms(self.clock.now()), self.plans, self.settings.engine, self.targets_of)
                if locked is not None:
                    turn.pipelines[locked["pipeline_id"]] = read(Pipeline, locked)
                    turn.locked = frozenset((locked["pipeline_id"],)) if not isinstance(found, str) else turn.locked
                try:
                    yield turn
                    settle(turn)
                    self._announce(turn)
                except BaseException:
                    self._forget(pipeline_id)  # while nobody else can make the activation that is undone now
                    raise
        except BaseException:
            self._forget(pipeline_id)  # the commit itself may have failed
            raise
        self.measures.turn(perf_counter() - began, turn.attempts)
        if turn.woken:
            self.on_wake(turn.woken)
        if turn.has_alarms:
            self.on_alarm()
        self._nudge(turn.next_due)

    def _forget(self, pipeline_id: str | None) -> None:
        """Drop the plans of a turn that was undone: it may have made an activation; one of no pipeline makes none."""
        if pipeline_id is not None:
            self.plans.forget(pipeline_id)

    @contextmanager
    def reading(self) -> Iterator[Turn]:
        """A turn that only reads."""
        with self.store.snapshot() as tx:
            yield Turn(tx, to_ms(self.clock.now()), self.plans, self.settings.engine)

    def _nudge(self, due: int | None) -> None:
        if due is None:
            return
        with self._condition:
            if self._next_due is None or due < self._next_due:
                self._next_due = due
                self._condition.notify()

    def _announce(self, turn: Turn) -> None:
        """Have other servers on the store hear what this one is about to know."""
        due = turn.next_due if turn.next_due is not None and turn.next_due < turn.now + SOON else None
        if turn.woken or due is not None:
            message = json.dumps({"from": self.name, "groups": sorted(turn.woken), "due": due})
            if len(message) > LONGEST_MESSAGE:
                message = json.dumps({"from": self.name, "groups": None, "due": due})
            turn.tx.announce(message)

    def hear(self, message: str | None) -> None:
        """Take in what another server on the store has announced; None: some of it was lost."""
        said: dict[str, Any] = json.loads(message) if message else {"from": "", "groups": None, "due": 0}
        if said["from"] != self.name:
            self.on_wake(None if said["groups"] is None else set(said["groups"]))
            self._nudge(said["due"])

    def run_due(self) -> int | None:
        """Do everything that is due now; gives the time when something is due next.

        A pipeline whose turn fails holds up no other one: the failure is logged, and tried again a little later.
        """
        failed: set[str] = set()
        while pipelines := [identity for identity in self._due_pipelines(len(failed)) if identity not in failed]:
            for pipeline_id in pipelines:
                try:
                    self._do_due(pipeline_id)
                except self.store.unavailable as error:
                    LOG.warning("What was due in the pipeline %s has to wait: %s", pipeline_id, error)
                    failed.add(pipeline_id)
                    self._presence.lost()
                except Exception:
                    LOG.exception("What was due in the pipeline %s failed", pipeline_id, extra=about(pipeline_id))
                    failed.add(pipeline_id)
        upcoming = earliest(self._look_ahead(), self.retention.go_on(to_ms(self.clock.now())))
        if failed:
            retry = to_ms(self.clock.now()) + AFTER_FAILURE
            return retry if upcoming is None else max(retry, upcoming)
        return upcoming

    def catch_up(self) -> None:
        """After an absence, or a jump of the clock, give task runners the time to report before leases end."""
        now = to_ms(self.clock.now())
        jump = self._presence.was_away(now)
        if jump is not None:
            if jump:
                LOG.warning("The clock has jumped by %.1f seconds.", jump / 1000)
            for pipeline_id in absence.pipelines(self.store, self.owner, now):
                with self.turn(pipeline_id) as turn:
                    absence.put_right(turn, pipeline_id, jump)
        self._presence.is_back(now)

    def _lead(self) -> int | None:
        """Do what is due, if this is the server that runs the clock."""
        if not self.store.leads():
            self._presence.lost()
            return to_ms(self.clock.now()) + FOLLOWING
        self.catch_up()
        return self.run_due()

    def _due_pipelines(self, more: int) -> list[str]:
        with self.store.snapshot() as tx:
            now, limit = to_ms(self.clock.now()), PIPELINES_AT_ONCE + more
            return [row["pipeline_id"] for row in tx.all("due_pipelines", now=now, owner=self.owner, limit=limit)]

    def _do_due(self, pipeline_id: str) -> None:
        with self.turn(pipeline_id) as turn:
            for duty in (materialise.advance_due, timeouts.end_due, lateness.fire_late):
                duty(turn, pipeline_id)

    def _look_ahead(self) -> int | None:
        now = to_ms(self.clock.now())
        with self.store.snapshot() as tx:
            woken = {
                row["worker_group"]
                for row in tx.all("groups_that_became_available", since=self._seen, now=now, owner=self.owner)
            }
            moments = [
                tx.one("next_component_due", owner=self.owner),
                tx.one("next_backfill_due", owner=self.owner),
                tx.one("next_late", owner=self.owner),
                tx.one("next_attempt_due", owner=self.owner, now=now),
            ]
        self._seen = now
        if woken:
            self.on_wake(woken)
            with self.store.transaction() as tx:
                self._announce(Turn(tx, now, self.plans, self.settings.engine, woken=woken))
        return earliest(*(row["at"] for row in moments if row is not None))

    def loop(self) -> None:
        """Do what is due, then sleep until the next time something is; ends after `stop`.

        Of several servers on a store only one does; the others ask every second whether it still is there.
        """
        while True:
            with self._condition:
                if self._stopped:
                    return
                if self._next_due is not None:
                    self.measures.lag = max(0.0, (to_ms(self.clock.now()) - self._next_due) / 1000)
                self._next_due = None
            try:
                upcoming = self._lead()
            except self.store.unavailable as error:
                LOG.warning("The store cannot be used for now: %s", error)
                self._presence.lost()
                upcoming = to_ms(self.clock.now()) + AFTER_FAILURE
            except Exception:  # the loop must outlive a failing turn; it is logged and tried again
                LOG.exception("A duty of the engine failed")
                upcoming = to_ms(self.clock.now()) + AFTER_FAILURE
            with self._condition:
                self._next_due = earliest(self._next_due, upcoming)
                pause = LONGEST_SLEEP
                if self._next_due is not None:
                    pause = min(pause, max(0.0, (self._next_due - to_ms(self.clock.now())) / 1000))
                if not self._stopped and pause > 0:
                    self._condition.wait(pause)

    def stop(self) -> None:
        """Have the loop end."""
        with self._condition:
            self._stopped = True
            self._condition.notify_all()
