"""TSV."""

from __future__ import annotations

from penstock.data import formats
from penstock.definition.slots import slot
from penstock.objects.families import DataFormat


class TSV(DataFormat):
    """Rows of values between tabs."""

    icon = "format"

    column_separator: str | None = slot("The character between values.", default="\t")
    escape_char: str | None = slot("The character that takes the next one's meaning away.", default="\\")
    record_separator: str | None = slot("The character after a row.", default="\n")

    def format(self) -> formats.Format:
        """Tabs and line feeds; NULL is a backslash and N."""
        return formats.TSV(
            columns=tuple(self.column),
            escape_char=self.escape_char,
            column_separator=self.column_separator or "\t",
            record_separator=self.record_separator or "\n",
        )
