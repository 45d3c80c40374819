"""A secret is in clear in PollForTask's answer and nowhere else."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from api_service import ON_DEMAND, Api, plain, shell

from penstock.wire.errors import ServiceError

SECRETS = {
    "field": "hunter2-in-a-field",
    "default": "hunter2-by-default",
    "value": "hunter2-as-value",
    "given": "hunter2-at-activation",
}
ALLOWED = "hunter2-allowed"
PARAMETERS = [
    {
        "id": "*myDefault",
        "attributes": [
            {"key": "default", "stringValue": SECRETS["default"]},
            {"key": "allowedValues", "stringValue": SECRETS["default"]},
            {"key": "allowedValues", "stringValue": ALLOWED},
        ],
    },
    {"id": "*myValue", "attributes": [{"key": "description", "stringValue": "encrypted: the service does that"}]},
    {"id": "*myGiven", "attributes": []},
]
VALUES = [{"id": "*myValue", "stringValue": SECRETS["value"]}]
GIVEN = [{"id": "*myGiven", "stringValue": SECRETS["given"]}]
MASKED = "*****"


def definition(group: str, **change: str) -> tuple[dict[str, Any], ...]:
    return (
        ON_DEMAND | {"*myToken": SECRETS["field"]},
        {
            "id": "Base",
            "type": "JdbcDatabase",
            "connectionString": "jdbc:sqlite:x",
            "jdbcDriverClass": "org.sqlite.JDBC",
            "username": "u",
            "*password": SECRETS["field"],
        },
        {
            "id": "Work",
            "type": "SqlActivity",
            "workerGroup": group,
            "database": {"ref": "Base"},
            "script": "select '#{*myToken} #{*myDefault} #{*myValue} #{*myGiven}'",
            **change,
        },
    )


def put_body(**more: Any) -> dict[str, Any]:
    return {"parameterObjects": PARAMETERS, "parameterValues": VALUES, **more}


def without_secrets(text: str) -> str:
    for kind, secret in {**SECRETS, "allowed": ALLOWED}.items():
        assert secret not in text, kind
    return text


def files_of(api: Api) -> bytes:
    """Every byte in the data directory."""
    folder = Path(api.service.options.data_dir)
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_secrets_are_in_clear_only_in_the_answer_to_a_poll(
    fresh_api: Api, group: str, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG, "penstock")
    caplog.set_level(logging.DEBUG, "uvicorn")
    api = fresh_api
    pipeline_id = api.create()
    said = [api.put(pipeline_id, *definition(group), **put_body())]
    said.append(api.boto.activate_pipeline(pipelineId=pipeline_id, parameterValues=GIVEN))
    task = api.poll(group)
    objects = {identity: plain(obj["fields"]) for identity, obj in task["objects"].items()}
    assert objects["Base"]["*password"] == SECRETS["field"]
    mine = objects[task["attemptId"]]
    assert mine["script"] == f"select '{' '.join(SECRETS.values())}'"
    assert sorted(mine["*maskedValues"]) == sorted(SECRETS.values())
    report = {"taskId": task["taskId"], "fields": [{"key": "attemptStatus", "stringValue": "half"}]}
    said.append(api.boto.report_task_progress(**report))
    said.append(api.boto.set_task_status(taskId=task["taskId"], taskStatus="FAILED", errorMessage="broke"))
    for version in ("latest", "active", "1"):
        said.append(api.boto.get_pipeline_definition(pipelineId=pipeline_id, version=version))
    said.append(api.boto.describe_pipelines(pipelineIds=[pipeline_id]))
    for sphere in ("COMPONENT", "INSTANCE", "ATTEMPT"):
        ids = api.ids(pipeline_id, sphere)
        for evaluate in (False, True):
            said.append(api.boto.describe_objects(pipelineId=pipeline_id, objectIds=ids, evaluateExpressions=evaluate))
    objects_of = [
        {"id": obj["id"], "name": obj["name"], "fields": obj["fields"]} for obj in said[-6]["pipelineObjects"]
    ]
    said.append(api.boto.validate_pipeline_definition(pipelineId=pipeline_id, pipelineObjects=objects_of[:1]))
    said.append(api.own.call("ListEvents", pipelineId=pipeline_id))
    said.append(api.own.call("PreviewIntervals", pipelineId=pipeline_id, parameterValues=GIVEN))
    said.append(api.own.call("ListKeys"))
    text = without_secrets(json.dumps(said, default=str))
    assert text.count(MASKED) >= 10
    without_secrets(files_of(api).decode("latin-1"))
    without_secrets(caplog.text)


def test_a_secret_cannot_be_read_through_an_expression(api: Api, group: str):
    pipeline_id = api.pipeline(*definition(group), **put_body())
    api.boto.activate_pipeline(pipelineId=pipeline_id, parameterValues=GIVEN)
    for name in ("*myToken", "*myDefault", "*myValue", "*myGiven", "database.*password", "node.*myToken"):
        for object_id in ("Work", api.instance(pipeline_id, "Work")):
            with pytest.raises(api.boto.exceptions.InvalidRequestException) as refused:
                api.boto.evaluate_expression(pipelineId=pipeline_id, objectId=object_id, expression=f"#{{{name}}}")
            without_secrets(str(refused.value))


def test_a_secret_cannot_be_found_by_a_query(api: Api, group: str):
    pipeline_id = api.pipeline(*definition(group), **put_body())
    assert api.ids(pipeline_id, "COMPONENT", ("*password", "EQ", [SECRETS["field"]])) == []
    assert api.ids(pipeline_id, "COMPONENT", ("*password", "BETWEEN", ["hunter2", "hunter3"])) == []
    assert api.ids(pipeline_id, "COMPONENT", ("*password", "EQ", [MASKED])) == ["Base"]


def got(api: Api, pipeline_id: str) -> dict[str, Any]:
    answer = api.boto.get_pipeline_definition(pipelineId=pipeline_id)
    return {key: answer[key] for key in ("pipelineObjects", "parameterObjects", "parameterValues")}


def script(api: Api, group: str) -> str:
    task = api.poll(group)
    api.boto.set_task_status(taskId=task["taskId"], taskStatus="FINISHED")
    return str(plain(task["objects"][task["attemptId"]]["fields"])["script"])


def test_a_put_of_what_one_gets_keeps_every_secret(api: Api, group: str):
    pipeline_id = api.pipeline(*definition(group), **put_body())
    api.boto.activate_pipeline(pipelineId=pipeline_id, parameterValues=GIVEN)
    script(api, group)
    shown = got(api, pipeline_id)
    assert without_secrets(json.dumps(shown)).count(MASKED) == 5
    api.boto.put_pipeline_definition(pipelineId=pipeline_id, **shown)
    assert api.boto.get_pipeline_definition(pipelineId=pipeline_id, version="1")  # nothing new, no new version
    with pytest.raises(api.boto.exceptions.InvalidRequestException):
        api.boto.get_pipeline_definition(pipelineId=pipeline_id, version="2")
    for obj in shown["pipelineObjects"]:
        for field in obj["fields"]:
            if field["key"] == "script":
                field["stringValue"] += " -- changed"
    api.boto.put_pipeline_definition(pipelineId=pipeline_id, **shown)
    api.boto.activate_pipeline(pipelineId=pipeline_id)
    assert script(api, group) == f"select '{' '.join(SECRETS.values())}' -- changed"


def test_masked_values_at_activation_stand_for_the_stored_ones(api: Api, group: str):
    pipeline_id = api.pipeline(*definition(group), **put_body())
    api.boto.activate_pipeline(pipelineId=pipeline_id, parameterValues=GIVEN)
    script(api, group)
    masked = [{"id": name, "stringValue": MASKED} for name in ("*myGiven", "*myValue", "*myDefault")]
    api.boto.activate_pipeline(pipelineId=pipeline_id, parameterValues=masked)
    assert script(api, group) == f"select '{' '.join(SECRETS.values())}'"


def test_a_new_secret_replaces_the_stored_one(api: Api, group: str):
    pipeline_id = api.pipeline(*definition(group), **put_body())
    new = [{"id": "*myValue", "stringValue": "a-new-value"}]
    api.put(pipeline_id, *definition(group), parameterObjects=PARAMETERS, parameterValues=new)
    api.boto.activate_pipeline(pipelineId=pipeline_id, parameterValues=GIVEN)
    assert "a-new-value" in script(api, group)


def test_a_list_of_secrets_is_kept_whole(api: Api, group: str):
    objects = (ON_DEMAND, shell("A", group, command="echo #{*myTokens}", **{"*myTokens": ["one-1", "two-2"]}))
    pipeline_id = api.pipeline(*objects)
    shown = got(api, pipeline_id)
    shown["pipelineObjects"][1]["name"] = "another name"
    api.boto.put_pipeline_definition(pipelineId=pipeline_id, **shown)
    api.boto.activate_pipeline(pipelineId=pipeline_id)
    task = api.poll(group)
    fields = plain(task["objects"][task["attemptId"]]["fields"])
    assert {"one-1", "two-2"} <= set(fields["*maskedValues"])
    api.put(pipeline_id, ON_DEMAND, shell("A", group, command="echo #{*myTokens}", **{"*myTokens": ["one-1"]}))
    assert api.boto.get_pipeline_definition(pipelineId=pipeline_id, version="2")["pipelineObjects"]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"objects": {"*myToken": MASKED}}, r"The field '\*myToken' of object 'Default' is '\*\*\*\*\*', but no value"),
        ({"values": MASKED}, r"The value of '\*myValue' is '\*\*\*\*\*', but no value is stored"),
        ({"default": MASKED}, r"The attribute 'default' of '\*myValue' is '\*\*\*\*\*', but no value is stored"),
        ({"objects": {"*myToken": [MASKED, "more"]}}, "among other values"),
    ],
)
def test_a_mask_that_stands_for_nothing_is_refused(api: Api, group: str, change: dict[str, Any], text: str):
    pipeline_id = api.create()
    attributes = [{"key": "default", "stringValue": change["default"]}] if "default" in change else []
    body = {
        "parameterObjects": [{"id": "*myValue", "attributes": attributes}],
        "parameterValues": [{"id": "*myValue", "stringValue": change["values"]}] if "values" in change else [],
    }
    with pytest.raises(api.boto.exceptions.InvalidRequestException, match=text):
        api.put(pipeline_id, ON_DEMAND | change.get("objects", {}), shell("A", group), **body)


def test_a_mask_without_a_stored_value_is_refused_at_activation(api: Api, group: str):
    pipeline_id = api.pipeline(*definition(group), **put_body())
    masked = [{"id": "*myGiven", "stringValue": MASKED}]
    with pytest.raises(api.boto.exceptions.InvalidRequestException, match="but no value is stored"):
        api.boto.activate_pipeline(pipelineId=pipeline_id, parameterValues=masked)


BAD = "hunter2"
DATABASE = {
    "type": "JdbcDatabase",
    "connectionString": "jdbc:sqlite:x",
    "jdbcDriverClass": "org.sqlite.JDBC",
    "username": "u",
}
ERRORS: dict[str, Callable[[str], dict[str, Any]]] = {
    "a broken expression in a secret field": lambda group: {"base": {**DATABASE, "*password": f"{BAD}#{{{BAD}("}},
    "an unknown name in a secret field": lambda group: {"base": {**DATABASE, "*password": f"{BAD}#{{@x + {BAD}}}"}},
    "only an unknown name in a secret field": lambda group: {"base": {**DATABASE, "*password": f"#{{{BAD}}}"}},
    "an unknown function in a secret field": lambda group: {"base": {**DATABASE, "*password": f"#{{{BAD}(1)}}"}},
    "a secret that is too long": lambda group: {"default": {"*myToken": BAD * 2000}},
    "a secret with a control character": lambda group: {"default": {"*myToken": f"{BAD}\1"}},
    "a secret value with a control character": lambda group: {"values": f"{BAD}\1"},
    "a secret value of another type": lambda group: {"values": BAD, "attributes": {"type": "Integer"}},
    "a secret default of another type": lambda group: {"attributes": {"type": "Double", "default": BAD}},
    "a secret value that is not allowed": lambda group: {"values": BAD, "attributes": {"allowedValues": "x"}},
    "an unknown type": lambda group: {"attributes": {"type": "Nothing", "default": BAD}},
    "a secret value without its parameter": lambda group: {"values": BAD, "identity": "*myOther"},
    "a secret in a password of an unknown type": lambda group: {"base": {"*password": BAD, "type": "Nothing"}},
    "a number that is no text": lambda group: {"default": {"*myToken": 472847284}},
}


@pytest.mark.parametrize("kind", list(ERRORS))
def test_no_error_shows_a_secret(api: Api, group: str, kind: str):
    change = ERRORS[kind](group)
    pipeline_id = api.create()
    attributes = [{"key": k, "stringValue": v} for k, v in change.get("attributes", {}).items()]
    objects = [ON_DEMAND | change.get("default", {}), shell("A", group)]
    if "base" in change:
        objects.append({"id": "Base", **change["base"]})
    body = {
        "parameterObjects": [{"id": "*mySecret", "attributes": attributes}],
        "parameterValues": [{"id": change.get("identity", "*mySecret"), "stringValue": change["values"]}]
        if "values" in change
        else [],
    }
    said: list[str] = []
    for attempt in (
        lambda: api.put(pipeline_id, *objects, **body),
        lambda: api.boto.activate_pipeline(pipelineId=pipeline_id, parameterValues=body["parameterValues"]),
    ):
        try:
            said.append(json.dumps(attempt(), default=str))
        except api.boto.exceptions.ClientError as error:
            said.append(str(error.response))
    assert BAD not in "".join(said).replace("hunter2-", "")
    assert "472847284" not in "".join(said)


@pytest.mark.parametrize(
    "command",
    ["#{*myToken - 1}", "#{format(*myToken, 'YYYY')}", "#{*myToken.nothing}", "#{@attemptCount + day(*myToken)}"],
)
def test_an_attempt_whose_expression_fails_on_a_secret_does_not_show_it(fresh_api: Api, group: str, command: str):
    api = fresh_api
    pipeline_id = api.activated(
        ON_DEMAND | {"*myToken": SECRETS["field"]}, shell("A", group, command=command), shell("B", group)
    )
    assert api.poll(group)["attemptId"].startswith("@B_")
    fields = api.fields(pipeline_id, api.instance(pipeline_id, "A"))
    assert fields["@status"] == "FAILED"
    assert "The field 'command' of 'A' cannot be evaluated" in fields["errorMessage"]
    without_secrets(fields["errorMessage"] + files_of(api).decode("latin-1"))


def test_a_secret_that_is_no_expression_fails_its_reader_without_being_shown(fresh_api: Api, group: str):
    api = fresh_api
    broken = SECRETS["field"] + "#{1 +"
    pipeline_id = api.activated(
        ON_DEMAND | {"*myToken": broken}, shell("A", group, command="echo #{*myToken}"), shell("B", group)
    )
    assert api.poll(group)["attemptId"].startswith("@B_")
    fields = api.fields(pipeline_id, api.instance(pipeline_id, "A"))
    assert fields["@status"] == "FAILED"
    without_secrets(fields["errorMessage"] + files_of(api).decode("latin-1"))


def test_the_secret_of_a_key_is_not_shown_by_an_error(api: Api):
    with pytest.raises(ServiceError) as refused:
        api.own.call("CreateKey", role="admin", accessKeyId="AKIALONG", secretAccessKey="hunter2" * 200)
    assert "hunter2" not in str(refused.value)
    assert "length less than or equal to 1024" in str(refused.value)


def test_keys_are_encrypted_at_rest(fresh_api: Api):
    secrets = [fresh_api.key().secret_key, fresh_api.key(workerGroup="g").secret_key]
    stored = files_of(fresh_api)
    assert not any(secret.encode() in stored for secret in secrets)
