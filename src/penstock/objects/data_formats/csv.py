"""CSV."""

from __future__ import annotations

from penstock.data import formats
from penstock.definition.slots import slot
from penstock.objects.families import DataFormat


class CSV(DataFormat):
    """Rows of values between commas, not quoted, with a backslash before what would be misread."""

    icon = "format"

    escape_char: str | None = slot("The character that takes the next one's meaning away.", default="\\")

    def format(self) -> formats.Format:
        """Commas and line feeds; NULL is a backslash and N."""
        return formats.CSV(columns=tuple(self.column), escape_char=self.escape_char)
