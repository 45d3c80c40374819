"""The commands of `penstock keys`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from penstock.cli.composition import Maintenance
from penstock.cli.maintenance_commands import make_rotate_master
from penstock.cli.options import data_dir_option, endpoint_option, json_option
from penstock.cli.output import fail
from penstock.settings import choose_data_dir

name_option = click.option("--name", default="", help="Whose key it is.")
role_option = click.option(
    "--role",
    type=click.Choice(["admin", "operator", "viewer", "runner"]),
    default="admin",
    help="admin (the default); operator: all but keys and polling; viewer: reads; runner: polls and reports.",
)
only_group_option = click.option(
    "--worker-group", metavar="NAME", help="The only worker group that a runner's key may work for."
)


def make_keys(maintenance: Maintenance) -> click.Group:
    """`penstock keys`."""

    @click.group("keys", short_help="Create, add, list and revoke access keys.")
    def keys() -> None:
        """Access keys, which sign every request: create, add, list and revoke them."""

    for command in (_create, _add, _list, _revoke, make_rotate_master(maintenance)):
        keys.add_command(command)
    return keys


@click.command("create")
@name_option
@role_option
@only_group_option
@json_option
@endpoint_option
@data_dir_option
def _create(
    name: str, role: str, worker_group: str | None, as_json: bool, endpoint: str | None, data_dir: Path | None
) -> None:
    """Make a key and print it; its secret is not shown again."""
    from penstock.cli import keys

    keys.create(endpoint, choose_data_dir(data_dir), name, role, worker_group, as_json)


@click.command("add")
@click.argument("access_key")
@name_option
@role_option
@only_group_option
@endpoint_option
@data_dir_option
def _add(
    access_key: str, name: str, role: str, worker_group: str | None, endpoint: str | None, data_dir: Path | None
) -> None:
    """Take a key that scripts already use; its secret is read from standard input."""
    from penstock.cli import keys

    secret = sys.stdin.readline().strip()
    if not secret:
        fail("The secret is empty; give it on standard input.")
    keys.add(endpoint, choose_data_dir(data_dir), access_key, secret, name, role, worker_group)


@click.command("list")
@json_option
@endpoint_option
@data_dir_option
def _list(as_json: bool, endpoint: str | None, data_dir: Path | None) -> None:
    """Print all keys, without their secrets."""
    from penstock.cli import keys

    keys.show(endpoint, choose_data_dir(data_dir), as_json)


@click.command("revoke")
@click.argument("access_key")
@endpoint_option
@data_dir_option
def _revoke(access_key: str, endpoint: str | None, data_dir: Path | None) -> None:
    """Make a key worthless."""
    from penstock.cli import keys

    keys.revoke(endpoint, choose_data_dir(data_dir), access_key)
