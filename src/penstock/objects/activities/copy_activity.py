"""CopyActivity."""

from __future__ import annotations

from functools import partial
from time import monotonic

from penstock.definition.slots import slot
from penstock.objects.families import Activity, DataNode
from penstock.objects.lineage import between
from penstock.objects.work import Work, WorkFailed

UNCOUNTED = ("storage", "bytes")  # ways of a copy that look at no records


class CopyActivity(Activity):
    """Copies data from one data node to another."""

    icon = "copy"

    input: list[DataNode] = slot("The data that is read.", one_of="source")
    output: list[DataNode] = slot("The data that is written.", one_of="target")

    def run(self, work: Work) -> None:
        """Copy each input to the one output, or each to the output of the same place."""
        from penstock.data.copy import copy

        if not self.input or not self.output:
            raise WorkFailed("CopyActivity needs an input and an output.")
        if len(self.output) not in (1, len(self.input)):
            raise WorkFailed(f"{len(self.input)} inputs cannot be copied to {len(self.output)} outputs.")
        rows = size = 0
        for number, source in enumerate(self.input):
            target = self.output[number if len(self.output) > 1 else 0]
            work.log(f"Copying {source.id} to {target.id}")
            began = monotonic()
            result = copy(source.side(work), target.side(work), partial(_progress, work, rows, size), wait=work.pause)
            rows, size = rows + result.rows, size + result.bytes
            moved = between(
                work,
                source,
                target,
                rows=None if result.way in UNCOUNTED else result.rows,
                bytes=result.bytes,
                seconds=monotonic() - began,
                columns=result.columns,
                way=result.way,
            )
            work.record(moved)
        work.log(f"Copied {rows:,} rows, {size:,} bytes")


def _progress(work: Work, rows_before: int, bytes_before: int, *, rows: int, bytes: int) -> None:
    """Report what one copy has come to, with those that went before it."""
    work.progress(rows=rows_before + rows, bytes=bytes_before + bytes)
