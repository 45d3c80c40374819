"""Operations on definitions: put, validate, get."""

from __future__ import annotations

import json
from collections.abc import Iterable

from penstock.api.call import Answer, Call, Request, active_version, find_pipeline, invalid, stored_definition
from penstock.definition.api_form import definition_from_api, definition_to_api
from penstock.definition.file_form import to_file_form
from penstock.definition.model import Definition
from penstock.definition.problems import Problem
from penstock.definition.validate import validate
from penstock.engine.turn import Turn
from penstock.store.secrets import MASK, masked

LONGEST_MESSAGE = 10_000


def put_pipeline_definition(call: Call, request: Request) -> Answer:
    """Keep a definition, also one with errors; it replaces a version that was never activated."""
    definition = _read(request)
    for obj in definition.objects.values():
        for key, values in obj.fields.items():
            if "" in values and not key.startswith("my"):
                raise invalid(f"The field '{key}' of object '{obj.id}' is empty.")
    with call.engine.turn(request["pipelineId"]) as turn:
        pipeline = find_pipeline(call, turn, request["pipelineId"])
        verdict = validate(
            _with_known_secrets(call, turn, pipeline.pipeline_id, pipeline.latest_version, definition),
            call.engine.catalogue,
            complete=False,
        )
        earlier = stored_definition(turn, pipeline.pipeline_id, pipeline.latest_version)
        version = pipeline.latest_version
        if earlier is None or not _is_same(call, definition, earlier[0]):
            version = active_version(turn, pipeline) + 1
            sealed = call.engine.secrets.encrypt_definition(definition, earlier[0] if earlier else None)
            turn.tx.execute(
                "put_definition",
                pipeline_id=pipeline.pipeline_id,
                version=version,
                body=json.dumps(to_file_form(sealed)),
                errored=int(bool(verdict.errors)),
                created_at=turn.now,
                created_by=call.by,
            )
            turn.tx.execute("set_latest_version", pipeline_id=pipeline.pipeline_id, version=version)
    return verdict_answer(verdict.errors, verdict.warnings)


def _with_known_secrets(call: Call, turn: Turn, pipeline_id: str, version: int, definition: Definition) -> Definition:
    """`*****` that nothing is known for is an error of the caller: it would be stored as the secret."""
    earlier = stored_definition(turn, pipeline_id, version)
    for obj in definition.objects.values():
        before = earlier[0].objects.get(obj.id) if earlier else None
        for key, values in obj.fields.items():
            if key.startswith("*") and MASK in values and not (before and before.fields.get(key)):
                raise invalid(f"The field '{key}' of object '{obj.id}' is '{MASK}', but no value is stored for it.")
    return definition


def _is_same(call: Call, definition: Definition, stored: Definition) -> bool:
    """Whether a put brings nothing new; `*****` stands for the stored secret."""
    if to_file_form(masked(definition)) != to_file_form(masked(stored)):
        return False
    reveal = call.engine.secrets.reveal
    pairs = [
        (value, before)
        for obj in definition.objects.values()
        for key, values in obj.fields.items()
        if key.startswith("*")
        for value, before in zip(values, stored.objects[obj.id].fields[key], strict=False)
    ]
    for identity, values in definition.values.items():
        if identity.startswith("*"):
            pairs.extend(zip(values, stored.values[identity], strict=False))
    for parameter in definition.parameters.values():
        if parameter.id.startswith("*"):
            old = stored.parameters[parameter.id].attributes
            pairs.extend(zip(parameter.attributes.get("default", ()), old.get("default", ()), strict=False))
    return all(value == MASK or not isinstance(before, str) or value == reveal(before) for value, before in pairs)


def validate_pipeline_definition(call: Call, request: Request) -> Answer:
    """Check a definition without keeping it."""
    with call.engine.reading() as turn:
        find_pipeline(call, turn, request["pipelineId"])
    verdict = validate(_read(request), call.engine.catalogue, complete=False)
    return verdict_answer(verdict.errors, verdict.warnings)


def _read(request: Request) -> Definition:
    return definition_from_api(
        request["pipelineObjects"], request.get("parameterObjects", ()), request.get("parameterValues", ())
    )


def verdict_answer(errors: Iterable[Problem], warnings: Iterable[Problem]) -> Answer:
    """Errors and warnings, by object id."""
    errors = list(errors)
    return {
        "errored": bool(errors),
        "validationErrors": [{"id": key, "errors": texts} for key, texts in _by_object(errors).items()],
        "validationWarnings": [{"id": key, "warnings": texts} for key, texts in _by_object(warnings).items()],
    }


def _by_object(problems: Iterable[Problem]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for problem in problems:
        found.setdefault(problem.object_id or "Default", []).append(problem.text[:LONGEST_MESSAGE])
    return found


def get_pipeline_definition(call: Call, request: Request) -> Answer:
    """A version: `latest` (the default), `active`, or a number; secrets are shown as `*****`."""
    with call.engine.reading() as turn:
        pipeline = find_pipeline(call, turn, request["pipelineId"])
        wanted = request.get("version") or "latest"
        if wanted.lower() == "latest":
            version = pipeline.latest_version
        elif wanted.lower() == "active":
            version = active_version(turn, pipeline)
        elif wanted.isascii() and wanted.isdecimal():
            version = int(wanted)
        else:
            raise invalid(f"The version '{wanted}' is not known; give latest, active or a number.")
        stored = stored_definition(turn, pipeline.pipeline_id, version)
        if stored is None:
            if wanted.isdecimal():
                raise invalid(f"There is no version {wanted}; the latest is {pipeline.latest_version}.")
            return {"pipelineObjects": [], "parameterObjects": [], "parameterValues": []}
    return definition_to_api(masked(stored[0]))
