"""JSONLines."""

from __future__ import annotations

from penstock.data import formats
from penstock.objects.families import DataFormat


class JSONLines(DataFormat):
    """A JSON object on each line; its keys are the columns.

    Columns are those of `column`, else the keys of the first object. Numbers keep their digits, NULL is null or a key
    that is missing, and what is nested is JSON. A text goes into quotes, but not in a column of a type of numbers or
    BOOLEAN.
    """

    icon = "format"
    is_extension = True

    def format(self) -> formats.JsonLines:
        """An object on each line."""
        return formats.JsonLines(tuple(self.column))
