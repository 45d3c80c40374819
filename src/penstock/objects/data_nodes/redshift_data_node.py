"""RedshiftDataNode."""

from __future__ import annotations

from penstock.definition.slots import slot
from penstock.objects.databases.redshift_database import RedshiftDatabase
from penstock.objects.families import DataNode


class RedshiftDataNode(DataNode):
    """A table in Amazon Redshift."""

    icon = "table"
    is_built = False

    database: RedshiftDatabase = slot("The database that holds the table.")
    table_name: str = slot("The name of the table.")
    create_table_sql: str | None = slot("The statement that makes the table when it is missing.")
    primary_keys: list[str] = slot("The columns by which rows are merged, instead of the table's primary key.")
    schema_name: str | None = slot("The schema that holds the table; PUBLIC if unset.")
