"""RedshiftDataNode."""

from __future__ import annotations

from penstock.data.copy import TableSide
from penstock.data.databases import Address, connect
from penstock.data.databases.warehouse import DEFAULT_DATABASE
from penstock.data.datasets import Dataset, table_dataset
from penstock.definition.slots import slot
from penstock.objects.databases.redshift_database import RedshiftDatabase
from penstock.objects.families import DataNode
from penstock.objects.work import Work

DEFAULT_SCHEMA = "public"


class RedshiftDataNode(DataNode):
    """A table in Amazon Redshift."""

    icon = "table"

    database: RedshiftDatabase = slot("The database that holds the table.")
    table_name: str = slot("The name of the table.")
    create_table_sql: str | None = slot("The statement that makes the table when it is missing.")
    primary_keys: list[str] = slot("The columns by which rows are merged, instead of the table's primary key.")
    schema_name: str | None = slot("The schema that holds the table; PUBLIC if unset.")

    @property
    def schema(self) -> str | None:
        """The schema where tables are looked up; none where the table's name says it."""
        return self.schema_name or (None if "." in self.table_name else DEFAULT_SCHEMA)

    def exists(self, work: Work) -> bool:
        """Whether the table is there."""
        with connect(self.database.address(work)) as database:
            return database.table_exists(self.table_name, self.schema)

    def side(self, work: Work) -> TableSide:
        """The table as one side of a copy."""
        return TableSide(
            address=self.database.address(work),
            table=self.table_name,
            schema=self.schema,
            create_table_sql=self.create_table_sql,
        )

    def dataset(self, work: Work) -> Dataset | None:
        """The table by its cluster's name, or its database's address."""
        cluster = self.database.cluster_id
        if cluster is not None and cluster not in work.databases:
            name = self.database.database_name or DEFAULT_DATABASE
            return table_dataset(Address("redshift", cluster, database=name), self.table_name, self.schema)
        return table_dataset(self.database.address(work), self.table_name, self.schema)
