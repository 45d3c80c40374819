"""Which task runners were seen lately: kept in memory, and written to the store at intervals."""

from __future__ import annotations

import threading

from penstock.clock import to_ms
from penstock.engine.engine import Engine

EVERY = 30_000  # milliseconds between two writes
KEPT = 24 * 3600 * 1000  # milliseconds
MOST = 10_000  # between two writes, whatever hostnames somebody makes up


class SeenRunners:
    """What a server has seen of task runners since it last wrote that down: noting one costs next to nothing."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._seen: dict[tuple[str, str, str], int] = {}
        self._written = to_ms(engine.clock.now())
        self._writing = threading.Lock()

    def saw(self, hostname: str, worker_group: str, access_key: str) -> None:
        """Note a task runner, which writes nothing; that of a run is not noted."""
        if not self._engine.owner and len(self._seen) < MOST:
            self._seen[hostname, worker_group, access_key] = to_ms(self._engine.clock.now())

    def write_if_due(self) -> None:
        """Write all that were noted, if 30 seconds have gone since the last time."""
        if self._seen and to_ms(self._engine.clock.now()) - self._written >= EVERY:
            self.write()

    def write(self) -> None:
        """Write all that were noted, and forget in the store those that were not seen for a day."""
        with self._writing:
            now = to_ms(self._engine.clock.now())
            seen, self._seen, self._written = self._seen, {}, now
            if not seen:
                return
            rows = [
                {"hostname": hostname, "worker_group": worker_group, "access_key": access_key, "now": at}
                for (hostname, worker_group, access_key), at in sorted(seen.items())  # all servers in one order
            ]
            with self._engine.turn() as turn:
                turn.tx.execute_many("saw_runner", rows)
                turn.tx.execute("delete_old_runners", since=now - KEPT)
