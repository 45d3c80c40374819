"""What Terraform's provider and Ansible's module ask of the service, call by call, and what they make of the answers.

Terraform knows two resources. `aws_datapipeline_pipeline` creates, describes, tags and deletes; its finder looks for
the id in the list of descriptions and takes the two exceptions for absence. `aws_datapipeline_pipeline_definition`
puts, stops at `errored`, activates at once, and compares what it reads back as sets; destroying it calls nothing.
"""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from api_service import Api, api_object

ABSENT = ("PipelineNotFoundException", "PipelineDeletedException")
WORKER_GROUP_ONLY = ({"id": "Default", "workerGroup": "workerGroup"},)
_numbers = itertools.count(1)


def command_line(parameter: str) -> dict[str, Any]:
    """A definition with every kind of thing that Terraform's resource has a block for."""
    objects = (
        {
            "id": "Cli",
            "type": "ShellCommandActivity",
            "command": f"aws --version && (#{{{parameter}}})",
            "runsOn": {"ref": "Machine"},
        },
        {
            "id": "Default",
            "failureAndRerunMode": "CASCADE",
            "resourceRole": "a-role",
            "role": "a-role",
            "schedule": {"ref": "EveryDay"},
            "scheduleType": "cron",
        },
        {"id": "Machine", "type": "Ec2Resource", "instanceType": "t1.micro", "terminateAfter": "50 minutes"},
        {
            "id": "EveryDay",
            "name": "Every day",
            "type": "Schedule",
            "period": "1 days",
            "startAt": "FIRST_ACTIVATION_DATE_TIME",
        },
    )
    attributes = {"description": "A command line", "type": "String", "watermark": "aws [options] <command>"}
    return {
        "pipelineObjects": [api_object(obj) for obj in objects],
        "parameterObjects": [
            {"id": parameter, "attributes": [{"key": k, "stringValue": v} for k, v in attributes.items()]}
        ],
        "parameterValues": [{"id": parameter, "stringValue": "aws sts get-caller-identity"}],
    }


class Terraform:
    """The calls of the provider's two resources."""

    def __init__(self, api: Api) -> None:
        self.client = api.boto

    def create(self, name: str, tags: dict[str, str], **more: str) -> str:
        """Each creation has a uniqueId of its own; the tags are sent, even when there are none."""
        made: str = self.client.create_pipeline(
            name=name, uniqueId=f"terraform-2026112010{next(_numbers):016}", tags=_tag_list(tags), **more
        )["pipelineId"]
        return made

    def find(self, pipeline_id: str) -> dict[str, Any] | None:
        """The description, or None where the provider drops the resource from its state."""
        try:
            answer = self.client.describe_pipelines(pipelineIds=[pipeline_id])
        except self.client.exceptions.ClientError as error:
            assert error.response["Error"]["Code"] in ABSENT
            return None
        return next((p for p in answer["pipelineDescriptionList"] if p["pipelineId"] == pipeline_id), None)

    def tags(self, pipeline_id: str) -> dict[str, str]:
        found = self.find(pipeline_id)
        assert found is not None
        return {tag["key"]: tag["value"] for tag in found["tags"]}

    def change_tags(self, pipeline_id: str, before: dict[str, str], after: dict[str, str]) -> None:
        """First what is gone is removed, then what is new or other is added."""
        gone = sorted(set(before) - set(after))
        if gone:
            self.client.remove_tags(pipelineId=pipeline_id, tagKeys=gone)
        new = {key: value for key, value in after.items() if before.get(key) != value}
        if new:
            self.client.add_tags(pipelineId=pipeline_id, tags=_tag_list(new))

    def define(self, pipeline_id: str, definition: dict[str, Any]) -> None:
        answer = self.client.put_pipeline_definition(pipelineId=pipeline_id, **definition)
        if answer["errored"]:
            texts = [f"id: {e['id']}, error: {text}" for e in answer["validationErrors"] for text in e["errors"]]
            raise ValueError("; ".join(texts))
        self.client.activate_pipeline(pipelineId=pipeline_id)

    def read(self, pipeline_id: str) -> dict[str, Any] | None:
        try:
            answer: dict[str, Any] = self.client.get_pipeline_definition(pipelineId=pipeline_id)
        except self.client.exceptions.ClientError as error:
            assert error.response["Error"]["Code"] in ABSENT
            return None
        return answer

    def destroy(self, pipeline_id: str) -> None:
        """Deletes, and waits until nothing is found; deleting what is gone is no error."""
        try:
            self.client.delete_pipeline(pipelineId=pipeline_id)
        except self.client.exceptions.ClientError as error:
            assert error.response["Error"]["Code"] in ABSENT
            return
        assert self.find(pipeline_id) is None


def _tag_list(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]


def as_sets(definition: dict[str, Any]) -> dict[str, Any]:
    """A definition as Terraform's state has it: sets of objects with sets of fields; an absent text is an empty one."""

    def entries(fields: list[dict[str, str]]) -> frozenset[tuple[str, str, str]]:
        made = [(f["key"], f.get("refValue", ""), f.get("stringValue", "")) for f in fields]
        assert len(set(made)) == len(made)
        return frozenset(made)

    return {
        "pipeline_object": {(o["id"], o["name"], entries(o["fields"])) for o in definition["pipelineObjects"]},
        "parameter_object": {(p["id"], entries(p["attributes"])) for p in definition.get("parameterObjects", ())},
        "parameter_value": {(v["id"], v["stringValue"]) for v in definition.get("parameterValues", ())},
    }


@pytest.fixture
def terraform(api: Api) -> Terraform:
    return Terraform(api)


def test_terraform_finds_the_pipeline_that_it_made(terraform: Terraform):
    pipeline_id = terraform.create("a name", {}, description="what it is for")
    found = terraform.find(pipeline_id)
    assert found is not None
    assert (found["name"], found["description"], found["tags"]) == ("a name", "what it is for", [])
    assert "description" not in (terraform.find(terraform.create("another", {})) or {"description": ""})


def test_terraform_sees_no_difference_between_what_it_put_and_what_it_reads(terraform: Terraform):
    pipeline_id = terraform.create("sets", {"team": "data"})
    given = command_line("myAWSCLICmd")
    terraform.define(pipeline_id, given)
    read = terraform.read(pipeline_id)
    assert read is not None
    assert as_sets(read) == as_sets(given)
    shuffled = {key: value[::-1] for key, value in given.items()}
    terraform.define(pipeline_id, shuffled)
    assert as_sets(terraform.read(pipeline_id) or {}) == as_sets(given)


def test_terraform_replaces_a_definition_by_putting_another_on_the_same_pipeline(api: Api, terraform: Terraform):
    pipeline_id = terraform.create("replaced", {})
    terraform.define(pipeline_id, command_line("myAWSCLICmd"))
    terraform.define(pipeline_id, command_line("myAWSCLICmd2"))
    read = terraform.read(pipeline_id)
    assert read is not None
    assert as_sets(read) == as_sets(command_line("myAWSCLICmd2"))
    fields = api.pipeline_fields(pipeline_id)
    assert (fields["@pipelineState"], fields["@version"]) == ("SCHEDULED", "2")


def test_terraform_activates_a_definition_of_nothing_but_a_default_object(api: Api, terraform: Terraform):
    pipeline_id = terraform.create("little", {})
    definition = {"pipelineObjects": [api_object(obj) for obj in WORKER_GROUP_ONLY]}
    terraform.define(pipeline_id, definition)
    terraform.define(pipeline_id, definition)  # the pipeline is FINISHED by now
    assert as_sets(terraform.read(pipeline_id) or {}) == as_sets(definition)


def test_terraform_is_told_what_is_wrong_and_activates_nothing(api: Api, terraform: Terraform):
    pipeline_id = terraform.create("wrong", {})
    wrong = {"pipelineObjects": [api_object({"id": "A", "type": "ShellCommandActivity", "runsOn": "Machine"})]}
    with pytest.raises(ValueError, match=r"id: A, error: 'runsOn' values must be of type"):
        terraform.define(pipeline_id, wrong)
    assert api.pipeline_fields(pipeline_id)["@pipelineState"] == "PENDING"


def test_terraform_changes_tags(terraform: Terraform):
    before = {"key1": "value1", "key2": "value2"}
    pipeline_id = terraform.create("tagged", before)
    assert terraform.tags(pipeline_id) == before
    for after in ({"key1": "value1updated", "key2": "value2"}, {"key2": "value2"}, {"key2": ""}, {}):
        terraform.change_tags(pipeline_id, before, after)
        assert terraform.tags(pipeline_id) == after
        before = after


def test_terraform_finds_nothing_after_it_destroyed_a_pipeline(terraform: Terraform):
    pipeline_id = terraform.create("destroyed", {})
    terraform.define(pipeline_id, command_line("myAWSCLICmd"))
    terraform.destroy(pipeline_id)
    assert terraform.find(pipeline_id) is None
    assert terraform.read(pipeline_id) is None
    terraform.destroy(pipeline_id)
    terraform.destroy("df-NEVERTHERE")
    assert terraform.find("df-NEVERTHERE") is None


class Ansible:
    """The calls of `community.aws.data_pipeline`: a pipeline goes by its name, on the first page of the list."""

    ACTIVE = ("ACTIVE", "SCHEDULED")
    INACTIVE = ("INACTIVE", "PENDING", "FINISHED", "DELETING")

    def __init__(self, api: Api) -> None:
        self.client = api.boto

    def find(self, name: str) -> str | None:
        return next((p["id"] for p in self.client.list_pipelines()["pipelineIdList"] if p["name"] == name), None)

    def field(self, pipeline_id: str, key: str) -> str:
        """A field of the description, which must be there as a text."""
        (described,) = self.client.describe_pipelines(pipelineIds=[pipeline_id])["pipelineDescriptionList"]
        return next(str(field["stringValue"]) for field in described["fields"] if field["key"] == key)

    def present(self, name: str, unique_id: str, objects: list[dict[str, Any]]) -> tuple[str, bool]:
        """The id and whether something changed: another uniqueId is a new pipeline in the place of the old one."""
        pipeline_id = self.find(name)
        if pipeline_id is not None and self.field(pipeline_id, "uniqueId") != unique_id:
            self.absent(name)
            pipeline_id = None
        if pipeline_id is None:
            tags = [{"key": "ansible", "value": "test"}]
            pipeline_id = self.client.create_pipeline(name=name, uniqueId=unique_id, description="", tags=tags)[
                "pipelineId"
            ]
        elif self.client.get_pipeline_definition(pipelineId=pipeline_id)["pipelineObjects"] == objects:
            return pipeline_id, False  # compared as lists: the order is part of it
        assert self.field(pipeline_id, "@pipelineState") != "FINISHED"
        self.client.put_pipeline_definition(
            pipelineId=pipeline_id, pipelineObjects=objects, parameterObjects=[], parameterValues=[]
        )
        return pipeline_id, True

    def active(self, name: str) -> bool:
        """Activates what is not active; FINISHED by the next look is as good."""
        pipeline_id = self.find(name)
        assert pipeline_id is not None
        if self.field(pipeline_id, "@pipelineState") in self.ACTIVE:
            return False
        self.client.activate_pipeline(pipelineId=pipeline_id)
        assert self.field(pipeline_id, "@pipelineState") in (*self.ACTIVE, "FINISHED")
        return True

    def inactive(self, name: str) -> bool:
        pipeline_id = self.find(name)
        assert pipeline_id is not None
        if self.field(pipeline_id, "@pipelineState") in self.INACTIVE:
            return False
        self.client.deactivate_pipeline(pipelineId=pipeline_id)
        assert self.field(pipeline_id, "@pipelineState") in self.INACTIVE
        return True

    def absent(self, name: str) -> bool:
        """Deletes and waits for the one or the other exception."""
        pipeline_id = self.find(name)
        if pipeline_id is None:
            return False
        self.client.delete_pipeline(pipelineId=pipeline_id)
        with pytest.raises(self.client.exceptions.ClientError) as gone:
            self.client.describe_pipelines(pipelineIds=[pipeline_id])
        assert gone.value.response["Error"]["Code"] in ABSENT
        assert gone.value.response["Error"]["Message"] == f"Pipeline with id: {pipeline_id} does not exist"
        return True


def test_ansible_makes_activates_stops_and_removes_a_pipeline(fresh_api: Api):
    ansible = Ansible(fresh_api)
    objects = command_line("myWord")["pipelineObjects"]
    objects[0]["fields"][1]["stringValue"] = "true"
    assert ansible.find("nightly") is None
    pipeline_id, changed = ansible.present("nightly", "one", [])
    assert changed
    with pytest.raises(fresh_api.boto.exceptions.InvalidRequestException, match="Pipeline definition is empty: "):
        ansible.active("nightly")
    assert json.loads(ansible.field(pipeline_id, "*tags")) == [{"key": "ansible", "value": "test"}]
    assert ansible.present("nightly", "one", objects) == (pipeline_id, True)
    assert ansible.present("nightly", "one", objects) == (pipeline_id, False)
    assert (ansible.inactive("nightly"), ansible.active("nightly"), ansible.active("nightly")) == (False, True, False)
    assert (ansible.inactive("nightly"), ansible.inactive("nightly"), ansible.active("nightly")) == (True, False, True)
    another, changed = ansible.present("nightly", "two", objects)
    assert changed
    assert another != pipeline_id
    assert (ansible.absent("nightly"), ansible.absent("nightly")) == (True, False)
