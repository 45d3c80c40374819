"""`penstock init` and `penstock validate`."""

from __future__ import annotations

from pathlib import Path

import pytest
from penstock_command import Shell

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize(("template", "instances"), [("hello", 3), ("daily", 18)])
def test_a_template_runs_to_its_end_from_an_empty_folder(shell: Shell, template: str, instances: int) -> None:
    made = shell.run("init", template)
    assert made.status == 0
    assert made.out.splitlines()[-1] == "Run it:  penstock run pipeline.json"
    run = shell.run("run", "pipeline.json", "--json")
    assert run.status == 0, run.err
    assert [i["@status"] for i in run.json()["instances"]] == ["FINISHED"] * instances


def test_the_template_is_hello_if_none_is_named(shell: Shell) -> None:
    assert shell.run("init", "--directory", "mine").status == 0
    assert '"Hello, #{myName}!' in (shell.folder / "mine/pipeline.json").read_text().replace("\\", "")


def test_nothing_is_overwritten(shell: Shell) -> None:
    (shell.folder / "pipeline.json").write_text("mine")
    made = shell.run("init", "daily")
    assert made.status == 1
    assert "pipeline.json exists already" in made.err
    assert (shell.folder / "pipeline.json").read_text() == "mine"
    assert [path.name for path in shell.folder.iterdir()] == ["pipeline.json"]


def test_a_template_that_is_not_there_tells_which_are(shell: Shell) -> None:
    made = shell.run("init", "weekly")
    assert made.status == 2
    assert "no template 'weekly'; there are daily, hello." in made.err


def test_a_folder_that_cannot_be_written_is_named(shell: Shell) -> None:
    (shell.folder / "file").write_text("")
    made = shell.run("init", "--directory", "file/folder")
    assert made.status == 1
    assert "file/folder cannot be written" in made.err


@pytest.mark.parametrize("name", ["hello", "flights"])
def test_the_examples_are_valid(shell: Shell, name: str) -> None:
    done = shell.run("validate", EXAMPLES / name / "pipeline.json")
    assert done.status == 0
    assert "is valid" in done.out
    assert not list(shell.folder.iterdir())


BROKEN = {
    "objects": [
        {"id": "Default", "scheduleType": "ondemand", "workerGroup": "g"},
        {"id": "A", "type": "ShellCommandActivity", "command": "true", "input": {"ref": "Nowhere"}},
        {"id": "B", "type": "ShellCommandActivity", "comand": "true"},
    ]
}


def test_all_problems_are_printed_with_object_field_and_reason(shell: Shell) -> None:
    done = shell.run("validate", shell.write(BROKEN))
    assert done.status == 2
    assert "A.input" in done.out
    assert "Nowhere" in done.out
    assert "B.comand" in done.out
    assert "errors." in done.out.splitlines()[-1]


def test_problems_are_json_if_asked_for(shell: Shell) -> None:
    done = shell.run("validate", shell.write(BROKEN), "--json")
    assert done.status == 2
    problems = done.json()["problems"]
    assert {problem["id"] for problem in problems if problem["level"] == "error"} == {"A", "B"}
    assert all(problem["level"] and problem["message"] for problem in problems)


def test_a_valid_definition_has_no_problems_in_json(shell: Shell) -> None:
    done = shell.run("validate", EXAMPLES / "hello/pipeline.json", "--json")
    assert done.status == 0
    assert [p for p in done.json()["problems"] if p["level"] == "error"] == []


def test_broken_json_is_told_with_line_and_column(shell: Shell) -> None:
    (shell.folder / "pipeline.json").write_text('{"objects": [\n  {"id": "A",}\n]}')
    done = shell.run("validate", "pipeline.json")
    assert done.status == 2
    assert "line 2" in done.out + done.err
