"""Commands that work on a store as a whole: `penstock backup`, `restore` and `keys rotate-master`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from penstock.cli.composition import BackupOptions, Maintenance, MaintenanceRefused
from penstock.cli.options import PATH, data_dir_option, store_option
from penstock.cli.output import fail
from penstock.settings import choose_data_dir


def make_backup(maintenance: Maintenance) -> click.Command:
    """`penstock backup`."""

    @click.command("backup", short_help="Copy the store to a file, while the server runs.")
    @click.argument("file", type=PATH)
    @data_dir_option
    @store_option
    @click.option("--with-key", is_flag=True, help="Put in the master key and the first access key.")
    @click.option("--with-logs", is_flag=True, help="Put in the logs of the data directory.")
    def backup(file: Path, data_dir: Path | None, store: str | None, with_key: bool, with_logs: bool) -> None:
        """Copy the whole store, as it is at one moment, to FILE, while the server runs.

        The copy of an SQLite store can be restored on PostgreSQL, and the reverse. Objects of s3:// are not in it.
        """
        options = BackupOptions(file, choose_data_dir(data_dir), store, with_key, with_logs)
        _tell(lambda: maintenance.backup(options))

    return backup


def make_restore(maintenance: Maintenance) -> click.Command:
    """`penstock restore`."""

    @click.command("restore", short_help="Fill an empty store with a backup.")
    @click.argument("file", type=PATH)
    @data_dir_option
    @store_option
    def restore(file: Path, data_dir: Path | None, store: str | None) -> None:
        """Fill an empty store with the backup FILE; a server that is started then goes on where the backup was."""
        options = BackupOptions(file, choose_data_dir(data_dir), store)
        _tell(lambda: maintenance.restore(options))

    return restore


def make_rotate_master(maintenance: Maintenance) -> click.Command:
    """`penstock keys rotate-master`."""

    @click.command("rotate-master")
    @data_dir_option
    @store_option
    def rotate_master(data_dir: Path | None, store: str | None) -> None:
        """Encrypt every secret of the store with a new master key, while no server runs.

        With several keys in $PENSTOCK_MASTER_KEY it encrypts with the first of them, and servers may run. What was
        broken off goes on when the command is given again.
        """
        _tell(lambda: maintenance.rotate_master_key(store, choose_data_dir(data_dir)))

    return rotate_master


def _tell(work: Callable[[], list[str]]) -> None:
    try:
        for sentence in work():
            click.echo(sentence)
    except MaintenanceRefused as error:
        fail(str(error))
