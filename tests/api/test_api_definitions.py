"""Definitions and activations: put, validate, get, activate, deactivate."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from api_service import ON_DEMAND, Api, api_object, shell

CASCADE_WARNING = (
    " It is recommended to set 'failureAndRerunMode'  to 'cascade' on Default object to enable cascade failure mode for"
    " Activity, Datanode, Precondition and Resource objects of a pipeline."
)
LOG_WARNING = (
    "'pipelineLogUri'is missing. It is recommended to set this value on Default object for better troubleshooting."
)
BROKEN = {"id": "Broken", "type": "ShellCommandActivity", "workerGroup": "g", "dependsOn": "Other"}


def daily(start: str, **more: str) -> tuple[dict[str, Any], ...]:
    return (
        {"id": "Default", "scheduleType": "cron", "failureAndRerunMode": "cascade", "schedule": {"ref": "Daily"}},
        {"id": "Daily", "type": "Schedule", "period": "1 day", "startDateTime": start, **more},
    )


def test_what_was_put_is_what_one_gets(api: Api, group: str):
    objects = [
        {"id": "Default", "name": "Default", "fields": [{"key": "scheduleType", "stringValue": "ondemand"}]},
        {
            "id": "A",
            "name": "An activity",
            "fields": [
                {"key": "type", "stringValue": "ShellCommandActivity"},
                {"key": "command", "stringValue": "echo\n\t'é 😀' #{myWord}"},
                {"key": "scriptArgument", "stringValue": "one"},
                {"key": "scriptArgument", "stringValue": "two"},
                {"key": "dependsOn", "refValue": "B"},
                {"key": "workerGroup", "stringValue": group},
                {"key": "myEmpty", "stringValue": ""},
            ],
        },
        {
            "id": "B",
            "name": "B",
            "fields": [
                {"key": "type", "stringValue": "ShellCommandActivity"},
                {"key": "command", "stringValue": "true"},
                {"key": "workerGroup", "stringValue": group},
            ],
        },
    ]
    parameters = [
        {
            "id": "myWord",
            "attributes": [
                {"key": "type", "stringValue": "String"},
                {"key": "allowedValues", "stringValue": "x"},
                {"key": "allowedValues", "stringValue": "y"},
            ],
        }
    ]
    values = [{"id": "myWord", "stringValue": "x"}]
    given = {"pipelineObjects": objects, "parameterObjects": parameters, "parameterValues": values}
    pipeline_id = api.create()
    answer = api.boto.put_pipeline_definition(pipelineId=pipeline_id, **given)
    assert (answer["errored"], answer["validationErrors"]) == (False, [])
    got = api.boto.get_pipeline_definition(pipelineId=pipeline_id)
    assert {key: got[key] for key in given} == given


def test_a_pipeline_without_definition_has_an_empty_one_and_cannot_be_activated(api: Api):
    pipeline_id = api.create()
    got = api.boto.get_pipeline_definition(pipelineId=pipeline_id)
    del got["ResponseMetadata"]
    assert got == {"pipelineObjects": []}
    activate = partial(api.boto.activate_pipeline, pipelineId=pipeline_id)
    assert message_of(api, activate) == "Pipeline definition is empty: "
    assert api.put(pipeline_id)["errored"] is True
    assert message_of(api, activate) == "Pipeline definition is empty: "


def message_of(api: Api, call: Callable[[], Any]) -> str:
    """The text of the InvalidRequestException that a call must end with."""
    with pytest.raises(api.boto.exceptions.InvalidRequestException) as refused:
        call()
    message: str = refused.value.response["Error"]["Message"]
    return message


def test_a_definition_with_errors_is_kept_but_not_activated(api: Api):
    pipeline_id = api.create()
    answer = api.put(pipeline_id, ON_DEMAND, BROKEN)
    assert answer["errored"] is True
    (errors,) = answer["validationErrors"]
    assert errors["id"] == "Broken"
    assert any("'dependsOn' values must be of type" in text and "type 'String'" in text for text in errors["errors"])
    assert [o["id"] for o in api.boto.get_pipeline_definition(pipelineId=pipeline_id)["pipelineObjects"]] == [
        "Default",
        "Broken",
    ]
    with pytest.raises(api.boto.exceptions.InvalidRequestException, match="has errors: Broken: "):
        api.boto.activate_pipeline(pipelineId=pipeline_id)
    assert api.pipeline_fields(pipeline_id)["@pipelineState"] == "PENDING"


def test_validating_keeps_nothing(api: Api, group: str):
    pipeline_id = api.pipeline(ON_DEMAND, shell("A", group))
    objects = [{"id": "Broken", "name": "b", "fields": [{"key": "type", "stringValue": "Nothing"}]}]
    answer = api.boto.validate_pipeline_definition(pipelineId=pipeline_id, pipelineObjects=objects)
    assert answer["errored"] is True
    assert [entry["id"] for entry in answer["validationErrors"]] == ["Broken"]
    assert len(api.boto.get_pipeline_definition(pipelineId=pipeline_id)["pipelineObjects"]) == 2


def test_warnings_have_the_services_own_words(api: Api, group: str):
    pipeline_id = api.create()
    answer = api.put(pipeline_id, {"id": "Default", "scheduleType": "ondemand"}, shell("A", group), shell("B", group))
    assert answer["errored"] is False
    assert {entry["id"]: entry["warnings"] for entry in answer["validationWarnings"]} == {
        "A": [CASCADE_WARNING],
        "B": [CASCADE_WARNING],
        "Default": [LOG_WARNING],
    }


def test_a_backfill_that_cascades_is_warned_of_until_it_was_activated(api: Api, group: str):
    objects = (*daily("2020-01-01T00:00:00", occurrences="1"), shell("A", group, name="The one"))
    warning = {
        "id": "A",
        "warnings": [
            "The one has 'failureAndRerunMode' field set to 'cascade' and you are about to create a backfill with"
            " scheduleStartTime 2020-01-01T00:00:00. This can result in rapid creation of pipeline objects in case of"
            " failures."
        ],
    }
    pipeline_id = api.create()
    given = [api_object(obj) for obj in objects]
    validated = api.boto.validate_pipeline_definition(pipelineId=pipeline_id, pipelineObjects=given)
    assert warning in validated["validationWarnings"]
    assert warning in api.put(pipeline_id, *objects)["validationWarnings"]
    api.boto.activate_pipeline(pipelineId=pipeline_id, startTimestamp=datetime(2020, 1, 1, tzinfo=UTC))
    assert "A" not in {entry["id"] for entry in api.put(pipeline_id, *objects)["validationWarnings"]}
    future = api.put(api.create(), *daily("2999-01-01T00:00:00"), shell("A", group))
    assert "A" not in {entry["id"] for entry in future["validationWarnings"]}


def test_a_field_is_a_text_or_a_reference(api: Api):
    both = {"key": "schedule", "stringValue": "a", "refValue": "B"}
    objects = [{"id": "A", "name": "A", "fields": [both]}]
    text = "The field 'schedule' of object 'A' has a stringValue and a refValue; give one."
    pipeline_id = api.create()
    for operation in (api.boto.put_pipeline_definition, api.boto.validate_pipeline_definition):
        refused = message_of(api, partial(operation, pipelineId=pipeline_id, pipelineObjects=objects))
        assert refused == text


def test_an_empty_field_is_refused_outright(api: Api, group: str):
    pipeline_id = api.create()
    with pytest.raises(api.boto.exceptions.InvalidRequestException, match="'command' of object 'A' is empty"):
        api.put(pipeline_id, ON_DEMAND, shell("A", group, command=""))
    assert api.boto.get_pipeline_definition(pipelineId=pipeline_id)["pipelineObjects"] == []


def test_versions_are_counted_by_activations_that_had_something_new(api: Api, group: str):
    pipeline_id = api.activated(ON_DEMAND, shell("A", group))
    api.put(pipeline_id, ON_DEMAND, shell("A", group))
    api.boto.activate_pipeline(pipelineId=pipeline_id)
    assert api.pipeline_fields(pipeline_id)["@version"] == "1"
    api.put(pipeline_id, ON_DEMAND, shell("A", group, command="false"))
    api.put(pipeline_id, ON_DEMAND, shell("A", group, command="echo"))

    def command(version: str) -> str:
        got = api.boto.get_pipeline_definition(pipelineId=pipeline_id, version=version)
        return next(f["stringValue"] for f in got["pipelineObjects"][1]["fields"] if f["key"] == "command")

    assert [command("latest"), command("active"), command("1"), command("2")] == ["echo", "true", "true", "echo"]


def test_nothing_is_active_before_the_first_activation(api: Api, group: str):
    pipeline_id = api.pipeline(ON_DEMAND, shell("A", group))
    get = partial(api.boto.get_pipeline_definition, pipelineId=pipeline_id)
    assert get(version="active")["pipelineObjects"] == []
    assert len(get()["pipelineObjects"]) == len(get(version="LATEST")["pipelineObjects"]) == 2


@pytest.mark.parametrize("version", ["3", "0", "-1", "newest", "9" * 40, "²"])
def test_a_version_that_there_is_not_is_refused(api: Api, group: str, version: str):
    pipeline_id = api.pipeline(ON_DEMAND, shell("A", group))
    with pytest.raises(api.boto.exceptions.InvalidRequestException, match="version"):
        api.boto.get_pipeline_definition(pipelineId=pipeline_id, version=version)


def test_before_a_first_put_a_version_is_refused_with_what_makes_one(api: Api):
    with pytest.raises(api.boto.exceptions.InvalidRequestException, match="no version 1: no definition was put"):
        api.boto.get_pipeline_definition(pipelineId=api.create(), version="1")


def test_a_definition_that_was_repaired_can_be_activated(api: Api, group: str):
    pipeline_id = api.create()
    assert api.put(pipeline_id, ON_DEMAND, shell("A", group), shell("A", group))["errored"] is True
    assert api.put(pipeline_id, ON_DEMAND, shell("A", group))["errored"] is False
    api.boto.activate_pipeline(pipelineId=pipeline_id)
    assert api.status(pipeline_id, "A") == "WAITING_FOR_RUNNER"


def test_a_parameter_may_get_its_value_at_activation(api: Api, group: str):
    word = [{"id": "myWord", "attributes": [{"key": "type", "stringValue": "String"}]}]
    pipeline_id = api.pipeline(ON_DEMAND, shell("A", group, command="echo #{myWord}"), parameterObjects=word)
    with pytest.raises(api.boto.exceptions.InvalidRequestException, match="The parameter 'myWord' has no value"):
        api.boto.activate_pipeline(pipelineId=pipeline_id)
    values = [{"id": "myWord", "stringValue": "first"}]
    api.boto.activate_pipeline(pipelineId=pipeline_id, parameterValues=values)
    task = api.poll(group)
    assert command_of(task) == "echo first"
    api.boto.set_task_status(taskId=task["taskId"], taskStatus="FINISHED")
    api.boto.activate_pipeline(pipelineId=pipeline_id)
    assert command_of(api.poll(group)) == "echo first"


def test_values_that_were_put_since_win_over_those_of_the_last_activation(api: Api, group: str):
    objects = (ON_DEMAND | {"maxActiveInstances": "5"}, shell("A", group, command="echo #{myWord} #{myOther}"))
    parameters = [{"id": name, "attributes": []} for name in ("myWord", "myOther")]
    given = [{"id": "myWord", "stringValue": "given"}, {"id": "myOther", "stringValue": "given"}]
    pipeline_id = api.pipeline(*objects, parameterObjects=parameters)
    api.boto.activate_pipeline(pipelineId=pipeline_id, parameterValues=given)
    assert command_of(api.poll(group)) == "echo given given"
    api.put(
        pipeline_id, *objects, parameterObjects=parameters, parameterValues=[{"id": "myWord", "stringValue": "put"}]
    )
    api.boto.activate_pipeline(pipelineId=pipeline_id)
    assert command_of(api.poll(group)) == "echo put given"


def command_of(task: dict[str, Any]) -> str:
    fields = task["objects"][task["attemptId"]]["fields"]
    return next(field["stringValue"] for field in fields if field["key"] == "command")


def test_a_first_activation_long_after_the_start_is_refused_with_the_remedy(api: Api, group: str):
    pipeline_id = api.pipeline(*daily("2020-01-01T00:00:00", occurrences="10"), shell("A", group), shell("B", group))
    with pytest.raises(api.boto.exceptions.InvalidRequestException) as refused:
        api.boto.activate_pipeline(pipelineId=pipeline_id)
    message = refused.value.response["Error"]["Message"]
    assert "10 intervals" in message
    assert "20 instances in all" in message
    assert "Give a start timestamp: 2020-01-01T00:00:00 runs them all" in message
    assert api.pipeline_fields(pipeline_id)["@pipelineState"] == "PENDING"
    assert api.ids(pipeline_id) == []


def test_a_start_timestamp_makes_a_backfill_go(api: Api, group: str):
    pipeline_id = api.pipeline(*daily("2020-01-01T00:00:00", occurrences="10"), shell("A", group))
    api.boto.activate_pipeline(pipelineId=pipeline_id, startTimestamp=datetime(2020, 1, 1, tzinfo=UTC))
    assert api.ids(pipeline_id) == [f"@A_2020-01-0{day}T00:00:00" for day in range(1, 6)]


def test_a_later_start_timestamp_skips_what_is_before(api: Api, group: str):
    pipeline_id = api.pipeline(*daily("2020-01-01T00:00:00", occurrences="4"), shell("A", group))
    api.boto.activate_pipeline(pipelineId=pipeline_id, startTimestamp=datetime(2020, 1, 3, tzinfo=UTC))
    statuses = [api.fields(pipeline_id, identity)["@status"] for identity in api.ids(pipeline_id)]
    assert statuses == ["SKIPPED", "SKIPPED", "WAITING_FOR_RUNNER", "WAITING_FOR_RUNNER"]
    assert "@actualStartTime" not in api.fields(pipeline_id, "@A_2020-01-01T00:00:00")


def test_a_start_of_today_needs_no_timestamp(api: Api, group: str):
    start = (datetime.now(UTC) - timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%S")
    pipeline_id = api.activated(*daily(start, occurrences="1"), shell("A", group))
    assert len(api.ids(pipeline_id)) == 1


def test_deactivating_cancels_what_runs_and_activating_goes_on(api: Api, group: str):
    pipeline_id = api.activated(ON_DEMAND, shell("A", group))
    task = api.poll(group)
    api.boto.deactivate_pipeline(pipelineId=pipeline_id)
    assert api.boto.report_task_progress(taskId=task["taskId"])["canceled"] is True
    assert api.pipeline_fields(pipeline_id)["@pipelineState"] == "INACTIVE"
    assert api.status(pipeline_id, "A") == "CANCELED"


def test_deactivating_may_let_what_runs_finish(api: Api, group: str):
    pipeline_id = api.activated(ON_DEMAND, shell("A", group), shell("B", group, dependsOn={"ref": "A"}))
    task = api.poll(group)
    api.boto.deactivate_pipeline(pipelineId=pipeline_id, cancelActive=False)
    assert api.boto.report_task_progress(taskId=task["taskId"])["canceled"] is False
    assert api.pipeline_fields(pipeline_id)["@pipelineState"] == "DEACTIVATING"
    with pytest.raises(api.boto.exceptions.InvalidRequestException, match="DEACTIVATING"):
        api.boto.activate_pipeline(pipelineId=pipeline_id)
    api.boto.set_task_status(taskId=task["taskId"], taskStatus="FINISHED")
    assert api.status(pipeline_id, "A") == "FINISHED"
    assert api.pipeline_fields(pipeline_id)["@pipelineState"] == "INACTIVE"


def test_only_what_is_active_can_be_deactivated(api: Api):
    with pytest.raises(api.boto.exceptions.InvalidRequestException, match="The pipeline is PENDING"):
        api.boto.deactivate_pipeline(pipelineId=api.create())


@pytest.mark.parametrize("reserved", ["penstock:system", "resource:df-1_@R_2020-01-01T00:00:00"])
def test_the_services_own_worker_groups_cannot_be_used_in_a_definition(api: Api, reserved: str):
    pipeline_id = api.create()
    assert api.put(pipeline_id, ON_DEMAND, shell("A", reserved))["errored"] is True
    assert api.put(pipeline_id, ON_DEMAND | {"workerGroup": reserved}, shell("A", "x") | {})["errored"] is False
    inherits = {"id": "A", "type": "ShellCommandActivity", "command": "true"}
    assert api.put(pipeline_id, ON_DEMAND | {"workerGroup": reserved}, inherits)["errored"] is True
    parameter = [{"id": "myGroup", "attributes": []}]
    assert api.put(pipeline_id, ON_DEMAND, shell("A", "#{myGroup}"), parameterObjects=parameter)["errored"] is False
    with pytest.raises(api.boto.exceptions.InvalidRequestException, match="is the service's own"):
        api.boto.activate_pipeline(pipelineId=pipeline_id, parameterValues=[{"id": "myGroup", "stringValue": reserved}])


def test_edits_that_the_service_refuses_are_named_and_keep_the_active_version(api: Api, group: str):
    pipeline_id = api.create()
    api.put(pipeline_id, ON_DEMAND, shell("A", group), shell("B", group))
    api.boto.activate_pipeline(pipelineId=pipeline_id)
    answer = api.put(pipeline_id, ON_DEMAND, shell("A", group, dependsOn={"ref": "A2"}), shell("A2", group))
    assert answer["errored"]
    assert {e["id"]: e["errors"] for e in answer["validationErrors"]} == {
        "A": ["The references of 'dependsOn' cannot change after the pipeline was activated: they were none."],
        "B": [
            "The object 'B' cannot be removed after the pipeline was activated. Put it back, or make a new pipeline."
        ],
    }
    with pytest.raises(api.boto.exceptions.InvalidRequestException, match="The object 'B' cannot be removed"):
        api.boto.activate_pipeline(pipelineId=pipeline_id)
    active = api.boto.get_pipeline_definition(pipelineId=pipeline_id, version="active")
    assert [obj["id"] for obj in active["pipelineObjects"]] == ["Default", "A", "B"]
