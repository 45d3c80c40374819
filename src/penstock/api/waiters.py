"""Who waits for a task by long polling."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field


@dataclass
class Waiters:
    """Long polls that wait for a task, by worker group; each new task wakes one of them at once."""

    _waiting: dict[str, list[asyncio.Event]] = field(default_factory=dict)

    def add(self, group: str) -> asyncio.Event:
        """Wait for a task of the group."""
        event = asyncio.Event()
        self._waiting.setdefault(group, []).append(event)
        return event

    def remove(self, group: str, event: asyncio.Event) -> None:
        """Wait no more; a wake-up that came meanwhile goes to the next one."""
        waiting = self._waiting.get(group, [])
        if event in waiting:
            waiting.remove(event)
        if not waiting:
            self._waiting.pop(group, None)
        elif event.is_set():
            self.wake({group})

    def wake(self, groups: set[str]) -> None:
        """Wake one waiter of each group; one that gets a task wakes the next, since there may be more tasks."""
        for group in groups:
            for event in self._waiting.get(group, []):
                if not event.is_set():
                    event.set()
                    break

    def counts(self) -> dict[str, int]:
        """How many wait for each group; from any thread."""
        return {group: len(events) for group, events in list(self._waiting.items())}

    def is_anybody_there(self) -> bool:
        """Whether any poll waits."""
        return bool(self._waiting)

    def wake_all(self) -> None:
        """Wake every waiter."""
        for events in self._waiting.values():
            for event in events:
                event.set()
