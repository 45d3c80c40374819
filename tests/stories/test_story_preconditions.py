"""Preconditions: asked again while they do not hold, until they do, fail or have been asked for too long."""

from __future__ import annotations

from story import SYSTEM, Story, activity, data_node, exists, on_demand, ref, refs, s3_key_exists

A, P = "@A_2024-01-01T00:00:00", "@P_2024-01-01T00:00:00"


def test_a_precondition_that_does_not_hold_is_asked_again_with_the_same_attempt(story: Story) -> None:
    pipe = story.pipeline(on_demand(exists("P"), activity("A", precondition=ref("P"))))
    first = story.take()
    story.end(first, "FALSE")
    assert pipe.status(P) == "WAITING_FOR_RUNNER"
    assert pipe.why(P) == ["It will be asked again at 2024-01-01T00:01:00."]
    assert pipe.why(A) == [f"{P} is WAITING_FOR_RUNNER."]
    assert story.poll() is None
    story.later(minutes=1)
    second = story.take()
    assert second.attempt_id == first.attempt_id
    story.end(second)
    assert story.work() == [A]
    assert pipe.fields(P)["@attemptCount"] == ["1"]


def test_an_attempt_counts_how_often_its_precondition_did_not_hold(story: Story) -> None:
    pipe = story.pipeline(on_demand(exists("P"), activity("A", precondition=ref("P"))))
    for _ in range(3):
        story.end(story.take(), "FALSE")
        story.later(minutes=1)
    fields = pipe.fields(f"{P}_Attempt=1")
    assert (fields["currentRetryCount"], fields["lastRetryTime"]) == (["3"], ["2024-01-01T00:02:00"])
    task = story.take()
    story.report(task, currentRetryCount="many")
    story.end(task, "FALSE")
    assert pipe.fields(f"{P}_Attempt=1")["currentRetryCount"] == ["1"]


def test_it_is_asked_at_once_when_everything_else_is_ready(story: Story) -> None:
    story.pipeline(on_demand(exists("P"), activity("B"), activity("A", precondition=ref("P"), dependsOn=ref("B"))))
    tasks = {task.instance_id: task for task in (story.take(), story.take())}
    story.end(tasks[P], "FALSE")
    assert story.poll() is None
    story.end(tasks["@B_2024-01-01T00:00:00"])
    assert story.work() == [P, A]


def test_one_that_failed_keeps_its_delay_all_the_same(story: Story) -> None:
    story.pipeline(on_demand(exists("P"), activity("B"), activity("A", precondition=ref("P"), dependsOn=ref("B"))))
    tasks = {task.instance_id: task for task in (story.take(), story.take())}
    story.end(tasks[P], "FAILED")
    story.end(tasks["@B_2024-01-01T00:00:00"])
    assert story.poll() is None
    story.later(minutes=10)
    assert story.work() == [P, A]


def test_it_has_failed_after_its_precondition_timeout(story: Story) -> None:
    pipe = story.pipeline(on_demand(exists("P", preconditionTimeout="5 minutes"), activity("A", precondition=ref("P"))))
    for _ in range(5):
        story.end(story.take(), "FALSE")
        story.later(minutes=1)
    assert pipe.status(P) == "FAILED"
    assert pipe.fields(P)["errorId"] == ["PreconditionTimeout"]
    assert pipe.fields(P)["@actualEndTime"] == ["2024-01-01T00:05:00"]
    assert pipe.status(A) == "CASCADE_FAILED"


def test_the_timeout_counts_through_retries(story: Story) -> None:
    pipe = story.pipeline(
        on_demand(exists("P", preconditionTimeout="15 minutes"), activity("A", precondition=ref("P")))
    )
    story.end(story.take(), "FAILED")
    story.later(minutes=10)
    story.end(story.take(), "FALSE")
    story.later(minutes=5)
    assert pipe.status(P) == "FAILED"


def test_a_precondition_that_is_run_again_has_its_whole_time_again(story: Story) -> None:
    pipe = story.pipeline(on_demand(exists("P", preconditionTimeout="5 minutes"), activity("A", precondition=ref("P"))))
    story.end(story.take(), "FALSE")
    story.later(minutes=5)
    assert pipe.status(A) == "CASCADE_FAILED"
    story.later(hours=1)
    pipe.set_status("RERUN", A)
    story.later(minutes=4)
    assert story.work() == [P, A]
    assert pipe.status(A) == "FINISHED"


def test_an_object_waits_for_all_of_its_preconditions(story: Story) -> None:
    pipe = story.pipeline(on_demand(exists("P"), exists("Q"), activity("A", precondition=refs("P", "Q"))))
    story.end(story.take())
    assert pipe.status(A) == "WAITING_ON_DEPENDENCIES"
    story.end(story.take())
    assert story.work() == [A]


def test_a_precondition_of_several_objects_is_asked_for_each(story: Story) -> None:
    pipe = story.pipeline(
        on_demand(exists("P"), activity("A", precondition=ref("P")), activity("B", precondition=ref("P")))
    )
    asked = sorted(instance_id for instance_id in pipe.statuses() if instance_id.startswith("@P"))
    assert asked == ["@P_A_2024-01-01T00:00:00", "@P_B_2024-01-01T00:00:00"]
    task = story.take()
    assert task.instance_id == asked[0]
    story.end(task, "FALSE")
    assert story.work() == [asked[1], "@B_2024-01-01T00:00:00"]
    assert pipe.status(A) == "WAITING_ON_DEPENDENCIES"


def test_system_managed_preconditions_are_checked_by_the_service_itself(story: Story) -> None:
    pipe = story.pipeline(on_demand(s3_key_exists("P"), activity("A", precondition=ref("P"))))
    assert story.poll() is None
    assert story.work(SYSTEM) == [P]
    assert story.work() == [A]
    assert pipe.state == "FINISHED"


def test_a_data_nodes_precondition_is_checked_where_the_activity_that_reads_it_runs(story: Story) -> None:
    story.pipeline(on_demand(data_node("D", precondition=ref("P")), exists("P"), activity("A", input=ref("D"))))
    task = story.take("work")
    assert task.instance_id == P
    assert task.field("node") == "@D_2024-01-01T00:00:00"


def test_the_preconditions_of_what_is_marked_as_finished_are_asked_no_more(story: Story) -> None:
    pipe = story.pipeline(on_demand(exists("P"), activity("A", precondition=ref("P"))))
    task = story.take()
    pipe.set_status("MARK_FINISHED", A)
    assert pipe.statuses() == {A: "FINISHED", P: "FINISHED"}
    assert pipe.state == "FINISHED"
    assert story.report(task)
