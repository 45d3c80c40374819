"""What a run has come to: its instances, the files that it wrote, and how to look further."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from penstock.cli.follow import FINAL, Outcome, attempt_logs, instances
from penstock.cli.moved import amount_of_instance, json_of
from penstock.cli.output import counted, moment, table
from penstock.wire.client import Client
from penstock.wire.reasons import DEACTIVATED

ALWAYS_SHOWN = (
    "id",
    "@componentParent",
    "type",
    "@status",
    "@scheduledStartTime",
    "@scheduledEndTime",
    "@actualStartTime",
    "@actualEndTime",
)
SHOWN = ("@attemptCount", "errorId", "errorMessage", "cancellationReason", "@cascadeFailedOn")
MOST_SHOWN = 40
UNSUCCESSFUL = ("FAILED", "CANCELED", "CASCADE_FAILED", "TIMEDOUT")


@dataclass(frozen=True)
class Result:
    """The end of a run; `not_made` counts the instances that are due but were never made."""

    pipeline_id: str
    state: str
    instances: list[dict[str, str]]
    outputs: list[str]
    not_made: int = 0

    @property
    def failed(self) -> list[dict[str, str]]:
        """The instances that did not succeed."""
        return [i for i in self.instances if i["@status"] in UNSUCCESSFUL and not _is_left(i)]

    @property
    def left(self) -> list[str]:
        """The ids of the instances that the run did not come to, or did not finish."""
        return [i["id"] for i in self.instances if _is_left(i)]

    def as_json(self) -> dict[str, Any]:
        """The object that `--json` prints; a time that has not come is null."""
        return {
            "pipelineId": self.pipeline_id,
            "state": self.state,
            "instances": [
                {key: instance.get(key) for key in ALWAYS_SHOWN}
                | {key: instance[key] for key in SHOWN if key in instance}
                | json_of(instance)
                for instance in self.instances
            ],
            "outputs": self.outputs,
        }


def _is_left(instance: dict[str, str]) -> bool:
    return instance["@status"] not in FINAL or instance.get("cancellationReason") == DEACTIVATED


def state_of(described: dict[str, Any]) -> str:
    """The state in an answer's description of a pipeline."""
    state: str = next(field["stringValue"] for field in described["fields"] if field["key"] == "@pipelineState")
    return state


def read_result(client: Client, pipeline_id: str, due: int) -> Result:
    """Ask the service for the end of a run of which so many instances, preconditions not counted, were due."""
    described = client.call("DescribePipelines", pipelineIds=[pipeline_id])["pipelineDescriptionList"][0]
    found = instances(client, pipeline_id, evaluate=True)
    made = sum("node" not in instance for instance in found)
    return Result(pipeline_id, state_of(described), found, _outputs(found), max(0, due - made))


def _outputs(found: list[dict[str, str]]) -> list[str]:
    """The places that activities have written and no other activity reads: what the pipeline was run for."""
    paths: list[str] = []
    for instance in found:
        is_written = instance.get("type") == "S3DataNode" and "input" in instance and instance["@status"] == "FINISHED"
        if is_written and "output" not in instance:
            paths.append(instance.get("filePath") or instance.get("directoryPath") or "")
    return sorted(path for path in paths if path and "#{" not in path)


def write_table(result: Result) -> None:
    """The instances, one a line, on standard output."""
    rows = [
        [
            instance["@componentParent"],
            instance.get("@scheduledStartTime", ""),
            instance["@status"],
            instance.get("@actualEndTime", ""),
            instance.get("@attemptCount", "0"),
        ]
        for instance in result.instances
    ]
    headings = ["component", "scheduled start", "status", "ended", "attempts"]
    if any(moved := [amount_of_instance(instance) for instance in result.instances]):
        headings.append("data")
        rows = [[*row, text] for row, text in zip(rows, moved, strict=True)]
    if rows:
        click.echo(table(headings, rows))


def write_summary(result: Result, outcome: Outcome, data_dir: Path, place: str, seconds: float) -> None:
    """What else there is to know, on standard error; `place` is where s3:// is."""
    counts: dict[str, int] = {}
    for instance in result.instances:
        counts[instance["@status"]] = counts.get(instance["@status"], 0) + 1
    summary = ", ".join(f"{count} {status}" for status, count in sorted(counts.items())) or "nothing was due"
    total = len(result.instances)
    state = f"is {result.state}" if not result.failed else f"is {result.state} with failures"
    _say(f"\n{result.pipeline_id} {state} after {seconds:.1f} s: {counted(total, 'instance')}, {summary}")
    _write_failures(result, data_dir)
    _write_list(outcome.blocked, "blocked")
    if outcome.blocked and outcome.waiting:
        _say(f"  Waiting for that: {counted(outcome.waiting, 'instance')}. --wait TIME gives it longer.")
    if outcome.interrupted_by is not None:
        _write_left(result)
    elif outcome.next_due is not None:
        if outcome.waiting and not outcome.blocked:
            _say(f"  Waiting for what is due later: {counted(outcome.waiting, 'instance')}.")
        _say(
            f"  What is due by now is done. More is due at {moment(outcome.next_due)} UTC: --until TIME goes on for"
            " that long, a penstock server for good."
        )
    if result.outputs:
        _say("\nWritten:")
        _write_list(result.outputs, "written")
    _say(f"\ns3:// is {place}; logs are in {data_dir / 'logs' / result.pipeline_id}")
    _say(f"`penstock server --data-dir {data_dir}` shows the pipeline to boto3 and `aws datapipeline`")


def _write_failures(result: Result, data_dir: Path) -> None:
    """Each failure with its reason and its log; what only followed from one is summed up."""
    lines: list[str] = []
    followed: dict[str, None] = {}
    for instance in result.failed:
        if instance["@status"] == "CASCADE_FAILED":
            followed[instance["@componentParent"]] = None
            continue
        reason = instance.get("errorMessage") or instance.get("cancellationReason") or "no reason is known"
        lines.append(f"{instance['id']} {instance['@status']}: {reason}")
        attempt = {**instance, "id": instance.get("@headAttempt", ""), "@instanceParent": instance["id"]}
        folder = attempt_logs(data_dir, result.pipeline_id, attempt)
        if folder is not None:
            lines[-1] += f"\n    log: {folder}"
    _write_list(lines, "failed")
    if followed:
        count = sum(instance["@status"] == "CASCADE_FAILED" for instance in result.failed)
        _say(f"  {count} CASCADE_FAILED, as they need what failed: {', '.join(followed)}")


def _write_left(result: Result) -> None:
    left = result.left
    if not left and not result.not_made:
        _say("  Interrupted, with nothing left to do.")
        return
    _say(f"  Interrupted; left undone: {counted(len(left) + result.not_made, 'instance')}")
    _write_list(left, "left undone")
    if result.not_made:
        _say(f"  … and {result.not_made} that were not begun")


def _write_list(lines: list[str], what: str) -> None:
    for line in lines[:MOST_SHOWN]:
        _say(f"  {line}")
    if len(lines) > MOST_SHOWN:
        _say(f"  … and {len(lines) - MOST_SHOWN} more {what}")


def _say(line: str) -> None:
    click.echo(line, err=True)
