"""A task runner and its service: what it does when the service is away, refuses it, or cancels a task."""

from __future__ import annotations

import gc
import gzip
import logging
import os
import queue
import threading
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import pytest

from penstock.clock import SystemClock
from penstock.data.local_folder import LocalFolder
from penstock.definition.slots import Catalogue
from penstock.objects import load_catalogue
from penstock.objects.families import Resource
from penstock.objects.work import Work
from penstock.runner.commands import clean_environment
from penstock.runner.pace import Pace
from penstock.runner.place import Place
from penstock.runner.runner import Runner
from penstock.runner.task import Task
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
        self.on_call: dict[str, Callable[[], object]] = {}
        self._lock = threading.Lock()

    def will(self, operation: str, *answers: Any) -> None:
        self.prepared.setdefault(operation, []).extend(answers)

    def call(self, operation: str, *, _timeout: float | None = None, **parameters: Any) -> dict[str, Any]:
        with self._lock:
            self.calls.append((operation, parameters))
            prepared = self.prepared.get(operation)
            answer = prepared.pop(0) if prepared else None
        self.on_call.get(operation, lambda: None)()
        self.seen.put(operation)
        if answer is None:
            if operation == "PollForTask":
                self.closed.wait(20)
                raise AWAY
            taken = {"size": 10_000, "isMoreWanted": True, "isThere": False}
            answers = {"ReportTaskProgress": {"canceled": False}, "WriteLog": taken}
            answer = answers.get(operation, {"terminate": False})
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


class SlowStorage(LocalFolder):
    """A storage on which everything that is written waits for the test."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.asked, self.open_gate = threading.Event(), threading.Event()

    def create(self, uri: str) -> AbstractContextManager[BinaryIO]:
        self.asked.set()
        assert self.open_gate.wait(20)
        return super().create(uri)


class Machine(Resource):
    """A resource that is there until the test ends it; it notes the thread that hosts it."""

    threads: ClassVar[list[weakref.ref[threading.Thread]]] = []
    begun: ClassVar[threading.Event]
    over: ClassVar[threading.Event]

    def run(self, work: Work) -> None:
        self.threads.append(weakref.ref(threading.current_thread()))
        self.begun.set()
        assert self.over.wait(20)


@pytest.fixture
def machine() -> type[Machine]:
    Machine.threads.clear()
    Machine.begun, Machine.over = threading.Event(), threading.Event()
    return Machine


def task(command: str, **fields: str) -> dict[str, Any]:
    known = {"type": "ShellCommandActivity", "command": command, "@componentParent": "A", "@instanceParent": "@A_1"}
    entries = [{"key": key, "stringValue": value} for key, value in (known | fields).items()]
    objects = {"@A_1_Attempt=1": {"id": "@A_1_Attempt=1", "name": "A", "fields": entries}}
    return {"taskObject": {"taskId": "t", "pipelineId": "df-1", "attemptId": "@A_1_Attempt=1", "objects": objects}}


Make = Callable[..., tuple[Runner, Answers, Reports]]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def make_runner(
        group: str = "group", pace: Pace | None = None, storage: LocalFolder | None = None, logs: Any = None
    ) -> tuple[Runner, Answers, Reports]:
        polls, reports = Answers(), Reports()
        clients: list[Any] = [polls, reports]
        storage = storage or LocalFolder(tmp_path / "s3")
        place = Place("http://x", tmp_path, storage, clean_environment(), SystemClock(), hostname="here")
        catalogue = Catalogue(load_catalogue().types | {"Machine": Machine})
        runner = Runner(lambda: clients.pop(0), catalogue, place, [group], tasks=1, pace=pace, logs=logs)
        return runner, polls, reports

    return make_runner


def end(runner: Runner) -> None:
    runner.stop()
    runner.join()


def test_a_task_that_is_soon_over_is_run_and_ended(make: Make) -> None:
    runner, polls, reports = make()
    polls.will("PollForTask", task("true"))
    runner.start()
    assert reports.wait_for("SetTaskStatus") == {"taskId": "t", "taskStatus": "FINISHED"}
    assert reports.count("ReportTaskProgress") == 0  # its end is all that there is to say
    end(runner)


def test_a_task_that_goes_on_is_acknowledged(make: Make, tmp_path: Path) -> None:
    runner, polls, reports = make(pace=Pace(report=0.05))
    polls.will("PollForTask", task(f"until [ -e {tmp_path}/on ]; do sleep 0.05; done"))
    runner.start()
    reports.wait_for("ReportTaskProgress")
    (tmp_path / "on").touch()
    assert reports.wait_for("SetTaskStatus") == {"taskId": "t", "taskStatus": "FINISHED"}
    end(runner)


def test_a_task_that_may_not_be_silent_for_long_is_reported_on_more_often(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.runner.runner.FIRST_REPORT", 0.05)
    runner, polls, reports = make(pace=Pace(report=600))
    polls.will("PollForTask", task("exec sleep 600", reportProgressTimeout="1 second"))
    runner.start()
    for _ in range(3):
        reports.wait_for("ReportTaskProgress")
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
    text = (tmp_path / "logs/df-1/@A_1_Attempt=1/Activity.log").read_text()
    assert "Stopped: The service has canceled the attempt." in text


def test_the_logs_are_sent_while_the_task_runs(make: Make, tmp_path: Path) -> None:
    runner, polls, reports = make(pace=Pace(report=0.05))
    polls.will("PollForTask", task("echo begun; exec sleep 600", pipelineLogUri="s3://bucket/logs"))
    runner.start()
    sent: list[str] = []
    while sent != ["Activity.log.gz", "StdError.gz", "StdOutput.gz"]:
        reports.wait_for("ReportTaskProgress")
        found = runner.place.storage.list("s3://bucket/logs/df-1/A/@A_1/")
        sent = [entry.uri.rpartition("/")[2] for entry in found]
    assert reports.count("SetTaskStatus") == 0
    end(runner)


def test_reports_keep_their_pace_while_logs_are_sent(make: Make, tmp_path: Path) -> None:
    storage = SlowStorage(tmp_path / "s3")
    runner, polls, reports = make(pace=Pace(report=0.05), storage=storage)
    polls.will("PollForTask", task("exec sleep 600", pipelineLogUri="s3://bucket/logs"))
    runner.start()
    assert storage.asked.wait(20)
    for _ in range(5):
        reports.wait_for("ReportTaskProgress")
    assert not storage.open_gate.is_set()
    storage.open_gate.set()
    end(runner)


def test_the_end_of_a_task_is_told_after_its_whole_logs_are_there(make: Make, tmp_path: Path) -> None:
    storage = SlowStorage(tmp_path / "s3")
    runner, polls, reports = make(pace=Pace(report=0.05), storage=storage)
    os.mkfifo(tmp_path / "go")
    polls.will("PollForTask", task(f"cat {tmp_path / 'go'}", pipelineLogUri="s3://bucket/logs"))
    there: list[bytes] = []

    def read_logs() -> None:
        for name in ("StdOutput", "Activity.log"):
            with storage.open(f"s3://bucket/logs/df-1/A/@A_1/@A_1_Attempt=1/{name}.gz") as stream:
                there.append(gzip.decompress(stream.read()))

    reports.on_call["SetTaskStatus"] = read_logs
    runner.start()
    assert storage.asked.wait(20)  # the logs of the running task are being sent
    (tmp_path / "go").write_text("all of it")
    storage.open_gate.set()
    reports.wait_for("SetTaskStatus")
    end(runner)
    assert there[0] == b"all of it"
    assert there[1].endswith(b"Ended with FINISHED\n")


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


def test_a_task_whose_output_cannot_be_kept_is_told_to_have_failed(make: Make, tmp_path: Path) -> None:
    runner, polls, reports = make()
    (tmp_path / "logs").write_text("this is no folder")
    polls.will("PollForTask", task("echo something"))
    runner.start()
    told = reports.wait_for("SetTaskStatus")
    assert told["taskStatus"] == "FAILED"
    assert "The output of the command cannot be kept" in told["errorMessage"]
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


def test_a_runner_keeps_no_thread_of_a_resource_that_has_ended(make: Make, machine: type[Machine]) -> None:
    runner, polls, reports = make()
    machine.over.set()
    polls.will("PollForTask", task("", type="Machine"), task("", type="Machine"))
    runner.start()
    for _ in range(2):
        reports.wait_for("SetTaskStatus")
    end(runner)
    assert len(machine.threads) == 2
    threads = [reference() for reference in machine.threads]
    for thread in threads:
        if thread is not None:
            thread.join(20)
    del thread, threads
    gc.collect()
    assert [reference() for reference in machine.threads] == [None, None]


def test_a_runner_waits_for_a_resource_that_it_began_to_host_later(make: Make, machine: type[Machine]) -> None:
    runner, polls, reports = make()
    is_waiting, told = threading.Event(), threading.Event()
    polls.on_call["PollForTask"] = lambda: is_waiting.wait(20)
    polls.will("PollForTask", task("", type="Machine"), UNKNOWN_KEY)  # the second one ends the polls
    reports.on_call["SetTaskStatus"] = told.set
    runner.start()
    joined = threading.Thread(target=runner.join, args=(is_waiting.set,), daemon=True)
    joined.start()
    assert machine.begun.wait(20)
    assert polls.closed.wait(20)
    machine.over.set()
    joined.join(20)
    assert told.is_set()


def test_why_an_output_cannot_be_kept_is_told_without_secrets(
    make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    runner, polls, reports = make()
    (tmp_path / "logs").write_text("this is no folder")
    polls.will("PollForTask", task("echo something", **{"*maskedValues": "df-1"}))
    runner.start()
    told = reports.wait_for("SetTaskStatus")
    end(runner)
    assert "df-1" not in told["errorMessage"] + caplog.text
    assert "logs/*****" in told["errorMessage"]


def test_of_a_task_that_cannot_be_read_only_the_kind_of_error_is_told(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    runner, polls, reports = make()
    answer = task("true")
    answer["taskObject"]["objects"]["@A_1_Attempt=1"]["fields"] = [{"key": "command", "stringValue": "hunter2"}, {}]
    polls.will("PollForTask", answer)
    runner.start()
    told = reports.wait_for("SetTaskStatus")
    end(runner)
    assert told["errorMessage"] == "The task runner on here cannot begin: KeyError"
    assert "@A_1_Attempt=1" in caplog.text
    assert "hunter2" not in caplog.text


def test_an_error_outside_the_work_is_told_without_the_tasks_secrets(
    make: Make, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(self: Task, catalogue: Catalogue) -> dict[str, str]:
        raise RuntimeError("hunter2 does not fit")

    monkeypatch.setattr(Task, "run", run)
    runner, polls, reports = make()
    polls.will("PollForTask", task("true", **{"*maskedValues": "hunter2"}))
    runner.start()
    told = reports.wait_for("SetTaskStatus")
    end(runner)
    assert told["errorMessage"] == "***** does not fit"
    assert "***** does not fit" in caplog.text
    assert "hunter2" not in caplog.text


def test_what_keeps_logs_from_being_sent_and_the_reason_of_a_stop_are_told_without_secrets(
    make: Make, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.WARNING, "penstock")  # whatever another test has left
    runner, polls, reports = make(pace=Pace(report=0.05))
    fields = {"pipelineLogUri": "hunter2", "*maskedValues": "hunter2"}
    polls.will("PollForTask", task(f"touch {tmp_path / 'begun'}; exec sleep 600", **fields))
    runner.start()
    while not (tmp_path / "begun").exists():
        reports.wait_for("ReportTaskProgress")
    runner.stop("The key hunter2 is not known.")
    told = reports.wait_for("SetTaskStatus")
    runner.join()
    assert told["errorMessage"] == "The key ***** is not known."
    assert "The logs of @A_1_Attempt=1 stay in" in caplog.text
    assert "hunter2" not in caplog.text


def test_the_service_has_the_logs_before_it_hears_of_the_end(make: Make) -> None:
    logs = Reports()
    runner, polls, reports = make(logs=logs)
    polls.will("PollForTask", task("printf out; printf err >&2"))
    sent: list[Any] = []
    reports.on_call["SetTaskStatus"] = lambda: sent.extend(parameters for _, parameters in logs.calls)
    runner.start()
    reports.wait_for("SetTaskStatus")
    end(runner)
    assert [parameters["name"] for parameters in sent] == ["Activity.log", "StdOutput", "StdError"]
    assert [parameters["content"] for parameters in sent[1:]] == [b"out", b"err"]
    assert all(parameters["taskId"] == "t" for parameters in sent)


def test_the_logs_are_sent_to_the_service_while_the_task_runs(make: Make) -> None:
    logs = Reports()
    runner, polls, _ = make(pace=Pace(report=600, logs=0.02), logs=logs)
    polls.will("PollForTask", task("echo begun; exec sleep 600"))
    runner.start()
    logs.wait_for("WriteLog")
    assert logs.calls[0][1]["name"] == "Activity.log"
    end(runner)


@pytest.mark.parametrize("code", ["UnknownOperationException", "AccessDeniedException", "403"])
def test_a_service_that_does_not_take_logs_is_asked_once(make: Make, code: str) -> None:
    logs = Reports()
    logs.will("WriteLog", ServiceError(code, "There is no operation 'Penstock.WriteLog'."))
    runner, polls, reports = make(logs=logs)
    polls.will("PollForTask", task("echo one"), task("echo two"))
    runner.start()
    for _ in range(2):
        assert reports.wait_for("SetTaskStatus")["taskStatus"] == "FINISHED"
    end(runner)
    assert logs.count("WriteLog") == 1


@pytest.mark.parametrize("error", [AWAY, BROKEN, GONE, OSError("The disk is gone."), KeyError("size")])
def test_logs_that_the_service_does_not_get_do_not_fail_the_work(make: Make, error: Exception) -> None:
    logs = Reports()
    logs.will("WriteLog", *[error] * 9)
    runner, polls, reports = make(logs=logs)
    polls.will("PollForTask", task("true"))
    runner.start()
    assert reports.wait_for("SetTaskStatus")["taskStatus"] == "FINISHED"
    end(runner)


def test_logs_that_could_not_be_sent_while_the_service_was_away_are_sent_once_it_is_back(make: Make) -> None:
    logs = Reports()
    logs.will("WriteLog", AWAY)
    runner, polls, reports = make(logs=logs)
    polls.will("PollForTask", task("printf out"))
    reports.will("SetTaskStatus", AWAY, {})
    runner.start()
    while b"out" not in [parameters["content"] for _, parameters in logs.calls]:
        logs.wait_for("WriteLog")
    assert reports.count("SetTaskStatus") == 2
    end(runner)
