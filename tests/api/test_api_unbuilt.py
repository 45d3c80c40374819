"""Types that cannot run yet: put and validated with warnings, refused by ActivatePipeline with every such object."""

from __future__ import annotations

import pytest
from api_service import ON_DEMAND, Api, shell

TABLE = {"id": "Table", "type": "DynamoDBDataNode", "tableName": "t"}
COUNT = {
    "id": "Count",
    "type": "EmrActivity",
    "workerGroup": "g",
    "step": "s3://b/x.jar",
    "output": {"ref": "Table"},
}


def test_such_a_definition_is_put_with_warnings(api: Api):
    answer = api.put(api.create(), {**ON_DEMAND, "pipelineLogUri": "s3://logs/"}, COUNT, TABLE)
    assert (answer["errored"], answer["validationErrors"]) == (False, [])
    assert {entry["id"]: entry["warnings"] for entry in answer["validationWarnings"]} == {
        "Count": ["EmrActivity validates, but Penstock cannot run it yet: activation is refused."],
        "Table": ["DynamoDBDataNode validates, but Penstock cannot run it yet: activation is refused."],
    }


def test_activation_is_refused_with_every_such_object_and_creates_nothing(api: Api, group: str):
    pipeline_id = api.pipeline(ON_DEMAND, COUNT, TABLE, shell("A", group))
    with pytest.raises(api.boto.exceptions.InvalidRequestException) as refused:
        api.boto.activate_pipeline(pipelineId=pipeline_id)
    assert refused.value.response["Error"]["Message"] == (
        "The pipeline definition has errors: Count: EmrActivity cannot run in Penstock yet. Activity types that can"
        " run: CopyActivity, RedshiftCopyActivity, ShellCommandActivity, SqlActivity.; Table: DynamoDBDataNode cannot"
        " run in Penstock yet. DataNode types that can run: MySqlDataNode, RedshiftDataNode, S3DataNode, SqlDataNode."
    )
    assert api.pipeline_fields(pipeline_id)["@pipelineState"] == "PENDING"
    assert api.ids(pipeline_id) == []


def test_a_definition_of_clusters_with_all_their_utilities_is_activated(api: Api, group: str):
    pipeline_id = api.activated(
        ON_DEMAND,
        shell("A", group, workerGroup=group),
        {"id": "K", "type": "EmrConfiguration", "classification": "core-site", "property": {"ref": "P"}},
        {"id": "P", "type": "Property", "key": "a", "value": "b"},
        {"id": "X", "type": "HttpProxy", "hostname": "h", "port": "8080", "*password": "hush"},
        {"id": "V", "type": "VolumeSpecification", "anything": "x"},
    )
    assert api.status(pipeline_id, "A") == "WAITING_FOR_RUNNER"
    stored = api.fields(pipeline_id, "X")
    assert stored["*password"] == "*****"
