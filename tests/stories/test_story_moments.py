"""Moments: nothing is done one millisecond before its time, and everything at it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from story import SYSTEM, Story, activity, alarm, day, on_demand, ref, resource, s3_key_exists, schedule, scheduled

from penstock.clock import from_ms
from penstock.definition.period import parse_date_time

MILLISECOND = timedelta(milliseconds=1)
A = day("A", 1)


def wait_for(story: Story, moment: str) -> None:
    """Let time pass until the last millisecond before the moment, with everything on the way done when it is due."""
    target = parse_date_time(moment) - MILLISECOND
    while (due := story.run_due()) is not None and from_ms(due) <= target:
        story.clock.moment = max(story.clock.moment, from_ms(due))
        story.run_due()
        story.work()
    story.clock.moment = target
    story.run_due()


def at_last(story: Story) -> None:
    story.clock.moment += MILLISECOND
    story.run_due()


@pytest.mark.parametrize(
    ("kind", "moment", "instance"),
    [
        ("cron", "2024-01-01T06:00:00", day("A", 1, 6)),
        ("timeseries", "2024-01-01T12:00:00", day("A", 1, 6)),
        ("cron", "2024-01-01T12:00:00", day("A", 1, 12)),
    ],
)
def test_no_task_is_there_before_its_scheduled_moment(
    new_story: Callable[..., Story], kind: str, moment: str, instance: str
) -> None:
    story = new_story("2024-01-01T05:00:00")
    sixes = schedule(period="6 hours", startDateTime="2024-01-01T06:00:00")
    pipe = story.pipeline(scheduled(sixes, activity("A"), kind=kind))
    wait_for(story, moment)
    assert story.poll() is None
    assert instance not in pipe.statuses()
    at_last(story)
    assert story.take().instance_id == instance


def test_a_failed_attempt_is_tried_again_when_its_delay_is_over_and_not_before(story: Story) -> None:
    story.pipeline(on_demand(activity("A", retryDelay="1 minute")))
    story.end(story.take(), "FAILED")
    wait_for(story, "2024-01-01T00:01:00")
    assert story.poll() is None
    at_last(story)
    assert story.take().attempt_id == f"{A}_Attempt=2"


def test_a_precondition_is_asked_again_when_its_interval_is_over_and_not_before(
    new_story: Callable[..., Story],
) -> None:
    story = new_story(precondition_interval=30.0)
    story.pipeline(on_demand(s3_key_exists("Key"), activity("A", precondition=ref("Key"))))
    story.end(story.take(SYSTEM), "FALSE")
    wait_for(story, "2024-01-01T00:00:30")
    assert story.poll(SYSTEM) is None
    at_last(story)
    assert story.poll(SYSTEM) is not None


def test_a_resource_is_made_at_the_start_of_its_interval_and_not_before(new_story: Callable[..., Story]) -> None:
    story = new_story("2023-12-31T00:00:00")
    pipe = story.pipeline(scheduled(resource("R"), activity("A", runsOn=ref("R"))))
    wait_for(story, "2024-01-01T00:00:00")
    assert story.poll(SYSTEM) is None
    assert pipe.instances() == []
    at_last(story)
    assert story.take(SYSTEM).instance_id == day("R", 1)


def test_an_attempt_is_given_all_of_its_time(story: Story) -> None:
    pipe = story.pipeline(on_demand(activity("A", attemptTimeout="5 minutes", maximumRetries="0")))
    story.take()
    wait_for(story, "2024-01-01T00:05:00")
    assert pipe.status(A) == "RUNNING"
    at_last(story)
    assert pipe.status(A) == "FAILED"


def test_nothing_is_late_before_its_time(story: Story) -> None:
    pipe = story.pipeline(
        scheduled(alarm("Late"), activity("A", lateAfterTimeout="10 minutes", onLateAction=ref("Late")))
    )
    story.take()
    wait_for(story, "2024-01-01T00:10:00")
    assert pipe.alarms() == []
    at_last(story)
    assert len(pipe.alarms()) == 1
