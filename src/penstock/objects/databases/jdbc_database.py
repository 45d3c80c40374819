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
        folder = work.data_dir / "databases"
        folder.mkdir(parents=True, exist_ok=True)
        mapped = work.databases.get(self.connection_string)
        if mapped is not None:
            return parse_connection_string(
                mapped.url, username=mapped.username, password=mapped.password, folder=folder
            )
        return parse_connection_string(
            self._with_properties(),
            username=self.username,
            password=self.password,
            database=self.database_name,
            folder=folder,
        )

    def _with_properties(self) -> str:
        """The connection string with `jdbcProperties` after its own parameters."""
        text = self.connection_string
        for entry in self.jdbc_properties:
            key, equals, value = entry.partition("=")
            if not equals or not key:
                raise WorkFailed(f"A value of jdbcProperties of '{self.name}' is no A=B.")
            text += f"{'&' if '?' in text else '?'}{quote(key.strip())}={quote(value.strip())}"
        return text
