"""`penstock keys`: an ordinary client of our own operations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from penstock.cli.credentials import NoCredentials, find_credentials, penstock_client
from penstock.cli.output import fail, moment, print_json, table
from penstock.cli.runner import choose_endpoint
from penstock.wire.client import ConnectionFailed
from penstock.wire.errors import ServiceError


def _call(endpoint: str | None, data_dir: Path, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
    try:
        client = penstock_client(choose_endpoint(endpoint), find_credentials(data_dir))
        return client.call(operation, **parameters)
    except (NoCredentials, ConnectionFailed) as error:
        fail(str(error))
    except ServiceError as error:
        fail(error.message)
    except ValueError as error:  # the endpoint is not a URL
        fail(f"{error}.")


def create(endpoint: str | None, data_dir: Path, name: str, role: str, worker_group: str | None) -> None:
    """Make a key and print it in the form of a credentials file."""
    parameters = {"name": name, "role": role} | ({"workerGroup": worker_group} if worker_group else {})
    answer = _call(endpoint, data_dir, "CreateKey", parameters)
    click.echo(f"[default]\naws_access_key_id = {answer['accessKeyId']}")
    click.echo(f"aws_secret_access_key = {answer['secretAccessKey']}")


def add(
    endpoint: str | None, data_dir: Path, access_key: str, secret: str, name: str, role: str, worker_group: str | None
) -> None:
    """Take a key that exists."""
    parameters = {"name": name, "role": role, "accessKeyId": access_key, "secretAccessKey": secret}
    _call(endpoint, data_dir, "CreateKey", parameters | ({"workerGroup": worker_group} if worker_group else {}))
    click.echo(f"{access_key} may sign requests now.")


def show(endpoint: str | None, data_dir: Path, as_json: bool) -> None:
    """Print all keys."""
    keys = _call(endpoint, data_dir, "ListKeys", {})["keys"]
    for key in keys:
        for name in ("creationTime", "revocationTime"):
            if key.get(name) is not None:
                key[name] = moment(key[name])
    if as_json:
        print_json({"keys": keys})
        return
    headings = ("accessKeyId", "name", "role", "workerGroup", "creationTime", "revocationTime")
    click.echo(table(headings, [[str(key.get(heading) or "") for heading in headings] for key in keys]))


def revoke(endpoint: str | None, data_dir: Path, access_key: str) -> None:
    """Make a key worthless."""
    _call(endpoint, data_dir, "RevokeKey", {"accessKeyId": access_key})
    click.echo(f"{access_key} is worthless now.")
