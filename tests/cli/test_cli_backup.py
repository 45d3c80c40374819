"""`penstock backup`, `restore` and `keys rotate-master`, with a server that runs; and how it writes its log."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from zipfile import ZipFile

import pytest
from penstock_command import Server, Shell

from penstock.definition.api_form import definition_to_api
from penstock.definition.file_form import definition_of

Start = Callable[..., Server]
SECRET = "geheim-7367"
DEFINITION = definition_of(
    {
        "objects": [
            {"id": "Default", "scheduleType": "ondemand", "failureAndRerunMode": "cascade"},
            {
                "id": "First",
                "type": "ShellCommandActivity",
                "command": "echo #{*myToken}",
                "workerGroup": "there",
            },
            {
                "id": "Second",
                "type": "ShellCommandActivity",
                "command": "true",
                "workerGroup": "there",
                "dependsOn": {"ref": "First"},
            },
        ],
        "parameters": [{"id": "*myToken", "type": "String"}],
        "values": {"*myToken": SECRET},
    }
)


def begin(server: Server) -> str:
    """A pipeline of which one task is done and the next one waits."""
    client = server.client()
    pipeline_id: str = client.create_pipeline(name="p", uniqueId="p")["pipelineId"]
    assert not client.put_pipeline_definition(pipelineId=pipeline_id, **definition_to_api(DEFINITION))["errored"]
    client.activate_pipeline(pipelineId=pipeline_id)
    finish(client, SECRET)
    return pipeline_id


def finish(client: object, command: str) -> None:
    task = client.poll_for_task(workerGroup="there")["taskObject"]  # type: ignore[attr-defined]
    fields = {f["key"]: f.get("stringValue") for f in task["objects"][task["attemptId"]]["fields"]}
    assert command in fields["command"]
    client.set_task_status(taskId=task["taskId"], taskStatus="FINISHED")  # type: ignore[attr-defined]


def test_a_restored_service_goes_on_where_the_backup_was(shell: Shell, start_server: Start) -> None:
    server = start_server("--no-runner")
    pipeline_id = begin(server)
    log = shell.data / "logs" / "p" / "StdOutput"
    log.parent.mkdir(parents=True)
    log.write_text("said")
    done = shell.run("backup", "b.zip", "--data-dir", shell.data, "--with-key", "--with-logs")
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("b.zip: 1 pipeline, 2 instances, ")
    assert (shell.folder / "b.zip").stat().st_mode & 0o777 == 0o600
    finish(server.client(), "true")
    shell.data = shell.folder / "restored"
    done = shell.run("restore", "b.zip", "--data-dir", shell.data)
    assert done.status == 0, done.err
    assert "1 pipeline and 2 instances" in done.out
    assert (shell.data / "logs" / "p" / "StdOutput").read_text() == "said"
    assert shell.run("restore", "b.zip", "--data-dir", shell.data).err == (
        "penstock: The store is not empty (its table pipelines has rows), and a restore overwrites nothing."
        " Give a new data directory with --data-dir, or an empty database with --store.\n"
    )
    restored = start_server("--no-runner")
    busy = shell.run("restore", "b.zip", "--data-dir", shell.data)
    assert busy.err.startswith(f"penstock: A server or a run uses {shell.data}. End it first")
    client = restored.client()
    finish(client, "true")
    described = client.describe_pipelines(pipelineIds=[pipeline_id])["pipelineDescriptionList"][0]
    assert {"key": "@pipelineState", "stringValue": "FINISHED"} in described["fields"]


def test_without_the_key_a_restore_says_what_is_needed(shell: Shell, start_server: Start) -> None:
    begin(start_server("--no-runner"))
    done = shell.run("backup", "b.zip", "--data-dir", shell.data)
    assert "The master key is not in it" in done.out
    with ZipFile(shell.folder / "b.zip") as archive:
        everything = b"".join(archive.read(name) for name in archive.namelist())
    assert not [name for name in archive.namelist() if name.startswith("files/")]
    assert SECRET.encode() not in everything
    done = shell.run("restore", "b.zip", "--data-dir", "other")
    assert "put the master key into other/master.key, or give it in $PENSTOCK_MASTER_KEY" in done.out
    refused = shell.run("server", "--port", "0", "--data-dir", "other")
    assert "there is none. Put back the file other/master.key" in refused.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("backup", "b.zip", "--data-dir", "none"), r"There is no store in none\. Name the server's data directory"),
        (("restore", "none.zip", "--data-dir", "d"), r"none\.zip cannot be read: No such file or directory\. Give"),
        (("restore", "text", "--data-dir", "d"), r"text is no backup of Penstock"),
        (("keys", "rotate-master", "--data-dir", "d"), r"There is no master key: neither d/master\.key nor \$PENSTOCK"),
        (("backup", "text", "--store", "mysql://x"), r"'mysql' is not known"),
    ],
)
def test_what_cannot_be_done_says_why(shell: Shell, arguments: tuple[str, ...], message: str) -> None:
    (shell.folder / "text").write_text("no backup")
    (shell.folder / "d").mkdir()
    done = shell.run(*arguments)
    assert done.status == 1
    assert re.match(rf"penstock: .*{message}", done.err), done.err


def test_a_backup_overwrites_nothing_and_needs_a_key_to_put_in(shell: Shell, start_server: Start) -> None:
    start_server("--no-runner").stop()
    (shell.folder / "b.zip").write_text("kept")
    done = shell.run("backup", "b.zip", "--data-dir", shell.data)
    assert "b.zip exists, and a backup overwrites nothing" in done.err
    assert (shell.folder / "b.zip").read_text() == "kept"
    (shell.data / "master.key").unlink()
    done = shell.run("backup", "new.zip", "--data-dir", shell.data, "--with-key")
    assert "There is no master key to put in" in done.err
    assert not list(shell.folder.glob("new.zip*"))


def test_the_master_key_is_rotated_while_no_server_runs(shell: Shell, start_server: Start) -> None:
    server = start_server("--no-runner")
    begin(server)
    old = (shell.data / "master.key").read_text()
    refused = shell.run("keys", "rotate-master", "--data-dir", shell.data)
    assert refused.err == (
        f"penstock: A server or a run uses {shell.data}. End it first: it has the old master key in memory and would"
        " go on writing with it.\n"
    )
    assert (shell.data / "master.key").read_text() == old
    server.stop()
    done = shell.run("keys", "rotate-master", "--data-dir", shell.data)
    assert done.out == f"{shell.data}/master.key holds a new key; what was to change in 3 rows is encrypted with it.\n"
    assert old.strip() not in (shell.data / "master.key").read_text()
    again = start_server("--no-runner")
    client = again.client()
    finish(client, "true")
    client.activate_pipeline(pipelineId=client.list_pipelines()["pipelineIdList"][0]["id"])
    finish(client, SECRET)


def test_one_key_in_the_environment_cannot_be_rotated(shell: Shell) -> None:
    environment = {"PENSTOCK_MASTER_KEY": "A" * 43 + "="}
    done = shell.run("keys", "rotate-master", environment=environment)
    assert "$PENSTOCK_MASTER_KEY holds one key. Start the servers with 'OLD NEW' in it, then with 'NEW OLD'" in done.err


def test_the_log_is_text_or_json(start_server: Start) -> None:
    for form in ("text", "json"):
        server = start_server("--log-format", form, "--log-level", "debug")
        client = server.client()
        pipeline_id = client.create_pipeline(name=form, uniqueId=form)["pipelineId"]
        objects = definition_of(
            {
                "objects": [
                    {"id": "Default", "scheduleType": "ondemand"},
                    {"id": "Node", "type": "S3DataNode", "filePath": "s3://b/k", "precondition": {"ref": "There"}},
                    {"id": "There", "type": "S3KeyExists", "s3Key": "s3://b/k"},
                ]
            }
        )
        client.put_pipeline_definition(pipelineId=pipeline_id, **definition_to_api(objects))
        client.activate_pipeline(pipelineId=pipeline_id)
        server.running.wait_for("ends: ")
        instance = client.query_objects(
            pipelineId=pipeline_id,
            sphere="INSTANCE",
            query={"selectors": [{"fieldName": "type", "operator": {"type": "EQ", "values": ["S3KeyExists"]}}]},
        )["ids"][0]
        lines = [line for line in server.stop().err.splitlines() if line and not line.startswith("Ending")]
        if form == "json":
            told = [json.loads(line) for line in lines]
            assert all(set(line) >= {"time", "level", "logger", "message"} for line in told)
            assert any(line.get("instance") == instance and line.get("pipelineId") == pipeline_id for line in told)
        else:
            pattern = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z [A-Z]+ [\w.]+: .*"
            assert all(re.fullmatch(pattern, line) for line in lines), lines
            assert any(line.endswith(f"[{pipeline_id} {instance}]") for line in lines), lines
