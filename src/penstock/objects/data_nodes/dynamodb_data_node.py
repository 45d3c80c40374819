"""DynamoDBDataNode."""

from __future__ import annotations

from penstock.definition.slots import slot
from penstock.objects.data_formats.dynamodb_data_format import DynamoDBDataFormat
from penstock.objects.data_formats.dynamodb_export_data_format import DynamoDBExportDataFormat
from penstock.objects.families import DataNode


class DynamoDBDataNode(DataNode):
    """A table in DynamoDB."""

    icon = "table"
    is_built = False

    table_name: str = slot("The name of the table.")
    data_format: DynamoDBDataFormat | DynamoDBExportDataFormat | None = slot("The columns of the table.")
    read_throughput_percent: float | None = slot("The share of the table's read capacity to use, from 0.1 to 1.0.")
    region: str | None = slot("The AWS region of the table.")
    write_throughput_percent: float | None = slot("The share of the table's write capacity to use, from 0.1 to 1.0.")
