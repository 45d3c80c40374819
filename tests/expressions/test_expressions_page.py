"""Every example of docs/reference/expressions.md is true."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from penstock.definition.file_form import parse_definition
from penstock.definition.scope import Entry, Scope
from penstock.definition.validate import validate
from penstock.expressions import FUNCTIONS, to_text
from penstock.objects import load_catalogue

PAGE = (Path(__file__).parents[2] / "docs/reference/expressions.md").read_text(encoding="utf-8")
START, END = datetime(2025, 1, 2, tzinfo=UTC), datetime(2025, 1, 3, tzinfo=UTC)


def examples() -> list[tuple[str, str, str]]:
    """The object, the text and the value of each example."""
    found: list[tuple[str, str, str]] = []
    for table in re.findall(r"^\| in (\w+)(?:, of \w+)? \| is \|\n\|---\|---\|\n((?:\|.*\n)+)", PAGE, re.MULTILINE):
        for row in table[1].splitlines():
            text, value = re.fullmatch(r"\| `(.*?)` \| (`.*`) \|", row).groups()  # type: ignore[union-attr]
            found.append((table[0], text, value))
    return found


def scope() -> Scope:
    """What the examples see: an instance of each object on one interval, and an alarm of Count that has failed."""
    definition = parse_definition(re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)[1])  # type: ignore[index]
    verdict = validate(definition, load_catalogue())
    assert verdict.errors == ()
    times = {"@scheduledStartTime": START, "@scheduledEndTime": END}
    entries = {name: Entry(name, times) for name in ("In", "Out", "Count")}
    instances = {f"@{name}_2025-01-02T00:00:00": entry for name, entry in entries.items()}
    refs = {"input": ("@In_2025-01-02T00:00:00",), "output": ("@Out_2025-01-02T00:00:00",)}
    failed = {**times, "errorMessage": "exit status 1"}
    instances["@Count_2025-01-02T00:00:00"] = Entry("Count", failed, refs)
    instances["@Tell_2025-01-02T00:00:00"] = Entry("Tell", {}, {}, "@Count_2025-01-02T00:00:00")
    return verdict.resolved.scope(entries=instances, reveal=lambda value: value)


@pytest.mark.parametrize(("name", "text", "value"), examples())
def test_an_example_is_true(name: str, text: str, value: str) -> None:
    made = to_text(scope().evaluate(f"@{name}_2025-01-02T00:00:00", text))
    assert ", ".join(f"`{one}`" for one in (made if isinstance(made, list) else [made])) == value


def test_the_page_has_its_examples() -> None:
    assert len(examples()) > 45


def test_the_page_and_the_letters_of_patterns_agree() -> None:
    table = PAGE[PAGE.index("| letter |") :]
    named = set(re.findall(r"`([A-Za-z])`", table[: table.index("| in Count |")]))
    assert named == set("GCYxweEyDMdaKhHkmsSzZ")
    for letter in named:
        FUNCTIONS["format"].call(START, FUNCTIONS["format"].parameters[1].kind.convert(letter))


def test_the_error_of_the_page_is_the_one_that_is_printed() -> None:
    wrong = "wc #{format(@scheduledStartTime, 'YYYY-bb')}"
    document = parse_definition(
        '{"objects": [{"id": "Default", "scheduleType": "ondemand", "workerGroup": "g"},'
        f' {{"id": "Count", "type": "ShellCommandActivity", "command": "{wrong}"}}]}}'
    )
    (error,) = validate(document, load_catalogue()).errors
    shown = " ".join(PAGE.split("```\nerror: ")[1].split("```")[0].split())
    assert " ".join(f"Count.command: {error.text}".split()).startswith(shown)
