"""`penstock versions`: the versions of a pipeline's definition."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from penstock.cli.completion import complete_pipelines
from penstock.cli.options import data_dir_option, endpoint_option, json_option


@click.command("versions", short_help="List the versions of a definition.")
@click.argument("pipeline", shell_complete=complete_pipelines)
@json_option
@endpoint_option
@data_dir_option
def versions(pipeline: str, as_json: bool, endpoint: str | None, data_dir: Path | None) -> None:
    """List the versions of PIPELINE's definition, newest first: when each was put, by whom, and which one is active.

    `aws datapipeline get-pipeline-definition --pipeline-version N` prints one of them.
    """
    from penstock.cli.connection import connected, find_pipeline
    from penstock.cli.output import moment, print_json, table

    with connected(endpoint, data_dir) as service:
        named = find_pipeline(service, pipeline)
        found: list[dict[str, Any]] = []
        before: dict[str, int] = {}
        while True:
            page = service.own.call("ListVersions", pipelineId=named.pipeline_id, **before)
            found += page["versions"]
            if not page["hasMoreResults"]:
                break
            before = {"before": page["versions"][-1]["version"]}
    if as_json:
        listed = [{**version, "creationTime": moment(version["creationTime"])} for version in found]
        print_json({"pipelineId": named.pipeline_id, "name": named.name, "versions": listed})
        return
    if not found:
        click.echo(f"{named} has no definition yet.", err=True)
        return
    rows = []
    for version in found:
        marks = {"active": "isActive", "latest": "isLatest", "has errors": "isErrored"}
        said = ", ".join(text for text, key in marks.items() if version[key])
        rows.append([str(version["version"]), moment(version["creationTime"]), version["createdBy"], said])
    click.echo(table(("version", "created (UTC)", "by", ""), rows))
