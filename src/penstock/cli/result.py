"""What a run has come to: its instances, the files that it wrote, and how to look further."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penstock.cli.follow import FINAL, Outcome, instances
from penstock.cli.output import moment, table
from penstock.wire.client import Client

if TYPE_CHECKING:
    from penstock.cli.run import RunOptions

SHOWN = (
    "type",
    "@status",
    "@scheduledStartTime",
    "@scheduledEndTime",
    "@actualStartTime",
    "@actualEndTime",
    "@attemptCount",
    "errorId",
    "errorMessage",
    "cancellationReason",
    "@cascadeFailedOn",
)
MOST_OUTPUTS = 40
UNSUCCESSFUL = ("FAILED", "CANCELED", "CASCADE_FAILED", "TIMEDOUT")


@dataclass(frozen=True)
class Result:
    """The end of a run."""

    pipeline_id: str
    state: str
    instances: list[dict[str, str]]
    outputs: list[str]

    @property
    def failed(self) -> list[dict[str, str]]:
        """The instances that did not succeed."""
        return [instance for instance in self.instances if instance["@status"] in UNSUCCESSFUL]

    def as_json(self) -> dict[str, Any]:
        """The object that `--json` prints."""
        return {
            "pipelineId": self.pipeline_id,
            "state": self.state,
            "instances": [
                {"id": instance["id"], "@componentParent": instance["@componentParent"]}
                | {key: instance[key] for key in SHOWN if key in instance}
                for instance in self.instances
            ],
            "outputs": self.outputs,
        }


def read_result(client: Client, pipeline_id: str, data_dir: Path) -> Result:
    """Ask the service for the end of a run."""
    described = client.call("DescribePipelines", pipelineIds=[pipeline_id])["pipelineDescriptionList"][0]
    state = next(field["stringValue"] for field in described["fields"] if field["key"] == "@pipelineState")
    found = instances(client, pipeline_id, evaluate=True)
    return Result(pipeline_id, state, found, _outputs(found))


def _outputs(found: list[dict[str, str]]) -> list[str]:
    """The places that activities have written and no other activity reads: what the pipeline was run for."""
    paths: list[str] = []
    for instance in found:
        is_written = instance.get("type") == "S3DataNode" and "input" in instance and instance["@status"] == "FINISHED"
        if is_written and "output" not in instance:
            paths.append(instance.get("filePath") or instance.get("directoryPath") or "")
    return sorted(path for path in paths if path and "#{" not in path)


def write_result(result: Result, outcome: Outcome, options: RunOptions, seconds: float) -> None:
    """The table on standard output; what else there is to know on standard error."""
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
    if rows:
        click.echo(table(("component", "scheduled start", "status", "ended", "attempts"), rows))
    counts: dict[str, int] = {}
    for instance in result.instances:
        counts[instance["@status"]] = counts.get(instance["@status"], 0) + 1
    summary = ", ".join(f"{count} {status}" for status, count in sorted(counts.items())) or "nothing was due"
    _say(f"\n{result.pipeline_id} is {result.state} after {seconds:.1f} s: {len(rows)} instances, {summary}")
    for instance in result.failed:
        reason = instance.get("errorMessage") or instance.get("cancellationReason")
        reason = reason or f"because of {instance.get('@cascadeFailedOn', 'another object')}"
        _say(f"  {instance['id']} {instance['@status']}: {reason}")
    for line in outcome.blocked:
        _say(f"  {line}")
    if outcome.is_interrupted:
        left = [i["id"] for i in result.instances if i["@status"] not in FINAL or "deactivated" in str(i)]
        _say(f"  Interrupted; left undone: {', '.join(left) or 'nothing'}")
    elif outcome.next_due is not None:
        _say(f"  More is due at {moment(outcome.next_due)}; --until TIME goes on, a penstock server runs it for good.")
    if result.outputs:
        _say("\nWritten:")
        for path in result.outputs[:MOST_OUTPUTS]:
            _say(f"  {path}")
        if len(result.outputs) > MOST_OUTPUTS:
            _say(f"  … and {len(result.outputs) - MOST_OUTPUTS} more")
    _say(f"\ns3:// is {options.data_dir / 's3'}; logs are in {options.data_dir / 'logs' / result.pipeline_id}")


def _say(line: str) -> None:
    click.echo(line, err=True)
