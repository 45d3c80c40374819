"""The engine: turns on the store, and the loop that does what is due."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from penstock.clock import Clock, to_ms
from penstock.definition.slots import Catalogue
from penstock.engine import actions, lateness, timeouts
from penstock.engine.plan import Plans
from penstock.engine.settle import settle
from penstock.engine.status import earliest
from penstock.engine.turn import Turn
from penstock.settings import Settings
from penstock.store.database import Store
from penstock.store.secrets import Secrets

LOG = logging.getLogger(__name__)
LONGEST_SLEEP = 30.0
PIPELINES_AT_ONCE = 20


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
    ) -> None:
        self.store = store
        self.catalogue = catalogue
        self.clock = clock
        self.settings = settings
        self.secrets = secrets
        self.owner = owner
        self.plans = Plans(catalogue, settings.engine)
        self.on_wake: Callable[[set[str]], None] = lambda groups: None
        self._condition = threading.Condition()
        self._next_due: int | None = None
        self._seen = 0
        self._stopped = False

    @contextmanager
    def turn(self, pipeline_id: str | None = None) -> Iterator[Turn]:
        """A transaction with its follow-ups; give the pipeline that it is about, so that others wait for it."""
        try:
            with self.store.transaction() as tx:
                if pipeline_id is not None:
                    tx.one("pipeline_for_update", pipeline_id=pipeline_id)
                turn = Turn(tx, to_ms(self.clock.now()), self.plans, self.settings.engine)
                yield turn
                settle(turn)
        except BaseException:
            self.plans.forget(pipeline_id)  # the activation that a plan was made for may have been undone
            raise
        if turn.woken:
            self.on_wake(turn.woken)
        self._nudge(turn.next_due)

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

    def run_due(self) -> int | None:
        """Do everything that is due now; gives the time when something is due next."""
        while self._advance_due():
            pass
        for duty in (timeouts.end_due, lateness.fire_late, actions.deliver_due):
            while self._has_due(duty):
                pass
        return self._look_ahead()

    def _advance_due(self) -> bool:
        with self.store.snapshot() as tx:
            now = to_ms(self.clock.now())
            rows = tx.all("due_components", now=now, owner=self.owner, limit=PIPELINES_AT_ONCE)
        for row in rows:
            with self.turn(row["pipeline_id"]) as turn:
                turn.advance(row["pipeline_id"], row["component"])
        return bool(rows)

    def _has_due(self, duty: Callable[[Turn, str], int]) -> bool:
        with self.turn() as turn:
            return duty(turn, self.owner) > 0

    def _look_ahead(self) -> int | None:
        now = to_ms(self.clock.now())
        with self.store.snapshot() as tx:
            woken = {
                row["worker_group"]
                for row in tx.all("groups_that_became_available", since=self._seen, now=now, owner=self.owner)
            }
            moments = [
                tx.one("next_component_due", owner=self.owner),
                tx.one("next_late", owner=self.owner),
                tx.one("next_attempt_due", owner=self.owner, now=now),
                tx.one("next_alarm_due"),
            ]
        self._seen = now
        if woken:
            self.on_wake(woken)
        return earliest(*(row["at"] for row in moments if row is not None))

    def loop(self) -> None:
        """Do what is due, then sleep until the next time something is; ends after `stop`."""
        while True:
            with self._condition:
                if self._stopped:
                    return
                self._next_due = None
            try:
                upcoming = self.run_due()
            except Exception:  # the loop must outlive a failing turn; it is logged and tried again
                LOG.exception("A duty of the engine failed")
                upcoming = to_ms(self.clock.now()) + 1000
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
