"""Alarms brought to their targets: outside any transaction of a status, in threads of their own, at least once.

A row of the outbox that is due is taken by a conditional update, which makes it due again when its lease ends, so that
two servers do not send the same alarm at the same moment and what a server has taken when it dies is sent by another.
Then it is sent, and then it is recorded how that went: an event, and the row goes or waits for its next try. A crash
in between has it sent again.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from penstock.clock import ms_to_field, to_ms
from penstock.engine.actions import record
from penstock.engine.alarm_targets import Message, NotDelivered, Target
from penstock.engine.engine import Engine
from penstock.engine.turn import Turn
from penstock.store.rows import Alarm, read

LOG = logging.getLogger(__name__)
LONGEST_SLEEP = 30.0  # seconds: another process may have written alarms
AFTER_FAILURE = 1.0  # seconds
INTERRUPTED = "The server ended while it was trying."


def deliver_due(engine: Engine, goes_on: Callable[[], bool] = lambda: True) -> int | None:
    """Deliver every alarm that is due now, while `goes_on`; gives the time when one is due next."""
    while True:
        with engine.store.snapshot() as tx:
            row = tx.one("first_alarm", owner=engine.owner)
        if row is None or row["due_at"] > to_ms(engine.clock.now()) or not goes_on():
            return None if row is None else int(row["due_at"])
        _deliver(engine, read(Alarm, row))


def _deliver(engine: Engine, alarm: Alarm) -> None:
    targets = engine.targets_of(alarm.topic)
    if not targets:  # the settings have changed: it goes into the event log only, and needs no lease for that
        with engine.turn(alarm.pipeline_id) as turn:
            _end(turn, alarm, "DELIVERED", f"{alarm.subject}: {alarm.message}")
        return
    taken = _take(engine, alarm)
    if taken is None:
        return
    if alarm.tries > len(engine.settings.delivery.pauses):  # servers have ended while they tried
        delivered, problems = json.loads(alarm.delivered_to), {"all others": INTERRUPTED}
    else:
        delivered, problems = _send(taken, targets)
    with engine.turn(alarm.pipeline_id) as turn:
        _note(turn, taken, delivered, problems, engine.settings.delivery.pauses)


def _take(engine: Engine, alarm: Alarm) -> Alarm | None:
    """Hold an alarm for the time of one try; None where somebody else was first."""
    with engine.store.transaction() as tx:
        now = to_ms(engine.clock.now())
        due_at = now + int(engine.settings.delivery.lease * 1000)
        if not tx.execute("take_alarm", sequence=alarm.sequence, tries=alarm.tries, due_at=due_at, now=now):
            return None
    return replace(alarm, tries=alarm.tries + 1, due_at=due_at)


def _send(alarm: Alarm, targets: Sequence[Target]) -> tuple[list[str], dict[str, str]]:
    """Send to the targets that do not have the alarm yet: names of those that have it now, and the others' reasons."""
    delivered: list[str] = json.loads(alarm.delivered_to)
    problems: dict[str, str] = {}
    message = Message(alarm.topic, alarm.subject, alarm.message)
    for target in targets:
        if target.name in delivered:
            continue
        problem = try_target(target, message)
        if problem is None:
            delivered.append(target.name)
        else:
            problems[target.name] = problem
    return delivered, problems


def try_target(target: Target, message: Message) -> str | None:
    """Send a message to one target; gives why it was not taken, None where it was."""
    try:
        target.send(message)
    except NotDelivered as error:
        return str(error)
    except Exception as error:  # a library's error must not end the thread, and its text may hold a secret
        return f"The sender failed with {type(error).__name__}."
    return None


def _note(
    turn: Turn, alarm: Alarm, delivered: Sequence[str], problems: Mapping[str, str], pauses: Sequence[float]
) -> None:
    """Write down how a try went; whoever has lost the alarm to another server writes nothing."""
    to = f" (delivered to {', '.join(delivered)})" if delivered else ""
    text = f"{alarm.subject}: {alarm.message}{to}"
    if not problems:
        _end(turn, alarm, "DELIVERED", text)
        return
    failures = "; ".join(f"{name}: {reason}" for name, reason in problems.items())
    if alarm.tries > len(pauses):
        tries = f"{min(alarm.tries, len(pauses) + 1)} tries"
        _end(turn, alarm, "GIVEN_UP", f"{text} (given up after {tries}: {failures})")
        return
    due_at = turn.now + int(pauses[alarm.tries - 1] * 1000)
    if turn.tx.execute(
        "try_alarm_again",
        sequence=alarm.sequence,
        tries=alarm.tries,
        due_at=due_at,
        delivered_to=json.dumps(delivered),
        problem=failures,
    ):
        again = f"tried again at {ms_to_field(due_at)}"
        detail = f"{alarm.subject}{to} (not delivered to {failures}; {again})"
        record(turn, alarm.pipeline_id, alarm.object_id, alarm.action, "NOT_DELIVERED", detail)


def _end(turn: Turn, alarm: Alarm, status: str, detail: str) -> None:
    if turn.tx.execute("end_alarm", sequence=alarm.sequence, tries=alarm.tries):
        record(turn, alarm.pipeline_id, alarm.object_id, alarm.action, status, detail)


class Deliverer:
    """Threads that deliver what is due, and sleep until something is; a slow target holds up one of them only."""

    def __init__(self, engine: Engine, threads: int) -> None:
        self.engine = engine
        self._condition = threading.Condition()
        self._nudges = 0
        self._ending = False
        self._goes_on = True
        self._threads = [
            threading.Thread(target=self._loop, name=f"alarms-{number}", daemon=True) for number in range(threads)
        ]
        engine.on_alarm = self.nudge

    def start(self) -> None:
        """Begin to deliver."""
        for thread in self._threads:
            thread.start()

    def nudge(self) -> None:
        """Look at once: an alarm has been written."""
        with self._condition:
            self._nudges += 1
            self._condition.notify_all()

    def stop(self, within: float) -> None:
        """Deliver what is due now, for some seconds at most, and end; what is left stays in the store."""
        with self._condition:
            self._ending = True
            self._condition.notify_all()
        deadline = time.monotonic() + within
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._goes_on = False

    def _loop(self) -> None:
        while True:
            with self._condition:
                seen, is_last = self._nudges, self._ending
            pause = self._deliver()
            if is_last:
                return
            with self._condition:
                if not self._ending and self._nudges == seen and pause > 0:
                    self._condition.wait(pause)

    def _deliver(self) -> float:
        """Deliver what is due; gives the seconds to sleep."""
        try:
            due = deliver_due(self.engine, lambda: self._goes_on)
        except self.engine.store.unavailable as error:
            if self._goes_on:
                LOG.warning("Alarms wait, since the store cannot be used for now: %s", error)
            return AFTER_FAILURE
        except Exception:  # the thread must outlive it; it is tried again
            if self._goes_on:
                LOG.exception("The delivery of alarms failed")
            return AFTER_FAILURE
        if due is None:
            return LONGEST_SLEEP
        return min(LONGEST_SLEEP, max(0.0, (due - to_ms(self.engine.clock.now())) / 1000))
