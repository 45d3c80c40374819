"""OpenLineage's events of an attempt, as JSON documents by https://openlineage.io/spec/2-0-2/OpenLineage.json.

The job is `<pipeline's name>.<component>`, the run is the attempt, and the run of the whole pipeline at the scheduled
start is its parent. The ids of runs are made from those of the pipeline and the attempt, so that others can make them
too: UUIDs of version 5 in the namespace `RUNS`, of `<pipelineId>/<attempt's id>` and `<pipelineId>/<scheduled start>`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import NAMESPACE_URL, UUID, uuid5

from penstock import __version__
from penstock.data.datasets import Dataset
from penstock.objects.lineage import Column, Lineage

Document = dict[str, Any]
Kind = Literal["START", "COMPLETE", "FAIL", "ABORT"]

PRODUCER = f"urn:penstock:{__version__}"
RUNS = uuid5(NAMESPACE_URL, "urn:penstock:runs")
SPEC = "https://openlineage.io/spec"
EVENT_SCHEMA = f"{SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"
_FACETS = {
    "dataSource": "1-0-1/DatasourceDatasetFacet",
    "errorMessage": "1-0-1/ErrorMessageRunFacet",
    "inputStatistics": "1-0-0/InputStatisticsInputDatasetFacet",
    "jobType": "2-0-4/JobTypeJobFacet",
    "nominalTime": "1-0-1/NominalTimeRunFacet",
    "outputStatistics": "1-0-2/OutputStatisticsOutputDatasetFacet",
    "parent": "1-2-0/ParentRunFacet",
    "processing_engine": "1-1-1/ProcessingEngineRunFacet",
    "schema": "1-2-0/SchemaDatasetFacet",
}
"""The schema of each facet."""


@dataclass(frozen=True)
class Subject:
    """What the events of one attempt are about; the times of the schedule as fields have them."""

    namespace: str
    pipeline_id: str
    pipeline_name: str
    component: str
    type_name: str
    attempt_id: str
    scheduled_start: str
    scheduled_end: str

    @property
    def run_id(self) -> UUID:
        """The id of the attempt's run."""
        return uuid5(RUNS, f"{self.pipeline_id}/{self.attempt_id}")

    @property
    def parent_run_id(self) -> UUID:
        """The id of the run of the whole pipeline."""
        return uuid5(RUNS, f"{self.pipeline_id}/{self.scheduled_start}")


@dataclass(frozen=True)
class Failed:
    """Why an attempt failed."""

    message: str
    stack_trace: str = ""


def run_event(
    kind: Kind,
    moment: datetime,
    subject: Subject,
    sources: Iterable[Dataset],
    targets: Iterable[Dataset],
    moved: Iterable[Lineage] = (),
    failed: Failed | None = None,
) -> Document:
    """One event: `sources` and `targets` are those of the definition, `moved` is what was seen to move."""
    moved = tuple(moved)
    return {
        "eventType": kind,
        "eventTime": moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "producer": PRODUCER,
        "schemaURL": EVENT_SCHEMA,
        "run": {"runId": str(subject.run_id), "facets": _run_facets(subject, failed)},
        "job": {
            "namespace": subject.namespace,
            "name": f"{subject.pipeline_name}.{subject.component}",
            "facets": _facet("jobType", processingType="BATCH", integration="PENSTOCK", jobType=subject.type_name),
        },
        "inputs": [_dataset(data, "inputFacets", "inputStatistics") for data in _seen(sources, moved, is_source=True)],
        "outputs": [
            _dataset(data, "outputFacets", "outputStatistics") for data in _seen(targets, moved, is_source=False)
        ],
    }


def _facet(key: str, **values: Any) -> Document:
    """A facet by its key; what is None or empty is left out."""
    schema = f"{SPEC}/facets/{_FACETS[key]}.json#/$defs/{_FACETS[key].partition('/')[2]}"
    given = {name: value for name, value in values.items() if value not in (None, "", [])}
    return {key: {"_producer": PRODUCER, "_schemaURL": schema, **given}}


def _run_facets(subject: Subject, failed: Failed | None) -> Document:
    start, end = (f"{text}Z" if text else None for text in (subject.scheduled_start, subject.scheduled_end))
    facets = _facet("processing_engine", version=__version__, name="Penstock")
    facets |= _facet(
        "parent",
        run={"runId": str(subject.parent_run_id)},
        job={"namespace": subject.namespace, "name": subject.pipeline_name},
    )
    if start is not None:
        facets |= _facet("nominalTime", nominalStartTime=start, nominalEndTime=end if end != start else None)
    if failed is not None:
        facets |= _facet(
            "errorMessage", message=failed.message, programmingLanguage="Python", stackTrace=failed.stack_trace
        )
    return facets


@dataclass
class _Seen:
    """A dataset with what was seen of it; numbers of several movements are added up."""

    dataset: Dataset
    columns: tuple[Column, ...] = ()
    rows: int | None = None
    bytes: int | None = None


def _seen(declared: Iterable[Dataset], moved: Iterable[Lineage], *, is_source: bool) -> list[_Seen]:
    found = {(data.namespace, data.name): _Seen(data) for data in declared}
    for lineage in moved:
        datasets = lineage.sources if is_source else lineage.targets
        for data in datasets:
            seen = found.setdefault((data.namespace, data.name), _Seen(data))
            seen.columns = seen.columns or lineage.columns
            if len(datasets) == 1:
                seen.rows = _sum(seen.rows, lineage.rows)
                seen.bytes = _sum(seen.bytes, lineage.bytes)
    return list(found.values())


def _sum(one: int | None, other: int | None) -> int | None:
    return other if one is None else one + (other or 0)


def _dataset(seen: _Seen, facets_key: str, statistics: str) -> Document:
    data = seen.dataset
    facets = _facet("dataSource", name=data.source_uri, uri=data.source_uri)
    if seen.columns:
        fields: list[Mapping[str, str]] = [
            {"name": name, "type": kind} if kind else {"name": name} for name, kind in seen.columns
        ]
        facets |= _facet("schema", fields=fields)
    made: Document = {"namespace": data.namespace, "name": data.name, "facets": facets}
    if seen.rows is not None or seen.bytes is not None:
        made[facets_key] = _facet(statistics, rowCount=seen.rows, size=seen.bytes)
    return made
