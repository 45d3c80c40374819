"""`penstock run`: what it prints, where, and with which exit status."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from penstock_command import PENSTOCK, Running, Shell

from processes import ended

EXAMPLES = Path(__file__).parents[2] / "examples"
DEMANDED = {"id": "Default", "scheduleType": "ondemand", "failureAndRerunMode": "cascade", "workerGroup": "here"}
KEYS = (
    "id",
    "@componentParent",
    "type",
    "@status",
    "@scheduledStartTime",
    "@scheduledEndTime",
    "@actualStartTime",
    "@actualEndTime",
)


def definition(*objects: dict[str, Any], **default: Any) -> dict[str, Any]:
    return {"objects": [DEMANDED | default, *objects]}


def shell_activity(command: str, identity: str = "Work", **fields: Any) -> dict[str, Any]:
    return {"id": identity, "type": "ShellCommandActivity", "command": command, **fields}


def scheduled(start: datetime, period: str, *objects: dict[str, Any], **schedule: Any) -> dict[str, Any]:
    times = {"id": "Times", "type": "Schedule", "period": period, "startDateTime": f"{start:%Y-%m-%dT%H:%M:%S}"}
    return definition(times | schedule, *objects, scheduleType="cron", schedule={"ref": "Times"})


def test_hello_ends_with_0_and_a_table_on_standard_output_only(shell: Shell) -> None:
    run = shell.run("run", EXAMPLES / "hello/pipeline.json", "--data-dir", shell.data)
    assert run.status == 0
    lines = run.out.splitlines()
    assert lines[0].split() == ["component", "scheduled", "start", "status", "ended", "attempts"]
    assert len(lines) == 2 + 7
    assert all("FINISHED" in line for line in lines[2:])
    assert "7 instances, 7 FINISHED" in run.err
    assert "\x1b" not in run.out + run.err
    framed = list((shell.data / "s3/penstock-hello").glob("*/framed/framed.txt"))
    assert [path.read_text() for path in framed] == ["*** HELLO, PENSTOCK! ***\n"]


def test_hello_that_fails_on_purpose_ends_with_1_and_one_json_object(shell: Shell) -> None:
    arguments = ("--data-dir", shell.data, "--parameter", "myFail=yes", "--json")
    run = shell.run("run", EXAMPLES / "hello/pipeline.json", *arguments)
    assert run.status == 1
    document = run.json()
    assert document["pipelineId"].startswith("df-")
    assert all(set(KEYS) <= set(instance) for instance in document["instances"])
    found = {instance["@componentParent"]: instance for instance in document["instances"]}
    assert {name: entry["@status"] for name, entry in found.items()} == {
        "Machine": "FINISHED",
        "Greet": "FINISHED",
        "Greeting": "FINISHED",
        "Shout": "FAILED",
        "Loud": "CASCADE_FAILED",
        "Frame": "CASCADE_FAILED",
        "Framed": "CASCADE_FAILED",
    }
    assert found["Shout"]["errorMessage"] == "The command ended with exit status 3."
    assert found["Shout"]["type"] == "ShellCommandActivity"
    assert found["Greet"]["@actualEndTime"] >= found["Greet"]["@actualStartTime"]


def test_a_failure_is_printed_with_its_reason_the_tail_of_its_log_and_where_the_log_is(shell: Shell) -> None:
    command = "echo looking; echo 'no such table: sales' >&2; exit 4"
    path = shell.write(definition(shell_activity(command, maximumRetries="0")))
    run = shell.run("run", path, "--data-dir", "data")
    assert run.status == 1
    lines = run.err.splitlines()
    at = next(number for number, line in enumerate(lines) if "_Attempt=1 FAILED" in line)
    assert lines[at].endswith("FAILED: The command ended with exit status 4.")
    assert lines[at + 1] == "    no such table: sales"
    folder = lines[at + 2].partition("log: ")[2]
    assert (shell.folder / folder / "StdOutput").read_text() == "looking\n"


def test_a_failure_is_printed_while_others_still_run(shell: Shell) -> None:
    os.mkfifo(shell.folder / "gate")
    slow = shell_activity(f"cat {shell.folder / 'gate'}", "Slow")
    running = shell.start("run", shell.write(definition(slow, shell_activity("exit 9", maximumRetries="0"))))
    running.wait_for("exit status 9")
    (shell.folder / "gate").write_text("go")
    assert running.end().status == 1


def test_a_failed_attempt_is_tried_again_without_delay_if_retryDelay_is_unset(shell: Shell) -> None:
    counting = f'echo x >> {shell.folder}/tries; [ "$(wc -l < {shell.folder}/tries)" -eq 3 ]'
    run = shell.run("run", shell.write(definition(shell_activity(counting))), "--json")
    assert run.status == 0
    assert [i["@attemptCount"] for i in run.json()["instances"]] == ["3"]
    assert "_Attempt=1 FAILED" in run.err
    assert "_Attempt=2 FAILED" in run.err


def test_every_worker_group_of_the_definition_is_served(shell: Shell) -> None:
    objects = [shell_activity("true", f"In{name}", workerGroup=name) for name in ("one", "two", "#{myGroup}")]
    document = definition(*objects) | {"parameters": [{"id": "myGroup", "type": "String", "default": "three"}]}
    assert shell.run("run", shell.write(document)).status == 0


def test_what_the_command_line_says_of_parameters_wins(shell: Shell) -> None:
    document = definition(shell_activity("echo '#{myName}' && echo '#{myOther}'"))
    document["parameters"] = [{"id": name, "type": "String"} for name in ("myName", "myOther")]
    document["values"] = {"myName": "Ann", "myOther": "Ben"}
    values = shell.write({"values": {"myName": "Cid", "myOther": "Dan"}}, "values.json")
    run = shell.run("run", shell.write(document), "--parameter-values", values, "--parameter", "myName=Eva")
    assert run.status == 0
    assert [path.read_text() for path in shell.folder.glob(".penstock/logs/*/@Work_*/StdOutput")] == ["Eva\nDan\n"]


def test_all_problems_are_printed_and_nothing_is_created(shell: Shell) -> None:
    objects = [
        shell_activity("true", comand="x"),
        {"id": "B", "type": "CopyActivty"},
        {"id": "C", "type": "S3DataNode"},
    ]
    objects[2]["schedule"] = {"ref": "Nowhere"}
    run = shell.run("run", shell.write(definition(*objects)))
    assert run.status == 2
    assert run.out == ""
    for text in ("Work.comand", "CopyActivty", "Nowhere", "nothing was created"):
        assert text in run.err
    assert [path.name for path in shell.folder.iterdir()] == ["pipeline.json"]


def test_with_json_the_problems_are_the_one_json_object(shell: Shell) -> None:
    run = shell.run("run", shell.write(definition({"id": "B", "type": "CopyActivty"})), "--json")
    assert run.status == 2
    assert [problem["id"] for problem in run.json()["problems"]] == ["B"]


@pytest.mark.parametrize("text", [b"", b"{", b"\xff\xfe", b"[]", b"{} x"])
def test_a_file_that_is_no_definition_creates_nothing(shell: Shell, text: bytes) -> None:
    (shell.folder / "pipeline.json").write_bytes(text)
    assert shell.run("run", "pipeline.json").status == 2
    assert [path.name for path in shell.folder.iterdir()] == ["pipeline.json"]


def test_a_file_that_is_not_there_is_named(shell: Shell) -> None:
    run = shell.run("run", "nowhere.json")
    assert run.status == 2
    assert "nowhere.json" in run.err
    assert list(shell.folder.iterdir()) == []


@pytest.mark.parametrize("option", [("--wait", "soon"), ("--until", "-1s"), ("--parameter", "x")])
def test_a_wrong_option_is_named(shell: Shell, option: tuple[str, str]) -> None:
    run = shell.run("run", shell.write(definition(shell_activity("true"))), *option)
    assert run.status == 2
    assert option[1] in run.err


def test_a_precondition_that_does_not_hold_is_named_and_ends_the_run_with_1(shell: Shell) -> None:
    there = {"id": "IsThere", "type": "S3KeyExists", "s3Key": "s3://bucket/late.csv", "role": "r"}
    work = shell_activity("true", precondition={"ref": "IsThere"})
    run = shell.run("run", shell.write(definition(there, work)), "--wait", "0s", "--json")
    assert run.status == 1
    line = next(line for line in run.err.splitlines() if "does not hold" in line)
    assert "@IsThere_" in line
    assert "S3KeyExists" in line
    assert "s3://bucket/late.csv" in line
    assert "--wait" in run.err
    assert {i["@status"] for i in run.json()["instances"]} == {"CANCELED"}


def test_the_path_that_a_precondition_misses_is_named(shell: Shell) -> None:
    data = {"id": "Data", "type": "S3DataNode", "filePath": "s3://bucket/late.csv", "precondition": {"ref": "IsThere"}}
    objects = [data, {"id": "IsThere", "type": "Exists"}, shell_activity("true", input={"ref": "Data"})]
    run = shell.run("run", shell.write(definition(*objects)), "--wait", "0")
    assert run.status == 1
    line = next(line for line in run.err.splitlines() if "does not hold" in line)
    assert "Exists of @Data_" in line
    assert line.endswith("s3://bucket/late.csv")


@pytest.mark.by_hand
def test_a_slow_precondition_that_never_holds_does_not_make_the_wait_longer(shell: Shell) -> None:
    asks = {"id": "Asks", "type": "ShellCommandPrecondition", "command": "sleep 0.3; exit 1"}
    work = shell_activity("true", precondition={"ref": "Asks"})
    config = shell.folder / "penstock.toml"
    config.write_text("[engine]\nprecondition_interval = 0.1\n")
    started = time.monotonic()
    run = shell.run("run", shell.write(definition(asks, work)), "--wait", "1s", "--config", config)
    assert run.status == 1
    assert "waiting up to 1 s" in run.err
    assert time.monotonic() - started < 8


def test_a_precondition_that_holds_within_the_wait_lets_the_run_finish(shell: Shell) -> None:
    there = {"id": "IsThere", "type": "S3KeyExists", "s3Key": "s3://bucket/late.csv", "role": "r"}
    work = shell_activity("true", precondition={"ref": "IsThere"})
    config = shell.folder / "penstock.toml"
    config.write_text("[engine]\nprecondition_interval = 0.2\n")
    arguments = ("--data-dir", shell.data, "--wait", "1m", "--config", config)
    running = shell.start("run", shell.write(definition(there, work)), *arguments)
    running.wait_for("waiting up to 60 s")
    (shell.data / "s3/bucket").mkdir(parents=True)
    (shell.data / "s3/bucket/late.csv").write_text("")
    assert running.end().status == 0


def test_the_size_of_a_backfill_is_said_before_it_starts(shell: Shell) -> None:
    document = scheduled(datetime(2020, 1, 1), "1 day", shell_activity("true"), occurrences="3")
    run = shell.run("run", shell.write(document))
    assert run.status == 0
    assert "Backfill: due by now are 3 instances of 1 component," in run.err.splitlines()[1]


def test_of_a_schedule_into_the_future_what_is_due_is_done_and_the_next_time_said(shell: Shell) -> None:
    start = datetime.now(UTC) - timedelta(hours=25)
    document = scheduled(start, "1 day", shell_activity("true"))
    run = shell.run("run", shell.write(document), "--json")
    assert run.status == 0
    assert [i["@status"] for i in run.json()["instances"]] == ["FINISHED", "FINISHED"]
    assert f"More is due at {start + timedelta(days=2):%Y-%m-%dT%H:%M:%S}" in run.err
    assert "--until" in run.err


def test_until_goes_on_with_what_becomes_due(shell: Shell) -> None:
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=15) + timedelta(seconds=2)
    document = scheduled(start, "15 minutes", shell_activity("true"))
    run = shell.run("run", shell.write(document), "--until", "2s", "--json")
    assert run.status == 0
    assert [i["@status"] for i in run.json()["instances"]] == ["FINISHED", "FINISHED"]


def test_a_resource_that_is_kept_for_the_future_ends_with_the_run_and_is_no_failure(shell: Shell) -> None:
    start = datetime.now(UTC) - timedelta(hours=25)
    weeks = {"id": "Weeks", "type": "Schedule", "period": "1 week", "startDateTime": f"{start:%Y-%m-%dT%H:%M:%S}"}
    machine = {"id": "Machine", "type": "Ec2Resource", "schedule": {"ref": "Weeks"}}
    activity = shell_activity("true", runsOn={"ref": "Machine"})
    document = scheduled(start, "1 day", weeks, machine, activity)
    del document["objects"][0]["workerGroup"]
    run = shell.run("run", shell.write(document), "--json")
    assert "More is due at" in run.err
    assert [i["@status"] for i in run.json()["instances"] if i["@componentParent"] == "Work"] == ["FINISHED"] * 2
    assert run.status == 0
    assert "left undone" not in run.err


def interrupted(shell: Shell, command: str, *objects: dict[str, Any], **fields: Any) -> tuple[Running, list[int]]:
    """Start a run whose command writes its process ids into a named pipe; gives the run and the ids."""
    os.mkfifo(shell.folder / "signpost")
    work = shell_activity(command.replace("PIDS", f"{shell.folder / 'signpost'}"), **fields)
    after = shell_activity("true", "After", dependsOn={"ref": "Work"})
    running = shell.start("run", shell.write(definition(work, after, *objects)), "--data-dir", shell.data)
    return running, [int(pid) for pid in (shell.folder / "signpost").read_text().split()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_run_with_its_commands_and_says_what_is_left(shell: Shell, number: signal.Signals) -> None:
    running, pids = interrupted(shell, "sleep 600 & echo $$ $! > PIDS; wait")
    running.send(number)
    run = running.end()
    assert run.status == 128 + number
    assert len(pids) == 2
    assert all(ended(pid) for pid in pids)
    assert "left undone: 2 instances" in run.err
    assert "@Work_" in run.err
    assert "@After_" in run.err
    assert "Traceback" not in run.err


def test_a_signal_ends_the_task_runner_of_a_resource_with_its_commands(shell: Shell) -> None:
    machine = {"id": "Machine", "type": "Ec2Resource"}
    command = "sleep 600 & echo $$ $! $PPID > PIDS; wait"
    running, pids = interrupted(shell, command, machine, runsOn={"ref": "Machine"})
    running.send(signal.SIGINT)
    assert running.end().status == 130
    assert len(pids) == 3
    assert all(ended(pid) for pid in pids)


def test_the_task_runner_of_a_resource_ends_with_a_run_that_was_killed(shell: Shell) -> None:
    machine = {"id": "Machine", "type": "Ec2Resource"}
    running, pids = interrupted(shell, "echo $$ $PPID > PIDS; exec sleep 600", machine, runsOn={"ref": "Machine"})
    running.send(signal.SIGKILL)
    assert running.end().status == -signal.SIGKILL
    assert all(ended(pid) for pid in pids)


def test_a_second_signal_ends_a_stubborn_command_at_once(shell: Shell) -> None:
    running, pids = interrupted(shell, "trap '' TERM INT; echo $$ > PIDS; while :; do sleep 600; done")
    running.send(signal.SIGINT)
    running.wait_for("left undone")
    started = time.monotonic()
    while running.process.poll() is None:
        running.send(signal.SIGINT)  # one that comes right after another counts as the same
        with contextlib.suppress(subprocess.TimeoutExpired):
            running.process.wait(0.1)
    assert running.end().status == 130
    assert time.monotonic() - started < 5
    assert all(ended(pid) for pid in pids)


def on_terminal(shell: Shell, *arguments: object) -> tuple[int, str, str]:
    """Run a command whose standard error is a terminal; gives its status and both outputs."""
    ours, theirs = pty.openpty()
    environment = shell.environment | {"TERM": "xterm-256color"}
    command = [str(PENSTOCK), *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, cwd=shell.folder, env=environment)
    os.close(theirs)
    parts: list[bytes] = []

    def collect() -> None:
        try:
            while part := os.read(ours, 65536):
                parts.append(part)
        except OSError:  # the terminal's other side was closed
            pass

    thread = threading.Thread(target=collect)
    thread.start()
    out, _ = process.communicate(timeout=60)
    thread.join()
    os.close(ours)
    return process.returncode, out.decode(), b"".join(parts).decode()


def test_on_a_terminal_a_bar_shows_the_progress_and_standard_output_stays_plain(shell: Shell) -> None:
    path = shell.write(definition(shell_activity("true")))
    status, out, terminal = on_terminal(shell, "run", path, "--json")
    assert status == 0
    assert "\x1b[" in terminal
    assert "━" in terminal
    assert len(json.loads(out)["instances"]) == 1


def test_a_broken_setting_is_named_and_creates_nothing(shell: Shell) -> None:
    (shell.folder / "penstock.toml").write_text("[engine]\nretry_dely = 3\n")
    run = shell.run("run", shell.write(definition(shell_activity("true"))), "--config", "penstock.toml")
    assert run.status == 1
    assert "engine.retry_dely" in run.err
    assert "retry_delay" in run.err
    assert not (shell.folder / ".penstock").exists()


def test_secrets_are_shown_neither_in_json_nor_in_progress_nor_in_logs(shell: Shell) -> None:
    command = "echo '#{*myToken}'; echo '#{*myToken}' >&2; exit 1"
    document = definition(shell_activity(command, maximumRetries="0"))
    document["parameters"] = [{"id": "*myToken", "type": "String"}]
    run = shell.run("run", shell.write(document), "--json", "--parameter", "*myToken=hunter2-#-hunter2")
    assert run.status == 1
    assert "hunter2" not in run.out + run.err
    assert "*****" in run.err
    kept = [path for path in (shell.folder / ".penstock").rglob("*") if path.is_file()]
    assert kept
    assert not [path for path in kept if b"hunter2" in path.read_bytes()]


def test_a_value_that_nothing_asks_for_is_refused(shell: Shell) -> None:
    run = shell.run("run", EXAMPLES / "hello/pipeline.json", "--parameter", "myNmae=Ada", "--data-dir", shell.data)
    assert run.status == 2
    assert "error: myNmae.values: There is no parameter 'myNmae'. Did you mean 'myName'?" in run.err
    assert not shell.data.exists()


def test_warnings_that_matter_here_are_printed_and_advice_for_aws_is_not(shell: Shell) -> None:
    path = shell.write(
        definition(
            shell_activity("true", input={"ref": "Data"}),
            {"id": "Data", "type": "S3DataNode", "filePath": "/tmp/x"},
            failureAndRerunMode="none",
        )
    )
    run = shell.run("run", path, "--data-dir", shell.data)
    assert "warning: Data.filePath: 'filePath' will not work: '/tmp/x' is not the URI of an S3 object." in run.err
    assert "recommended" not in run.err


def test_a_database_in_the_settings_that_the_definition_does_not_name_is_pointed_out(shell: Shell) -> None:
    (shell.folder / "p.toml").write_text('[databases."jdbc:sqlite:flihgts.db"]\nurl = "jdbc:sqlite:x"\n')
    run = shell.run("run", EXAMPLES / "flights/pipeline.json", "--only", "CreateTables", "--config", "p.toml")
    assert (
        "warning: The settings map the database 'jdbc:sqlite:flihgts.db', which the definition does not name."
        " Did you mean 'jdbc:sqlite:flights.db'?" in run.err
    )


def test_a_mistake_of_the_users_is_told_without_a_stack_trace(shell: Shell) -> None:
    base = {
        "id": "Base",
        "type": "JdbcDatabase",
        "connectionString": "jdbc:sqlite:x",
        "jdbcDriverClass": "x",
        "username": "u",
        "*password": "a password",
    }
    work = {
        "id": "Work",
        "type": "SqlActivity",
        "database": {"ref": "Base"},
        "script": "selec 1",
        "maximumRetries": "0",
    }
    run = shell.run("run", shell.write(definition(base, work)), "--data-dir", shell.data)
    assert run.status == 1
    assert "selec" in run.err
    assert "Traceback" not in run.err + "".join(p.read_text() for p in (shell.data / "logs").rglob("Activity.log"))
