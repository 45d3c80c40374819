"""Shell completion, through the protocol by which shells ask for it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.shell_completion import ShellComplete
from penstock_command import PENSTOCK, Server, Shell

from penstock.cli import completion
from penstock.cli.commands import make_commands


def offered(*words: str) -> list[str]:
    """What is offered for the last word."""
    nothing: Any = None
    commands = make_commands(*[nothing] * make_commands.__code__.co_argcount)
    asked = ShellComplete(commands, {}, "penstock", completion.VARIABLE)
    return [item.value for item in asked.get_completions(list(words[:-1]), words[-1])]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("expl",), ["explain"]),
        (("explain", "Sch"), ["Schedule"]),
        (("explain", "sche"), ["Schedule"]),
        (("explain", "Schedule.star"), ["Schedule.startAt", "Schedule.startDateTime"]),
        (("explain", "plusD"), ["plusDays"]),
        (("init", ""), ["daily", "hello"]),
        (("completion", ""), ["bash", "fish", "zsh"]),
        (("backfill", "p", "--inc"), ["--include-finished"]),
        (("keys", "cr"), ["create"]),
    ],
)
def test_commands_options_types_and_templates_are_completed(words: tuple[str, ...], expected: list[str]) -> None:
    assert sorted(offered(*words)) == expected


def test_without_a_service_no_pipeline_is_offered_and_nothing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PENSTOCK_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("AWS_SHARED_CREDENTIALS_FILE", raising=False)
    assert offered("status", "") == []
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AK")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    monkeypatch.setenv("AWS_ENDPOINT_URL_DATA_PIPELINE", "http://127.0.0.1:1")
    assert offered("status", "") == []
    assert capfd.readouterr() == ("", "")


def test_bash_is_offered_the_pipelines_of_a_service(shell: Shell, start_server: Callable[..., Server]) -> None:
    server = start_server()
    client = server.client()
    client.create_pipeline(name="sales", uniqueId="1")
    spaced = client.create_pipeline(name="sales of today", uniqueId="1")["pipelineId"]
    twins = {client.create_pipeline(name="twin", uniqueId=str(number))["pipelineId"] for number in range(2)}

    script = [f'eval "$({PENSTOCK} completion bash)"']
    for words in ("status sa", "why @x --pipeline ''", "backfill df-"):
        script += [f"COMP_WORDS=(penstock {words})", "COMP_CWORD=$((${#COMP_WORDS[@]} - 1))"]
        script += ["_penstock_completion penstock", 'echo "${COMPREPLY[@]}"']
    environment = shell.environment | server.environment
    environment["PATH"] = f"{PENSTOCK.parent}:{environment['PATH']}"
    done = subprocess.run(["bash", "-c", "; ".join(script)], capture_output=True, text=True, env=environment)
    assert done.stderr == ""
    unique, every, by_id = (line.split() for line in done.stdout.splitlines())
    assert unique == ["sales"]
    assert set(every) == {"sales", spaced, *twins}
    assert spaced in by_id


@pytest.mark.parametrize("name", completion.SHELLS)
def test_each_shell_gets_a_script_of_its_own(name: str) -> None:
    from click.testing import CliRunner

    group = click.Group("penstock", commands=[completion.completion])
    done = CliRunner().invoke(group, ["completion", name])
    assert done.exit_code == 0
    assert f"{completion.VARIABLE}={name}_complete" in done.output
