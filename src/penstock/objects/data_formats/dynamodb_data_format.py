"""DynamoDBDataFormat."""

from __future__ import annotations

from penstock.objects.families import DataFormat


class DynamoDBDataFormat(DataFormat):
    """The columns of a DynamoDB table as HiveActivity sees them; every column of the query is named."""

    icon = "format"
    is_built = False
