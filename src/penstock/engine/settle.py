"""Working off what a transaction has set in motion, until nothing is left, before it commits."""

from __future__ import annotations

from penstock.engine import endings, readiness
from penstock.engine.materialise import advance
from penstock.engine.turn import Turn


def settle(turn: Turn) -> None:
    """Follow up ended instances first, then what may be ready, then what may be due, then pipelines."""
    while True:
        if turn.ended:
            endings.ended(turn, turn.ended.popleft())
        elif turn.checks:
            readiness.check(turn, *turn.checks.popleft())
        elif turn.cursors:
            advance(turn, *turn.cursors.popleft())
        elif turn.perhaps_over:
            endings.perhaps_over(turn, turn.perhaps_over.pop())
        else:
            return
