"""`penstock backfill`: running the intervals of a range again, or for the first time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penstock.cli.completion import complete_pipelines
from penstock.cli.options import data_dir_option, endpoint_option, json_option

if TYPE_CHECKING:
    from penstock.cli.connection import Service


@click.command("backfill", short_help="Run the intervals of a range that did not succeed.")
@click.argument("pipeline", shell_complete=complete_pipelines)
@click.option("--from", "start", metavar="TIME", help="Intervals that start then or later (UTC).")
@click.option("--to", "end", metavar="TIME", help="Intervals that start before that (UTC).")
@click.option(
    "--component",
    "components",
    multiple=True,
    metavar="NAME",
    help="Only this activity or data node; repeat it for several. What an activity writes comes along.",
)
@click.option("--include-finished", is_flag=True, help="Run those that have finished as well.")
@click.option("--dry-run", is_flag=True, help="Say what would run; run nothing.")
@click.option("--stop", is_flag=True, help="Begin nothing more of the pipeline's backfills; what runs is left to run.")
@json_option
@endpoint_option
@data_dir_option
def backfill(
    pipeline: str,
    start: str | None,
    end: str | None,
    components: tuple[str, ...],
    include_finished: bool,
    dry_run: bool,
    stop: bool,
    as_json: bool,
    endpoint: str | None,
    data_dir: Path | None,
) -> None:
    """Run what PIPELINE has skipped between two times, and what has failed or was cancelled there, oldest first.

    No more runs at once than the schedule itself may run, and what is due by the schedule goes first.
    """
    from penstock.cli.connection import connected
    from penstock.cli.operate import time_of

    if stop:
        if start or end or components or include_finished or dry_run:
            raise click.UsageError("--stop ends all backfills of the pipeline; give it alone.")
        with connected(endpoint, data_dir) as service:
            _stop(service, pipeline, as_json)
        return
    if start is None or end is None:
        raise click.UsageError("Give the range with --from and --to, or --stop to end what an earlier one has begun.")
    first, last = time_of(start, "--from"), time_of(end, "--to")
    with connected(endpoint, data_dir) as service:
        from penstock.cli.connection import find_pipeline
        from penstock.cli.output import moment, print_json

        named = find_pipeline(service, pipeline)
        asked: dict[str, Any] = {"components": list(components)} if components else {}
        answer = service.own.call(
            "BackfillRange",
            pipelineId=named.pipeline_id,
            startTime=first,
            endTime=last,
            includeFinished=include_finished,
            isDryRun=dry_run,
            **asked,
        )
        shares = answer["components"]
        if as_json:
            written = [
                {**share, **{key: [_plain(stretch) for stretch in share[key]] for key in ("runs", "leftAlone")}}
                for share in shares
            ]
            document = {"pipelineId": named.pipeline_id, "name": named.name, "isDryRun": dry_run}
            print_json({**document, "from": moment(first), "to": moment(last), "components": written})
        else:
            _print(shares, str(named), dry_run, first, last)


def _stop(service: Service, wanted: str, as_json: bool) -> None:
    from penstock.cli.connection import find_pipeline
    from penstock.cli.output import moment, print_json, table

    named = find_pipeline(service, wanted)
    stopped = service.own.call("StopBackfills", pipelineId=named.pipeline_id)["backfills"]
    rows = [(row["component"], moment(row["nextStart"]), moment(row["endTime"])) for row in stopped]
    if as_json:
        listed = [{"component": name, "nextStart": first, "endTime": end} for name, first, end in rows]
        print_json({"pipelineId": named.pipeline_id, "name": named.name, "backfills": listed})
    elif rows:
        click.echo(table(("component", "not run from", "to"), rows))
    else:
        click.echo(f"{named} has no backfill under way.", err=True)


def _plain(stretch: dict[str, Any]) -> dict[str, Any]:
    from penstock.cli.output import moment

    return {key: moment(value) if isinstance(value, datetime) else value for key, value in stretch.items()}


def _print(shares: Sequence[dict[str, Any]], named: str, dry_run: bool, first: datetime, last: datetime) -> None:
    from penstock.cli.output import counted, moment, table

    total = sum(share["toRun"] for share in shares)
    span = f"from {moment(first)} to {moment(last)}"
    rows = []
    for share in shares:
        runs = ", ".join(f"{stretch['count']} {stretch['status']}" for stretch in share["runs"])
        starts = [stretch[key] for stretch in share["runs"] for key in ("firstStart", "lastStart")]
        left = ", ".join(f"{stretch['count']} {stretch['status']}" for stretch in share["leftAlone"])
        bounds = [moment(min(starts)), moment(max(starts))] if starts else ["", ""]
        now = [] if dry_run else [str(len(share["started"]))]
        rows.append([share["component"], str(share["intervals"]), runs or "none", *bounds, *now, left])
    headings = ["component", "intervals", "run", "first", "last", *([] if dry_run else ["now"]), "left alone"]
    click.echo(table(headings, rows))
    reasons = {s["status"]: s["reason"] for share in shares for s in share["leftAlone"]}
    for status, reason in reasons.items():
        click.echo(f"{status}: {reason}.", err=True)
    for share in shares:
        if share["isPaused"] and share["toRun"]:
            click.echo(f"{share['component']} is paused: it runs when it is resumed.", err=True)
    if dry_run:
        click.echo(f"{named}: {counted(total, 'instance')} {span} would run.", err=True)
    elif total:
        begun = sum(len(share["started"]) for share in shares)
        later = "" if begun == total else f": {begun} now, the others as places become free"
        click.echo(f"{named}: {counted(total, 'instance')} {span} run{later}.", err=True)
    else:
        click.echo(f"{named}: nothing {span} is to be run.", err=True)
