"""RowCountBetween."""

from __future__ import annotations

from penstock.data.counting import count_rows
from penstock.definition.model import PipelineObject
from penstock.definition.problems import Problem, shown
from penstock.definition.slots import slot
from penstock.objects.families import DataNode, Precondition, least
from penstock.objects.work import Work, WorkFailed


class RowCountBetween(Precondition):
    """Holds when the data of the node that has it has as many rows as it should: a table, a query's rows, or files."""

    icon = "check"
    is_extension = True
    is_asked_last = True

    minimum: int | None = slot("The fewest rows that there may be.", one_of="bounds")
    maximum: int | None = slot("The most rows that there may be.", one_of="bounds")

    @classmethod
    def check(cls, obj: PipelineObject) -> list[Problem]:
        """Neither bound is negative, and the maximum is not below the minimum."""
        problems = [*super().check(obj), *least(obj, "minimum", 0), *least(obj, "maximum", 0)]
        low, high = ((obj.text(key) or "").strip() for key in ("minimum", "maximum"))
        if not problems and low.isdecimal() and high.isdecimal() and int(low[:40]) > int(high[:40]):
            message = f"'maximum' is {shown(high)}, which is less than 'minimum', {shown(low)}."
            problems.append(Problem(obj.id, "maximum", message, "Exchange them, or leave one out.", high))
        return problems

    def holds(self, work: Work) -> bool:
        """Count the rows, no further than the answer needs."""
        if not isinstance(self.node, DataNode):
            raise WorkFailed(f"RowCountBetween works on data nodes; '{self.name}' is used by an object that is none.")
        minimum, maximum = self.minimum or 0, self.maximum
        stop_at = minimum if maximum is None else maximum + 1
        count = count_rows(self.node.side(work), stop_at, work.check_stopped) if stop_at else 0
        holds = count >= minimum and (maximum is None or count <= maximum)
        asked = f"{minimum:,} or more" if maximum is None else f"{minimum:,} to {maximum:,}"
        work.found(f"{self.node.id} has {self._seen(count, stop_at)}; asked for are {asked}.")
        return holds

    def _seen(self, count: int, stop_at: int) -> str:
        """The count in words; where counting ended early there may be more."""
        if count < stop_at:
            return _rows(count)
        return f"{_rows(count)} or more" if self.maximum is None else f"more than {_rows(self.maximum)}"


def _rows(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"
