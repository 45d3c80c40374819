"""Activations: several on-demand runs with values of their own, resuming, lateness, and schedules of other periods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from story import SYSTEM, Pipe, Story, activity, alarm, data_node, day, on_demand, ref, resource, schedule, scheduled

from penstock.api import tasks

NewStory = Callable[..., Story]
VALUED: dict[str, Any] = {"parameters": [{"id": "myValue", "default": "none"}]}


def test_five_on_demand_runs_are_active_at_once_each_with_its_own_values(story: Story) -> None:
    pipe = story.pipeline(
        {**on_demand(activity("A", command="echo #{myValue}"), maxActiveInstances="5"), **VALUED}, is_active=False
    )
    for number in range(6):
        pipe.activate(myValue=f"value {number}")
    assert list(pipe.statuses("A").values()) == ["WAITING_FOR_RUNNER"] * 5
    held = [story.take() for _ in range(5)]
    assert story.poll() is None
    assert [task.field("command") for task in held] == [f"echo value {number}" for number in range(5)]
    story.end(held[3])
    assert story.take().field("command") == "echo value 5"


def test_a_rerun_of_an_on_demand_run_keeps_that_runs_values(story: Story) -> None:
    pipe = story.pipeline({**on_demand(activity("A", command="echo #{myValue}")), **VALUED}, is_active=False)
    for value in ("one", "two"):
        pipe.activate(myValue=value)
        story.work()
    pipe.set_status("RERUN", next(iter(pipe.statuses("A"))))
    assert story.take().field("command") == "echo one"


def test_activating_a_deactivated_on_demand_pipeline_goes_on_and_runs_once_more(story: Story) -> None:
    pipe = story.pipeline(
        {**on_demand(activity("A", command="echo #{myValue}"), activity("B", dependsOn=ref("A"))), **VALUED},
        is_active=False,
    )
    pipe.activate(myValue="one")
    story.end(story.take())
    pipe.deactivate()
    pipe.activate(myValue="two")
    assert sorted(instance[:2] for instance in story.work()) == ["@A", "@B", "@B"], "A of the first run had finished"
    assert pipe.state == "FINISHED"


def test_it_resumes_from_the_last_completed_run_even_if_that_was_long_ago(story: Story) -> None:
    pipe = story.pipeline(scheduled(activity("A")))
    story.work()
    pipe.deactivate()
    story.until("2024-01-04T00:00:00")
    pipe.activate()
    assert story.work() == [day("A", 2), day("A", 3), day("A", 4)]


def test_it_resumes_from_a_timestamp_and_skips_what_lies_between(story: Story) -> None:
    pipe = story.pipeline(scheduled(activity("A"), activity("B", dependsOn=ref("A"))))
    story.work()
    pipe.deactivate()
    story.until("2024-01-04T00:00:00")
    pipe.activate("2024-01-04T00:00:00")
    assert story.work() == [day("A", 4), day("B", 4)]
    assert list(pipe.statuses("B").values()) == ["FINISHED", "SKIPPED", "SKIPPED", "FINISHED"]


def test_a_timestamp_before_the_last_completed_run_runs_nothing_twice(story: Story) -> None:
    pipe = story.pipeline(scheduled(activity("A")))
    story.work()
    story.until("2024-01-02T00:00:00")
    story.work()
    pipe.deactivate()
    story.until("2024-01-03T00:00:00")
    pipe.activate("2024-01-01T00:00:00")
    assert story.work() == [day("A", 3)]


def test_what_may_finish_while_it_is_deactivated_has_all_of_its_tries(story: Story) -> None:
    pipe = story.pipeline(scheduled(activity("A", retryDelay="1 minute", maximumRetries="1")))
    task = story.take()
    pipe.deactivate(cancel_active=False)
    story.end(task, "FAILED")
    assert pipe.state == "DEACTIVATING"
    story.later(minutes=1)
    story.work()
    assert (pipe.status(day("A", 1)), pipe.state) == ("FINISHED", "INACTIVE")


def test_an_active_pipeline_that_is_activated_with_a_later_timestamp_skips_up_to_it(story: Story) -> None:
    pipe = story.pipeline(scheduled(activity("A")))
    pipe.activate("2024-01-03T00:00:00")
    assert story.work() == [day("A", 1)], "what was made before is not touched"
    story.until("2024-01-03T00:00:00")
    assert list(pipe.statuses().values()) == ["FINISHED", "SKIPPED", "WAITING_FOR_RUNNER"]


@pytest.mark.parametrize(("kind", "late"), [("cron", "2024-01-01T01:00:00"), ("timeseries", "2024-01-02T01:00:00")])
def test_a_run_is_late_by_the_time_since_its_due_moment(story: Story, kind: str, late: str) -> None:
    pipe = story.pipeline(
        scheduled(activity("A", lateAfterTimeout="1 hour", onLateAction=ref("Alarm")), alarm("Alarm"), kind=kind)
    )
    story.until(late.replace("01:00:00", "00:59:59"))
    assert pipe.alarms() == []
    story.until(late)
    assert pipe.alarms() == ["subject: it happened"]
    story.later(hours=5)
    assert len(pipe.alarms()) == 1


def test_a_run_again_is_not_late(story: Story) -> None:
    pipe = story.pipeline(
        scheduled(
            schedule(occurrences="1"),
            activity("A", lateAfterTimeout="1 hour", onLateAction=ref("Alarm")),
            alarm("Alarm"),
        )
    )
    story.work()
    story.later(hours=3)
    pipe.set_status("RERUN", day("A", 1))
    story.later(hours=3)
    assert pipe.alarms() == []


@pytest.mark.parametrize("kind", ["cron", "timeseries"])
def test_hours_wait_for_their_day_and_days_for_their_hours(story: Story, kind: str) -> None:
    hourly, often = (
        schedule("Hourly", "6 hours", occurrences="8"),
        {"schedule": ref("Hourly"), "maxActiveInstances": "9"},
    )
    pipe = story.pipeline(
        scheduled(
            hourly,
            schedule(occurrences="2"),
            activity("Day", output=ref("Data"), schedule=ref("Daily")),
            data_node("Data"),
            activity("Hour", input=ref("Data"), **often),
            activity("Sum", dependsOn=ref("Hour")),
            kind=kind,
        )
    )
    done: list[str] = []
    for _ in range(13):
        done += story.work()
        story.later(hours=6)
    expected = []
    for number in (1, 2):
        expected += [day("Day", number), *(day("Hour", number, hour) for hour in (0, 6, 12, 18)), day("Sum", number)]
    assert done == expected
    assert pipe.state == "FINISHED"


def test_no_hour_of_a_day_that_failed_runs_and_the_next_days_do(story: Story) -> None:
    pipe = story.pipeline(
        scheduled(
            schedule("Hourly", "12 hours"),
            activity("Day", maximumRetries="0"),
            activity("Hour", dependsOn=ref("Day"), schedule=ref("Hourly")),
        )
    )
    story.end(story.take(), "FAILED")
    story.until("2024-01-02T00:00:00")
    assert story.work() == [day("Day", 2), day("Hour", 2)]
    assert pipe.statuses("Hour") == {
        day("Hour", 1): "CASCADE_FAILED",
        day("Hour", 1, 12): "CASCADE_FAILED",
        day("Hour", 2): "FINISHED",
    }
    pipe.set_status("RERUN", day("Day", 1))
    assert story.work() == [day("Day", 1), day("Hour", 1), day("Hour", 1, 12)]


def test_one_resource_an_hour_serves_three_activities_of_twenty_minutes(story: Story) -> None:
    """The guide's example of maximum resource efficiency."""
    pipe: Pipe = story.pipeline(
        scheduled(
            schedule("Hourly", "1 hour", occurrences="2"),
            schedule("Often", "20 minutes", occurrences="6"),
            resource("R", schedule=ref("Hourly")),
            activity("A", runsOn=ref("R"), schedule=ref("Often")),
        )
    )
    started = []
    for _ in range(2):
        hosting = story.take(SYSTEM)
        started.append(hosting.instance_id)
        group = f"resource:{pipe.id}_{hosting.instance_id}"
        request = {"taskrunnerId": "runner-1", "workerGroup": group}
        tasks.report_task_runner_heartbeat(story.call("runner"), request)
        done = []
        for _ in range(6):
            done += story.work(group)
            story.later(minutes=10)
            story.report(hosting)
        assert len(done) == 3
        assert tasks.report_task_runner_heartbeat(story.call("runner"), request)["terminate"]
        story.end(hosting)
    assert started == [day("R", 1, 0), day("R", 1, 1)]
    assert pipe.state == "FINISHED"
