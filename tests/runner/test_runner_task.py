"""One task: what its command sees, and what is reported of its end."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.clock import SystemClock
from penstock.data.local_folder import LocalFolder
from penstock.definition.slots import Catalogue
from penstock.objects import load_catalogue
from penstock.objects.work import WorkStopped
from penstock.runner.commands import clean_environment
from penstock.runner.place import NoStorage, Place, is_local
from penstock.runner.task import Held, Task, failure
from penstock.wire.limits import problems
from penstock.wire.model import load_botocore_model

ATTEMPT = "@A_2013-01-01T00:00:00_Attempt=1"


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    storage = LocalFolder(tmp_path / "s3")
    return Place("http://127.0.0.1:1", tmp_path, storage, clean_environment(), SystemClock(), hostname="here")


def task_of(place: Place, attempt: str = ATTEMPT, component: str = "A", **fields: str) -> Task:
    known = {"type": "ShellCommandActivity", "@componentParent": component, "@instanceParent": f"@{component}_1"}
    entries = [{"key": key, "stringValue": value} for key, value in (known | fields).items()]
    objects = {attempt: {"id": attempt, "name": attempt, "fields": entries}}
    return Task.read({"taskId": "t", "pipelineId": "df-1", "attemptId": attempt, "objects": objects}, place)


@pytest.fixture
def run(place: Place, catalogue: Catalogue) -> Callable[..., tuple[Task, dict[str, str]]]:
    def run_command(command: str, **fields: str) -> tuple[Task, dict[str, str]]:
        task = task_of(place, command=command, **fields)
        return task, task.run(catalogue)

    return run_command


def refusals(shape: str, value: dict[str, Any]) -> list[str]:
    model = load_botocore_model("datapipeline")
    return problems(model, model.shapes[shape], {"taskId": "t", **value})


Run = Callable[..., tuple[Task, dict[str, str]]]


@pytest.mark.parametrize(("fields", "seconds"), [({}, math.inf), ({"reportProgressTimeout": "6 seconds"}, 2.0)])
def test_three_reports_fit_into_the_time_that_a_task_may_be_silent(
    place: Place, fields: dict[str, str], seconds: float
) -> None:
    assert task_of(place, **fields).report_within == seconds


def test_a_command_that_ends_with_0_is_finished(run: Run) -> None:
    task, outcome = run("echo done")
    assert outcome == {"taskStatus": "FINISHED"}
    assert task.logs.stdout.read_text() == "done\n"


def test_a_command_that_fails_tells_its_status_and_the_end_of_its_error_output(run: Run) -> None:
    _, outcome = run("echo no such table >&2; exit 3")
    assert outcome == {
        "taskStatus": "FAILED",
        "errorId": "ActivityFailed",
        "errorMessage": "The command ended with exit status 3.",
        "errorStackTrace": "no such table",
    }


def test_secrets_are_masked_in_everything_that_is_told_and_kept(run: Run) -> None:
    command = "echo hunter2; echo hunter2 >&2; exit 1"
    task, outcome = run(command, **{"*maskedValues": "hunter2"})
    task.report({"hunter2": "hunter2"})
    told = repr(outcome) + repr(task.fields)
    kept = "".join(path.read_text() for path in task.logs.folder.iterdir())
    assert "hunter2" not in told + kept
    assert "*****" in outcome["errorStackTrace"]
    assert task.fields == {"*****": "*****"}


def test_a_secret_in_an_errors_text_is_masked(run: Run) -> None:
    task, outcome = run("true", stdout="/proc/hunter2/x", **{"*maskedValues": "hunter2"})
    assert outcome["taskStatus"] == "FAILED"
    assert "hunter2" not in repr(outcome) + (task.logs.folder / "Activity.log").read_text()


@pytest.mark.parametrize(
    "command",
    [
        "head -c 300000 /dev/zero | tr '\\0' x >&2; exit 1",
        "head -c 3000 /dev/urandom >&2; exit 1",
        r"printf '\001\033[31mred\000\377' >&2; exit 1",
        r"printf '%s' '😀😀😀' >&2; for i in $(seq 500); do printf '😀' >&2; done; exit 1",
    ],
    ids=["huge", "random", "control characters", "outside the basic plane"],
)
def test_whatever_a_command_prints_its_end_can_be_reported(run: Run, command: str) -> None:
    _, outcome = run(command)
    assert outcome["taskStatus"] == "FAILED"
    assert refusals("SetTaskStatusInput", outcome) == []


def test_a_huge_error_keeps_the_beginning_of_its_message_and_the_end_of_its_trace() -> None:
    told = failure("x" * 5000, "begins" + "m" * 50_000, "t" * 50_000 + "ends")
    assert refusals("SetTaskStatusInput", told) == []
    assert told["errorMessage"].startswith("begins")
    assert told["errorStackTrace"].endswith("ends")


def test_huge_and_odd_fields_stay_within_the_limits_of_the_service(place: Place) -> None:
    task = task_of(place, command="true")
    task.report({"k" * 300: "v" * 20_000, "odd": "a\0b\x1b"})
    fields = [{"key": key, "stringValue": value} for key, value in task.fields.items()]
    assert refusals("ReportTaskProgressInput", {"fields": fields}) == []


def test_commands_see_no_keys_and_no_settings_of_penstock(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    monkeypatch.setenv("PENSTOCK_MASTER_KEY", "s")
    task, _ = run("env")
    assert "AWS_" not in task.logs.stdout.read_text()
    assert "PENSTOCK_" not in task.logs.stdout.read_text()


def test_the_work_folder_is_removed_whatever_happens(run: Run, place: Place) -> None:
    task, _ = run("pwd; mkdir -p a/b; touch a/b/c; exit 1")
    folder = Path(task.logs.stdout.read_text().strip())
    assert folder.parent == place.data_dir / "work"
    assert not folder.exists() or list(folder.iterdir()) == []


@pytest.mark.parametrize("identity", ["../../x", "a/b/c", "ü😀", "x" * 300])
def test_ids_with_odd_characters_stay_in_the_log_folder(
    place: Place, catalogue: Catalogue, identity: str, tmp_path: Path
) -> None:
    attempt = f"@{identity}_2013-01-01T00:00:00_Attempt=1"
    fields = {"pipelineLogUri": "s3://bucket/logs", "command": "echo here"}
    task = task_of(place, attempt, identity, **fields)
    assert task.run(catalogue) == {"taskStatus": "FINISHED"}
    task.logs.send()
    assert task.logs.folder.resolve().parents[1] == (tmp_path / "logs").resolve()
    sent = [entry.uri for entry in place.storage.list("s3://bucket/")]
    assert len(sent) == 3
    assert all(uri.startswith("s3://bucket/logs/df-1/") and uri.count("/") == 8 for uri in sent)
    assert {entry.name for entry in tmp_path.iterdir()} <= {"logs", "s3", "work"}


def test_stopping_a_task_ends_its_command_and_says_why(place: Place, catalogue: Catalogue, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "signpost")
    task = task_of(place, command=f"echo $$ > {tmp_path / 'signpost'}; exec sleep 600")

    def stop() -> None:
        (tmp_path / "signpost").read_text()
        task.stop.set("The service has canceled the attempt.")

    thread = threading.Thread(target=stop)
    thread.start()
    with pytest.raises(WorkStopped):
        task.run(catalogue)
    thread.join()
    assert "Stopped: The service has canceled the attempt." in (task.logs.folder / "Activity.log").read_text()


def test_a_program_error_is_reported_with_its_trace(place: Place, catalogue: Catalogue) -> None:
    task = task_of(place, type="NoSuchType")
    outcome = task.run(catalogue)
    assert outcome["taskStatus"] == "FAILED"
    assert "NoSuchType" in outcome["errorMessage"]


def test_on_another_machine_embedded_storage_is_refused_and_the_missing_option_named(
    place: Place, catalogue: Catalogue
) -> None:
    elsewhere = Place("http://penstock.example:4780", place.data_dir, NoStorage(), clean_environment(), SystemClock())
    outcome = task_of(elsewhere, scriptUri="s3://bucket/script.sh").run(catalogue)
    assert outcome["taskStatus"] == "FAILED"
    for word in ("s3://bucket/script.sh", "--data-dir", "is on the server's machine"):
        assert word in outcome["errorMessage"]


def test_only_loopback_addresses_are_this_machine() -> None:
    assert is_local("http://127.0.0.1:4780")
    assert is_local("http://localhost:4780")
    assert is_local("http://[::1]:4780")
    assert not is_local("https://penstock.example")


def test_a_signal_that_comes_while_the_held_tasks_change_can_still_list_them(place: Place) -> None:
    held = Held()
    listed: list[list[Task]] = []

    class Interrupted(str):
        """A task's id, while whose use a signal comes, whose handler lists the tasks in the same thread."""

        def __hash__(self) -> int:
            listed.append(held.all())
            return super().__hash__()

    task = task_of(place, command="true")
    task.task_id = Interrupted("t")
    thread = threading.Thread(target=lambda: (held.add(task), held.remove(task)), daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
    assert listed[0] == []
    assert held.all() == []
