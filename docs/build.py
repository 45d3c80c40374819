"""Writes the pages that follow from the code, or checks that they are current: `python docs/build.py [--check]`."""

from __future__ import annotations

import inspect
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import click
from api_reference import api
from formats_reference import formats

from penstock.__main__ import MAINTENANCE, make_task_runner, start_service
from penstock.cli.commands import make_commands
from penstock.cli.explain import default_of, kind_of
from penstock.definition.slots import Slot, slots_of
from penstock.engine.status import ENDED, TRANSITIONS
from penstock.expressions import FUNCTIONS
from penstock.objects import load_catalogue

DOCS = Path(__file__).parent
FAMILIES = (
    "Activity",
    "DataNode",
    "Precondition",
    "Resource",
    "Database",
    "DataFormat",
    "Action",
    "Schedule",
    "Utility",
)
MADE = "<!-- Made by docs/build.py; edit the declarations, not this page. -->"


def states() -> Iterator[str]:
    """The state diagrams, from the transition table."""
    yield "# States"
    yield MADE
    yield (
        "What moves a pipeline, an instance and an attempt from one state to the next. Every arrow is a row of the\n"
        "transition table in `src/penstock/engine/status.py`, and nothing else moves a state."
    )
    for sphere in ("PIPELINE", "INSTANCE", "ATTEMPT"):
        yield f"## {sphere.capitalize()}"
        lines = ["```mermaid", "stateDiagram-v2"]
        for transition in TRANSITIONS:
            if transition.sphere == sphere:
                lines += [f"    {s} --> {transition.target}: {transition.verb}" for s in transition.sources]
        yield "\n".join([*lines, "```"])
        rows = ["| verb | from | to |", "|---|---|---|"]
        for transition in TRANSITIONS:
            if transition.sphere == sphere:
                rows.append(f"| {transition.verb} | {', '.join(transition.sources)} | {transition.target} |")
        yield "\n".join(rows)
    yield f"Final states are {', '.join(ENDED)}: they stay, but for *rerun* and *mark finished*."


def types() -> Iterator[str]:
    """The reference of all object types, from their declarations."""
    catalogue = load_catalogue()
    yield "# Object types"
    yield MADE
    yield (
        "Every type, with its own fields; the fields that a whole family shares stand at the family.\n"
        "`*` marks a field that must be given; of the fields of a group one must be given. Types marked *validates\n"
        "only* are checked like all others, but cannot run yet: activation refuses them by name. What is marked\n"
        "*extension* AWS Data Pipeline does not know."
    )
    for family in FAMILIES:
        members = sorted(
            (cls for cls in catalogue.types.values() if cls.family == family), key=lambda cls: cls.__name__
        )
        shared = slots_of(next(cls for cls in members[0].__mro__ if cls.__dict__.get("family") == family))
        yield f"## {family}"
        yield f"Fields of every type of this family:\n\n{_table(list(shared.values()))}"
        for cls in members:
            yield f"### {cls.type_name()}"
            mark = "*Extension.* " if cls.is_extension else ""
            mark += "" if cls.is_built else "*Validates only.* "
            yield mark + inspect.cleandoc(cls.__doc__ or "")
            own = [slot for slot in slots_of(cls).values() if slot != shared.get(slot.name)]
            if own:
                yield _table(own)
            if cls.takes_any_field:
                yield "AWS has not published its fields: any other field is accepted as it is."


def _table(slots: list[Slot]) -> str:
    rows = ["| field | kind | default | what it is |", "|---|---|---|---|"]
    for slot in slots:
        name = f"`{slot.name}`{' *' if slot.required else ''}{f' (one of: {slot.one_of})' if slot.one_of else ''}"
        default = f"`{default_of(slot)}`" if default_of(slot) else ""
        doc = f"*Extension.* {slot.doc}" if slot.is_extension else slot.doc
        rows.append(f"| {name} | {kind_of(slot)} | {default.encode('unicode_escape').decode()} | {doc} |")
    return "\n".join(rows)


def functions() -> Iterator[str]:
    """The reference of expression functions, from their decorators."""
    yield "# Expression functions"
    yield MADE
    yield "Functions of `#{…}`; each can also be written as a method of its first argument."
    for name in sorted(FUNCTIONS, key=str.lower):
        function = FUNCTIONS[name]
        yield f"### {name}\n\n`{function.signature}`\n\n{inspect.cleandoc(function.doc)}"


def commands() -> Iterator[str]:
    """The reference of all commands, from their help."""
    yield "# Commands"
    yield MADE
    yield from _help(make_commands(start_service, make_task_runner, MAINTENANCE), "penstock")


def _help(command: click.Command, path: str, parent: click.Context | None = None) -> Iterator[str]:
    context = click.Context(command, parent, info_name=path.rsplit(" ", 1)[-1], **command.context_settings)
    yield f"## {path}\n\n```\n{command.get_help(context)}\n```"
    if isinstance(command, click.Group):
        for name in sorted(command.commands):
            yield from _help(command.commands[name], f"{path} {name}", context)


PAGES = {
    "states.md": states,
    "reference/types.md": types,
    "reference/functions.md": functions,
    "reference/commands.md": commands,
    "reference/api.md": api,
    "reference/formats.md": formats,
}


def main() -> int:
    """Write the pages; with `--check` only say which are not current."""
    logging.disable(logging.WARNING)  # the story of the API has a clock of its own, which jumps
    stale = []
    for name, page in PAGES.items():
        text = "\n\n".join(page()) + "\n"
        path = DOCS / name
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if "--check" not in sys.argv:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"wrote docs/{name}")
    if stale and "--check" in sys.argv:
        print(f"Not current: {', '.join(stale)}. Run `make docs`.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
