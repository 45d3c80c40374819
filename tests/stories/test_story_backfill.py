"""BackfillRange: what runs, what is left alone, in which order, how much at once, and what is refused."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from story import Pipe, Story, activity, data_node, day, exists, on_demand, ref, resource, schedule, scheduled

from penstock.api import backfill, progress, tasks
from penstock.definition.period import parse_date_time
from penstock.wire.errors import ServiceError

NewStory = Callable[..., Story]
JANUARY = ("2024-01-01", "2024-02-01")


def ask(pipe: Pipe, start: str, end: str, *components: str, **more: bool) -> dict[str, Any]:
    """What BackfillRange answers, by component."""
    request = {"pipelineId": pipe.id, "startTime": parse_date_time(start), "endTime": parse_date_time(end), **more}
    if components:
        request["components"] = list(components)
    return {entry["component"]: entry for entry in backfill.backfill_range(pipe.story.call(), request)["components"]}


def refusal(pipe: Pipe, start: str, end: str, *components: str) -> str:
    with pytest.raises(ServiceError) as refused:
        ask(pipe, start, end, *components)
    assert refused.value.code == "InvalidRequestException"
    return refused.value.message


def counts(stretches: list[dict[str, Any]]) -> dict[str, int]:
    return {stretch["status"]: stretch["count"] for stretch in stretches}


def most_active(story: Story, pipe: Pipe, component: str, group: str = "work") -> tuple[int, list[str]]:
    """Work until nothing is left: how many instances of a component were active at most, and the order."""
    most, done = 0, []
    while (task := story.poll(group)) is not None:
        most = max(most, sum(i.component == component and i.ended_at is None for i in pipe.instances()))
        story.end(task)
        done.append(task.instance_id)
    return most, done


def test_skipped_intervals_run_oldest_first_and_never_too_many_at_once(new_story: NewStory) -> None:
    story = new_story("2024-01-20T12:00:00")
    pipe = story.pipeline(scheduled(activity("A", maxActiveInstances="3")), start="2024-01-20")
    assert story.work() == [day("A", 20)]
    answer = ask(pipe, "2024-01-03", "2024-01-18")["A"]
    assert (answer["intervals"], answer["toRun"], answer["leftAlone"]) == (15, 15, [])
    assert answer["started"] == [day("A", 3), day("A", 4), day("A", 5)]
    most, done = most_active(story, pipe, "A")
    assert most == 3
    assert done == [day("A", number) for number in range(3, 18)]
    assert (pipe.status(day("A", 2)), pipe.status(day("A", 18))) == ("SKIPPED", "SKIPPED")


def test_what_did_not_succeed_runs_again_and_what_finished_only_if_asked(new_story: NewStory) -> None:
    story = new_story("2024-01-06T12:00:00")
    definition = scheduled(activity("A", maximumRetries="0"), activity("B", dependsOn=ref("A")))
    pipe = story.pipeline(definition, start="2024-01-02")
    bad = {day("A", 3): "FAILED"}
    story.work(answer=lambda task: bad.get(task.instance_id, "FINISHED"))
    pipe.set_status("RERUN", day("A", 4))
    pipe.set_status("TRY_CANCEL", day("A", 4))
    assert list(pipe.statuses("A").values()) == ["SKIPPED", "FINISHED", "FAILED", "CANCELED", "FINISHED", "FINISHED"]
    assert pipe.statuses("B")[day("B", 3)] == "CASCADE_FAILED"
    preview = ask(pipe, "2024-01-01", "2024-01-08", isDryRun=True)
    assert counts(preview["A"]["runs"]) == {"SKIPPED": 1, "FAILED": 1, "CANCELED": 1}
    assert counts(preview["A"]["leftAlone"]) == {"FINISHED": 3, "NOT_DUE": 1}
    assert counts(preview["B"]["runs"]) == {"SKIPPED": 1, "CASCADE_FAILED": 1}
    assert preview["A"]["started"] == []
    assert story.poll() is None
    ask(pipe, "2024-01-01", "2024-01-08")
    assert story.work() == [day("A", 1), day("A", 3), day("A", 4), day("B", 1), day("B", 3)]
    assert set(pipe.statuses().values()) == {"FINISHED"}
    again = ask(pipe, "2024-01-01", "2024-01-03", includeFinished=True)
    assert counts(again["A"]["runs"]) == {"FINISHED": 2}
    assert story.work() == [day("A", 1), day("A", 2), day("B", 1), day("B", 2)]


def test_a_consumer_waits_for_every_producer_that_the_range_runs_as_well(new_story: NewStory) -> None:
    story = new_story("2024-01-03T00:00:00")
    hourly = schedule("Hourly", "1 hour")
    pipe = story.pipeline(
        scheduled(
            hourly,
            activity("Hour", schedule=ref("Hourly"), maxActiveInstances="2", maximumRetries="0"),
            activity("Day", dependsOn=ref("Hour")),
        ),
        start="2024-01-03",
    )
    story.work(answer=lambda task: "FINISHED")
    ask(pipe, "2024-01-01", "2024-01-02")
    assert pipe.status(day("Day", 1)) == "SKIPPED"
    done = story.work()
    assert done == [*(day("Hour", 1, hour) for hour in range(24)), day("Day", 1)]


def test_a_consumer_fails_with_a_producer_only_if_that_fails_again(new_story: NewStory) -> None:
    story = new_story("2024-01-06T12:00:00")
    definition = scheduled(activity("A", maximumRetries="0", maxActiveInstances="1"), activity("B", dependsOn=ref("A")))
    pipe = story.pipeline(definition, start="2024-01-01")
    story.work(answer=lambda task: "FAILED")
    assert set(pipe.statuses("B").values()) == {"CASCADE_FAILED"}
    before = len(pipe.events())
    ask(pipe, "2024-01-01", "2024-01-06")
    story.work(answer=lambda task: "FAILED" if task.instance_id == day("A", 2) else "FINISHED")
    assert pipe.status(day("B", 2)) == "CASCADE_FAILED"
    assert [pipe.status(day("B", n)) for n in (1, 3, 4, 5, 6)] == ["FINISHED"] * 4 + ["CASCADE_FAILED"]
    assert [event.verb for event in pipe.events()[before:]].count("cascade") == 1


def test_a_range_of_ten_years_is_a_row_and_the_schedule_goes_before_it(new_story: NewStory) -> None:
    story = new_story("2024-01-01T12:00:00")
    quarters = schedule("Daily", "15 minutes", startDateTime="2014-01-01T00:00:00", endDateTime="2024-01-01T00:00:00")
    now = schedule("Now", "1 hour", startDateTime="2024-01-01T12:00:00")
    pipe = story.pipeline(
        scheduled(activity("A", maxActiveInstances="1"), activity("B", schedule=ref("Now")), quarters, now),
        start="2023-12-31T23:30:00",
    )
    began = time.thread_time()
    answer = ask(pipe, "2014-01-01", "2024-01-01", "A")["A"]
    assert time.thread_time() - began < 0.5
    assert answer["intervals"] == (10 * 365 + 2) * 96
    assert answer["toRun"] == answer["intervals"] - 2
    assert pipe.state == "SCHEDULED"


def test_the_schedules_own_intervals_go_first(new_story: NewStory) -> None:
    story = new_story("2024-01-10T12:00:00")
    pipe = story.pipeline(scheduled(activity("A", maxActiveInstances="1")), start="2024-01-10")
    story.work()
    ask(pipe, *JANUARY)
    story.until("2024-01-11T00:00:00")
    assert story.work() == [day("A", number) for number in (1, 11, *range(2, 10))]


def test_it_goes_on_after_a_restart_a_deactivation_and_a_pause(new_story: NewStory) -> None:
    story = new_story("2024-01-10T12:00:00")
    pipe = story.pipeline(scheduled(activity("A", maxActiveInstances="2")), start="2024-01-10")
    story.work()
    ask(pipe, *JANUARY)
    story.end(story.take())
    story.engine = story.new_engine(story.folder)
    story.end(story.take())
    pipe.deactivate()
    assert [pipe.status(day("A", n)) for n in range(1, 6)] == [
        "FINISHED",
        "FINISHED",
        "CANCELED",
        "CANCELED",
        "SKIPPED",
    ]
    story.later(minutes=5)
    assert "activate it first" in refusal(pipe, *JANUARY).lower()
    pipe.activate()
    story.end(story.take())
    pipe.set_status("PAUSE", "A")
    assert ask(pipe, "2024-01-01", "2024-01-03", isDryRun=True)["A"]["isPaused"]
    assert story.poll() is None
    assert pipe.status(day("A", 6)) == "SKIPPED"
    pipe.set_status("RESUME", "A")
    story.work()
    assert set(pipe.statuses().values()) == {"FINISHED"}


def test_a_backfill_that_is_stopped_begins_nothing_more(new_story: NewStory) -> None:
    story = new_story("2024-01-10T12:00:00")
    definition = scheduled(activity("A", maxActiveInstances="2"), schedule(occurrences="9"))
    pipe = story.pipeline(definition, start="2024-01-09")
    story.work()
    ask(pipe, "2024-01-01", "2024-01-09")
    story.end(story.take())
    request = {"pipelineId": pipe.id}
    assert progress.describe_progress(story.call(), request)["backfills"] == [
        {"component": "A", "nextStart": parse_date_time("2024-01-04"), "endTime": parse_date_time("2024-01-09")}
    ]
    (stopped,) = backfill.stop_backfills(story.call(), request)["backfills"]
    assert (stopped["component"], stopped["nextStart"]) == ("A", parse_date_time("2024-01-04"))
    assert story.work() == [day("A", 2), day("A", 3)]
    assert pipe.state == "FINISHED"
    assert backfill.stop_backfills(story.call(), request) == {"backfills": []}


def test_a_pipeline_that_was_over_is_over_again_when_all_has_run(new_story: NewStory) -> None:
    story = new_story("2024-01-10T12:00:00")
    definition = scheduled(activity("A"), schedule(occurrences="9"))
    pipe = story.pipeline(definition, start="2024-01-09")
    story.work()
    assert pipe.state == "FINISHED"
    ask(pipe, "2024-01-01", "2024-01-10")
    assert pipe.state == "SCHEDULED"
    assert len(story.work()) == 8
    assert pipe.state == "FINISHED"


def test_data_nodes_preconditions_and_the_resource_come_along(new_story: NewStory) -> None:
    story = new_story("2024-01-03T12:00:00")
    pipe = story.pipeline(
        scheduled(
            resource("Machine"),
            data_node("In", precondition=ref("Ready")),
            exists("Ready"),
            activity("Load", input=ref("In"), output=ref("Out"), runsOn=ref("Machine"), maxActiveInstances="1"),
            data_node("Out"),
            activity("Report", input=ref("Out")),
        ),
        start="2024-01-05",
    )
    answer = ask(pipe, "2024-01-01", "2024-01-03", "Load")
    assert {name: share["toRun"] for name, share in answer.items()} == {"In": 2, "Load": 2, "Out": 2}
    assert (pipe.status(day("Ready", 1)), pipe.status(day("Machine", 1))) == ("WAITING_ON_DEPENDENCIES", "CREATING")
    assert pipe.why(day("Load", 1)) == [
        f"{day('In', 1)} is WAITING_ON_DEPENDENCIES.",
        f"{day('Machine', 1)} is CREATING.",
    ]
    assert pipe.status(day("Report", 1)) == "SKIPPED"


def test_a_resource_stays_between_the_instances_of_a_backfill(new_story: NewStory) -> None:
    story = new_story("2024-01-03T00:00:00")
    pipe = story.pipeline(
        scheduled(
            schedule("Hourly", "6 hours"),
            resource("Machine"),
            activity("Load", schedule=ref("Hourly"), runsOn=ref("Machine"), maxActiveInstances="1"),
        ),
        start="2024-01-04",
    )
    ask(pipe, "2024-01-02", "2024-01-03")
    hosting = story.take("penstock:system")
    assert hosting.instance_id == day("Machine", 2)
    group = f"resource:{pipe.id}_{hosting.instance_id}"
    beat = {"taskrunnerId": "r", "workerGroup": group, "hostname": "h"}
    assert not tasks.report_task_runner_heartbeat(story.call("runner"), beat)["terminate"]
    assert story.work(group) == [day("Load", 2, hour) for hour in (0, 6, 12, 18)]
    assert pipe.moves(day("Machine", 2)) == ["WAITING_ON_DEPENDENCIES", "CREATING", "RUNNING", "SHUTTING_DOWN"]


def test_hundreds_of_instances_that_finish_at_once_are_not_one_transaction(new_story: NewStory) -> None:
    story = new_story("2024-01-20T00:00:00")
    pipe = story.pipeline(scheduled(schedule("Daily", "1 hour"), data_node("D")), start="2024-01-20")
    ask(pipe, "2024-01-01", "2024-01-10")
    assert list(pipe.statuses().values()).count("FINISHED") <= 52
    story.later(seconds=1)
    assert list(pipe.statuses().values()).count("FINISHED") == 9 * 24 + 1


def test_two_backfills_of_one_range_run_nothing_twice(new_story: NewStory) -> None:
    story = new_story("2024-01-10T12:00:00")
    pipe = story.pipeline(scheduled(activity("A")), start="2024-01-10")
    story.work()
    ask(pipe, "2024-01-01", "2024-01-08")
    second = ask(pipe, "2024-01-01", "2024-01-08")["A"]
    assert counts(second["leftAlone"]) == {"WAITING_FOR_RUNNER": 5}
    assert second["leftAlone"][0]["reason"] == "active already"
    assert story.work() == [day("A", number) for number in range(1, 8)]


def test_what_the_schedule_has_still_to_come_to_comes_by_itself(new_story: NewStory) -> None:
    story = new_story("2024-01-10T12:00:00")
    pipe = story.pipeline(scheduled(activity("A")), start="2024-01-01")
    answer = ask(pipe, "2024-01-01", "2024-01-15")["A"]
    assert counts(answer["leftAlone"]) == {"WAITING_FOR_RUNNER": 5, "DUE": 5, "NOT_DUE": 4}
    assert [entry["reason"] for entry in answer["leftAlone"][1:]] == [
        "due by the schedule, which comes to them by itself",
        "not due yet; they come by themselves",
    ]
    assert (answer["toRun"], answer["started"]) == (0, [])
    assert story.work() == [day("A", number) for number in range(1, 11)]


def test_what_is_skipped_but_not_written_down_yet_is_waited_for(new_story: NewStory) -> None:
    story = new_story("2024-02-20T00:00:00")
    quarters = schedule("Daily", "15 minutes")
    pipe = story.pipeline(scheduled(quarters, activity("A")), start="2024-02-20")
    assert len(pipe.statuses()) == 1000
    answer = ask(pipe, "2024-02-19T22:00:00", "2024-02-20")["A"]
    assert (counts(answer["runs"]), answer["started"]) == ({"SKIPPED": 8}, [])
    story.later(seconds=1)
    assert len(story.work()) == 8 + 1


def test_a_range_outside_the_schedule_is_refused_with_its_name_and_the_remedy(new_story: NewStory) -> None:
    story = new_story("2024-01-10T12:00:00")
    pipe = story.pipeline(scheduled(activity("A"), schedule(occurrences="12")), start="2024-01-10")
    early = refusal(pipe, "2023-12-31", "2024-01-05")
    assert "The schedule 'Daily' of 'A' starts at 2024-01-01T00:00:00" in early
    assert "Give a range from 2024-01-01T00:00:00 on" in early
    assert "clone the pipeline" in early
    late = refusal(pipe, "2024-01-05", "2024-01-14")
    assert "The schedule 'Daily' of 'A' is over at 2024-01-13T00:00:00" in late
    assert "a later endDateTime, and activate it" in late
    assert ask(pipe, "2023-12-31T12:00:00", "2024-01-13", isDryRun=True)["A"]["intervals"] == 12


def test_ranges_and_names_that_make_no_sense_are_refused(new_story: NewStory) -> None:
    story = new_story("2024-01-10T12:00:00")
    pipe = story.pipeline(
        scheduled(
            activity("Load", runsOn=ref("Machine"), precondition=ref("Ready")), resource("Machine"), exists("Ready")
        ),
        start="2024-01-10",
    )
    assert "ends at 2024-01-01T00:00:00, which is not after its start" in refusal(pipe, "2024-01-02", "2024-01-01")
    assert "No interval starts from 2024-01-02T01:00:00 on" in refusal(
        pipe, "2024-01-02T01:00:00", "2024-01-02T09:00:00"
    )
    assert "Did you mean 'Load'? There are Load." in refusal(pipe, "2024-01-02", "2024-01-03", "Lod")
    assert "'Machine' is a resource, which comes with what runs on it" in refusal(pipe, *JANUARY, "Machine")
    assert "'Ready' is a precondition" in refusal(pipe, *JANUARY, "Ready")


def test_pipelines_on_demand_and_inactive_ones_are_refused(story: Story) -> None:
    demanded = story.pipeline(on_demand(activity("A")))
    assert "runs on demand, so it has no intervals to backfill" in refusal(demanded, *JANUARY)
    pending = story.pipeline(scheduled(activity("A")), is_active=False)
    assert refusal(pending, *JANUARY).startswith("The pipeline is PENDING. Activate it first")
