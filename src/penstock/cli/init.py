"""`penstock init`: the templates that lie in the package."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import click

from penstock.cli.output import fail


def template_names() -> list[str]:
    """The names of the templates."""
    return sorted(entry.name for entry in (files("penstock") / "templates").iterdir() if entry.is_dir())


def write_template(name: str, directory: Path) -> None:
    """Copy a template; nothing that exists is overwritten."""
    folder = files("penstock") / "templates"
    names = template_names()
    if name not in names:
        fail(f"There is no template '{name}'; there are {', '.join(names)}.", 2)
    pending: list[tuple[Traversable, Path]] = [(folder / name, directory)]
    written: list[tuple[Path, bytes]] = []
    while pending:
        source, target = pending.pop()
        for entry in source.iterdir():
            if entry.is_dir():
                pending.append((entry, target / entry.name))
            else:
                written.append((target / entry.name, entry.read_bytes()))
    for path, _ in written:
        if path.exists():
            fail(f"{path} exists already; move it away, or give another folder with --directory.")
    try:
        for path, content in written:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    except OSError as error:
        fail(f"{directory} cannot be written: {error.strerror}.")
    for path, _ in sorted(written):
        click.echo(f"wrote {path}")
    click.echo(f"\nRun it:  penstock run {directory / 'pipeline.json'}")
