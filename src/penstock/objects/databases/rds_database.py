"""RdsDatabase."""

from __future__ import annotations

from dataclasses import replace

from penstock.data.databases import Address, parse_connection_string
from penstock.definition.slots import slot
from penstock.objects.families import Database
from penstock.objects.work import Work, WorkFailed


class RdsDatabase(Database):
    """A database in Amazon RDS, by the name of its instance, which the settings map to an address."""

    icon = "database"

    rds_instance_id: str = slot("The identifier of the RDS instance; the settings map it to an address.")
    jdbc_driver_jar_uri: str | None = slot("The driver's JAR file (AWS only).")
    region: str | None = slot("The AWS region of the instance (AWS only).")

    def address(self, work: Work) -> Address:
        """What the settings say for the instance; user, password and database are the definition's where they say none.

        Raises WorkFailed, with the lines to add, for an instance that the settings do not map.
        """
        mapped = work.databases.get(self.rds_instance_id)
        if mapped is None:
            raise WorkFailed(
                f"The RDS instance '{self.rds_instance_id}' of '{self.name}' has no address. Add to the settings:"
                f' [databases."{self.rds_instance_id}"] and url = "mysql://HOST:3306" (or postgresql://HOST:5432).'
            )
        folder = work.data_dir / "databases"
        folder.mkdir(parents=True, exist_ok=True)
        address = parse_connection_string(mapped.url, username=mapped.username, password=mapped.password, folder=folder)
        if address.dialect in ("sqlite", "duckdb"):
            return address
        if address.username is None:
            address = replace(address, username=self.username, password=address.password or self.password)
        return replace(address, database=address.database or self.database_name or "")
