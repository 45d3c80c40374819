"""Tasks and runners: who may poll for what, reports, leases, and how a task ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import boto3_task_runner
import pytest
from api_service import ON_DEMAND, Api, plain, shell

from penstock.wire.errors import ServiceError
from penstock.wire.sigv4 import Credentials

SYSTEM = "penstock:system"


def code(refused: Any) -> str:
    found: str = refused.value.response["Error"]["Code"]
    return found


def test_a_task_carries_its_objects_with_every_expression_evaluated(api: Api, group: str):
    pipeline_id = api.activated(
        ON_DEMAND | {"myYear": "#{format(@scheduledStartTime, 'YYYY')}"},
        {"id": "In", "type": "S3DataNode", "directoryPath": "s3://b/#{myYear}"},
        shell("A", group, command="echo #{input.directoryPath} #{myYear}", input={"ref": "In"}, stage="true"),
    )
    task = api.poll(group)
    assert task["pipelineId"] == pipeline_id
    objects = {identity: plain(obj["fields"]) for identity, obj in task["objects"].items()}
    mine = objects[task["attemptId"]]
    year = mine["@scheduledStartTime"][:4]
    assert mine["command"] == f"echo s3://b/{year} {year}"
    assert mine["@instanceParent"] == f"ref:{api.instance(pipeline_id, 'A')}"
    data = objects[mine["input"].removeprefix("ref:")]
    assert data["directoryPath"] == f"s3://b/{year}"
    assert not any("#{" in str(value) for fields in objects.values() for value in fields.values())


def test_a_task_runner_on_boto3_works_a_pipeline_to_its_end(api: Api, group: str, tmp_path: Path):
    notes = tmp_path / "notes"
    pipeline_id = api.activated(
        ON_DEMAND | {"maximumRetries": "1"},
        {"id": "Holds", "type": "ShellCommandPrecondition", "command": "true"},
        shell("First", group, command='echo "$1" >> "$2"', scriptArgument=["one", str(notes)]),
        shell(
            "Second",
            group,
            command=f"echo two >> {notes}",
            dependsOn={"ref": "First"},
            precondition={"ref": "Holds"},
        ),
        shell("Third", group, command=f"echo three >> {notes}; exit 3", dependsOn={"ref": "Second"}),
        shell("Fourth", group, dependsOn={"ref": "Third"}),
    )
    api.boto.set_status(pipelineId=pipeline_id, objectIds=[], status="RERUN")
    worked = boto3_task_runner.work(api.boto, group)
    assert sorted(entry.split("_")[0] + entry[-2:] for entry in worked) == [
        "@First=1",
        "@Holds=1",
        "@Second=1",
        "@Third=1",
        "@Third=2",
    ]
    assert notes.read_text() == "one\ntwo\nthree\nthree\n"
    assert {name: api.status(pipeline_id, name) for name in ("Holds", "First", "Second", "Third", "Fourth")} == {
        "Holds": "FINISHED",
        "First": "FINISHED",
        "Second": "FINISHED",
        "Third": "FAILED",
        "Fourth": "CASCADE_FAILED",
    }
    assert api.pipeline_fields(pipeline_id)["@pipelineState"] == "FINISHED"
    failed = api.fields(pipeline_id, api.instance(pipeline_id, "Third"))
    assert (failed["errorId"], failed["errorMessage"]) == ("ActivityFailed:Command", "The command ended with 3.")


def test_a_task_runner_is_that_short():
    assert len(Path(boto3_task_runner.__file__).read_text().splitlines()) <= 40


def test_a_precondition_that_does_not_hold_is_asked_again_later(quick_api: Api, group: str):
    api = quick_api
    pipeline_id = api.activated(
        ON_DEMAND,
        {"id": "Holds", "type": "ShellCommandPrecondition", "command": "false"},
        shell("A", group, precondition={"ref": "Holds"}),
    )
    boto3_task_runner.work(api.boto, group)
    assert (api.status(pipeline_id, "Holds"), api.status(pipeline_id, "A")) == (
        "WAITING_FOR_RUNNER",
        "WAITING_ON_DEPENDENCIES",
    )


def test_only_a_precondition_can_be_false(api: Api, group: str):
    pipeline_id = api.activated(ON_DEMAND, shell("A", group))
    with pytest.raises(api.boto.exceptions.InvalidRequestException, match="Only a precondition's task"):
        api.boto.set_task_status(taskId=api.poll(group)["taskId"], taskStatus="FALSE")
    assert api.status(pipeline_id, "A") == "RUNNING"


def test_a_task_is_handed_out_once(quick_api: Api, group: str):
    quick_api.activated(ON_DEMAND, shell("A", group))
    quick_api.poll(group)
    assert "taskObject" not in quick_api.boto.poll_for_task(workerGroup=group)


def test_worker_groups_match_exactly(quick_api: Api, group: str):
    quick_api.activated(ON_DEMAND, shell("A", group))
    assert "taskObject" not in quick_api.boto.poll_for_task(workerGroup=group.upper())


def test_a_task_that_has_ended_stays_as_it_is(api: Api, group: str):
    pipeline_id = api.activated(ON_DEMAND, shell("A", group))
    task = api.poll(group)
    api.boto.set_task_status(taskId=task["taskId"], taskStatus="FINISHED")
    api.boto.set_task_status(taskId=task["taskId"], taskStatus="FAILED", errorMessage="too late")
    assert api.status(pipeline_id, "A") == "FINISHED"
    assert api.boto.report_task_progress(taskId=task["taskId"])["canceled"] is True


@pytest.mark.parametrize(
    ("operation", "more"), [("report_task_progress", {}), ("set_task_status", {"taskStatus": "FINISHED"})]
)
def test_an_unknown_task_is_not_found(api: Api, operation: str, more: dict[str, str]):
    with pytest.raises(api.boto.exceptions.TaskNotFoundException):
        getattr(api.boto, operation)(taskId="no such task", **more)


def test_a_runner_of_no_resource_is_never_told_to_end(api: Api, group: str):
    heartbeat = api.boto.report_task_runner_heartbeat
    assert heartbeat(taskrunnerId="r", workerGroup=group, hostname="h")["terminate"] is False
    assert heartbeat(taskrunnerId="r")["terminate"] is False


def test_a_resource_is_one_task_with_a_key_for_its_own_worker_group(api: Api, group: str):
    pipeline_id = api.activated(
        ON_DEMAND, {"id": "Machine", "type": "Ec2Resource"}, shell("A", group, runsOn={"ref": "Machine"})
    )
    resource = api.instance(pipeline_id, "Machine")
    system = api.client(api.system_key())
    while (task := api.poll(SYSTEM, system))["pipelineId"] != pipeline_id:
        pass
    fields = plain(task["objects"][task["attemptId"]]["fields"])
    own_group = f"resource:{pipeline_id}_{resource}"
    assert fields["@workerGroup"] == own_group
    guest = api.client(Credentials(fields["@accessKeyId"], fields["*secretAccessKey"]))
    assert guest.report_task_runner_heartbeat(taskrunnerId="r", workerGroup=own_group)["terminate"] is False
    assert api.status(pipeline_id, "Machine") == "RUNNING"
    with pytest.raises(api.boto.exceptions.ClientError) as refused:
        guest.poll_for_task(workerGroup=group)
    assert code(refused) == "AccessDeniedException"
    work = api.poll(own_group, guest)
    assert work["attemptId"] == f"{api.instance(pipeline_id, 'A')}_Attempt=1"
    guest.set_task_status(taskId=work["taskId"], taskStatus="FINISHED")
    assert api.status(pipeline_id, "Machine") == "SHUTTING_DOWN"
    assert "taskObject" not in guest.poll_for_task(workerGroup=own_group)
    assert guest.report_task_runner_heartbeat(taskrunnerId="r", workerGroup=own_group)["terminate"] is True
    system.set_task_status(taskId=task["taskId"], taskStatus="FINISHED")
    assert api.pipeline_fields(pipeline_id)["@pipelineState"] == "FINISHED"
    with pytest.raises(api.boto.exceptions.ClientError) as refused:
        guest.poll_for_task(workerGroup=own_group)
    assert code(refused) == "UnrecognizedClientException"


def test_a_runners_key_may_only_poll_and_report(api: Api, group: str):
    runner = api.client(api.key())
    api.activated(ON_DEMAND, shell("A", group))
    task = api.poll(group, runner)
    assert runner.report_task_progress(taskId=task["taskId"])["canceled"] is False
    assert runner.report_task_runner_heartbeat(taskrunnerId="r", workerGroup=group)["terminate"] is False
    runner.set_task_status(taskId=task["taskId"], taskStatus="FINISHED")
    for operation in set(api.boto.meta.method_to_api_mapping) - {
        "poll_for_task",
        "report_task_progress",
        "set_task_status",
        "report_task_runner_heartbeat",
    }:
        with pytest.raises(api.boto.exceptions.ClientError) as refused:
            getattr(runner, operation)()
        assert code(refused) == "AccessDeniedException", operation


def test_a_key_for_a_worker_group_reaches_no_other(api: Api, group: str):
    mine, other = f"{group}-mine", f"{group}-other"
    runner = api.client(api.key(workerGroup=mine))
    pipeline_id = api.activated(ON_DEMAND, shell("A", mine), shell("B", other))
    theirs = api.poll(other)
    for refuse in (
        lambda: runner.poll_for_task(workerGroup=other),
        lambda: runner.report_task_progress(taskId=theirs["taskId"]),
        lambda: runner.set_task_status(taskId=theirs["taskId"], taskStatus="FINISHED"),
        lambda: runner.report_task_runner_heartbeat(taskrunnerId="r", workerGroup=other),
    ):
        with pytest.raises(api.boto.exceptions.ClientError) as refused:
            refuse()
        assert code(refused) == "AccessDeniedException"
    assert api.poll(mine, runner)["pipelineId"] == pipeline_id


def test_the_services_own_group_is_for_its_own_runner_only(api: Api):
    for client in (api.boto, api.client(api.key())):
        with pytest.raises(api.boto.exceptions.ClientError) as refused:
            client.poll_for_task(workerGroup=SYSTEM)
        assert code(refused) == "AccessDeniedException"
    for reserved in (SYSTEM, "resource:df-1_@R_2020-01-01T00:00:00"):
        with pytest.raises(ServiceError, match="is the service's own"):
            api.own.call("CreateKey", role="runner", workerGroup=reserved)
    with pytest.raises(ServiceError, match=r"enum value set: \[admin, operator, runner, viewer\]"):
        api.own.call("CreateKey", role="system")


def test_keys_are_listed_without_their_secrets(api: Api):
    made = api.key(workerGroup="listed")
    listed = api.own.call("ListKeys")["keys"]
    entry = next(key for key in listed if key["accessKeyId"] == made.access_key)
    assert (entry["role"], entry["workerGroup"], entry["name"]) == ("runner", "listed", "a runner")
    assert not any("ecret" in name for key in listed for name in key)
    assert "system" not in {key["role"] for key in listed}


def test_a_key_that_scripts_already_use_can_be_added(api: Api):
    answer = api.own.call("CreateKey", role="admin", accessKeyId="AKIAEXAMPLE", secretAccessKey="its secret")
    assert answer == {"accessKeyId": "AKIAEXAMPLE"}
    assert api.client(Credentials("AKIAEXAMPLE", "its secret")).list_pipelines()["pipelineIdList"] is not None
    with pytest.raises(ServiceError, match="There is a key AKIAEXAMPLE already"):
        api.own.call("CreateKey", role="admin", accessKeyId="AKIAEXAMPLE", secretAccessKey="another")


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"role": "admin", "workerGroup": "g"}, "limits a key of the role runner"),
        ({"role": "admin", "accessKeyId": "AKIA"}, "Give both"),
        ({"role": "admin", "secretAccessKey": "s"}, "Give both"),
        ({"role": "admin", "accessKeyId": "a/b", "secretAccessKey": "s"}, "regular expression"),
        ({"role": "admin", "name": "a\0b"}, "regular expression"),
    ],
)
def test_a_key_that_makes_no_sense_is_refused(api: Api, given: dict[str, str], text: str):
    with pytest.raises(ServiceError, match=text):
        api.own.call("CreateKey", **given)
