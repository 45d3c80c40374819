"""A story that calls every operation of a real service, and what was said: the examples of docs/reference/api.md."""

from __future__ import annotations

import base64
import http.client
import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

from penstock.cli.composition import ServiceOptions
from penstock.service import EmbeddedService
from penstock.wire.model import ServiceModel, load_botocore_model, load_penstock_model
from penstock.wire.sigv4 import sign

WIDTH = 100
START = datetime(2025, 6, 1, 8, tzinfo=UTC)
SECRET_NAMES = {"taskId": "EXAMPLE-TASK-{}", "accessKeyId": "AKPSEXAMPLE{}", "secretAccessKey": "secret-{}"}
"""Members whose values differ from one telling to the next, with what stands for them on the page."""
_PIPELINE_ID = re.compile(r"df-[A-Z0-9]{20}")

ONCE = [
    {"id": "Default", "scheduleType": "ondemand", "failureAndRerunMode": "CASCADE", "workerGroup": "a-group"},
    {"id": "Load", "type": "ShellCommandActivity", "command": "echo #{myWord}"},
    {"id": "Report", "type": "ShellCommandActivity", "command": "date", "dependsOn": {"ref": "Load"}},
]
DAILY = [
    {"id": "Default", "scheduleType": "cron", "schedule": {"ref": "Daily"}, "workerGroup": "another-group"},
    {"id": "Daily", "type": "Schedule", "period": "1 day", "startDateTime": "2025-05-25T12:00:00"},
    {"id": "Count", "type": "ShellCommandActivity", "command": "date"},
]
WORD = {"id": "myWord", "attributes": [{"key": "type", "stringValue": "String"}]}


@dataclass
class StandingClock:
    """Tells the time of the story, which moves by a second with every call."""

    moment: datetime = START

    def now(self) -> datetime:
        """The present moment of the story."""
        return self.moment


@dataclass
class Story:
    """Calls a service and keeps the first exchange of each operation, as the text of both bodies."""

    service: EmbeddedService
    clock: StandingClock
    models: tuple[ServiceModel, ...]
    examples: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    stand_ins: dict[str, str] = field(default_factory=dict)

    def call(self, operation: str, /, **request: Any) -> Any:
        """The answer of an operation; {} for one that the models do not have."""
        model = next((model for model in self.models if operation in model.operations), None)
        if model is None:
            return {}
        self.clock.moment += timedelta(seconds=1)
        body = json.dumps(request).encode()
        headers = {
            "X-Amz-Target": f"{model.target_prefix}.{operation}",
            "Content-Type": f"application/x-amz-json-{model.json_version}",
        }
        place = {"region": "us-east-1", "service": model.signing_name, "now": self.clock.now()}
        url = self.service.endpoint + "/"
        signed = sign("POST", url, headers, body, self.service.credentials, **place)
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
        try:
            connection.request("POST", "/", body, signed)
            response = connection.getresponse()
            text = response.read().decode()
        finally:
            connection.close()
        answer = json.loads(text or "{}")
        if response.status != 200:
            raise ValueError(f"{operation} was answered with {answer}; mend the story in docs/api_story.py.")
        self._meet(answer)
        self.examples.setdefault(operation, (request, answer))
        return answer

    def _meet(self, answer: Any, name: str = "") -> None:
        """Give a stand-in to everything in an answer that is another one each time."""
        if isinstance(answer, Mapping):
            for key, value in answer.items():
                self._meet(value, key)
        elif isinstance(answer, list):
            for value in answer:
                self._meet(value, name)
        elif isinstance(answer, str):
            for pipeline_id in _PIPELINE_ID.findall(answer):
                number = sum(known.startswith("df-") for known in self.stand_ins) + 1
                self.stand_ins.setdefault(pipeline_id, f"df-{number:013}EXAMPLE")
            if name in SECRET_NAMES and answer not in self.stand_ins:
                form = SECRET_NAMES[name]
                number = sum(known.startswith(form.format("")) for known in self.stand_ins.values()) + 1
                self.stand_ins[answer] = form.format(number)

    def example(self, operation: str) -> tuple[str, str]:
        """The request and the answer, as they stand on the page."""
        if operation not in self.examples:
            raise ValueError(f"{operation} has no example; call it in docs/api_story.py.")
        request, answer = self.examples[operation]
        return self._shown(request), self._shown(answer)

    def _shown(self, body: Any) -> str:
        text = written(body)
        for value, stand_in in self.stand_ins.items():
            text = text.replace(value, stand_in)
        return text


def written(value: Any, indent: int = 0) -> str:
    """JSON with each thing on one line that fits on it."""
    compact = json.dumps(value, ensure_ascii=False)
    if len(compact) + indent <= WIDTH or not isinstance(value, dict | list):
        return compact
    space = " " * (indent + 2)
    if isinstance(value, dict):
        inner = [f"{json.dumps(key)}: {written(held, indent + 2)}" for key, held in value.items()]
    else:
        inner = [written(held, indent + 2) for held in value]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return opening + ",".join(f"\n{space}{part}" for part in inner) + f"\n{' ' * indent}{closing}"


@contextmanager
def told() -> Iterator[Story]:
    """A story that has been told to the end."""
    clock = StandingClock()
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch("penstock.service.SystemClock", lambda *offset: clock),
    ):
        service = EmbeddedService(ServiceOptions(Path(folder) / "data", has_runner=False))
        try:
            story = Story(service, clock, (load_botocore_model("datapipeline"), load_penstock_model()))
            tell(story)
            yield story
        finally:
            service.stop()


def tell(story: Story) -> None:
    """Create, put, activate, look, work, change and delete."""
    call = story.call
    tags = [{"key": "team", "value": "data"}]
    made = call("CreatePipeline", name="nightly", uniqueId="nightly-1", description="Loads and reports", tags=tags)
    which = {"pipelineId": made["pipelineId"]}
    wrong = {"id": "Load", "type": "ShellCommandActivity", "command": "date", "runsOn": "Machine"}
    call("ValidatePipelineDefinition", **which, pipelineObjects=_objects([wrong]))
    call("PutPipelineDefinition", **which, pipelineObjects=_objects(ONCE), parameterObjects=[WORD])
    call("GetPipelineDefinition", **which, version="latest")
    call("ListVersions", **which)
    call("AddTags", **which, tags=[{"key": "state", "value": "new"}])
    call("RemoveTags", **which, tagKeys=["state"])
    call("ActivatePipeline", **which, parameterValues=[{"id": "myWord", "stringValue": "hello"}])
    call("DescribePipelines", pipelineIds=[made["pipelineId"]])
    _look(story, which)
    _work(story, which)
    call("ListPipelines")
    call("ListEvents", **which)
    call("DeactivatePipeline", **which, cancelActive=True)
    _schedule(story)
    key = call("CreateKey", name="machine 7", role="runner", workerGroup="a-group")
    call("ListKeys")
    call("RevokeKey", accessKeyId=key["accessKeyId"])
    call("SendTestAlarm", topicArn="arn:aws:sns:us-east-1:000000000000:nightly")
    call("DeletePipeline", **which)


def _look(story: Story, which: Mapping[str, str]) -> None:
    call = story.call
    waiting = {"fieldName": "@status", "operator": {"type": "EQ", "values": ["WAITING_ON_DEPENDENCIES"]}}
    (report,) = call("QueryObjects", **which, sphere="INSTANCE", query={"selectors": [waiting]}, limit=10)["ids"]
    call("DescribeObjects", **which, objectIds=[report], evaluateExpressions=True)
    expression = "#{format(@scheduledStartTime, 'YYYY-MM-dd')}"
    call("EvaluateExpression", **which, objectId=report, expression=expression)
    call("ExplainWaiting", **which, objectId=report)
    call("DescribeProgress", **which)


def _work(story: Story, which: Mapping[str, str]) -> None:
    call = story.call
    task = call("PollForTask", workerGroup="a-group", hostname="machine-7")["taskObject"]
    held = {"taskId": task["taskId"]}
    call("ReportTaskProgress", **held, fields=[{"key": "attemptStatus", "stringValue": "half done"}])
    call("WriteLog", **held, name="StdOutput", offset=0, content=base64.b64encode(b"hello\n").decode())
    call("ListLogs", **which, objectId=task["attemptId"])
    call("ReadLog", **which, objectId=task["attemptId"], name="StdOutput", offset=0)
    call("ReportTaskRunnerHeartbeat", taskrunnerId="machine-7", workerGroup="a-group", hostname="machine-7")
    call("ListRunners")
    call("SetTaskStatus", **held, taskStatus="FINISHED")
    call("EndTasks", ends=[{**held, "taskStatus": "FINISHED"}], workerGroup="a-group", hostname="machine-7")
    instance = task["attemptId"].rpartition("_Attempt=")[0]
    call("SetStatus", **which, objectIds=[instance], status="RERUN")


def _schedule(story: Story) -> None:
    made = story.call("CreatePipeline", name="daily", uniqueId="daily-1")
    which = {"pipelineId": made["pipelineId"]}
    story.call("PutPipelineDefinition", **which, pipelineObjects=_objects(DAILY))
    story.call("PreviewIntervals", **which, count=2)
    story.call("ActivatePipeline", **which, startTimestamp=_seconds(2025, 5, 31))
    story.call("BackfillRange", **which, startTime=_seconds(2025, 5, 26), endTime=_seconds(2025, 5, 28))
    story.call("StopBackfills", **which)


def _seconds(year: int, month: int, day: int) -> int:
    """Midnight, as the protocol has it."""
    return int(datetime(year, month, day, tzinfo=UTC).timestamp())


def _objects(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Objects of the file form, each field with one value, in the API form."""
    return [
        {
            "id": obj["id"],
            "name": obj["id"],
            "fields": [
                {"key": key, **({"refValue": value["ref"]} if isinstance(value, dict) else {"stringValue": value})}
                for key, value in obj.items()
                if key != "id"
            ],
        }
        for obj in objects
    ]
