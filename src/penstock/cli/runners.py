"""`penstock runners`: the task runners that a server has seen lately."""

from __future__ import annotations

import click

from penstock.cli.connection import Service
from penstock.cli.output import moment, print_json, table


def show_runners(service: Service, as_json: bool) -> None:
    """Print the task runners, the last seen first, with the tasks that they hold."""
    runners = service.own.call("ListRunners")["runners"]
    if as_json:
        print_json({"runners": [{**runner, "lastSeenTime": moment(runner["lastSeenTime"])} for runner in runners]})
        return
    if not runners:
        click.echo("No task runner has polled within the last day; `penstock runner` starts one.", err=True)
        return
    rows = [
        [
            runner["hostname"] or "-",
            ", ".join(runner["workerGroups"]),
            moment(runner["lastSeenTime"]),
            runner.get("keyName") or runner["accessKeyId"],
            ", ".join(task["attemptId"] for task in runner["tasks"]),
        ]
        for runner in runners
    ]
    click.echo(table(("hostname", "worker groups", "last seen (UTC)", "key", "holds"), rows))
