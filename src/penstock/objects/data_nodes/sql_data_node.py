"""SqlDataNode."""

from __future__ import annotations

from penstock.data.copy import TableSide
from penstock.data.databases import connect
from penstock.definition.slots import slot
from penstock.objects.families import Database, DataNode
from penstock.objects.work import Work, WorkFailed


class SqlDataNode(DataNode):
    """A table, or the rows of a query, in a database."""

    icon = "table"

    table: str = slot("The name of the table.")
    schema_name: str | None = slot("The schema that holds the table.")
    database: Database | None = slot("The database that holds the table.")
    create_table_sql: str | None = slot("The statement that makes the table when it is missing.")
    select_query: str | None = slot("The query that gives the rows to copy.")
    insert_query: str | None = slot("The statement that stores a row, with a question mark per column.")

    def exists(self, work: Work) -> bool:
        """Whether the table is there."""
        with connect(self._database().address(work)) as database:
            return database.table_exists(self.table, self.schema_name)

    def side(self, work: Work) -> TableSide:
        """The table as one side of a copy."""
        return TableSide(
            address=self._database().address(work),
            table=self.table,
            schema=self.schema_name,
            select_query=self.select_query,
            insert_query=self.insert_query,
            create_table_sql=self.create_table_sql,
        )

    def _database(self) -> Database:
        if self.database is None:
            raise WorkFailed(f"'{self.name}' has no database; refer to one in its field 'database'.")
        return self.database
