"""What an attempt reads and writes: collected while it works, and told to OpenLineage where the settings say so."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from penstock.clock import Clock
from penstock.data.datasets import Dataset
from penstock.objects.families import Activity, DataNode
from penstock.objects.lineage import Lineage
from penstock.objects.work import Work
from penstock.runner.event_sender import EventSender
from penstock.runner.masking import Masking
from penstock.runner.open_lineage import Document, Failed, Kind, Subject, run_event


class TaskLineage:
    """The lineage of one attempt; without a sender it is only collected. Nothing here raises."""

    def __init__(self, subject: Subject, sender: EventSender | None, clock: Clock, masking: Masking) -> None:
        self.moved: list[Lineage] = []
        self._subject = subject
        self._sender = sender
        self._clock = clock
        self._masking = masking
        self._has_begun = False
        self._sources: list[Dataset] = []
        self._targets: list[Dataset] = []

    def begin(self, activity: Activity, work: Work) -> None:
        """An activity begins: tell what it is to read and to write."""
        if self._sender is not None:
            self._has_begun = True
            self._sources, self._targets = _named(activity.input, work), _named(activity.output, work)
            self._tell("START")

    def end(self, kind: Kind, outcome: Mapping[str, str] | None = None) -> None:
        """It has ended; `outcome` is what a failure is reported with."""
        if self._has_begun:
            failed = Failed(outcome["errorMessage"], outcome.get("errorStackTrace", "")) if outcome else None
            self._tell(kind, failed)

    def _tell(self, kind: Kind, failed: Failed | None = None) -> None:
        assert self._sender is not None
        event = run_event(kind, self._clock.now(), self._subject, self._sources, self._targets, self.moved, failed)
        self._sender.send(_masked(event, self._masking))


def _named(nodes: Sequence[DataNode], work: Work) -> list[Dataset]:
    """The names of the data; whatever is wrong with an address, the work is what says so."""
    found = []
    for node in nodes:
        with contextlib.suppress(Exception):
            found.append(node.dataset(work))
    return [dataset for dataset in found if dataset is not None]


def _masked(value: Any, masking: Masking) -> Any:
    """A document without secrets, wherever they stand."""
    if isinstance(value, dict):
        document: Document = {key: _masked(entry, masking) for key, entry in value.items()}
        return document
    if isinstance(value, list):
        return [_masked(entry, masking) for entry in value]
    return masking.text(value) if isinstance(value, str) else value
