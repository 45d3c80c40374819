"""`penstock keys`: an ordinary client of our own operations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from penstock.cli.connection import connected
from penstock.cli.credentials import credentials_text
from penstock.cli.output import moment, print_json, table


def _call(endpoint: str | None, data_dir: Path, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
    with connected(endpoint, data_dir) as service:
        return service.own.call(operation, **parameters)


def create(endpoint: str | None, data_dir: Path, name: str, role: str, worker_group: str | None, as_json: bool) -> None:
    """Make a key and print it in the form of a credentials file, or as JSON."""
    parameters = {"name": name, "role": role} | ({"workerGroup": worker_group} if worker_group else {})
    answer = _call(endpoint, data_dir, "CreateKey", parameters)
    if as_json:
        print_json({name: answer[name] for name in ("accessKeyId", "secretAccessKey")})
    else:
        click.echo(credentials_text(answer["accessKeyId"], answer["secretAccessKey"]), nl=False)


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
