"""What work has moved, from where to where: recorded by the work, kept with its attempt, and told to OpenLineage."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penstock.data.datasets import Dataset

if TYPE_CHECKING:
    from penstock.objects.families import DataNode
    from penstock.objects.work import Work

Column = tuple[str, str]
"""The name of a column and its type, which is empty where it is not known."""

MOST_COLUMNS = 200


@dataclass(frozen=True)
class Lineage:
    """One movement of data. None is a number that is not known; `seconds` is how long it took.

    `columns` are those that were seen on the way, `way` says how the data was moved where that is worth a word.
    """

    sources: tuple[Dataset, ...]
    targets: tuple[Dataset, ...]
    rows: int | None = None
    bytes: int | None = None
    seconds: float = 0.0
    columns: tuple[Column, ...] = ()
    way: str = ""


def between(
    work: Work,
    source: DataNode,
    target: DataNode,
    *,
    rows: int | None = None,
    bytes: int | None = None,
    seconds: float = 0.0,
    columns: Sequence[Column] = (),
    way: str = "",
) -> Lineage:
    """What has moved from one data node to another; `columns` where they were seen, else those of a data format."""
    columns = columns or declared_columns(source) or declared_columns(target)
    sources, targets = ((dataset,) if (dataset := node.dataset(work)) else () for node in (source, target))
    return Lineage(sources, targets, rows, bytes, seconds, tuple(columns), way)


def declared_columns(node: DataNode) -> tuple[Column, ...]:
    """The columns that the data format of a node's files lists, each `name` or `name TYPE`."""
    listed: Sequence[str] = getattr(getattr(node, "data_format", None), "column", ())
    return tuple((name, kind.strip()) for name, _, kind in (text.strip().partition(" ") for text in listed))


def fields_of(moved: Sequence[Lineage]) -> dict[str, str]:
    """All movements of an attempt as its fields: numbers are added up, of lists there is an entry a line."""
    rows = [lineage.rows for lineage in moved if lineage.rows is not None]
    sizes = [lineage.bytes for lineage in moved if lineage.bytes is not None]
    columns = [column for lineage in moved for column in lineage.columns]
    fields = {
        "rows": str(sum(rows)) if rows else "",
        "bytes": str(sum(sizes)) if sizes else "",
        "seconds": f"{sum(lineage.seconds for lineage in moved):.3f}",
        "source": _lines(dataset.uri for lineage in moved for dataset in lineage.sources),
        "target": _lines(dataset.uri for lineage in moved for dataset in lineage.targets),
        "columns": _lines(f"{name} {kind}".rstrip() for name, kind in columns[:MOST_COLUMNS]),
        "way": _lines(lineage.way for lineage in moved),
    }
    return {key: value for key, value in fields.items() if value}


def _lines(texts: Iterable[str]) -> str:
    return "\n".join(dict.fromkeys(text for text in texts if text))
