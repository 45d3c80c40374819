"""RedshiftDatabase."""

from __future__ import annotations

from penstock.definition.slots import slot
from penstock.objects.families import Database


class RedshiftDatabase(Database):
    """A database in Amazon Redshift, by its cluster or by a connection string."""

    icon = "database"
    is_built = False

    cluster_id: str | None = slot("The identifier of the Redshift cluster.", one_of="place", at_most_one=True)
    connection_string: str | None = slot("The JDBC connection string.", one_of="place", at_most_one=True)
    region: str | None = slot("The AWS region of the cluster.")
