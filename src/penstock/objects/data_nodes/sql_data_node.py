"""SqlDataNode."""

from __future__ import annotations

from penstock.data.copy import TableSide
from penstock.data.databases import Address, connect
from penstock.data.datasets import Dataset, table_dataset
from penstock.definition.slots import slot
from penstock.objects.databases.jdbc_database import jdbc_address
from penstock.objects.families import Database, DataNode
from penstock.objects.work import Work, WorkFailed

INSTEAD = "Refer to a JdbcDatabase in 'database'."


class SqlDataNode(DataNode):
    """A table, or the rows of a query, in a database."""

    icon = "table"

    table: str = slot("The name of the table.")
    schema_name: str | None = slot("The schema that holds the table.")
    database: Database | None = slot("The database that holds the table.")
    create_table_sql: str | None = slot("The statement that makes the table when it is missing.")
    select_query: str | None = slot("The query that gives the rows to copy.")
    insert_query: str | None = slot("The statement that stores a row, with a question mark per column.")
    connection_string: str | None = slot("The JDBC connection string, where there is no database.", unlisted=INSTEAD)
    username: str | None = slot("The user to log in as, where there is no database.", unlisted=INSTEAD)
    password: str | None = slot(
        "The password to log in with, where there is no database.", name="*password", unlisted=INSTEAD
    )
    database_name: str | None = slot("The database to use, where the connection string is all.", unlisted=INSTEAD)

    def exists(self, work: Work) -> bool:
        """Whether the table is there."""
        with connect(self._address(work)) as database:
            return database.table_exists(self.table, self.schema_name)

    def side(self, work: Work) -> TableSide:
        """The table as one side of a copy."""
        return TableSide(
            address=self._address(work),
            table=self.table,
            schema=self.schema_name,
            select_query=self.select_query,
            insert_query=self.insert_query,
            create_table_sql=self.create_table_sql,
        )

    def dataset(self, work: Work) -> Dataset | None:
        """The table by its database's address and its name."""
        return table_dataset(self._address(work), self.table, self.schema_name)

    def _address(self, work: Work) -> Address:
        """The database's, or that of the node's own connection string."""
        if self.database is not None:
            return self.database.address(work)
        if self.connection_string is None:
            raise WorkFailed(f"'{self.name}' has no database; refer to one in its field 'database'.")
        return jdbc_address(work, self.connection_string, self.username, self.password, self.database_name)
