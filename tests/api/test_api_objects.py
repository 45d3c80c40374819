"""Components, instances and attempts: their fields, queries, expressions, and the status that people set."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from api_service import ON_DEMAND, Api, shell

from penstock.wire.errors import ServiceError

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
START = datetime(2020, 1, 1, tzinfo=UTC)
DAILY = (
    {"id": "Default", "scheduleType": "cron", "failureAndRerunMode": "cascade", "schedule": {"ref": "Daily"}},
    {"id": "Daily", "type": "Schedule", "period": "1 day", "startDateTime": "2020-01-01T00:00:00", "occurrences": "4"},
)


def week(api: Api, group: str, **fields: Any) -> str:
    """Four days: the first two FINISHED, the third FAILED, the fourth waits for a runner."""
    pipeline_id = api.pipeline(*DAILY, shell("A", group, maximumRetries="0", **fields))
    api.boto.activate_pipeline(pipelineId=pipeline_id, startTimestamp=START)
    for status in ("FINISHED", "FINISHED", "FAILED"):
        api.boto.set_task_status(taskId=api.poll(group)["taskId"], taskStatus=status)
    return pipeline_id


def day(number: int) -> str:
    return f"2020-01-{number:02}T00:00:00"


def graph(group: str) -> tuple[dict[str, Any], ...]:
    """An activity on a resource that reads one node and writes another, which a second one reads."""
    return (
        ON_DEMAND,
        {"id": "In", "type": "S3DataNode", "filePath": "s3://b/in"},
        {"id": "Out", "type": "S3DataNode", "filePath": "s3://b/#{format(@scheduledStartTime, 'YYYY')}"},
        {"id": "Machine", "type": "Ec2Resource"},
        {
            "id": "Work",
            "type": "CopyActivity",
            "runsOn": {"ref": "Machine"},
            "input": {"ref": "In"},
            "output": {"ref": "Out"},
        },
        shell("After", group, dependsOn={"ref": "Work"}),
    )


def test_an_activity_instance_has_the_recorded_fields(api: Api, group: str):
    pipeline_id = api.activated(*graph(group))
    start = api.instance(pipeline_id, "Work").removeprefix("@Work_")
    assert TIME.fullmatch(start)
    fields = api.fields(pipeline_id, f"@Work_{start}")
    assert fields["@componentParent"] == fields["parent"] == "ref:Work"
    assert (fields["type"], fields["@sphere"], fields["@version"]) == ("CopyActivity", "INSTANCE", "1")
    assert fields["@scheduledStartTime"] == fields["@scheduledEndTime"] == start
    assert fields["@resource"] == f"ref:@Machine_{start}"
    assert (fields["input"], fields["output"]) == (f"ref:@In_{start}", f"ref:@Out_{start}")
    assert fields["@status"] == "WAITING_ON_DEPENDENCIES"
    assert TIME.fullmatch(fields["@actualStartTime"])  # when it was taken up; it may still wait then
    assert "@actualEndTime" not in fields
    assert fields["@waitingOn"] == f"ref:@Machine_{start}"
    assert (fields["@attemptCount"], fields["@triesLeft"]) == ("0", "0")
    assert "@headAttempt" not in fields
    after = api.fields(pipeline_id, f"@After_{start}")
    assert after["dependsOn"] == after["@waitingOn"] == f"ref:@Work_{start}"


def test_a_data_node_shows_who_writes_and_who_reads_it(api: Api, group: str):
    pipeline_id = api.activated(*graph(group))
    start = api.instance(pipeline_id, "Work").removeprefix("@Work_")
    assert api.fields(pipeline_id, f"@In_{start}")["output"] == f"ref:@Work_{start}"
    assert api.fields(pipeline_id, f"@Out_{start}")["input"] == f"ref:@Work_{start}"


def test_a_resource_shows_whom_it_serves_and_once_it_runs_its_id(api: Api, group: str):
    pipeline_id = api.activated(*graph(group))
    resource = api.instance(pipeline_id, "Machine")
    work = resource.replace("@Machine", "@Work")
    waiting = api.fields(pipeline_id, resource)
    assert waiting["input"] == f"ref:{work}"
    assert waiting["@status"] == "CREATING"
    api.boto.set_status(pipelineId=pipeline_id, objectIds=[work], status="CANCEL")
    own_group = f"resource:{pipeline_id}_{resource}"
    assert api.boto.report_task_runner_heartbeat(taskrunnerId="r", workerGroup=own_group)["terminate"] is True
    second = api.activated(*graph(group))
    resource = api.instance(second, "Machine")
    own_group = f"resource:{second}_{resource}"
    system = api.client(api.system_key())
    while api.poll("penstock:system", system)["pipelineId"] != second:  # the group has the tasks of other tests
        pass
    assert api.boto.report_task_runner_heartbeat(taskrunnerId="r", workerGroup=own_group)["terminate"] is False
    fields = api.fields(second, resource)
    assert fields["@status"] == "RUNNING"
    assert fields["@resourceId"] == f"{second}_{resource}"
    assert fields["@resourceRegion"]


def test_an_attempt_belongs_to_its_instance_and_says_when_it_ran(api: Api, group: str):
    pipeline_id = api.activated(ON_DEMAND, shell("A", group))
    instance = api.instance(pipeline_id, "A")
    task = api.poll(group)
    assert task["attemptId"] == f"{instance}_Attempt=1"
    report = [{"key": "attemptStatus", "stringValue": "half"}, {"key": "hostname", "stringValue": "a-host"}]
    api.boto.report_task_progress(taskId=task["taskId"], fields=report)
    fields = api.fields(pipeline_id, task["attemptId"])
    assert fields["@instanceParent"] == f"ref:{instance}"
    assert fields["@componentParent"] == "ref:A"
    assert (fields["@sphere"], fields["@status"], fields["workerGroup"]) == ("ATTEMPT", "RUNNING", group)
    assert TIME.fullmatch(fields["@actualStartTime"])
    assert fields["attemptStatus"] == "half"
    assert "@actualEndTime" not in fields
    assert api.fields(pipeline_id, instance)["@headAttempt"] == f"ref:{task['attemptId']}"


def test_what_failed_says_why_and_what_it_took_along(api: Api, group: str):
    pipeline_id = api.activated(ON_DEMAND, shell("A", group), shell("B", group, dependsOn={"ref": "A"}))
    task = api.poll(group)
    errors = {"errorId": "Broke", "errorMessage": "it broke", "errorStackTrace": "at line 1"}
    api.boto.set_task_status(taskId=task["taskId"], taskStatus="FAILED", **errors)
    for identity in (api.instance(pipeline_id, "A"), task["attemptId"]):
        fields = api.fields(pipeline_id, identity)
        assert fields["@status"] == "FAILED"
        assert {key: fields[key] for key in errors} == errors
        assert TIME.fullmatch(fields["@actualEndTime"])
    consumer = api.fields(pipeline_id, api.instance(pipeline_id, "B"))
    assert consumer["@status"] == "CASCADE_FAILED"
    assert consumer["@cascadeFailedOn"] == f"ref:{api.instance(pipeline_id, 'A')}"


def test_a_component_has_what_happened_to_its_instances(api: Api, group: str):
    pipeline_id = week(api, group)
    fields = api.fields(pipeline_id, "A")
    assert (fields["@sphere"], fields["type"], fields["@healthStatus"]) == (
        "COMPONENT",
        "ShellCommandActivity",
        "ERROR",
    )
    assert fields["@healthStatusFromInstanceId"] == f"@A_{day(3)}"
    assert TIME.fullmatch(fields["@healthStatusUpdatedTime"])
    assert (fields["@latestRunTime"], fields["@latestCompletedRunTime"]) == (day(4), day(3))
    assert fields["@activeInstances"] == f"ref:@A_{day(4)}"
    assert "@nextRunTime" not in fields
    api.boto.deactivate_pipeline(pipelineId=pipeline_id)
    assert TIME.fullmatch(api.fields(pipeline_id, "A")["@lastDeactivatedTime"])
    assert "@healthStatus" not in api.fields(pipeline_id, "Daily")


def test_expressions_are_shown_as_written_or_evaluated(api: Api, group: str):
    pipeline_id = api.activated(*graph(group))
    instance = api.instance(pipeline_id, "Out")
    year = instance.removeprefix("@Out_")[:4]
    written = "s3://b/#{format(@scheduledStartTime, 'YYYY')}"
    assert api.fields(pipeline_id, instance)["filePath"] == written
    assert api.fields(pipeline_id, instance, evaluateExpressions=True)["filePath"] == f"s3://b/{year}"
    assert api.fields(pipeline_id, "Out", evaluateExpressions=True)["filePath"] == written


def test_objects_can_be_described_before_the_first_activation(api: Api, group: str):
    pipeline_id = api.pipeline(ON_DEMAND, shell("A", group))
    assert api.fields(pipeline_id, "A")["workerGroup"] == group
    assert api.ids(pipeline_id, "COMPONENT") == ["Default", "A"]
    assert api.ids(pipeline_id, "INSTANCE") == []


def test_an_unknown_object_is_refused(api: Api, group: str):
    pipeline_id = api.activated(ON_DEMAND, shell("A", group))
    for identity in ("B", "@B_2020-01-01T00:00:00", "@A_2020-01-01T00:00:00_Attempt=1"):
        with pytest.raises(api.boto.exceptions.InvalidRequestException, match=f"has no object '{identity}'"):
            api.boto.describe_objects(pipelineId=pipeline_id, objectIds=["A", identity])


def test_objects_are_described_a_hundred_a_page(api: Api, group: str):
    pipeline_id = api.pipeline(ON_DEMAND, *(shell(f"A{number}", group) for number in range(130)))
    ids = [f"A{number}" for number in range(130)]
    pages = list(api.boto.get_paginator("describe_objects").paginate(pipelineId=pipeline_id, objectIds=ids))
    assert [len(page["pipelineObjects"]) for page in pages] == [100, 30]
    assert [obj["id"] for page in pages for obj in page["pipelineObjects"]] == ids
    with pytest.raises(api.boto.exceptions.InvalidRequestException, match="The marker 'x'"):
        api.boto.describe_objects(pipelineId=pipeline_id, objectIds=ids, marker="x")


def test_queries_are_answered_in_pages_of_the_limit(api: Api, group: str):
    pipeline_id = api.pipeline(ON_DEMAND, *(shell(f"A{number}", group) for number in range(130)))
    query = {"pipelineId": pipeline_id, "sphere": "COMPONENT"}
    first = api.boto.query_objects(**query)
    assert (len(first["ids"]), first["hasMoreResults"]) == (100, True)
    pages = api.boto.get_paginator("query_objects").paginate(**query, limit=50)
    assert [len(page["ids"]) for page in pages] == [50, 50, 31]
    for limit in (0, 101, -1):
        with pytest.raises(api.boto.exceptions.InvalidRequestException, match="must be from 1 to 100"):
            api.boto.query_objects(**query, limit=limit)


def test_every_operator_finds_what_it_says(api: Api, group: str):
    pipeline_id = week(api, group)

    def days(*selectors: tuple[str, str, list[str]]) -> list[int]:
        return [int(i.removeprefix("@A_")[8:10]) for i in api.ids(pipeline_id, "INSTANCE", *selectors)]

    assert days() == [1, 2, 3, 4]
    assert days(("@status", "EQ", ["FINISHED"])) == [1, 2]
    assert days(("@status", "EQ", ["FAILED", "WAITING_FOR_RUNNER"])) == [3, 4]
    assert days(("@scheduledStartTime", "LE", [day(2)])) == [1, 2]
    assert days(("@scheduledStartTime", "GE", [day(2)])) == [2, 3, 4]
    assert days(("@scheduledStartTime", "BETWEEN", [day(2), day(3)])) == [2, 3]
    assert days(("@componentParent", "REF_EQ", ["A"])) == [1, 2, 3, 4]
    assert days(("@componentParent", "REF_EQ", ["B"])) == []
    assert days(("workerGroup", "EQ", [group])) == [1, 2, 3, 4]
    assert days(("workerGroup", "EQ", ["another"])) == []
    assert days(("@actualEndTime", "GE", ["2000-01-01T00:00:00"])) == [1, 2, 3]
    assert days(("noSuchField", "EQ", ["x"])) == []
    assert days(("name", "EQ", [f"@A_{day(1)}"])) == [1]
    assert days(("@status", "EQ", ["FINISHED"]), ("@scheduledStartTime", "GE", [day(2)])) == [2]
    assert days(("@status", "EQ", ["FINISHED"]), ("workerGroup", "EQ", ["another"])) == []


@pytest.mark.parametrize(
    ("field", "kind", "values", "found"),
    [
        ("@sphere", "EQ", ["INSTANCE"], [1, 2, 3, 4]),
        ("@sphere", "EQ", ["ATTEMPT"], []),
        ("name", "EQ", [f"@A_{day(2)}", f"@A_{day(4)}", "another"], [2, 4]),
        ("id", "BETWEEN", [f"@A_{day(2)}", f"@A_{day(3)}"], [2, 3]),
        ("parent", "REF_EQ", ["another", "A"], [1, 2, 3, 4]),
        ("parent", "EQ", ["A"], []),  # only REF_EQ compares references
        ("parent", "GE", ["A"], []),
        ("parent", "BETWEEN", ["A", "B"], []),
        ("@status", "REF_EQ", ["FINISHED"], []),  # and it compares nothing else
        ("@headAttempt", "REF_EQ", [f"@A_{day(3)}_Attempt=1"], [3]),
        ("schedule", "REF_EQ", ["Daily"], [1, 2, 3, 4]),
        ("@scheduledStartTime", "EQ", [day(1), day(4)], [1, 4]),
        ("@scheduledEndTime", "LE", [day(3)], [1, 2]),
        ("@actualStartTime", "GE", ["2020-01-01"], [1, 2, 3, 4]),
        ("@actualEndTime", "LE", ["2999-01-01"], [1, 2, 3]),  # what has no such field is not found
        ("@actualEndTime", "BETWEEN", ["2000-01-01", "2001-01-01"], []),
        ("@attemptCount", "LE", ["10"], [1, 2, 3, 4]),  # whole numbers by their value
        ("@attemptCount", "BETWEEN", ["0", "9"], [1, 2, 3, 4]),
        ("maximumRetries", "GE", ["-1"], [1, 2, 3, 4]),
        ("errorMessage", "GE", [""], [3]),
        ("type", "EQ", ["ShellCommandActivity"], [1, 2, 3, 4]),
        ("scriptArgument", "EQ", ["second"], [1, 2, 3, 4]),  # any value of a list
        ("scriptArgument", "EQ", ["third"], []),
        ("@version", "EQ", ["1"], [1, 2, 3, 4]),
    ],
)
def test_every_operator_works_on_every_kind_of_field(
    api: Api, queried: str, field: str, kind: str, values: list[str], found: list[int]
):
    days = [int(identity.removeprefix("@A_")[8:10]) for identity in api.ids(queried, "INSTANCE", (field, kind, values))]
    assert days == found


@pytest.fixture(scope="session")
def queried(api: Api) -> str:
    """The pipeline of `week`, which queries do not change."""
    return week(api, "queried", scriptArgument=["first", "second"])


def test_the_words_of_list_runs_for_statuses_are_understood(api: Api, group: str):
    pipeline_id = api.activated(
        ON_DEMAND, shell("A", group), shell("B", group), shell("C", group, dependsOn={"ref": "B"})
    )
    a, b, c = (api.instance(pipeline_id, name) for name in "ABC")
    api.boto.set_status(pipelineId=pipeline_id, objectIds=[a], status="CANCEL")
    assert api.ids(pipeline_id, "INSTANCE", ("@status", "EQ", ["CANCELLED"])) == [a]
    assert api.ids(pipeline_id, "INSTANCE", ("@status", "EQ", ["WAITING"])) == [b, c]


def test_references_are_found_in_every_sphere(api: Api, group: str):
    pipeline_id = api.activated(ON_DEMAND, shell("A", group), shell("B", group, dependsOn={"ref": "A"}, _note="x"))
    a, b = (api.instance(pipeline_id, name) for name in "AB")
    for sphere, field, target, found in (
        ("COMPONENT", "dependsOn", "A", ["B"]),
        ("COMPONENT", "@activeInstances", b, ["B"]),
        ("INSTANCE", "dependsOn", a, [b]),
        ("INSTANCE", "@waitingOn", a, [b]),
        ("ATTEMPT", "@instanceParent", a, [f"{a}_Attempt=1"]),
        ("ATTEMPT", "@componentParent", "A", [f"{a}_Attempt=1"]),
    ):
        assert api.ids(pipeline_id, sphere, (field, "REF_EQ", [target])) == found, field
    assert api.ids(pipeline_id, "COMPONENT", ("_note", "EQ", ["x"])) == ["B"]


def test_ten_selectors_must_all_match(api: Api, queried: str):
    selectors = [("@scheduledStartTime", "GE", [day(2)])] * 8 + [("@status", "EQ", ["FINISHED", "FAILED"])]
    assert api.ids(queried, "INSTANCE", *selectors, ("parent", "REF_EQ", ["A"])) == [f"@A_{day(2)}", f"@A_{day(3)}"]
    assert api.ids(queried, "INSTANCE", *selectors, ("parent", "REF_EQ", ["B"])) == []


def test_instances_that_come_between_two_pages_are_found_once(api: Api, group: str):
    pipeline_id = api.pipeline(*DAILY, shell("A", group, maxActiveInstances="2"))
    api.boto.activate_pipeline(pipelineId=pipeline_id, startTimestamp=START)
    query = {"pipelineId": pipeline_id, "sphere": "INSTANCE", "limit": 1}
    first = api.boto.query_objects(**query)
    second = api.boto.query_objects(**query, marker=first["marker"])
    assert (second["ids"], second["hasMoreResults"]) == ([f"@A_{day(2)}"], False)
    api.boto.set_task_status(taskId=api.poll(group)["taskId"], taskStatus="FINISHED")
    rest = api.boto.get_paginator("query_objects").paginate(
        **query, PaginationConfig={"StartingToken": first["marker"], "PageSize": 1}
    )
    assert [page["ids"] for page in rest] == [[f"@A_{day(2)}"], [f"@A_{day(3)}"]]


@pytest.mark.parametrize(("sphere", "suffix"), [("INSTANCE", ""), ("ATTEMPT", "_Attempt=1")])
def test_the_page_after_an_object_that_was_deleted_meanwhile_is_whole(api: Api, group: str, sphere: str, suffix: str):
    pipeline_id = api.pipeline(*DAILY, shell("A", group))
    api.boto.activate_pipeline(pipelineId=pipeline_id, startTimestamp=START)
    ids = [f"@A_{day(number)}{suffix}" for number in range(1, 5)]
    query = {"pipelineId": pipeline_id, "sphere": sphere, "limit": 2}
    first = api.boto.query_objects(**query)
    assert first["ids"] == ids[:2]
    api.boto.set_status(pipelineId=pipeline_id, objectIds=[f"@A_{day(2)}"], status="MARK_FINISHED")
    with api.service.engine.store.transaction() as tx:
        which = {"pipeline_id": pipeline_id, "instance_id": f"@A_{day(2)}"}
        assert tx.execute("delete_attempts_of_instance", **which) == 1
        assert tx.execute("delete_instance", **which) == 1
    second = api.boto.query_objects(**query, marker=first["marker"])
    assert (second["ids"], second["hasMoreResults"]) == (ids[2:], False)


def test_every_sphere_can_be_asked(api: Api, group: str):
    pipeline_id = week(api, group)
    assert api.ids(pipeline_id, "COMPONENT") == ["Default", "Daily", "A"]
    assert api.ids(pipeline_id, "COMPONENT", ("type", "EQ", ["Schedule"])) == ["Daily"]
    attempts = [f"@A_{day(number)}_Attempt=1" for number in range(1, 5)]
    assert api.ids(pipeline_id, "ATTEMPT") == attempts
    assert api.ids(pipeline_id, "attempt", ("@instanceParent", "REF_EQ", [f"@A_{day(2)}"])) == [attempts[1]]
    assert api.ids(pipeline_id, "ATTEMPT", ("@status", "EQ", ["FAILED"])) == [attempts[2]]
    assert api.ids(pipeline_id, "ATTEMPT", ("@scheduledStartTime", "LE", [day(1)])) == [attempts[0]]


@pytest.mark.parametrize(
    ("selectors", "text"),
    [
        ([{"fieldName": "f"}], "needs a fieldName and an operator"),
        ([{"operator": {"type": "EQ", "values": ["x"]}}], "needs a fieldName"),
        ([{"fieldName": "f", "operator": {"type": "EQ", "values": []}}], "takes at least one value"),
        ([{"fieldName": "f", "operator": {"type": "BETWEEN", "values": ["x"]}}], "takes two values"),
        ([{"fieldName": "f", "operator": {"type": "LE", "values": ["x", "y"]}}], "takes one value"),
        ([{"fieldName": "f", "operator": {"type": "EQ", "values": ["x"]}}] * 11, "at most 10 selectors"),
    ],
)
def test_a_query_that_makes_no_sense_is_refused(api: Api, group: str, selectors: list[dict[str, Any]], text: str):
    pipeline_id = api.pipeline(ON_DEMAND, shell("A", group))
    with pytest.raises(api.boto.exceptions.InvalidRequestException, match=text):
        api.boto.query_objects(pipelineId=pipeline_id, sphere="INSTANCE", query={"selectors": selectors})


def test_an_unknown_sphere_or_operator_is_refused(api: Api, group: str):
    pipeline_id = api.pipeline(ON_DEMAND, shell("A", group))
    with pytest.raises(api.boto.exceptions.InvalidRequestException, match="COMPONENT, INSTANCE or ATTEMPT"):
        api.boto.query_objects(pipelineId=pipeline_id, sphere="PIPELINE")
    with pytest.raises(api.boto.exceptions.ClientError, match=r"\[EQ, REF_EQ, LE, GE, BETWEEN\]"):
        api.ids(pipeline_id, "INSTANCE", ("@status", "LIKE", ["x"]))


def test_an_expression_is_evaluated_as_in_a_field(api: Api, group: str):
    pipeline_id = week(api, group)
    instance = f"@A_{day(2)}"

    def evaluated(object_id: str, expression: str) -> str:
        answer = api.boto.evaluate_expression(pipelineId=pipeline_id, objectId=object_id, expression=expression)
        return str(answer["evaluatedExpression"])

    assert evaluated(instance, "#{format(@scheduledStartTime, 'YYYY-MM-dd')}") == "2020-01-02"
    assert evaluated(f"{instance}_Attempt=1", "on #{day(@scheduledStartTime)}") == "on 2"
    assert evaluated(instance, "#{workerGroup} #{@status}") == f"{group} FINISHED"
    assert evaluated("A", "#{1 + 2}") == "3"
    assert evaluated("A", "plain") == "plain"


@pytest.mark.parametrize(
    ("object_id", "expression", "text"),
    [
        ("A", "#{@scheduledStartTime}", "'@scheduledStartTime' is not known for 'A'"),
        ("A", "#{nothing}", "nothing"),
        ("A", "#{1 +}", "The expression is wrong"),
        ("A", "#{" + "(" * 20_000, "The expression is wrong"),
        ("B", "#{1}", "has no object 'B'"),
    ],
)
def test_an_expression_that_cannot_be_evaluated_is_refused(
    api: Api, group: str, object_id: str, expression: str, text: str
):
    pipeline_id = api.pipeline(ON_DEMAND, shell("A", group))
    with pytest.raises(api.boto.exceptions.InvalidRequestException, match=text):
        api.boto.evaluate_expression(pipelineId=pipeline_id, objectId=object_id, expression=expression)


def test_a_component_is_paused_and_resumed(api: Api, group: str):
    pipeline_id = api.pipeline(ON_DEMAND, shell("A", group), shell("B", group, dependsOn={"ref": "A"}))
    api.boto.activate_pipeline(pipelineId=pipeline_id)
    api.boto.set_status(pipelineId=pipeline_id, objectIds=["B"], status="PAUSE")
    assert api.fields(pipeline_id, "B")["@status"] == "PAUSED"
    api.boto.set_task_status(taskId=api.poll(group)["taskId"], taskStatus="FINISHED")
    assert api.status(pipeline_id, "B") == "WAITING_ON_DEPENDENCIES"
    reasons = api.own.call("ExplainWaiting", pipelineId=pipeline_id, objectId=api.instance(pipeline_id, "B"))["reasons"]
    assert reasons == ["B is paused."]
    api.boto.set_status(pipelineId=pipeline_id, objectIds=["B"], status="resume")
    assert api.status(pipeline_id, "B") == "WAITING_FOR_RUNNER"
    assert "@status" not in api.fields(pipeline_id, "B")


@pytest.mark.parametrize("verb", ["TRY_CANCEL", "CANCEL"])
def test_an_instance_is_cancelled(api: Api, group: str, verb: str):
    pipeline_id = api.activated(ON_DEMAND, shell("A", group))
    task = api.poll(group)
    instance = api.instance(pipeline_id, "A")
    api.boto.set_status(pipelineId=pipeline_id, objectIds=[instance], status=verb)
    fields = api.fields(pipeline_id, instance)
    assert (fields["@status"], fields["cancellationReason"]) == ("CANCELED", "Canceled by a user.")
    assert api.boto.report_task_progress(taskId=task["taskId"])["canceled"] is True


def test_an_instance_is_marked_as_finished(api: Api, group: str):
    pipeline_id = api.activated(ON_DEMAND, shell("A", group), shell("B", group, dependsOn={"ref": "A"}))
    api.boto.set_status(pipelineId=pipeline_id, objectIds=[api.instance(pipeline_id, "A")], status="MARK_FINISHED")
    assert (api.status(pipeline_id, "A"), api.status(pipeline_id, "B")) == ("FINISHED", "WAITING_FOR_RUNNER")


def test_failed_instances_are_run_again_with_what_they_took_along(api: Api, group: str):
    pipeline_id = api.activated(ON_DEMAND, shell("A", group), shell("B", group, dependsOn={"ref": "A"}))
    api.boto.set_task_status(taskId=api.poll(group)["taskId"], taskStatus="FAILED")
    both = [api.instance(pipeline_id, name) for name in ("A", "B")]
    api.boto.set_status(pipelineId=pipeline_id, objectIds=[*both, both[0]], status="RERUN")
    assert (api.status(pipeline_id, "A"), api.status(pipeline_id, "B")) == (
        "WAITING_FOR_RUNNER",
        "WAITING_ON_DEPENDENCIES",
    )
    assert api.poll(group)["attemptId"] == f"{both[0]}_Attempt=2"


@pytest.mark.parametrize(
    ("ids", "verb", "text"),
    [
        (["A"], "RERUN", "'A' is no instance of .*; RERUN works on instances"),
        (["INSTANCE"], "RERUN", "is WAITING_FOR_RUNNER, which RERUN cannot change"),
        (["INSTANCE"], "PAUSE", "is no component of .* that could PAUSE"),
        (["Default"], "PAUSE", "is no component"),
        (["B"], "RESUME", "is no component"),
        (["INSTANCE"], "FINISHED", "'FINISHED' is not known; give one of PAUSE, RESUME, TRY_CANCEL"),
        (["INSTANCE", "nothing"], "CANCEL", "'nothing' is no instance"),
    ],
)
def test_a_status_that_cannot_be_set_is_refused_and_nothing_changes(
    api: Api, group: str, ids: list[str], verb: str, text: str
):
    pipeline_id = api.activated(ON_DEMAND, shell("A", group))
    ids = [api.instance(pipeline_id, "A") if identity == "INSTANCE" else identity for identity in ids]
    with pytest.raises(api.boto.exceptions.InvalidRequestException, match=text):
        api.boto.set_status(pipelineId=pipeline_id, objectIds=ids, status=verb)
    assert api.status(pipeline_id, "A") == "WAITING_FOR_RUNNER"


def test_nothing_has_a_status_before_the_first_activation(api: Api, group: str):
    pipeline_id = api.pipeline(ON_DEMAND, shell("A", group))
    with pytest.raises(api.boto.exceptions.InvalidRequestException, match="never activated"):
        api.boto.set_status(pipelineId=pipeline_id, objectIds=["A"], status="PAUSE")


def test_our_own_operations_preview_intervals_and_show_events_and_progress(api: Api, group: str):
    pipeline_id = api.pipeline(*DAILY, shell("A", group))
    preview = api.own.call("PreviewIntervals", pipelineId=pipeline_id)
    assert preview["isOnDemand"] is False
    assert preview["components"] == [{"component": "A", "due": 4, "firstStart": START, "upcoming": []}]
    api.boto.activate_pipeline(pipelineId=pipeline_id, startTimestamp=START)
    events = api.own.call("ListEvents", pipelineId=pipeline_id)["events"]
    assert [event["verb"] for event in events][:2] == ["activate", "queue"]
    later = api.own.call("ListEvents", pipelineId=pipeline_id, after=events[0]["sequence"])["events"]
    assert later == events[1:]
    progress = api.own.call("DescribeProgress", pipelineId=pipeline_id)
    assert progress["counts"] == [{"family": "Activity", "status": "WAITING_FOR_RUNNER", "count": 4}]
    with pytest.raises(ServiceError, match="PipelineNotFoundException"):
        api.own.call("DescribeProgress", pipelineId="df-unknown")


@pytest.mark.parametrize("sphere", ["INSTANCE", "ATTEMPT"])
def test_what_ends_between_two_pages_is_neither_left_out_nor_shown_twice(api: Api, group: str, sphere: str):
    pipeline_id = api.activated(ON_DEMAND, *(shell(f"A{number}", group) for number in range(130)))
    whole = api.boto.get_paginator("query_objects").paginate(pipelineId=pipeline_id, sphere=sphere, limit=50)
    pages = [page["ids"] for page in whole]
    assert [len(ids) for ids in pages] == [50, 50, 30]
    ids = [identity for page in pages for identity in page]
    assert len(set(ids)) == 130
    waiting = {"fieldName": "@status", "operator": {"type": "EQ", "values": ["WAITING_FOR_RUNNER"]}}
    query = {"pipelineId": pipeline_id, "sphere": sphere, "query": {"selectors": [waiting]}, "limit": 50}
    first = api.boto.query_objects(**query)
    for _ in range(20):
        api.boto.set_task_status(taskId=api.poll(group)["taskId"], taskStatus="FINISHED")
    second = api.boto.query_objects(**query, marker=first["marker"])
    third = api.boto.query_objects(**query, marker=second["marker"])
    assert first["ids"] == ids[:50]
    left = [identity for identity in ids[50:] if api.fields(pipeline_id, identity)["@status"] == "WAITING_FOR_RUNNER"]
    assert second["ids"] + third["ids"] == left
    assert not third["hasMoreResults"]


@pytest.mark.parametrize("marker", ["@nobody", "x", "@A_2020-13-01T00:00:00", "@A_2020-01-01T00:00:00_Attempt=x"])
@pytest.mark.parametrize("sphere", ["COMPONENT", "INSTANCE", "ATTEMPT"])
def test_a_marker_that_no_query_gave_is_refused(api: Api, group: str, sphere: str, marker: str):
    pipeline_id = api.activated(ON_DEMAND, shell("A", group))
    with pytest.raises(api.boto.exceptions.InvalidRequestException, match=f"The marker '{marker}' is not one"):
        api.boto.query_objects(pipelineId=pipeline_id, sphere=sphere, marker=marker)
