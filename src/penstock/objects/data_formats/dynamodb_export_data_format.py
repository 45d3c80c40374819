"""DynamoDBExportDataFormat."""

from __future__ import annotations

from penstock.objects.families import DataFormat


class DynamoDBExportDataFormat(DataFormat):
    """The columns of a DynamoDB table as HiveCopyActivity exports and imports them; all attributes if none is named."""

    icon = "format"
    is_built = False
