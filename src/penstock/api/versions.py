"""ListVersions: the versions of a pipeline's definition."""

from __future__ import annotations

from penstock.api.call import Answer, Call, Request, active_version, find_pipeline
from penstock.clock import from_ms

PAGE = 1000
NEWEST = 2**62


def list_versions(call: Call, request: Request) -> Answer:
    """The versions that were put, newest first; those before a version, if one is given."""
    with call.engine.reading() as turn:
        pipeline = find_pipeline(call, turn, request["pipelineId"])
        active = active_version(turn, pipeline)
        before = request.get("before", NEWEST)
        rows = turn.tx.all("versions_before", pipeline_id=pipeline.pipeline_id, before=before, limit=PAGE + 1)
    versions = [
        {
            "version": row["version"],
            "creationTime": from_ms(row["created_at"]),
            "createdBy": row["created_by"],
            "isErrored": bool(row["errored"]),
            "isActive": row["version"] == active,
            "isLatest": row["version"] == pipeline.latest_version,
        }
        for row in rows[:PAGE]
    ]
    return {"versions": versions, "hasMoreResults": len(rows) > PAGE}
