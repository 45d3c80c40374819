"""What an engine and its API count while they work: plain numbers, which metrics read when somebody asks for them."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)  # seconds


class Durations:
    """How many of some durations were at most each of BOUNDS (the last number: longer), and their sum in seconds.

    Who adds does so from one thread, or holds a lock.
    """

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        """Count one duration."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds


class Measures:
    """Of one engine, since it was made: turns, moves of attempts by their new status, and how late the loop was."""

    def __init__(self) -> None:
        self.turns = Durations()
        self.attempts: Counter[str] = Counter()
        self.lag = 0.0
        self._lock = threading.Lock()

    def turn(self, seconds: float, attempts: Mapping[str, int]) -> None:
        """Count a turn that has committed, with the attempts that it moved."""
        with self._lock:
            self.turns.add(seconds)
            if attempts:
                self.attempts.update(attempts)
