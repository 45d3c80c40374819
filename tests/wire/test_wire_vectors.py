"""botocore's protocol vectors for AWS JSON hold in both directions.

The vectors are not part of Penstock. They are in botocore's source distribution, in `tests/unit/protocols`;
the environment variable PENSTOCK_PROTOCOL_VECTORS names that folder. Bodies, codes of errors and the names of
services are compared, host names and request paths are not.
"""

import json
import math
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from penstock.wire.json_protocol import decode_error, decode_input, decode_output, encode_input, encode_output
from penstock.wire.model import ServiceModel, read_model

FOLDER = os.environ.get("PENSTOCK_PROTOCOL_VECTORS")
FILES = ("json.json", "json_1_0.json")

# Its cases are about compression by HTTP and have no bodies to compare.
LEFT_OUT = "PutWithContentEncoding"


def cases(direction: str) -> list[Any]:
    """Each vector as (model, operation, case), or one that is skipped where there are none."""
    if not FOLDER:
        reason = "PENSTOCK_PROTOCOL_VECTORS does not name botocore's tests/unit/protocols"
        return [pytest.param(None, "", {}, marks=pytest.mark.skip(reason=reason), id="no vectors")]
    found = []
    for file in FILES:
        for suite in json.loads(Path(FOLDER, direction, file).read_text()):
            if LEFT_OUT in suite["description"]:
                continue
            for case in suite["cases"]:
                operation = case["given"].get("name", "OperationName")
                model = read_model({**suite, "operations": {operation: case["given"]}})
                found.append(pytest.param(model, operation, case, id=f"{file}:{case.get('id')}"))
    return found


def comparable(value: Any) -> Any:
    """Values as the vectors write them: times in epoch seconds, blobs as text, NaN and Infinity as names."""
    match value:
        case dict():
            return {key: comparable(item) for key, item in value.items()}
        case list():
            return [comparable(item) for item in value]
        case datetime():
            return value.timestamp()
        case bytes():
            return value.decode()
        case float() if math.isnan(value):
            return "NaN"
        case float() if math.isinf(value):
            return "Infinity" if value > 0 else "-Infinity"
    return value


def without_nulls(value: Any) -> Any:
    return {key: item for key, item in value.items() if item is not None}


def special(model: ServiceModel, operation: str, value: dict[str, Any]) -> dict[str, Any]:
    """Vectors name the special numbers where callers give floats."""
    shape = model.operations[operation].input
    assert shape
    return {
        name: float(item)
        if isinstance(item, str) and model.shapes[shape.members[name].shape].type in ("float", "double")
        else item
        for name, item in value.items()
    }


@pytest.mark.parametrize(("model", "operation", "case"), cases("input"))
def test_a_request_is_written_and_read_as_the_vectors_say(model: ServiceModel, operation: str, case: dict[str, Any]):
    parameters = case["params"]
    if model.operations[operation].input:
        parameters = special(model, operation, parameters)
    expected = json.loads(case["serialized"].get("body") or "{}")
    body = encode_input(model, operation, parameters)
    assert json.loads(body) == expected
    assert comparable(decode_input(model, operation, body)) == comparable(without_nulls(parameters))
    ours = {
        "Content-Type": f"application/x-amz-json-{model.json_version}",
        "X-Amz-Target": f"{model.target_prefix}.{operation}",
    }
    assert case["serialized"].get("headers", {}).items() <= ours.items()


@pytest.mark.parametrize(("model", "operation", "case"), cases("output"))
def test_an_answer_is_read_and_written_as_the_vectors_say(model: ServiceModel, operation: str, case: dict[str, Any]):
    response = case["response"]
    body = response.get("body", "").encode()
    if "error" in case:
        headers = {name.lower(): value for name, value in response.get("headers", {}).items()}
        error = decode_error(response["status_code"], headers, body)
        assert (error.code, error.message) == (case["errorCode"], case.get("errorMessage", ""))
        assert error.status == response["status_code"]
        return
    values = decode_output(model, operation, body)
    assert comparable(values) == case["result"]
    again = decode_output(model, operation, encode_output(model, operation, values))
    assert comparable(again) == case["result"]
