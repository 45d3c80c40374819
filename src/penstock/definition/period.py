"""Periods (`15 minutes`) and the intervals of a schedule, on the calendar."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

UNITS = ("second", "minute", "hour", "day", "week", "month", "year")
LONGEST = timedelta(days=100 * 366)
_PERIOD = re.compile(r"\s*([0-9]+)\s*([a-z]+?)s?\s*", re.IGNORECASE)
_FIXED = {
    "second": timedelta(seconds=1),
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
}
_LENGTHS = {**_FIXED, "month": timedelta(days=30), "year": timedelta(days=365)}
_DATE_TIME = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?:T(\d{2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?Z?)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Period:
    """A number of calendar units; the guide's page on data types gives the form `N unit`."""

    amount: int
    unit: str

    @classmethod
    def parse(cls, text: str) -> Period:
        """Read `15 minutes`; letter case and the plural do not matter. Raises ValueError."""
        match = _PERIOD.fullmatch(text)
        if match is None or match[2].lower() not in UNITS:
            raise ValueError("a period is a number and a unit: minutes, hours, days, weeks, months or years")
        unit = match[2].lower()
        if len(match[1]) > 20 or int(match[1]) > LONGEST // _LENGTHS[unit]:
            raise ValueError("a period is 100 years at most")
        return cls(int(match[1]), unit)

    def after(self, start: datetime, times: int) -> datetime:
        """The moment that lies `times` periods after `start`; months and years keep the day where they can."""
        amount = self.amount * times
        if self.unit in _FIXED:
            return start + _FIXED[self.unit] * amount
        months = start.month - 1 + (amount if self.unit == "month" else 12 * amount)
        year, month = start.year + months // 12, months % 12 + 1
        return start.replace(year=year, month=month, day=min(start.day, calendar.monthrange(year, month)[1]))

    def count_until(self, start: datetime, moment: datetime) -> int:
        """How many whole periods lie between `start` and `moment`; negative before the start."""
        if self.unit in _FIXED:
            return (moment - start) // (_FIXED[self.unit] * self.amount)
        months = (moment.year - start.year) * 12 + moment.month - start.month
        count = months // (self.amount if self.unit == "month" else 12 * self.amount)
        return count if self.after(start, count) <= moment else count - 1

    def length(self) -> timedelta:
        """How long the period is; a month counts as 30 days and a year as 365."""
        return _LENGTHS[self.unit] * self.amount

    def __str__(self) -> str:
        return f"{self.amount} {self.unit}{'' if self.amount == 1 else 's'}"


def parse_date_time(text: str) -> datetime:
    """Read `yyyy-MM-ddTHH:mm:ss` (or a date alone) as UTC. Raises ValueError."""
    match = _DATE_TIME.fullmatch(text.strip())
    if match is None:
        raise ValueError("a date-time is written yyyy-MM-ddTHH:mm:ss, in UTC")
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups())
    return datetime(year, month, day, hour, minute, second, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Intervals:
    """The intervals of a schedule: `start` and a period, until `end` (no interval starts there) or for `count`.

    A schedule without a period is on-demand: every activation makes the one interval that starts and ends then.
    """

    start: datetime
    period: Period | None
    end: datetime | None = None
    count: int | None = None

    def at(self, index: int) -> tuple[datetime, datetime] | None:
        """The interval of this index, from 0; None where the schedule has none."""
        if self.period is None:
            return (self.start, self.start) if index == 0 else None
        if index < 0 or (self.count is not None and index >= self.count):
            return None
        try:
            start = self.period.after(self.start, index)
            stop = self.period.after(self.start, index + 1)
        except (OverflowError, ValueError):
            return None
        if self.end is not None and start >= self.end:
            return None
        return start, stop

    def index_at(self, moment: datetime) -> int:
        """The index of the interval that holds the moment; below 0 or past the end where there is none."""
        if self.period is None:
            return 0
        return self.period.count_until(self.start, moment)

    def first_from(self, moment: datetime) -> int:
        """The index of the first interval that starts at the moment or later."""
        if moment <= self.start or self.period is None:
            return 0
        index = self.period.count_until(self.start, moment)
        return index if self.period.after(self.start, index) == moment else index + 1

    def serving(self, start: datetime, end: datetime) -> list[datetime]:
        """The starts of the intervals that a consumer's interval [start, end) waits for.

        Those that start inside it; where none does, the one that holds its start
        (docs/decisions: dependencies across periods).
        """
        if self.period is None:
            return [self.start] if self.start == start else []
        found: list[datetime] = []
        index = self.first_from(start)
        while (interval := self.at(index)) is not None and interval[0] < max(end, start + timedelta(seconds=1)):
            found.append(interval[0])
            index += 1
        if not found and (interval := self.at(self.index_at(start))) is not None:
            found.append(interval[0])
        return found

    def holding(self, moment: datetime) -> datetime:
        """The start of the interval that holds the moment; of the first or the last one where none does."""
        if self.period is None:
            return self.start
        index = max(0, self.index_at(moment))
        if (interval := self.at(index)) is not None:
            return interval[0]
        low, high = 0, index
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.at(middle) is not None else (low, middle)
        last = self.at(low)
        return last[0] if last else self.start
