"""RedshiftCopyActivity."""

from __future__ import annotations

from typing import Literal

from penstock.definition.slots import slot
from penstock.objects.data_nodes.dynamodb_data_node import DynamoDBDataNode
from penstock.objects.data_nodes.redshift_data_node import RedshiftDataNode
from penstock.objects.data_nodes.s3_data_node import S3DataNode
from penstock.objects.families import Activity


class RedshiftCopyActivity(Activity):
    """Loads S3 files or a DynamoDB table into Amazon Redshift, or unloads a Redshift table to S3."""

    icon = "copy"
    is_built = False

    insert_mode: Literal["KEEP_EXISTING", "OVERWRITE_EXISTING", "TRUNCATE", "APPEND"] = slot(
        "What happens to rows that are there: those with the same keys stay or are replaced, all go, or all stay."
    )
    command_options: list[str] = slot("Options of Redshift's COPY; not used with a data format.")
    input: list[S3DataNode | DynamoDBDataNode | RedshiftDataNode] = slot(  # type: ignore[assignment]
        "The data that is read."
    )
    output: list[S3DataNode | RedshiftDataNode] = slot("The data that is written.")  # type: ignore[assignment]
    queue: str | None = slot("The query group of Redshift.")
    transform_sql: str | None = slot("A SELECT from the table `staging`, which the input is loaded into first.")
