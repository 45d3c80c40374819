"""Exactly which fields instances and attempts of each kind have, in each stage of their lives."""

from __future__ import annotations

from typing import Any

import pytest
from api_service import ON_DEMAND, Api, shell

SYSTEM = "penstock:system"
INHERITED = {"type", "scheduleType", "failureAndRerunMode", "maximumRetries", "myYear"}
ALWAYS = INHERITED | {
    *("@componentParent", "parent", "@sphere", "@pipelineId", "@status", "@version", "@creationTime"),
    *("@scheduledStartTime", "@scheduledEndTime", "@actualStartTime", "@attemptCount", "@triesLeft"),
}
ENDED = {"@actualEndTime", "@finishedTime"}
FAILED = {"errorId", "errorMessage", "errorStackTrace"}
REPORTED = {"hostname", "reportProgressTime", "attemptStatus"}
OF_ATTEMPTS = INHERITED | {
    *("@instanceParent", "@componentParent", "parent", "@sphere", "@pipelineId", "@status", "@version"),
    *("@creationTime", "@scheduledStartTime", "@scheduledEndTime", "workerGroup"),
}


class Pipeline:
    """A node with a precondition, which A reads; then B on a machine, which writes another node."""

    def __init__(self, api: Api, group: str) -> None:
        self.api, self.group = api, group
        self.id = api.activated(
            ON_DEMAND | {"myYear": "#{format(@scheduledStartTime, 'YYYY')}"},
            {"id": "Holds", "type": "ShellCommandPrecondition", "command": "true"},
            {"id": "In", "type": "S3DataNode", "filePath": "s3://b/#{myYear}", "precondition": {"ref": "Holds"}},
            {"id": "Machine", "type": "Ec2Resource"},
            {"id": "Out", "type": "S3DataNode", "filePath": "s3://b/out"},
            shell("A", group, command="echo #{myYear}", input={"ref": "In"}),
            {
                "id": "B",
                "type": "ShellCommandActivity",
                "command": "true",
                "runsOn": {"ref": "Machine"},
                "dependsOn": {"ref": "A"},
                "output": {"ref": "Out"},
            },
        )
        self.start = api.ids(self.id)[0].partition("_")[2]

    def instance(self, component: str, **more: Any) -> dict[str, Any]:
        return self.api.fields(self.id, f"@{component}_{self.start}", **more)

    def end(self, status: str = "FINISHED", group: str = "", client: Any = None, **more: str) -> str:
        """Take the next task, report on it and end it; gives the attempt."""
        task = self.api.poll(group or self.group, client)
        while task["pipelineId"] != self.id:  # the system's group has the tasks of other tests
            task = self.api.poll(group or self.group, client)
        client = client or self.api.boto
        client.report_task_progress(
            taskId=task["taskId"], fields=[{"key": "attemptStatus", "stringValue": "half done"}]
        )
        client.set_task_status(taskId=task["taskId"], taskStatus=status, **more)
        return str(task["attemptId"])


@pytest.fixture
def pipeline(quick_api: Api, group: str) -> Pipeline:
    return Pipeline(quick_api, group)


def test_instances_that_wait_for_others(pipeline: Pipeline):
    assert set(pipeline.instance("A")) == ALWAYS | {"command", "workerGroup", "input", "@waitingOn"}
    assert set(pipeline.instance("B")) == ALWAYS | {
        *("command", "runsOn", "@resource", "dependsOn", "output", "@waitingOn"),
    }
    assert set(pipeline.instance("In")) == ALWAYS | {"filePath", "precondition", "output", "@waitingOn"}
    assert set(pipeline.instance("Out")) == ALWAYS | {"filePath", "input", "@waitingOn"}
    assert set(pipeline.instance("Machine")) == ALWAYS | {"input"}
    waiting = pipeline.instance("B")
    assert waiting["@waitingOn"] == [f"ref:@A_{pipeline.start}", f"ref:@Machine_{pipeline.start}"]
    assert (waiting["@attemptCount"], waiting["@triesLeft"]) == ("0", "0")


def test_a_precondition_that_waits_for_a_task_runner(pipeline: Pipeline):
    fields = pipeline.instance("Holds")
    assert set(fields) == ALWAYS | {"command", "node", "@headAttempt"}
    assert (fields["@status"], fields["node"]) == ("WAITING_FOR_RUNNER", f"ref:@In_{pipeline.start}")


def test_a_precondition_and_a_node_that_have_finished(pipeline: Pipeline):
    pipeline.end()
    assert set(pipeline.instance("Holds")) == ALWAYS | ENDED | {"command", "node", "@headAttempt"}
    assert set(pipeline.instance("In")) == ALWAYS | ENDED | {"filePath", "precondition", "output"}
    assert pipeline.instance("In")["@status"] == "FINISHED"


def test_an_activity_that_runs_and_its_attempt(pipeline: Pipeline):
    pipeline.end()
    task = pipeline.api.poll(pipeline.group)
    report = [{"key": "attemptStatus", "stringValue": "half done"}]
    pipeline.api.boto.report_task_progress(taskId=task["taskId"], fields=report)
    own = {"command", "workerGroup", "input", "@headAttempt"}
    assert set(pipeline.instance("A")) == ALWAYS | REPORTED | own
    attempt = pipeline.api.fields(pipeline.id, task["attemptId"])
    assert set(attempt) == OF_ATTEMPTS | REPORTED | {"command", "input", "@actualStartTime"}
    assert (attempt["hostname"], attempt["attemptStatus"]) == ("here", "half done")
    assert attempt["input"] == f"ref:@In_{pipeline.start}"


def test_an_activity_that_failed_and_its_attempt(pipeline: Pipeline):
    pipeline.end()
    errors = {"errorId": "Broke", "errorMessage": "it broke", "errorStackTrace": "line 1"}
    attempt_id = pipeline.end("FAILED", **errors)
    fields = pipeline.instance("A")
    assert set(fields) == ALWAYS | ENDED | FAILED | {"command", "workerGroup", "input", "@headAttempt"}
    assert fields["@headAttempt"] == f"ref:{attempt_id}"
    attempt = pipeline.api.fields(pipeline.id, attempt_id)
    assert set(attempt) == OF_ATTEMPTS | REPORTED | FAILED | {
        *("command", "input", "@actualStartTime", "@actualEndTime"),
    }
    fallen = pipeline.instance("B")
    assert set(fallen) == ALWAYS | ENDED | {
        *("command", "runsOn", "@resource", "dependsOn", "output", "@cascadeFailedOn"),
    }
    assert fallen["@cascadeFailedOn"] == f"ref:@A_{pipeline.start}"


def test_a_resource_that_failed_and_what_it_served(pipeline: Pipeline):
    system = pipeline.api.client(pipeline.api.system_key())
    pipeline.end()
    pipeline.end()
    pipeline.end("FAILED", SYSTEM, system, errorId="NoMachine", errorMessage="there is none")
    fields = pipeline.instance("Machine")
    assert set(fields) == ALWAYS | ENDED | {
        *("input", "@headAttempt", "@resourceId", "@resourceRegion"),
        *("errorId", "errorMessage", "@failureReason"),
    }
    assert fields["@failureReason"] == fields["errorMessage"] == "there is none"
    cancelled = pipeline.instance("B")
    assert set(cancelled) == ALWAYS | ENDED | {
        *("command", "runsOn", "@resource", "dependsOn", "output", "cancellationReason"),
    }
    assert (cancelled["@status"], cancelled["cancellationReason"]) == ("CANCELED", "The resource failed.")


def test_expressions_of_an_instance_and_of_its_attempt_are_evaluated_when_asked(pipeline: Pipeline):
    pipeline.end()
    attempt_id = pipeline.end()
    year = pipeline.start[:4]
    for identity in (f"@A_{pipeline.start}", attempt_id):
        written = pipeline.api.fields(pipeline.id, identity)
        assert (written["command"], written["myYear"]) == (
            "echo #{myYear}",
            "#{format(@scheduledStartTime, 'YYYY')}",
        )
        evaluated = pipeline.api.fields(pipeline.id, identity, evaluateExpressions=True)
        assert (evaluated["command"], evaluated["myYear"]) == (f"echo {year}", year)
        assert set(evaluated) == set(written)


def test_a_hundred_objects_of_all_spheres_are_described_in_one_call(pipeline: Pipeline):
    spheres = {sphere: pipeline.api.ids(pipeline.id, sphere) for sphere in ("COMPONENT", "INSTANCE", "ATTEMPT")}
    ids = [identity for found in spheres.values() for identity in found]
    ids += ["A"] * (100 - len(ids))
    answer = pipeline.api.boto.describe_objects(pipelineId=pipeline.id, objectIds=ids)
    assert [obj["id"] for obj in answer["pipelineObjects"]] == ids
    assert (answer["hasMoreResults"], "marker" in answer) == (False, False)
    for sphere, found in spheres.items():
        for identity in found:
            assert pipeline.api.fields(pipeline.id, identity)["@sphere"] == sphere
