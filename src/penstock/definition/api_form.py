"""The API form of a definition: `fields: [{key, stringValue | refValue}]`, with a repeated key for a list."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from penstock.definition.file_form import duplicate_object, duplicate_parameter
from penstock.definition.model import (
    Definition,
    Fields,
    FieldValue,
    ParameterObject,
    PipelineObject,
    Ref,
    Values,
)
from penstock.definition.problems import Problem


def definition_from_api(
    objects: Iterable[Mapping[str, Any]],
    parameter_objects: Iterable[Mapping[str, Any]] = (),
    parameter_values: Iterable[Mapping[str, Any]] = (),
) -> Definition:
    """Read the three lists of PutPipelineDefinition."""
    found: dict[str, PipelineObject] = {}
    misread: list[Problem] = []
    for entry in objects:
        if entry["id"] in found:
            misread.append(duplicate_object(entry["id"]))
        found[entry["id"]] = object_from_api(entry)
    parameters: dict[str, ParameterObject] = {}
    for entry in parameter_objects:
        if entry["id"] in parameters:
            misread.append(duplicate_parameter(entry["id"]))
        attributes = _collect((a["key"], a["stringValue"]) for a in entry["attributes"])
        parameters[entry["id"]] = ParameterObject(entry["id"], attributes)
    return Definition(found, parameters, values_from_api(parameter_values), tuple(misread))


def object_from_api(entry: Mapping[str, Any]) -> PipelineObject:
    """Read one PipelineObject."""
    fields: dict[str, list[FieldValue]] = {}
    for field in entry["fields"]:
        value: FieldValue = Ref(field["refValue"]) if "refValue" in field else field.get("stringValue", "")
        fields.setdefault(field["key"], []).append(value)
    return PipelineObject(entry["id"], entry["name"], {key: tuple(values) for key, values in fields.items()})


def values_from_api(parameter_values: Iterable[Mapping[str, Any]]) -> Values:
    """Read a ParameterValueList."""
    return _collect((entry["id"], entry["stringValue"]) for entry in parameter_values)


def _collect(pairs: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for key, value in pairs:
        found.setdefault(key, []).append(value)
    return {key: tuple(values) for key, values in found.items()}


def object_to_api(obj: PipelineObject) -> dict[str, Any]:
    """Write one PipelineObject."""
    return {"id": obj.id, "name": obj.name, "fields": fields_to_api(obj.fields)}


def fields_to_api(fields: Fields) -> list[dict[str, str]]:
    """Write a list of Field."""
    return [
        {"key": key, "refValue": value.id} if isinstance(value, Ref) else {"key": key, "stringValue": value}
        for key, values in fields.items()
        for value in values
    ]


def definition_to_api(definition: Definition) -> dict[str, Any]:
    """Write the three members of GetPipelineDefinition."""
    return {
        "pipelineObjects": [object_to_api(obj) for obj in definition.objects.values()],
        "parameterObjects": [
            {
                "id": parameter.id,
                "attributes": [
                    {"key": key, "stringValue": value}
                    for key, values in parameter.attributes.items()
                    for value in values
                ],
            }
            for parameter in definition.parameters.values()
        ],
        "parameterValues": values_to_api(definition.values),
    }


def values_to_api(values: Mapping[str, Sequence[str]]) -> list[dict[str, str]]:
    """Write a ParameterValueList."""
    return [{"id": key, "stringValue": value} for key, entries in values.items() for value in entries]
