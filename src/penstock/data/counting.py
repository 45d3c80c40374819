"""How many rows one side of a copy has: read as a copy reads them, in constant memory, and no further than asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

from penstock.data.compression import open_reader
from penstock.data.copy.count import errors_of
from penstock.data.databases import Database, DatabaseError, connect
from penstock.data.databases.rows import name_parts, quote
from penstock.data.databases.statements import one_statement
from penstock.data.formats import read_rows
from penstock.data.sides import FileSide, TableSide, objects_of

_QUERIES = ("SELECT", "WITH", "VALUES")


def count_rows(side: FileSide | TableSide, stop_at: int, check: Callable[[], None] = lambda: None) -> int:
    """The number of rows, or `stop_at` as soon as that many have been seen; `check` may raise what ends it.

    Of files these are the records, of a table those of its selectQuery, or all. Raises as a copy does.
    """
    if isinstance(side, TableSide):
        with connect(side.address) as database:
            found = _counted(database, side, stop_at)
            return _read(database, side, stop_at, check) if found is None else found
    count = 0
    for entry in objects_of(side):
        with side.storage.open(entry.uri) as stream, errors_of(entry.uri):
            plain = open_reader(stream, side.compression)
            for rows in read_rows(plain, side.rows, longest_record=side.longest_record):
                check()
                count += len(rows)
                if count >= stop_at:
                    return stop_at
    return count


def _read(database: Database, side: TableSide, stop_at: int, check: Callable[[], None]) -> int:
    """Count by reading; also says best what is wrong with a table or a query."""
    if side.select_query is not None:
        records = database.select(side.select_query)
    else:
        records = database.select_table(side.table, side.schema)
    count = 0
    with closing(records.batches) as batches:
        for rows in batches:
            check()
            count += len(rows)
            if count >= stop_at:
                return stop_at
    return count


def _counted(database: Database, side: TableSide, stop_at: int) -> int | None:
    """The count of the database itself; None where it takes no such query, and the rows must be read."""
    for query in _sources(database, side):
        counting = f"SELECT COUNT(*) FROM (SELECT 1 AS n FROM {query} LIMIT {stop_at}) AS counted"  # noqa: S608
        try:
            with closing(database.select(counting).batches) as batches:
                return int(str(next(batches)[0][0]))
        except DatabaseError:
            continue
    return None


def _sources(database: Database, side: TableSide) -> Iterator[str]:
    """What the rows can be counted of: the query, or the table as it is written and then in lower case."""
    if side.select_query is not None:
        statement = one_statement(side.select_query, database.dialect, "selectQuery")
        if statement.words[:1] in tuple((word,) for word in _QUERIES):
            yield f"({statement.text}\n) AS rows_of_query"
        return
    schema, name, is_quoted = name_parts(side.table, side.schema)
    for written in dict.fromkeys((name, name if is_quoted else name.lower())):
        parts = [part for part in (schema, written) if part is not None]
        if database.dialect == "mysql":
            yield ".".join("`" + part.replace("`", "``") + "`" for part in parts)
        else:
            yield ".".join(quote(part) for part in parts)
