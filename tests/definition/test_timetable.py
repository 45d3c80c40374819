"""When components run, and how their instances are called and linked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from penstock.definition.file_form import definition_of
from penstock.definition.period import Intervals, Period
from penstock.definition.resolve import resolve
from penstock.definition.timetable import Timetable, Timing, make_timetable
from penstock.objects import load_catalogue

NOW = datetime(2025, 5, 5, 12, tzinfo=UTC)
DAY = datetime(2025, 1, 1, tzinfo=UTC)


def timetable(*objects: dict[str, Any]) -> Timetable:
    resolved, _ = resolve(definition_of({"objects": list(objects)}))
    return make_timetable(resolved, load_catalogue(), NOW, NOW - timedelta(days=1))


def ref(identity: str) -> dict[str, str]:
    return {"ref": identity}


def schedule(identity: str, period: str, **more: str) -> dict[str, Any]:
    return {"id": identity, "type": "Schedule", "period": period, "startDateTime": "2025-01-01T00:00:00", **more}


def shell(identity: str, **more: Any) -> dict[str, Any]:
    return {"id": identity, "type": "ShellCommandActivity", "command": "true", **more}


def test_a_time_series_is_due_at_the_end_of_its_interval_and_cron_at_the_start() -> None:
    made = timetable(
        schedule("Daily", "1 day"),
        shell("Series", schedule=ref("Daily"), scheduleType="timeseries"),
        shell("Cron", schedule=ref("Daily"), scheduleType="CRON"),
        shell("Unsaid", schedule=ref("Daily")),
    )
    interval = (DAY, DAY + timedelta(days=1))
    assert made.timings["Series"].due(interval) == made.timings["Unsaid"].due(interval) == interval[1]
    assert made.timings["Cron"].due(interval) == interval[0]


def test_a_resource_is_due_at_the_start_whatever_the_type() -> None:
    made = timetable(
        {"id": "Default", "scheduleType": "timeseries", "schedule": ref("Daily")},
        schedule("Daily", "1 day"),
        {"id": "Machine", "type": "Ec2Resource"},
    )
    assert not made.timings["Machine"].is_due_at_end


def test_a_resource_without_a_schedule_takes_that_of_its_activity() -> None:
    made = timetable(
        schedule("Weekly", "1 week"),
        {"id": "Machine", "type": "Ec2Resource"},
        shell("Work", runsOn=ref("Machine"), schedule=ref("Weekly")),
    )
    assert made.timings["Machine"].intervals == made.timings["Work"].intervals


def test_on_demand_everything_runs_once_at_the_activation() -> None:
    made = timetable({"id": "Default", "scheduleType": "ondemand"}, shell("A"))
    assert list(made.timings["A"].until(NOW)) == [(NOW, NOW)]


def test_a_schedule_can_start_with_the_first_activation() -> None:
    daily = {"id": "Daily", "type": "Schedule", "period": "1 day", "startAt": "FIRST_ACTIVATION_DATE_TIME"}
    made = timetable(daily, shell("A", schedule=ref("Daily")))
    assert made.timings["A"].intervals.start == NOW - timedelta(days=1)


def test_a_week_is_linked_with_its_seven_days_and_the_machine_that_holds_it() -> None:
    made = timetable(
        schedule("Daily", "1 day"),
        schedule("Weekly", "1 week"),
        schedule("Monthly", "1 month"),
        {"id": "Days", "type": "S3DataNode", "filePath": "s3://b/k", "schedule": ref("Daily")},
        {"id": "Machine", "type": "Ec2Resource", "schedule": ref("Monthly")},
        shell("Week", schedule=ref("Weekly"), input=ref("Days"), runsOn=ref("Machine")),
    )
    start = DAY + timedelta(weeks=1)
    refs, entries = made.links("Week", start, start + timedelta(weeks=1))
    assert refs["input"] == tuple(f"@Days_2025-01-{day:02}T00:00:00" for day in range(8, 15))
    assert refs["runsOn"] == ("@Machine_2025-01-01T00:00:00",)
    assert entries["@Days_2025-01-09T00:00:00"].runtime["@scheduledEndTime"] == datetime(2025, 1, 10, tzinfo=UTC)


def test_a_precondition_of_several_objects_has_an_instance_for_each() -> None:
    made = timetable(
        {"id": "There", "type": "Exists"},
        {"id": "A", "type": "S3DataNode", "filePath": "s3://b/a", "precondition": ref("There")},
        {"id": "B", "type": "S3DataNode", "filePath": "s3://b/b", "precondition": ref("There")},
    )
    assert made.instance_id("There", "A", "2025-01-01T00:00:00") == "@There_A_2025-01-01T00:00:00"
    assert made.instance_id("A", "", "2025-01-01T00:00:00") == "@A_2025-01-01T00:00:00"


@given(
    st.builds(
        Intervals,
        st.datetimes(datetime(2000, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),
        st.builds(Period, st.integers(1, 5), st.sampled_from(["hour", "day", "week", "month"])),
        st.none() | st.datetimes(datetime(2000, 1, 1), datetime(2031, 1, 1), timezones=st.just(UTC)),
        st.none() | st.integers(1, 20),
    ),
    st.booleans(),
    st.integers(-3, 30),
    st.integers(-1, 1),
)
def test_the_count_of_due_intervals_is_what_counting_them_gives(
    intervals: Intervals, is_due_at_end: bool, periods: int, seconds: int
) -> None:
    assert intervals.period is not None
    moment = intervals.period.after(intervals.start, periods) + timedelta(seconds=seconds)
    timing = Timing(intervals, is_due_at_end)
    index = 0
    while (interval := intervals.at(index)) is not None and timing.due(interval) <= moment:
        index += 1
    assert timing.due_count(moment) == index
    assert [interval[0] for interval in timing.until(moment)] == [intervals.at(n)[0] for n in range(index)]  # type: ignore[index]
