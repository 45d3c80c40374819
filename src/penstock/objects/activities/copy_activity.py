"""CopyActivity."""

from __future__ import annotations

from penstock.definition.slots import slot
from penstock.objects.families import Activity, DataNode
from penstock.objects.work import Work, WorkFailed


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
            result = copy(source.side(work), target.side(work), work.progress)
            rows, size = rows + result.rows, size + result.bytes
        work.log(f"Copied {rows:,} rows, {size:,} bytes")
        work.report({"rows": str(rows), "bytes": str(size)})
