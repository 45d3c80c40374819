"""`penstock logs`: the logs of attempts as the service reads them, whole or followed while the attempts run."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import click

from penstock.cli.connection import Named, Service, check_instances, find_pipeline
from penstock.cli.follow import FINAL, flat, instances
from penstock.cli.interrupt import Interrupted, Interruption
from penstock.cli.output import fail, print_json
from penstock.wire.errors import ServiceError

PAUSE = 1.0  # seconds, after everything that there was has been printed
LONGEST_LINE = 1 << 16  # bytes that wait for the end of their line
ATTEMPT = "_Attempt="


@dataclass(frozen=True)
class Wanted:
    """What to print: logs by name, of attempts by id or of the last ones of instances; no ids mean the pipeline."""

    pipeline: Named
    ids: tuple[str, ...]
    names: tuple[str, ...]
    as_json: bool

    @property
    def is_one(self) -> bool:
        """Whether it is one log, which is printed without a heading."""
        return len(self.ids) == 1 and len(self.names) == 1


def find_wanted(
    service: Service,
    given: tuple[str, ...],
    pipeline: str | None,
    attempt: int | None,
    names: tuple[str, ...],
    as_json: bool,
) -> Wanted:
    """What the arguments mean: the first one may name the pipeline, the others are instances and attempts."""
    if pipeline is None:
        pipeline, given = given[0], given[1:]
        if pipeline.startswith("@"):
            fail(f"Which pipeline is {pipeline} of? Put its name or its id before it, or give it with --pipeline.")
    found = find_pipeline(service, pipeline)
    check_instances(given, found)
    if attempt is not None:
        if not given:
            fail("--attempt is about one instance or several; name them.")
        for identity in given:
            if ATTEMPT in identity:
                fail(f"{identity} is an attempt itself; give --attempt with its instance, or leave it out.")
        given = tuple(f"{identity}{ATTEMPT}{attempt}" for identity in given)
    return Wanted(found, tuple(dict.fromkeys(given)), names, as_json)


def show_logs(service: Service, wanted: Wanted) -> None:
    """Print what there is by now, byte for byte; a last line that is not ended is ended."""
    ids = wanted.ids or _tried(service, wanted.pipeline)
    if not ids:
        click.echo(f"{wanted.pipeline} has no logs: nothing was tried yet.", err=True)
    found = []
    printer = Printer(wanted)
    for identity in ids:
        try:
            listed = service.own.call("ListLogs", pipelineId=wanted.pipeline.pipeline_id, objectId=identity)
        except ServiceError as error:
            if wanted.ids or error.code != "InvalidRequestException":
                raise
            click.echo(f"penstock: {error.message}", err=True)
            continue
        attempt = listed["attemptId"]
        names = [log["name"] for log in listed["logs"] if log["name"] in wanted.names]
        if wanted.as_json:
            files = {name: b"".join(_parts(service, wanted.pipeline, attempt, name)) for name in names}
            texts = {name: content.decode("utf-8", "replace") for name, content in files.items()}
            found.append({"attempt": attempt, "uri": listed.get("uri"), "files": texts})
            continue
        if not listed["logs"]:
            click.echo(f"{attempt} has left no logs.", err=True)
        for name in names:
            for content in _parts(service, wanted.pipeline, attempt, name):
                printer.put(attempt, name, content)
            printer.end_line()
    if wanted.as_json:
        print_json({"pipelineId": wanted.pipeline.pipeline_id, "attempts": found})


def _tried(service: Service, pipeline: Named) -> tuple[str, ...]:
    found = instances(service.client, pipeline.pipeline_id)
    return tuple(fields["@headAttempt"] for fields in found if "@headAttempt" in fields)


def _parts(service: Service, pipeline: Named, attempt: str, name: str) -> Iterator[bytes]:
    tail = Tail(attempt, name)
    while part := tail.read(service, pipeline):
        yield part


@dataclass
class Tail:
    """A log that is being read: how far it was, and the beginning of a line whose end has not come."""

    attempt: str
    name: str
    offset: int = 0
    line: bytes = b""
    is_complete: bool = False

    def read(self, service: Service, pipeline: Named) -> bytes:
        """What has come since the last time, at most one part of it."""
        if self.is_complete:
            return b""
        answer = service.own.call(
            "ReadLog", pipelineId=pipeline.pipeline_id, objectId=self.attempt, name=self.name, offset=self.offset
        )
        self.offset, self.is_complete = answer["nextOffset"], answer["isComplete"]
        content: bytes = answer["content"]
        return content

    def lines(self, content: bytes) -> bytes:
        """The lines that are whole now; what is left waits, unless it is very long or the last there is."""
        whole, newline, self.line = (self.line + content).rpartition(b"\n")
        whole += newline
        if self.is_complete or len(self.line) > LONGEST_LINE:
            whole, self.line = whole + self.line, b""
        return whole


@dataclass
class Printer:
    """Prints parts of logs to standard output, each under the heading of its log."""

    wanted: Wanted
    _under: tuple[str, str] | None = None
    _is_open: bool = False  # whether the last line is not ended

    def put(self, attempt: str, name: str, content: bytes) -> None:
        """Print a part of a log."""
        if not content:
            return
        out = sys.stdout.buffer
        if self.wanted.as_json:
            text = content.decode("utf-8", "replace")
            out.write(json.dumps({"attempt": attempt, "name": name, "text": text}, ensure_ascii=False).encode() + b"\n")
        else:
            if self._under != (attempt, name) and not self.wanted.is_one:
                self.end_line()
                out.write(f"==> {attempt} {name} <==\n".encode("utf-8", "replace"))
            self._under = (attempt, name)
            out.write(content)
            self._is_open = not content.endswith(b"\n")
        out.flush()

    def end_line(self) -> None:
        """End a line that is not ended."""
        if self._is_open:
            sys.stdout.buffer.write(b"\n")
            sys.stdout.buffer.flush()
        self._is_open = False


def follow_logs(service: Service, wanted: Wanted, sleep: Callable[[float], None] = time.sleep) -> None:
    """Print the logs of attempts that run, as they come, until all have ended; Ctrl-C ends it before."""
    news = _InstanceNews(service, wanted) if wanted.ids else _PipelineNews(service, wanted.pipeline)
    printer = Printer(wanted)
    tails: dict[tuple[str, str], Tail] = {}
    with Interruption() as interruption:
        try:
            while True:
                attempts, may_be_more = news.look()
                for attempt in attempts:
                    for name in wanted.names:
                        tails.setdefault((attempt, name), Tail(attempt, name))
                open_tails = [tail for tail in tails.values() if not tail.is_complete]
                has_news = sum(_print_news(service, wanted, tail, tails, printer) for tail in open_tails) > 0
                if not may_be_more and all(tail.is_complete for tail in tails.values()):
                    printer.end_line()
                    return
                if not has_news:
                    sleep(PAUSE)
        except Interrupted:
            interruption.shield()
            printer.end_line()
            sys.exit(interruption.status)


def _print_news(
    service: Service, wanted: Wanted, tail: Tail, tails: dict[tuple[str, str], Tail], printer: Printer
) -> bool:
    """Print what has come to a log; an attempt that has ended without any logs is told of once."""
    try:
        content = tail.read(service, wanted.pipeline)
    except ServiceError as error:
        if error.code != "InvalidRequestException":
            raise
        click.echo(f"penstock: {error.message}", err=True)
        for name in wanted.names:
            tails[tail.attempt, name].is_complete = True
        return True
    printer.put(tail.attempt, tail.name, tail.lines(content))
    return bool(content)


@dataclass
class _InstanceNews:
    """The attempts of instances and attempts that were named, and whether any of them goes on."""

    service: Service
    wanted: Wanted

    def look(self) -> tuple[list[str], bool]:
        attempts: list[str] = []
        may_be_more = False
        for start in range(0, len(self.wanted.ids), 100):
            ids = list(self.wanted.ids[start : start + 100])
            answer = self.service.client.call(
                "DescribeObjects", pipelineId=self.wanted.pipeline.pipeline_id, objectIds=ids
            )
            for fields in map(flat, answer["pipelineObjects"]):
                may_be_more = may_be_more or fields.get("@status") not in FINAL
                if fields.get("@sphere") == "ATTEMPT":
                    attempts.append(fields["id"])
                elif "@headAttempt" in fields:
                    attempts.append(fields["@headAttempt"])
        return attempts, may_be_more


@dataclass
class _PipelineNews:
    """The attempts of a pipeline that run, and those that begin while it is looked at."""

    service: Service
    pipeline: Named
    _after: int = 0
    _has_looked: bool = False

    def look(self) -> tuple[list[str], bool]:
        pipeline_id = self.pipeline.pipeline_id
        progress = self.service.own.call("DescribeProgress", pipelineId=pipeline_id)
        begun = [
            event["objectId"] for event in self._events() if event["sphere"] == "ATTEMPT" and event["verb"] == "take"
        ]
        if not self._has_looked:
            begun = self._running_now()
        self._has_looked = True
        return begun, bool(progress["working"] + progress["due"] + progress["retrying"])

    def _events(self) -> Iterator[dict[str, Any]]:
        while True:
            answer = self.service.own.call("ListEvents", pipelineId=self.pipeline.pipeline_id, after=self._after)
            for event in answer["events"]:
                self._after = event["sequence"]
                yield event
            if not answer["hasMoreResults"]:
                return

    def _running_now(self) -> list[str]:
        found = instances(self.service.client, self.pipeline.pipeline_id)
        return [i["@headAttempt"] for i in found if i["@status"] not in FINAL and "@headAttempt" in i]
