"""`penstock completion`: completion in bash, zsh and fish, and the values offered beside commands and options."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import click

SHELLS = {"bash": "~/.bashrc", "zsh": "~/.zshrc", "fish": "~/.config/fish/completions/penstock.fish"}
VARIABLE = "_PENSTOCK_COMPLETE"
PATIENCE = 0.5  # seconds for each answer of the service: whoever presses Tab waits for it
PAGES = 4


@click.command("completion", short_help="Print what makes a shell complete commands.")
@click.argument("shell", type=click.Choice(list(SHELLS)))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script with which SHELL completes commands, options, types and the names of pipelines.

    \b
    bash  eval "$(penstock completion bash)" in ~/.bashrc
    zsh   eval "$(penstock completion zsh)" in ~/.zshrc, after compinit
    fish  penstock completion fish > ~/.config/fish/completions/penstock.fish
    """
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None
    maker = found(context.find_root().command, {}, "penstock", VARIABLE)
    click.echo(maker.source_template % maker.source_vars())


def complete_templates(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """The templates of `penstock init`."""
    from penstock.cli.init import template_names

    return _beginning(template_names(), incomplete)


def complete_explained(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """What `penstock explain` knows: types and functions, and after TYPE. the fields of the type."""
    from penstock.definition.slots import slots_of
    from penstock.expressions import FUNCTIONS
    from penstock.objects import load_catalogue

    types = load_catalogue().types
    name, dot, _ = incomplete.partition(".")
    if not dot:
        return _beginning((*(cls.type_name() for cls in types.values()), *FUNCTIONS), incomplete)
    fields = (f"{name}.{field}" for cls in types.values() if cls.type_name() == name for field in slots_of(cls))
    return _beginning(fields, incomplete)


def complete_pipelines(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Pipelines of the running service: names, or the id where another one has the name; none if it does not answer."""
    try:
        named = list(_pipelines(context.params))
    except Exception:  # whatever is wrong with the service or its address: the command itself says it
        return []
    names = [name for _, name in named]
    words = {name if names.count(name) == 1 and name.split() == [name] else identity for identity, name in named}
    if incomplete.startswith("df-"):
        words |= {identity for identity, _ in named}
    return _beginning(words, incomplete)


def _pipelines(given: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The ids and names of the first pipelines."""
    from penstock.cli.credentials import data_pipeline_client, find_credentials
    from penstock.cli.runner import choose_endpoint
    from penstock.settings import choose_data_dir

    folder: Path | None = given.get("data_dir")
    client = data_pipeline_client(choose_endpoint(given.get("endpoint")), find_credentials(choose_data_dir(folder)))
    marker: dict[str, str] = {}
    with closing(client):
        for _ in range(PAGES):
            page = client.call("ListPipelines", _timeout=PATIENCE, **marker)
            yield from ((entry["id"], entry["name"]) for entry in page["pipelineIdList"])
            if not page.get("hasMoreResults"):
                return
            marker = {"marker": page["marker"]}


def _beginning(words: Iterable[str], incomplete: str) -> list[str]:
    return sorted({word for word in words if word.lower().startswith(incomplete.lower())}, key=str.lower)
