"""`penstock run`: a pipeline to its end in one command, as a client of the service that it starts."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from penstock.cli import definition_file
from penstock.cli.composition import Service, ServiceNotStarted, ServiceOptions, StartService
from penstock.cli.credentials import data_pipeline_client, penstock_client
from penstock.cli.dry_run import dry_run
from penstock.cli.follow import Follower, Outcome
from penstock.cli.interrupt import Interrupted, Interruption
from penstock.cli.only import select
from penstock.cli.output import counted, print_json, problem_lines
from penstock.cli.result import read_result, state_of, write_summary, write_table
from penstock.data.storage import StorageError, copy_between
from penstock.definition.api_form import definition_to_api, values_to_api
from penstock.definition.model import Definition, Values
from penstock.definition.problems import DefinitionRefused, Problem, closest
from penstock.definition.resolve import resolve
from penstock.definition.validate import Verdict, unbuilt
from penstock.objects import load_catalogue
from penstock.settings import Settings, SettingsError, load_settings
from penstock.wire.client import Client, ConnectionFailed
from penstock.wire.errors import ServiceError

FROM_THE_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class RunOptions:
    """The arguments of `penstock run`; times in seconds."""

    definition: Path
    pairs: tuple[str, ...]
    values_file: Path | None
    data_dir: Path
    config: Path | None
    as_json: bool
    wait: float
    until: float | None
    only: str | None = None
    is_dry: bool = False


def run_definition(options: RunOptions, start_service: StartService) -> int:
    """Validate, start a service, run to the end, print; gives the exit status."""
    with Interruption() as interruption:
        try:
            return _start(options, start_service, interruption)
        except Interrupted:
            click.echo("\npenstock: Stopped before the pipeline was activated; nothing was done.", err=True)
            return interruption.status


def _start(options: RunOptions, start_service: StartService, interruption: Interruption) -> int:
    try:
        given = definition_file.given_values(options.pairs, options.values_file)
    except DefinitionRefused as error:
        definition_file.print_problems(error.problems, False, to_stderr=True)
        return definition_file.REFUSED
    definition, verdict, problems = definition_file.read_and_validate(options.definition, given)
    errors = tuple(problem for problem in problems if not problem.is_warning)
    if definition is None or verdict is None or errors:
        return _refuse(options, errors)
    if unknown := definition_file.unknown_parameters(definition, given):
        return _refuse(options, unknown)
    if options.only:
        try:
            definition = select(verdict.resolved, options.only)
        except DefinitionRefused as error:
            definition_file.print_problems(error.problems, False, to_stderr=True)
            return definition_file.REFUSED
    if options.is_dry:
        dry_run(resolve(definition, given)[0], load_catalogue(), as_json=options.as_json)
        return 0
    if errors := unbuilt(resolve(definition, given)[0], load_catalogue()):
        return _refuse(options, errors)
    for line in problem_lines(problem for problem in problems if problem.is_warning and not problem.is_advice):
        click.echo(line, err=True)
    try:
        _warn_of_unused_databases(load_settings(options.config), verdict)
    except SettingsError as error:
        click.echo(f"penstock: {error}", err=True)
        return 1
    logging.getLogger("penstock").setLevel(logging.ERROR)  # the rest is told by the progress
    try:
        service = start_service(ServiceOptions(data_dir=options.data_dir, config=options.config, is_run=True))
    except ServiceNotStarted as error:
        click.echo(f"penstock: {error}", err=True)
        return 1
    interruption.on_second = service.kill
    try:
        return _run(options, service, definition, verdict, given, interruption)
    except ServiceError as error:
        click.echo(f"penstock: {error.message}", err=True)
        return 1
    except (StorageError, ConnectionFailed) as error:
        click.echo(f"penstock: {error}", err=True)
        return 1
    finally:
        interruption.shield()
        service.stop()


def _refuse(options: RunOptions, errors: tuple[Problem, ...]) -> int:
    definition_file.print_problems(errors, options.as_json, to_stderr=not options.as_json)
    if not options.as_json:
        click.echo(f"{options.definition} has {counted(len(errors), 'error')}; nothing was created.", err=True)
    return definition_file.REFUSED


def _warn_of_unused_databases(settings: Settings, verdict: Verdict) -> None:
    """A name in the settings that the definition does not say is most likely mistyped."""
    said = {value for obj in verdict.resolved.objects.values() for values in obj.fields.values() for value in values}
    connections = [text for obj in verdict.resolved.objects.values() if (text := obj.text("connectionString"))]
    for name in settings.databases:
        if name not in said:
            message = f"The settings map the database '{name}', which the definition does not name."
            remedy = closest(name, connections) or f"It names {', '.join(dict.fromkeys(connections)) or 'none'}."
            click.echo(f"warning: {message} {remedy}", err=True)


def _run(
    options: RunOptions,
    service: Service,
    definition: Definition,
    verdict: Verdict,
    given: Values,
    interruption: Interruption,
) -> int:
    client = data_pipeline_client(service.endpoint, service.credentials)
    own = penstock_client(service.endpoint, service.credentials)
    _seed(options, service)
    pipeline_id = _put(client, options.definition, definition)
    values: dict[str, Any] = {"parameterValues": values_to_api(given)} if given else {}
    due = _announce(own, pipeline_id, values)
    follower = Follower(client, own, pipeline_id, options.data_dir, options.wait, options.until)
    started = time.monotonic()
    try:
        service.start_runner(pipeline_id, _worker_groups(verdict) or ["penstock-run"])
        client.call("ActivatePipeline", pipelineId=pipeline_id, startTimestamp=FROM_THE_BEGINNING, **values)
        outcome = follower.follow(interruption.check)
    except Interrupted:
        outcome = Outcome(interrupted_by=interruption.number)
        click.echo("\nStopping; the commands that run have ten seconds to end. Once more ends them at once.", err=True)
    finally:
        interruption.shield()
        _deactivate(client, pipeline_id)
    result = read_result(client, pipeline_id, due)
    if options.as_json:
        print_json(result.as_json())
    else:
        write_table(result)
    place = service.storage_place(options.data_dir)
    write_summary(result, outcome, options.data_dir, place, time.monotonic() - started)
    return interruption.status if outcome.interrupted_by else int(bool(result.failed or outcome.blocked))


def _put(client: Client, path: Path, definition: Definition) -> str:
    name = path.parent.name if path.stem == "pipeline" and path.parent.name else path.stem
    created = client.call("CreatePipeline", name=name, uniqueId=str(uuid.uuid4()))
    pipeline_id: str = created["pipelineId"]
    answer = client.call("PutPipelineDefinition", pipelineId=pipeline_id, **definition_to_api(definition))
    if answer["errored"]:
        texts = [f"{e['id']}: {text}" for e in answer["validationErrors"] for text in e["errors"]]
        raise ServiceError("InvalidRequestException", "; ".join(texts))
    return pipeline_id


def _worker_groups(verdict: Verdict) -> list[str]:
    """Every worker group that the definition names; resources have runners of their own."""
    groups = {obj.text("workerGroup") for obj in verdict.resolved.objects.values()}
    return sorted(group for group in groups if group)


def _announce(own: Client, pipeline_id: str, values: Mapping[str, Any]) -> int:
    """Say what will be done; gives how many instances are due, preconditions not counted, and 0 on demand."""
    preview = own.call("PreviewIntervals", pipelineId=pipeline_id, **values)
    due = [component["due"] for component in preview["components"] if component["due"]]
    click.echo(f"Pipeline {pipeline_id}", err=True)
    if preview["isOnDemand"]:
        return 0
    if due:
        size = f"{counted(sum(due), 'instance')} of {counted(len(due), 'component')}, at most {max(due)} each"
        click.echo(f"Backfill: due by now are {size}, and their preconditions.", err=True)
    return sum(due)


def _deactivate(client: Client, pipeline_id: str) -> None:
    """Have nothing more begin; a pipeline that is over stays as it is."""
    described = client.call("DescribePipelines", pipelineIds=[pipeline_id])["pipelineDescriptionList"][0]
    if state_of(described) == "SCHEDULED":
        client.call("DeactivatePipeline", pipelineId=pipeline_id, cancelActive=True)


def _seed(options: RunOptions, service: Service) -> None:
    """Copy what lies in `s3/` beside the definition into the embedded storage, where it is missing or differs."""
    from penstock.data.local_folder import LocalFolder

    folder = options.definition.parent / "s3"
    if not folder.is_dir():
        return
    source = LocalFolder(folder)
    copied = 0
    for bucket in sorted(entry.name for entry in folder.iterdir() if entry.is_dir()):
        target = service.embedded_storage(bucket)
        if target is None:
            click.echo(f"{folder / bucket} is not copied: the settings have s3://{bucket} elsewhere.", err=True)
            continue
        existing = {entry.uri: entry for entry in target.list(f"s3://{bucket}/")}
        for entry in source.list(f"s3://{bucket}/"):
            known = existing.get(entry.uri)
            if known is not None and known.size == entry.size and known.modified >= entry.modified:
                continue
            copy_between(source, entry.uri, target, entry.uri)
            copied += 1
    if copied:
        place = service.storage_place(options.data_dir)
        click.echo(f"Copied {counted(copied, 'object')} from {folder} to s3:// ({place})", err=True)
