"""Changing what runs on a server: `penstock rerun`, `cancel`, `activate`…; and trying its alarms."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from penstock.cli.connection import Named, Service, check_instances, described, find_pipeline
from penstock.cli.output import print_json, table
from penstock.definition.api_form import values_to_api
from penstock.definition.model import Values
from penstock.definition.period import parse_date_time

TRYING_SECONDS = 300.0  # each target may take half a minute


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
    """The time of `--start`, if it is given."""
    return time_of(text, "--start") if text is not None else None


def time_of(text: str, option: str) -> datetime:
    """The time that an option gives; raises click's error for what is none."""
    try:
        return parse_date_time(text)
    except ValueError as error:
        raise click.BadParameter(f"'{text}' is no time: {error}.", param_hint=option) from None


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


def send_test_alarm(service: Service, topic: str, as_json: bool) -> None:
    """Try every target of a topic; ends the command with 1 where the alarm has reached nobody, or not all."""
    targets = service.own.call("SendTestAlarm", _timeout=TRYING_SECONDS, topicArn=topic)["targets"]
    if as_json:
        print_json({"topicArn": topic, "targets": targets})
    elif targets:
        rows = [(t["name"], "delivered" if t["isDelivered"] else f"not delivered: {t['problem']}") for t in targets]
        click.echo(table(("target", "result"), rows))
    else:
        click.echo(
            f'Alarms of {topic} go to the event log only: the server\'s settings have neither [alarms."{topic}"]'
            " nor [sns].",
            err=True,
        )
    if not targets or not all(target["isDelivered"] for target in targets):
        raise SystemExit(1)
