"""Custom."""

from __future__ import annotations

from typing import Literal

from penstock.data import formats
from penstock.definition.model import PipelineObject
from penstock.definition.problems import Problem
from penstock.definition.slots import slot
from penstock.objects.data_formats.marks import mark_problems
from penstock.objects.families import DataFormat


class Custom(DataFormat):
    """Rows of values between separators of one's own choice: any characters, control characters too (`\\u0001`).

    Without an escapeChar or quoting a value that holds a separator or a line break cannot be written, and is refused.
    """

    icon = "format"

    column_separator: str = slot("The character between values.")
    record_separator: str | None = slot("The character after a row; a line feed if unset.")
    escape_char: str | None = slot("The character that takes the next one's meaning away; none.", is_extension=True)
    quoting: Literal["none", "rfc4180"] = slot(
        "With rfc4180 a value with a separator or a line break has quotes around it, NULL is nothing and the empty"
        ' string is "".',
        default="none",
        is_extension=True,
    )
    header: bool = slot("Whether the first line holds the names of the columns.", default=False, is_extension=True)

    @classmethod
    def check(cls, obj: PipelineObject) -> list[Problem]:
        """Separators are single characters that differ."""
        return [*super().check(obj), *mark_problems(obj, ("columnSeparator", "recordSeparator", "escapeChar"))]

    def format(self) -> formats.Format:
        """The separators as they are given; NULL is a backslash and N, or nothing with quotes."""
        return formats.delimited(
            "Custom",
            self.column,
            self.escape_char,
            self.quoting,
            header=self.header,
            column_separator=self.column_separator,
            record_separator=self.record_separator or "\n",
        )
