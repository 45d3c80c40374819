"""Custom."""

from __future__ import annotations

from penstock.definition.slots import slot
from penstock.objects.families import DataFormat


class Custom(DataFormat):
    """Rows of values between separators of one's own choice."""

    icon = "format"
    is_built = False

    column_separator: str = slot("The character between values.")
    record_separator: str | None = slot("The character after a row.")
