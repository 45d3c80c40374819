"""CSV."""

from __future__ import annotations

from typing import Literal

from penstock.data import formats
from penstock.definition.model import PipelineObject
from penstock.definition.problems import Problem
from penstock.definition.slots import slot
from penstock.objects.data_formats.marks import mark_problems
from penstock.objects.families import DataFormat


class CSV(DataFormat):
    """Rows of values between commas, not quoted, with a backslash before what would be misread."""

    icon = "format"

    escape_char: str | None = slot("The character that takes the next one's meaning away.", default="\\")
    quoting: Literal["none", "rfc4180"] = slot(
        "How a value with a comma or a line break is written: none has the escape character before it, rfc4180 has"
        ' quotes around the value, with NULL as nothing and the empty string as "".',
        default="none",
        is_extension=True,
    )
    header: bool = slot("Whether the first line holds the names of the columns.", default=False, is_extension=True)

    @classmethod
    def check(cls, obj: PipelineObject) -> list[Problem]:
        """The escape character is one, and not given with quotes."""
        return [*super().check(obj), *mark_problems(obj, ("escapeChar",))]

    def format(self) -> formats.Format:
        """Commas and line feeds; NULL is a backslash and N, or nothing with quotes."""
        return formats.delimited("CSV", self.column, self.escape_char, self.quoting, header=self.header)
