"""RegEx."""

from __future__ import annotations

from penstock.definition.slots import slot
from penstock.objects.families import DataFormat


class RegEx(DataFormat):
    """Rows whose values are the groups of a regular expression."""

    icon = "format"
    is_built = False

    input_reg_ex: str | None = slot("The regular expression that a row matches, with a group for each column.")
    output_format: str | None = slot("How a row is written: %1$s stands for the first column, and so on.")
