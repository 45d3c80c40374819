"""Which columns of a table a copy writes, and which columns it has seen: those of the source, else of the target."""

from __future__ import annotations

from collections.abc import Sequence

from penstock.data.databases import Database, Records, TextNotTaken
from penstock.data.databases.plain_insert import plain_insert
from penstock.data.sides import TableSide

Columns = tuple[tuple[str, str], ...]
"""The name and the type of each; a type is empty where it is not known."""


def into(database: Database, target: TableSide) -> tuple[str, str | None, list[str] | None]:
    """The table, its schema and the columns that are loaded. Raises `TextNotTaken` for more than a plain insert."""
    if target.insert_query is None:
        return target.table, target.schema, None
    insert = plain_insert(target.insert_query, database.dialect)
    if insert is None:
        raise TextNotTaken("insertQuery does more than insert.")
    if insert.columns is None:
        empty = database.select(f"SELECT * FROM {insert.table} WHERE 1 = 0")  # noqa: S608
        list(empty.batches)  # to its end, which is here
        if len(empty.columns) != insert.width:
            raise TextNotTaken("insertQuery names no columns and has not one for each.")
    return insert.table, None, insert.columns


def seen(columns: Sequence[tuple[str, str]], database: Database, target: TableSide) -> Columns:
    """The columns of rows for a table; where the rows have no names, those of the table that they are written to."""
    if columns:
        return tuple(columns)
    try:
        table, schema, names = into(database, target)
    except TextNotTaken:
        return ()
    known = database.table_columns(table, schema)
    types = {name.lower(): kind for name, kind in known}
    return known if names is None else tuple([(name, types.get(name.lower(), "")) for name in names])


def columns_of(found: Records) -> Columns:
    """The columns of a query as (name, type)."""
    return tuple(zip(found.columns, found.types or ("",) * len(found.columns), strict=True))
