"""Deactivating, resuming, pausing, marking, and the state and health of a pipeline."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from story import SYSTEM, Story, activity, alarm, day, exists, on_demand, ref, resource, schedule, scheduled

from penstock.api import pipelines
from penstock.engine import attempts
from penstock.store.rows import Attempt, read
from penstock.wire.errors import ServiceError

NewStory = Callable[..., Story]
AT = "2024-01-01T00:00:00"
A, B = f"@A_{AT}", f"@B_{AT}"


def test_deactivating_cancels_what_runs_and_what_waits(story: Story) -> None:
    pipe = story.pipeline(scheduled(activity("A"), activity("B", dependsOn=ref("A"))))
    task = story.take()
    pipe.deactivate()
    assert pipe.statuses() == {day("A", 1): "CANCELED", day("B", 1): "CANCELED"}
    assert pipe.state == "INACTIVE"
    assert story.report(task)
    story.until("2024-01-03T00:00:00")
    assert len(pipe.statuses()) == 2


def test_activating_again_runs_what_was_cancelled_and_goes_on(story: Story) -> None:
    pipe = story.pipeline(scheduled(activity("A"), activity("B", dependsOn=ref("A"))))
    story.take()
    pipe.deactivate()
    story.until("2024-01-02T06:00:00")
    pipe.activate()
    assert sorted(story.work()) == [day("A", 1), day("A", 2), day("B", 1), day("B", 2)]
    assert set(pipe.statuses().values()) == {"FINISHED"}


def test_deactivating_may_let_what_runs_finish(story: Story) -> None:
    pipe = story.pipeline(scheduled(activity("A"), activity("B", dependsOn=ref("A"))))
    task = story.take()
    pipe.deactivate(cancel_active=False)
    assert pipe.statuses() == {day("A", 1): "RUNNING", day("B", 1): "CANCELED"}
    assert pipe.state == "DEACTIVATING"
    with pytest.raises(ServiceError, match="The pipeline is DEACTIVATING; activate it when that is over"):
        pipe.activate()
    assert not story.report(task)
    story.end(task)
    assert pipe.state == "INACTIVE"
    pipe.activate()
    assert story.work() == [day("B", 1)]


def test_what_was_cancelled_for_the_pipeline_says_so_and_cascades_nothing(story: Story) -> None:
    pipe = story.pipeline(scheduled(activity("A"), activity("B", dependsOn=ref("A"))))
    pipe.deactivate()
    assert pipe.fields(day("B", 1))["cancellationReason"] == ["The pipeline was deactivated."]
    assert "@healthStatus" not in pipe.description


def test_a_deactivated_pipeline_ends_its_resources(story: Story) -> None:
    pipe = story.pipeline(scheduled(resource("R"), activity("A", runsOn=ref("R")), kind="timeseries"))
    assert pipe.statuses() == {day("R", 1): "WAITING_ON_DEPENDENCIES"}
    pipe.deactivate()
    assert pipe.statuses() == {day("R", 1): "FINISHED"}
    assert pipe.state == "INACTIVE"
    story.until("2024-01-02T00:00:00")
    pipe.activate()
    assert pipe.status(day("A", 1)) == "WAITING_ON_DEPENDENCIES"
    assert story.take(SYSTEM).instance_id == day("R", 1)


def test_a_deactivated_pipeline_keeps_a_resource_until_its_last_activity_has_ended(story: Story) -> None:
    pipe = story.pipeline(
        scheduled(resource("R"), schedule("Short", "8 hours"), activity("A", runsOn=ref("R"), schedule=ref("Short")))
    )
    hosting = story.take(SYSTEM)
    group = f"resource:{pipe.id}_{day('R', 1)}"
    task = story.poll(group)
    assert task is not None
    pipe.deactivate(cancel_active=False)
    assert pipe.statuses() == {day("R", 1): "RUNNING", day("A", 1): "RUNNING"}
    story.end(task)
    assert pipe.status(day("R", 1)) == "SHUTTING_DOWN"
    story.end(hosting)
    assert pipe.state == "INACTIVE"


def test_what_is_resumed_counts_as_active(new_story: NewStory) -> None:
    story = new_story("2024-01-20T00:00:00")
    pipe = story.pipeline(scheduled(activity("A", maxActiveInstances="2")), start="2024-01-01T00:00:00")
    pipe.deactivate()
    pipe.activate()
    assert pipe.statuses() == {day("A", 1): "WAITING_FOR_RUNNER", day("A", 2): "WAITING_FOR_RUNNER"}
    assert story.work() == [day("A", number) for number in range(1, 21)]


def test_what_lies_before_the_new_start_stays_cancelled(story: Story) -> None:
    pipe = story.pipeline(scheduled(activity("A")))
    pipe.deactivate()
    story.until("2024-01-03T00:00:00")
    pipe.activate("2024-01-03T00:00:00")
    assert list(pipe.statuses().values()) == ["CANCELED", "SKIPPED", "WAITING_FOR_RUNNER"]
    story.work()
    pipe.deactivate()
    pipe.activate()
    assert list(pipe.statuses().values()) == ["CANCELED", "SKIPPED", "FINISHED"]


def test_what_is_run_again_while_inactive_waits_for_the_activation(story: Story) -> None:
    pipe = story.pipeline(scheduled(activity("A")))
    story.work()
    pipe.deactivate()
    pipe.set_status("RERUN", day("A", 1))
    assert pipe.why(day("A", 1)) == ["The pipeline is INACTIVE."]
    assert story.poll() is None
    pipe.activate()
    assert story.work() == [day("A", 1)]


def test_nothing_is_run_again_while_the_pipeline_is_stopping(story: Story) -> None:
    pipe = story.pipeline(scheduled(activity("A"), activity("B")))
    tasks = {task.instance_id: task for task in (story.take(), story.take())}
    story.end(tasks[day("A", 1)])
    pipe.deactivate(cancel_active=False)
    with pytest.raises(ServiceError, match="RERUN cannot change"):
        pipe.set_status("RERUN", day("A", 1))
    story.end(tasks[day("B", 1)])
    assert pipe.state == "INACTIVE"


def test_only_an_active_pipeline_can_be_deactivated(story: Story) -> None:
    pipe = story.pipeline(on_demand(activity("A")), is_active=False)
    with pytest.raises(ServiceError, match="The pipeline is PENDING; only an active pipeline"):
        pipe.deactivate()


def test_a_paused_component_makes_nothing_new_and_starts_nothing(story: Story) -> None:
    pipe = story.pipeline(scheduled(activity("A"), activity("B", dependsOn=ref("A"))))
    pipe.set_status("PAUSE", "B")
    assert story.work() == [day("A", 1)]
    assert pipe.status(day("B", 1)) == "WAITING_ON_DEPENDENCIES"
    assert pipe.why(day("B", 1)) == ["B is paused."]
    assert pipe.fields("B")["@status"] == ["PAUSED"]
    story.until("2024-01-03T00:00:00")
    assert list(pipe.statuses("B")) == [day("B", 1)]
    story.work()
    pipe.set_status("RESUME", "B")
    assert story.work() == [day("B", 1), day("B", 2), day("B", 3)]
    assert "@status" not in pipe.fields("B")


def test_a_task_of_a_paused_component_is_not_handed_out(story: Story) -> None:
    pipe = story.pipeline(on_demand(activity("A", retryDelay="0 seconds"), activity("B")))
    pipe.set_status("PAUSE", "A")
    assert story.work() == [B]
    assert pipe.why(A) == ["A is paused."]
    del story.woken[:]
    pipe.set_status("RESUME", "A")
    assert story.woken == ["work"]
    task = story.take()
    pipe.set_status("PAUSE", "A")
    story.end(task, "FAILED")
    assert story.poll() is None, "what runs goes on, but is not tried again"
    pipe.set_status("RESUME", "A")
    assert story.work() == [A]


def test_the_preconditions_of_a_paused_component_wait_as_well(story: Story) -> None:
    pipe = story.pipeline(on_demand(exists("P"), activity("A", precondition=ref("P"))))
    pipe.set_status("PAUSE", "A")
    assert story.poll() is None
    assert pipe.why(f"@P_{AT}") == ["A is paused."]
    pipe.set_status("RESUME", "A")
    assert story.work() == [f"@P_{AT}", A]


def test_pausing_is_kept_through_activations(story: Story) -> None:
    pipe = story.pipeline(scheduled(activity("A")))
    story.work()
    pipe.set_status("PAUSE", "A")
    pipe.activate()
    story.until("2024-01-05T00:00:00")
    assert story.work() == []
    pipe.set_status("RESUME", "A")
    assert len(story.work()) == 4


def test_a_pipeline_is_finished_when_nothing_is_left(story: Story) -> None:
    pipe = story.pipeline(on_demand(activity("A", maximumRetries="0"), activity("B")))
    story.end(story.take(), "FAILED")
    assert pipe.state == "SCHEDULED"
    story.end(story.take())
    assert pipe.state == "FINISHED"
    assert [event.to_status for event in pipe.events("PIPELINE")] == ["SCHEDULED", "FINISHED"]


def test_a_component_is_healthy_or_in_error_by_its_last_run(story: Story) -> None:
    pipe = story.pipeline(scheduled(activity("A", maximumRetries="0"), activity("B", dependsOn=ref("A"))))
    assert "@healthStatus" not in pipe.description
    story.end(story.take(), "FAILED")
    assert pipe.fields("A")["@healthStatus"] == ["ERROR"]
    assert pipe.fields("A")["@healthStatusFromInstanceId"] == [day("A", 1)]
    assert "@healthStatus" not in pipe.fields("B"), "a cascade failure says nothing about its object"
    assert pipe.description["@healthStatus"] == "ERROR"
    story.until("2024-01-02T00:00:00")
    story.work()
    assert pipe.fields("A")["@healthStatus"] == pipe.fields("B")["@healthStatus"] == ["HEALTHY"]
    assert pipe.description["@healthStatus"] == "HEALTHY"


@pytest.mark.parametrize(("verb", "health"), [("TRY_CANCEL", "ERROR"), ("MARK_FINISHED", "HEALTHY")])
def test_cancelling_and_marking_tell_of_health_too(story: Story, verb: str, health: str) -> None:
    pipe = story.pipeline(on_demand(activity("A")))
    pipe.set_status(verb, A)
    assert pipe.fields("A")["@healthStatus"] == [health]


def test_what_has_not_begun_waits_for_a_producer_that_is_run_again(story: Story) -> None:
    pipe = story.pipeline(on_demand(activity("A"), activity("B", dependsOn=ref("A"))))
    story.end(story.take())
    assert pipe.status(B) == "WAITING_FOR_RUNNER"
    pipe.set_status("RERUN", A)
    assert pipe.status(B) == "WAITING_ON_DEPENDENCIES"
    again = story.take()
    assert again.instance_id == A
    assert story.poll() is None
    story.end(again)
    story.end(story.take())
    assert (pipe.status(B), pipe.state) == ("FINISHED", "FINISHED")


def test_the_period_of_a_pipeline_that_was_activated_cannot_change_by_a_value_either(story: Story) -> None:
    definition = scheduled(schedule(period="#{myPeriod}"), activity("A"))
    definition["parameters"] = [{"id": "myPeriod", "default": "1 day"}]
    pipe = story.pipeline(definition)
    with pytest.raises(ServiceError, match="'period' cannot change from '1 day' to '2 days'"):
        pipe.activate(myPeriod="2 days")
    pipe.activate(myPeriod="1 day")


def test_deleting_ends_everything(story: Story) -> None:
    pipe = story.pipeline(scheduled(activity("A")))
    task = story.take()
    pipelines.delete_pipeline(story.call(), {"pipelineId": pipe.id})
    with pytest.raises(ServiceError, match="There is no task"):
        story.report(task)
    story.until("2024-01-03T00:00:00")
    assert pipe.instances() == []
    with pytest.raises(ServiceError, match=f"Pipeline with id: {pipe.id} does not exist"):
        assert pipe.state


def test_a_pipeline_that_breaks_the_engine_holds_up_no_other(story: Story, caplog: pytest.LogCaptureFixture) -> None:
    broken, sound = story.pipeline(scheduled(activity("A"))), story.pipeline(scheduled(activity("A")))
    story.work()
    with story.store.transaction() as tx:
        tx.execute("put_definition", pipeline_id=broken.id, version=1, body="[", errored=0, created_at=0, created_by="")
    story.engine.plans.forget(broken.id)
    story.clock.moment = story.clock.moment.replace(day=2)
    due = story.engine.run_due()
    assert sound.status(day("A", 2)) == "WAITING_FOR_RUNNER"
    assert f"What was due in the pipeline {broken.id} failed" in caplog.text
    assert due is not None
    caplog.clear()


def test_two_engines_on_one_store_do_everything_once(story: Story) -> None:
    pipe = story.pipeline(scheduled(activity("A"), schedule("Daily", "1 hour")))
    first, second = story.engine, story.new_engine(story.folder)
    for _ in range(5):
        story.clock.moment += timedelta(hours=1)
        first.run_due()
        second.run_due()
        story.engine = second
        story.work()
        story.engine = first
    assert len(pipe.statuses()) == 6
    assert set(pipe.statuses().values()) == {"FINISHED"}


def test_a_task_that_was_looked_up_before_a_pause_is_not_handed_out_after_it(story: Story) -> None:
    pipe = story.pipeline(on_demand(activity("A")))
    with story.store.snapshot() as tx:
        waiting = read(Attempt, tx.all("attempts_after", pipeline_id=pipe.id, attempt_id="", limit=100)[0])
    pipe.set_status("PAUSE", "A")
    with story.engine.turn(pipe.id) as turn:
        assert attempts.take_all(turn, [waiting], "host-1") == []
    pipe.set_status("RESUME", "A")
    with story.engine.turn(pipe.id) as turn:
        assert attempts.take_all(turn, [waiting], "host-1") != []


def test_deleting_leaves_no_row_behind(story: Story) -> None:
    pipe = story.pipeline(on_demand(activity("A", onFail=ref("Alarm"), maximumRetries="0"), alarm("Alarm")))
    story.work(answer=lambda task: "FAILED")
    pipelines.delete_pipeline(story.call(), {"pipelineId": pipe.id})
    assert pipe.events() == []
