"""The operations of the service model `penstock`: what the commands need beyond the 19."""

from __future__ import annotations

from penstock.api.call import Answer, Call, Request, find_instance, find_pipeline, invalid, stored_definition
from penstock.api.tasks import new_key
from penstock.clock import from_ms
from penstock.definition.api_form import values_from_api
from penstock.engine.activation import due_index, due_intervals
from penstock.engine.plan import SYSTEM_GROUP, make_plan, resource_of_group
from penstock.engine.waiting import why
from penstock.store.rows import AccessKey, Activation, Event, read, read_all

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


def create_key(call: Call, request: Request) -> Answer:
    """Make an access key, or take one that scripts already use (its secret is not shown again)."""
    group = request.get("workerGroup")
    if group is not None and (group == SYSTEM_GROUP or resource_of_group(group) is not None):
        raise invalid(f"The worker group '{group}' is the service's own.")
    if group is not None and request["role"] != "runner":
        raise invalid("A worker group limits a key of the role runner; leave it out for other roles.")
    access_key, secret = request.get("accessKeyId"), request.get("secretAccessKey")
    if (access_key is None) != (secret is None):
        raise invalid("Give both accessKeyId and secretAccessKey, or neither.")
    is_given = secret is not None
    if access_key is None or secret is None:
        access_key, secret = new_key()
    with call.engine.turn() as turn:
        made = turn.tx.execute(
            "insert_key",
            access_key=access_key,
            secret=call.engine.secrets.encrypt(secret),
            role=request["role"],
            name=request.get("name", ""),
            owner=call.key.owner,
            pipeline_id=None,
            worker_group=group,
            created_at=turn.now,
        )
        if not made:
            raise invalid(f"There is a key {access_key} already.")
    return {"accessKeyId": access_key, **({} if is_given else {"secretAccessKey": secret})}


def list_keys(call: Call, request: Request) -> Answer:
    """All access keys that people made."""
    with call.engine.reading() as turn:
        keys = [k for k in read_all(AccessKey, turn.tx.all("keys")) if not k.pipeline_id and k.owner == call.key.owner]
    return {
        "keys": [
            {
                "accessKeyId": key.access_key,
                "name": key.name,
                "role": key.role,
                "workerGroup": key.worker_group,
                "creationTime": from_ms(key.created_at),
                "revocationTime": from_ms(key.revoked_at) if key.revoked_at is not None else None,
            }
            for key in keys
            if key.role != "system"
        ]
    }


def revoke_key(call: Call, request: Request) -> Answer:
    """Make a key worthless; its record stays."""
    with call.engine.turn() as turn:
        row = turn.tx.one("key_by_id", access_key=request["accessKeyId"])
        if row is None or read(AccessKey, row).owner != call.key.owner:
            raise invalid(f"There is no key {request['accessKeyId']}.")
        if row["revoked_at"] is None:
            turn.tx.execute("revoke_key", access_key=request["accessKeyId"], now=turn.now)
    return {}
