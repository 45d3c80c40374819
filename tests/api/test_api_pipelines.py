"""Pipelines as a whole: create, describe, list, tags, delete."""

from __future__ import annotations

import json
import re

import pytest
from api_service import ON_DEMAND, Api, shell

SCHEDULED = (
    {"id": "Default", "scheduleType": "cron", "failureAndRerunMode": "cascade", "schedule": {"ref": "Hourly"}},
    {
        "id": "Hourly",
        "type": "Schedule",
        "period": "1 hour",
        "startAt": "FIRST_ACTIVATION_DATE_TIME",
        "occurrences": "3",
    },
)
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")


def test_a_pipeline_has_an_id_like_the_services(api: Api):
    assert re.fullmatch(r"df-[A-Z0-9]{20}", api.create())


def test_the_same_name_and_unique_id_give_the_same_pipeline(api: Api):
    create = api.boto.create_pipeline
    first = create(name="twice", uniqueId="u")["pipelineId"]
    assert create(name="twice", uniqueId="u", description="other")["pipelineId"] == first
    assert create(name="twice", uniqueId="v")["pipelineId"] != first
    assert create(name="other", uniqueId="u")["pipelineId"] != first


def test_the_name_and_unique_id_of_a_deleted_pipeline_may_be_used_again(api: Api):
    first = api.boto.create_pipeline(name="again", uniqueId="u")["pipelineId"]
    api.boto.delete_pipeline(pipelineId=first)
    assert api.boto.create_pipeline(name="again", uniqueId="u")["pipelineId"] != first


def test_a_pipeline_that_was_never_activated_has_the_recorded_fields(api: Api):
    tags = [{"key": "team", "value": "data"}, {"key": "tier", "value": ""}]
    pipeline_id = api.boto.create_pipeline(name="n", uniqueId="before", description="what it does", tags=tags)[
        "pipelineId"
    ]
    described = api.boto.describe_pipelines(pipelineIds=[pipeline_id])["pipelineDescriptionList"][0]
    assert (described["pipelineId"], described["name"]) == (pipeline_id, "n")
    assert (described["description"], described["tags"]) == ("what it does", tags)
    fields = api.pipeline_fields(pipeline_id)
    assert TIME.fullmatch(fields.pop("@creationTime"))
    assert fields.pop("@userId") == fields.pop("pipelineCreator") == "first key"
    assert re.fullmatch(r"\d{12}", fields.pop("@accountId"))
    assert fields == {
        "@id": pipeline_id,
        "@sphere": "PIPELINE",
        "@pipelineState": "PENDING",
        "name": "n",
        "uniqueId": "before",
        "description": "what it does",
        "*tags": '[{"key":"team","value":"data"},{"key":"tier","value":""}]',
    }


def test_a_pipeline_without_description_and_tags_has_no_such_fields(api: Api):
    fields = api.pipeline_fields(api.create())
    assert not {"description", "*tags", "@version", "@healthStatus", "@firstActivationTime"} & set(fields)


def test_an_activated_pipeline_has_the_fields_of_its_schedule(api: Api, group: str):
    pipeline_id = api.activated(*SCHEDULED, shell("A", group))
    fields = api.pipeline_fields(pipeline_id)
    assert (fields["@pipelineState"], fields["@version"]) == ("SCHEDULED", "1")
    assert fields["@scheduledPeriod"] == "1 hour"
    start, end, upcoming = fields["@scheduledStartTime"], fields["@scheduledEndTime"], fields["@nextRunTime"]
    assert fields["@firstActivationTime"] == fields["@lastActivationTime"] == start < upcoming < end
    assert "@healthStatus" not in fields
    assert "@finishedTime" not in fields


def test_the_version_is_that_of_the_last_activation(api: Api, group: str):
    pipeline_id = api.activated(ON_DEMAND, shell("A", group))
    api.put(pipeline_id, ON_DEMAND, shell("A", group, command="false"))
    assert api.pipeline_fields(pipeline_id)["@version"] == "1"
    api.boto.activate_pipeline(pipelineId=pipeline_id)
    assert api.pipeline_fields(pipeline_id)["@version"] == "2"


def test_a_finished_pipeline_says_when_and_how_healthy_it_is(api: Api, group: str):
    pipeline_id = api.activated(ON_DEMAND, shell("A", group))
    api.boto.set_task_status(taskId=api.poll(group)["taskId"], taskStatus="FINISHED")
    fields = api.pipeline_fields(pipeline_id)
    assert (fields["@pipelineState"], fields["@healthStatus"]) == ("FINISHED", "HEALTHY")
    assert TIME.fullmatch(fields["@finishedTime"])
    assert not {"@scheduledPeriod", "@scheduledEndTime", "@nextRunTime"} & set(fields)


def test_a_component_that_failed_makes_the_pipeline_unhealthy(api: Api, group: str):
    pipeline_id = api.activated(ON_DEMAND, shell("A", group))
    api.boto.set_task_status(taskId=api.poll(group)["taskId"], taskStatus="FAILED")
    assert api.pipeline_fields(pipeline_id)["@healthStatus"] == "ERROR"


def test_an_unknown_pipeline_is_not_found(api: Api):
    with pytest.raises(api.boto.exceptions.PipelineNotFoundException) as refused:
        api.boto.describe_pipelines(pipelineIds=["df-0000"])
    assert refused.value.response["Error"]["Message"] == "Pipeline with id: df-0000 does not exist"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


@pytest.mark.parametrize(
    ("operation", "more"),
    [
        ("describe_pipelines", {}),
        ("get_pipeline_definition", {}),
        ("activate_pipeline", {}),
        ("deactivate_pipeline", {}),
        ("delete_pipeline", {}),
        ("describe_objects", {"objectIds": ["A"]}),
        ("query_objects", {"sphere": "INSTANCE"}),
        ("evaluate_expression", {"objectId": "A", "expression": "x"}),
        ("put_pipeline_definition", {"pipelineObjects": []}),
        ("validate_pipeline_definition", {"pipelineObjects": []}),
        ("set_status", {"objectIds": ["A"], "status": "RERUN"}),
        ("add_tags", {"tags": [{"key": "k", "value": "v"}]}),
        ("remove_tags", {"tagKeys": ["k"]}),
    ],
)
def test_a_deleted_pipeline_is_deleted_for_every_operation(api: Api, operation: str, more: dict[str, object]):
    pipeline_id = api.create()
    api.boto.delete_pipeline(pipelineId=pipeline_id)
    which = {"pipelineIds": [pipeline_id]} if operation == "describe_pipelines" else {"pipelineId": pipeline_id}
    with pytest.raises(api.boto.exceptions.PipelineDeletedException) as refused:
        getattr(api.boto, operation)(**which, **more)
    assert refused.value.response["Error"]["Message"] == f"Pipeline with id: {pipeline_id} does not exist"


def test_a_deleted_pipeline_takes_its_tasks_along(api: Api, group: str):
    pipeline_id = api.activated(ON_DEMAND, shell("A", group))
    task = api.poll(group)
    api.boto.delete_pipeline(pipelineId=pipeline_id)
    with pytest.raises(api.boto.exceptions.TaskNotFoundException):
        api.boto.report_task_progress(taskId=task["taskId"])


def test_tags_are_added_changed_and_removed(api: Api):
    pipeline_id = api.create(tags=[{"key": "a", "value": "1"}])
    api.boto.add_tags(pipelineId=pipeline_id, tags=[{"key": "a", "value": "2"}, {"key": "b", "value": "3"}])
    assert json.loads(api.pipeline_fields(pipeline_id)["*tags"]) == [
        {"key": "a", "value": "2"},
        {"key": "b", "value": "3"},
    ]
    api.boto.remove_tags(pipelineId=pipeline_id, tagKeys=["a", "unknown"])
    assert api.boto.describe_pipelines(pipelineIds=[pipeline_id])["pipelineDescriptionList"][0]["tags"] == [
        {"key": "b", "value": "3"}
    ]


def test_a_pipeline_has_ten_tags_at_most(api: Api):
    pipeline_id = api.create(tags=[{"key": f"k{n}", "value": ""} for n in range(10)])
    with pytest.raises(api.boto.exceptions.InvalidRequestException, match="at most 10 tags; this would make 11"):
        api.boto.add_tags(pipelineId=pipeline_id, tags=[{"key": "one more", "value": ""}])


def test_pipelines_are_listed_fifty_a_page(api: Api):
    made = {api.create(name=f"listed {number}") for number in range(55)}
    first = api.boto.list_pipelines()
    assert len(first["pipelineIdList"]) == 50
    assert first["hasMoreResults"] is True
    assert first["marker"] == first["pipelineIdList"][-1]["id"]
    pages = list(api.boto.get_paginator("list_pipelines").paginate())
    listed = [entry["id"] for page in pages for entry in page["pipelineIdList"]]
    assert made <= set(listed)
    assert len(listed) == len(set(listed))
    assert pages[-1]["hasMoreResults"] is False
    deleted = made.pop()
    api.boto.delete_pipeline(pipelineId=deleted)
    pages = api.boto.get_paginator("list_pipelines").paginate()
    assert deleted not in {entry["id"] for page in pages for entry in page["pipelineIdList"]}
