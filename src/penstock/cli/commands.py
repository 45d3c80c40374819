"""The command line, one function a command; what needs the service is given by the composition root."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from penstock import __version__
from penstock.cli import definition_file
from penstock.cli.completion import complete_explained, complete_templates, completion
from penstock.cli.composition import (
    Maintenance,
    MakeTaskRunner,
    RunnerOptions,
    ServiceNotStarted,
    ServiceOptions,
    StartService,
)
from penstock.cli.key_commands import make_keys
from penstock.cli.maintenance_commands import make_backup, make_restore
from penstock.cli.operate_commands import COMMANDS
from penstock.cli.options import (
    PATH,
    config_option,
    data_dir_option,
    json_option,
    parameter_option,
    store_option,
    values_option,
)
from penstock.cli.output import fail, seconds
from penstock.definition.problems import DefinitionRefused
from penstock.log_lines import LEVELS, set_up
from penstock.settings import choose_data_dir


def make_commands(
    start_service: StartService, make_task_runner: MakeTaskRunner, maintenance: Maintenance
) -> click.Group:
    """The group of all commands."""

    @click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
    @click.version_option(__version__, prog_name="penstock")
    def penstock() -> None:
        """AWS Data Pipeline as open software that you run yourself."""

    penstock.add_command(_init)
    penstock.add_command(_validate)
    penstock.add_command(_explain)
    penstock.add_command(_schema)
    penstock.add_command(_run(start_service))
    penstock.add_command(_server(start_service))
    penstock.add_command(_runner(make_task_runner))
    penstock.add_command(make_keys(maintenance))
    penstock.add_command(completion)
    for command in (*COMMANDS, make_backup(maintenance), make_restore(maintenance)):
        penstock.add_command(command)
    return penstock


@click.command("init", short_help="Write a small definition to start from.")
@click.argument("template", default="hello", shell_complete=complete_templates)
@click.option("--directory", type=PATH, default=Path(), metavar="DIR", help="Where to write (here).")
def _init(template: str, directory: Path) -> None:
    """Write a small definition to start from, that runs: TEMPLATE is hello (the default) or daily."""
    from penstock.cli.init import write_template

    write_template(template, directory)


@click.command("validate", short_help="Print all problems of a definition.")
@click.argument("definition", type=PATH)
@parameter_option
@values_option
@json_option
def _validate(definition: Path, parameters: tuple[str, ...], parameter_values: Path | None, as_json: bool) -> None:
    """Print all problems of DEFINITION at once; the exit status is 2 if it has errors."""
    try:
        given = definition_file.given_values(parameters, parameter_values)
    except DefinitionRefused as error:
        fail(str(error), definition_file.REFUSED)
    read, verdict, problems = definition_file.read_and_validate(definition, given)
    definition_file.print_problems(problems, as_json, to_stderr=False)
    errors = [problem for problem in problems if not problem.is_warning]
    if not as_json:
        count = len(read.objects) if read is not None else 0
        state = f"has {len(errors)} error{'s' if len(errors) != 1 else ''}" if errors else f"is valid: {count} objects"
        click.echo(f"{definition} {state}.")
    sys.exit(definition_file.REFUSED if errors or verdict is None else 0)


@click.command("explain", short_help="Say what a type, a field or a function is.")
@click.argument("name", required=False, metavar="[TYPE[.FIELD] | FUNCTION]", shell_complete=complete_explained)
@json_option
def _explain(name: str | None, as_json: bool) -> None:
    """Say what a type with its fields, a field, or a function of expressions is; without a name, list them all."""
    from penstock.cli.explain import explain

    explain(name, as_json)


@click.command("schema", short_help="Print a JSON Schema of definitions, for editors.")
def _schema() -> None:
    """Print a JSON Schema of definition files, with which editors complete fields and mark errors."""
    from penstock.cli.output import print_json
    from penstock.definition.json_schema import json_schema
    from penstock.objects import load_catalogue

    print_json(json_schema(load_catalogue()))


def _run(start_service: StartService) -> click.Command:
    @click.command("run", short_help="Run a definition to its end, here.")
    @click.argument("definition", type=PATH)
    @parameter_option
    @values_option
    @data_dir_option
    @config_option
    @click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
    @click.option("--wait", default="1m", metavar="TIME", help="How long preconditions may keep the run waiting (1m).")
    @click.option("--until", metavar="TIME", help="Go on with what is due in the future for this long (2h).")
    @click.option("--dry-run", is_flag=True, help="Print what would run, with its expressions evaluated; run nothing.")
    @click.option("--only", metavar="ACTIVITY[@START]", help="Run one activity without those that it waits for.")
    def run(
        definition: Path,
        parameters: tuple[str, ...],
        parameter_values: Path | None,
        data_dir: Path | None,
        config: Path | None,
        as_json: bool,
        wait: str,
        until: str | None,
        dry_run: bool,
        only: str | None,
    ) -> None:
        """Run the pipeline of DEFINITION to its end here: store, storage, server and runners in one command.

        Unset retry delays are nothing here, and preconditions are asked every two seconds.
        Progress goes to standard error, a table of instances to standard output. The exit status is 0 when all
        instances have finished, 1 when something failed, 2 when the definition has problems.
        """
        from penstock.cli.run import RunOptions, run_definition

        options = RunOptions(
            definition=definition,
            pairs=parameters,
            values_file=parameter_values,
            data_dir=choose_data_dir(data_dir),
            config=config,
            as_json=as_json,
            wait=seconds(wait),
            until=seconds(until) if until else None,
            only=only,
            is_dry=dry_run,
        )
        sys.exit(run_definition(options, start_service))

    return run


def _server(start_service: StartService) -> click.Command:
    @click.command("server", short_help="Serve the API of AWS Data Pipeline.")
    @click.option("--host", default="127.0.0.1", help="The address to listen on (127.0.0.1).")
    @click.option("--port", default=4780, type=click.IntRange(0, 65535), help="The port to listen on (4780).")
    @data_dir_option
    @store_option
    @config_option
    @click.option("--no-runner", is_flag=True, help="Leave preconditions and resources to another server.")
    @click.option("--tls-cert", type=PATH, metavar="FILE", help="Serve HTTPS with this certificate (PEM).")
    @click.option("--tls-key", type=PATH, metavar="FILE", help="The certificate's private key (PEM).")
    @click.option("--insecure", is_flag=True, help="Serve plain HTTP beyond this machine all the same.")
    @click.option(
        "--metrics-port", type=click.IntRange(0, 65535), metavar="PORT", help="Serve /metrics for Prometheus there."
    )
    @click.option("--metrics-host", default="127.0.0.1", help="The address for --metrics-port (127.0.0.1).")
    @click.option("--log-format", type=click.Choice(["text", "json"]), default="text", help="How to write the log.")
    @click.option("--log-level", type=click.Choice(LEVELS), default="warning", help="The least to log (warning).")
    def server(
        host: str,
        port: int,
        data_dir: Path | None,
        store: str | None,
        config: Path | None,
        no_runner: bool,
        tls_cert: Path | None,
        tls_key: Path | None,
        insecure: bool,
        metrics_port: int | None,
        metrics_host: str,
        log_format: str,
        log_level: str,
    ) -> None:
        """Serve the API of AWS Data Pipeline for boto3, `aws datapipeline` and task runners."""
        from penstock.cli.server import serve

        options = ServiceOptions(
            data_dir=choose_data_dir(data_dir),
            config=config,
            host=host,
            port=port,
            store=store,
            has_runner=not no_runner,
            tls_cert=tls_cert,
            tls_key=tls_key,
            is_insecure=insecure,
            metrics_host=metrics_host,
            metrics_port=metrics_port,
        )
        set_up(log_format, log_level)
        try:
            serve(options, start_service)
        except ServiceNotStarted as error:
            fail(str(error))

    return server


def _runner(make_task_runner: MakeTaskRunner) -> click.Command:
    @click.command("runner", short_help="Work for worker groups of a server.")
    @click.option(
        "--worker-group", "groups", multiple=True, required=True, metavar="NAME", help="The group to work for."
    )
    @click.option(
        "--endpoint", metavar="URL", help="The service ($AWS_ENDPOINT_URL_DATA_PIPELINE, else port 4780 here)."
    )
    @click.option("--tasks", default=2, type=click.IntRange(1, 64), help="Tasks at once for each worker group (2).")
    @data_dir_option
    @config_option
    @click.option("--embedded", is_flag=True, hidden=True)
    def runner(
        groups: tuple[str, ...],
        endpoint: str | None,
        tasks: int,
        data_dir: Path | None,
        config: Path | None,
        embedded: bool,
    ) -> None:
        """Work for worker groups: poll for tasks, run them, report."""
        from penstock.cli.runner import choose_endpoint, work

        options = RunnerOptions(choose_endpoint(endpoint), groups, tasks, data_dir, config, is_embedded=embedded)
        work(options, make_task_runner)

    return runner
