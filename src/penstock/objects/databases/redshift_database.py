"""RedshiftDatabase."""

from __future__ import annotations

from dataclasses import replace

from penstock.data.databases import Address, parse_connection_string
from penstock.definition.slots import slot
from penstock.objects.databases.jdbc_database import jdbc_address
from penstock.objects.families import Database
from penstock.objects.work import Work

_AWS_HOST = ".redshift.amazonaws.com"
_SERVERLESS_HOST = ".redshift-serverless.amazonaws.com"
_PORT = "5439"
EMBEDDED = "warehouse:"
"""What the `url` of a setting begins with that maps a cluster to the embedded warehouse; a name follows."""


class RedshiftDatabase(Database):
    """A database in Amazon Redshift, by its cluster or by a connection string."""

    icon = "database"

    cluster_id: str | None = slot(
        "The identifier of the Redshift cluster; the settings can map it to an address, and one that they do not map"
        " is a database of the embedded warehouse.",
        one_of="place",
        at_most_one=True,
    )
    connection_string: str | None = slot(
        "The JDBC connection string; the settings can map it to another address.", one_of="place", at_most_one=True
    )
    region: str | None = slot("The AWS region of the cluster (AWS only).")

    def address(self, work: Work) -> Address:
        """What the settings say, else the connection string, else the embedded warehouse.

        On anything but a Redshift the statements are translated from Redshift's SQL.
        """
        name = self.connection_string or self.cluster_id or ""
        mapped = work.databases.get(name)
        cluster = mapped.url.removeprefix(EMBEDDED) if mapped is not None and mapped.url.startswith(EMBEDDED) else None
        if cluster is not None or (mapped is None and self.connection_string is None):
            from penstock.data.databases.warehouse import warehouse_address

            return warehouse_address(work.data_dir, cluster or name, self.database_name)
        if self.connection_string is not None:
            address = jdbc_address(work, self.connection_string, self.username, self.password, self.database_name)
            return _as_redshift(address)
        assert mapped is not None
        folder = work.data_dir / "databases"
        folder.mkdir(parents=True, exist_ok=True)
        address = parse_connection_string(mapped.url, username=mapped.username, password=mapped.password, folder=folder)
        if not address.database and self.database_name:
            address = replace(address, database=self.database_name)
        return _as_redshift(address)


def _as_redshift(address: Address) -> Address:
    """The same address as that of a Redshift, if its host is one of AWS's; else one whose statements are translated."""
    if address.dialect == "postgresql" and address.host.endswith((_AWS_HOST, _SERVERLESS_HOST)):
        return replace(address, dialect="redshift", port=address.port or _PORT)
    return address if address.dialect == "redshift" else replace(address, written_for="redshift")
