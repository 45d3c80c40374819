"""Changing what runs on a server: `penstock rerun`, `cancel`, `mark-finished`, `activate` and `deactivate`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from penstock.cli.connection import Named, Service, check_instances, described, find_pipeline
from penstock.cli.output import print_json, table
from penstock.definition.api_form import values_to_api
from penstock.definition.model import Values
from penstock.definition.period import parse_date_time


def set_status(service: Service, identities: tuple[str, ...], wanted: str, status: str, as_json: bool) -> None:
    """Change instances, all of them or none, and print how they stand then."""
    pipeline = find_pipeline(service, wanted)
    check_instances(identities, pipeline)
    ids = list(dict.fromkeys(identities))
    service.client.call("SetStatus", pipelineId=pipeline.pipeline_id, objectIds=ids, status=status)
    now = [(identity, described(service, pipeline, identity)["@status"]) for identity in ids]
    if as_json:
        instances = [{"id": identity, "@status": status} for identity, status in now]
        print_json({"pipelineId": pipeline.pipeline_id, "instances": instances})
        return
    click.echo(table(("instance", "status"), now))


def start_of(text: str | None) -> datetime | None:
    """The time of `--start`; raises click's error for what is none."""
    try:
        return parse_date_time(text) if text is not None else None
    except ValueError as error:
        raise click.BadParameter(f"'{text}' is no time: {error}.", param_hint="--start") from None


def activate(service: Service, wanted: str, start: datetime | None, values: Values, as_json: bool) -> None:
    """Let a pipeline run."""
    pipeline = find_pipeline(service, wanted)
    asked: dict[str, Any] = {"parameterValues": values_to_api(values)} if values else {}
    asked |= {"startTimestamp": start} if start is not None else {}
    service.client.call("ActivatePipeline", pipelineId=pipeline.pipeline_id, **asked)
    _print_state(service, pipeline, as_json)


def deactivate(service: Service, wanted: str, cancel_active: bool, as_json: bool) -> None:
    """Stop a pipeline."""
    pipeline = find_pipeline(service, wanted)
    service.client.call("DeactivatePipeline", pipelineId=pipeline.pipeline_id, cancelActive=cancel_active)
    _print_state(service, pipeline, as_json)


def _print_state(service: Service, pipeline: Named, as_json: bool) -> None:
    state = service.own.call("DescribeProgress", pipelineId=pipeline.pipeline_id)["state"]
    if as_json:
        print_json({"pipelineId": pipeline.pipeline_id, "name": pipeline.name, "state": state})
        return
    click.echo(f"{pipeline} is {state}.")
