"""The edge of the service: signatures, bodies of any shape, and the two service models."""

from __future__ import annotations

import inspect
import json
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any

import boto3
import botocore.session
import pytest
from api_service import ON_DEMAND, Api, code_of, shell
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.api.operations import MODULES, operations
from penstock.wire.model import ServiceModel, Shape, load_botocore_model, load_penstock_model
from penstock.wire.sigv4 import Credentials

TYPE = "application/x-amz-json-1.1"
DESCRIBE = "DataPipeline.ListPipelines"


def test_the_functions_of_the_api_are_the_operations_of_both_models():
    found = operations()
    assert {prefix: set(functions) for prefix, (_, functions) in found.items()} == {
        "DataPipeline": set(load_botocore_model("datapipeline").operations),
        "Penstock": set(load_penstock_model().operations),
    }
    assert len(found["DataPipeline"][1]) == 19
    served = [function for _, functions in found.values() for function in functions.values()]
    written = [
        function
        for module in MODULES
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__
        and list(inspect.signature(function).parameters) == ["call", "request"]
    ]
    assert sorted(f.__name__ for f in served) == sorted(f.__name__ for f in written)


def test_health_needs_no_signature(api: Api):
    status, headers, body = api.send("GET", "/health", b"", {})
    assert (status, json.loads(body)) == (200, {"status": "ok"})
    assert headers["x-amzn-requestid"]


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("POST", "/", {"X-Amz-Target": DESCRIBE, "Content-Type": TYPE}),
        ("POST", "/", {"X-Amz-Target": "DataPipeline.NoSuchOperation"}),
        ("POST", "/", {"X-Amz-Target": "Penstock.ListKeys"}),
        ("POST", "/", {}),
        ("GET", "/", {}),
        ("GET", "/anything", {}),
        ("POST", "/health", {}),
        ("DELETE", "/", {"X-Amz-Target": DESCRIBE}),
    ],
)
def test_nothing_else_is_answered_without_a_signature(api: Api, method: str, path: str, headers: dict[str, str]):
    answer = api.send(method, path, b"", headers)
    assert (answer[0], code_of(answer)) == (400, "MissingAuthenticationTokenException")


def test_an_answer_has_the_headers_of_the_service(api: Api):
    status, headers, body = api.raw(DESCRIBE, b"{}")
    assert (status, headers["content-type"]) == (200, TYPE)
    assert headers["x-amzn-requestid"]
    assert int(headers["content-length"]) == len(body)
    answer = api.raw("DataPipeline.DescribePipelines", b'{"pipelineIds":["df-1"]}')
    assert answer[1]["x-amzn-errortype"] == "PipelineNotFoundException"
    assert json.loads(answer[2]) == {
        "__type": "PipelineNotFoundException",
        "message": "Pipeline with id: df-1 does not exist",
    }


@pytest.mark.parametrize(
    ("change", "code", "text"),
    [
        ({"secret": "wrong"}, "InvalidSignatureException", "The request signature we calculated does not match"),
        (
            {"key": "AKIAUNKNOWN"},
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
        ),
        ({"minutes": -20}, "InvalidSignatureException", "Signature expired: "),
        ({"minutes": 20}, "InvalidSignatureException", "Signature not yet current: "),
    ],
)
def test_a_signature_that_does_not_hold_is_refused_in_awss_words(
    api: Api, change: dict[str, Any], code: str, text: str
):
    mine = api.credentials
    credentials = Credentials(change.get("key", mine.access_key), change.get("secret", mine.secret_key))
    now = datetime.now(UTC) + timedelta(minutes=change.get("minutes", 0))
    answer = api.raw(DESCRIBE, b"{}", credentials=credentials, now=now)
    assert (answer[0], code_of(answer)) == (400, code)
    assert json.loads(answer[2])["message"].startswith(text)


def test_boto3_raises_for_a_wrong_secret(api: Api):
    client = api.client(Credentials(api.credentials.access_key, "wrong"))
    with pytest.raises(ClientError, match="InvalidSignatureException"):
        client.list_pipelines()


def test_a_revoked_key_is_worthless(api: Api):
    key = api.key("admin")
    client = api.client(key)
    client.list_pipelines()
    api.own.call("RevokeKey", accessKeyId=key.access_key)
    with pytest.raises(ClientError, match="UnrecognizedClientException"):
        client.list_pipelines()


def test_a_signature_for_one_service_does_not_open_the_other(api: Api):
    for target in ("Penstock.ListKeys", DESCRIBE):
        other = DESCRIBE if target.startswith("Penstock") else "Penstock.ListKeys"
        headers: dict[str, str] = {}

        def keep(method: str, path: str, body: bytes, signed: dict[str, str], kept: dict[str, str] = headers) -> Any:
            kept.update(signed)
            return 200, {}, b""

        original, api.send = api.send, keep  # type: ignore[method-assign]
        api.raw(target, b"{}")
        api.send = original  # type: ignore[method-assign]
        answer = api.send("POST", "/", b"{}", {**headers, "X-Amz-Target": other})
        assert code_of(answer) == "InvalidSignatureException"


def test_an_unknown_operation_is_refused_once_the_caller_is_known(api: Api):
    for target in ("DataPipeline.Nothing", "Nothing.ListPipelines", "ListPipelines", ""):
        answer = api.raw(target, b"{}")
        assert (answer[0], code_of(answer)) == (400, "UnknownOperationException")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "ValidationException"),
        (b"{", "SerializationException"),
        (b"\xff\xfe", "SerializationException"),
        (b'"text"', "SerializationException"),
        (b"[]", "SerializationException"),
        (b"null", "SerializationException"),
        (b'{"name": NaN, "uniqueId": "u"}', "SerializationException"),
        (b'{"name": 5, "uniqueId": "u"}', "SerializationException"),
        (b'{"name": "n"}', "ValidationException"),
        (b'{"name": null, "uniqueId": null}', "ValidationException"),
        (b'{"name": "", "uniqueId": "u"}', "ValidationException"),
        (b'{"name": "n", "uniqueId": "u", "more": 1}', "ValidationException"),
        (b'{"name": "\\u0000", "uniqueId": "u"}', "ValidationException"),
        (b'{"name": "\\ud800", "uniqueId": "u"}', "SerializationException"),
        (b'{"name": "n", "uniqueId": "u", "tags": [{"key": "k"}]}', "ValidationException"),
        (b'{"name": "n", "uniqueId": "u", "tags": {"k": "v"}}', "SerializationException"),
        (b'{"a":' * 50_000, "SerializationException"),
        (b"[" * 100_000 + b"]" * 100_000, "SerializationException"),
    ],
)
def test_a_malformed_body_is_an_error_of_the_caller(api: Api, body: bytes, code: str):
    answer = api.raw("DataPipeline.CreatePipeline", body)
    assert (answer[0], code_of(answer)) == (400, code)


def test_a_body_that_is_too_large_is_refused(api: Api):
    status, _, body = api.raw("DataPipeline.CreatePipeline", b" " * (25 * 1024 * 1024))
    assert (status, json.loads(body)["__type"]) == (413, "RequestEntityTooLargeException")


def test_the_server_checks_what_botocore_does_not(api: Api):
    pipeline_id = api.create()
    for attempt in (
        lambda: api.create(tags=[{"key": str(n), "value": ""} for n in range(11)]),
        lambda: api.create(name="n" * 1025),
        lambda: api.boto.set_task_status(taskId="t", taskStatus="DONE"),
        lambda: api.put(pipeline_id, {"id": "A", "k" * 257: "v"}),
    ):
        with pytest.raises(ClientError, match="ValidationException"):
            attempt()


WORDS = ("", "x", "A", "Default", "*password", "*****", "#{@scheduledStartTime}", "#{1 +", "\x01", "é😀", "9" * 30)
NUMBERS = (0, -1, 1, 100, 2**31 - 1, 2**63 - 1, -(2**63), 1.5)


def bodies(model: ServiceModel, shape: Shape, known: dict[str, list[str]], depth: int = 0) -> st.SearchStrategy[Any]:
    """Values of a shape that are right in form and odd in content."""
    if shape.type == "structure":
        members = {
            name: bodies(model, model.shapes[ref.shape], {**known, "": known.get(name, [])}, depth + 1)
            for name, ref in shape.members.items()
        }
        required = {name: members[name] for name in shape.required}
        return st.fixed_dictionaries(required, optional={n: s for n, s in members.items() if n not in required})
    if shape.type == "list" and shape.member:
        return st.lists(bodies(model, model.shapes[shape.member.shape], known, depth + 1), max_size=3)
    if shape.type == "map":
        return st.just({})
    if shape.type == "string":
        return st.sampled_from([*(known.get("") or WORDS), *shape.enum, *WORDS] if depth else list(WORDS))
    if shape.type == "boolean":
        return st.booleans()
    return st.sampled_from(NUMBERS)


@pytest.fixture(scope="module")
def known(api: Api) -> dict[str, list[str]]:
    """Names that exist, for each member that holds them."""
    group = "anything"
    pipeline_id = api.activated(
        ON_DEMAND | {"*myToken": "secret"},
        {"id": "In", "type": "S3DataNode", "filePath": "s3://b/#{@scheduledStartTime}"},
        shell("A", group, input={"ref": "In"}, command="#{input.filePath}"),
    )
    task = api.poll(group)
    ids = [*api.ids(pipeline_id, "COMPONENT"), *api.ids(pipeline_id), task["attemptId"]]
    return {
        "pipelineId": [pipeline_id] * 20,
        "pipelineIds": [pipeline_id] * 20,
        "objectId": ids * 3,
        "objectIds": ids * 3,
        "sphere": ["COMPONENT", "INSTANCE", "ATTEMPT"] * 8,
        "status": ["PAUSE", "RESUME", "TRY_CANCEL", "RERUN", "MARK_FINISHED"] * 4,
        "taskId": [task["taskId"]] * 20,
        "workerGroup": ["penstock:system", f"resource:{pipeline_id}_x", "resource:"],
        "fieldName": ["@status", "input", "name", "@scheduledStartTime", "*myToken"] * 3,
        "key": ["type", "command", "parent", "schedule", "*password", "dependsOn"] * 3,
        "refValue": ["A", "Default", "B"],
    }


CALLS = sorted(f"{prefix}.{name}" for prefix, (_, functions) in operations().items() for name in functions)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), target=st.sampled_from([c for c in CALLS if not c.endswith("DeletePipeline")]))
def test_whatever_is_sent_the_service_does_not_break(api: Api, known: dict[str, list[str]], data: Any, target: str):
    prefix, _, operation = target.partition(".")
    model = operations()[prefix][0]
    shape = model.operations[operation].input
    assert shape is not None
    body = data.draw(bodies(model, shape, known))
    if operation == "PollForTask":
        body["workerGroup"] = data.draw(st.sampled_from(known["workerGroup"]))
    status, _, answer = api.raw(target, json.dumps(body).encode())
    assert status < 500, (target, body, answer)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    target=st.sampled_from([c for c in CALLS if not c.endswith("PollForTask")]),
    body=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["pipelineId", "fields", "x"]), inner),
    ),
)
def test_a_body_of_any_form_does_not_break_it_either(api: Api, target: str, body: Any):
    status, _, answer = api.raw(target, json.dumps(body).encode("utf-8", "surrogatepass"))
    assert status < 500, (target, body, answer)


@pytest.fixture
def own_client(api: Api, monkeypatch: pytest.MonkeyPatch) -> Any:
    """boto3 with our own service model, found through AWS_DATA_PATH."""
    monkeypatch.setenv("AWS_DATA_PATH", str(files("penstock") / "models"))
    session = boto3.Session(botocore_session=botocore.session.Session())
    return session.client(
        "penstock",
        endpoint_url=api.endpoint,
        region_name="us-east-1",
        aws_access_key_id=api.credentials.access_key,
        aws_secret_access_key=api.credentials.secret_key,
    )


def test_our_own_model_works_in_boto3(api: Api, own_client: Any, group: str):
    pipeline_id = api.activated(ON_DEMAND, shell("A", group))
    progress = own_client.describe_progress(pipelineId=pipeline_id)
    assert (progress["state"], progress["due"]) == ("SCHEDULED", 0)
    events = own_client.list_events(pipelineId=pipeline_id)["events"]
    assert events[0]["time"] > datetime.now(UTC) - timedelta(minutes=5)
    reasons = own_client.explain_waiting(pipelineId=pipeline_id, objectId=api.instance(pipeline_id, "A"))["reasons"]
    assert reasons == [f"No task runner of worker group '{group}' has taken it yet."]
    made = own_client.create_key(role="runner", name="from boto3")
    own_client.revoke_key(accessKeyId=made["accessKeyId"])
    listed = {key["accessKeyId"]: key for key in own_client.list_keys()["keys"]}
    assert listed[made["accessKeyId"]]["revocationTime"]
    with pytest.raises(own_client.exceptions.PipelineNotFoundException):
        own_client.preview_intervals(pipelineId="df-unknown")
