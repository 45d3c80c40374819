"""DynamoDBExportDataFormat."""

from __future__ import annotations

from penstock.data import formats
from penstock.objects.families import DataFormat


class DynamoDBExportDataFormat(DataFormat):
    """The columns of a DynamoDB table as HiveCopyActivity exports and imports them; all attributes if none is named.

    In files an item is a line, its attributes with their types; without columns a row is an item, as DynamoDB's JSON.
    """

    icon = "format"

    def format(self) -> formats.DynamoDBExport:
        """An item on each line."""
        return formats.DynamoDBExport(tuple(self.column))
