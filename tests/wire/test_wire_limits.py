"""Every limit of a model is checked, and the text names the place and the limit."""

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.wire.errors import ProtocolError
from penstock.wire.json_protocol import decode_input
from penstock.wire.limits import problems
from penstock.wire.model import ServiceModel, concealing, load_botocore_model, read_model

PIPELINES = load_botocore_model("datapipeline")


def refused(operation: str, parameters: object) -> ProtocolError:
    with pytest.raises(ProtocolError) as error:
        decode_input(PIPELINES, operation, json.dumps(parameters).encode())
    return error.value


def put(field: dict[str, Any]) -> dict[str, Any]:
    objects = [{"id": f"O{n}", "name": "o", "fields": []} for n in range(3)]
    return {"pipelineId": "df-1", "pipelineObjects": [*objects, {"id": "A", "name": "a", "fields": [field]}]}


def of(shapes: dict[str, Any]) -> ServiceModel:
    metadata = {"apiVersion": "1", "endpointPrefix": "s", "protocol": "json", "targetPrefix": "S"}
    return read_model({"metadata": metadata, "operations": {}, "shapes": shapes})


def test_missing_members_are_all_named_at_once():
    error = refused("CreatePipeline", {})
    assert error.code == "ValidationException"
    assert error.status == 400
    assert error.message == (
        "2 validation errors detected: "
        "Value at 'name' failed to satisfy constraint: Member must not be null; "
        "Value at 'uniqueId' failed to satisfy constraint: Member must not be null"
    )


def test_a_text_that_is_too_long_is_shown_shortened():
    error = refused("PutPipelineDefinition", put({"key": "k" * 257}))
    assert error.message == (
        f"1 validation error detected: Value '{'k' * 59}…' at 'pipelineObjects[3].fields[0].key' "
        "failed to satisfy constraint: Member must have length less than or equal to 256"
    )


def test_a_text_that_is_too_short_is_named():
    assert refused("PutPipelineDefinition", put({"key": "k", "refValue": ""})).message == (
        "1 validation error detected: Value '' at 'pipelineObjects[3].fields[0].refValue' "
        "failed to satisfy constraint: Member must have length greater than or equal to 1"
    )


def test_length_is_counted_in_characters():
    longest = put({"key": "k", "stringValue": "😀" * 10240})
    assert decode_input(PIPELINES, "PutPipelineDefinition", json.dumps(longest).encode()) == longest
    error = refused("PutPipelineDefinition", put({"key": "k", "stringValue": "😀" * 10241}))
    assert "less than or equal to 10240" in error.message


def test_a_list_that_is_too_long_is_named():
    tags = [{"key": str(n), "value": ""} for n in range(11)]
    error = refused("AddTags", {"pipelineId": "df-1", "tags": tags})
    assert "Value '11 members' at 'tags' failed" in error.message
    assert "length less than or equal to 10" in error.message


def test_a_character_that_the_pattern_does_not_allow_is_pointed_at():
    error = refused("PutPipelineDefinition", put({"key": "a\x0bb"}))
    assert r"Value 'a\x0bb' at 'pipelineObjects[3].fields[0].key'" in error.message
    assert "Member must satisfy regular expression pattern: [" in error.message
    assert error.message.endswith("(character 2 does not fit)")


@settings(deadline=None)
@given(st.characters())
def test_the_pattern_of_data_pipelines_strings_allows_what_javas_does(character: str):
    code = ord(character)
    allowed = code in (9, 10, 13) or 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or 0x10000 <= code <= 0x10FFFF
    found = problems(PIPELINES, PIPELINES.shapes["id"], character)
    assert (found == []) == allowed


def test_a_value_outside_an_enumeration_is_told_its_values():
    error = refused("SetTaskStatus", {"taskId": "t", "taskStatus": "DONE"})
    assert error.message == (
        "1 validation error detected: Value 'DONE' at 'taskStatus' failed to satisfy constraint: "
        "Member must satisfy enum value set: [FINISHED, FAILED, FALSE]"
    )


def test_a_member_that_is_not_known_is_told_the_known_ones():
    error = refused("PutPipelineDefinition", put({"key": "k", "value": "v"}))
    assert error.message == (
        "1 validation error detected: Value at 'pipelineObjects[3].fields[0].value' failed to satisfy "
        "constraint: Member is not known; members are: key, stringValue, refValue"
    )


def test_the_type_mark_of_a_structure_is_not_a_member():
    assert problems(PIPELINES, PIPELINES.shapes["Field"], {"key": "k", "__type": "x#Field"}) == []


def test_a_null_in_a_list_is_a_missing_value():
    error = refused("DescribeObjects", {"pipelineId": "df-1", "objectIds": ["a", None]})
    assert "Value at 'objectIds[1]' failed to satisfy constraint: Member must not be null" in error.message


def test_wrong_types_come_before_limits():
    error = refused("CreatePipeline", {"name": 5, "uniqueId": ["x"], "tags": {}})
    assert error.code == "SerializationException"
    assert error.message == (
        "Value at 'name' must be a string, not the number 5; "
        "Value at 'uniqueId' must be a string, not a list; "
        "Value at 'tags' must be a list, not an object"
    )


def test_a_number_given_for_a_switch_is_refused():
    error = refused("DeactivatePipeline", {"pipelineId": "df-1", "cancelActive": 1})
    assert error.message == "Value at 'cancelActive' must be true or false, not the number 1"


def test_only_the_first_problems_are_written_out():
    error = refused("DescribePipelines", {"pipelineIds": [""] * 12})
    assert error.message.startswith("12 validation errors detected: Value '' at 'pipelineIds[0]'")
    assert "pipelineIds[9]" in error.message
    assert error.message.endswith("; and 2 more")


def test_looking_ends_when_enough_was_found():
    found = problems(PIPELINES, PIPELINES.shapes["idList"], [""] * 100_000)
    assert len(found) == 100


def test_the_keys_of_a_map_are_checked_and_named():
    found = problems(PIPELINES, PIPELINES.shapes["PipelineObjectMap"], {"": {"id": "a", "name": "a"}})
    assert found == [
        "Value '' at '['']' failed to satisfy constraint: Member must have length greater than or equal to 1",
        "Value at '[''].fields' failed to satisfy constraint: Member must not be null",
    ]


def test_the_size_of_numbers_and_blobs_is_checked():
    model = of({"Age": {"type": "integer", "min": 0, "max": 150}, "Key": {"type": "blob", "min": 2}})
    assert problems(model, model.shapes["Age"], 150) == []
    assert problems(model, model.shapes["Age"], 151) == [
        "Value '151' failed to satisfy constraint: Member must have value less than or equal to 150"
    ]
    assert problems(model, model.shapes["Age"], -1) == [
        "Value '-1' failed to satisfy constraint: Member must have value greater than or equal to 0"
    ]
    assert problems(model, model.shapes["Key"], "AA==") == [
        "Value '1 bytes' failed to satisfy constraint: Member must have length greater than or equal to 2"
    ]


def test_nesting_ends_somewhere():
    model = of(
        {
            "Node": {"type": "structure", "members": {"next": {"shape": "Node"}, "free": {"shape": "Free"}}},
            "Free": {"type": "structure", "document": True},
        }
    )
    chain: dict[str, Any] = {}
    for _ in range(100):
        chain = {"next": chain}
    assert problems(model, model.shapes["Node"], chain) == []
    assert [
        "must not be nested deeper than 100 levels" in text
        for text in problems(model, model.shapes["Node"], {"next": chain})
    ] == [True]
    free: list[Any] = []
    for _ in range(100):
        free = [free]
    assert len(problems(model, model.shapes["Node"], {"free": free})) == 1


@pytest.mark.parametrize("pattern", [r"\p{L}+", "[a-z&&[^b]]+"])
def test_a_pattern_that_python_cannot_say_is_refused(pattern: str):
    model = of({"Name": {"type": "string", "pattern": pattern}})
    with pytest.raises(ValueError, match=r"The pattern .* of the shape Name is not supported"):
        problems(model, model.shapes["Name"], "x")


def test_letters_and_digits_of_patterns_are_javas():
    model = of({"Number": {"type": "string", "pattern": r"\d+"}})
    assert problems(model, model.shapes["Number"], "42") == []
    assert len(problems(model, model.shapes["Number"], "٤٢")) == 1


def test_checking_a_definition_of_250_objects_is_quick():
    fields = [{"key": f"field{n}", "stringValue": "#{node.name} ran at #{@scheduledStartTime}"} for n in range(10)]
    objects = [{"id": f"Activity{n}", "name": f"Activity{n}", "fields": fields} for n in range(250)]
    body = json.dumps({"pipelineId": "df-1", "pipelineObjects": objects}).encode()
    decode_input(PIPELINES, "PutPipelineDefinition", body)
    taken = []
    for _ in range(5):
        begun = time.perf_counter()
        decode_input(PIPELINES, "PutPipelineDefinition", body)
        taken.append(time.perf_counter() - begun)
    assert min(taken) < 0.05


def test_no_error_shows_what_is_sensitive():
    model = concealing(load_botocore_model("datapipeline"), ["fieldStringValue"])

    def said(value: object) -> str:
        body = {
            "pipelineId": "df-1",
            "pipelineObjects": [{"id": "i", "name": "n", "fields": [{"key": "*password", "stringValue": value}]}],
        }
        with pytest.raises(ProtocolError) as refused:
            decode_input(model, "PutPipelineDefinition", json.dumps(body).encode())
        return refused.value.message

    where = "at 'pipelineObjects[0].fields[0].stringValue'"
    assert said("hunter2" * 2000) == (
        f"1 validation error detected: Value {where} failed to satisfy constraint: "
        "Member must have length less than or equal to 10240"
    )
    assert f"Value {where} failed to satisfy constraint: Member must satisfy regular" in said("hunter2\0")
    assert said(4728) == f"Value {where} must be a string, not a number"
    assert said(["hunter2"]) == f"Value {where} must be a string, not a list"


def test_a_text_in_the_place_of_an_object_is_not_shown():
    body = b'{"pipelineId":"df-1","pipelineObjects":["hunter2", {"id":"i","name":"n","fields":"hunter2"}]}'
    with pytest.raises(ProtocolError) as refused:
        decode_input(load_botocore_model("datapipeline"), "PutPipelineDefinition", body)
    assert refused.value.message == (
        "Value at 'pipelineObjects[0]' must be an object, not a string; "
        "Value at 'pipelineObjects[1].fields' must be a list, not a string"
    )


def test_a_model_that_conceals_is_a_model_of_its_own():
    model = load_botocore_model("datapipeline")
    assert not model.shapes["fieldStringValue"].sensitive
    assert concealing(model, ["fieldStringValue"]).shapes["fieldStringValue"].sensitive
    with pytest.raises(KeyError):
        concealing(model, ["no such shape"])
