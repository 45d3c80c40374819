"""More than a page: pipelines, instances and objects by the hundred and by the thousand, with boto3 and with `aws`."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from api_service import ON_DEMAND, Api, running, shell, until
from aws_command import Aws

PIPELINES, INSTANCES = 120, 5000
HOURLY = (
    {"id": "Default", "scheduleType": "cron", "schedule": {"ref": "Hourly"}, "failureAndRerunMode": "cascade"},
    {
        "id": "Hourly",
        "type": "Schedule",
        "period": "1 hour",
        "startDateTime": "2020-01-01T00:00:00",
        "occurrences": str(INSTANCES),
    },
)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A service with 120 pipelines; one of them, `hourly`, has 5,000 instances."""
    with contextmanager(running)(tmp_path_factory.mktemp("many") / "data", "long_poll = 1") as api:
        for number in range(PIPELINES - 1):
            api.create(name=f"pipeline {number}")
        yield api


@pytest.fixture(scope="module")
def hourly(many: Api) -> str:
    """A pipeline with 5,000 instances: its activation begins after all of its intervals, so each of them is SKIPPED."""
    pipeline_id = many.pipeline(*HOURLY, shell("A", "nobody"))
    many.boto.activate_pipeline(pipelineId=pipeline_id, startTimestamp=datetime(2025, 1, 1, tzinfo=UTC))
    until(lambda: many.pipeline_fields(pipeline_id)["@pipelineState"] == "FINISHED")
    return pipeline_id


@pytest.fixture(scope="module")
def instances(many: Api, hourly: str) -> list[str]:
    """The ids of all instances, from QueryObjects."""
    pages = many.boto.get_paginator("query_objects").paginate(pipelineId=hourly, sphere="INSTANCE")
    return [identity for page in pages for identity in page["ids"]]


def test_all_pipelines_are_listed_once_in_pages_of_fifty(many: Api, hourly: str):
    pages = list(many.boto.get_paginator("list_pipelines").paginate())
    assert [len(page["pipelineIdList"]) for page in pages] == [50, 50, 20]
    assert len({entry["id"] for page in pages for entry in page["pipelineIdList"]}) == PIPELINES
    for before, after in pairwise(pages):
        assert before["marker"] == before["pipelineIdList"][-1]["id"] < after["pipelineIdList"][0]["id"]
    assert "marker" not in pages[-1]


def test_a_deleted_pipeline_is_as_good_a_marker(many: Api, hourly: str):
    first = many.boto.list_pipelines()
    rest = many.boto.list_pipelines(marker=first["marker"])["pipelineIdList"]
    marker = first["marker"]
    if marker != hourly:
        many.boto.delete_pipeline(pipelineId=marker)
        many.create(name="in its place")
    assert rest[0] in many.boto.list_pipelines(marker=marker)["pipelineIdList"]


def test_aws_lists_all_pipelines(many: Api, hourly: str):
    listed = Aws(many).json("list-pipelines")["pipelineIdList"]
    assert len({entry["id"] for entry in listed}) == len(listed) == PIPELINES


def test_five_thousand_instances_are_found_in_pages_of_a_hundred(many: Api, hourly: str, instances: list[str]):
    assert len(instances) == len(set(instances)) == INSTANCES
    assert instances == sorted(instances)
    first = many.boto.query_objects(pipelineId=hourly, sphere="INSTANCE")
    assert (len(first["ids"]), first["hasMoreResults"], first["marker"]) == (100, True, first["ids"][-1])


@pytest.mark.by_hand
def test_aws_queries_five_thousand_instances(many: Api, hourly: str, instances: list[str]):
    which = ("--pipeline-id", hourly, "--sphere", "INSTANCE")
    assert Aws(many).json("query-objects", *which)["ids"] == instances
    query = '{"selectors":[{"fieldName":"@scheduledStartTime","operator":{"type":"LE","values":["2020-01-03"]}}]}'
    assert Aws(many).json("query-objects", *which, "--objects-query", query)["ids"] == instances[:48]


def test_aws_lists_more_than_a_thousand_runs(many: Api, hourly: str):
    runs = Aws(many).json(
        "list-runs", "--pipeline-id", hourly, "--schedule-interval", "2020-01-01T00:00:00,2020-02-15T00:00:00"
    )
    assert len(runs) == 45 * 24 + 1
    assert {run["@status"] for run in runs} == {"SKIPPED"}
    assert {run["@componentParent"] for run in runs} == {"A"}


@pytest.mark.by_hand
def test_five_thousand_objects_are_described_in_memory_that_does_not_grow(many: Api, hourly: str, instances: list[str]):
    """Client and server are in this process: the peak of a late page is that of an early one."""
    peaks: list[int] = []
    described = 0
    pages = iter(many.boto.get_paginator("describe_objects").paginate(pipelineId=hourly, objectIds=instances))
    for number in range(INSTANCES // 100):
        if number in (2, 47):
            tracemalloc.start()
        described += len(next(pages)["pipelineObjects"])
        if number in (2, 3, 4, 47, 48, 49):
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.reset_peak()
        if number in (4, 49):
            tracemalloc.stop()
    assert described == INSTANCES
    assert next(pages, None) is None
    early, late = max(peaks[:3]), max(peaks[3:])
    assert late < early * 1.3, (early, late)
    assert late < 8_000_000


def test_a_definition_of_250_objects_and_263_parameters_is_put_and_activated(api: Api, group: str):
    parameters = [
        {
            "id": f"myParameter{number}",
            "attributes": [{"key": "type", "stringValue": "String"}, {"key": "default", "stringValue": f"v{number}"}],
        }
        for number in range(263)
    ]
    activities = [
        shell(f"A{number}", group, command=f"echo #{{myParameter{number}}}", dependsOn={"ref": f"A{number - 1}"})
        if number
        else shell("A0", group, command="echo #{myParameter0} #{myParameter262}")
        for number in range(249)
    ]
    values = [{"id": "myParameter0", "stringValue": "given"}]
    pipeline_id = api.pipeline(ON_DEMAND, *activities, parameterObjects=parameters, parameterValues=values)
    got = api.boto.get_pipeline_definition(pipelineId=pipeline_id)
    assert (len(got["pipelineObjects"]), got["parameterObjects"], got["parameterValues"]) == (250, parameters, values)
    api.boto.activate_pipeline(pipelineId=pipeline_id)
    task = api.poll(group)
    fields = {f["key"]: f.get("stringValue") for f in task["objects"][task["attemptId"]]["fields"]}
    assert fields["command"] == "echo given v262"
    progress = api.own.call("DescribeProgress", pipelineId=pipeline_id)
    assert sum(entry["count"] for entry in progress["counts"]) == 249
