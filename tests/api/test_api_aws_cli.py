"""The real `aws datapipeline` command against the service: what its users type."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from api_service import Api
from aws_command import Aws

AWS = Path(sys.executable).with_name("aws")
DEFINITION = {
    "objects": [
        {"id": "Default", "scheduleType": "ondemand", "failureAndRerunMode": "CASCADE", "workerGroup": "cli"},
        {"id": "First", "type": "ShellCommandActivity", "command": "echo #{myWord}"},
        {
            "id": "Second",
            "name": "The second",
            "type": "ShellCommandActivity",
            "command": "true",
            "scriptArgument": ["a", "b"],
            "dependsOn": {"ref": "First"},
        },
    ],
    "parameters": [{"id": "myWord", "type": "String", "default": "hello"}],
    "values": {"myWord": "world"},
}


@pytest.mark.skipif(not AWS.exists(), reason="the aws command is not installed")
def test_a_pipeline_from_creation_to_deletion(api: Api, tmp_path: Path):
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("AWS_")},
        "AWS_SHARED_CREDENTIALS_FILE": str(api.service.options.data_dir / "credentials"),
        "AWS_ENDPOINT_URL_DATA_PIPELINE": api.endpoint,
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
    }

    def process(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(AWS), "datapipeline", *arguments], env=environment, capture_output=True, text=True, check=False
        )

    aws = Aws(api).text  # the same code without half a second of starting Python
    path = tmp_path / "definition.json"
    path.write_text(json.dumps(DEFINITION))
    pipeline_id = json.loads(aws("create-pipeline", "--name", "cli", "--unique-id", "cli"))["pipelineId"]
    which = ("--pipeline-id", pipeline_id)
    put = process("put-pipeline-definition", *which, "--pipeline-definition", f"file://{path}")
    assert (put.returncode, json.loads(put.stdout)["errored"]) == (0, False), put.stderr
    got = json.loads(aws("get-pipeline-definition", *which))
    assert got["objects"] == [
        {"id": obj["id"], "name": obj.get("name", obj["id"])} | obj for obj in DEFINITION["objects"]
    ]
    assert (got["parameters"], got["values"]) == (DEFINITION["parameters"], DEFINITION["values"])
    aws("activate-pipeline", *which)
    task = api.poll("cli")
    api.boto.report_task_progress(taskId=task["taskId"])
    runs = process("list-runs", *which).stdout
    assert [line.split()[1] for line in runs.splitlines() if line.lstrip()[:2] in ("1.", "2.")] == ["First", "Second"]
    assert "RUNNING" in runs
    waiting = aws(
        "list-runs",
        *which,
        "--status",
        "waiting_on_dependencies",
        "--start-interval",
        "2020-01-01T00:00:00,2100-01-01T00:00:00",
    )
    assert "Second" in waiting
    assert "First" not in waiting
    described = json.loads(aws("describe-pipelines", "--pipeline-ids", pipeline_id))
    assert described["pipelineDescriptionList"][0]["name"] == "cli"
    aws("delete-pipeline", *which)
    gone = process("describe-pipelines", "--pipeline-ids", pipeline_id)
    assert gone.returncode != 0
    assert (
        f"(PipelineDeletedException) when calling the DescribePipelines operation: Pipeline with id: {pipeline_id}"
        in gone.stderr
    )
