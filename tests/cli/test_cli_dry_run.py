"""`penstock run --dry-run` and `--only`: what would run, and a part of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from penstock_command import Shell

EXAMPLES = Path(__file__).parents[2] / "examples"
DEFAULT = {"id": "Default", "scheduleType": "cron", "schedule": {"ref": "Daily"}, "workerGroup": "here"}
DAILY = {
    "id": "Daily",
    "type": "Schedule",
    "period": "1 day",
    "startDateTime": "2025-01-01T00:00:00",
    "occurrences": "2",
}


def written(shell: Shell, *objects: dict[str, Any], **more: Any) -> Path:
    path = shell.folder / "pipeline.json"
    path.write_text(json.dumps({"objects": [DEFAULT, DAILY, *objects], **more}))
    return path


def test_every_expression_is_evaluated_interval_by_interval_and_nothing_runs(shell: Shell) -> None:
    path = written(
        shell,
        {
            "id": "Work",
            "type": "ShellCommandActivity",
            "command": "touch #{format(@scheduledStartTime, 'dd')}.#{myEnd} #{@actualStartTime}",
            "input": {"ref": "Data"},
        },
        {"id": "Data", "type": "S3DataNode", "filePath": "s3://b/#{myEnd}", "precondition": {"ref": "There"}},
        {"id": "There", "type": "S3KeyExists", "s3Key": "#{node.filePath}.done"},
        parameters=[{"id": "myEnd", "type": "String", "default": "csv"}],
    )
    run = shell.run("run", path, "--dry-run", "--json", "--data-dir", shell.data)
    assert run.status == 0, run.err
    found = [(i["id"], i["fields"]) for i in run.json()["instances"]]
    assert found[:3] == [
        ("@There_2025-01-01T00:00:00", {"s3Key": ["s3://b/csv.done"]}),
        ("@Data_2025-01-01T00:00:00", {"filePath": ["s3://b/csv"], "precondition": ["There"]}),
        (
            "@Work_2025-01-01T00:00:00",
            {
                "command": ["touch #{format(@scheduledStartTime, 'dd')}.#{myEnd} #{@actualStartTime}"],
                "input": ["@Data_2025-01-01T00:00:00"],
            },
        ),
    ]
    assert len(found) == 6
    assert "6 instances would run now; nothing was executed." in run.err
    assert not shell.data.exists()


def test_the_text_form_names_interval_type_and_fields(shell: Shell) -> None:
    path = written(shell, {"id": "Work", "type": "ShellCommandActivity", "command": "echo\n#{@scheduledStartTime}"})
    run = shell.run("run", path, "--dry-run")
    assert run.out == (
        "2025-01-01T00:00:00\n"
        "  Work (ShellCommandActivity) until 2025-01-02T00:00:00, due 2025-01-01T00:00:00\n"
        "      command: echo\n"
        "          2025-01-01T00:00:00\n"
        "2025-01-02T00:00:00\n"
        "  Work (ShellCommandActivity) until 2025-01-03T00:00:00, due 2025-01-02T00:00:00\n"
        "      command: echo\n"
        "          2025-01-02T00:00:00\n"
    )


def test_secrets_are_not_printed(shell: Shell) -> None:
    base = {
        "id": "Base",
        "type": "JdbcDatabase",
        "connectionString": "jdbc:sqlite:x",
        "jdbcDriverClass": "x",
        "username": "u",
        "*password": "hunter2",
    }
    work = {
        "id": "Work",
        "type": "SqlActivity",
        "database": {"ref": "Base"},
        "script": "select '#{*myToken}'",
        "*myOwn": "hunter2",
    }
    path = written(shell, base, work, parameters=[{"id": "*myToken", "default": "hunter2"}])
    for arguments in ([], ["--json"]):
        run = shell.run("run", path, "--dry-run", *arguments)
        assert "hunter2" not in run.out + run.err
        assert "#{*myToken}" in run.out


def test_all_of_the_flights_would_run(shell: Shell) -> None:
    run = shell.run("run", EXAMPLES / "flights/pipeline.json", "--dry-run", "--json", "--data-dir", shell.data)
    instances = run.json()["instances"]
    assert len(instances) == 258
    assert not [i for i in instances if "#{" in json.dumps(i["fields"]) and "*my" not in json.dumps(i["fields"])]


def test_one_activity_of_one_interval_runs_alone(shell: Shell) -> None:
    path = written(
        shell,
        {"id": "First", "type": "ShellCommandActivity", "command": "false"},
        {
            "id": "Second",
            "type": "ShellCommandActivity",
            "command": "true",
            "dependsOn": {"ref": "First"},
        },
    )
    run = shell.run("run", path, "--only", "Second@2025-01-02T00:00:00", "--json", "--data-dir", shell.data)
    assert run.status == 0, run.err
    assert [i["id"] for i in run.json()["instances"]] == ["@Second_2025-01-02T00:00:00"]


@pytest.mark.parametrize(
    ("only", "text"),
    [
        ("Secnd", "'Secnd' is no activity. Did you mean 'Second'?"),
        ("Daily", "'Daily' is no activity. Activities are Second."),
        (
            "Second@2025-01-02T05:00:00",
            "no interval that starts at 2025-01-02T05:00:00. One starts at 2025-01-02T00:00:00.",
        ),
        (
            "Second@2029-01-02T00:00:00",
            "no interval that starts at 2029-01-02T00:00:00. One starts at 2025-01-02T00:00:00.",
        ),
        ("Second@noon", "The start 'noon' is wrong: a date-time is written yyyy-MM-ddTHH:mm:ss, in UTC."),
    ],
)
def test_what_cannot_run_alone_is_refused(shell: Shell, only: str, text: str) -> None:
    path = written(shell, {"id": "Second", "type": "ShellCommandActivity", "command": "true"})
    run = shell.run("run", path, "--only", only, "--data-dir", shell.data)
    assert run.status == 2
    assert text in run.err
    assert not shell.data.exists()
