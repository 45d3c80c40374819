"""What commands print: problems, times, tables, errors."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NoReturn

import click

from penstock.definition.problems import Problem


def fail(message: str, status: int = 1) -> NoReturn:
    """Print an error and end with a status."""
    click.echo(f"penstock: {message}", err=True)
    sys.exit(status)


def problem_lines(problems: Iterable[Problem]) -> list[str]:
    """A line or more per problem: where, what is wrong, and what would be right."""
    lines: list[str] = []
    for problem in problems:
        kind = "warning" if problem.is_warning else "error"
        place = ".".join(part for part in (problem.object_id, problem.field) if part)
        lines.append(f"{kind}: {place + ': ' if place else ''}{problem.text.strip()}")
    return lines


def problems_json(problems: Iterable[Problem]) -> list[dict[str, str]]:
    """Problems as JSON objects."""
    return [
        {
            "level": "warning" if problem.is_warning else "error",
            "id": problem.object_id,
            "field": problem.field,
            "value": "" if problem.field.startswith("*") or problem.object_id.startswith("*") else problem.value,
            "message": problem.message,
            "remedy": problem.remedy,
        }
        for problem in problems
    ]


def print_json(document: Any) -> None:
    """One JSON document on standard output."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their longest value."""
    widths = [max(len(row[number]) for row in (headings, *rows)) for number in range(len(headings))]
    lines = [headings, ["-" * width for width in widths], *rows]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def seconds(text: str) -> float:
    """`90`, `90s`, `2m`, `1h` as seconds; raises click's error for anything else."""
    units = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
    number, unit = (text[:-1], text[-1]) if text and text[-1] in units else (text, "s")
    try:
        value = float(number)
        if not 0 <= value < float("inf"):
            raise ValueError(text)
    except ValueError:
        raise click.BadParameter(f"'{text}' is no time; give 90s, 2m or 1h.") from None
    return value * units[unit]


def counted(number: int, noun: str) -> str:
    """`1 instance`, `2 instances`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def moment(value: datetime) -> str:
    """A time as fields write it."""
    return value.strftime("%Y-%m-%dT%H:%M:%S")
