"""TSV."""

from __future__ import annotations

from typing import Literal

from penstock.data import formats
from penstock.definition.model import PipelineObject
from penstock.definition.problems import Problem
from penstock.definition.slots import slot
from penstock.objects.data_formats.marks import mark_problems
from penstock.objects.families import DataFormat


class TSV(DataFormat):
    """Rows of values between tabs, with a backslash before what would be misread."""

    icon = "format"

    column_separator: str | None = slot("The character between values.", default="\t")
    escape_char: str | None = slot("The character that takes the next one's meaning away.", default="\\")
    record_separator: str | None = slot("The character after a row.", default="\n")
    quoting: Literal["none", "rfc4180"] = slot(
        "How a value with a tab or a line break is written: none has the escape character before it, rfc4180 has"
        ' quotes around the value, with NULL as nothing and the empty string as "".',
        default="none",
        is_extension=True,
    )
    header: bool = slot("Whether the first line holds the names of the columns.", default=False, is_extension=True)

    @classmethod
    def check(cls, obj: PipelineObject) -> list[Problem]:
        """Separators are single characters that differ."""
        return [*super().check(obj), *mark_problems(obj, ("columnSeparator", "recordSeparator", "escapeChar"))]

    def format(self) -> formats.Format:
        """Tabs and line feeds; NULL is a backslash and N, or nothing with quotes."""
        return formats.delimited(
            "TSV",
            self.column,
            self.escape_char,
            self.quoting,
            header=self.header,
            column_separator=self.column_separator or "\t",
            record_separator=self.record_separator or "\n",
        )
