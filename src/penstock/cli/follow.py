"""Following a pipeline while it runs: progress on a terminal, failures and alarms at once, and when it is over."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from penstock.cli.moved import LISTS, amount
from penstock.cli.output import moment
from penstock.data.file_names import log_folder
from penstock.wire.client import Client

FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.25
LINES_SECONDS = 10.0
MOST_RUNNING = 3
MOST_NAMED = 5
PAGE = 100
ASKED = ("s3Key", "s3Prefix", "command", "scriptUri", "query")
PLACES = ("filePath", "directoryPath", "table")
FINAL = ("FINISHED", "FAILED", "CANCELED", "CASCADE_FAILED", "TIMEDOUT", "SKIPPED")


@dataclass
class Outcome:
    """How following ended: over, or with instances that are blocked, or with intervals that are not due yet."""

    interrupted_by: int | None = None
    blocked: list[str] = field(default_factory=list)
    waiting: int = 0
    next_due: datetime | None = None


class Follower:
    """Follows one pipeline by its events; `wait` and `until` in seconds."""

    def __init__(
        self, client: Client, own: Client, pipeline_id: str, data_dir: Path, wait: float, until: float | None
    ) -> None:
        self.client = client
        self.own = own
        self.pipeline_id = pipeline_id
        self.data_dir = data_dir
        self.wait = wait
        self.until = until
        self._after = 0
        self._not_holding: dict[str, None] = {}  # attempts of preconditions that were FALSE at least once

    def follow(self, check: Callable[[], None]) -> Outcome:
        """Stay until the pipeline is over or nothing more can happen in time; `check` may raise what ends it."""
        started = time.monotonic()
        pause = FIRST_PAUSE
        idle_since: float | None = None
        with _display() as show:
            while True:
                check()
                # In this order: what has ended since is then still counted as work, and never the other way round.
                progress = self.own.call("DescribeProgress", pipelineId=self.pipeline_id)
                has_news = self._print_events()
                show(progress)
                if progress["state"] in ("FINISHED", "INACTIVE"):
                    return Outcome()
                now = time.monotonic()
                if self._has_work(progress):
                    idle_since = None
                elif idle_since is None:
                    idle_since = now
                    self._say_what_is_awaited()
                elif not has_news and now - idle_since >= (self.wait if self._not_holding else 0.0):
                    may_go_on = self.until is not None and now - started < self.until
                    if not (may_go_on and progress.get("nextDueTime") is not None):
                        return self._stuck(progress)
                pause = FIRST_PAUSE if has_news else min(pause * 1.5, LONGEST_PAUSE)
                time.sleep(pause)

    def _has_work(self, progress: dict[str, Any]) -> bool:
        """Whether anything but asking preconditions again goes on."""
        tasks: int = progress["working"] + progress["retrying"] + progress["asking"] + progress["due"]
        return tasks > len(self._not_holding)

    def _say_what_is_awaited(self) -> None:
        if self._not_holding and self.wait > 0:
            names = ", ".join(_instance(attempt) for attempt in list(self._not_holding)[:MOST_NAMED])
            more = len(self._not_holding) - MOST_NAMED
            names += f" and {more} more" if more > 0 else ""
            _say(f"Nothing else is left to do: waiting up to {self.wait:g} s (--wait) for {names}")

    def _stuck(self, progress: dict[str, Any]) -> Outcome:
        """Why nothing goes on: preconditions that do not hold are named; what waits for the future is only counted."""
        outcome = Outcome(next_due=progress.get("nextDueTime"))
        for attempt in self._not_holding:
            outcome.blocked.append(self._precondition(_instance(attempt)))
        left = [i for i in instances(self.client, self.pipeline_id) if i["@status"].startswith("WAITING_")]
        names = {_instance(attempt) for attempt in self._not_holding}
        left = [instance for instance in left if instance["id"] not in names]
        outcome.waiting = len(left)
        if not outcome.blocked and outcome.next_due is None:
            for instance in left:
                answer = self.own.call("ExplainWaiting", pipelineId=self.pipeline_id, objectId=instance["id"])
                reasons = " ".join(answer["reasons"]) or "Nothing more is known."
                outcome.blocked.append(f"{instance['id']} is {instance['@status']}: {reasons}")
            outcome.waiting = 0
        return outcome

    def _precondition(self, instance_id: str) -> str:
        """What a precondition that does not hold asks for, and on whose behalf."""
        fields = self._evaluated(instance_id)
        node = self._evaluated(fields["node"]) if "node" in fields else {}
        asked = next((fields[name] for name in ASKED if name in fields), None)
        asked = asked or next((node[name] for name in PLACES if name in node), "")
        about = f" of {node['id']}" if node else ""
        found = f": {fields['lastResult']}" if "lastResult" in fields else ""
        return f"{instance_id} does not hold: {fields.get('type', 'Precondition')}{about} {asked}".rstrip() + found

    def _evaluated(self, instance_id: str) -> dict[str, str]:
        answer = self.client.call(
            "DescribeObjects", pipelineId=self.pipeline_id, objectIds=[instance_id], evaluateExpressions=True
        )
        return flat(answer["pipelineObjects"][0])

    def _print_events(self) -> bool:
        has_news = False
        while True:
            answer = self.own.call("ListEvents", pipelineId=self.pipeline_id, after=self._after)
            for event in answer["events"]:
                has_news = True
                self._after = event["sequence"]
                if event["sphere"] == "ATTEMPT" and event["toStatus"] in FINAL:
                    self._not_holding.pop(event["objectId"], None)
                if event["sphere"] == "ATTEMPT" and event["toStatus"] in ("FAILED", "TIMEDOUT"):
                    self._print_failure(event)
                elif event["sphere"] == "ATTEMPT" and event["verb"] == "ask again":
                    self._not_holding[event["objectId"]] = None
                elif event["sphere"] == "ALARM":
                    _say(f"Alarm {event['verb']}: {event['detail']}")
            if not answer["hasMoreResults"]:
                return has_news

    def _print_failure(self, event: dict[str, Any]) -> None:
        answer = self.client.call("DescribeObjects", pipelineId=self.pipeline_id, objectIds=[event["objectId"]])
        fields = flat(answer["pipelineObjects"][0])
        _say(f"{event['objectId']} {fields.get('@status', 'FAILED')}: {fields.get('errorMessage', event['detail'])}")
        for line in (fields.get("errorStackTrace") or "").rstrip().splitlines()[-12:]:
            _say(f"    {line}")
        folder = attempt_logs(self.data_dir, self.pipeline_id, fields)
        if folder is not None:
            _say(f"    log: {folder}")


def _component(instance_id: str) -> str:
    return instance_id.removeprefix("@").rpartition("_")[0]


def _instance(attempt_id: str) -> str:
    return attempt_id.rpartition("_Attempt=")[0]


def attempt_logs(data_dir: Path, pipeline_id: str, fields: dict[str, str]) -> Path | None:
    """Where the logs of an attempt lie, if they lie on this machine."""
    folder = log_folder(data_dir, pipeline_id, fields["id"])
    return folder if folder.is_dir() else None


def flat(obj: dict[str, Any]) -> dict[str, str]:
    """An object's id and fields as one mapping; of a list its first value, of those about moved data one a line."""
    found: dict[str, str] = {"id": obj["id"]}
    for entry in obj["fields"]:
        key, value = entry["key"], entry.get("refValue", entry.get("stringValue", ""))
        if key in LISTS and key in found:
            found[key] += f"\n{value}"
        else:
            found.setdefault(key, value)
    return found


def instances(
    client: Client, pipeline_id: str, *, statuses: Sequence[str] = (), evaluate: bool = False
) -> list[dict[str, str]]:
    """The instances of a pipeline as flat mappings: all, or those of some statuses."""
    found: list[dict[str, str]] = []
    asked: dict[str, Any] = {"pipelineId": pipeline_id, "sphere": "INSTANCE", "limit": PAGE}
    if statuses:
        selector = {"fieldName": "@status", "operator": {"type": "EQ", "values": list(statuses)}}
        asked["query"] = {"selectors": [selector]}
    while True:
        page = client.call("QueryObjects", **asked)
        if page["ids"]:
            described = client.call(
                "DescribeObjects", pipelineId=pipeline_id, objectIds=page["ids"], evaluateExpressions=evaluate
            )
            found.extend(flat(obj) for obj in described["pipelineObjects"])
        if not page.get("hasMoreResults"):
            # One that has moved on between the two questions is not what was asked for.
            return [fields for fields in found if not statuses or fields["@status"] in statuses]
        asked["marker"] = page["marker"]


_console: Any = None


def _say(line: str) -> None:
    if _console is not None:
        _console.print(line, highlight=False, markup=False, soft_wrap=True)
    else:
        click.echo(line, err=True)


def _display() -> AbstractContextManager[Callable[[dict[str, Any]], None]]:
    """A progress bar on a terminal; elsewhere a line now and then about what takes long."""
    if not sys.stderr.isatty():
        return nullcontext(_Lines().show)
    return _Bar()


class _Lines:
    """Says how far instances are that move data, every LINES_SECONDS and only where that has changed."""

    def __init__(self) -> None:
        self._said: dict[str, str] = {}
        self._due = time.monotonic() + LINES_SECONDS  # most have ended before

    def show(self, progress: dict[str, Any]) -> None:
        """Say it if it is time."""
        now = time.monotonic()
        running = {entry["objectId"]: amount(entry) for entry in progress.get("running", ())}
        if not running or now < self._due:
            return
        for identity, text in running.items():
            if text and self._said.get(identity) != text:
                _say(f"{identity}: {text}")
        self._said, self._due = running, now + LINES_SECONDS


class _Bar:
    def __enter__(self) -> Callable[[dict[str, Any]], None]:
        global _console
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        _console = Console(stderr=True)
        self._progress = Progress(
            BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=_console
        )
        self._progress.start()
        self._task = self._progress.add_task("", total=None)
        return self._show

    def _show(self, progress: dict[str, Any]) -> None:
        counts: dict[str, int] = {}
        for entry in progress["counts"]:
            counts[entry["status"]] = counts.get(entry["status"], 0) + entry["count"]
        total = sum(counts.values())
        done = sum(count for status, count in counts.items() if status in FINAL)
        text = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()) if status != "FINISHED")
        # In front, by the component alone: a terminal shows no more than its width.
        running = [f"{_component(entry['objectId'])} {amount(entry)}" for entry in progress.get("running", ())]
        text = "; ".join([*running[:MOST_RUNNING], text])
        if progress.get("nextDueTime") is not None and not progress["working"]:
            text += f" next due {moment(progress['nextDueTime'])}"
        self._progress.update(self._task, total=total or None, completed=done, description=text)

    def __exit__(self, *error: object) -> None:
        global _console
        self._progress.stop()
        _console = None
