"""Corners of the engine that chance found (tests/simulation), each told as a short story."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from story import (
    SYSTEM,
    Story,
    activity,
    exists,
    on_demand,
    ref,
    resource,
    schedule,
    scheduled,
)

from penstock.api import backfill, tasks
from penstock.definition.period import parse_date_time
from penstock.engine.recovery import recover

AT = "2024-01-01T00:00:00"
A, P, R = f"@A_{AT}", f"@P_{AT}", f"@R_{AT}"


def call_of_the_resource(story: Story, pipeline_id: str) -> None:
    """The resource's own task runner calls."""
    beat = {"taskrunnerId": "runner-1", "workerGroup": f"resource:{pipeline_id}_{R}", "hostname": "host-1"}
    tasks.report_task_runner_heartbeat(story.call("runner"), beat)


def test_a_resource_that_is_skipped_is_started_for_what_waits_for_it_already(story: Story) -> None:
    hours = schedule("Daily", "1 hour", startDateTime="2023-12-31T20:00:00", occurrences="4")
    places = resource("R", maxActiveInstances="1")
    pipe = story.pipeline(scheduled(hours, places, activity("A", runsOn=ref("R"))), start="2023-12-31T20:00:00")
    waiting, needed = "@A_2023-12-31T23:00:00", "@R_2023-12-31T23:00:00"
    assert pipe.why(waiting) == [f"{needed} has not been made yet."]
    pipe.activate("2024-01-01T00:00:00")
    assert pipe.status(needed) == "CREATING"


def test_a_resource_whose_task_runner_has_called_is_not_handed_out_again(story: Story) -> None:
    limits = {"initTimeout": "10 minutes", "terminateAfter": "1 day"}
    pipe = story.pipeline(on_demand(resource("R", **limits), activity("A", runsOn=ref("R"))))
    task = story.poll(SYSTEM)
    assert task is not None  # and is not acknowledged
    call_of_the_resource(story, pipe.id)
    for _ in range(5):
        story.later(minutes=3)
        assert story.poll(SYSTEM) is None
        assert not story.report(task)
    assert pipe.status(R) == "RUNNING"


def test_what_becomes_ready_while_its_resource_is_started_again_waits_for_it(story: Story, tmp_path: Path) -> None:
    objects = (resource("R"), exists("P"), activity("A", runsOn=ref("R"), precondition=ref("P")), activity("B"))
    pipe = story.pipeline(on_demand(*objects, activity("C", runsOn=ref("R"), dependsOn=ref("B"))))
    story.take(SYSTEM)
    call_of_the_resource(story, pipe.id)
    assert pipe.status(P) == "WAITING_FOR_RUNNER"
    recover(story.engine, "host-1")
    assert pipe.status(R) == "CREATING"
    story.work()
    assert pipe.why(f"@C_{AT}") == [f"{R} is CREATING."]


def test_a_rerun_that_a_deactivation_cancelled_goes_on_as_a_rerun(story: Story) -> None:
    pipe = story.pipeline(scheduled(activity("A", maxActiveInstances="1"), schedule(occurrences="2")))
    story.work()
    story.later(days=1)
    second = "@A_2024-01-02T00:00:00"
    pipe.set_status("RERUN", A)
    assert set(pipe.statuses().values()) == {"WAITING_FOR_RUNNER"}
    pipe.deactivate()
    pipe.activate()
    assert set(pipe.statuses().values()) == {"WAITING_FOR_RUNNER"}
    assert {i.instance_id: i.is_rerun for i in pipe.instances()} == {A: 1, second: 0}


def test_a_pipeline_is_not_finished_while_a_paused_component_holds_a_backfill(story: Story) -> None:
    pipe = story.pipeline(scheduled(activity("A"), schedule(occurrences="1")))
    story.work()
    assert pipe.state == "FINISHED"
    pipe.set_status("PAUSE", "A")
    span = {"startTime": parse_date_time(AT), "endTime": parse_date_time("2024-01-02T00:00:00")}
    backfill.backfill_range(story.call(), {"pipelineId": pipe.id, "includeFinished": True, **span})
    assert pipe.state == "SCHEDULED"
    pipe.set_status("RESUME", "A")
    assert story.work() == [A]
    assert pipe.state == "FINISHED"


def test_a_run_on_demand_that_waits_for_its_place_keeps_the_version_that_it_was_activated_with(story: Story) -> None:
    pipe = story.pipeline(on_demand(activity("A", maximumRetries="0")))
    story.later(minutes=1)
    pipe.activate()
    pipe.put(on_demand(activity("A", maximumRetries="5")))
    pipe.activate()
    assert [i.tries_left for i in pipe.instances()] == [0]
    story.work()
    assert [i.tries_left for i in pipe.instances()] == [0, 0, 5]


@pytest.mark.parametrize("hours", [2, 4])
def test_a_rerun_waits_for_the_intervals_that_the_active_version_has(story: Story, hours: int) -> None:
    def version(occurrences: int) -> dict[str, Any]:
        hourly = schedule("Hourly", "1 hour", occurrences=str(occurrences))
        each_hour = activity("H", schedule=ref("Hourly"))
        return scheduled(schedule(occurrences="1"), hourly, each_hour, activity("A", dependsOn=ref("H")))

    pipe = story.pipeline(version(3))
    assert len(pipe.why(A)) == 3
    pipe.set_status("CANCEL", A)
    pipe.put(version(hours))
    pipe.activate()
    pipe.set_status("RERUN", A)
    assert len(pipe.why(A)) == hours
    story.later(hours=5)
    story.work()
    assert pipe.state == "FINISHED"
    assert pipe.status(A) == "FINISHED"


def test_nothing_waits_for_intervals_that_the_active_version_has_no_more(story: Story) -> None:
    def version(occurrences: int) -> dict[str, Any]:
        hourly = schedule("Hourly", "1 hour", occurrences=str(occurrences))
        each_hour = activity("H", schedule=ref("Hourly"), runsOn=ref("R"))
        return scheduled(schedule(occurrences="1"), hourly, resource("R"), each_hour, activity("A", dependsOn=ref("H")))

    pipe = story.pipeline(version(4))
    pipe.put(version(2))
    pipe.activate()
    host = story.take(SYSTEM)
    for _ in range(2):
        call_of_the_resource(story, pipe.id)
        story.work(f"resource:{pipe.id}_{R}")
        for _ in range(6):
            story.later(minutes=10)
            assert not story.report(host)
    assert pipe.status(R) == "SHUTTING_DOWN"
    story.end(host)
    assert story.work() == [A]
    assert pipe.state == "FINISHED"
    pipe.put(version(3))
    pipe.activate()
    story.later(hours=1)
    assert pipe.status("@H_2024-01-01T02:00:00") == "WAITING_ON_DEPENDENCIES"


def test_a_precondition_that_another_version_gives_to_more_objects_waits_for_its_resource(story: Story) -> None:
    def version(*others: dict[str, Any]) -> dict[str, Any]:
        needed = {"runsOn": ref("R"), "precondition": ref("P")}
        return scheduled(schedule(occurrences="1"), resource("R"), exists("P"), activity("A", **needed), *others)

    pipe = story.pipeline(version())
    pipe.set_status("CANCEL", A)
    pipe.put(version(activity("B", precondition=ref("P"))))
    pipe.activate()
    pipe.set_status("RERUN", A)
    assert pipe.status(R) == "CREATING"
    assert pipe.status(P) == "WAITING_ON_DEPENDENCIES"
