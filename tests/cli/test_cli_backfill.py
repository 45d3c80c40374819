"""`penstock backfill`, `versions` and `next --count`, on a server."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner
from penstock_command import Ended, Server, Shell

from penstock.cli.commands import make_commands
from penstock.definition.api_form import definition_to_api
from penstock.definition.file_form import definition_of

TODAY = (datetime.now(UTC) - timedelta(hours=1)).replace(minute=0, second=0, microsecond=0)


def day(number: int) -> str:
    return (TODAY + timedelta(days=number)).strftime("%Y-%m-%dT%H:%M:%S")


def put_daily(client: Any) -> None:
    """A daily pipeline of the last four days, activated from today on."""
    objects = [
        {"id": "Default", "scheduleType": "cron", "schedule": {"ref": "Daily"}, "failureAndRerunMode": "cascade"},
        {"id": "Daily", "type": "Schedule", "period": "1 day", "startDateTime": day(-4)},
        {"id": "Load", "type": "ShellCommandActivity", "command": "true", "workerGroup": "nobody"},
        {"id": "Report", "type": "ShellCommandActivity", "command": "true", "workerGroup": "nobody"}
        | {"dependsOn": {"ref": "Load"}, "maxActiveInstances": "1"},
    ]
    pipeline_id = client.create_pipeline(name="sales", uniqueId="1")["pipelineId"]
    written = definition_to_api(definition_of({"objects": objects}))
    assert not client.put_pipeline_definition(pipelineId=pipeline_id, **written)["errored"]
    client.activate_pipeline(pipelineId=pipeline_id, startTimestamp=TODAY)


def test_a_range_is_previewed_and_then_backfilled(shell: Shell, start_server: Callable[..., Server]) -> None:
    server = start_server()
    put_daily(server.client())

    nothing_to_start: Any = None
    commands = make_commands(*[nothing_to_start] * make_commands.__code__.co_argcount)

    def run(*arguments: str) -> Ended:
        """The command in this process."""
        done = CliRunner().invoke(commands, [*arguments, "--data-dir", str(shell.data)], env=server.environment)
        return Ended(done.exit_code, done.stdout, done.stderr)

    span = ("backfill", "sales", "--from", day(-4), "--to", day(2))
    dry = run(*span, "--dry-run")
    assert [line.split() for line in dry.out.splitlines()[2:]] == [
        [name, "6", "4", "SKIPPED", day(-4), day(-1), "1", left, "1", "NOT_DUE"]
        for name, left in (("Load", "WAITING_FOR_RUNNER,"), ("Report", "WAITING_ON_DEPENDENCIES,"))
    ]
    assert dry.err.splitlines() == [
        "WAITING_FOR_RUNNER: active already.",
        "NOT_DUE: not due yet; they come by themselves.",
        "WAITING_ON_DEPENDENCIES: active already.",
        dry.err.splitlines()[-1],
    ]
    assert dry.err.endswith(f": 8 instances from {day(-4)} to {day(2)} would run.\n")
    shown = run(*span, "--component", "Load", "--json").json()
    assert (shown["from"], shown["to"], shown["isDryRun"]) == (day(-4), day(2), False)
    (load,) = shown["components"]
    assert load["started"] == [f"@Load_{day(number)}" for number in (-4, -3, -2, -1)]
    assert load["runs"] == [{"status": "SKIPPED", "count": 4, "firstStart": day(-4), "lastStart": day(-1)}]
    none = run(*span, "--component", "Load")
    assert none.err.endswith(f": nothing from {day(-4)} to {day(2)} is to be run.\n")
    begun = run(*span)
    assert begun.err.endswith(
        f": 4 instances from {day(-4)} to {day(2)} run: 0 now, the others as places become free.\n"
    )
    assert f"  backfill of Report is at {day(-4)} UTC, and goes to {day(1)} UTC" in run("status", "sales").out
    stopped = run("backfill", "sales", "--stop")
    assert stopped.out.splitlines()[-1].split() == ["Report", day(-4), day(1)]
    assert run("backfill", "sales", "--stop").err.endswith(" has no backfill under way.\n")
    assert run("status", "sales", "--json").json()["backfills"] == []
    refused = run("backfill", "sales", "--from", day(-9), "--to", day(0))
    assert (refused.status, refused.out) == (1, "")
    assert "penstock: The schedule 'Daily' of 'Load' starts at" in refused.err
    versions = run("versions", "sales")
    assert versions.out.splitlines()[-1].split()[-2:] == ["active,", "latest"]
    (version,) = run("versions", "sales", "--json").json()["versions"]
    assert (version["version"], version["isActive"], version["isErrored"]) == (1, True, False)
    upcoming = run("next", "sales", "--count", "2").out.splitlines()
    expected = [["Load", day(1), day(1), "5"], [day(2), day(2)]]
    assert [line.split() for line in upcoming[2:4]] == expected


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--from", "yesterday", "--to", "2026-01-01"), "Invalid value for --from: 'yesterday' is no time"),
        (("--from", "2026-01-01", "--to", "2026-13-01"), "Invalid value for --to: '2026-13-01' is no time"),
        (("--to", "2026-01-01"), "Give the range with --from and --to, or --stop"),
        (("--stop", "--dry-run"), "--stop ends all backfills of the pipeline; give it alone."),
    ],
)
def test_wrong_options_are_told_before_a_server_is_asked(
    shell: Shell, arguments: tuple[str, ...], expected: str
) -> None:
    done = shell.run("backfill", "p", *arguments)
    assert done.status == 2
    assert expected in done.err
