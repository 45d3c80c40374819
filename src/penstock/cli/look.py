"""What runs on a server: `penstock pipelines`, `status`, `runs`, `why` and `next`."""

from __future__ import annotations

from collections.abc import Sequence

import click

from penstock.cli.connection import (
    Service,
    all_pipelines,
    check_instances,
    described,
    find_pipeline,
    pipeline_fields,
)
from penstock.cli.follow import FINAL, instances
from penstock.cli.moved import amount, amount_of_instance, json_of, lineage
from penstock.cli.output import counted, fail, moment, print_json, table
from penstock.cli.result import ALWAYS_SHOWN, SHOWN, UNSUCCESSFUL
from penstock.definition.api_form import values_to_api
from penstock.definition.model import Values

LONGEST_REASON = 100


def show_pipelines(service: Service, as_json: bool) -> None:
    """All pipelines, one a line."""
    found = pipeline_fields(service, [pipeline.pipeline_id for pipeline in all_pipelines(service)])
    if as_json:
        print_json({"pipelines": [_without_id(fields) for fields in found]})
        return
    headings = ("id", "name", "state", "health", "created")
    keys = ("id", "name", "@pipelineState", "@healthStatus", "@creationTime")
    click.echo(table(headings, [[fields.get(key, "") for key in keys] for fields in found]))


def _without_id(fields: dict[str, str]) -> dict[str, str]:
    """The fields as the service has them: `@id` says what `id` does."""
    return {key: value for key, value in fields.items() if key != "id"}


def show_status(service: Service, wanted: str, as_json: bool) -> None:
    """Where a pipeline stands."""
    pipeline = find_pipeline(service, wanted)
    progress = service.own.call("DescribeProgress", pipelineId=pipeline.pipeline_id)
    fields = next(iter(pipeline_fields(service, [pipeline.pipeline_id])), {})
    counts: dict[str, int] = {}
    for entry in progress["counts"]:
        counts[entry["status"]] = counts.get(entry["status"], 0) + entry["count"]
    next_due = moment(progress["nextDueTime"]) if progress.get("nextDueTime") is not None else None
    numbers = {key: progress[key] for key in ("working", "retrying", "asking", "due")}
    backfills = [
        {"component": row["component"], **{key: moment(row[key]) for key in ("nextStart", "endTime")}}
        for row in progress["backfills"]
    ]
    running = [
        {key: moment(value) if key.endswith("Time") else value for key, value in entry.items()}
        for entry in progress.get("running", ())
    ]
    if as_json:
        document = {"pipelineId": pipeline.pipeline_id, "name": pipeline.name, "state": progress["state"]}
        document |= {"counts": counts, **numbers, "nextDueTime": next_due, "backfills": backfills, "running": running}
        print_json({**document, "fields": _without_id(fields)})
        return
    health = f", health {fields['@healthStatus']}" if "@healthStatus" in fields else ""
    click.echo(f"{pipeline} is {progress['state']}{health}")
    summary = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    click.echo(f"  {counted(sum(counts.values()), 'instance')}{': ' if summary else ''}{summary}")
    busy = {"working": "at work", "retrying": "waiting to be tried again", "asking": "asked again", "due": "due"}
    for key, text in busy.items():
        if numbers[key]:
            click.echo(f"  {numbers[key]} {text}")
    for entry in running:
        click.echo(f"  {entry['objectId']} has come to {amount(entry)} by {entry['reportTime']} UTC")
    times = (("created", "@creationTime"), ("last activated", "@lastActivationTime"), ("finished", "@finishedTime"))
    for text, key in times:
        if key in fields:
            click.echo(f"  {text} {fields[key]} UTC")
    if next_due is not None:
        click.echo(f"  next due {next_due} UTC")
    for entry in backfills:
        click.echo(
            f"  backfill of {entry['component']} is at {entry['nextStart']} UTC, and goes to {entry['endTime']} UTC"
        )


def show_runs(service: Service, wanted: str, statuses: Sequence[str], only_failed: bool, as_json: bool) -> None:
    """The instances of a pipeline, all or those of some statuses."""
    pipeline = find_pipeline(service, wanted)
    chosen = list(dict.fromkeys([*statuses, *(UNSUCCESSFUL if only_failed else ())]))
    found = instances(service.client, pipeline.pipeline_id, statuses=chosen)
    if as_json:
        shown = [
            {key: fields.get(key) for key in ALWAYS_SHOWN}
            | {key: fields[key] for key in SHOWN if key in fields}
            | json_of(fields)
            for fields in found
        ]
        print_json({"pipelineId": pipeline.pipeline_id, "instances": shown})
        return
    if not found:
        of = f" of the status {' or '.join(chosen)}" if chosen else ""
        click.echo(f"{pipeline} has no instances{of}.", err=True)
        return
    headings = ["instance", "status", "started", "ended", "attempts"]
    keys = ("id", "@status", "@actualStartTime", "@actualEndTime", "@attemptCount")
    rows = [[fields.get(key, "") for key in keys] for fields in found]
    if any(moved := [amount_of_instance(fields) for fields in found]):
        headings.append("data")
        rows = [[*row, text] for row, text in zip(rows, moved, strict=True)]
    reasons = [_reason(fields) for fields in found]
    if any(reasons):
        headings.append("reason")
        rows = [[*row, reason] for row, reason in zip(rows, reasons, strict=True)]
    click.echo(table(headings, rows))


def _reason(fields: dict[str, str]) -> str:
    """Why an instance did not succeed, on one short line."""
    lines = " ".join(_ending(fields)).splitlines()
    text = lines[0] if lines else ""
    return text if len(text) <= LONGEST_REASON else text[: LONGEST_REASON - 1] + "…"


def _ending(fields: dict[str, str]) -> list[str]:
    """Sentences that say how an instance has ended, where it did not just finish."""
    found = [fields[key] for key in ("errorMessage", "cancellationReason") if fields.get(key)]
    if "@cascadeFailedOn" in fields:
        found.append(f"It needs {fields['@cascadeFailedOn']}, which did not succeed.")
    return found


def show_why(service: Service, identity: str, wanted: str, as_json: bool) -> None:
    """Why an instance does not run, or how it ended."""
    pipeline = find_pipeline(service, wanted)
    check_instances((identity,), pipeline)
    answer = service.own.call("ExplainWaiting", pipelineId=pipeline.pipeline_id, objectId=identity)
    status: str = answer["status"]
    reasons = [*answer["reasons"]]
    if not reasons and status in FINAL:
        fields = described(service, pipeline, identity)
        reasons = _ending(fields) or lineage(fields)
    if as_json:
        document = {"pipelineId": pipeline.pipeline_id, "id": identity, "status": status, "reasons": reasons}
        print_json({**document, "alarms": answer["alarms"]})
        return
    click.echo(f"{identity} is {status}{':' if reasons or answer['alarms'] else '.'}")
    for reason in [*reasons, *answer["alarms"]]:
        click.echo("\n".join(f"  {line}" for line in reason.rstrip().splitlines()))
    if status in ("FAILED", "TIMEDOUT"):
        click.echo(f"  Its logs: penstock logs {identity} --pipeline {pipeline.pipeline_id}")


def show_next(service: Service, wanted: str, values: Values, count: int, as_json: bool) -> None:
    """The next intervals of each component, and when they are due."""
    pipeline = find_pipeline(service, wanted)
    answer = service.own.call(
        "PreviewIntervals", pipelineId=pipeline.pipeline_id, parameterValues=values_to_api(values), count=count
    )
    state = service.own.call("DescribeProgress", pipelineId=pipeline.pipeline_id)["state"]
    components = [
        {"component": entry["component"], "due": entry["due"]}
        | {
            key: moment(entry[key]) if entry.get(key) is not None else None
            for key in ("firstStart", "nextStart", "nextDueTime")
        }
        | {"upcoming": [{key: moment(value) for key, value in one.items()} for one in entry["upcoming"]]}
        for entry in answer["components"]
    ]
    if as_json:
        document = {"pipelineId": pipeline.pipeline_id, "name": pipeline.name, "state": state}
        print_json({**document, "isOnDemand": answer["isOnDemand"], "components": components})
        return
    if answer["isOnDemand"]:
        fail(f"{pipeline} runs on demand, so nothing is due by itself: `penstock activate` runs it once.")
    if not components:
        fail(f"{pipeline} has nothing that runs on a schedule.")
    rows = []
    for entry in components:
        for number, one in enumerate(entry["upcoming"] or [{"start": "none is left", "dueTime": ""}]):
            first = [entry["component"], str(entry["due"])] if number == 0 else ["", ""]
            rows.append([first[0], one["start"], one["dueTime"], first[1]])
    click.echo(table(("component", "next interval", "due at (UTC)", "due by now"), rows))
    if state != "SCHEDULED":
        click.echo(f"{pipeline} is {state}: what is due runs once it is activated.", err=True)
