"""`penstock explain` and `penstock schema`."""

from __future__ import annotations

import json

import pytest
from penstock_command import Shell

from penstock.cli.explain import explain, explanation, overview
from penstock.definition.slots import slots_of
from penstock.expressions import FUNCTIONS
from penstock.objects import load_catalogue

CATALOGUE = load_catalogue()


def printed(name: str | None, capsys: pytest.CaptureFixture[str]) -> str:
    """What `penstock explain NAME` prints."""
    explain(name, as_json=False)
    return capsys.readouterr().out


def refused(name: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What `penstock explain NAME` says of a name of nothing."""
    with pytest.raises(SystemExit) as ended:
        explain(name, as_json=False)
    assert ended.value.code == 2
    return capsys.readouterr().err


def test_a_type_is_explained_with_its_own_fields_first(shell: Shell) -> None:
    done = shell.run("explain", "ShellCommandActivity")
    assert done.status == 0
    head, doc, *rest = done.out.split("\n\n")
    assert (head, doc) == ("ShellCommandActivity (Activity)", "Runs a command or a script.")
    assert rest[0].startswith("field ")
    assert "As every Activity:" in rest
    assert "or scriptUri" in rest[0]
    assert "dependsOn" in rest[-2]


def test_a_field_is_explained_by_kind_group_and_whether_it_takes_expressions(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = [line.strip() for line in printed("ShellCommandActivity.command", capsys).splitlines()]
    assert lines[0] == "ShellCommandActivity.command"
    assert "kind         string" in lines
    assert "needed       exactly one of command, scriptUri" in lines
    assert "expressions  yes" in lines


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("ShellCommandActivity.scheduleType", "cron, timeseries, ondemand (in any letter case)"),
        ("ShellCommandActivity.scheduleType", "parameters and fields with fixed values only"),
        ("ShellCommandActivity.stage", "default      false"),
        ("ShellCommandActivity.input", 'DataNode, as {"ref": "ID"}'),
        ("ShellCommandActivity.input", "parameters only"),
        ("ShellCommandActivity.runsOn", "at least one of runsOn, workerGroup"),
        ("ShellCommandActivity.onFail", "declared by  every Activity"),
        ("Schedule.period", "needed       yes"),
        ("JdbcDatabase.*password", "never shown again"),
        ("Activity", "ShellCommandActivity"),
        ("Activity.dependsOn", "Activity or DataNode"),
        ("format", "String format(DateTime myDateTime, String format)"),
        ("format", "#{myDateTime.format(format)}"),
    ],
)
def test_what_a_name_means_is_told(name: str, part: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert part in printed(name, capsys)


def test_without_a_name_all_types_are_listed_by_family_and_all_functions(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(None, capsys)
    families = {cls.family for cls in CATALOGUE.types.values()}
    assert families <= set(text.splitlines())
    for name in [*CATALOGUE.types, *FUNCTIONS]:
        assert name in text


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("ShelCommandActivity", "Did you mean 'ShellCommandActivity'?"),
        ("shellcommandactivity", "Did you mean 'ShellCommandActivity'?"),
        ("ShelCommandActivity.command", "Did you mean 'ShellCommandActivity'?"),
        ("ShellCommandActivity.comand", "Did you mean 'command'?"),
        ("ShellCommandActivity.xyzzy", "penstock explain ShellCommandActivity lists its fields"),
        ("fromat", "Did you mean 'format'?"),
        ("scriptUri", "'scriptUri' is a field of"),
        ("xyzzy", "penstock explain lists them all"),
        ("", "penstock explain lists them all"),
    ],
)
def test_a_name_of_nothing_is_told_with_the_closest(name: str, part: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert part in refused(name, capsys)


def test_every_type_field_and_function_can_be_explained_in_both_forms(capsys: pytest.CaptureFixture[str]) -> None:
    names = [None, *CATALOGUE.types, *FUNCTIONS]
    names += [f"{name}.{field}" for name, cls in CATALOGUE.types.items() for field in slots_of(cls)]
    for name in names:
        assert printed(name, capsys).strip()
        document = overview(CATALOGUE) if name is None else explanation(CATALOGUE, name)
        assert document is not None
        json.dumps(document)


def test_json_says_the_same(shell: Shell) -> None:
    done = shell.run("explain", "Schedule.startAt", "--json")
    assert done.status == 0
    assert done.json()["type"] == "Schedule"
    field = done.json()["field"]
    assert field["oneOf"] == ["startDateTime", "startAt"]
    assert field["atMostOne"]
    assert field["choices"] == ["FIRST_ACTIVATION_DATE_TIME", "ONDEMAND_ACTIVATION_TIME"]
    assert field["expressions"] == "parameters and fixed fields"


def test_on_a_terminal_the_last_column_is_wrapped(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    shown = printed(None, capsys)
    types = shown[: shown.index("Functions")]
    assert max(map(len, types.splitlines())) <= 100


def test_the_schema_is_printed(shell: Shell) -> None:
    done = shell.run("schema")
    assert done.status == 0
    assert done.json()["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert "ShellCommandActivity" in done.json()["definitions"]
