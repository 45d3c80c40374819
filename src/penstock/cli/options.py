"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path

import click

PATH = click.Path(path_type=Path)
data_dir_option = click.option(
    "--data-dir",
    type=PATH,
    metavar="DIR",
    help="Where everything is kept ($PENSTOCK_DATA_DIR, else ./.penstock).",
)
store_option = click.option(
    "--store",
    envvar="PENSTOCK_STORE",
    metavar="URL",
    help="postgresql://… for the store ($PENSTOCK_STORE, else SQLite in the data directory).",
)
config_option = click.option("--config", type=PATH, metavar="FILE", help="Settings: a penstock.toml.")
parameter_option = click.option(
    "--parameter", "parameters", multiple=True, metavar="KEY=VALUE", help="A parameter's value; repeat it for a list."
)
values_option = click.option(
    "--parameter-values", type=PATH, metavar="FILE", help='A JSON file of parameter values: {"myId": "value"}.'
)
endpoint_option = click.option("--endpoint", metavar="URL", help="The service, if it is not the one on port 4780 here.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
