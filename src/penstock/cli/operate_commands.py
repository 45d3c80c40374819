"""The commands that look after the pipelines of a running server, each an ordinary client of its API."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from penstock.cli.backfill import backfill
from penstock.cli.completion import complete_pipelines
from penstock.cli.options import data_dir_option, endpoint_option, json_option, parameter_option, values_option
from penstock.cli.output import fail
from penstock.cli.versions import versions
from penstock.definition.problems import DefinitionRefused

if TYPE_CHECKING:
    from penstock.definition.model import Values

STATUSES = (
    *("WAITING_ON_DEPENDENCIES", "WAITING_FOR_RUNNER", "CREATING", "RUNNING", "SHUTTING_DOWN"),
    *("FINISHED", "FAILED", "CANCELED", "CASCADE_FAILED", "TIMEDOUT", "SKIPPED"),
)
LOGS = ("Activity.log", "StdOutput", "StdError")
pipeline_argument = click.argument("pipeline", shell_complete=complete_pipelines)
pipeline_option = click.option(
    "--pipeline",
    required=True,
    metavar="PIPELINE",
    help="The pipeline's id, or its name if no other has it.",
    shell_complete=complete_pipelines,
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


@click.command("logs", short_help="Print the logs of a pipeline, or of instances.")
@click.argument("given", metavar="PIPELINE|INSTANCE...", nargs=-1, required=True)
@click.option("--pipeline", metavar="PIPELINE", help="The pipeline of the instances, if no argument names it.")
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until the attempts that run have ended.")
@click.option("--attempt", type=click.IntRange(1), metavar="N", help="The attempt of that number, not the last one.")
@click.option("--activity", "names", flag_value="Activity.log", multiple=True, help="Print Activity.log.")
@click.option("--stdout", "names", flag_value="StdOutput", multiple=True, help="Print StdOutput.")
@click.option("--stderr", "names", flag_value="StdError", multiple=True, help="Print StdError.")
@json_option
@endpoint_option
@data_dir_option
def logs(
    given: tuple[str, ...],
    pipeline: str | None,
    follow: bool,
    attempt: int | None,
    names: tuple[str, ...],
    as_json: bool,
    endpoint: str | None,
    data_dir: Path | None,
) -> None:
    """Print the logs of all instances of PIPELINE that were tried, or of some: of the last attempt of each.

    An attempt can be named in the place of an instance. Without one of --activity, --stdout and --stderr all three
    are printed. With -f a PIPELINE stands for what runs now and what begins meanwhile, and --json prints a line for
    each piece.
    """
    from penstock.cli.connection import connected
    from penstock.cli.logs import find_wanted, follow_logs, show_logs

    with connected(endpoint, data_dir) as service:
        wanted = find_wanted(service, given, pipeline, attempt, names or LOGS, as_json)
        if follow:
            follow_logs(service, wanted)
        else:
            show_logs(service, wanted)


@click.command("runners", short_help="List the task runners of a server.")
@json_option
@endpoint_option
@data_dir_option
def runners(as_json: bool, endpoint: str | None, data_dir: Path | None) -> None:
    """List the task runners that polled or reported within the last day, and the tasks that they hold now."""
    from penstock.cli.connection import connected
    from penstock.cli.runners import show_runners

    with connected(endpoint, data_dir) as service:
        show_runners(service, as_json)


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
@click.option("--count", default=1, type=click.IntRange(1, 100), help="How many intervals of each component (1).")
@parameter_option
@values_option
@json_option
@endpoint_option
@data_dir_option
def upcoming(
    pipeline: str,
    count: int,
    parameters: tuple[str, ...],
    parameter_values: Path | None,
    as_json: bool,
    endpoint: str | None,
    data_dir: Path | None,
) -> None:
    """Say for each component of PIPELINE which interval comes next, when it is due, and how many are due by now.

    Of an active pipeline these are the ones that come. Of another one, or with other values, it says how it would be if
    the latest definition were activated now. Without values those of the last activation are taken.
    """
    from penstock.cli.connection import connected
    from penstock.cli.look import show_next

    values = _given(parameters, parameter_values)
    with connected(endpoint, data_dir) as service:
        show_next(service, pipeline, values, count, as_json)


@click.group("alarms", short_help="Try where alarms go.")
def alarms() -> None:
    """Try where alarms go."""


@alarms.command("test", short_help="Send a test alarm.")
@click.argument("topic_arn")
@json_option
@endpoint_option
@data_dir_option
def test_alarm(topic_arn: str, as_json: bool, endpoint: str | None, data_dir: Path | None) -> None:
    """Have the server send a test message to every target of TOPIC_ARN, and say how it went.

    The key must be of the role operator or admin. The exit status is 1 if a target did not take it, or there is none.
    """
    from penstock.cli.connection import connected
    from penstock.cli.operate import send_test_alarm

    with connected(endpoint, data_dir) as service:
        send_test_alarm(service, topic_arn, as_json)


COMMANDS = (
    *(pipelines, status, runs, logs, runners, why, rerun, cancel, mark_finished, activate, deactivate, upcoming),
    *(backfill, versions, alarms),
)
"""All of them."""
