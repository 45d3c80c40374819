"""Operations on pipelines as a whole: create, describe, list, delete, tags."""

from __future__ import annotations

import json
import secrets
import string

from penstock.api.call import Answer, Call, Request, active_version, find_pipeline, invalid
from penstock.clock import ms_to_field, to_field
from penstock.engine.turn import Turn
from penstock.store.rows import ComponentState, Pipeline, read_all

PAGE = 50
MOST_DESCRIBED = 100  # pipelines
MOST_TAGS = 10
TABLES = (
    *("attempts", "dependencies", "instances", "components", "backfills", "outbox", "events"),
    *("activations", "definitions", "tags", "keys"),
)
ACCOUNT = "000000000000"
_ALPHABET = string.ascii_uppercase + string.digits


def create_pipeline(call: Call, request: Request) -> Answer:
    """Make a pipeline; the same name and uniqueId give the one that exists."""
    tags = {tag["key"]: tag["value"] for tag in request.get("tags", ())}
    _check_texts(tags)
    with call.engine.turn() as turn:
        pipeline_id = "df-" + "".join(secrets.choice(_ALPHABET) for _ in range(20))
        made = turn.tx.execute(
            "insert_pipeline",
            pipeline_id=pipeline_id,
            name=request["name"],
            unique_id=request["uniqueId"],
            description=request.get("description"),
            creator=call.by,
            owner=call.engine.owner,
            created_at=turn.now,
        )
        if not made:
            row = turn.tx.one("pipeline_by_unique_id", name=request["name"], unique_id=request["uniqueId"])
            assert row is not None
            if call.key.owner and row["owner"] != call.key.owner:
                raise invalid(f"Another pipeline has the name {request['name']} and this uniqueId.")
            return {"pipelineId": row["pipeline_id"]}
        for key, value in tags.items():
            turn.tx.execute("upsert_tag", pipeline_id=pipeline_id, key=key, value=value)
    return {"pipelineId": pipeline_id}


def delete_pipeline(call: Call, request: Request) -> Answer:
    """Delete a pipeline with its definition, instances and attempts; running attempts lose their lease."""
    pipeline_id = request["pipelineId"]
    with call.engine.turn(pipeline_id) as turn:
        pipeline = find_pipeline(call, turn, pipeline_id)
        turn.move_pipeline(pipeline, "delete", call.by)
        for table in TABLES:
            turn.tx.execute(f"delete_{table}", pipeline_id=pipeline_id)
    return {}


def describe_pipelines(call: Call, request: Request) -> Answer:
    """The fields of pipelines, as the real service names them."""
    if len(request["pipelineIds"]) > MOST_DESCRIBED:
        raise invalid(f"{len(request['pipelineIds'])} pipelines are asked for; {MOST_DESCRIBED} is the most.")
    with call.engine.reading() as turn:
        return {
            "pipelineDescriptionList": [
                _description(turn, find_pipeline(call, turn, pipeline_id)) for pipeline_id in request["pipelineIds"]
            ]
        }


def _description(turn: Turn, pipeline: Pipeline) -> Answer:
    tags = [
        {"key": row["key"], "value": row["value"]} for row in turn.tx.all("tags_of", pipeline_id=pipeline.pipeline_id)
    ]
    fields: dict[str, str | None] = {
        "@creationTime": ms_to_field(pipeline.created_at),
        "@id": pipeline.pipeline_id,
        "@sphere": "PIPELINE",
        "@pipelineState": pipeline.state,
        "@accountId": ACCOUNT,
        "@userId": pipeline.creator,
        "pipelineCreator": pipeline.creator,
        "name": pipeline.name,
        "uniqueId": pipeline.unique_id,
        "description": pipeline.description,
        "*tags": json.dumps(tags, separators=(",", ":")) if tags else None,
        **(_runtime(turn, pipeline) if pipeline.activation else {}),
    }
    return {
        "pipelineId": pipeline.pipeline_id,
        "name": pipeline.name,
        "description": pipeline.description,
        "tags": tags,
        "fields": [{"key": key, "stringValue": value} for key, value in fields.items() if value is not None],
    }


def _runtime(turn: Turn, pipeline: Pipeline) -> dict[str, str | None]:
    components = read_all(ComponentState, turn.tx.all("components_of", pipeline_id=pipeline.pipeline_id))
    health = {component.health for component in components if component.health}
    upcoming = min((c.next_start for c in components if c.next_start is not None), default=None)
    fields = {
        "@version": str(active_version(turn, pipeline)),
        "@firstActivationTime": _field(pipeline.first_activated_at),
        "@lastActivationTime": _field(pipeline.last_activated_at),
        "@finishedTime": _field(pipeline.finished_at),
        "@nextRunTime": _field(upcoming),
    }
    if health:
        fields["@healthStatus"] = "ERROR" if "ERROR" in health else "HEALTHY"
    plan = turn.plans.find(turn.tx, pipeline.pipeline_id, pipeline.activation)
    scheduled = [c.intervals for c in plan.components.values() if c.intervals.period is not None]
    if scheduled:
        first = min(scheduled, key=lambda intervals: intervals.start)
        fields["@scheduledStartTime"] = to_field(first.start)
        fields["@scheduledPeriod"] = str(first.period)
        last = first.at(first.count - 1) if first.count else None
        end = first.end or (last[1] if last else None)
        if end is not None:
            fields["@scheduledEndTime"] = to_field(end)
    return fields


def _field(moment: int | None) -> str | None:
    return None if moment is None else ms_to_field(moment)


def list_pipelines(call: Call, request: Request) -> Answer:
    """The ids and names of all pipelines, 50 a page."""
    with call.engine.reading() as turn:
        rows = turn.tx.all("pipelines_after", marker=request.get("marker", ""), limit=PAGE + 1)
    visible = [row for row in rows if not call.key.owner or row["owner"] == call.key.owner]
    page = [{"id": row["pipeline_id"], "name": row["name"]} for row in visible[:PAGE]]
    answer: Answer = {"pipelineIdList": page, "hasMoreResults": len(rows) > PAGE}
    if len(rows) > PAGE:
        answer["marker"] = rows[PAGE - 1]["pipeline_id"]
    return answer


def add_tags(call: Call, request: Request) -> Answer:
    """Add tags, or change their values."""
    with call.engine.turn(request["pipelineId"]) as turn:
        pipeline = find_pipeline(call, turn, request["pipelineId"])
        tags = {row["key"]: row["value"] for row in turn.tx.all("tags_of", pipeline_id=pipeline.pipeline_id)}
        given = {tag["key"]: tag["value"] for tag in request["tags"]}
        _check_texts(given)
        if len({**tags, **given}) > MOST_TAGS:
            raise invalid(f"A pipeline has at most {MOST_TAGS} tags; this would make {len({**tags, **given})}.")
        for key, value in given.items():
            turn.tx.execute("upsert_tag", pipeline_id=pipeline.pipeline_id, key=key, value=value)
    return {}


def _check_texts(tags: dict[str, str]) -> None:
    for key, value in tags.items():
        if "\0" in key or "\0" in value:
            raise invalid("A tag's key and value must not hold the character NUL.")


def remove_tags(call: Call, request: Request) -> Answer:
    """Remove tags by key; keys that no tag has are passed over."""
    with call.engine.turn(request["pipelineId"]) as turn:
        pipeline = find_pipeline(call, turn, request["pipelineId"])
        there = {row["key"] for row in turn.tx.all("tags_of", pipeline_id=pipeline.pipeline_id)}
        for key in there.intersection(request["tagKeys"]):
            turn.tx.execute("delete_tag", pipeline_id=pipeline.pipeline_id, key=key)
    return {}
