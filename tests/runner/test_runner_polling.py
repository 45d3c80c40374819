"""A task runner and its service: what it does when the service is away, refuses it, or cancels a task."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.data.local_folder import LocalFolder
from penstock.objects import load_catalogue
from penstock.runner.commands import clean_environment
from penstock.runner.place import Place
from penstock.runner.runner import Pace, Runner
from penstock.wire.client import ConnectionFailed
from penstock.wire.errors import ServiceError

AWAY = ConnectionFailed("http://127.0.0.1:1", "Connection refused")
BROKEN = ServiceError("InternalServiceError", "The server is broken.", 500)
UNKNOWN_KEY = ServiceError("UnrecognizedClientException", "The key is not known.")
GONE = ServiceError("TaskNotFoundException", "There is no such task.")


class Answers:
    """Stands for the service at the other end: gives prepared answers to each operation, and notes the calls."""

    def __init__(self) -> None:
        self.prepared: dict[str, list[Any]] = {}
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.seen: queue.Queue[str] = queue.Queue()
        self.closed = threading.Event()
        self._lock = threading.Lock()

    def will(self, operation: str, *answers: Any) -> None:
        self.prepared.setdefault(operation, []).extend(answers)

    def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        with self._lock:
            self.calls.append((operation, parameters))
            prepared = self.prepared.get(operation)
            answer = prepared.pop(0) if prepared else None
        self.seen.put(operation)
        if answer is None:
            if operation == "PollForTask":
                self.closed.wait(20)
                raise AWAY
            answer = {"ReportTaskProgress": {"canceled": False}}.get(operation, {"terminate": False})
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, dict)
        return answer

    def close(self) -> None:
        self.closed.set()

    def wait_for(self, operation: str) -> dict[str, Any]:
        while self.seen.get(timeout=20) != operation:
            pass
        return [parameters for name, parameters in self.calls if name == operation][-1]

    def count(self, operation: str) -> int:
        return sum(name == operation for name, _ in self.calls)


class Reports(Answers):
    """The second connection of a runner, which must stay open until the ends of all tasks were told."""

    def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        assert not self.closed.is_set()
        return super().call(operation, **parameters)


def task(command: str, **fields: str) -> dict[str, Any]:
    known = {"type": "ShellCommandActivity", "command": command, "@componentParent": "A", "@instanceParent": "@A_1"}
    entries = [{"key": key, "stringValue": value} for key, value in (known | fields).items()]
    objects = {"@A_1_Attempt=1": {"id": "@A_1_Attempt=1", "name": "A", "fields": entries}}
    return {"taskObject": {"taskId": "t", "pipelineId": "df-1", "attemptId": "@A_1_Attempt=1", "objects": objects}}


Make = Callable[..., tuple[Runner, Answers, Reports]]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def make_runner(group: str = "group", pace: Pace | None = None) -> tuple[Runner, Answers, Reports]:
        polls, reports = Answers(), Reports()
        clients: list[Any] = [polls, reports]
        place = Place("http://x", tmp_path, LocalFolder(tmp_path / "s3"), clean_environment(), hostname="here")
        runner = Runner(lambda: clients.pop(0), load_catalogue(), place, [group], tasks=1, pace=pace)
        return runner, polls, reports

    return make_runner


def end(runner: Runner) -> None:
    runner.stop()
    runner.join()


def test_a_task_is_acknowledged_run_and_ended(make: Make) -> None:
    runner, polls, reports = make()
    polls.will("PollForTask", task("true"))
    runner.start()
    assert reports.wait_for("SetTaskStatus") == {"taskId": "t", "taskStatus": "FINISHED"}
    assert reports.calls[0][0] == "ReportTaskProgress"
    end(runner)


def test_a_runner_goes_on_trying_while_its_service_is_away(make: Make) -> None:
    runner, polls, reports = make()
    polls.will("PollForTask", AWAY, BROKEN, task("true"))
    runner.start()
    reports.wait_for("SetTaskStatus")
    assert polls.count("PollForTask") >= 3
    end(runner)


def test_an_embedded_runner_ends_when_its_service_stays_away(make: Make) -> None:
    runner, polls, _ = make(pace=Pace(give_up=0.1))
    polls.will("PollForTask", AWAY, AWAY)
    runner.start()
    runner.join()
    assert "No answer from" in str(runner.refusal)


def test_an_embedded_runner_that_gives_up_ends_its_task(make: Make, tmp_path: Path) -> None:
    runner, polls, reports = make(pace=Pace(report=0.05, give_up=0.1))
    polls.will("PollForTask", task("exec sleep 600"))
    reports.will("ReportTaskProgress", {"canceled": False}, *[AWAY] * 200)
    runner.start()
    runner.join()
    assert "No answer from" in str(runner.refusal)
    assert runner.held.all() == []


def test_a_runner_whose_key_is_not_known_ends_and_says_so(make: Make) -> None:
    runner, polls, _ = make()
    polls.will("PollForTask", UNKNOWN_KEY)
    runner.start()
    runner.join()
    assert "The key is not known" in str(runner.refusal)


def test_the_end_of_a_task_is_told_again_until_the_service_hears_it(make: Make) -> None:
    runner, polls, reports = make()
    polls.will("PollForTask", task("true"))
    reports.will("SetTaskStatus", AWAY, BROKEN, {})
    runner.start()
    for _ in range(3):
        reports.wait_for("SetTaskStatus")
    assert reports.count("SetTaskStatus") == 3
    end(runner)


def test_the_end_of_a_task_that_another_runner_has_now_is_told_once(make: Make) -> None:
    runner, polls, reports = make()
    polls.will("PollForTask", task("true"))
    reports.will("SetTaskStatus", GONE)
    runner.start()
    reports.wait_for("SetTaskStatus")
    end(runner)
    assert reports.count("SetTaskStatus") == 1


def test_a_task_goes_on_while_its_progress_cannot_be_told(make: Make) -> None:
    runner, polls, reports = make()
    polls.will("PollForTask", task("true"))
    reports.will("ReportTaskProgress", BROKEN)
    runner.start()
    assert reports.wait_for("SetTaskStatus")["taskStatus"] == "FINISHED"
    end(runner)


def test_a_canceled_task_is_stopped_and_its_end_not_told(make: Make, tmp_path: Path) -> None:
    runner, polls, reports = make(pace=Pace(report=0.05))
    log = {"pipelineLogUri": "s3://bucket/logs"}
    polls.will("PollForTask", task("echo begun; exec sleep 600", **log), task("true"))
    reports.will("ReportTaskProgress", {"canceled": False}, {"canceled": True})
    runner.start()
    reports.wait_for("SetTaskStatus")  # of the second task: the first one has ended
    end(runner)
    assert reports.count("SetTaskStatus") == 1
    text = (tmp_path / "logs/df-1/A/@A_1/@A_1_Attempt=1/Activity.log").read_text()
    assert "Stopped: The service has canceled the attempt." in text


def test_the_logs_are_sent_while_the_task_runs(make: Make, tmp_path: Path) -> None:
    runner, polls, reports = make(pace=Pace(report=0.05))
    polls.will("PollForTask", task("echo begun; exec sleep 600", pipelineLogUri="s3://bucket/logs"))
    runner.start()
    for _ in range(4):
        reports.wait_for("ReportTaskProgress")
    sent = [entry.uri.rpartition("/")[2] for entry in runner.place.storage.list("s3://bucket/logs/df-1/A/@A_1/")]
    assert sent == ["Activity.log.gz", "StdError.gz", "StdOutput.gz"]
    end(runner)


def test_a_stopped_runner_ends_its_task_and_tells_that_it_failed(make: Make) -> None:
    runner, polls, reports = make(pace=Pace(report=0.05))
    polls.will("PollForTask", task("exec sleep 600"))
    runner.start()
    for _ in range(2):
        reports.wait_for("ReportTaskProgress")
    end(runner)
    told = reports.wait_for("SetTaskStatus")
    assert told["taskStatus"] == "FAILED"
    assert told["errorMessage"] == "The task runner was stopped."


def test_a_task_that_cannot_be_begun_is_told_to_have_failed(make: Make, tmp_path: Path) -> None:
    runner, polls, reports = make()
    (tmp_path / "logs").write_text("this is no folder")
    polls.will("PollForTask", task("true"))
    runner.start()
    told = reports.wait_for("SetTaskStatus")
    assert told["taskStatus"] == "FAILED"
    assert "cannot begin" in told["errorMessage"]
    end(runner)


def test_logs_that_cannot_be_sent_do_not_fail_the_work(make: Make) -> None:
    runner, polls, reports = make()
    polls.will("PollForTask", task("true", pipelineLogUri="no-uri"))
    runner.start()
    assert reports.wait_for("SetTaskStatus")["taskStatus"] == "FINISHED"
    end(runner)


def test_the_runner_of_a_resource_ends_when_the_service_says_terminate(make: Make) -> None:
    runner, polls, reports = make("resource:df-1_@Machine_1")
    polls.will("PollForTask", {})
    reports.will("ReportTaskRunnerHeartbeat", {"terminate": True})
    runner.start()
    runner.join()
    assert reports.count("ReportTaskRunnerHeartbeat") == 1
