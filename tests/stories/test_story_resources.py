"""Resources: made with their interval, started when they are needed, ended when they are not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from story import (
    SYSTEM,
    Pipe,
    Story,
    Task,
    activity,
    data_node,
    day,
    exists,
    on_demand,
    ref,
    refs,
    resource,
    schedule,
    scheduled,
)

from penstock.api import tasks
from penstock.engine.recovery import end_run, recover
from penstock.wire.errors import ServiceError

NewStory = Callable[..., Story]
AT = "2024-01-01T00:00:00"
A, R = f"@A_{AT}", f"@R_{AT}"


def group(pipe: Pipe, resource_id: str = R) -> str:
    return f"resource:{pipe.id}_{resource_id}"


def host(story: Story, pipe: Pipe, resource_id: str = R) -> Task:
    """The service's runner takes the resource's task, and the resource's own runner calls for the first time."""
    task = story.take(SYSTEM)
    assert task.instance_id == resource_id
    assert pipe.status(resource_id) == "CREATING"
    assert must_end(story, pipe, resource_id) is False
    assert pipe.status(resource_id) == "RUNNING"
    return task


def must_end(story: Story, pipe: Pipe, resource_id: str = R) -> bool:
    """What the heartbeat answers to the resource's runner."""
    request = {"taskrunnerId": "runner-1", "workerGroup": group(pipe, resource_id), "hostname": "host-1"}
    return bool(tasks.report_task_runner_heartbeat(story.call("runner"), request)["terminate"])


def test_a_resource_lives_from_the_first_to_the_last_activity_that_it_serves(story: Story) -> None:
    pipe = story.pipeline(on_demand(resource("R"), activity("A", runsOn=ref("R")), activity("B", runsOn=ref("R"))))
    assert pipe.status(R) == "CREATING"
    assert pipe.why(A) == [f"{R} is CREATING."]
    hosting = host(story, pipe)
    assert sorted(story.work(group(pipe))) == [A, f"@B_{AT}"]
    assert pipe.status(R) == "SHUTTING_DOWN"
    assert must_end(story, pipe)
    assert story.poll(group(pipe)) is None
    story.end(hosting)
    assert pipe.moves(R) == ["CREATING", "RUNNING", "SHUTTING_DOWN", "FINISHED"]
    assert pipe.state == "FINISHED"


def test_it_waits_while_no_activity_is_ready(story: Story) -> None:
    pipe = story.pipeline(
        on_demand(resource("R"), activity("Before"), activity("A", runsOn=ref("R"), dependsOn=ref("Before")))
    )
    assert pipe.status(R) == "WAITING_ON_DEPENDENCIES"
    assert pipe.why(R) == ["No activity needs it yet."]
    assert story.poll(SYSTEM) is None
    story.work()
    host(story, pipe)
    assert story.work(group(pipe)) == [A]


def test_it_is_made_at_the_start_of_its_interval_whatever_the_schedule_type(story: Story) -> None:
    pipe = story.pipeline(scheduled(resource("R"), activity("A", runsOn=ref("R")), kind="timeseries"))
    assert pipe.statuses() == {day("R", 1): "WAITING_ON_DEPENDENCIES"}
    story.until("2024-01-02T00:00:00")
    host(story, pipe, day("R", 1))
    assert story.work(group(pipe, day("R", 1))) == [day("A", 1)]


def test_one_that_is_never_needed_is_finished(story: Story) -> None:
    once = {"maximumRetries": "0"}
    pipe = story.pipeline(
        on_demand(resource("R"), activity("Before", **once), activity("A", runsOn=ref("R"), dependsOn=ref("Before")))
    )
    story.work(answer=lambda task: "FAILED")
    assert pipe.statuses() == {f"@Before_{AT}": "FAILED", A: "CASCADE_FAILED", R: "FINISHED"}
    assert pipe.attempts(R) == []


def test_only_its_own_runner_is_told_of_its_tasks(story: Story) -> None:
    pipe = story.pipeline(on_demand(resource("R"), activity("A", runsOn=ref("R"))))
    task = story.take(SYSTEM)
    assert task.field("@workerGroup") == group(pipe)
    with story.store.snapshot() as tx:
        key = tx.one("key_by_id", access_key=task.field("@accessKeyId"))
    assert key is not None
    assert (key["role"], key["worker_group"], key["pipeline_id"]) == ("runner", group(pipe), pipe.id)
    assert task.field("*secretAccessKey") not in (None, key["secret"])


def test_a_runner_cannot_work_for_the_service_itself(story: Story) -> None:
    with pytest.raises(ServiceError, match="may not work for the worker group 'penstock:system'"):
        tasks.poll_for_task(story.call("runner"), {"workerGroup": SYSTEM})


def test_one_that_is_lost_is_started_again_three_times(story: Story) -> None:
    pipe = story.pipeline(on_demand(resource("R", retryDelay="1 minute"), activity("A", runsOn=ref("R"))))
    for _ in range(3):
        story.end(host(story, pipe), "FAILED", "the machine is gone")
        assert pipe.status(R) == "CREATING"
        story.later(minutes=1)
    story.end(host(story, pipe), "FAILED", "the machine is gone")
    assert pipe.statuses() == {R: "FAILED", A: "CANCELED"}
    assert pipe.fields(A)["cancellationReason"] == ["The resource failed."]
    assert pipe.fields(R)["errorMessage"] == ["the machine is gone"]
    assert len(pipe.attempts(R)) == 4


def test_what_ran_on_it_is_tried_again_on_the_next_one(story: Story) -> None:
    pipe = story.pipeline(
        on_demand(resource("R", retryDelay="0 seconds"), activity("A", runsOn=ref("R"), retryDelay="0 seconds"))
    )
    hosting = host(story, pipe)
    task = story.take(group(pipe))
    story.end(hosting, "FAILED")
    assert pipe.status(A) == "WAITING_FOR_RUNNER"
    assert story.report(task), "the runner that was lost is told so"
    host(story, pipe)
    assert story.work(group(pipe)) == [A]
    assert [attempt.error_id for attempt in pipe.attempts(A)] == ["ResourceLost", None]


def test_a_failure_for_good_cancels_its_activities_and_cascades(story: Story) -> None:
    pipe = story.pipeline(
        on_demand(
            resource("R", maximumRetries="0"),
            activity("A", runsOn=ref("R")),
            activity("B", runsOn=ref("R"), dependsOn=ref("A")),
            activity("C", dependsOn=ref("A")),
        )
    )
    hosting = host(story, pipe)
    task = story.take(group(pipe))
    story.end(hosting, "FAILED")
    assert pipe.statuses() == {A: "CANCELED", f"@B_{AT}": "CANCELED", f"@C_{AT}": "CASCADE_FAILED", R: "FAILED"}
    assert story.report(task)
    assert pipe.state == "FINISHED"


def test_an_activity_that_is_made_after_the_failure_is_cancelled_too(story: Story) -> None:
    pipe = story.pipeline(
        scheduled(
            resource("R", maximumRetries="0"),
            schedule("Hourly", "12 hours"),
            activity("A", runsOn=ref("R"), schedule=ref("Hourly")),
        )
    )
    story.end(host(story, pipe, day("R", 1)), "FAILED")
    story.until("2024-01-01T12:00:00")
    assert pipe.statuses("A") == {day("A", 1): "CANCELED", day("A", 1, 12): "CANCELED"}
    story.until("2024-01-02T00:00:00")
    assert pipe.status(day("R", 2)) == "CREATING"


def test_one_that_lives_too_long_is_timed_out_without_another_try(story: Story) -> None:
    pipe = story.pipeline(on_demand(resource("R", terminateAfter="2 hours"), activity("A", runsOn=ref("R"))))
    hosting = host(story, pipe)
    task = story.take(group(pipe))
    for _ in range(12):
        assert not story.report(hosting)
        assert not story.report(task)
        story.later(minutes=10)
    assert pipe.statuses() == {R: "TIMEDOUT", A: "CANCELED"}
    assert story.report(hosting)
    assert must_end(story, pipe)
    assert pipe.attempts(R)[0].status == "TIMEDOUT"


def test_one_that_does_not_start_in_time_is_tried_again(story: Story) -> None:
    pipe = story.pipeline(
        on_demand(resource("R", initTimeout="5 minutes", retryDelay="0 seconds"), activity("A", runsOn=ref("R")))
    )
    story.take(SYSTEM)
    story.later(minutes=5)
    assert [attempt.error_id for attempt in pipe.attempts(R)] == ["InitTimeout", None]
    hosting = host(story, pipe)
    story.later(minutes=10)
    assert not story.report(hosting), "once it runs, the time to start says nothing"


def test_one_on_a_longer_period_serves_several_activities(story: Story) -> None:
    pipe = story.pipeline(
        scheduled(
            resource("R"),
            schedule("Short", "8 hours"),
            activity("A", runsOn=ref("R"), schedule=ref("Short")),
            kind="timeseries",
        )
    )
    story.until("2024-01-01T08:00:00")
    hosting = host(story, pipe, day("R", 1))
    assert story.work(group(pipe, day("R", 1))) == [day("A", 1)]
    assert not must_end(story, pipe, day("R", 1))
    for hour in (16, 24):
        keep_alive(story, hosting, hours=8)
        assert pipe.status(day("R", 1)) == "RUNNING"
        assert story.work(group(pipe, day("R", 1))) == [day("A", 1, hour - 8)]
    assert pipe.status(day("R", 1)) == "SHUTTING_DOWN"


def keep_alive(story: Story, task: Task, hours: int) -> None:
    for _ in range(hours * 6):
        assert not story.report(task)
        story.later(minutes=10)


def test_an_activity_runs_again_on_a_resource_that_is_started_again(story: Story) -> None:
    pipe = story.pipeline(on_demand(resource("R"), activity("A", runsOn=ref("R"))))
    hosting = host(story, pipe)
    story.work(group(pipe))
    story.end(hosting)
    pipe.set_status("RERUN", A)
    assert pipe.state == "SCHEDULED"
    hosting = host(story, pipe)
    assert story.work(group(pipe)) == [A]
    story.end(hosting)
    assert pipe.statuses() == {R: "FINISHED", A: "FINISHED"}
    assert pipe.state == "FINISHED"


def test_a_rerun_while_the_resource_shuts_down_starts_it_again_afterwards(story: Story) -> None:
    pipe = story.pipeline(on_demand(resource("R"), activity("A", runsOn=ref("R"))))
    hosting = host(story, pipe)
    story.work(group(pipe))
    pipe.set_status("RERUN", A)
    assert pipe.why(A) == [f"{R} is SHUTTING_DOWN."]
    story.end(hosting)
    host(story, pipe)
    assert story.work(group(pipe)) == [A]


def test_a_rerun_of_an_activity_whose_resource_failed_starts_the_resource_again(story: Story) -> None:
    pipe = story.pipeline(on_demand(resource("R", maximumRetries="0"), activity("A", runsOn=ref("R"))))
    story.end(host(story, pipe), "FAILED")
    pipe.set_status("RERUN", A)
    host(story, pipe)
    assert story.work(group(pipe)) == [A]


def test_a_rerun_of_a_resource_runs_again_what_depends_on_it(story: Story) -> None:
    pipe = story.pipeline(
        on_demand(resource("R", maximumRetries="0"), activity("A", runsOn=ref("R")), activity("B", runsOn=ref("R")))
    )
    hosting = host(story, pipe)
    first = story.take(group(pipe))
    story.end(first)
    story.end(hosting, "FAILED")
    assert sorted(pipe.statuses().values()) == ["CANCELED", "FAILED", "FINISHED"]
    pipe.set_status("RERUN", R)
    host(story, pipe)
    assert sorted(story.work(group(pipe))) == [A, f"@B_{AT}"]


def test_a_users_cancel_of_a_resource_cancels_what_runs_on_it(story: Story) -> None:
    pipe = story.pipeline(on_demand(resource("R"), activity("A", runsOn=ref("R"))))
    hosting = host(story, pipe)
    pipe.set_status("CANCEL", R)
    assert pipe.statuses() == {R: "CANCELED", A: "CANCELED"}
    assert story.report(hosting)
    assert must_end(story, pipe)


def test_a_resource_at_work_cannot_be_marked_as_finished(story: Story) -> None:
    pipe = story.pipeline(on_demand(resource("R"), activity("A", runsOn=ref("R"))))
    host(story, pipe)
    with pytest.raises(ServiceError, match="is RUNNING, which MARK_FINISHED cannot change"):
        pipe.set_status("MARK_FINISHED", R)


def test_one_that_is_lost_while_it_shuts_down_has_finished_all_the_same(story: Story) -> None:
    pipe = story.pipeline(on_demand(resource("R"), activity("A", runsOn=ref("R"))))
    host(story, pipe)
    story.work(group(pipe))
    recover(story.new_engine(story.folder), "host-1")
    assert pipe.statuses() == {R: "FINISHED", A: "FINISHED"}
    assert pipe.state == "FINISHED"


def test_after_a_restart_of_the_service_a_resource_is_started_again(story: Story) -> None:
    pipe = story.pipeline(on_demand(resource("R", retryDelay="0 seconds"), activity("A", runsOn=ref("R"))))
    host(story, pipe)
    recover(story.new_engine(story.folder), "host-1")
    assert pipe.status(R) == "CREATING"
    host(story, pipe)
    assert story.work(group(pipe)) == [A]


def test_preconditions_run_on_the_resource_and_keep_it(story: Story) -> None:
    pipe = story.pipeline(on_demand(resource("R"), exists("P"), activity("A", runsOn=ref("R"), precondition=ref("P"))))
    host(story, pipe)
    assert story.work(group(pipe)) == [f"@P_{AT}", A]
    assert pipe.status(R) == "SHUTTING_DOWN"


def test_a_precondition_that_others_need_keeps_the_resource_of_a_cancelled_activity(story: Story) -> None:
    pipe = story.pipeline(
        on_demand(
            resource("R"),
            exists("P"),
            data_node("D", precondition=ref("P")),
            activity("A", runsOn=ref("R"), input=ref("D")),
            activity("B", input=ref("D")),
        )
    )
    host(story, pipe)
    pipe.set_status("CANCEL", A)
    assert story.work(group(pipe)) == [f"@P_{AT}"]
    assert pipe.status(R) == "SHUTTING_DOWN"
    assert story.work() == [f"@B_{AT}"]


def test_a_start_in_the_middle_of_its_interval_keeps_the_resource(new_story: NewStory) -> None:
    story = new_story("2024-01-03T06:00:00")
    weekly = schedule("Weekly", "1 week")
    pipe = story.pipeline(
        scheduled(weekly, resource("R", schedule=ref("Weekly")), activity("A", runsOn=ref("R"))),
        start="2024-01-03T00:00:00",
    )
    assert pipe.statuses("A") == {
        day("A", 1): "SKIPPED",
        day("A", 2): "SKIPPED",
        day("A", 3): "WAITING_ON_DEPENDENCIES",
    }
    host(story, pipe, day("R", 1))
    assert story.work(group(pipe, day("R", 1))) == [day("A", 3)]


def test_a_backfill_on_resources_comes_to_its_end(new_story: NewStory) -> None:
    story = new_story("2024-01-15T00:00:00")
    weekly = schedule("Weekly", "1 week", occurrences="2")
    pipe = story.pipeline(
        scheduled(
            weekly,
            schedule(occurrences="14"),
            resource("R", schedule=ref("Weekly")),
            activity("A", runsOn=ref("R")),
            activity("B", runsOn=ref("R"), dependsOn=ref("A")),
            activity("C", runsOn=ref("R"), schedule=ref("Weekly"), dependsOn=refs("B")),
            kind="timeseries",
        ),
        start="2024-01-01T00:00:00",
    )
    hosts: dict[str, Task] = {}
    for _ in range(10):
        while (task := story.poll(SYSTEM)) is not None:
            hosts[task.instance_id] = task
        for resource_id, hosting in list(hosts.items()):
            story.work(group(pipe, resource_id))
            if must_end(story, pipe, resource_id):
                story.end(hosting)
                del hosts[resource_id]
    assert set(pipe.statuses().values()) == {"FINISHED"}
    assert len(pipe.statuses()) == 14 + 14 + 2 + 2
    assert pipe.state == "FINISHED"


def test_a_key_of_another_pipeline_does_nothing_to_a_resource(story: Story) -> None:
    pipe = story.pipeline(on_demand(resource("R"), activity("A", runsOn=ref("R"))))
    other = story.pipeline(on_demand(activity("B")))
    story.take(SYSTEM)
    call = story.call("runner")
    call = replace(call, key=replace(call.key, pipeline_id=other.id))
    for ask in (
        lambda: tasks.report_task_runner_heartbeat(call, {"taskrunnerId": "x", "workerGroup": group(pipe)}),
        lambda: tasks.poll_for_task(call, {"workerGroup": group(pipe)}),
    ):
        with pytest.raises(ServiceError, match="may not work for the worker group"):
            ask()
    assert pipe.status(R) == "CREATING"


def test_an_engine_of_another_owner_does_nothing_to_a_resource(story: Story, new_story: NewStory) -> None:
    pipe = story.pipeline(on_demand(resource("R"), activity("A", runsOn=ref("R"))))
    story.take(SYSTEM)
    with pytest.raises(ServiceError, match="may not work for the worker group"):
        must_end(new_story(), pipe)
    assert pipe.status(R) == "CREATING"


def test_only_what_the_ended_server_held_itself_is_started_again(story: Story) -> None:
    pipe = story.pipeline(on_demand(resource("R"), activity("A", runsOn=ref("R"))))
    hosting = host(story, pipe)
    task = story.take(group(pipe))
    recover(story.new_engine(story.folder), "host-2")
    assert pipe.status(R) == "RUNNING"
    assert not story.report(hosting)
    assert not story.report(task)


def test_what_a_killed_run_left_is_cancelled_with_its_resources_and_belongs_to_servers(story: Story) -> None:
    pipe = story.pipeline(on_demand(resource("R"), activity("A", runsOn=ref("R")), activity("B")))
    done = story.pipeline(on_demand(activity("C")))
    hosting = host(story, pipe)
    task = story.take(group(pipe))
    assert story.work() == [f"@B_{AT}", f"@C_{AT}"]
    assert set(end_run(story.new_engine(story.folder), story.owner)) == {pipe.id, done.id}
    assert pipe.statuses() == {R: "FINISHED", A: "CANCELED", f"@B_{AT}": "FINISHED"}
    with story.store.snapshot() as tx:
        for each in (pipe, done):
            row = tx.one("pipeline_by_id", pipeline_id=each.id)
            assert row is not None
            assert (row["owner"], row["state"]) == ("", "INACTIVE" if each is pipe else "FINISHED")
            assert {
                attempt["owner"] for attempt in tx.all("attempts_after", pipeline_id=each.id, attempt_id="", limit=100)
            } == {""}
        assert tx.one("key_by_id", access_key=story.call().key.access_key) is None
    for held in (hosting, task):
        with pytest.raises(ServiceError, match="There is no task"):
            story.report(held)
