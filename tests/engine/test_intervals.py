"""Laws of periods and intervals."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.definition.period import Intervals, Period, parse_date_time

MOMENTS = st.datetimes(datetime(1990, 1, 1), datetime(2060, 12, 31), timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=0)
)
PERIODS = st.builds(
    Period, st.integers(1, 40), st.sampled_from(["second", "minute", "hour", "day", "week", "month", "year"])
)
INTERVALS = st.builds(
    Intervals,
    MOMENTS,
    PERIODS,
    end=st.none() | MOMENTS,
    count=st.none() | st.integers(1, 50),
)
INDEXES = st.integers(0, 200)


@given(INTERVALS, INDEXES)
def test_each_interval_begins_where_the_one_before_it_ends(intervals: Intervals, index: int) -> None:
    this, following = intervals.at(index), intervals.at(index + 1)
    if following is not None:
        assert this is not None
        assert this[1] == following[0]
        assert this[0] < this[1]


@given(INTERVALS, INDEXES)
def test_the_index_of_an_intervals_moments_is_its_own(intervals: Intervals, index: int) -> None:
    interval = intervals.at(index)
    if interval is not None:
        start, end = interval
        assert intervals.index_at(start) == index
        assert intervals.index_at(end - timedelta(seconds=1)) == index
        assert intervals.index_at(end) == index + 1


@given(INTERVALS, MOMENTS)
def test_the_first_interval_from_a_moment_starts_there_or_later_and_the_one_before_does_not(
    intervals: Intervals, moment: datetime
) -> None:
    index = intervals.first_from(moment)
    assert index >= 0
    assert intervals.period is not None
    assert intervals.period.after(intervals.start, index) >= moment or moment <= intervals.start
    if index > 0:
        assert intervals.period.after(intervals.start, index - 1) < moment


@given(INTERVALS, INDEXES)
def test_intervals_end_once_and_for_all(intervals: Intervals, index: int) -> None:
    if intervals.at(index) is None:
        assert intervals.at(index + 1) is None
    if intervals.count is not None:
        assert intervals.at(intervals.count) is None
    interval = intervals.at(index)
    if interval is not None and intervals.end is not None:
        assert interval[0] < intervals.end
    assert intervals.at(-1) is None


@given(INTERVALS, MOMENTS)
def test_the_interval_that_holds_a_moment_is_one_of_the_schedules(intervals: Intervals, moment: datetime) -> None:
    start = intervals.holding(moment)
    if intervals.at(0) is None:
        assert start == intervals.start
        return
    assert intervals.at(intervals.index_at(start)) is not None
    assert start <= max(moment, intervals.start)
    interval = intervals.at(intervals.index_at(moment))
    if interval is not None:
        assert interval[0] == start


@given(MOMENTS, st.integers(1, 24), st.integers(0, 30))
def test_a_schedule_serves_each_of_its_intervals_to_itself(start: datetime, hours: int, index: int) -> None:
    intervals = Intervals(start, Period(hours, "hour"))
    interval = intervals.at(index)
    assert interval is not None
    assert intervals.serving(*interval) == [interval[0]]


@given(MOMENTS, st.sampled_from([1, 2, 3, 4, 6, 8, 12, 24]), st.integers(0, 30))
def test_what_a_longer_interval_waits_for_are_all_the_shorter_ones_in_it(start: datetime, hours: int, day: int) -> None:
    short, long = Intervals(start, Period(hours, "hour")), Intervals(start, Period(1, "day"))
    interval = long.at(day)
    assert interval is not None
    found = short.serving(*interval)
    assert len(found) == 24 // hours
    assert found[0] == interval[0]
    for moment in found:
        assert long.serving(moment, moment + timedelta(hours=hours)) == [interval[0]]


@pytest.mark.parametrize(
    ("start", "period", "starts"),
    [
        ("2024-01-31", "1 month", ["2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30", "2024-05-31"]),
        ("2023-11-30", "3 months", ["2023-11-30", "2024-02-29", "2024-05-30"]),
        ("2024-02-29", "1 year", ["2024-02-29", "2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29"]),
        ("2024-12-30", "1 week", ["2024-12-30", "2025-01-06"]),
        ("2024-02-28", "1 day", ["2024-02-28", "2024-02-29", "2024-03-01"]),
    ],
)
def test_months_and_years_keep_their_day_where_they_can(start: str, period: str, starts: list[str]) -> None:
    intervals = Intervals(parse_date_time(start), Period.parse(period))
    found = [interval[0].date().isoformat() for n in range(len(starts)) if (interval := intervals.at(n))]
    assert found == starts


def test_there_is_no_interval_after_the_end_of_time() -> None:
    intervals = Intervals(parse_date_time("2024-01-01"), Period(3, "year"))
    assert intervals.at(2_700) is None
    assert intervals.at(10**12) is None
    days = Intervals(parse_date_time("2024-01-01"), Period(1, "day"))
    assert days.at(10**9) is None


def test_on_demand_there_is_one_moment() -> None:
    moment = parse_date_time("2024-01-01T10:00:00")
    intervals = Intervals(moment, None)
    assert intervals.at(0) == (moment, moment)
    assert intervals.at(1) is None
    assert intervals.serving(moment, moment) == [moment]
    assert intervals.serving(moment + timedelta(seconds=1), moment) == []
