"""Parquet."""

from __future__ import annotations

from penstock.data import formats
from penstock.objects.families import DataFormat


class Parquet(DataFormat):
    """Parquet files, with the types of their columns.

    A column that is written has the type that `column` says, else that of its values. What is nested is read as JSON.
    """

    icon = "format"
    is_extension = True

    def format(self) -> formats.Parquet:
        """The columns with their types."""
        return formats.Parquet(tuple(self.column))
