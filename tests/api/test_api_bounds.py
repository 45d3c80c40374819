"""What one request may ask for: everything that would take the service long, or much memory, has a most."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from api_service import ON_DEMAND, Api, code_of, shell
from botocore.exceptions import ClientError


def test_a_body_of_a_million_values_is_refused_before_it_is_read(api: Api):
    started = time.process_time()
    answer = api.raw("DataPipeline.CreatePipeline", b'{"tags":[' + b"{}," * 4_000_000 + b"{}]}")
    assert (answer[0], code_of(answer)) == (400, "SerializationException")
    assert "more than 1,000,000 values" in json.loads(answer[2])["message"]
    assert time.process_time() - started < 3


@pytest.mark.parametrize(
    ("operation", "members", "text"),
    [
        ("describe_pipelines", {"pipelineIds": ["df-1"] * 101}, "101 pipelines are asked for; 100 is the most"),
        ("set_status", {"pipelineId": "", "objectIds": ["A"] * 1001, "status": "PAUSE"}, "1,000 is the most at once"),
        (
            "query_objects",
            {
                "pipelineId": "",
                "sphere": "INSTANCE",
                "query": {
                    "selectors": [
                        {"fieldName": "id", "operator": {"type": "EQ", "values": [str(n) for n in range(1001)]}}
                    ]
                },
            },
            "at most 1,000 values; 1,001 are given",
        ),
        (
            "activate_pipeline",
            {"pipelineId": "", "parameterValues": [{"id": f"my{n}", "stringValue": "x"} for n in range(10_001)]},
            "10,001 parameter values are given; 10,000 is the most",
        ),
        ("evaluate_expression", {"pipelineId": "", "objectId": "A", "expression": "#{1}" * 6000}, "20,480 characters"),
        (
            "put_pipeline_definition",
            {"pipelineId": "", "pipelineObjects": [{"id": f"A{n}", "name": "A", "fields": []} for n in range(5001)]},
            "5,001 objects; 5,000 is the most",
        ),
    ],
)
def test_a_request_that_asks_for_too_much_is_refused(api: Api, operation: str, members: dict[str, Any], text: str):
    if "pipelineId" in members:
        members = {**members, "pipelineId": api.pipeline(ON_DEMAND, shell("A", "g"))}
    with pytest.raises(ClientError, match="InvalidRequestException") as caught:
        getattr(api.boto, operation)(**members)
    assert text in str(caught.value)


def test_keys_that_no_tag_has_cost_nothing_to_remove(api: Api):
    pipeline_id = api.create(tags=[{"key": "a", "value": "b"}])
    api.boto.remove_tags(pipelineId=pipeline_id, tagKeys=["a", *[f"x{n}" for n in range(100_000)]])
    assert "*tags" not in api.pipeline_fields(pipeline_id)


def test_a_definition_whose_period_is_nothing_cannot_be_previewed(api: Api):
    schedule = {"id": "S", "type": "Schedule", "period": "0 days", "startAt": "FIRST_ACTIVATION_DATE_TIME"}
    pipeline_id = api.create()
    api.put(pipeline_id, {"id": "Default", "scheduleType": "cron", "schedule": {"ref": "S"}}, schedule, shell("A", "g"))
    answer = api.raw("Penstock.PreviewIntervals", json.dumps({"pipelineId": pipeline_id}).encode())
    assert (answer[0], code_of(answer)) == (400, "InvalidRequestException")
    assert "longer than nothing" in json.loads(answer[2])["message"]


def test_expressions_that_read_each_other_deeply_end_in_an_error(api: Api):
    fields = {f"my_{n}": "#{" + "1+(" * 90 + f"my_{n + 1}" + ")" * 90 + "}" for n in range(31)}
    pipeline_id = api.create()
    api.put(pipeline_id, ON_DEMAND, shell("A", "g", **fields, my_31="1"))
    with pytest.raises(ClientError, match="InvalidRequestException"):
        api.boto.evaluate_expression(pipelineId=pipeline_id, objectId="A", expression="#{my_0}")
