"""The program `penstock`, and the root at which its parts are joined: services and task runners come from here."""

from __future__ import annotations

from pathlib import Path

from penstock.cli.commands import make_commands
from penstock.cli.composition import BackupOptions, Maintenance, RunnerOptions, Service, ServiceOptions, TaskRunner
from penstock.cli.output import fail
from penstock.objects import CatalogueError


def main() -> None:
    """Run the command line."""
    try:
        make_commands(start_service, make_task_runner, MAINTENANCE)(prog_name="penstock")
    except CatalogueError as error:
        fail(str(error))


def start_service(options: ServiceOptions) -> Service:
    """Start a service; its parts are imported only now, as most commands need none of them."""
    from penstock.service import EmbeddedService

    return EmbeddedService(options)


def make_task_runner(options: RunnerOptions) -> TaskRunner:
    """Make a task runner, with imports as late."""
    from penstock import worker

    return worker.make_task_runner(options)


def backup(options: BackupOptions) -> list[str]:
    """Write a backup, with imports as late."""
    from penstock import maintenance

    return maintenance.backup(options)


def restore(options: BackupOptions) -> list[str]:
    """Restore a backup, with imports as late."""
    from penstock import maintenance

    return maintenance.restore(options)


def rotate_master_key(store_url: str | None, data_dir: Path) -> list[str]:
    """Rotate the master key, with imports as late."""
    from penstock import maintenance

    return maintenance.rotate_master_key(store_url, data_dir)


MAINTENANCE = Maintenance(backup, restore, rotate_master_key)


if __name__ == "__main__":
    main()
