"""Ctrl-C, SIGTERM and a closed terminal: the first signal ends the work cleanly, the second one at once."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LONGEST_UNNOTICED = 0.5  # seconds
ONE_PRESS = 0.2  # seconds: programs that start us, such as `make`, may pass on the Ctrl-C that we get as well


class Interrupted(BaseException):
    """A signal has come and asks to end; it passes by everything that handles errors."""


class Interruption:
    """While it is entered, the first signal raises Interrupted in the main thread, and a second one ends the process.

    `on_second` is called before that, to end what would otherwise be left. After `shield` the first signal raises
    nothing either, as the work is ending anyway; it is still noted. Python swallows what a signal raises while it
    calls a destructor or a callback; so what waits for long calls `check` now and then, which raises it again.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self.on_second: Callable[[], None] = lambda: None
        self._is_shielded = False
        self._came_at = 0.0
        self._before: dict[int, Callable[[int, FrameType | None], object] | int | None] = {}

    @property
    def status(self) -> int:
        """The exit status by which shells know the signal: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + (self.number or signal.SIGINT)

    def shield(self) -> None:
        """From now on the first signal only is noted."""
        self._is_shielded = True

    def check(self) -> None:
        """Raise Interrupted if a signal has come."""
        if self.number is not None and not self._is_shielded:
            raise Interrupted

    def wait(self) -> NoReturn:
        """Stay until a signal comes; raises Interrupted."""
        while True:
            self.check()
            time.sleep(LONGEST_UNNOTICED)

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # as under nohup
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.number is not None:
            if time.monotonic() - self._came_at > ONE_PRESS:
                self.on_second()
                os._exit(self.status)
            return
        self.number, self._came_at = number, time.monotonic()
        self.check()
