"""DynamoDBDataExists."""

from __future__ import annotations

from penstock.definition.slots import slot
from penstock.objects.families import Precondition


class DynamoDBDataExists(Precondition):
    """Holds when a DynamoDB table has an item; asked by the service itself."""

    icon = "check"
    is_built = False
    is_system_managed = True

    role: str | None = slot("The IAM role that asks (AWS only).", for_aws_only=True)
    table_name: str = slot("The name of the table.")
