"""`penstock server`: what it prints, and how it ends."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType

import click

from penstock.cli.credentials import FILE
from penstock.cli.service import ServiceOptions, StartService


def serve(options: ServiceOptions, start_service: StartService) -> None:
    """Serve until a signal comes."""
    service = start_service(options)
    credentials = (options.data_dir / FILE).absolute()
    click.echo(f"Penstock serves {service.endpoint} from {options.data_dir.absolute()}. Ctrl-C ends it.")
    click.echo("For boto3, aws-cli and task runners:\n")
    click.echo(f"    export AWS_SHARED_CREDENTIALS_FILE={credentials}")
    click.echo(f"    export AWS_ENDPOINT_URL_DATA_PIPELINE={service.endpoint}\n")
    if os.environ.get("AWS_ACCESS_KEY_ID"):
        click.echo("AWS_ACCESS_KEY_ID is set in this environment and wins over the file: unset it, or add that key.\n")
    ended = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        ended.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    while not ended.wait(3600):
        pass
    service.stop()
