"""BackfillRange, ListVersions and the preview of an active pipeline's intervals, over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from api_service import Api, shell, until

from penstock.wire.errors import ServiceError

DEFAULT = {"id": "Default", "scheduleType": "cron", "schedule": {"ref": "Daily"}, "failureAndRerunMode": "cascade"}
TODAY = (datetime.now(UTC) - timedelta(hours=1)).replace(minute=0, second=0, microsecond=0)
DAY = timedelta(days=1)


def text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S")


def daily(first: datetime, **fields: str) -> dict[str, str]:
    return {"id": "Daily", "type": "Schedule", "period": "1 day", "startDateTime": text(first), **fields}


def skipped_pipeline(api: Api, group: str, days: int = 4) -> str:
    """A daily pipeline of some days that was activated from today on."""
    pipeline_id = api.pipeline(DEFAULT, daily(TODAY - days * DAY), shell("A", group, maxActiveInstances="2"))
    api.boto.activate_pipeline(pipelineId=pipeline_id, startTimestamp=TODAY)
    return pipeline_id


def test_a_range_is_backfilled_and_the_answer_says_what_is_done(api: Api, group: str):
    pipeline_id = skipped_pipeline(api, group)
    api.boto.set_task_status(taskId=api.poll(group)["taskId"], taskStatus="FINISHED")
    asked = {"pipelineId": pipeline_id, "startTime": TODAY - 4 * DAY, "endTime": TODAY + 2 * DAY}
    dry = api.own.call("BackfillRange", **asked, isDryRun=True)
    answer = api.own.call("BackfillRange", **asked)
    started = [f"@A_{text(TODAY - number * DAY)}" for number in (4, 3)]
    finished = {"status": "FINISHED", "count": 1, "firstStart": TODAY, "lastStart": TODAY}
    assert answer["components"] == [
        {
            "component": "A",
            "intervals": 6,
            "toRun": 4,
            "runs": [{"status": "SKIPPED", "count": 4, "firstStart": TODAY - 4 * DAY, "lastStart": TODAY - DAY}],
            "leftAlone": [
                finished | {"reason": "finished; they are run again only if finished ones are included"},
                {"status": "NOT_DUE", "count": 1, "firstStart": TODAY + DAY, "lastStart": TODAY + DAY}
                | {"reason": "not due yet; they come by themselves"},
            ],
            "started": started,
            "isPaused": False,
        }
    ]
    assert dry["components"] == [answer["components"][0] | {"started": []}]
    assert api.ids(pipeline_id, "INSTANCE", ("@status", "EQ", ["WAITING_FOR_RUNNER"])) == started
    for _ in range(4):
        api.boto.set_task_status(taskId=api.poll(group)["taskId"], taskStatus="FINISHED")
    until(lambda: len(api.ids(pipeline_id, "INSTANCE", ("@status", "EQ", ["FINISHED"]))) == 5)


def test_what_cannot_be_backfilled_is_refused(api: Api, group: str):
    pipeline_id = skipped_pipeline(api, group)
    with pytest.raises(ServiceError, match=r"The schedule 'Daily' of 'A' starts at") as refused:
        api.own.call("BackfillRange", pipelineId=pipeline_id, startTime=TODAY - 9 * DAY, endTime=TODAY)
    assert refused.value.code == "InvalidRequestException"
    api.boto.deactivate_pipeline(pipelineId=pipeline_id)
    with pytest.raises(ServiceError, match=r"The pipeline is INACTIVE. Activate it first"):
        api.own.call("BackfillRange", pipelineId=pipeline_id, startTime=TODAY - DAY, endTime=TODAY)
    with pytest.raises(ServiceError, match=r"Pipeline with id: df-none does not exist"):
        api.own.call("BackfillRange", pipelineId="df-none", startTime=TODAY - DAY, endTime=TODAY)
    api.boto.delete_pipeline(pipelineId=pipeline_id)


def test_a_deleted_pipeline_leaves_no_backfill_behind(api: Api, group: str):
    pipeline_id = skipped_pipeline(api, group)
    api.own.call("BackfillRange", pipelineId=pipeline_id, startTime=TODAY - 4 * DAY, endTime=TODAY)
    api.boto.delete_pipeline(pipelineId=pipeline_id)
    with api.service.engine.store.snapshot() as tx:
        assert tx.all("backfills_of", pipeline_id=pipeline_id) == []


def test_versions_are_listed_newest_first_with_the_active_and_the_latest_one(api: Api, group: str):
    pipeline_id = api.create()
    assert api.own.call("ListVersions", pipelineId=pipeline_id) == {"versions": [], "hasMoreResults": False}
    definition = (DEFAULT, daily(TODAY), shell("A", group))
    before = datetime.now(UTC) - timedelta(seconds=1)
    api.put(pipeline_id, *definition)
    api.boto.activate_pipeline(pipelineId=pipeline_id)
    api.put(pipeline_id, DEFAULT, daily(TODAY), {"id": "A", "type": "ShellCommandActivity", "workerGroup": group})
    versions = api.own.call("ListVersions", pipelineId=pipeline_id)["versions"]
    marks = [(v["version"], v["isErrored"], v["isActive"], v["isLatest"]) for v in versions]
    assert marks == [(2, True, False, True), (1, False, True, False)]
    assert all(before <= version["creationTime"] <= datetime.now(UTC) for version in versions)
    assert {version["createdBy"] for version in versions} == {"first key"}
    older = api.own.call("ListVersions", pipelineId=pipeline_id, before=2)
    assert [version["version"] for version in older["versions"]] == [1]


def test_a_preview_takes_the_values_of_the_last_activation(api: Api, group: str):
    pipeline_id = api.pipeline(
        DEFAULT | {"scheduleType": "#{myType}"},
        daily(TODAY) | {"startDateTime": "#{myStart}"},
        shell("A", group),
        parameterObjects=[
            {"id": name, "attributes": [{"key": "type", "stringValue": "String"}]} for name in ("myType", "myStart")
        ],
        parameterValues=[{"id": "myType", "stringValue": "cron"}, {"id": "myStart", "stringValue": text(TODAY)}],
    )
    given = [{"id": "myType", "stringValue": "timeseries"}, {"id": "myStart", "stringValue": text(TODAY - DAY / 24)}]
    put = api.own.call("PreviewIntervals", pipelineId=pipeline_id)["components"][0]
    assert (put["firstStart"], put["nextDueTime"]) == (TODAY, TODAY + DAY)
    api.boto.activate_pipeline(pipelineId=pipeline_id, parameterValues=given)
    active = api.own.call("PreviewIntervals", pipelineId=pipeline_id, count=2)["components"][0]
    first = TODAY - DAY / 24
    assert (active["firstStart"], active["due"]) == (first, 0)
    assert active["upcoming"] == [
        {"start": first, "end": first + DAY, "dueTime": first + DAY},
        {"start": first + DAY, "end": first + 2 * DAY, "dueTime": first + 2 * DAY},
    ]
    api.boto.deactivate_pipeline(pipelineId=pipeline_id)
    inactive = api.own.call("PreviewIntervals", pipelineId=pipeline_id)["components"][0]
    assert (inactive["firstStart"], inactive["nextDueTime"]) == (first, first + DAY)


def test_a_preview_of_an_active_pipeline_begins_where_its_schedule_stands(api: Api, group: str):
    pipeline_id = api.pipeline(DEFAULT, daily(TODAY - 4 * DAY), shell("A", group, maxActiveInstances="2"))
    api.boto.activate_pipeline(pipelineId=pipeline_id, startTimestamp=TODAY - 4 * DAY)
    preview = api.own.call("PreviewIntervals", pipelineId=pipeline_id, count=1)["components"][0]
    assert (preview["due"], preview["nextStart"]) == (5, TODAY - 2 * DAY)
