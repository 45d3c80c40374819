"""MySqlDataNode."""

from __future__ import annotations

from penstock.objects.data_nodes.sql_data_node import SqlDataNode


class MySqlDataNode(SqlDataNode):
    """A table, or the rows of a query, in a MySQL or MariaDB database; SqlDataNode has taken its place."""

    icon = "table"
