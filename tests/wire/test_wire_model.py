"""Service models are read from botocore's data folder, or from a file of our own."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from penstock.wire.model import load_botocore_model, load_model, read_model

SMALL = {
    "metadata": {
        "apiVersion": "2026-01-01",
        "endpointPrefix": "small",
        "jsonVersion": "1.1",
        "protocol": "json",
        "targetPrefix": "Small",
    },
    "operations": {
        "Say": {"name": "Say", "input": {"shape": "SayInput"}, "errors": [{"shape": "TooLoud"}]},
    },
    "shapes": {
        "SayInput": {"type": "structure", "required": ["text"], "members": {"text": {"shape": "Text"}}},
        "Text": {"type": "string", "max": 5, "pattern": "[a-z]*"},
        "TooLoud": {"type": "structure", "members": {}, "exception": True},
    },
}


def test_the_datapipeline_model_has_its_19_operations_and_names():
    model = load_botocore_model("datapipeline")
    assert len(model.operations) == 19
    assert (model.name, model.endpoint_prefix, model.target_prefix, model.api_version) == (
        "Data Pipeline",
        "datapipeline",
        "DataPipeline",
        "2012-10-29",
    )
    assert (model.signing_name, model.json_version) == ("datapipeline", "1.1")
    assert model.operations["DeletePipeline"].output is None
    assert model.operations["PollForTask"].errors == [
        "InternalServiceError",
        "InvalidRequestException",
        "TaskNotFoundException",
    ]


def test_a_model_of_botocore_is_read_once():
    assert load_botocore_model("datapipeline") is load_botocore_model("datapipeline")


def test_reading_botocores_models_does_not_import_botocore():
    code = (
        "import sys; from penstock.wire.model import load_botocore_model as load; load('datapipeline');"
        "sys.exit('botocore' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_newest_version_of_a_service_is_taken():
    assert load_botocore_model("cloudwatch").api_version == "2010-08-01"
    assert load_botocore_model("dynamodb").api_version == "2012-08-10"


def test_a_service_that_botocore_does_not_have_is_named():
    with pytest.raises(LookupError, match="no service 'datapipelines'"):
        load_botocore_model("datapipelines")


def test_a_model_of_our_own_is_read_from_a_file_plain_or_compressed(tmp_path: Path):
    plain, compressed = tmp_path / "service-2.json", tmp_path / "service-2.json.gz"
    plain.write_text(json.dumps(SMALL))
    compressed.write_bytes(gzip.compress(json.dumps(SMALL).encode()))
    for path in (plain, compressed):
        model = load_model(path)
        assert model.signing_name == "small"
        assert model.operations["Say"].errors == ["TooLoud"]
        text = model.shapes["Text"]
        assert (text.type, text.max, text.pattern) == ("string", 5, "[a-z]*")


def test_a_service_that_does_not_speak_json_is_refused():
    metadata = {**SMALL["metadata"], "protocol": "rest-xml"}
    with pytest.raises(ValueError, match="'small' speaks the protocol 'rest-xml'; only 'json' is supported"):
        read_model({**SMALL, "metadata": metadata})


def test_a_shape_of_a_type_that_is_not_known_is_refused():
    with pytest.raises(ValueError, match="The shape Odd is of type 'tuple', which is not supported"):
        read_model({**SMALL, "shapes": {**SMALL["shapes"], "Odd": {"type": "tuple"}}})
