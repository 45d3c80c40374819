"""Resources that fail, that end with a failed task, that live too long, and whose server dies."""

from __future__ import annotations

from collections.abc import Callable

from story import SYSTEM, Pipe, Story, Task, activity, day, on_demand, ref, resource, s3_key_exists, schedule, scheduled

from penstock.api import tasks
from penstock.settings import EngineSettings

NewStory = Callable[..., Story]
AT = "2024-01-01T00:00:00"
A, B, C, P, R = (f"@{component}_{AT}" for component in "ABCPR")
ONCE = {"maximumRetries": "0"}


def group(pipe: Pipe, resource_id: str = R) -> str:
    return f"resource:{pipe.id}_{resource_id}"


def call(story: Story, pipe: Pipe, resource_id: str = R) -> bool:
    """The resource's own task runner calls; the answer says whether it must end."""
    request = {"taskrunnerId": "runner-1", "workerGroup": group(pipe, resource_id), "hostname": "host-1"}
    return bool(tasks.report_task_runner_heartbeat(story.call("runner"), request)["terminate"])


def host(story: Story, pipe: Pipe, resource_id: str = R) -> Task:
    task = story.take(SYSTEM)
    assert task.instance_id == resource_id
    call(story, pipe, resource_id)
    assert pipe.status(resource_id) == "RUNNING"
    return task


def test_retry_none_means_that_a_resource_is_started_once_whatever_its_retries(story: Story) -> None:
    pipe = story.pipeline(
        on_demand(
            resource("R", actionOnResourceFailure="retrynone", maximumRetries="3"), activity("A", runsOn=ref("R"))
        )
    )
    story.end(host(story, pipe), "FAILED")
    assert pipe.statuses() == {R: "FAILED", A: "CANCELED"}
    assert len(pipe.attempts(R)) == 1


def test_a_resource_that_ends_with_a_failed_task_has_it_tried_again_first(story: Story) -> None:
    pipe = story.pipeline(
        on_demand(
            resource("R", actionOnTaskFailure="terminate"),
            activity("A", runsOn=ref("R"), maximumRetries="1", retryDelay="0 seconds"),
        )
    )
    hosting = host(story, pipe)
    story.end(story.take(group(pipe)), "FAILED")
    assert pipe.status(R) == "RUNNING", "tries use the same resource"
    story.end(story.take(group(pipe)), "FAILED")
    assert pipe.statuses() == {R: "SHUTTING_DOWN", A: "FAILED"}
    assert call(story, pipe)
    story.end(hosting)
    assert pipe.statuses() == {R: "FINISHED", A: "FAILED"}


def test_what_else_ran_on_it_is_tried_again_on_the_next_one(story: Story) -> None:
    pipe = story.pipeline(
        on_demand(
            resource("R", actionOnTaskFailure="terminate", retryDelay="0 seconds"),
            activity("A", runsOn=ref("R"), **ONCE),
            activity("B", runsOn=ref("R"), retryDelay="0 seconds"),
            activity("C", runsOn=ref("R"), dependsOn=ref("B")),
        )
    )
    hosting = host(story, pipe)
    running = {task.instance_id: task for task in (story.take(group(pipe)), story.take(group(pipe)))}
    story.end(running[A], "FAILED")
    assert pipe.statuses() == {R: "CREATING", A: "FAILED", B: "WAITING_FOR_RUNNER", C: "WAITING_ON_DEPENDENCIES"}
    assert pipe.attempts(R)[0].error_message == f"{A} failed on it, and its actionOnTaskFailure is terminate."
    assert story.report(hosting)
    assert story.report(running[B])
    host(story, pipe)
    assert story.work(group(pipe)) == [B, C]


def test_with_retry_none_what_else_ran_on_it_is_cancelled(story: Story) -> None:
    pipe = story.pipeline(
        on_demand(
            resource("R", actionOnTaskFailure="terminate", actionOnResourceFailure="retryNone"),
            activity("A", runsOn=ref("R"), **ONCE),
            activity("B", runsOn=ref("R")),
        )
    )
    host(story, pipe)
    running = {task.instance_id: task for task in (story.take(group(pipe)), story.take(group(pipe)))}
    story.end(running[A], "FAILED")
    assert pipe.statuses() == {R: "FAILED", A: "FAILED", B: "CANCELED"}


def test_by_default_a_resource_outlives_a_failed_task(story: Story) -> None:
    pipe = story.pipeline(
        on_demand(
            resource("R"),
            activity("A", runsOn=ref("R"), **ONCE),
            activity("B", runsOn=ref("R"), dependsOn=ref("C")),
            activity("C"),
        )
    )
    host(story, pipe)
    story.end(story.take(group(pipe)), "FAILED")
    assert pipe.status(R) == "RUNNING"


def test_the_next_activity_starts_a_terminated_resource_again(story: Story) -> None:
    pipe = story.pipeline(
        scheduled(
            resource("R", actionOnTaskFailure="terminate"),
            schedule("Short", "12 hours"),
            activity("A", runsOn=ref("R"), schedule=ref("Short"), **ONCE),
        )
    )
    daily = day("R", 1)
    hosting = host(story, pipe, daily)
    story.end(story.take(group(pipe, daily)), "FAILED")
    story.end(hosting)
    assert pipe.status(daily) == "FINISHED", "nothing runs on it now, though there is more to come"
    story.until("2024-01-01T12:00:00")
    host(story, pipe, daily)
    assert story.work(group(pipe, daily)) == [day("A", 1, 12)]


def test_what_becomes_ready_while_a_terminated_resource_shuts_down_waits_for_the_next_one(story: Story) -> None:
    pipe = story.pipeline(
        on_demand(
            resource("R", actionOnTaskFailure="terminate"),
            activity("A", runsOn=ref("R"), **ONCE),
            activity("B", runsOn=ref("R"), dependsOn=ref("C")),
            activity("C"),
        )
    )
    hosting = host(story, pipe)
    story.end(story.take(group(pipe)), "FAILED")
    assert pipe.status(R) == "SHUTTING_DOWN"
    assert story.work() == [C]
    assert pipe.why(B) == [f"{R} is SHUTTING_DOWN."]
    story.end(hosting)
    assert pipe.status(R) == "CREATING"
    host(story, pipe)
    assert story.work(group(pipe)) == [B]


def test_a_users_cancel_is_no_failure_of_a_task(story: Story) -> None:
    pipe = story.pipeline(
        on_demand(
            resource("R", actionOnTaskFailure="terminate"),
            activity("A", runsOn=ref("R")),
            activity("B", runsOn=ref("R")),
        )
    )
    host(story, pipe)
    pipe.set_status("CANCEL", A)
    assert pipe.status(R) == "RUNNING"
    assert story.work(group(pipe)) == [B]


def test_the_runner_of_a_lost_resource_neither_gets_tasks_nor_passes_for_the_next_one(story: Story) -> None:
    pipe = story.pipeline(on_demand(resource("R"), activity("A", runsOn=ref("R"))))
    hosting = story.take(SYSTEM)
    key = hosting.field("@accessKeyId")
    call(story, pipe)
    story.end(hosting, "FAILED")
    with story.store.snapshot() as tx:
        assert tx.one("key_by_id", access_key=key) is None
    assert group(pipe) in story.woken, "its poll ends now"
    assert not call(story, pipe)
    assert pipe.status(R) == "CREATING"


def test_one_that_never_starts_is_timed_out_by_terminate_after_too(story: Story) -> None:
    pipe = story.pipeline(on_demand(resource("R", terminateAfter="5 minutes"), activity("A", runsOn=ref("R"))))
    hosting = story.take(SYSTEM)
    for _ in range(5):
        assert not story.report(hosting)
        story.later(minutes=1)
    assert pipe.statuses() == {R: "TIMEDOUT", A: "CANCELED"}


def test_terminate_after_does_not_touch_the_success_of_one_that_shuts_down(story: Story) -> None:
    pipe = story.pipeline(on_demand(resource("R", terminateAfter="5 minutes"), activity("A", runsOn=ref("R"))))
    hosting = host(story, pipe)
    story.work(group(pipe))
    for _ in range(5):
        assert not story.report(hosting)
        story.later(minutes=1)
    assert pipe.statuses() == {R: "FINISHED", A: "FINISHED"}
    assert pipe.fields("R")["@healthStatus"] == ["HEALTHY"]


def test_an_attempt_timeout_that_a_resource_inherits_is_not_for_the_resource(story: Story) -> None:
    pipe = story.pipeline(on_demand(resource("R"), activity("A", runsOn=ref("R")), attemptTimeout="1 minute"))
    hosting = host(story, pipe)
    for _ in range(4):
        assert not story.report(hosting)
        story.later(seconds=30)
    assert pipe.status(R) == "RUNNING"


def test_another_server_has_the_resources_of_a_dead_one_within_a_minute(new_story: NewStory) -> None:
    story = new_story(system_lease=EngineSettings.system_lease)
    pipe = story.pipeline(on_demand(resource("R", reportProgressTimeout="1 hour"), activity("A", runsOn=ref("R"))))
    host(story, pipe)
    story.later(seconds=59)
    assert story.poll(SYSTEM) is None
    story.later(seconds=1)
    host(story, pipe)
    assert [attempt.error_id for attempt in pipe.attempts(R)] == ["ServiceRestarted", None]


def test_what_ran_on_the_resource_of_a_dead_server_is_tried_again_without_a_pause(new_story: NewStory) -> None:
    story = new_story(system_lease=60.0)
    pipe = story.pipeline(on_demand(resource("R"), activity("A", runsOn=ref("R"), retryDelay="1 hour")))
    host(story, pipe)
    story.take(group(pipe))
    story.later(minutes=1)
    host(story, pipe)
    assert story.work(group(pipe)) == [A]
    assert [attempt.error_id for attempt in pipe.attempts(A)] == ["ResourceLost", None]


def test_another_server_asks_the_preconditions_of_a_dead_one_again_without_counting_a_try(new_story: NewStory) -> None:
    story = new_story(system_lease=EngineSettings.system_lease)
    pipe = story.pipeline(on_demand(s3_key_exists("P"), activity("A", precondition=ref("P"))))
    story.take(SYSTEM)
    story.later(minutes=1)
    assert story.take(SYSTEM).instance_id == P
    assert len(pipe.attempts(P)) == 1


def test_a_precondition_that_ends_one_server_after_the_other_fails(new_story: NewStory) -> None:
    story = new_story(system_lease=60.0)
    pipe = story.pipeline(on_demand(s3_key_exists("P", **ONCE), activity("A", precondition=ref("P"))))
    for _ in range(5):
        story.take(SYSTEM)
        story.later(minutes=1)
    assert pipe.statuses() == {P: "FAILED", A: "CASCADE_FAILED"}


def test_the_lease_of_the_services_own_tasks_is_a_setting(new_story: NewStory) -> None:
    story = new_story(system_lease=5.0)
    pipe = story.pipeline(on_demand(s3_key_exists("P"), activity("A", precondition=ref("P"))))
    story.take(SYSTEM)
    story.later(seconds=5)
    assert story.take(SYSTEM).instance_id == P
    assert pipe.status(A) == "WAITING_ON_DEPENDENCIES"
