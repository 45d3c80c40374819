"""The whole life of a pipeline, from creation to deletion, once with boto3 and once with the `aws` command."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3_task_runner
import pytest
from api_service import Api, api_object, shell
from aws_command import Aws

START = datetime(2020, 1, 1, tzinfo=UTC)
DAYS = ["2020-01-01T00:00:00", "2020-01-02T00:00:00", "2020-01-03T00:00:00"]


def definition(group: str, folder: Path) -> list[dict[str, Any]]:
    """Three days of two activities; `Load` fails while there is no file `mended`."""
    return [
        {
            "id": "Default",
            "scheduleType": "cron",
            "schedule": {"ref": "Daily"},
            "failureAndRerunMode": "CASCADE",
            "maximumRetries": "0",
            "maxActiveInstances": "1",
        },
        {
            "id": "Daily",
            "type": "Schedule",
            "period": "1 day",
            "startDateTime": DAYS[0],
            "occurrences": str(len(DAYS)),
        },
        shell("Load", group, command=f"test -e {folder}/mended"),
        shell("Report", group, command="echo #{myWord} #{@scheduledStartTime}", dependsOn={"ref": "Load"}),
    ]


PARAMETERS = [{"id": "myWord", "attributes": [{"key": "type", "stringValue": "String"}]}]
VALUES = [{"id": "myWord", "stringValue": "hello"}]


def test_the_life_of_a_pipeline_with_boto3(quick_api: Api, group: str, tmp_path: Path):
    api, boto = quick_api, quick_api.boto
    pipeline_id = boto.create_pipeline(name="life", uniqueId=group, tags=[{"key": "team", "value": "data"}])[
        "pipelineId"
    ]
    which = {"pipelineId": pipeline_id}
    given = {
        "pipelineObjects": [api_object(obj) for obj in definition(group, tmp_path)],
        "parameterObjects": PARAMETERS,
        "parameterValues": VALUES,
    }
    assert boto.validate_pipeline_definition(**which, **given)["errored"] is False
    assert boto.get_pipeline_definition(**which)["pipelineObjects"] == []
    assert boto.put_pipeline_definition(**which, **given)["errored"] is False
    with pytest.raises(boto.exceptions.InvalidRequestException, match="Give a start timestamp"):
        boto.activate_pipeline(**which)
    boto.activate_pipeline(**which, startTimestamp=START)

    assert boto3_task_runner.work(api.boto, group) == [f"@Load_{day}_Attempt=1" for day in DAYS]
    assert api.pipeline_fields(pipeline_id)["@healthStatus"] == "ERROR"
    failed = api.ids(pipeline_id, "INSTANCE", ("@status", "EQ", ["FAILED"]))
    assert failed == [f"@Load_{day}" for day in DAYS]
    assert api.ids(pipeline_id, "INSTANCE", ("@status", "EQ", ["CASCADE_FAILED"])) == [f"@Report_{day}" for day in DAYS]
    described = boto.describe_objects(**which, objectIds=failed)["pipelineObjects"]
    assert [obj["id"] for obj in described] == failed
    assert api.pipeline_fields(pipeline_id)["@pipelineState"] == "FINISHED"

    boto.add_tags(**which, tags=[{"key": "state", "value": "mended"}])
    boto.remove_tags(**which, tagKeys=["team"])
    assert boto.describe_pipelines(pipelineIds=[pipeline_id])["pipelineDescriptionList"][0]["tags"] == [
        {"key": "state", "value": "mended"}
    ]

    (tmp_path / "mended").touch()
    boto.set_status(**which, objectIds=failed[:2], status="RERUN")
    first = api.poll(group)
    assert first["attemptId"] == f"{failed[0]}_Attempt=2"
    boto.deactivate_pipeline(**which)
    assert boto.report_task_progress(taskId=first["taskId"])["canceled"] is True
    assert api.pipeline_fields(pipeline_id)["@pipelineState"] == "INACTIVE"
    assert "taskObject" not in boto.poll_for_task(workerGroup=group)

    boto.activate_pipeline(**which)
    boto.set_status(**which, objectIds=failed[2:], status="RERUN")
    boto3_task_runner.work(api.boto, group)
    assert api.ids(pipeline_id, "INSTANCE", ("@status", "EQ", ["FINISHED"])) == api.ids(pipeline_id)
    assert len(api.ids(pipeline_id)) == 6
    fields = api.pipeline_fields(pipeline_id)
    assert (fields["@pipelineState"], fields["@healthStatus"]) == ("FINISHED", "HEALTHY")
    report = api.fields(pipeline_id, f"@Report_{DAYS[0]}", evaluateExpressions=True)
    assert report["command"] == f"echo hello {DAYS[0]}"

    boto.delete_pipeline(**which)
    with pytest.raises(boto.exceptions.PipelineDeletedException):
        boto.describe_pipelines(pipelineIds=[pipeline_id])
    assert pipeline_id not in {
        entry["id"] for page in boto.get_paginator("list_pipelines").paginate() for entry in page["pipelineIdList"]
    }


def test_the_life_of_a_pipeline_with_the_aws_command(quick_api: Api, group: str, tmp_path: Path):
    api, aws = quick_api, Aws(quick_api)
    made = aws.json("create-pipeline", "--name", "life", "--unique-id", f"aws {group}", "--tags", "key=team,value=data")
    pipeline_id = made["pipelineId"]
    which = ("--pipeline-id", pipeline_id)
    path = tmp_path / "pipeline.json"
    parameters = [{"id": "myWord", "type": "String"}]
    path.write_text(
        json.dumps(
            {"objects": definition(group, tmp_path), "parameters": parameters, "values": {"myWord": "from the file"}}
        )
    )
    file = ("--pipeline-definition", f"file://{path}")
    objects = json.dumps([api_object(obj) for obj in definition(group, tmp_path)])
    forms = ("--pipeline-objects", objects, "--parameter-objects", json.dumps(PARAMETERS))
    assert aws.json("validate-pipeline-definition", *which, *forms)["errored"] is False
    put = aws.json("put-pipeline-definition", *which, *file, "--parameter-values", "myWord=hello")
    assert put["errored"] is False
    got = aws.json("get-pipeline-definition", *which)
    assert [obj["id"] for obj in got["objects"]] == ["Default", "Daily", "Load", "Report"]
    assert (got["parameters"], got["values"]) == (parameters, {"myWord": "hello"})
    aws.text(
        "activate-pipeline", *which, "--start-timestamp", "2020-01-01T00:00:00Z", "--parameter-values", "myWord=hi"
    )

    boto3_task_runner.work(api.boto, group)
    runs = aws.json("list-runs", *which, "--status", "failed")
    assert [run["@id"] for run in runs] == [f"@Load_{day}" for day in DAYS]
    table = aws.text("list-runs", *which)
    assert [line.split()[1:] for line in table.splitlines() if line.lstrip()[:1].isdigit()] == [
        [name, day, status] for day in DAYS for name, status in (("Load", "FAILED"), ("Report", "CASCADE_FAILED"))
    ]

    failed = aws.json("query-objects", *which, "--sphere", "INSTANCE", "--objects-query", selects("@status", "FAILED"))
    assert failed == {"ids": [run["@id"] for run in runs]}
    described = aws.json("describe-objects", *which, "--object-ids", *failed["ids"], "--evaluate-expressions")
    assert len(described["pipelineObjects"]) == 3
    expression = ("--expression", "#{format(@scheduledStartTime, 'dd.MM.')} #{myWord}")
    evaluated = aws.json("evaluate-expression", *which, "--object-id", failed["ids"][1], *expression)
    assert evaluated == {"evaluatedExpression": "02.01. hi"}

    aws.text("add-tags", *which, "--tags", "key=state,value=mended")
    aws.text("remove-tags", *which, "--tag-keys", "team")
    (description,) = aws.json("describe-pipelines", "--pipeline-ids", pipeline_id)["pipelineDescriptionList"]
    assert description["tags"] == [{"key": "state", "value": "mended"}]

    (tmp_path / "mended").touch()
    aws.text("set-status", *which, "--object-ids", *failed["ids"], "--status", "RERUN")
    aws.text("deactivate-pipeline", *which)
    cancelled = aws.json("list-runs", *which, "--status", "cancelled")
    assert cancelled
    assert {run["@status"] for run in cancelled} == {"CANCELED"}
    aws.text("activate-pipeline", *which)
    boto3_task_runner.work(api.boto, group)
    assert len(aws.json("list-runs", *which, "--status", "finished")) == 6

    task = aws.json("poll-for-task", "--worker-group", group)
    assert not task
    aws.text("delete-pipeline", *which)
    assert pipeline_id not in {entry["id"] for entry in aws.json("list-pipelines")["pipelineIdList"]}


def selects(field: str, value: str) -> str:
    return json.dumps({"selectors": [{"fieldName": field, "operator": {"type": "EQ", "values": [value]}}]})
