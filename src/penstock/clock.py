"""The only source of time: a clock that is passed in, and the two forms that times are kept in."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    """What tells the time; tests pass one that they move by hand."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""


class SystemClock:
    """The machine's own clock, put right by `offset` seconds: where servers share a store, they share its clock."""

    def __init__(self, offset: Callable[[], float] = lambda: 0.0) -> None:
        self._offset = offset

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        return datetime.fromtimestamp(time.time() + self._offset(), UTC)


def to_ms(moment: datetime) -> int:
    """Milliseconds since 1970 in UTC, the form that the store keeps times in."""
    return (moment - EPOCH) // timedelta(milliseconds=1)


def from_ms(milliseconds: int) -> datetime:
    """The moment that `to_ms` made a number of."""
    return EPOCH + timedelta(milliseconds=milliseconds)


def to_field(moment: datetime) -> str:
    """`yyyy-MM-ddTHH:mm:ss` in UTC without a zone mark, the form of times in fields (recorded from the service)."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")


def ms_to_field(milliseconds: int) -> str:
    """The field form of a time that the store keeps."""
    return to_field(from_ms(milliseconds))
