"""The operations of the service model `penstock`: what the commands need beyond the 19."""

from __future__ import annotations

from penstock.api.call import Answer, Call, Request, find_instance, find_pipeline, invalid, stored_definition
from penstock.clock import from_ms
from penstock.definition.api_form import values_from_api
from penstock.engine.activation import due_index, due_intervals
from penstock.engine.plan import make_plan
from penstock.engine.waiting import why
from penstock.store.rows import Activation, Event, read_all

EVENTS_PAGE = 1000


def preview_intervals(call: Call, request: Request) -> Answer:
    """How many intervals of each component are due, were the latest definition activated now."""
    given = values_from_api(request.get("parameterValues", ()))
    with call.engine.reading() as turn:
        pipeline = find_pipeline(call, turn, request["pipelineId"])
        stored = stored_definition(turn, pipeline.pipeline_id, pipeline.latest_version)
        if stored is None:
            raise invalid("Pipeline definition is empty: ")
        now = turn.now
    activation = Activation(pipeline.pipeline_id, 0, pipeline.latest_version, "{}", now // 1000 * 1000, None, now, "")
    settings = call.engine.settings.engine
    try:
        plan = make_plan(pipeline, activation, stored[0], given, call.engine.catalogue, settings)
    except ValueError as error:
        raise invalid(f"The definition has no schedule that could be previewed: {error}") from error
    due = due_intervals(plan, now)
    components = []
    for component in plan.components.values():
        if component.id not in due:
            continue
        upcoming = component.intervals.at(due_index(component, now))
        components.append(
            {
                "component": component.id,
                "due": due[component.id],
                "firstStart": component.intervals.start,
                "nextStart": upcoming[0] if upcoming else None,
                "nextDueTime": (upcoming[1] if component.is_due_at_end else upcoming[0]) if upcoming else None,
            }
        )
    return {"components": components, "isOnDemand": plan.is_on_demand}


def describe_progress(call: Call, request: Request) -> Answer:
    """Where a pipeline stands, in a handful of numbers."""
    with call.engine.reading() as turn:
        pipeline = find_pipeline(call, turn, request["pipelineId"])
        counts = turn.tx.all("status_counts", pipeline_id=pipeline.pipeline_id)
        row = turn.tx.one("progress", pipeline_id=pipeline.pipeline_id, now=turn.now)
    assert row is not None
    return {
        "state": pipeline.state,
        "counts": [{"family": c["family"], "status": c["status"], "count": c["n"]} for c in counts],
        "working": row["working"],
        "retrying": row["retrying"],
        "asking": row["asking"],
        "due": row["due"],
        "nextDueTime": from_ms(row["next_due_at"]) if row["next_due_at"] is not None else None,
    }


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
        return {"status": instance.status, "reasons": why(turn, instance)}
