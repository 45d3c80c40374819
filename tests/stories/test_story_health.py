"""Health of components and pipelines, and the runtime fields of components."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from story import SYSTEM, Story, activity, data_node, day, exists, on_demand, ref, resource, scheduled

NewStory = Callable[..., Story]
AT = "2024-01-01T00:00:00"
ONCE = {"maximumRetries": "0"}


def test_a_failed_precondition_is_an_error_of_the_object_that_has_it(story: Story) -> None:
    pipe = story.pipeline(on_demand(exists("P", **ONCE), activity("A", precondition=ref("P"))))
    assert "@healthStatus" not in pipe.description
    story.end(story.take(), "FAILED")
    assert pipe.status(f"@A_{AT}") == "CASCADE_FAILED"
    for component in ("A", "P"):
        fields = pipe.fields(component)
        assert fields["@healthStatus"] == ["ERROR"]
        assert fields["@healthStatusFromInstanceId"] == [f"@P_{AT}"]
    assert "@latestCompletedRunTime" not in pipe.fields("A")
    assert pipe.description["@healthStatus"] == "ERROR"
    pipe.set_status("RERUN", f"@P_{AT}")
    story.work()
    assert pipe.fields("A")["@healthStatus"] == ["HEALTHY"]
    assert pipe.description["@healthStatus"] == "HEALTHY"


def test_data_nodes_and_resources_have_a_health_as_activities_do(story: Story) -> None:
    pipe = story.pipeline(
        on_demand(
            resource("R", terminateAfter="1 minute"), data_node("D"), activity("A", runsOn=ref("R"), input=ref("D"))
        )
    )
    story.take(SYSTEM)
    story.later(minutes=1)
    assert pipe.status(f"@R_{AT}") == "TIMEDOUT"
    health = {component: pipe.fields(component)["@healthStatus"] for component in ("R", "A", "D")}
    assert health == {"R": ["ERROR"], "A": ["ERROR"], "D": ["HEALTHY"]}
    assert pipe.description["@healthStatus"] == "ERROR", "errors are visible first"


def test_health_is_that_of_the_instance_which_ended_last_whatever_its_interval(story: Story) -> None:
    pipe = story.pipeline(scheduled(activity("A", **ONCE)))
    story.work()
    story.until("2024-01-02T00:00:00")
    story.end(story.take(), "FAILED")
    story.until("2024-01-02T06:00:00")
    pipe.set_status("RERUN", day("A", 1))
    story.work()
    fields = pipe.fields("A")
    assert fields["@healthStatus"] == ["HEALTHY"]
    assert fields["@healthStatusFromInstanceId"] == [day("A", 1)]
    assert fields["@healthStatusUpdatedTime"] == ["2024-01-02T06:00:00"]
    assert fields["@latestCompletedRunTime"] == ["2024-01-02T00:00:00"], "the run of day 1 is not the latest"


@pytest.mark.parametrize("kind", ["cron", "timeseries"])
def test_a_component_tells_of_its_runs(story: Story, kind: str) -> None:
    pipe = story.pipeline(scheduled(activity("A"), kind=kind))
    if kind == "timeseries":
        assert pipe.fields("A")["@nextRunTime"] == ["2024-01-01T00:00:00"]
        assert "@latestRunTime" not in pipe.fields("A")
        story.until("2024-01-02T00:00:00")
    fields = pipe.fields("A")
    assert fields["@latestRunTime"] == ["2024-01-01T00:00:00"]
    assert fields["@nextRunTime"] == ["2024-01-02T00:00:00"]
    assert fields["@activeInstances"] == [day("A", 1)]
    assert "@latestCompletedRunTime" not in fields
    story.work()
    fields = pipe.fields("A")
    assert fields["@latestCompletedRunTime"] == ["2024-01-01T00:00:00"]
    assert "@activeInstances" not in fields
    assert "@lastDeactivatedTime" not in fields
    at = story.clock.moment.strftime("%Y-%m-%dT%H:%M:%S")
    pipe.deactivate()
    assert pipe.fields("A")["@lastDeactivatedTime"] == [at]
