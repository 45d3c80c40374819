"""The task runner of forty lines on boto3 in every situation: cancelled, silent, reporting twice, reporting late."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import boto3_task_runner
import pytest
from api_service import ON_DEMAND, Api, running, shell

from penstock.clock import SystemClock

ACKNOWLEDGE_WITHIN, LEASE = 120, 300  # seconds; the clock moves less than the 15 minutes that a signature is good for


class MovedClock:
    """The machine's clock, ahead of it by what the test says."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return SystemClock().now() + self.ahead


class Between:
    """A client that does something just before the first call of an operation."""

    def __init__(self, client: Any, **actions: Callable[[], object]) -> None:
        self._client = client
        self._actions = actions

    def __getattr__(self, operation: str) -> Any:
        action = self._actions.pop(operation, None)

        def call(**parameters: Any) -> Any:
            if action is not None:
                action()
            return getattr(self._client, operation)(**parameters)

        return call


@pytest.fixture(scope="module")
def timed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A service whose clock tests move ahead, and whose polls are short; for it, that is time that passes, no jump."""
    folder = tmp_path_factory.mktemp("timed") / "data"
    settings = ("long_poll = 0.1", f"acknowledge_within = {ACKNOWLEDGE_WITHIN}", f"lease = {LEASE}")
    with contextmanager(running)(folder, *settings) as api:
        api.service.engine.clock = MovedClock()
        api.service.engine._presence.was_away = lambda now: None
        yield api


@pytest.fixture
def later(timed: Api) -> Iterator[Callable[[float], None]]:
    """Moves the clock by seconds, and does what is due then; each test begins at the present time."""
    clock = timed.service.engine.clock
    assert isinstance(clock, MovedClock)

    def move(seconds: float) -> None:
        clock.ahead += timedelta(seconds=seconds)
        timed.service.engine.run_due()

    yield move
    clock.ahead = timedelta()


def test_it_does_not_begin_what_was_cancelled_before_it_reported(timed: Api, group: str, tmp_path: Path):
    pipeline_id = timed.activated(ON_DEMAND, shell("A", group, command=f"touch {tmp_path}/ran"))
    instance = timed.instance(pipeline_id, "A")

    def cancel() -> None:
        timed.boto.set_status(pipelineId=pipeline_id, objectIds=[instance], status="TRY_CANCEL")

    assert boto3_task_runner.work(Between(timed.boto, report_task_progress=cancel), group) == [f"{instance}_Attempt=1"]
    assert not (tmp_path / "ran").exists()
    assert timed.status(pipeline_id, "A") == "CANCELED"


def test_what_was_cancelled_while_it_ran_stays_cancelled(timed: Api, group: str):
    pipeline_id = timed.activated(ON_DEMAND, shell("A", group))
    instance = timed.instance(pipeline_id, "A")

    def cancel() -> None:
        timed.boto.set_status(pipelineId=pipeline_id, objectIds=[instance], status="TRY_CANCEL")

    boto3_task_runner.work(Between(timed.boto, set_task_status=cancel), group)
    assert timed.status(pipeline_id, "A") == "CANCELED"
    assert timed.fields(pipeline_id, f"{instance}_Attempt=1")["@status"] == "CANCELED"


def test_a_task_that_nobody_acknowledged_is_handed_out_again_after_two_minutes(
    timed: Api, group: str, later: Callable[[float], None]
):
    pipeline_id = timed.activated(ON_DEMAND, shell("A", group))
    silent = timed.poll(group)
    later(ACKNOWLEDGE_WITHIN - 2)
    assert boto3_task_runner.work(timed.boto, group) == []
    later(4)
    assert boto3_task_runner.work(timed.boto, group) == [silent["attemptId"]]
    assert timed.status(pipeline_id, "A") == "FINISHED"


def test_who_comes_back_after_that_has_lost_the_task(timed: Api, group: str, later: Callable[[float], None]):
    pipeline_id = timed.activated(ON_DEMAND, shell("A", group))
    silent = timed.poll(group)
    later(ACKNOWLEDGE_WITHIN + 2)
    taken = timed.poll(group)
    assert (taken["attemptId"], taken["taskId"] != silent["taskId"]) == (silent["attemptId"], True)
    for late in (
        lambda: timed.boto.report_task_progress(taskId=silent["taskId"]),
        lambda: timed.boto.set_task_status(taskId=silent["taskId"], taskStatus="FINISHED"),
    ):
        with pytest.raises(timed.boto.exceptions.TaskNotFoundException, match="or another runner has it now"):
            late()
    assert timed.status(pipeline_id, "A") == "RUNNING"
    timed.boto.set_task_status(taskId=taken["taskId"], taskStatus="FINISHED")
    assert timed.status(pipeline_id, "A") == "FINISHED"


def test_a_task_whose_runner_falls_silent_is_tried_again(timed: Api, group: str, later: Callable[[float], None]):
    pipeline_id = timed.activated(ON_DEMAND | {"maximumRetries": "1"}, shell("A", group))
    silent = timed.poll(group)
    timed.boto.report_task_progress(taskId=silent["taskId"])
    later(LEASE - 2)
    assert boto3_task_runner.work(timed.boto, group) == []
    later(4)
    second = silent["attemptId"].replace("Attempt=1", "Attempt=2")
    assert boto3_task_runner.work(timed.boto, group) == [second]
    assert timed.status(pipeline_id, "A") == "FINISHED"
    lost = timed.fields(pipeline_id, silent["attemptId"])
    assert (lost["@status"], lost["errorId"]) == ("TIMEDOUT", "TaskRunnerLost")
    assert lost["errorMessage"] == "The task runner on here has not reported for too long."


def test_who_reports_after_its_lease_ended_is_told_to_stop_and_changes_nothing(
    timed: Api, group: str, later: Callable[[float], None]
):
    pipeline_id = timed.activated(ON_DEMAND, shell("A", group))
    silent = timed.poll(group)
    timed.boto.report_task_progress(taskId=silent["taskId"])
    later(LEASE + 2)
    assert timed.status(pipeline_id, "A") == "FAILED"
    assert timed.boto.report_task_progress(taskId=silent["taskId"])["canceled"] is True
    timed.boto.set_task_status(taskId=silent["taskId"], taskStatus="FINISHED")
    assert timed.status(pipeline_id, "A") == "FAILED"


def test_a_report_renews_the_lease(timed: Api, group: str, later: Callable[[float], None]):
    pipeline_id = timed.activated(ON_DEMAND, shell("A", group))
    task = timed.poll(group)
    for _ in range(2):
        assert timed.boto.report_task_progress(taskId=task["taskId"])["canceled"] is False
        later(LEASE - 2)
    timed.boto.set_task_status(taskId=task["taskId"], taskStatus="FINISHED")
    assert timed.status(pipeline_id, "A") == "FINISHED"


def test_reporting_twice_is_like_reporting_once(timed: Api, group: str):
    pipeline_id = timed.activated(ON_DEMAND, shell("A", group), shell("B", group, dependsOn={"ref": "A"}))
    first = timed.poll(group)
    for _ in range(2):
        assert timed.boto.report_task_progress(taskId=first["taskId"])["canceled"] is False
    for _ in range(2):
        timed.boto.set_task_status(taskId=first["taskId"], taskStatus="FINISHED")
    assert [entry.split("_")[0] for entry in boto3_task_runner.work(timed.boto, group)] == ["@B"]
    assert timed.pipeline_fields(pipeline_id)["@pipelineState"] == "FINISHED"


def test_whoever_fails_what_has_finished_is_too_late(timed: Api, group: str):
    pipeline_id = timed.activated(ON_DEMAND | {"maximumRetries": "1"}, shell("A", group))
    task = timed.poll(group)
    timed.boto.set_task_status(taskId=task["taskId"], taskStatus="FINISHED")
    timed.boto.set_task_status(taskId=task["taskId"], taskStatus="FAILED", errorMessage="no, it did not work")
    assert boto3_task_runner.work(timed.boto, group) == []
    assert "errorMessage" not in timed.fields(pipeline_id, timed.instance(pipeline_id, "A"))
    assert timed.status(pipeline_id, "A") == "FINISHED"
