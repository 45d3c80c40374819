"""Where a pipeline stands: intervals that come next, counts, events, and why an instance does not run."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from penstock.api.activation import given_values
from penstock.api.backfill import remaining
from penstock.api.call import (
    Answer,
    Call,
    Request,
    find_instance,
    find_pipeline,
    given_parameters,
    invalid,
    stored_definition,
)
from penstock.clock import from_ms
from penstock.definition.model import Values
from penstock.definition.timetable import Timing
from penstock.engine.actions import undelivered
from penstock.engine.activation import due_intervals
from penstock.engine.plan import Component, Plan, make_plan
from penstock.engine.turn import Turn
from penstock.engine.waiting import why
from penstock.store.rows import Activation, Backfill, Event, Pipeline, read_all

EVENTS_PAGE = 1000
MOST_RUNNING = 100
LONGEST_TEXT = 100
_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)


def preview_intervals(call: Call, request: Request) -> Answer:
    """The next intervals of each component, and how many are due by now.

    Of an active pipeline those that come next; of another one, or with other parameter values, as if the latest
    definition were activated now. Without values those of the last activation are taken.
    """
    given = given_parameters(request)
    with call.engine.reading() as turn:
        pipeline = find_pipeline(call, turn, request["pipelineId"])
        at: dict[str, int] = {}
        if pipeline.state in ("SCHEDULED", "FINISHED") and not given:
            plan = turn.plans.find(turn.tx, pipeline.pipeline_id, pipeline.activation)
            at = {
                row["component"]: row["next_index"]
                for row in turn.tx.all("components_of", pipeline_id=plan.pipeline_id)
            }
        else:
            plan = _plan_of_latest(call, turn, pipeline, given)
        now = turn.now
    due = due_intervals(plan, now)
    count = request.get("count", 1)
    components = [_preview(plan.components[name], due[name], at.get(name, due[name]), count) for name in due]
    return {"components": components, "isOnDemand": plan.is_on_demand}


def _plan_of_latest(call: Call, turn: Turn, pipeline: Pipeline, given: Values) -> Plan:
    """A plan of the latest definition, as if it were activated now."""
    stored = stored_definition(turn, pipeline.pipeline_id, pipeline.latest_version)
    if stored is None:
        raise invalid("Pipeline definition is empty: ")
    values = given_values(call, turn, pipeline, stored[0], given)
    now = turn.now
    activation = Activation(pipeline.pipeline_id, 0, pipeline.latest_version, "{}", now // 1000 * 1000, None, now, "")
    settings = call.engine.settings.engine
    try:
        return make_plan(pipeline, activation, stored[0], values, call.engine.catalogue, settings)
    except ValueError as error:
        raise invalid(f"The definition has no schedule that could be previewed: {error}") from error


def _preview(component: Component, due: int, index: int, count: int) -> Answer:
    """A component's next intervals from an index on."""
    timing = Timing(component.intervals, component.is_due_at_end)
    found = [interval for n in range(index, index + count) if (interval := component.intervals.at(n)) is not None]
    upcoming = [{"start": start, "end": end, "dueTime": timing.due((start, end))} for start, end in found]
    return {
        "component": component.id,
        "due": due,
        "firstStart": component.intervals.start,
        "nextStart": upcoming[0]["start"] if upcoming else None,
        "nextDueTime": upcoming[0]["dueTime"] if upcoming else None,
        "upcoming": upcoming,
    }


def describe_progress(call: Call, request: Request) -> Answer:
    """Where a pipeline stands, in a handful of numbers."""
    with call.engine.reading() as turn:
        pipeline = find_pipeline(call, turn, request["pipelineId"])
        counts = turn.tx.all("status_counts", pipeline_id=pipeline.pipeline_id)
        row = turn.tx.one("progress", pipeline_id=pipeline.pipeline_id, now=turn.now)
        backfills = read_all(Backfill, turn.tx.all("backfills_of", pipeline_id=pipeline.pipeline_id))
        reported = turn.tx.all("reported_progress", pipeline_id=pipeline.pipeline_id, limit=MOST_RUNNING)
    assert row is not None
    return {
        "state": pipeline.state,
        "counts": [{"family": c["family"], "status": c["status"], "count": c["n"]} for c in counts],
        "working": row["working"],
        "retrying": row["retrying"],
        "asking": row["asking"],
        "due": row["due"],
        "backfills": remaining(backfills),
        "nextDueTime": from_ms(row["next_due_at"]) if row["next_due_at"] is not None else None,
        "running": [running for one in reported if (running := _running(one))],
    }


def _running(row: Mapping[str, Any]) -> Answer | None:
    """How far an attempt is by what it reported, which may be anything; None where that says nothing of it."""
    fields = json.loads(row["fields"])
    told: Answer = {key: int(fields[key]) for key in ("rows", "bytes") if _NUMBER.fullmatch(str(fields.get(key)))}
    if "statements" in fields:
        told["statements"] = str(fields["statements"])[:LONGEST_TEXT]
    if not told:
        return None
    times = {"startTime": from_ms(row["started_at"]), "reportTime": from_ms(row["reported_at"])}
    return {"objectId": row["instance_id"], **times, **told}


def list_events(call: Call, request: Request) -> Answer:
    """Events after a sequence number, oldest first."""
    with call.engine.reading() as turn:
        pipeline = find_pipeline(call, turn, request["pipelineId"])
        rows = turn.tx.all(
            "events_after",
            pipeline_id=pipeline.pipeline_id,
            sequence=request.get("after", 0),
            limit=EVENTS_PAGE + 1,
        )
    events = [
        {
            "sequence": event.sequence,
            "time": from_ms(event.at),
            "objectId": event.object_id,
            "sphere": event.sphere,
            "verb": event.verb,
            "fromStatus": event.from_status,
            "toStatus": event.to_status,
            "detail": event.detail,
        }
        for event in read_all(Event, rows[:EVENTS_PAGE])
    ]
    return {"events": events, "hasMoreResults": len(rows) > EVENTS_PAGE}


def explain_waiting(call: Call, request: Request) -> Answer:
    """Why an instance is not running."""
    with call.engine.reading() as turn:
        find_pipeline(call, turn, request["pipelineId"])
        instance = find_instance(turn, request["pipelineId"], request["objectId"])
        if instance is None:
            raise invalid(f"'{request['objectId']}' is no instance of {request['pipelineId']}.")
        return {"status": instance.status, "reasons": why(turn, instance), "alarms": undelivered(turn, instance)}
