"""Working off what a transaction has set in motion, until nothing is left, before it commits."""

from __future__ import annotations

from penstock.engine import backfill, endings, materialise, readiness, resources
from penstock.engine.turn import Turn


def settle(turn: Turn) -> None:
    """Insert new instances that are ready first, follow up ended ones, then what may be due or ready, then pipelines.

    The schedule goes before backfills. Both go before the checks: a resource whose last task has ended stays for the
    one that takes its place.
    """
    while True:
        if turn.ready:
            readiness.go_on(turn, turn.ready.popleft(), is_new=True)
        elif turn.ended:
            instance = turn.ended.popleft()
            endings.ended(turn, instance)
            resources.end_after_failure(turn, instance)
        elif turn.cursors:
            cursor = turn.cursors.popleft()
            upcoming = materialise.to_come(turn, *cursor)
            if upcoming is not None:
                materialise.advance(turn, upcoming)
                if upcoming.has_backfills:
                    backfill.advance(turn, *cursor)
        elif turn.checks:
            readiness.check(turn, *turn.checks.popleft())
        elif turn.perhaps_over:
            endings.perhaps_over(turn, turn.perhaps_over.pop())
        else:
            return
