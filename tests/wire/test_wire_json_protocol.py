"""Bodies of AWS JSON 1.1 become Python values and back, by the model alone."""

import json
import math
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from botocore.model import ServiceModel as BotocoreModel
from botocore.parsers import JSONParser
from botocore.serialize import JSONSerializer
from botocore.session import get_session
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.wire.errors import ProtocolError
from penstock.wire.json_protocol import (
    decode_error,
    decode_input,
    decode_output,
    encode_error,
    encode_input,
    encode_output,
)
from penstock.wire.model import ServiceModel, ShapeRef, load_botocore_model, read_model

PIPELINES = load_botocore_model("datapipeline")
NOON = datetime(2024, 7, 25, 12, 0, tzinfo=UTC)

# A service with every kind of shape that Data Pipeline lacks.
KINDS = read_model(
    {
        "metadata": {
            "apiVersion": "2026-01-01",
            "endpointPrefix": "kinds",
            "protocol": "json",
            "targetPrefix": "Kinds",
        },
        "operations": {
            "Keep": {"name": "Keep", "input": {"shape": "Thing"}, "output": {"shape": "Thing"}},
            "Ping": {"name": "Ping"},
        },
        "shapes": {
            "Thing": {
                "type": "structure",
                "members": {
                    "blob": {"shape": "Blob"},
                    "choice": {"shape": "Choice"},
                    "count": {"shape": "Count"},
                    "day": {"shape": "Time", "timestampFormat": "iso8601"},
                    "free": {"shape": "Free"},
                    "mail": {"shape": "MailTime"},
                    "number": {"shape": "Number"},
                    "renamed": {"shape": "Text", "locationName": "Re-Named"},
                    "size": {"shape": "Size"},
                    "things": {"shape": "Things"},
                    "time": {"shape": "Time"},
                },
            },
            "Blob": {"type": "blob"},
            "Choice": {
                "type": "structure",
                "union": True,
                "members": {"left": {"shape": "Text"}, "right": {"shape": "Text"}},
            },
            "Count": {"type": "long"},
            "Free": {"type": "structure", "members": {}, "document": True},
            "MailTime": {"type": "timestamp", "timestampFormat": "rfc822"},
            "Number": {"type": "double"},
            "Size": {"type": "integer"},
            "Text": {"type": "string"},
            "Things": {"type": "map", "key": {"shape": "Text"}, "value": {"shape": "Thing"}},
            "Time": {"type": "timestamp"},
        },
    }
)

# What the pattern of Data Pipeline's strings allows.
LETTERS = st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")
MOMENTS = st.datetimes(datetime(1950, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))


def values(model: ServiceModel, ref: ShapeRef) -> st.SearchStrategy[Any]:
    """Values that fit a shape."""
    shape = model.shapes[ref.shape]
    match shape.type:
        case "structure":
            held = {name: values(model, member) for name, member in shape.members.items()}
            return st.fixed_dictionaries(
                {name: held[name] for name in shape.required},
                optional={name: item for name, item in held.items() if name not in shape.required},
            )
        case "list":
            assert shape.member
            return st.lists(values(model, shape.member), max_size=2)
        case "map":
            assert shape.key
            assert shape.value
            return st.dictionaries(values(model, shape.key), values(model, shape.value), max_size=2)
        case "string" if shape.enum:
            return st.sampled_from(shape.enum)
        case "string":
            least = int(shape.min or 0)
            return st.text(LETTERS, min_size=least, max_size=least + 8)
        case "boolean":
            return st.booleans()
        case "integer":
            return st.integers(-(2**31), 2**31 - 1)
        case "timestamp":
            return MOMENTS
    raise AssertionError(f"{shape.type} is not in the model of Data Pipeline")


@pytest.mark.parametrize("operation", sorted(PIPELINES.operations))
def test_every_input_and_output_of_data_pipeline_comes_back_as_it_was(operation: str):
    shapes = PIPELINES.operations[operation]

    @settings(deadline=None)
    @given(st.data())
    def round_trip(data: st.DataObject) -> None:
        if shapes.input:
            parameters = data.draw(values(PIPELINES, ShapeRef(shapes.input.name)))
            assert decode_input(PIPELINES, operation, encode_input(PIPELINES, operation, parameters)) == parameters
        if shapes.output:
            answer = data.draw(values(PIPELINES, ShapeRef(shapes.output.name)))
            assert decode_output(PIPELINES, operation, encode_output(PIPELINES, operation, answer)) == answer

    round_trip()


@pytest.mark.parametrize("operation", sorted(PIPELINES.operations))
def test_botocore_and_we_understand_each_other(operation: str):
    theirs: BotocoreModel = get_session().get_service_model("datapipeline")
    operation_model = theirs.operation_model(operation)
    shapes = PIPELINES.operations[operation]

    @settings(deadline=None)
    @given(st.data())
    def exchange(data: st.DataObject) -> None:
        if shapes.input:
            parameters = data.draw(values(PIPELINES, ShapeRef(shapes.input.name)))
            # botocore sends whole seconds only.
            parameters = {
                name: item.replace(microsecond=0) if isinstance(item, datetime) else item
                for name, item in parameters.items()
            }
            sent = JSONSerializer().serialize_to_request(parameters, operation_model)["body"]
            assert decode_input(PIPELINES, operation, sent) == parameters
        if shapes.output:
            answer = data.draw(values(PIPELINES, ShapeRef(shapes.output.name)))
            response = {
                "status_code": 200,
                "headers": {},
                "body": encode_output(PIPELINES, operation, answer),
            }
            read = JSONParser().parse(response, operation_model.output_shape)
            read.pop("ResponseMetadata")
            assert read == answer

    exchange()


@pytest.mark.parametrize(
    "wire",
    [
        1721908800,
        1721908800.0,
        "2024-07-25T12:00:00Z",
        "2024-07-25T12:00:00",
        "2024-07-25T14:00:00+02:00",
        "Thu, 25 Jul 2024 12:00:00 GMT",
    ],
)
def test_a_time_is_epoch_seconds_or_a_text_and_becomes_utc(wire: object):
    body = json.dumps({"pipelineId": "df-1", "startTimestamp": wire}).encode()
    start = decode_input(PIPELINES, "ActivatePipeline", body)["startTimestamp"]
    assert start == NOON
    assert start.tzinfo is UTC


@pytest.mark.parametrize("wire", ["tomorrow", "a, b", True, [], 1e300, "0001-01-01T00:00:00+10:00"])
def test_what_is_not_a_time_is_refused(wire: object):
    body = json.dumps({"pipelineId": "df-1", "startTimestamp": wire}).encode()
    with pytest.raises(ProtocolError, match=r"Value at 'startTimestamp' must be a time") as refused:
        decode_input(PIPELINES, "ActivatePipeline", body)
    assert refused.value.code == "SerializationException"


def test_whole_seconds_are_written_as_whole_numbers_and_others_as_fractions():
    late = NOON + timedelta(milliseconds=250)
    there = NOON.astimezone(timezone(timedelta(hours=9)))
    assert json.loads(encode_input(KINDS, "Keep", {"time": there})) == {"time": 1721908800}
    assert json.loads(encode_input(KINDS, "Keep", {"time": late})) == {"time": 1721908800.25}


def test_a_model_may_ask_for_other_forms_of_time():
    body = encode_output(KINDS, "Keep", {"day": NOON, "mail": NOON})
    assert json.loads(body) == {"day": "2024-07-25T12:00:00Z", "mail": "Thu, 25 Jul 2024 12:00:00 GMT"}
    assert decode_output(KINDS, "Keep", body) == {"day": NOON, "mail": NOON}


def test_a_time_without_a_zone_is_a_programming_error():
    with pytest.raises(ValueError, match=r"input of Keep at 'time': .* has no time zone"):
        encode_input(KINDS, "Keep", {"time": NOON.replace(tzinfo=None)})


def test_blobs_are_base64():
    body = encode_input(KINDS, "Keep", {"blob": b"\x00\xff"})
    assert body == b'{"blob":"AP8="}'
    assert decode_input(KINDS, "Keep", body) == {"blob": b"\x00\xff"}
    with pytest.raises(ProtocolError, match="Value at 'blob' must be base64 text, not the string 'A'"):
        decode_input(KINDS, "Keep", b'{"blob":"A"}')


def test_numbers_that_json_cannot_say_are_texts():
    body = encode_input(KINDS, "Keep", {"number": -math.inf})
    assert body == b'{"number":"-Infinity"}'
    assert decode_input(KINDS, "Keep", body) == {"number": -math.inf}
    assert math.isnan(decode_input(KINDS, "Keep", b'{"number":"NaN"}')["number"])


@pytest.mark.parametrize("body", [b'{"number":NaN}', b'{"number":1e999}', b'{"number":"1"}', b'{"number":true}'])
def test_what_is_not_a_number_is_refused(body: bytes):
    with pytest.raises(ProtocolError, match="SerializationException"):
        decode_input(KINDS, "Keep", body)


def test_whole_numbers_keep_to_their_size():
    assert decode_input(KINDS, "Keep", b'{"size":5.0,"count":9223372036854775807}') == {
        "size": 5,
        "count": 2**63 - 1,
    }
    with pytest.raises(ProtocolError, match="'size' must be a whole number from -2147483648 to 2147483647, not"):
        decode_input(KINDS, "Keep", b'{"size":2147483648}')
    with pytest.raises(ProtocolError, match=r"Value at 'size' must be a whole number, not the number 1.5"):
        decode_input(KINDS, "Keep", b'{"size":1.5}')


def test_a_member_may_have_another_name_on_the_wire():
    body = encode_output(KINDS, "Keep", {"renamed": "x"})
    assert body == b'{"Re-Named":"x"}'
    assert decode_output(KINDS, "Keep", body) == {"renamed": "x"}


def test_documents_pass_as_they_are():
    free = {"any": [1, None, {"deep": "x"}]}
    assert decode_input(KINDS, "Keep", encode_input(KINDS, "Keep", {"free": free})) == {"free": free}


def test_of_a_union_exactly_one_member_is_set():
    assert decode_input(KINDS, "Keep", b'{"choice":{"left":"x"}}') == {"choice": {"left": "x"}}
    for body in (b'{"choice":{}}', b'{"choice":{"left":"x","right":"y"}}'):
        with pytest.raises(ProtocolError, match=r"at 'choice' .* Exactly one member must be set"):
            decode_input(KINDS, "Keep", body)


def test_nulls_and_nones_are_absent():
    assert decode_input(PIPELINES, "ListPipelines", b'{"marker":null}') == {}
    assert decode_output(PIPELINES, "PollForTask", b'{"taskObject":null}') == {}
    assert encode_output(PIPELINES, "PollForTask", {"taskObject": None}) == b"{}"


def test_an_operation_without_parameters_takes_an_empty_body():
    assert decode_input(PIPELINES, "ListPipelines", b"") == {}
    assert decode_input(KINDS, "Ping", b"") == {}
    assert encode_input(KINDS, "Ping", {}) == b"{}"
    assert decode_output(KINDS, "Ping", b"") == {}
    with pytest.raises(ProtocolError, match="The value must be an object, not a list"):
        decode_input(KINDS, "Ping", b"[]")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "The body is not JSON in UTF-8: Expecting property name"),
        (b"\xff", "The body is not JSON in UTF-8: .*can't decode byte 0xff"),
        (b"[" * 100_000, "The body is nested too deeply"),
        (b'{"marker":"\\ud800"}', "half of a surrogate pair"),
        (b"[]", "The value must be an object, not a list"),
        (b'{"marker":5}', "Value at 'marker' must be a string, not the number 5"),
        (b'{"marker":' + b"9" * 5000 + b"}", "The body is not JSON in UTF-8: Exceeds the limit"),
    ],
)
def test_a_malformed_body_is_refused_with_its_reason(body: bytes, reason: str):
    with pytest.raises(ProtocolError, match=reason) as refused:
        decode_input(PIPELINES, "ListPipelines", body)
    assert (refused.value.code, refused.value.status) == ("SerializationException", 400)


@settings(deadline=None)
@given(st.binary(max_size=40))
def test_no_body_whatever_brings_decoding_down(body: bytes):
    with suppress(ProtocolError):
        decode_input(PIPELINES, "QueryObjects", body)


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
        lambda held: (
            st.lists(held, max_size=3)
            | st.dictionaries(st.sampled_from(["pipelineObjects", "fields", "id", "key", "x"]), held, max_size=3)
        ),
        max_leaves=8,
    )
)
def test_no_json_whatever_brings_decoding_down(document: object):
    with suppress(ProtocolError):
        decode_input(PIPELINES, "PutPipelineDefinition", json.dumps(document).encode())


def test_a_pair_of_escaped_surrogates_is_one_character():
    assert decode_input(PIPELINES, "ListPipelines", b'{"marker":"\\ud83d\\ude00"}') == {"marker": "😀"}


def test_text_that_utf8_cannot_say_is_written_with_question_marks():
    body = encode_input(PIPELINES, "SetTaskStatus", {"taskId": "t", "errorMessage": "bad \udcff byte"})
    assert json.loads(body)["errorMessage"] == "bad ? byte"


def test_an_operation_that_the_service_does_not_have_is_named():
    with pytest.raises(ProtocolError, match="The service Data Pipeline has no operation 'Fly'") as refused:
        decode_input(PIPELINES, "Fly", b"{}")
    assert refused.value.code == "UnknownOperationException"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"nope": 1}, "output of ListPipelines: the shape ListPipelinesOutput has no member 'nope'"),
        ({"hasMoreResults": 1}, "at 'hasMoreResults': int is not the type boolean"),
        ({"marker": 5}, "at 'marker': int is not the type string"),
        ({"pipelineIdList": [{"id": b"x"}]}, r"at 'pipelineIdList\[0\]\.id': bytes is not the type string"),
        ({"pipelineIdList": "x"}, "at 'pipelineIdList': str is not the type list"),
        ({"pipelineIdList": None}, "lacks its required member 'pipelineIdList'"),
    ],
)
def test_an_answer_that_the_model_does_not_allow_is_a_programming_error(value: dict[str, Any], reason: str):
    with pytest.raises(ValueError, match=reason):
        encode_output(PIPELINES, "ListPipelines", {"pipelineIdList": [], **value})


def test_an_operation_without_output_answers_with_nothing():
    assert encode_output(PIPELINES, "DeletePipeline", {}) == b"{}"
    assert decode_output(PIPELINES, "DeletePipeline", b'{"new":1}') == {}
    with pytest.raises(ValueError, match="The output of DeletePipeline has no members, not 'x'"):
        encode_output(PIPELINES, "DeletePipeline", {"x": 1})


def test_a_client_passes_over_members_it_does_not_know_and_limits_it_does_not_check():
    body = b'{"pipelineIdList":[{"id":"","new":1}],"newer":{}}'
    assert decode_output(PIPELINES, "ListPipelines", body) == {"pipelineIdList": [{"id": ""}]}


def test_an_error_has_its_code_in_type():
    body = encode_error("PipelineNotFoundException", "Pipeline with id: df-ä does not exist")
    assert json.loads(body) == {
        "__type": "PipelineNotFoundException",
        "message": "Pipeline with id: df-ä does not exist",
    }
    error = decode_error(400, {}, body)
    assert (error.code, error.message, error.status) == (
        "PipelineNotFoundException",
        "Pipeline with id: df-ä does not exist",
        400,
    )
    assert str(error) == "PipelineNotFoundException: Pipeline with id: df-ä does not exist"


def test_an_error_that_is_not_json_keeps_its_status_and_text():
    error = decode_error(502, {}, b"<h1>Bad gateway</h1>")
    assert (error.code, error.message, error.status) == ("502", "<h1>Bad gateway</h1>", 502)
