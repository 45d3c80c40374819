"""A table that is missing: what is said of it, and how it is made once though several would make it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from penstock.data.databases.address import Address
from penstock.data.databases.rows import DatabaseError

if TYPE_CHECKING:
    from penstock.data.databases import Database


def no_table(table: str, schema: str | None, address: Address) -> DatabaseError:
    """The error of a table that is not there; MySQL calls a schema a database."""
    kind = "database" if address.dialect == "mysql" else "schema"
    where = f"the {kind} {schema} of {address}" if schema else str(address)
    return DatabaseError(f"There is no table {table} in {where}. Give createTableSql, or make it before.")


def create_table(
    database: Database,
    sql: str,
    table: str,
    schema: str | None,
    lock: Callable[[], AbstractContextManager[None]] | None = None,
) -> None:
    """Run a createTableSql if the table is missing; of two at once, the second waits for the first at the `lock`.

    Raises `DatabaseError` if there is no such table after it.
    """
    if database.table_exists(table, schema):
        return
    if lock is not None:
        with lock():
            create_table(database, sql, table, schema)
        return
    database.execute_script(sql)
    if not database.table_exists(table, schema):
        raise DatabaseError(
            f"createTableSql ran, but there is still no table {table}. Correct the name in one of them."
        )
