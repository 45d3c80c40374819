"""HiveCopyActivity."""

from __future__ import annotations

from penstock.definition.slots import slot
from penstock.objects.activities.cluster_activity import ResizingActivity, ScriptedActivity
from penstock.objects.data_nodes.dynamodb_data_node import DynamoDBDataNode
from penstock.objects.data_nodes.s3_data_node import S3DataNode


class HiveCopyActivity(ScriptedActivity, ResizingActivity):
    """Copies a DynamoDB table to another one or to S3, or S3 to a table."""

    icon = "copy"
    is_built = False

    filter_sql: str | None = slot("Which rows are copied: the conditions of a Hive WHERE, without that word.")
    input: list[S3DataNode | DynamoDBDataNode] = slot("The data that is read.")  # type: ignore[assignment]
    output: list[S3DataNode | DynamoDBDataNode] = slot("The data that is written.")  # type: ignore[assignment]
