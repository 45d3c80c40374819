"""`penstock runner`: a task runner in a process of its own."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import click

from penstock.cli.credentials import NoCredentials, data_pipeline_client, find_credentials
from penstock.cli.interrupt import Interrupted, Interruption
from penstock.cli.output import fail
from penstock.settings import Settings, choose_data_dir

DEFAULT_ENDPOINT = "http://127.0.0.1:4780"
ENDPOINT_VARIABLE = "AWS_ENDPOINT_URL_DATA_PIPELINE"
EMBEDDED_GIVES_UP = 30.0  # seconds: the server of a resource has gone, and so should its runner


def choose_endpoint(given: str | None) -> str:
    """`--endpoint`, else what the variable of boto3 and aws-cli says, else port 4780 of this machine."""
    return given or os.environ.get(ENDPOINT_VARIABLE) or DEFAULT_ENDPOINT


def _stop_with_host(stop: Callable[[], None]) -> None:
    """Standard input is a pipe from the process that hosts the resource; its end is the end of that process."""
    while os.read(0, 4096):
        pass
    stop()


def work(
    endpoint: str,
    groups: list[str],
    tasks: int,
    data_dir: Path | None,
    config: Path | None,
    settings: Settings,
    *,
    is_embedded: bool,
) -> None:
    """Work until stopped by a signal, or until the service says that the resource has ended."""
    from penstock.data.local_folder import LocalFolder
    from penstock.objects import load_catalogue
    from penstock.runner.commands import clean_environment, own_environment
    from penstock.runner.place import NoStorage, Place, is_local
    from penstock.runner.runner import Pace, Runner, RunnerRefused

    folder = choose_data_dir(data_dir).absolute()
    has_storage = data_dir is not None or is_local(endpoint)
    try:
        credentials = find_credentials(folder)
    except NoCredentials as error:
        fail(str(error))
    place = Place(
        endpoint=endpoint,
        data_dir=folder,
        storage=LocalFolder(folder / "s3") if has_storage else NoStorage(),
        environment=clean_environment() if is_embedded else own_environment(),
        settings=settings,
        config=config,
    )
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        runner = Runner(
            lambda: data_pipeline_client(endpoint, credentials),
            load_catalogue(),
            place,
            groups,
            tasks=tasks,
            pace=Pace(give_up=EMBEDDED_GIVES_UP if is_embedded else None),
        )
    except ValueError as error:  # the endpoint is not a URL
        fail(f"{error}.")

    if is_embedded:
        threading.Thread(target=_stop_with_host, args=(runner.stop,), daemon=True).start()
    else:
        click.echo(f"Working for {', '.join(groups)} of {endpoint}; Ctrl-C ends it.", err=True)
    with Interruption() as interruption:
        interruption.on_second = runner.kill
        try:
            try:
                runner.start()
                runner.join(interruption.check)
            except Interrupted:
                interruption.shield()
                if not is_embedded:
                    click.echo("\nEnding, with the commands that run here; once more ends at once.", err=True)
                runner.stop()
                runner.join()
        except RunnerRefused as error:
            fail(f"The service at {endpoint} does not let this runner work: {error}")
    sys.exit(0)
