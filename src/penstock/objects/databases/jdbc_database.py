"""JdbcDatabase."""

from __future__ import annotations

from penstock.data.databases import Address, parse_connection_string
from penstock.definition.slots import slot
from penstock.objects.families import Database
from penstock.objects.work import Work


class JdbcDatabase(Database):
    """A database by its JDBC connection string; SQLite files lie in the data directory."""

    icon = "database"

    connection_string: str = slot("The JDBC connection string; the settings can map it to another address.")
    jdbc_driver_class: str = slot("The driver's class (AWS only).")
    jdbc_driver_jar_uri: str | None = slot("The driver's JAR file (AWS only).")

    def address(self, work: Work) -> Address:
        """What the settings say for the connection string, else the string itself."""
        folder = work.data_dir / "databases"
        folder.mkdir(parents=True, exist_ok=True)
        mapped = work.databases.get(self.connection_string)
        if mapped is not None:
            return parse_connection_string(
                mapped.url, username=mapped.username, password=mapped.password, folder=folder
            )
        return parse_connection_string(
            self.connection_string,
            username=self.username,
            password=self.password,
            database=self.database_name,
            folder=folder,
        )
