"""Reading a definition for a command: the file, the values given on the command line, and all problems."""

from __future__ import annotations

from pathlib import Path

import click

from penstock.cli.output import problem_lines, problems_json
from penstock.definition.file_form import parse_json, read_definition_file, values_of
from penstock.definition.model import Definition, Ref, Values
from penstock.definition.problems import DefinitionRefused, Problem, closest
from penstock.definition.validate import Verdict, validate

REFUSED = 2


def given_values(pairs: tuple[str, ...], values_file: Path | None) -> Values:
    """The values of `--parameter KEY=VALUE` (repeat it for a list) and `--parameter-values FILE`."""
    values: dict[str, tuple[str, ...]] = {}
    if values_file is not None:
        try:
            text = values_file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise click.BadParameter(f"{values_file} cannot be read: {reason}.") from error
        values = values_of(parse_json(text, str(values_file)), str(values_file))
    from_pairs: dict[str, tuple[str, ...]] = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator or not key:
            raise click.BadParameter(f"'{pair}' is no KEY=VALUE.")
        from_pairs[key] = (*from_pairs.get(key, ()), value)
    return {**values, **from_pairs}


def read_and_validate(path: Path, given: Values) -> tuple[Definition | None, Verdict | None, tuple[Problem, ...]]:
    """The definition, its verdict, and all problems; no definition where it could not even be read."""
    from penstock.objects import load_catalogue

    try:
        definition = read_definition_file(path)
    except DefinitionRefused as error:
        return None, None, error.problems
    verdict = validate(definition, load_catalogue(), given)
    return definition, verdict, verdict.problems


def unknown_parameters(definition: Definition, given: Values) -> tuple[Problem, ...]:
    """Values on the command line that nothing asks for: no parameter is declared, and no expression reads the id."""
    texts = [
        text
        for obj in definition.objects.values()
        for values in obj.fields.values()
        for value in values
        if "#{" in (text := value.id if isinstance(value, Ref) else value)
    ]
    return tuple(
        Problem(key, "values", f"There is no parameter '{key}'.", closest(key, definition.parameters))
        for key in given
        if key not in definition.parameters and not any(key in text for text in texts)
    )


def print_problems(problems: tuple[Problem, ...], as_json: bool, *, to_stderr: bool) -> None:
    """All problems, errors first."""
    ordered = sorted(problems, key=lambda problem: problem.is_warning)
    if as_json:
        import json

        click.echo(json.dumps({"problems": problems_json(ordered)}, indent=2, ensure_ascii=False), err=to_stderr)
        return
    for line in problem_lines(ordered):
        click.echo(line, err=to_stderr)
