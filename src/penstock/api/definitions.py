"""Operations on definitions: put, validate, get."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from penstock.api.call import Answer, Call, Request, active_version, find_pipeline, invalid, stored_definition
from penstock.api.roles import roles_for
from penstock.clock import from_ms
from penstock.definition.api_form import definition_from_api, definition_to_api
from penstock.definition.dependencies import family_of
from penstock.definition.edits import edit_problems
from penstock.definition.file_form import to_file_form
from penstock.definition.limits import oversize
from penstock.definition.model import Definition, FieldValue, PipelineObject, is_secret, is_user_field
from penstock.definition.period import parse_date_time
from penstock.definition.problems import Problem
from penstock.definition.resolve import Resolved, resolve
from penstock.definition.validate import Verdict, validate
from penstock.engine.turn import Turn
from penstock.store.rows import Pipeline
from penstock.store.secrets import MASK, SECRET_ATTRIBUTES, masked

LONGEST_MESSAGE = 10_000
LONGEST_VERSION = 15  # digits: a version has fewer, and the store's numbers have 18


def put_pipeline_definition(call: Call, request: Request) -> Answer:
    """Keep a definition, also one with errors; it replaces a version that was never activated."""
    definition, pipeline_id = _read(request), request["pipelineId"]
    with call.engine.reading() as turn:  # checking takes long, and nobody need wait for it
        checked = _checked(call, turn, find_pipeline(call, turn, pipeline_id), definition)
    with call.engine.turn(pipeline_id) as turn:
        pipeline = find_pipeline(call, turn, pipeline_id)
        if _basis(turn, pipeline) != checked.basis:  # somebody has put or activated another meanwhile
            checked = _checked(call, turn, pipeline, definition)
        if checked.is_new:
            version = active_version(turn, pipeline) + 1
            turn.tx.execute(
                "put_definition",
                pipeline_id=pipeline_id,
                version=version,
                body=json.dumps(to_file_form(checked.sealed)),
                errored=int(bool(checked.verdict.errors)),
                created_at=turn.now,
                created_by=call.by,
            )
            turn.tx.execute("set_latest_version", pipeline_id=pipeline_id, version=version)
            turn.pipelines.pop(pipeline_id, None)
    return verdict_answer(checked.verdict.errors, checked.verdict.warnings)


@dataclass(frozen=True)
class _Checked:
    """A definition that is to be put, checked against what is stored: `basis` says what that was."""

    basis: tuple[Any, ...]
    sealed: Definition
    verdict: Verdict
    is_new: bool


def _basis(turn: Turn, pipeline: Pipeline) -> tuple[Any, ...]:
    row = turn.tx.one("definition_by_version", pipeline_id=pipeline.pipeline_id, version=pipeline.latest_version)
    stored = (row["body"], row["errored"]) if row is not None else ()
    return pipeline.activation, pipeline.latest_version, *stored


def _checked(call: Call, turn: Turn, pipeline: Pipeline, definition: Definition) -> _Checked:
    earlier = stored_definition(turn, pipeline.pipeline_id, pipeline.latest_version)
    sealed = _sealed(call, definition, earlier[0] if earlier else None)
    clear = call.engine.secrets.reveal_definition(sealed)
    verdict = validate(clear, call.engine.catalogue, complete=False)
    more = (*_edits(turn, pipeline, verdict.resolved), *_backfills(call, turn, pipeline, verdict.resolved))
    verdict = replace(verdict, problems=(*verdict.problems, *more))
    is_new = earlier is None or earlier[1] != bool(verdict.errors) or not _is_same(call, clear, earlier[0])
    return _Checked(_basis(turn, pipeline), sealed, verdict, is_new)


def _edits(turn: Turn, pipeline: Pipeline, edited: Resolved) -> Iterator[Problem]:
    """What is changed that may not be changed any more; nothing before the first activation."""
    version = active_version(turn, pipeline)
    active = stored_definition(turn, pipeline.pipeline_id, version) if version else None
    if active is not None:
        yield from edit_problems(resolve(active[0])[0], edited)


def _backfills(call: Call, turn: Turn, pipeline: Pipeline, resolved: Resolved) -> list[Problem]:
    """Warnings of activities that cascade and whose first activation is a backfill (the guide: cascading failures)."""
    found: list[Problem] = []
    if pipeline.activation or resolved.is_on_demand:
        return found
    for obj in resolved.objects.values():
        start = _start_of(resolved, obj)
        cascades = (obj.text("failureAndRerunMode") or "").lower() == "cascade"
        if start is None or not cascades or family_of(resolved, call.engine.catalogue, obj.id) != "Activity":
            continue
        if parse_date_time(start) < from_ms(turn.now):
            found.append(
                Problem(
                    obj.id,
                    "failureAndRerunMode",
                    f"{obj.name} has 'failureAndRerunMode' field set to 'cascade' and you are about to create a"
                    f" backfill with scheduleStartTime {start}. This can result in rapid creation of pipeline objects"
                    " in case of failures.",
                    is_warning=True,
                )
            )
    return found


def _start_of(resolved: Resolved, obj: PipelineObject) -> str | None:
    """When the schedule of an object starts, as it is written; None where that is no date and time."""
    schedule = next((resolved.objects.get(identity) for identity in obj.refs("schedule")), None)
    start = schedule.text("startDateTime") if schedule else None
    try:
        parse_date_time(start or "")
    except ValueError:
        return None
    return start


def _sealed(call: Call, definition: Definition, earlier: Definition | None) -> Definition:
    """The definition with secrets encrypted and stored ones in the place of `*****`; refuses one that stands for none.

    It would be stored as the secret itself.
    """
    before = earlier or Definition()
    for obj in definition.objects.values():
        old = before.objects[obj.id].fields if obj.id in before.objects else {}
        for key, values in obj.fields.items():
            if is_secret(key):
                _check_masks(f"The field '{key}' of object '{obj.id}'", values, old.get(key, ()))
    for identity, values in definition.values.items():
        if is_secret(identity):
            _check_masks(f"The value of '{identity}'", values, before.values.get(identity, ()))
    for parameter in definition.parameters.values():
        if is_secret(parameter.id):
            known = before.parameters[parameter.id].attributes if parameter.id in before.parameters else {}
            for key in SECRET_ATTRIBUTES:
                values = parameter.attributes.get(key, ())
                _check_masks(f"The attribute '{key}' of '{parameter.id}'", values, known.get(key, ()))
    return call.engine.secrets.encrypt_definition(definition, earlier)


def _check_masks(what: str, values: Sequence[FieldValue], stored: Sequence[FieldValue]) -> None:
    """One `*****` stands for all stored values, and is no part of a list."""
    if MASK in values and len(values) > 1:
        raise invalid(f"{what} has '{MASK}' among other values; give all of them, or '{MASK}' alone to keep them all.")
    if MASK in values and not stored:
        raise invalid(f"{what} is '{MASK}', but no value is stored for it; give the value.")


def _is_same(call: Call, clear: Definition, stored: Definition) -> bool:
    """Whether a put brings nothing new."""
    before = call.engine.secrets.reveal_definition(stored)
    return clear == before and list(clear.objects) == list(before.objects)


def validate_pipeline_definition(call: Call, request: Request) -> Answer:
    """Check a definition without keeping it."""
    definition = _read(request)
    with call.engine.reading() as turn:
        pipeline = find_pipeline(call, turn, request["pipelineId"])
        earlier = stored_definition(turn, pipeline.pipeline_id, pipeline.latest_version)
        sealed = _sealed(call, definition, earlier[0] if earlier else None)
        # Whoever may not put a definition could guess a stored secret by allowedValues: `*****` stands for itself then.
        may_put = call.key.role in roles_for("PutPipelineDefinition")
        clear = call.engine.secrets.reveal_definition(sealed) if may_put else definition
        verdict = validate(clear, call.engine.catalogue, complete=False)
        backfills = _backfills(call, turn, pipeline, verdict.resolved)
    return verdict_answer(verdict.errors, [*verdict.warnings, *backfills])


def _read(request: Request) -> Definition:
    """The definition of a request; refuses empty fields, as the service does, but user-defined ones."""
    for entry in request["pipelineObjects"]:
        for field in entry["fields"]:
            if "stringValue" in field and "refValue" in field:
                raise invalid(
                    f"The field '{field['key']}' of object '{entry['id']}' has a stringValue and a refValue; give one."
                )
    definition = definition_from_api(
        request["pipelineObjects"], request.get("parameterObjects", ()), request.get("parameterValues", ())
    )
    too_large = oversize(definition)
    if too_large is not None:
        raise invalid(too_large.text)
    for obj in definition.objects.values():
        for key, values in obj.fields.items():
            if "" in values and not is_user_field(key):
                raise invalid(f"The field '{key}' of object '{obj.id}' is empty.")
    return definition


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
            version = int(wanted) if len(wanted) <= LONGEST_VERSION else 0
        else:
            raise invalid(f"The version '{wanted}' is not known; give latest, active or a number.")
        stored = stored_definition(turn, pipeline.pipeline_id, version)
        if stored is None:
            if wanted.isdecimal():
                latest = pipeline.latest_version
                raise invalid(
                    f"There is no version {wanted}; the latest is {latest}."
                    if latest
                    else f"There is no version {wanted}: no definition was put. PutPipelineDefinition makes version 1."
                )
            return {"pipelineObjects": []}  # recorded: no word of parameters
    return definition_to_api(masked(stored[0]))
