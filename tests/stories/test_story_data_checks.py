"""Checks of data: asked for the first time when what they look at has been written, and again with it."""

from __future__ import annotations

from typing import Any

from story import Story, activity, data_node, on_demand, ref

from penstock.api.progress import describe_progress

LOAD, NODE, USE, CHECK = (f"@{name}_2024-01-01T00:00:00" for name in ("Load", "Node", "Use", "Check"))


def check(**fields: Any) -> dict[str, Any]:
    return {"id": "Check", "name": "Check", "type": "RowCountBetween", "minimum": "1", **fields}


def pipeline(**fields: Any) -> dict[str, Any]:
    """Load writes Node, which Use reads if Check holds."""
    return on_demand(
        activity("Load", output=ref("Node"), **fields),
        data_node("Node", precondition=ref("Check"), **fields),
        activity("Use", input=ref("Node"), **fields),
        check(**fields),
    )


def test_data_is_checked_when_it_has_been_written(story: Story) -> None:
    pipe = story.pipeline(pipeline())
    assert pipe.status(CHECK) == "WAITING_ON_DEPENDENCIES"
    assert pipe.why(CHECK) == [f"{LOAD} is WAITING_FOR_RUNNER."]
    assert story.work() == [LOAD, CHECK, USE]
    assert pipe.state == "FINISHED"


def test_what_an_activity_depends_on_is_done_before_its_checks(story: Story) -> None:
    story.pipeline(
        on_demand(activity("Load"), activity("Use", dependsOn=ref("Load"), precondition=ref("Check")), check())
    )
    assert story.work() == [LOAD, CHECK, USE]


def test_data_of_nobody_in_the_pipeline_is_checked_at_once(story: Story) -> None:
    story.pipeline(on_demand(data_node("Node", precondition=ref("Check")), activity("Use", input=ref("Node")), check()))
    assert story.work() == [CHECK, USE]


def test_each_object_has_a_check_of_its_own(story: Story) -> None:
    pipe = story.pipeline(
        on_demand(
            activity("Load", output=ref("Node")),
            data_node("Node", precondition=ref("Check")),
            activity("Use", precondition=ref("Check")),
            check(),
        )
    )
    assert pipe.status("@Check_Node_2024-01-01T00:00:00") == "WAITING_ON_DEPENDENCIES"
    assert pipe.status("@Check_Use_2024-01-01T00:00:00") == "WAITING_FOR_RUNNER"


def test_a_check_says_what_it_found_while_it_does_not_hold(story: Story) -> None:
    pipe = story.pipeline(pipeline())
    story.end(story.take())
    task = story.take()
    story.report(task, lastResult="Node has 0 rows; asked for are 1 or more.")
    story.end(task, "FALSE")
    assert pipe.why(CHECK) == [
        "Node has 0 rows; asked for are 1 or more.",
        "It will be asked again at 2024-01-01T00:01:00.",
    ]
    assert pipe.fields(CHECK)["lastResult"] == ["Node has 0 rows; asked for are 1 or more."]


def test_a_check_waits_with_its_data_while_what_writes_it_has_failed(story: Story) -> None:
    pipe = story.pipeline(pipeline(maximumRetries="0"))
    story.end(story.take(), "FAILED")
    assert {pipe.status(name) for name in (CHECK, NODE, USE)} == {"CASCADE_FAILED"}
    pipe.set_status("RERUN", LOAD)
    assert story.work() == [LOAD, CHECK, USE]
    assert pipe.state == "FINISHED"


def test_without_cascades_it_waits(story: Story) -> None:
    pipe = story.pipeline(pipeline(maximumRetries="0", failureAndRerunMode="none"))
    story.end(story.take(), "FAILED")
    assert pipe.statuses() == {
        LOAD: "FAILED",
        NODE: "WAITING_ON_DEPENDENCIES",
        CHECK: "WAITING_ON_DEPENDENCIES",
        USE: "WAITING_ON_DEPENDENCIES",
    }


def test_data_that_is_written_again_is_checked_again(story: Story) -> None:
    pipe = story.pipeline(pipeline())
    story.work()
    pipe.set_status("RERUN", LOAD, NODE, USE)
    assert pipe.status(CHECK) == "WAITING_ON_DEPENDENCIES"
    assert story.work() == [LOAD, CHECK, USE]


def test_an_instance_shows_what_it_has_moved_when_it_has_ended(story: Story) -> None:
    pipe = story.pipeline(on_demand(activity("Load")))
    task = story.take()
    story.report(task, rows="7", source="s3://b/1\ns3://b/2", attemptStatus="copying", **{"@status": "odd"})
    assert (pipe.fields(LOAD)["rows"], pipe.fields(LOAD)["@status"]) == (["7"], ["RUNNING"])
    story.end(task)
    fields = pipe.fields(LOAD)
    assert (fields["rows"], fields["source"]) == (["7"], ["s3://b/1", "s3://b/2"])
    assert "attemptStatus" not in fields
    pipe.set_status("RERUN", LOAD)
    assert "rows" not in pipe.fields(LOAD)


def test_progress_lists_what_runs_and_has_reported_how_far_it_is(story: Story) -> None:
    pipe = story.pipeline(on_demand(activity("Load"), activity("Use")))

    def running() -> list[dict[str, Any]]:
        return list(describe_progress(story.call(), {"pipelineId": pipe.id})["running"])

    first, second = story.take(), story.take()
    story.report(first, rows="7", bytes="many")
    story.report(second, attemptStatus="at it")
    assert [(entry["objectId"], entry.get("rows"), entry.get("bytes")) for entry in running()] == [
        (first.instance_id, 7, None)
    ]
    story.report(second, statements="3 of 7")
    assert running()[1]["statements"] == "3 of 7"
    story.end(first)
    assert [entry["objectId"] for entry in running()] == [second.instance_id]


def test_a_task_carries_the_name_of_its_pipeline(story: Story) -> None:
    pipe = story.pipeline(on_demand(activity("Load")))
    assert story.take().field("@pipelineName") == pipe.description["name"]
