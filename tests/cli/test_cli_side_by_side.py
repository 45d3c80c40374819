"""Several Penstocks in one data directory: none takes what is another's."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from penstock_command import Server, Shell

EXAMPLES = Path(__file__).parents[2] / "examples"
DEFAULT = {"id": "Default", "scheduleType": "ondemand", "workerGroup": "here"}


def write(shell: Shell, command: str, name: str) -> Path:
    objects: list[Any] = [DEFAULT, {"id": "Work", "type": "ShellCommandActivity", "command": command}]
    return shell.write({"objects": objects}, name)


@pytest.mark.by_hand
def test_runs_that_start_together_in_a_new_data_directory_all_finish(shell: Shell) -> None:
    path = EXAMPLES / "hello/pipeline.json"
    running = [shell.start("run", path, "--data-dir", shell.data, "--json") for _ in range(3)]
    done = [run.end() for run in running]
    assert [run.status for run in done] == [0] * 3, [run.err for run in done]
    assert len({run.json()["pipelineId"] for run in done}) == 3
    assert all(len(run.json()["instances"]) == 7 for run in done)


def test_a_run_takes_no_task_of_another_run_with_the_same_worker_group(shell: Shell) -> None:
    gate = shell.folder / "gate"
    os.mkfifo(gate)
    held = shell.start("run", write(shell, f"cat {gate}; pwd", "held.json"), "--data-dir", shell.data, "--json")
    held.wait_for("Pipeline df-")
    quick = shell.run("run", write(shell, "pwd", "quick.json"), "--data-dir", shell.data, "--json")
    assert quick.status == 0
    gate.write_text("go\n")
    assert held.end().status == 0
    assert [i["@attemptCount"] for i in held.end().json()["instances"]] == ["1"]


def test_a_server_and_a_run_take_none_of_each_others_tasks(shell: Shell, start_server: Callable[..., Server]) -> None:
    from penstock.definition.api_form import definition_to_api
    from penstock.definition.file_form import read_definition_file

    server = start_server()
    client = server.client()
    waiting = write(shell, "touch of-the-server", "server.json")
    pipeline_id = client.create_pipeline(name="p", uniqueId="p")["pipelineId"]
    client.put_pipeline_definition(pipelineId=pipeline_id, **definition_to_api(read_definition_file(waiting)))
    client.activate_pipeline(pipelineId=pipeline_id)

    gate = shell.folder / "gate"
    os.mkfifo(gate)
    run = shell.start("run", write(shell, f"pwd; cat {gate}", "run.json"), "--data-dir", shell.data, "--json")
    runner = shell.start("runner", "--worker-group", "here", "--data-dir", "own", environment=server.environment)
    with gate.open("w") as stream:  # opens when the run's command does
        listed = client.list_pipelines()["pipelineIdList"]
        stream.write("go")
    ended = run.end()
    assert ended.status == 0, ended.err
    run_id = ended.json()["pipelineId"]
    folder = (shell.data / "logs" / run_id).glob("@Work_*/StdOutput")
    assert [path.read_text().startswith(str(shell.data / "work")) for path in folder] == [True]
    assert pipeline_id in {entry["id"] for entry in listed}
    assert not (shell.folder / "own/logs" / run_id).exists()
    made_here = (shell.data / "logs" / pipeline_id).glob("*/StdOutput")  # empty: nobody sends it to the server
    assert list(made_here) == []
    runner.process.terminate()
    assert runner.end().status == 0
