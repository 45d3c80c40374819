"""`penstock server`: what it prints, and how it ends."""

from __future__ import annotations

import os
import shlex

import click

from penstock.cli.composition import Service, ServiceOptions, StartService
from penstock.cli.credentials import FILE
from penstock.cli.interrupt import Interrupted, Interruption


def serve(options: ServiceOptions, start_service: StartService) -> None:
    """Serve until a signal comes."""
    service: Service | None = None
    with Interruption() as interruption:
        try:
            service = start_service(options)
            interruption.on_second = service.kill
            _tell(options, service)
            interruption.wait()
        except Interrupted:
            interruption.shield()
            click.echo("\nEnding, with the commands that run here; once more ends at once.", err=True)
        if service is not None:
            service.stop()


def _tell(options: ServiceOptions, service: Service) -> None:
    credentials = (options.data_dir / FILE).absolute()
    click.echo(f"Penstock serves {service.endpoint} from {options.data_dir.absolute()}. Ctrl-C ends it.")
    click.echo("For boto3, aws-cli and task runners:\n")
    click.echo(f"    export AWS_SHARED_CREDENTIALS_FILE={shlex.quote(str(credentials))}")
    if options.tls_cert is not None and service.is_self_signed:
        click.echo(f"    export AWS_CA_BUNDLE={shlex.quote(str(options.tls_cert.absolute()))}")
    click.echo(f"    export AWS_ENDPOINT_URL_DATA_PIPELINE={service.endpoint}\n")
    if service.metrics_url is not None:
        click.echo(f"Metrics for Prometheus: {service.metrics_url}\n")
    if os.environ.get("AWS_SESSION_TOKEN"):
        click.echo("AWS_SESSION_TOKEN is set in this environment, and keys here have no sessions: unset it.\n")
    if os.environ.get("AWS_ACCESS_KEY_ID"):
        click.echo(
            "AWS_ACCESS_KEY_ID is set in this environment and wins over the file: unset it, or let the server know"
            " that key with `penstock keys add`.\n"
        )
    profile = next((name for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE") if os.environ.get(name)), None)
    if profile is not None:
        click.echo(f"{profile} is set in this environment, and the file has the profile default only: unset it.\n")
