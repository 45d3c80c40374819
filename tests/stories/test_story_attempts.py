"""Attempts: tries, delays, time limits, leases, and reports that come late, twice or from the wrong runner."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from story import SYSTEM, Story, Task, activity, day, exists, milliseconds, on_demand, ref, s3_key_exists, scheduled

from penstock.api import tasks
from penstock.definition.slots import Catalogue
from penstock.engine.recovery import recover
from penstock.store.secrets import Secrets
from penstock.wire.errors import ServiceError

NewStory = Callable[..., Story]
A = "@A_2024-01-01T00:00:00"


def test_a_failed_attempt_is_tried_again_after_ten_minutes_and_twice_at_most(story: Story) -> None:
    pipe = story.pipeline(on_demand(activity("A")))
    story.end(story.take(), "FAILED", "first")
    assert pipe.status(A) == "WAITING_FOR_RUNNER"
    assert pipe.why(A) == ["It will be tried again at 2024-01-01T00:10:00."]
    story.until("2024-01-01T00:09:59")
    assert story.poll() is None
    story.until("2024-01-01T00:10:00")
    story.end(story.take(), "FAILED", "second")
    story.until("2024-01-01T00:20:00")
    story.end(story.take(), "FAILED", "third")
    assert pipe.status(A) == "FAILED"
    assert [attempt.error_message for attempt in pipe.attempts(A)] == ["first", "second", "third"]
    fields = pipe.fields(A)
    assert (fields["errorMessage"], fields["errorId"], fields["@triesLeft"]) == (["third"], ["Broken"], ["0"])
    assert (fields["@attemptCount"], fields["@headAttempt"]) == (["3"], [f"{A}_Attempt=3"])
    assert pipe.state == "FINISHED"


def test_the_engine_wakes_a_runner_when_the_delay_is_over(story: Story) -> None:
    story.pipeline(on_demand(activity("A", retryDelay="1 minute")))
    story.end(story.take(), "FAILED")
    story.until("2024-01-01T00:00:59")
    del story.woken[:]
    story.until("2024-01-01T00:01:00")
    story.engine.run_due()
    assert story.woken == ["work"]


def test_tries_and_delay_are_the_objects_own(story: Story) -> None:
    pipe = story.pipeline(
        on_demand(activity("A", maximumRetries="1", retryDelay="0 seconds"), activity("B", maximumRetries="0"))
    )
    assert story.work(answer=lambda task: "FAILED").count(A) == 2
    assert set(pipe.statuses().values()) == {"FAILED"}
    assert len(pipe.attempts("@B_2024-01-01T00:00:00")) == 1


def test_a_later_try_may_succeed(story: Story) -> None:
    pipe = story.pipeline(on_demand(activity("A", retryDelay="1 minute")))
    story.end(story.take(), "FAILED")
    story.later(minutes=1)
    assert story.work() == [A]
    assert pipe.status(A) == "FINISHED"
    assert pipe.moves(A) == ["WAITING_FOR_RUNNER", "RUNNING", "WAITING_FOR_RUNNER", "RUNNING", "FINISHED"]


def test_an_attempt_ends_at_its_timeout_however_alive_its_runner_is(story: Story) -> None:
    pipe = story.pipeline(on_demand(activity("A", attemptTimeout="30 minutes", maximumRetries="0")))
    task = story.take()
    for _ in range(2):
        story.later(minutes=14)
        assert not story.report(task)
    story.later(minutes=2)
    assert pipe.status(A) == "FAILED"
    (attempt,) = pipe.attempts(A)
    assert (attempt.status, attempt.error_id) == ("TIMEDOUT", "AttemptTimeout")
    assert "attemptTimeout of 30 minutes" in (attempt.error_message or "")
    assert story.report(task), "the runner is told to stop"


def test_a_silent_runner_loses_its_task_after_fifteen_minutes(story: Story) -> None:
    pipe = story.pipeline(on_demand(activity("A", retryDelay="0 seconds")))
    first = story.take()
    story.later(minutes=14)
    assert not story.report(first)
    story.later(minutes=15)
    assert [attempt.status for attempt in pipe.attempts(A)] == ["TIMEDOUT", "WAITING_FOR_RUNNER"]
    assert "host-1 has not reported" in (pipe.attempts(A)[0].error_message or "")


def test_report_progress_timeout_shortens_or_lengthens_that(story: Story) -> None:
    pipe = story.pipeline(
        on_demand(activity("A", reportProgressTimeout="3 minutes"), activity("B", reportProgressTimeout="1 hour"))
    )
    story.take(), story.take()
    story.later(minutes=4)
    assert pipe.attempts(A)[0].status == "TIMEDOUT"
    story.later(minutes=50)
    assert pipe.attempts("@B_2024-01-01T00:00:00")[0].status == "RUNNING"
    story.later(minutes=10)
    assert pipe.attempts("@B_2024-01-01T00:00:00")[0].status == "TIMEDOUT"


def test_a_task_that_nobody_acknowledges_is_handed_out_again_under_another_id(story: Story) -> None:
    pipe = story.pipeline(on_demand(activity("A")))
    first = story.poll()
    assert first is not None
    story.later(seconds=119)
    assert story.poll() is None
    story.later(seconds=1)
    second = story.poll()
    assert second is not None
    assert second.attempt_id == first.attempt_id
    assert second.task_id != first.task_id
    with pytest.raises(ServiceError, match="There is no task") as caught:
        story.end(first)
    assert caught.value.code == "TaskNotFoundException"
    with pytest.raises(ServiceError, match="another runner has it"):
        story.report(first)
    assert pipe.status(A) == "RUNNING"
    story.end(second)
    assert pipe.status(A) == "FINISHED"
    assert pipe.fields(A)["@attemptCount"] == ["1"]


def test_who_lost_the_lease_cannot_finish(story: Story) -> None:
    pipe = story.pipeline(on_demand(activity("A", retryDelay="0 seconds")))
    first = story.take()
    story.later(minutes=16)
    second = story.take()
    story.end(first, "FINISHED")
    story.end(first, "FAILED")
    assert pipe.status(A) == "RUNNING"
    assert story.report(first), "it is told that its task was cancelled"
    story.end(second)
    assert [attempt.status for attempt in pipe.attempts(A)] == ["TIMEDOUT", "FINISHED"]


@pytest.mark.parametrize("status", ["FINISHED", "FAILED"])
def test_what_is_reported_twice_or_late_changes_nothing(story: Story, status: str) -> None:
    pipe = story.pipeline(on_demand(activity("A", maximumRetries="0"), activity("B", dependsOn=ref("A"))))
    task = story.take()
    story.end(task, status)
    before = pipe.events()
    story.later(minutes=1)
    for again in ("FINISHED", "FAILED", status):
        story.end(task, again)
    assert story.report(task)
    assert pipe.events() == before


def test_only_a_precondition_can_be_false(story: Story) -> None:
    pipe = story.pipeline(on_demand(activity("A")))
    with pytest.raises(ServiceError, match="Only a precondition's task can be FALSE"):
        story.end(story.take(), "FALSE")
    assert pipe.status(A) == "RUNNING"


def test_fields_that_a_runner_reports_are_kept_and_shown(story: Story) -> None:
    pipe = story.pipeline(on_demand(activity("A")))
    task = story.take()
    story.report(task, attemptStatus="copying", rows="10")
    story.report(task, rows="20")
    assert pipe.fields(f"{A}_Attempt=1")["attemptStatus"] == ["copying"]
    assert pipe.fields(A)["rows"] == ["20"]


def test_a_field_that_cannot_be_evaluated_fails_the_attempt_and_names_it(story: Story) -> None:
    pipe = story.pipeline(on_demand(activity("A", command="#{@cascadeFailedOn}", maximumRetries="0")))
    assert story.poll() is None
    assert pipe.status(A) == "FAILED"
    assert pipe.fields(A)["errorMessage"] == [
        "The field 'command' of 'A' reads '@cascadeFailedOn', which is not known yet."
    ]


def test_an_error_text_with_a_nul_is_kept_without_it(story: Story) -> None:
    pipe = story.pipeline(on_demand(activity("A", maximumRetries="0")))
    story.end(story.take(), "FAILED", "binary \0 output")
    assert pipe.fields(A)["errorMessage"] == ["binary  output"]


def test_two_runners_never_get_one_task(story: Story) -> None:
    story.pipeline(on_demand(*[activity(f"A{number}") for number in range(12)]))
    taken: list[Task] = []

    def poll() -> None:
        while (task := story.poll()) is not None:
            taken.append(task)

    threads = [threading.Thread(target=poll) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(taken) == len({task.task_id for task in taken}) == 12


def test_tasks_that_end_at_once_wake_their_common_consumer(story: Story) -> None:
    names = [f"A{number}" for number in range(8)]
    pipe = story.pipeline(scheduled(*[activity(n) for n in names], activity("B", dependsOn=[ref(n) for n in names])))
    tasks = [story.take() for _ in names]
    threads = [threading.Thread(target=story.end, args=(task,)) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert pipe.status(day("B", 1)) == "WAITING_FOR_RUNNER"


def test_after_a_restart_the_services_own_tasks_are_handed_out_again(story: Story) -> None:
    pipe = story.pipeline(on_demand(s3_key_exists("P"), activity("A", precondition=ref("P"))))
    first = story.take(SYSTEM)
    recover(story.new_engine(story.folder), "host-1")
    second = story.take(SYSTEM)
    assert second.instance_id == first.instance_id
    story.end(second)
    assert story.work() == [A]
    assert pipe.state == "FINISHED"


def test_after_a_restart_a_runners_task_goes_on(story: Story) -> None:
    pipe = story.pipeline(on_demand(activity("A")))
    task = story.take()
    story.engine = story.new_engine(story.folder)
    recover(story.engine, "host-1")
    assert not story.report(task)
    story.end(task)
    assert pipe.status(A) == "FINISHED"


def test_a_crash_within_a_turn_leaves_nothing_half_done(story: Story) -> None:
    pipe = story.pipeline(on_demand(activity("A"), activity("B", dependsOn=ref("A"))))
    task = story.take()
    before = (pipe.statuses(), pipe.events())
    with pytest.raises(ZeroDivisionError), story.engine.turn(pipe.id) as turn:
        instance = turn.instance(pipe.id, A)
        assert instance is not None
        turn.tx.execute("set_late", pipeline_id=pipe.id, instance_id=A)
        raise ZeroDivisionError
    assert (pipe.statuses(), pipe.events()) == before
    story.end(task)
    assert story.work() == ["@B_2024-01-01T00:00:00"]


def test_a_task_that_cannot_be_made_fails_without_its_secrets_and_holds_up_no_other(
    story: Story, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    secret = {"*mySecret": "hunter2", "command": "echo #{*mySecret}"}
    bad = story.pipeline(on_demand(activity("A", maximumRetries="1", retryDelay="1 minute", **secret)))
    story.later(seconds=1)
    good = story.pipeline(on_demand(activity("B")))
    (tmp_path / "other").mkdir()
    story.engine.secrets = Secrets(tmp_path / "other")
    task = story.poll()
    assert task is not None
    assert task.instance_id.startswith("@B_")
    story.end(task)
    assert good.state == "FINISHED"
    assert bad.status(A) == "WAITING_FOR_RUNNER"
    story.later(minutes=1)
    assert story.poll() is None
    assert bad.fields(A)["errorId"] == ["TaskNotMade"]
    assert bad.fields(A)["errorMessage"] == ["The service could not make the task; its log says why."]
    assert "The master key is not the one" in caplog.text
    assert "hunter2" not in caplog.text + str(bad.events())
    caplog.clear()


def test_a_task_whose_pipeline_cannot_be_worked_out_is_put_off_and_holds_up_no_other(
    story: Story, caplog: pytest.LogCaptureFixture
) -> None:
    broken = story.pipeline(on_demand(activity("A")))
    story.later(seconds=1)
    story.pipeline(on_demand(activity("B")))
    with story.store.transaction() as tx:
        body = tx.one("definition_by_version", pipeline_id=broken.id, version=1)
        assert body is not None
        values = {"pipeline_id": broken.id, "version": 1, "errored": 0, "created_at": 0, "created_by": ""}
        tx.execute("put_definition", body="[", **values)
    story.engine.plans.forget(broken.id)
    assert [name.partition("_")[0] for name in story.work()] == ["@B"]
    assert "is put off" in caplog.text
    with story.store.transaction() as tx:
        tx.execute("put_definition", body=body["body"], **values)
    assert story.work() == []
    story.later(minutes=1)
    assert story.work() == [A]
    caplog.clear()


def test_a_failed_task_of_a_type_that_was_uninstalled_fails_its_instance(story: Story) -> None:
    pipe = story.pipeline(on_demand(activity("A")))
    task = story.take()
    types = {name: cls for name, cls in story.engine.catalogue.types.items() if name != "ShellCommandActivity"}
    story.engine.plans.catalogue = story.engine.catalogue = Catalogue(types)
    story.engine.plans.forget(pipe.id)
    story.end(task, "FAILED")
    assert pipe.status(A) == "FAILED"


def test_while_the_store_cannot_be_reached_no_task_fails(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = story.pipeline(on_demand(activity("A")))

    def cut(*given: object) -> None:
        raise story.store.unavailable[0]("the connection was cut")

    with monkeypatch.context() as broken, pytest.raises(story.store.unavailable):
        broken.setattr(tasks, "task_objects", cut)
        story.poll()
    assert story.work() == [A]
    assert pipe.state == "FINISHED"


def test_a_task_that_nobody_ever_acknowledges_fails_after_five_deliveries(story: Story) -> None:
    pipe = story.pipeline(on_demand(activity("A", maximumRetries="1", retryDelay="0 seconds")))
    for attempt in (1, 2):
        for delivery in range(5):
            task = story.poll()
            assert task is not None
            assert task.attempt_id == f"{A}_Attempt={attempt}"
            shown = pipe.fields(task.attempt_id).get("@unacknowledgedDeliveries")
            assert shown == ([str(delivery)] if delivery else None)
            story.later(minutes=2)
    assert story.poll() is None
    assert pipe.status(A) == "FAILED"
    assert pipe.fields(A)["errorId"] == ["TaskNotAcknowledged"]
    assert pipe.fields(f"{A}_Attempt=2")["@unacknowledgedDeliveries"] == ["5"]


def test_a_precondition_that_is_asked_often_counts_its_deliveries_anew(story: Story) -> None:
    pipe = story.pipeline(on_demand(exists("P"), activity("A", precondition=ref("P"))))
    for _ in range(7):
        assert story.poll() is not None
        story.later(minutes=2)
        story.end(story.take(), "FALSE")
        story.later(minutes=1)
    assert pipe.status("@P_2024-01-01T00:00:00") == "WAITING_FOR_RUNNER"


def test_a_task_that_is_there_at_once_does_not_wake_the_loop(story: Story) -> None:
    story.pipeline(on_demand(activity("A", maximumRetries="1", retryDelay="1 minute")))
    task = story.poll()
    assert task is not None
    assert story.engine._next_due == milliseconds("2024-01-01T00:02:00"), "when the task must be acknowledged"
    story.report(task)
    story.engine._next_due = None
    story.end(task, "FAILED")
    assert story.engine._next_due == milliseconds("2024-01-01T00:01:00"), "when it is tried again"
