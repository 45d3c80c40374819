"""Leases after a time in which nobody could report: the service or its store was away, or the clock has jumped."""

from __future__ import annotations

from datetime import timedelta

from story import Story, activity, milliseconds, on_demand, s3_key_exists

A = "@A_2024-01-01T00:00:00"
HOUR = timedelta(hours=1)


def test_after_a_start_a_task_runner_has_two_minutes_to_report(story: Story) -> None:
    pipe = story.pipeline(on_demand(activity("A", retryDelay="1 second")))
    task = story.take()
    story.clock.moment += HOUR  # no server ran
    story.engine = story.new_engine(story.folder)
    story.engine.catch_up()
    story.later(seconds=119)
    assert not story.report(task)
    story.end(task)
    assert pipe.status(A) == "FINISHED"
    assert len(pipe.attempts(A)) == 1


def test_a_task_runner_that_has_gone_meanwhile_is_missed_after_two_minutes(story: Story) -> None:
    pipe = story.pipeline(on_demand(activity("A")))
    story.take()
    story.clock.moment += HOUR
    story.engine.catch_up()
    story.later(seconds=121)
    assert [attempt.status for attempt in pipe.attempts(A)] == ["TIMEDOUT", "WAITING_FOR_RUNNER"]


def test_a_clock_that_jumps_ahead_ends_no_attempt(story: Story) -> None:
    pipe = story.pipeline(on_demand(activity("A", attemptTimeout="10 minutes")))
    story.engine.catch_up()
    task = story.take()
    story.clock.moment += HOUR
    story.engine.catch_up()
    story.later(minutes=1)
    assert not story.report(task)
    story.later(minutes=10)
    assert [attempt.status for attempt in pipe.attempts(A)] == ["TIMEDOUT", "WAITING_FOR_RUNNER"]


def test_a_clock_that_jumps_back_makes_no_lease_and_no_delay_longer(story: Story) -> None:
    pipe = story.pipeline(on_demand(activity("A"), activity("B")))
    story.engine.catch_up()
    failing, _ = story.take(), story.take()
    story.end(failing, "FAILED")
    now = milliseconds("2023-12-31T23:00:00")
    story.clock.moment -= HOUR
    story.engine.catch_up()
    again = pipe.attempts(failing.attempt_id.partition("_Attempt")[0])[-1]
    assert again.available_at == now + 600_000
    story.later(minutes=15, seconds=1)
    (lost,) = (a for name in "AB" for a in pipe.attempts(A.replace("A", name)) if a.error_id == "TaskRunnerLost")
    assert lost.ended_at is not None
    assert lost.ended_at <= now + 901_000


def test_a_precondition_is_asked_on_for_its_time_however_the_clock_jumps(story: Story) -> None:
    holds = s3_key_exists("Holds", preconditionTimeout="30 minutes")
    pipe = story.pipeline(on_demand(activity("A", precondition={"ref": "Holds"}), holds))
    story.engine.catch_up()
    story.clock.moment += HOUR
    story.engine.catch_up()
    story.later(minutes=29)
    assert "FAILED" not in pipe.statuses().values()
    story.later(minutes=2)
    assert "FAILED" in pipe.statuses().values()
