"""`penstock runner`: a task runner in a process of its own."""

from __future__ import annotations

import logging
import signal
import sys
from pathlib import Path
from types import FrameType

import click

from penstock.cli.credentials import NoCredentials, data_pipeline_client, find_credentials
from penstock.cli.output import fail
from penstock.settings import Settings, choose_data_dir

DEFAULT_ENDPOINT = "http://127.0.0.1:4780"
EMBEDDED_GIVES_UP = 30.0  # seconds: the server of a resource has gone, and so should its runner


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
    runner = Runner(
        lambda: data_pipeline_client(endpoint, credentials),
        load_catalogue(),
        place,
        groups,
        tasks=tasks,
        pace=Pace(give_up=EMBEDDED_GIVES_UP if is_embedded else None),
    )

    def end(number: int, frame: FrameType | None) -> None:
        runner.stop()
        runner.close()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    if not is_embedded:
        click.echo(f"Working for {', '.join(groups)} of {endpoint}; Ctrl-C ends it.", err=True)
    runner.start()
    try:
        runner.join()
    except RunnerRefused as error:
        fail(f"The service at {endpoint} does not let this runner work: {error}")
    sys.exit(0)
