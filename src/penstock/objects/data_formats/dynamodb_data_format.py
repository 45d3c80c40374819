"""DynamoDBDataFormat."""

from __future__ import annotations

from penstock.data import formats
from penstock.objects.families import DataFormat


class DynamoDBDataFormat(DataFormat):
    """The columns of a DynamoDB table as HiveActivity sees them; every column of the query is named.

    In files it is the text of DynamoDBExportDataFormat.
    """

    icon = "format"

    def format(self) -> formats.DynamoDBExport:
        """An item on each line, of the attributes that are named."""
        return formats.DynamoDBExport(tuple(self.column))
