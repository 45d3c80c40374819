"""Keys: what each role may do, what nobody may see, and whom the service does not know."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from api_service import Api, code_of, running, shell

from penstock.api.operations import operations
from penstock.api.roles import ROLES_OF_OPERATIONS, check_operation, roles_for
from penstock.cli.credentials import NoCredentials, find_credentials, penstock_client
from penstock.store.database import open_store
from penstock.store.keys import insert_key
from penstock.store.rows import AccessKey
from penstock.store.secrets import Secrets
from penstock.wire.errors import ServiceError
from penstock.wire.sigv4 import Credentials, sign

LIST = "DataPipeline.ListPipelines"
SECRET = "hunter2-and-more"
VIEWER = {
    *("ListPipelines", "DescribePipelines", "GetPipelineDefinition", "ValidatePipelineDefinition", "DescribeObjects"),
    *("QueryObjects", "EvaluateExpression", "PreviewIntervals", "DescribeProgress", "ListEvents", "ExplainWaiting"),
    *("ListVersions", "ListRunners", "ListLogs", "ReadLog"),
}
RUNNER = {"PollForTask", "ReportTaskProgress", "SetTaskStatus", "ReportTaskRunnerHeartbeat", "EndTasks", "WriteLog"}
KEYS = {"CreateKey", "ListKeys", "RevokeKey"}


def all_operations() -> set[str]:
    return {name for _, functions in operations().values() for name in functions}


def key(role: str) -> AccessKey:
    return AccessKey("AKIAONE", "", role, "one", "", None, None, 0, None)


def test_the_table_of_roles_decides_every_operation_of_both_models():
    assert set(ROLES_OF_OPERATIONS) == all_operations()
    assert len(all_operations()) == sum(len(functions) for _, functions in operations().values()), "a name means one"


@pytest.mark.parametrize(
    ("role", "may"),
    [
        ("viewer", VIEWER),
        ("operator", set(ROLES_OF_OPERATIONS) - KEYS - RUNNER),
        ("runner", RUNNER),
        ("system", RUNNER),
        ("admin", set(ROLES_OF_OPERATIONS)),
    ],
)
def test_a_role_may_call_what_it_is_for(role: str, may: set[str]):
    assert {operation for operation in ROLES_OF_OPERATIONS if role in roles_for(operation)} == may


def test_what_the_table_does_not_list_is_for_admins():
    check_operation(key("admin"), "Tomorrow")
    for role in ("operator", "viewer", "runner", "system", "king"):
        with pytest.raises(ServiceError, match=f"has the role {role}, which may not Tomorrow; admin may"):
            check_operation(key(role), "Tomorrow")


@pytest.mark.parametrize("role", ["viewer", "operator", "runner", "admin"])
def test_the_service_refuses_what_a_role_may_not_do_before_it_reads_the_request(api: Api, role: str):
    credentials = api.key(role)
    refused = set()
    for prefix, (_, functions) in operations().items():
        for operation in functions:
            status, _, body = api.raw(f"{prefix}.{operation}", b'{"nothing": 1}', credentials=credentials)
            if json.loads(body).get("__type") == "AccessDeniedException":
                refused.add(operation)
                assert status == 400
    assert refused == {operation for operation in all_operations() if role not in roles_for(operation)}


@pytest.mark.parametrize(
    ("role", "operation", "text"),
    [
        (
            "viewer",
            "DataPipeline.ActivatePipeline",
            "has the role viewer, which may not ActivatePipeline; operator and admin may. Sign with such a key: an"
            " admin makes one with `penstock keys create --role operator`.",
        ),
        (
            "operator",
            "DataPipeline.PollForTask",
            "has the role operator, which may not PollForTask; runner and admin may. Sign with such a key: an admin"
            " makes one with `penstock keys create --role runner`.",
        ),
        (
            "runner",
            "DataPipeline.ListPipelines",
            "has the role runner, which may not ListPipelines; viewer, operator and admin may. Sign with such a key: an"
            " admin makes one with `penstock keys create --role viewer`.",
        ),
        (
            "runner",
            "Penstock.CreateKey",
            "has the role runner, which may not CreateKey; admin may. Sign with such a key: an admin makes one with"
            " `penstock keys create --role admin`.",
        ),
    ],
)
def test_a_refusal_names_key_role_operation_and_the_remedy(api: Api, role: str, operation: str, text: str):
    credentials = api.key(role)
    answer = api.raw(operation, b"{}", credentials=credentials)
    assert json.loads(answer[2])["message"] == f"The key {credentials.access_key} {text}"


def test_a_runners_refused_group_is_named_with_the_one_it_is_for(api: Api):
    credentials = api.key(workerGroup="mine")
    answer = api.raw("DataPipeline.PollForTask", b'{"workerGroup": "other"}', credentials=credentials)
    said = json.loads(answer[2])["message"]
    assert said.startswith(f"The key {credentials.access_key}, of the role runner, may not work for the worker group")
    assert "'other': it is for 'mine' only." in said
    assert "`penstock keys create --role runner --worker-group NAME`" in said


def test_a_worker_group_limits_runners_only(api: Api):
    for role in ("admin", "operator", "viewer"):
        with pytest.raises(ServiceError, match="limits a key of the role runner"):
            api.key(role, workerGroup="mine")


def test_the_key_of_the_services_own_runner_is_out_of_an_admins_reach(api: Api):
    system = api.system_key()
    assert system.access_key not in [one["accessKeyId"] for one in api.own.call("ListKeys")["keys"]]
    with pytest.raises(ServiceError, match=f"There is no key {system.access_key}"):
        api.own.call("RevokeKey", accessKeyId=system.access_key)
    with pytest.raises(ServiceError, match="enum value set"):
        api.key("system")


def test_an_operator_works_a_pipeline_and_a_viewer_looks_on(api: Api, group: str):
    operator, viewer = api.client(api.key("operator")), api.client(api.key("viewer"))
    pipeline_id = operator.create_pipeline(name="n", uniqueId=group)["pipelineId"]
    api.put(pipeline_id, {"id": "Default", "scheduleType": "ondemand"}, shell("A", group))
    operator.activate_pipeline(pipelineId=pipeline_id)
    instance = api.instance(pipeline_id, "A")
    assert viewer.describe_objects(pipelineId=pipeline_id, objectIds=[instance])["pipelineObjects"]
    with pytest.raises(viewer.exceptions.ClientError, match=r"AccessDeniedException.*may not SetStatus"):
        viewer.set_status(pipelineId=pipeline_id, objectIds=[instance], status="TRY_CANCEL")
    operator.set_status(pipelineId=pipeline_id, objectIds=[instance], status="TRY_CANCEL")
    operator.delete_pipeline(pipelineId=pipeline_id)


def secretive(api: Api, group: str) -> str:
    """A pipeline with a secret in a field, in a parameter's value and in its default."""
    attributes = [{"key": "default", "stringValue": SECRET}, {"key": "type", "stringValue": "String"}]
    return api.activated(
        {"id": "Default", "scheduleType": "ondemand", "*myToken": SECRET},
        {
            "id": "Db",
            "type": "JdbcDatabase",
            "connectionString": "jdbc:sqlite:x",
            "username": "u",
            "jdbcDriverClass": "x",
            "*password": "#{*mySecret}",
        },
        shell("A", group, command="echo #{*mySecret} #{*myToken}"),
        parameterObjects=[{"id": "*mySecret", "attributes": attributes}],
        parameterValues=[{"id": "*mySecret", "stringValue": SECRET}],
    )


def test_a_viewer_sees_no_secret(api: Api, group: str):
    pipeline_id = secretive(api, group)
    credentials = api.key("viewer")
    viewer, own = api.client(credentials), penstock_client(api.endpoint, credentials)
    instance = api.instance(pipeline_id, "A")
    said: list[Any] = [viewer.get_pipeline_definition(pipelineId=pipeline_id)]
    for identity in ("Default", "Db", "A", instance):
        described = viewer.describe_objects(pipelineId=pipeline_id, objectIds=[identity], evaluateExpressions=True)
        said.append(described)
        for expression in (
            *("#{*myToken}", "#{*mySecret}", "#{*password}", "#{command}", "#{*mySecret + 'a'}", "#{*myToken.x}"),
            *("#{Db.*password}", "#{format(*mySecret, 'YYYY')}", "#{parent.*myToken}", "#{node.command}"),
        ):
            with pytest.raises(viewer.exceptions.ClientError) as refused:
                viewer.evaluate_expression(pipelineId=pipeline_id, objectId=identity, expression=expression)
            said.append(refused.value.response)
    said.append(own.call("ListEvents", pipelineId=pipeline_id))
    said.append(own.call("PreviewIntervals", pipelineId=pipeline_id))
    own.close()
    text = json.dumps(said, default=str)
    assert SECRET not in text
    assert "encrypted:" not in text


def test_a_viewer_cannot_find_out_a_secret_by_comparing(api: Api, group: str):
    pipeline_id = secretive(api, group)
    viewer = api.client(api.key("viewer"))

    def answer(client: Any, guess: str) -> bool:
        wanted = client.get_pipeline_definition(pipelineId=pipeline_id)
        errored: bool = client.validate_pipeline_definition(
            pipelineId=pipeline_id,
            pipelineObjects=wanted["pipelineObjects"],
            parameterObjects=[{"id": "*mySecret", "attributes": [{"key": "allowedValues", "stringValue": guess}]}],
            parameterValues=wanted["parameterValues"],
        )["errored"]
        return errored

    assert (answer(api.boto, SECRET), answer(api.boto, "a guess")) == (False, True), "who may put it knows it anyway"
    assert answer(viewer, SECRET) == answer(viewer, "a guess")
    for kind in ("EQ", "GE", "LE"):
        found = []
        for guess in (SECRET, "hunter1", "hunter3"):
            query = {"selectors": [{"fieldName": "*myToken", "operator": {"type": kind, "values": [guess]}}]}
            found.append(viewer.query_objects(pipelineId=pipeline_id, sphere="COMPONENT", query=query)["ids"])
        assert found[0] == found[1] == found[2]


def test_a_viewer_may_validate_what_it_was_shown(api: Api, group: str):
    pipeline_id = secretive(api, group)
    viewer = api.client(api.key("viewer"))
    shown = viewer.get_pipeline_definition(pipelineId=pipeline_id)
    shown.pop("ResponseMetadata")
    assert not viewer.validate_pipeline_definition(pipelineId=pipeline_id, **shown)["errored"]


# What a request must carry


Change = Callable[[dict[str, str]], dict[str, str]]


def without(*names: str) -> Change:
    return lambda headers: {name: value for name, value in headers.items() if name not in names}


def with_authorization(old: str, new: str) -> Change:
    return lambda headers: {**headers, "Authorization": headers["Authorization"].replace(old, new)}


UNSIGNED: dict[str, tuple[Change, str, str]] = {
    "no Authorization": (without("Authorization"), "MissingAuthenticationTokenException", "Missing Authentication"),
    "no date": (without("X-Amz-Date"), "IncompleteSignatureException", "requires existence of either a 'X-Amz-Date'"),
    "another algorithm": (with_authorization("AWS4-HMAC-SHA256", "Basic"), "IncompleteSignatureException", "algorithm"),
    "no signature": (
        lambda h: {**h, "Authorization": h["Authorization"].split(", Signature=")[0]},
        "IncompleteSignatureException",
        "Authorization header requires 'Signature' parameter.",
    ),
    "no signed headers": (
        with_authorization("SignedHeaders=", "Headers="),
        "IncompleteSignatureException",
        "Authorization header requires 'SignedHeaders' parameter.",
    ),
    "a short credential": (with_authorization("/aws4_request", ""), "IncompleteSignatureException", "exactly 5 slash"),
    "another day's scope": (
        lambda h: {**h, "Authorization": h["Authorization"].replace(h["X-Amz-Date"][:8], "20200101")},
        "InvalidSignatureException",
        "Date in Credential scope does not match",
    ),
    "another service": (
        with_authorization("/datapipeline/", "/s3/"),
        "InvalidSignatureException",
        "Credential should be scoped to correct service: 'datapipeline'.",
    ),
    "a target that is not signed": (
        with_authorization(";x-amz-target", ""),
        "InvalidSignatureException",
        "'x-amz-target' must be a 'SignedHeader'",
    ),
    "a signed header that is not there": (
        with_authorization("SignedHeaders=", "SignedHeaders=accept;"),
        "InvalidSignatureException",
        "The signed header 'accept' is not in the request.",
    ),
    "a header changed": (
        lambda h: {**h, "X-Amz-Target": "DataPipeline.CreatePipeline"},
        "InvalidSignatureException",
        "The request signature we calculated does not match",
    ),
    "another region": (with_authorization("/us-east-1/", "/eu-west-1/"), "InvalidSignatureException", "does not match"),
    "a signature of other characters": (
        with_authorization("Signature=", "Signature=é"),
        "InvalidSignatureException",
        "does not match",
    ),
    "an unknown key": (
        with_authorization("Credential=", "Credential=X"),
        "UnrecognizedClientException",
        "The security token included in the request is invalid.",
    ),
}


def signed(api: Api, body: bytes = b"{}", **more: str) -> dict[str, str]:
    headers = {"X-Amz-Target": LIST, "Content-Type": "application/x-amz-json-1.1", **more}
    now = datetime.now(UTC)
    return sign(
        "POST", api.endpoint + "/", headers, body, api.credentials, region="us-east-1", service="datapipeline", now=now
    )


@pytest.mark.parametrize("what", list(UNSIGNED))
def test_a_request_that_is_not_signed_as_it_must_be_gets_awss_own_error(api: Api, what: str):
    change, code, text = UNSIGNED[what]
    answer = api.send("POST", "/", b"{}", change(signed(api)))
    assert (answer[0], code_of(answer)) == (400, code)
    assert text in json.loads(answer[2])["message"]


def test_the_body_is_signed_whatever_its_hash_is_said_to_be(api: Api):
    assert api.send("POST", "/", b"{}", signed(api))[0] == 200
    assert code_of(api.send("POST", "/", b'{"marker": "x"}', signed(api))) == "InvalidSignatureException"
    for said in ("UNSIGNED-PAYLOAD", "0" * 64):
        answer = api.send("POST", "/", b"{}", signed(api, **{"X-Amz-Content-Sha256": said}))
        assert code_of(answer) == "InvalidSignatureException"
        assert "does not match what was computed" in json.loads(answer[2])["message"]


@pytest.mark.parametrize("secret", ["wrong", "right"])
@pytest.mark.parametrize(
    ("method", "path", "target"),
    [
        ("POST", "/", LIST),
        ("POST", "/", "DataPipeline.Nothing"),
        ("POST", "/", "Nothing.Nothing"),
        ("POST", "/nothing", LIST),
        ("GET", "/", LIST),
        ("GET", "/nothing", ""),
        ("PUT", "/health", ""),
        ("DELETE", "/", ""),
        ("GET", "/health/more", ""),
    ],
)
def test_what_exists_is_told_to_nobody_without_a_signature(api: Api, method: str, path: str, target: str, secret: str):
    mine = api.credentials
    credentials = Credentials(mine.access_key, "wrong") if secret == "wrong" else mine
    headers = sign(
        method,
        api.endpoint + path,
        {"X-Amz-Target": target},
        b"",
        credentials,
        region="us-east-1",
        service="datapipeline",
        now=datetime.now(UTC),
    )
    answer = api.send(method, path, b"", headers)
    if secret == "wrong":
        assert (answer[0], code_of(answer)) == (400, "InvalidSignatureException")
    elif (method, path, target) != ("POST", "/", LIST):
        assert (answer[0], code_of(answer)) == (400, "UnknownOperationException")


# Session tokens


def test_a_session_token_is_refused_in_awss_words(api: Api):
    mine = api.credentials
    with_token = Credentials(mine.access_key, mine.secret_key, "a session token")
    answer = api.raw(LIST, b"{}", credentials=with_token)
    assert (answer[0], code_of(answer)) == (400, "UnrecognizedClientException")
    assert json.loads(answer[2])["message"] == "The security token included in the request is invalid."


def test_our_commands_send_no_session_token(api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_SESSION_TOKEN", "another key's")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", api.credentials.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", api.credentials.secret_key)
    found = find_credentials(None)
    assert found == api.credentials
    client = penstock_client(api.endpoint, found)
    assert client.call("ListKeys")["keys"]
    client.close()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "credentials").write_text(
        "[default]\naws_access_key_id = AK\naws_secret_access_key = s\naws_session_token = t\n"
    )
    assert find_credentials(tmp_path) == Credentials("AK", "s")


@pytest.mark.parametrize("missing", ["aws_access_key_id", "aws_secret_access_key"])
def test_half_a_key_is_an_error_and_not_a_reason_to_take_another(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    whole = ["[default]", "aws_access_key_id = AK", "aws_secret_access_key = s", ""]
    (tmp_path / "credentials").write_text("\n".join(whole))
    (tmp_path / "viewer").write_text("\n".join(line for line in whole if missing not in line))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "viewer"))
    with pytest.raises(NoCredentials, match=f"The profile default of {tmp_path / 'viewer'} lacks {missing}"):
        find_credentials(tmp_path)


# Keys that are older than the roles


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_keys_of_a_store_without_the_roles_still_work(dialect: str, request: pytest.FixtureRequest, tmp_path: Path):
    url = request.getfixturevalue("postgresql_url") if dialect == "postgresql" else None
    data = tmp_path / "data"
    data.mkdir()
    store = open_store(url, data, schema=1)
    secrets = Secrets(data)
    with store.transaction() as tx:
        for access_key, role in (("AKIAADMIN", "admin"), ("AKIARUNNER", "runner")):
            insert_key(tx, secrets, 1000, access_key, "its secret", role=role, name=role, owner="")
    store.close()
    for api in running(data, "long_poll = 0", store=url):
        admin = Credentials("AKIAADMIN", "its secret")
        assert "pipelineIdList" in api.client(admin).list_pipelines()
        assert "taskObject" not in api.client(Credentials("AKIARUNNER", "its secret")).poll_for_task(workerGroup="g")
        assert "pipelineIdList" in api.client(api.key("viewer")).list_pipelines()
        keys = {key["accessKeyId"]: key for key in api.own.call("ListKeys")["keys"]}
        assert keys["AKIARUNNER"]["role"] == "runner"
        assert keys["AKIAADMIN"]["creationTime"].timestamp() == 1
