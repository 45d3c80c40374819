"""After an absence: leases that nobody could renew, since no server ran the clock, or since the clock jumped.

A task runner works on while the service or its store is away, and reports when they are back. Its leases must not have
ended by then, or its work would be done twice.
"""

from __future__ import annotations

from time import monotonic

from penstock.engine.plan import SYSTEM_GROUP
from penstock.engine.turn import Turn
from penstock.store.database import Reads

JUMP = 5000  # milliseconds; a smaller one ends no lease
LONGEST_PASS = 60.0  # seconds; a loop that did not come round for longer stood still


class Presence:
    """When this server last ran the clock: by the clock, and by one that never jumps."""

    def __init__(self) -> None:
        self._at: tuple[int, float] | None = None

    def lost(self) -> None:
        """Another server may run the clock, or the store is away."""
        self._at = None

    def was_away(self, now: int) -> int | None:
        """By how many milliseconds the clock has jumped, 0 after any other absence; None if there was none.

        After one it stays so until `is_back`.
        """
        if self._at is None:
            return 0
        before, steady = self._at
        jump = (now - before) - int((monotonic() - steady) * 1000)
        if abs(jump) >= JUMP:
            return jump
        return 0 if monotonic() - steady > LONGEST_PASS else None

    def is_back(self, now: int) -> None:
        """The clock runs, and everything is put right."""
        self._at = now, monotonic()


def pipelines(reads: Reads, owner: str, now: int) -> list[str]:
    """The pipelines in which something may have to be put right."""
    return [row["pipeline_id"] for row in reads.all("pipelines_with_leases", owner=owner, now=now)]


def put_right(turn: Turn, pipeline_id: str, jump: int) -> None:
    """Give every lease at least the time in which a task must be acknowledged; other times follow a jump.

    What seems to have happened later than now happened before the clock jumped back: now, as far as it matters.
    """
    settings = turn.settings
    turn.tx.execute("take_back_leases", pipeline_id=pipeline_id, now=turn.now)
    turn.tx.execute("take_back_delays", pipeline_id=pipeline_id, now=turn.now)
    turn.tx.execute(
        "extend_leases",
        pipeline_id=pipeline_id,
        system_group=SYSTEM_GROUP,
        system_until=turn.in_seconds(min(settings.acknowledge_within, settings.system_lease)),
        until=turn.in_seconds(settings.acknowledge_within),
        jump=max(jump, 0),
    )
    turn.tx.execute("set_due", pipeline_id=pipeline_id)
    if jump > 0:
        turn.tx.execute("put_off_expiries", pipeline_id=pipeline_id, jump=jump)
