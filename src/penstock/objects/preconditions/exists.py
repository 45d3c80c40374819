"""Exists."""

from __future__ import annotations

from penstock.objects.families import DataNode, Precondition
from penstock.objects.work import Work, WorkFailed


class Exists(Precondition):
    """Holds when the data of the node that has it is there."""

    icon = "check"

    def holds(self, work: Work) -> bool:
        """Ask the data node."""
        if not isinstance(self.node, DataNode):
            raise WorkFailed(f"Exists works on data nodes; '{self.name}' is used by an object that is none.")
        return self.node.exists(work)
