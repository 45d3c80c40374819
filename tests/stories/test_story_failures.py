"""Cascading failures and reruns (the guide's page of that name)."""

from __future__ import annotations

from typing import Any

from story import Story, activity, data_node, day, exists, on_demand, ref, refs, schedule, scheduled

AT = "2024-01-01T00:00:00"


def once(identity: str, **fields: Any) -> dict[str, Any]:
    """An activity that has one try."""
    return activity(identity, maximumRetries="0", **fields)


def failing(*names: str) -> Any:
    return lambda task: "FAILED" if task.instance_id.split("_")[0][1:] in names else "FINISHED"


def names(statuses: dict[str, str]) -> dict[str, str]:
    return {instance_id.split("_")[0][1:]: status for instance_id, status in statuses.items()}


def test_the_consumers_of_what_has_failed_are_cascade_failed_to_the_end(story: Story) -> None:
    pipe = story.pipeline(
        on_demand(
            once("Up"),
            once("A", dependsOn=ref("Up"), output=ref("D")),
            data_node("D"),
            once("B", input=ref("D")),
            once("C", dependsOn=ref("B")),
            once("Beside", dependsOn=ref("Up")),
        )
    )
    story.work(answer=failing("A"))
    assert names(pipe.statuses()) == {
        "Up": "FINISHED",
        "A": "FAILED",
        "D": "CASCADE_FAILED",
        "B": "CASCADE_FAILED",
        "C": "CASCADE_FAILED",
        "Beside": "FINISHED",
    }
    assert pipe.fields(f"@C_{AT}")["@cascadeFailedOn"] == [f"@B_{AT}"]
    assert pipe.state == "FINISHED"


def test_the_preconditions_of_what_is_cascade_failed_are_cancelled(story: Story) -> None:
    pipe = story.pipeline(
        on_demand(once("A"), exists("P"), once("B", dependsOn=ref("A"), precondition=ref("P")), exists("Q"))
    )
    while (task := story.poll()) is not None:
        story.end(task, "FALSE" if "@P" in task.instance_id else "FAILED")
    assert names(pipe.statuses()) == {"A": "FAILED", "B": "CASCADE_FAILED", "P": "CANCELED"}
    assert pipe.fields(f"@P_{AT}")["cancellationReason"] == [f"@B_{AT} is CASCADE_FAILED."]


def test_what_has_ended_is_not_touched(story: Story) -> None:
    pipe = story.pipeline(on_demand(once("A"), once("B", dependsOn=ref("A")), once("C", dependsOn=ref("B"))))
    pipe.set_status("MARK_FINISHED", f"@B_{AT}")
    story.work(answer=failing("A"))
    assert names(pipe.statuses()) == {"A": "FAILED", "B": "FINISHED", "C": "FINISHED"}


def test_a_running_consumer_is_not_touched(story: Story) -> None:
    pipe = story.pipeline(on_demand(once("A"), once("B", dependsOn=ref("A"))))
    story.end(story.take())
    task = story.take()
    pipe.set_status("RERUN", f"@A_{AT}")
    story.end(story.take(), "FAILED")
    assert names(pipe.statuses()) == {"A": "FAILED", "B": "RUNNING"}
    story.end(task)
    assert pipe.status(f"@B_{AT}") == "FINISHED"


def test_a_consumer_that_is_made_after_the_failure_is_cascade_failed_too(story: Story) -> None:
    weekly = schedule("Weekly", "1 week")
    pipe = story.pipeline(scheduled(weekly, once("A", schedule=ref("Weekly")), once("B", dependsOn=ref("A"))))
    story.work(answer=failing("A"))
    story.until("2024-01-03T00:00:00")
    assert pipe.statuses("B") == {day("B", number): "CASCADE_FAILED" for number in (1, 2, 3)}


def test_without_cascade_consumers_wait_and_say_why(story: Story) -> None:
    pipe = story.pipeline(on_demand(once("A"), once("B", dependsOn=ref("A")), mode="none"))
    story.work(answer=failing("A"))
    assert names(pipe.statuses()) == {"A": "FAILED", "B": "WAITING_ON_DEPENDENCIES"}
    assert pipe.why(f"@B_{AT}") == [f"@A_{AT} is FAILED; run it again or mark it as finished."]
    assert pipe.state == "SCHEDULED"
    pipe.set_status("RERUN", f"@A_{AT}")
    assert story.work() == [f"@A_{AT}", f"@B_{AT}"]
    assert pipe.state == "FINISHED"


def test_the_mode_of_the_consumer_decides(story: Story) -> None:
    pipe = story.pipeline(
        on_demand(once("A"), once("B", dependsOn=ref("A")), once("C", dependsOn=ref("A"), failureAndRerunMode="none"))
    )
    story.work(answer=failing("A"))
    assert names(pipe.statuses()) == {"A": "FAILED", "B": "CASCADE_FAILED", "C": "WAITING_ON_DEPENDENCIES"}


def test_a_users_cancel_cascades(story: Story) -> None:
    pipe = story.pipeline(on_demand(activity("A"), activity("B", dependsOn=ref("A"))))
    task = story.take()
    pipe.set_status("TRY_CANCEL", f"@A_{AT}")
    assert names(pipe.statuses()) == {"A": "CANCELED", "B": "CASCADE_FAILED"}
    assert pipe.fields(f"@A_{AT}")["cancellationReason"] == ["Canceled by a user."]
    assert story.report(task), "the runner is told to stop"
    story.end(task)
    assert pipe.status(f"@A_{AT}") == "CANCELED"


def test_a_rerun_spreads_to_what_is_cascade_failed(story: Story) -> None:
    pipe = story.pipeline(
        on_demand(
            once("A", output=ref("D")),
            data_node("D"),
            exists("P"),
            once("B", input=ref("D"), precondition=ref("P")),
            once("C", dependsOn=ref("B")),
        )
    )
    while (task := story.poll()) is not None:
        story.end(task, "FALSE" if "@P" in task.instance_id else "FAILED")
    assert pipe.state == "FINISHED"
    pipe.set_status("RERUN", f"@A_{AT}")
    assert pipe.state == "SCHEDULED"
    assert sorted(story.work()) == sorted(f"@{name}_{AT}" for name in "APBC")
    assert set(pipe.statuses().values()) == {"FINISHED"}
    assert "@cascadeFailedOn" not in pipe.fields(f"@C_{AT}")
    assert pipe.state == "FINISHED"


def test_a_rerun_does_not_spread_to_what_has_finished(story: Story) -> None:
    pipe = story.pipeline(on_demand(once("A"), once("B", dependsOn=ref("A"))))
    story.work()
    pipe.set_status("RERUN", f"@A_{AT}")
    assert story.work() == [f"@A_{AT}"]


def test_a_rerun_of_what_still_cannot_run_falls_back(story: Story) -> None:
    pipe = story.pipeline(
        on_demand(
            once("A"), exists("P"), once("B", dependsOn=ref("A"), precondition=ref("P")), once("C", dependsOn=ref("B"))
        )
    )
    story.work(answer=failing("A"))
    pipe.set_status("RERUN", f"@B_{AT}")
    assert names(pipe.statuses()) == {"A": "FAILED", "B": "CASCADE_FAILED", "C": "CASCADE_FAILED", "P": "CANCELED"}
    assert story.poll() is None
    assert pipe.state == "FINISHED"


def test_a_rerun_of_one_of_two_failed_producers_falls_back_at_the_other(story: Story) -> None:
    pipe = story.pipeline(on_demand(once("A"), once("B"), once("C", dependsOn=refs("A", "B"))))
    story.work(answer=failing("A", "B"))
    pipe.set_status("RERUN", f"@A_{AT}")
    assert story.work() == [f"@A_{AT}"]
    assert pipe.status(f"@C_{AT}") == "CASCADE_FAILED"
    pipe.set_status("RERUN", f"@B_{AT}")
    assert story.work() == [f"@B_{AT}", f"@C_{AT}"]


def test_marking_as_finished_lets_consumers_go_on(story: Story) -> None:
    pipe = story.pipeline(on_demand(once("A"), once("B", dependsOn=ref("A")), mode="none"))
    story.work(answer=failing("A"))
    pipe.set_status("MARK_FINISHED", f"@A_{AT}")
    assert story.work() == [f"@B_{AT}"]
    assert names(pipe.statuses()) == {"A": "FINISHED", "B": "FINISHED"}
    assert "errorMessage" not in pipe.fields(f"@A_{AT}")


def test_a_rerun_has_all_of_its_tries_again(story: Story) -> None:
    pipe = story.pipeline(on_demand(activity("A", maximumRetries="1", retryDelay="0 seconds")))
    story.work(answer=failing("A"))
    pipe.set_status("RERUN", f"@A_{AT}")
    story.work(answer=failing("A"))
    assert len(pipe.attempts(f"@A_{AT}")) == 4
    assert pipe.status(f"@A_{AT}") == "FAILED"


def test_a_rerun_takes_the_active_version(story: Story) -> None:
    pipe = story.pipeline(scheduled(once("A", command="old")))
    story.work(answer=failing("A"))
    pipe.put(scheduled(once("A", command="new")))
    pipe.set_status("RERUN", day("A", 1))
    task = story.take()
    assert task.field("command") == "old", "the new version is not active yet"
    story.end(task, "FAILED")
    pipe.activate()
    pipe.set_status("RERUN", day("A", 1))
    assert story.take().field("command") == "new"


def test_reruns_do_not_count_as_active(story: Story) -> None:
    pipe = story.pipeline(scheduled(activity("A", maxActiveInstances="1")))
    story.work()
    story.until("2024-01-02T00:00:00")
    assert pipe.status(day("A", 2)) == "WAITING_FOR_RUNNER"
    pipe.set_status("RERUN", day("A", 1))
    story.work()
    story.until("2024-01-03T00:00:00")
    assert pipe.status(day("A", 3)) == "WAITING_FOR_RUNNER"


def test_every_move_is_one_event(story: Story) -> None:
    pipe = story.pipeline(on_demand(once("A"), once("B", dependsOn=ref("A"))))
    story.work(answer=failing("A"))
    pipe.set_status("RERUN", f"@A_{AT}")
    story.work()
    assert pipe.moves(f"@B_{AT}") == [
        "CASCADE_FAILED",
        "WAITING_ON_DEPENDENCIES",
        "WAITING_FOR_RUNNER",
        "RUNNING",
        "FINISHED",
    ]
    for event in pipe.events():
        assert event.from_status != event.to_status
