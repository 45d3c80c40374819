"""The program `penstock`, and the root at which its parts are joined: the commands get the service from here."""

from __future__ import annotations

from penstock.cli.commands import make_commands
from penstock.cli.service import Service, ServiceOptions


def main() -> None:
    """Run the command line."""
    make_commands(start_service)(prog_name="penstock")


def start_service(options: ServiceOptions) -> Service:
    """Start a service; its parts are imported only now, as most commands need none of them."""
    from penstock.service import EmbeddedService

    return EmbeddedService(options)


if __name__ == "__main__":
    main()
