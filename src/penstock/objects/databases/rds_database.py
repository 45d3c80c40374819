"""RdsDatabase."""

from __future__ import annotations

from penstock.definition.slots import slot
from penstock.objects.families import Database


class RdsDatabase(Database):
    """A database in Amazon RDS, by the name of its instance."""

    icon = "database"
    is_built = False

    rds_instance_id: str = slot("The identifier of the RDS instance.")
    jdbc_driver_jar_uri: str | None = slot("The driver's JAR file (AWS only).")
    region: str | None = slot("The AWS region of the instance.")
