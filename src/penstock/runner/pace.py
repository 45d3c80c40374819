"""How often a task runner reports, and how long it waits."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """How often a runner reports and sends logs, in seconds, and how long it bears a service that does not answer.

    `answer` is for one call that is no poll, `give_up` for all of them.
    """

    report: float = 10.0
    logs: float = 2.0
    heartbeat: float = 900.0
    answer: float = 20.0
    give_up: float | None = None
