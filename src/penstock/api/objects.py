"""Operations on objects of the three spheres: describe, query, evaluate, set the status."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from penstock.api.call import (
    Answer,
    Call,
    Request,
    active_version,
    find_instance,
    find_pipeline,
    invalid,
    shown_definition,
)
from penstock.api.object_fields import (
    ATTEMPT_ROW,
    INSTANCE_ROW,
    attempt_fields,
    attempt_object,
    component_object,
    instance_object,
    runtime_fields,
)
from penstock.api.selectors import check_selectors, matches
from penstock.clock import to_ms
from penstock.definition.api_form import object_to_api
from penstock.definition.model import PipelineObject
from penstock.definition.period import parse_date_time
from penstock.engine import rerun
from penstock.engine.evaluation import instance_entries
from penstock.engine.plan import Plan, unactivated_plan
from penstock.engine.turn import Turn
from penstock.expressions import ExpressionError, NotYet, to_text
from penstock.store.rows import Attempt, Instance, Pipeline, read, read_all
from penstock.wire.errors import ServiceError

PAGE = 100
ROWS_AT_ONCE = 200
BEFORE_ALL = -(2**62)  # milliseconds
MOST_SET = 1000  # objects whose status is set at once
LONGEST_MARKER = 15  # digits
INSTANCE_ID = re.compile(r"@.+_([0-9T:-]{19})", re.DOTALL)
ATTEMPT_ID = re.compile(r"@.+_Attempt=[0-9]+", re.DOTALL)
SPHERES = ("COMPONENT", "INSTANCE", "ATTEMPT")
INSTANCE_VERBS = ("TRY_CANCEL", "CANCEL", "RERUN", "MARK_FINISHED")
COMPONENT_VERBS = ("PAUSE", "RESUME")


def describe_objects(call: Call, request: Request) -> Answer:
    """The fields of components, instances and attempts by id, 100 a page."""
    ids, answer = _page(request["objectIds"], request.get("marker"), PAGE)
    with call.engine.reading() as turn:
        pipeline = find_pipeline(call, turn, request["pipelineId"])
        plan = _plan(turn, pipeline)
        evaluate = bool(request.get("evaluateExpressions", False))
        objects = [_object(turn, pipeline, plan, identity, evaluate) for identity in ids]
    return {"pipelineObjects": [object_to_api(obj) for obj in objects], **answer}


def _page(ids: list[str], marker: str | None, size: int) -> tuple[list[str], Answer]:
    start = _offset(marker)
    answer: Answer = {"hasMoreResults": start + size < len(ids)}
    if answer["hasMoreResults"]:
        answer["marker"] = str(start + size)
    return ids[start : start + size], answer


def _offset(marker: str | None) -> int:
    if not marker:
        return 0
    if not (marker.isascii() and marker.isdecimal() and len(marker) <= LONGEST_MARKER):
        raise _unknown_marker(marker)
    return int(marker)


def _unknown_marker(marker: str) -> ServiceError:
    return invalid(f"The marker '{marker}' is not one that this operation gave.")


def _plan(turn: Turn, pipeline: Pipeline) -> Plan:
    """The plan of the latest activation; before the first, one that only shows the definition."""
    if pipeline.activation:
        return turn.plans.find(turn.tx, pipeline.pipeline_id, pipeline.activation)
    shown = shown_definition(turn, pipeline)
    if shown is None:
        raise invalid("Pipeline definition is empty: ")
    return unactivated_plan(pipeline, shown)


def _object(turn: Turn, pipeline: Pipeline, plan: Plan, identity: str, evaluate: bool) -> PipelineObject:
    instance = find_instance(turn, pipeline.pipeline_id, identity)
    if instance is not None:
        return instance_object(turn, instance, evaluate=evaluate)
    attempt = _attempt(turn, pipeline.pipeline_id, identity)
    if attempt is not None:
        return attempt_object(turn, attempt, evaluate=evaluate)
    component = component_object(turn, plan, identity, evaluate=evaluate)
    if component is None:
        raise invalid(f"The pipeline {pipeline.pipeline_id} has no object '{identity}'.")
    return component


def _attempt(turn: Turn, pipeline_id: str, identity: str) -> Attempt | None:
    """The attempt of an id, if it is one: as those of instances, they begin with `@`."""
    if not identity.startswith("@"):
        return None
    row = turn.tx.one("attempt_by_id", pipeline_id=pipeline_id, attempt_id=identity)
    return read(Attempt, row) if row is not None else None


def query_objects(call: Call, request: Request) -> Answer:
    """The ids of the objects of a sphere whose fields match every selector."""
    sphere = request["sphere"].upper()
    if sphere not in SPHERES:
        raise invalid(f"The sphere '{request['sphere']}' is not known; give COMPONENT, INSTANCE or ATTEMPT.")
    selectors = (request.get("query") or {}).get("selectors", [])
    check_selectors(selectors)
    limit = request.get("limit")
    if limit is not None and not 1 <= limit <= PAGE:
        raise invalid(f"The limit is {limit}; it must be from 1 to {PAGE}.")
    with call.engine.reading() as turn:
        pipeline = find_pipeline(call, turn, request["pipelineId"])
        size = limit or PAGE
        found = list(islice(_found(turn, pipeline, sphere, selectors, request.get("marker") or None), size + 1))
    has_more = len(found) > size
    return {"ids": found[:size], "hasMoreResults": has_more, **({"marker": found[size - 1]} if has_more else {})}


def _found(turn: Turn, pipeline: Pipeline, sphere: str, selectors: list[Request], after: str | None) -> Iterator[str]:
    """The ids after one of them, in order, that match; each is described only as far as the selectors need it."""
    if sphere == "COMPONENT":
        plan = _plan(turn, pipeline)
        for identity in _components(plan, after):
            component = component_object(turn, plan, identity, evaluate=False)
            if component is not None and all(matches(component, selector) for selector in selectors):
                yield identity
        return
    of_rows = INSTANCE_ROW if sphere == "INSTANCE" else ATTEMPT_ROW
    quick = [selector for selector in selectors if selector["fieldName"] in of_rows]
    slow = [selector for selector in selectors if selector["fieldName"] not in of_rows]
    if sphere == "INSTANCE":
        for instance in _instances_after(turn, pipeline.pipeline_id, after):
            identity = instance.instance_id
            row = PipelineObject(identity, identity, runtime_fields(instance, turn.plan(instance)) if quick else {})
            if all(matches(row, selector) for selector in quick) and (
                not slow or all(matches(instance_object(turn, instance, evaluate=False), s) for s in slow)
            ):
                yield identity
        return
    for attempt in _attempts_after(turn, pipeline.pipeline_id, after):
        row = PipelineObject(attempt.attempt_id, attempt.attempt_id, attempt_fields(attempt) if quick else {})
        if all(matches(row, selector) for selector in quick) and (
            not slow or all(matches(attempt_object(turn, attempt, evaluate=False), s) for s in slow)
        ):
            yield attempt.attempt_id


def _components(plan: Plan, after: str | None) -> list[str]:
    ids = list(plan.resolved.definition.objects)
    if after is not None and after not in ids:
        raise _unknown_marker(after)
    return ids if after is None else ids[ids.index(after) + 1 :]


def _instances_after(turn: Turn, pipeline_id: str, after: str | None) -> Iterator[Instance]:
    start, identity = BEFORE_ALL, ""
    if after is not None:
        last = turn.instance(pipeline_id, after)
        start, identity = last.scheduled_start if last else _start_in(after), after
    while rows := turn.tx.all(
        "instances_after", pipeline_id=pipeline_id, scheduled_start=start, instance_id=identity, limit=ROWS_AT_ONCE
    ):
        yield from read_all(Instance, rows)
        start, identity = rows[-1]["scheduled_start"], rows[-1]["instance_id"]


def _start_in(marker: str) -> int:
    """The scheduled start in the id of an instance, which was deleted since it ended a page."""
    match = INSTANCE_ID.fullmatch(marker)
    try:
        return to_ms(parse_date_time(match[1] if match else ""))
    except ValueError:
        raise _unknown_marker(marker) from None


def _attempts_after(turn: Turn, pipeline_id: str, after: str | None) -> Iterator[Attempt]:
    identity = after or ""
    if after is not None and not ATTEMPT_ID.fullmatch(after):
        raise _unknown_marker(after)
    while rows := turn.tx.all("attempts_after", pipeline_id=pipeline_id, attempt_id=identity, limit=ROWS_AT_ONCE):
        yield from read_all(Attempt, rows)
        identity = rows[-1]["attempt_id"]


def evaluate_expression(call: Call, request: Request) -> Answer:
    """The value of a text with expressions, as it stands in a field of the object."""
    with call.engine.reading() as turn:
        pipeline = find_pipeline(call, turn, request["pipelineId"])
        plan = _plan(turn, pipeline)
        identity = request["objectId"]
        attempt = turn.tx.one("attempt_by_id", pipeline_id=pipeline.pipeline_id, attempt_id=identity)
        instance = find_instance(turn, pipeline.pipeline_id, attempt["instance_id"] if attempt else identity)
        if instance is None and identity not in plan.resolved.inherited:
            raise invalid(f"The pipeline {pipeline.pipeline_id} has no object '{identity}'.")
        entries = {}
        if instance is not None:
            plan, identity = turn.plan(instance), instance.instance_id
            entries = instance_entries(turn, plan, instance)
        try:
            value = to_text(plan.resolved.scope(entries=entries).evaluate(identity, request["expression"]))
        except NotYet as error:
            raise invalid(f"'{error.name}' is not known for '{identity}', or is a secret.") from error
        except ExpressionError as error:
            raise invalid(f"The expression is wrong: {error}") from error
    return {"evaluatedExpression": value if isinstance(value, str) else "[" + ", ".join(value) + "]"}


def set_status(call: Call, request: Request) -> None:
    """PAUSE and RESUME components; TRY_CANCEL, RERUN and MARK_FINISHED instances. All of them, or none."""
    verb = request["status"].upper()
    if verb not in (*INSTANCE_VERBS, *COMPONENT_VERBS):
        known = ", ".join((*COMPONENT_VERBS, *INSTANCE_VERBS))
        raise invalid(f"The status '{request['status']}' is not known; give one of {known}.")
    if len(request["objectIds"]) > MOST_SET:
        raise invalid(f"{len(request['objectIds']):,} objects are given; {MOST_SET:,} is the most at once.")
    pipeline_id = request["pipelineId"]
    with call.engine.turn(pipeline_id) as turn:
        pipeline = find_pipeline(call, turn, pipeline_id)
        if not active_version(turn, pipeline):
            raise invalid("The pipeline was never activated; it has nothing whose status could be set.")
        if verb in COMPONENT_VERBS:
            for identity in request["objectIds"]:
                if not rerun.set_paused(turn, pipeline_id, identity, paused=verb == "PAUSE"):
                    raise invalid(f"'{identity}' is no component of {pipeline_id} that could {verb}.")
            return
        change = {"RERUN": rerun.rerun, "MARK_FINISHED": rerun.mark_finished}.get(verb, rerun.cancel)
        for before in _instances(turn, pipeline_id, request["objectIds"], verb):
            instance = turn.instance(pipeline_id, before.instance_id)
            if instance is None or instance.status != before.status:
                continue  # it went along with one of the others: a rerun spreads to its consumers
            if not change(turn, instance):
                raise invalid(f"{instance.instance_id} is {instance.status}, which {verb} cannot change.")


def _instances(turn: Turn, pipeline_id: str, ids: list[str], verb: str) -> list[Instance]:
    found: list[Instance] = []
    for identity in dict.fromkeys(ids):
        instance = find_instance(turn, pipeline_id, identity)
        if instance is None:
            raise invalid(f"'{identity}' is no instance of {pipeline_id}; {verb} works on instances.")
        found.append(instance)
    return found
