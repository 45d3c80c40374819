"""JdbcDatabase."""

from __future__ import annotations

from urllib.parse import quote

from penstock.data.databases import Address, parse_connection_string
from penstock.definition.slots import slot
from penstock.objects.families import Database
from penstock.objects.work import Work, WorkFailed


class JdbcDatabase(Database):
    """A database by its JDBC connection string; SQLite files lie in the data directory."""

    icon = "database"

    connection_string: str = slot("The JDBC connection string; the settings can map it to another address.")
    jdbc_driver_class: str = slot("The driver's class (AWS only).")
    jdbc_driver_jar_uri: str | None = slot("The driver's JAR file (AWS only).")

    def address(self, work: Work) -> Address:
        """What the settings say for the connection string, else the string itself."""
        text = self.connection_string if self.connection_string in work.databases else self._with_properties()
        return jdbc_address(work, text, self.username, self.password, self.database_name)

    def _with_properties(self) -> str:
        """The connection string with `jdbcProperties` after its own parameters."""
        text = self.connection_string
        for entry in self.jdbc_properties:
            key, equals, value = entry.partition("=")
            if not equals or not key:
                raise WorkFailed(f"A value of jdbcProperties of '{self.name}' is no A=B.")
            text += f"{'&' if '?' in text else '?'}{quote(key.strip())}={quote(value.strip())}"
        return text


def jdbc_address(
    work: Work, connection_string: str, username: str | None, password: str | None, database: str | None
) -> Address:
    """What the settings say for a connection string, else the string itself."""
    folder = work.data_dir / "databases"
    folder.mkdir(parents=True, exist_ok=True)
    mapped = work.databases.get(connection_string)
    if mapped is not None:
        return parse_connection_string(mapped.url, username=mapped.username, password=mapped.password, folder=folder)
    return parse_connection_string(
        connection_string, username=username, password=password, database=database, folder=folder
    )
