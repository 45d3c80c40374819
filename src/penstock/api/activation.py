"""ActivatePipeline and DeactivatePipeline."""

from __future__ import annotations

from datetime import timedelta

from penstock.api.call import Answer, Call, Request, find_pipeline, given_parameters, invalid, stored_definition
from penstock.clock import from_ms, ms_to_field, to_ms
from penstock.definition.edits import edit_problems
from penstock.definition.model import Definition, Values, is_secret
from penstock.definition.validate import unbuilt, validate
from penstock.engine import activation as engine_activation
from penstock.engine.plan import values_of
from penstock.engine.turn import Turn
from penstock.store.rows import Activation, Pipeline, read
from penstock.store.secrets import MASK

BACKFILL_AFTER = timedelta(days=1)  # the guide: schedules, backfill tasks


def activate_pipeline(call: Call, request: Request) -> Answer:
    """Activate the latest definition with the given values, from the start timestamp on."""
    with call.engine.turn(request["pipelineId"]) as turn:
        pipeline = find_pipeline(call, turn, request["pipelineId"])
        stored = stored_definition(turn, pipeline.pipeline_id, pipeline.latest_version)
        if stored is None or not stored[0].objects:
            raise invalid("Pipeline definition is empty: ")
        given = given_values(call, turn, pipeline, stored[0], given_parameters(request))
        verdict = validate(call.engine.secrets.reveal_definition(stored[0]), call.engine.catalogue, given)
        errors = [*verdict.errors, *unbuilt(verdict.resolved, call.engine.catalogue)]
        if pipeline.activation:  # other values can change a schedule too
            active = turn.plans.find(turn.tx, pipeline.pipeline_id, pipeline.activation).resolved
            errors.extend(edit_problems(active, verdict.resolved))
        if stored[1] or errors:
            texts = "; ".join(f"{p.object_id}: {p.text}" if p.object_id else p.text for p in errors)
            raise invalid(f"The pipeline definition has errors: {texts or 'put it again to see them'}")
        sealed = call.engine.secrets.encrypt_values(given, {})
        start = request.get("startTimestamp")
        start_at = to_ms(start) if start is not None else None
        is_first = pipeline.activation == 0
        done = engine_activation.activate(turn, pipeline, pipeline.latest_version, sealed, start_at, call.by)
        if done is None:
            raise invalid(f"The pipeline is {pipeline.state}; activate it when that is over.")
        if is_first and start_at is None:
            _guard_backfill(turn, pipeline, done)
    return {}


def given_values(call: Call, turn: Turn, pipeline: Pipeline, definition: Definition, given: Values) -> Values:
    """The values of an activation that is made now, in clear: those given, else the last activation's.

    `*****` stands for the stored value. What was put since the last activation wins over that one's values.
    """
    last, version = _last_values(call, turn, pipeline)
    if not given:
        is_newer = pipeline.latest_version != version
        return {key: values for key, values in last.items() if not (is_newer and key in definition.values)}
    known = {**last, **call.engine.secrets.reveal_values(definition.values)}
    chosen: dict[str, tuple[str, ...]] = {}
    for identity, values in given.items():
        if not is_secret(identity) or MASK not in values:
            chosen[identity] = values
        elif len(values) > 1:
            raise invalid(f"The value of '{identity}' has '{MASK}' among other values; give all of them, or '{MASK}'.")
        elif identity in known:
            chosen[identity] = known[identity]
        elif identity not in definition.parameters or not definition.parameters[identity].attributes.get("default"):
            raise invalid(f"The value of '{identity}' is '{MASK}', but no value is stored for it; give the value.")
    return chosen


def _last_values(call: Call, turn: Turn, pipeline: Pipeline) -> tuple[Values, int]:
    """The values of the last activation, in clear, and its version."""
    row = turn.tx.one("activation_by_number", pipeline_id=pipeline.pipeline_id, number=pipeline.activation)
    if row is None:
        return {}, 0
    activation = read(Activation, row)
    return call.engine.secrets.reveal_values(values_of(activation)), activation.version


def _guard_backfill(turn: Turn, pipeline: Pipeline, done: Activation) -> None:
    """A first activation of what starts more than a day ago must say from when (the guide: backfill tasks)."""
    plan = turn.plans.find(turn.tx, pipeline.pipeline_id, done.number)
    scheduled = [c.intervals.start for c in plan.components.values() if c.intervals.period is not None]
    if not scheduled or min(scheduled) >= from_ms(turn.now) - BACKFILL_AFTER:
        return
    due = engine_activation.due_intervals(plan, turn.now)
    if not sum(due.values()):
        return
    most = max(due, key=lambda name: due[name])
    earliest = ms_to_field(to_ms(min(scheduled)))
    raise invalid(
        f"The schedule starts at {earliest}, more than a day ago: this would run {due[most]} intervals of '{most}' and"
        f" {sum(due.values())} instances in all. Give a start timestamp: {earliest} runs them all, a later one skips"
        " those before it."
    )


def deactivate_pipeline(call: Call, request: Request) -> Answer:
    """Stop a pipeline; running attempts are cancelled unless cancelActive is false."""
    with call.engine.turn(request["pipelineId"]) as turn:
        pipeline = find_pipeline(call, turn, request["pipelineId"])
        if not engine_activation.deactivate(turn, pipeline, cancel_active=request.get("cancelActive", True)):
            raise invalid(f"The pipeline is {pipeline.state}; only an active pipeline can be deactivated.")
    return {}
