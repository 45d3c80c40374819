"""The commands that look after the pipelines of a running server, each an ordinary client of its API."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from penstock.cli.options import data_dir_option, endpoint_option, json_option, parameter_option, values_option
from penstock.cli.output import fail
from penstock.definition.problems import DefinitionRefused

if TYPE_CHECKING:
    from penstock.definition.model import Values

STATUSES = (
    *("WAITING_ON_DEPENDENCIES", "WAITING_FOR_RUNNER", "CREATING", "RUNNING", "SHUTTING_DOWN"),
    *("FINISHED", "FAILED", "CANCELED", "CASCADE_FAILED", "TIMEDOUT", "SKIPPED"),
)
pipeline_argument = click.argument("pipeline")
pipeline_option = click.option(
    "--pipeline", required=True, metavar="PIPELINE", help="The pipeline's id, or its name if no other has it."
)
instances_argument = click.argument("instances", metavar="INSTANCE...", nargs=-1, required=True)


@click.command("pipelines", short_help="List the pipelines of a server.")
@json_option
@endpoint_option
@data_dir_option
def pipelines(as_json: bool, endpoint: str | None, data_dir: Path | None) -> None:
    """List the pipelines of a server with their states."""
    from penstock.cli.connection import connected
    from penstock.cli.look import show_pipelines

    with connected(endpoint, data_dir) as service:
        show_pipelines(service, as_json)


@click.command("status", short_help="Say where a pipeline stands.")
@pipeline_argument
@json_option
@endpoint_option
@data_dir_option
def status(pipeline: str, as_json: bool, endpoint: str | None, data_dir: Path | None) -> None:
    """Say where PIPELINE stands: its state, its instances by status, and what is due next.

    PIPELINE is an id, or a name that no other pipeline has.
    """
    from penstock.cli.connection import connected
    from penstock.cli.look import show_status

    with connected(endpoint, data_dir) as service:
        show_status(service, pipeline, as_json)


@click.command("runs", short_help="List the instances of a pipeline.")
@pipeline_argument
@click.option(
    "--status",
    "statuses",
    multiple=True,
    metavar="STATUS",
    type=click.Choice(STATUSES, case_sensitive=False),
    help="Only those of this status; repeat it for several.",
)
@click.option("--failed", "only_failed", is_flag=True, help="Only those that did not succeed.")
@json_option
@endpoint_option
@data_dir_option
def runs(
    pipeline: str,
    statuses: tuple[str, ...],
    only_failed: bool,
    as_json: bool,
    endpoint: str | None,
    data_dir: Path | None,
) -> None:
    """List the instances of PIPELINE, oldest first, with the reasons of those that did not succeed."""
    from penstock.cli.connection import connected
    from penstock.cli.look import show_runs

    with connected(endpoint, data_dir) as service:
        show_runs(service, pipeline, statuses, only_failed, as_json)


@click.command("logs", short_help="Print the logs of an instance or attempt.")
@click.argument("identity", metavar="INSTANCE|ATTEMPT")
@pipeline_option
@click.option("-f", "--follow", is_flag=True, hidden=True)
@json_option
@endpoint_option
@data_dir_option
def logs(
    identity: str, pipeline: str, follow: bool, as_json: bool, endpoint: str | None, data_dir: Path | None
) -> None:
    """Print the logs of an attempt, or of an instance's last one, if they lie in the data directory.

    Where the task runner worked on another machine, the place is named that it sends them to.
    """
    from penstock.cli.connection import connected
    from penstock.cli.logs import show_logs

    if follow:
        fail("Following logs with -f is not built yet; `penstock logs` without it prints what there is by now.")
    with connected(endpoint, data_dir) as service:
        show_logs(service, identity, pipeline, as_json)


@click.command("why", short_help="Say why an instance does not run.")
@click.argument("instance")
@pipeline_option
@json_option
@endpoint_option
@data_dir_option
def why(instance: str, pipeline: str, as_json: bool, endpoint: str | None, data_dir: Path | None) -> None:
    """Say what INSTANCE waits for, or how it ended."""
    from penstock.cli.connection import connected
    from penstock.cli.look import show_why

    with connected(endpoint, data_dir) as service:
        show_why(service, instance, pipeline, as_json)


def _set_status(
    identities: tuple[str, ...], pipeline: str, wanted: str, as_json: bool, endpoint: str | None, data_dir: Path | None
) -> None:
    from penstock.cli.connection import connected
    from penstock.cli.operate import set_status

    with connected(endpoint, data_dir) as service:
        set_status(service, identities, pipeline, wanted, as_json)


def _status_command(name: str, wanted: str, summary: str, text: str) -> click.Command:
    """A command that sets the status of instances by one verb of SetStatus."""

    @click.command(name, short_help=summary, help=f"{text} All of them, or none.")
    @instances_argument
    @pipeline_option
    @json_option
    @endpoint_option
    @data_dir_option
    def command(
        instances: tuple[str, ...], pipeline: str, as_json: bool, endpoint: str | None, data_dir: Path | None
    ) -> None:
        _set_status(instances, pipeline, wanted, as_json, endpoint, data_dir)

    return command


rerun = _status_command(
    "rerun",
    "RERUN",
    "Run instances again.",
    "Run instances that have ended again, and in cascade mode what failed because of them.",
)
cancel = _status_command("cancel", "TRY_CANCEL", "Cancel instances.", "Cancel instances that have not ended.")
mark_finished = _status_command(
    "mark-finished",
    "MARK_FINISHED",
    "Have instances count as finished.",
    "Have instances count as finished, so that what waits for them goes on.",
)


def _given(parameters: tuple[str, ...], parameter_values: Path | None) -> Values:
    from penstock.cli.definition_file import REFUSED, given_values

    try:
        return given_values(parameters, parameter_values)
    except DefinitionRefused as error:
        fail(str(error), REFUSED)


@click.command("activate", short_help="Let a pipeline run.")
@pipeline_argument
@click.option("--start", metavar="TIME", help="Skip the intervals that start before this time (UTC).")
@parameter_option
@values_option
@json_option
@endpoint_option
@data_dir_option
def activate(
    pipeline: str,
    start: str | None,
    parameters: tuple[str, ...],
    parameter_values: Path | None,
    as_json: bool,
    endpoint: str | None,
    data_dir: Path | None,
) -> None:
    """Let PIPELINE run: once if it is on demand, else all that is due by now and each interval as it comes.

    A first activation of a schedule that starts more than a day ago needs --start. Values that are given here take
    the place of all those of the last activation.
    """
    from penstock.cli import operate
    from penstock.cli.connection import connected

    values, start_at = _given(parameters, parameter_values), operate.start_of(start)
    with connected(endpoint, data_dir) as service:
        operate.activate(service, pipeline, start_at, values, as_json)


@click.command("deactivate", short_help="Stop a pipeline.")
@pipeline_argument
@click.option("--no-cancel-active", is_flag=True, help="Let what runs now run to its end; cancel only what waits.")
@json_option
@endpoint_option
@data_dir_option
def deactivate(
    pipeline: str, no_cancel_active: bool, as_json: bool, endpoint: str | None, data_dir: Path | None
) -> None:
    """Stop PIPELINE, and cancel what runs and what waits; `penstock activate` lets it go on, with these again."""
    from penstock.cli import operate
    from penstock.cli.connection import connected

    with connected(endpoint, data_dir) as service:
        operate.deactivate(service, pipeline, not no_cancel_active, as_json)


@click.command("next", short_help="Say what is due next.")
@pipeline_argument
@parameter_option
@values_option
@json_option
@endpoint_option
@data_dir_option
def upcoming(
    pipeline: str,
    parameters: tuple[str, ...],
    parameter_values: Path | None,
    as_json: bool,
    endpoint: str | None,
    data_dir: Path | None,
) -> None:
    """Say for each component of PIPELINE which interval comes next, when it is due, and how many were due before.

    It goes by the latest definition; values that were given when it was activated are to be given here again.
    """
    from penstock.cli.connection import connected
    from penstock.cli.look import show_next

    values = _given(parameters, parameter_values)
    with connected(endpoint, data_dir) as service:
        show_next(service, pipeline, values, as_json)


COMMANDS = (pipelines, status, runs, logs, why, rerun, cancel, mark_finished, activate, deactivate, upcoming)
"""All of them."""
