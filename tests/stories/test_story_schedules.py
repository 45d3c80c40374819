"""When instances are made: cron, timeseries, on demand, the calendar, backfills and skipped intervals."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from story import Story, activity, day, on_demand, ref, schedule, scheduled

from penstock.wire.errors import ServiceError

NewStory = Callable[..., Story]


def test_cron_runs_at_the_start_of_the_interval(story: Story) -> None:
    pipe = story.pipeline(scheduled(activity("A"), kind="cron"))
    assert story.work() == [day("A", 1)]
    story.until("2024-01-01T23:59:59")
    assert story.work() == []
    story.until("2024-01-02T00:00:00")
    assert story.work() == [day("A", 2)]
    assert pipe.state == "SCHEDULED"


def test_timeseries_runs_at_the_end_of_the_interval(story: Story) -> None:
    pipe = story.pipeline(scheduled(activity("A"), kind="timeseries"))
    story.until("2024-01-01T23:59:59")
    assert pipe.statuses() == {}
    story.until("2024-01-02T00:00:00")
    assert story.work() == [day("A", 1)]
    fields = pipe.fields(day("A", 1))
    assert (fields["@scheduledStartTime"], fields["@scheduledEndTime"]) == (
        ["2024-01-01T00:00:00"],
        ["2024-01-02T00:00:00"],
    )


def test_a_schedule_type_is_the_objects_own_and_its_letter_case_does_not_matter(story: Story) -> None:
    pipe = story.pipeline(scheduled(activity("Early", scheduleType="CRON"), activity("Late"), kind="TIMESERIES"))
    assert list(pipe.statuses()) == [day("Early", 1)]


def test_on_demand_runs_once_for_each_activation(story: Story) -> None:
    pipe = story.pipeline(on_demand(activity("A")))
    assert story.work() == ["@A_2024-01-01T00:00:00"]
    assert pipe.state == "FINISHED"
    story.later(hours=1)
    assert pipe.statuses() == {"@A_2024-01-01T00:00:00": "FINISHED"}
    pipe.activate()
    assert story.work() == ["@A_2024-01-01T01:00:00"]


def test_two_activations_in_one_second_get_two_seconds(story: Story) -> None:
    pipe = story.pipeline(on_demand(activity("A", maxActiveInstances="3")))
    pipe.activate()
    pipe.activate()
    assert list(pipe.statuses()) == [f"@A_2024-01-01T00:00:0{second}" for second in (0, 1, 2)]


def test_on_demand_runs_follow_each_other_unless_more_may_be_active(story: Story) -> None:
    pipe = story.pipeline(on_demand(activity("A")))
    pipe.activate()
    assert list(pipe.statuses().values()) == ["WAITING_FOR_RUNNER"]
    assert story.work() == ["@A_2024-01-01T00:00:00", "@A_2024-01-01T00:00:01"]
    assert pipe.state == "FINISHED"


def test_months_are_those_of_the_calendar(new_story: NewStory) -> None:
    story = new_story("2024-01-31T00:00:00")
    pipe = story.pipeline(
        scheduled(activity("A"), schedule("Daily", "1 month", startDateTime="2024-01-31T00:00:00", occurrences="4"))
    )
    for moment in ("2024-02-28T23:59:59", "2024-02-29T00:00:00", "2024-03-31T00:00:00", "2025-01-01T00:00:00"):
        story.until(moment)
        story.work()
    starts = [instance_id.removeprefix("@A_")[:10] for instance_id in pipe.statuses()]
    assert starts == ["2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30"]
    assert pipe.fields("@A_2024-01-31T00:00:00")["@scheduledEndTime"] == ["2024-02-29T00:00:00"]


def test_occurrences_end_a_schedule_and_with_it_the_pipeline(story: Story) -> None:
    pipe = story.pipeline(scheduled(activity("A"), schedule(occurrences="2")))
    story.work()
    story.until("2024-01-05T00:00:00")
    assert pipe.state == "SCHEDULED"
    assert story.work() == [day("A", 2)]
    assert pipe.state == "FINISHED"
    assert pipe.description["@finishedTime"] == "2024-01-05T00:00:00"


def test_no_interval_starts_at_the_end_or_later(story: Story) -> None:
    pipe = story.pipeline(scheduled(activity("A"), schedule(endDateTime="2024-01-03T00:00:00")))
    story.until("2024-01-10T00:00:00")
    story.work()
    assert list(pipe.statuses()) == [day("A", 1), day("A", 2)]


def test_a_schedule_may_start_with_the_first_activation(new_story: NewStory) -> None:
    story = new_story("2024-03-10T08:15:42")
    definition = scheduled(activity("A"), schedule("Daily", "1 hour", startAt="FIRST_ACTIVATION_DATE_TIME"))
    pipe = story.pipeline(definition)
    assert story.work() == ["@A_2024-03-10T08:15:42"]
    story.later(minutes=90)
    pipe.deactivate()
    pipe.activate()
    story.later(minutes=60)
    assert story.work() == ["@A_2024-03-10T09:15:42", "@A_2024-03-10T10:15:42"]


def test_a_first_activation_long_after_the_start_says_what_it_would_run(new_story: NewStory) -> None:
    story = new_story("2024-01-11T00:00:00")
    pipe = story.pipeline(scheduled(activity("A"), activity("B"), kind="timeseries"), is_active=False)
    with pytest.raises(ServiceError, match=r"run 10 intervals of '[AB]' and 20 instances.*2024-01-01T00:00:00"):
        pipe.activate()
    assert pipe.state == "PENDING"
    assert pipe.statuses() == {}
    pipe.activate("2024-01-01T00:00:00")
    assert pipe.state == "SCHEDULED"


def test_a_backfill_runs_oldest_first_and_never_has_too_many_active(new_story: NewStory) -> None:
    story = new_story("2024-01-31T12:00:00")
    pipe = story.pipeline(
        scheduled(activity("A"), activity("B", dependsOn=ref("A"), maxActiveInstances="2")), start="2024-01-01T00:00:00"
    )
    done: list[str] = []
    while (task := story.poll()) is not None:
        active = [i.component for i in pipe.instances() if i.ended_at is None]
        assert active.count("A") <= 5
        assert active.count("B") <= 2
        story.end(task)
        done.append(task.instance_id)
    for component in "AB":
        assert [one for one in done if one.startswith(f"@{component}_")] == [day(component, n) for n in range(1, 32)]


def test_instances_that_wait_count_as_active(new_story: NewStory) -> None:
    story = new_story("2024-01-31T12:00:00")
    pipe = story.pipeline(scheduled(activity("A")), start="2024-01-01T00:00:00")
    assert list(pipe.statuses()) == [day("A", number) for number in range(1, 6)]
    first = story.take()
    assert len(pipe.statuses()) == 5
    story.end(first)
    assert list(pipe.statuses())[-1] == day("A", 6)


def test_a_backfill_of_ten_years_costs_nothing_up_front(new_story: NewStory) -> None:
    story = new_story("2024-01-01T12:00:00")
    long_ago = schedule("Daily", "15 minutes", startDateTime="2014-01-01T00:00:00")
    began = time.thread_time()
    pipe = story.pipeline(
        scheduled(*[activity(f"A{number}") for number in range(10)], long_ago), start="2014-01-01T00:00:00"
    )
    assert time.thread_time() - began < 2
    assert len(pipe.statuses()) == 50
    assert {instance_id[-19:-6] for instance_id in pipe.statuses()} == {"2014-01-01T00", "2014-01-01T01"}


def test_a_start_timestamp_skips_the_intervals_before_it(new_story: NewStory) -> None:
    story = new_story("2024-01-05T12:00:00")
    pipe = story.pipeline(scheduled(activity("A"), kind="cron"), start="2024-01-04T00:00:00")
    assert pipe.statuses() == {
        day("A", 1): "SKIPPED",
        day("A", 2): "SKIPPED",
        day("A", 3): "SKIPPED",
        day("A", 4): "WAITING_FOR_RUNNER",
        day("A", 5): "WAITING_FOR_RUNNER",
    }
    assert story.work() == [day("A", 4), day("A", 5)]


def test_a_start_timestamp_before_the_start_skips_nothing(story: Story) -> None:
    pipe = story.pipeline(scheduled(activity("A")), start="1970-01-01T00:00:00")
    assert pipe.statuses() == {day("A", 1): "WAITING_FOR_RUNNER"}


def test_what_is_to_be_skipped_stays_so_when_the_pipeline_is_activated_again(new_story: NewStory) -> None:
    story = new_story("2024-01-03T00:00:00")
    every_minute = schedule("Daily", "1 minute")
    pipe = story.pipeline(scheduled(activity("A"), every_minute), start="2024-01-03T00:00:00")
    assert len(pipe.statuses()) == 1000, "a long stretch is worked off in pieces"
    pipe.activate()
    story.engine.run_due()
    assert list(pipe.statuses().values()) == ["SKIPPED"] * (2 * 24 * 60) + ["WAITING_FOR_RUNNER"]


def test_a_start_far_in_the_future_costs_nothing_now(story: Story) -> None:
    pipe = story.pipeline(scheduled(activity("A")), start="9999-01-01T00:00:00")
    story.until("2024-01-03T00:00:00")
    assert pipe.statuses() == {day("A", number): "SKIPPED" for number in (1, 2, 3)}


def test_what_has_run_is_not_skipped_and_not_run_again(new_story: NewStory) -> None:
    story = new_story("2024-01-02T12:00:00")
    pipe = story.pipeline(scheduled(activity("A")), start="2024-01-01T00:00:00")
    story.work()
    pipe.deactivate()
    story.until("2024-01-05T12:00:00")
    pipe.activate("2024-01-05T00:00:00")
    story.work()
    assert list(pipe.statuses().values()) == ["FINISHED", "FINISHED", "SKIPPED", "SKIPPED", "FINISHED"]


def test_an_instance_keeps_the_version_and_the_values_of_its_activation(story: Story) -> None:
    def definition(command: str) -> dict[str, object]:
        made = on_demand(activity("A", command=command, maxActiveInstances="2"))
        return {**made, "parameters": [{"id": "myWord", "type": "String"}]}

    pipe = story.pipeline(definition("echo 1 #{myWord}"), is_active=False)
    pipe.activate(myWord="one")
    pipe.put(definition("echo 2 #{myWord}"))
    pipe.activate(myWord="two")
    first, second = story.take(), story.take()
    assert (first.field("command"), second.field("command")) == ("echo 1 one", "echo 2 two")
    assert (first.field("@version"), second.field("@version")) == ("1", "2")


def test_an_activation_without_values_takes_the_last_ones(story: Story) -> None:
    made = {**on_demand(activity("A", command="echo #{myWord}")), "parameters": [{"id": "myWord", "type": "String"}]}
    pipe = story.pipeline(made, is_active=False)
    pipe.activate(myWord="one")
    story.work()
    pipe.activate()
    assert story.take().field("command") == "echo one"


def test_a_schedule_takes_parameters(story: Story) -> None:
    made = scheduled(activity("A"), schedule("Daily", "#{myPeriod}", occurrences="#{myCount}"))
    parameters = [{"id": "myPeriod", "type": "String", "default": "6 hours"}, {"id": "myCount", "type": "Integer"}]
    pipe = story.pipeline({**made, "parameters": parameters, "values": {"myCount": "3"}})
    story.until("2024-01-03T00:00:00")
    story.work()
    assert list(pipe.statuses()) == [day("A", 1), day("A", 1, 6), day("A", 1, 12)]
