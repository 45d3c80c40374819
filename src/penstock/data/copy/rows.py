"""Record by record: the way that every pair of sides can go, and that says what the others must come to."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import cast

from penstock.data.compression import open_reader, open_writer
from penstock.data.copy.columns import columns_of, seen
from penstock.data.copy.count import Count, errors_of
from penstock.data.databases import ConnectionLost, Database, DatabaseError, Records, Row
from penstock.data.formats import Column, read_rows, write_rows
from penstock.data.sides import CopyError, FileSide, TableSide, objects_of
from penstock.data.storage import Entry

Batches = Generator[Sequence[Row], None, None]


def load(database: Database, source: FileSide, target: TableSide, count: Count) -> None:
    """Insert the records of files into a table, in one transaction."""
    first: Sequence[Column] = ()
    with database.transaction():
        make_table(database, target)
        for entry in objects_of(source):
            columns, batches = records(source, iter([entry]), count)
            first = first or columns
            with closing(batches), load_errors(entry, target):
                refuse_other_names(entry, columns, first)
                _insert(database, target, count.rows_of(batches))
                count.columns = count.columns or seen(columns, database, target)


def unload(database: Database, source: TableSide, target: FileSide, uri: str, count: Count) -> None:
    """Write the rows of a table or a query to a file."""
    with (
        target.storage.create(uri) as stream,
        errors_of(uri),
        open_writer(count.counted(stream), target.compression) as plain,
    ):
        found = select(database, source)
        count.columns = columns_of(found)
        with closing(found.batches) as batches:
            write_rows(plain, target.rows, count.rows_of(batches), columns=[Column(*pair) for pair in count.columns])


def move(source_database: Database, source: TableSide, database: Database, target: TableSide, count: Count) -> None:
    """Insert the rows of a table or a query into a table, in one transaction."""
    found = select(source_database, source)
    count.columns = columns_of(found)
    with closing(found.batches) as batches, database.transaction():
        make_table(database, target)
        _insert(database, target, count.rows_of(batches))


def records(source: FileSide, entries: Iterator[Entry], count: Count) -> tuple[Sequence[Column], Batches]:
    """The columns of the first object, and the rows of all. Raises `CopyError` for one with other names."""
    batches = _read(source, entries, count)
    return cast("Sequence[Column]", next(batches)), cast("Batches", batches)


def _read(source: FileSide, entries: Iterator[Entry], count: Count) -> Generator[Sequence[object], None, None]:
    first: Sequence[Column] | None = None
    for entry in entries:
        with source.storage.open(entry.uri) as stream, errors_of(entry.uri):
            plain = open_reader(count.counted(stream), source.compression)
            rows = read_rows(plain, source.rows, longest_record=source.longest_record)
            if first is None:
                first = rows.columns
                yield first
            refuse_other_names(entry, rows.columns, first)
            yield from rows


def refuse_other_names(entry: Entry, columns: Sequence[tuple[str, str]], first: Sequence[tuple[str, str]]) -> None:
    """Raise `CopyError` for an object whose columns have other names than the first's; an empty one has none."""
    names, others = ([name for name, _ in side] for side in (columns, first))
    if names and names != others:
        raise CopyError(
            f"{entry.uri} has the columns {', '.join(names)}, but the files before it {', '.join(others) or '(none)'}."
            " Copy files of one kind."
        )


def select(database: Database, source: TableSide) -> Records:
    """The rows that a table side gives."""
    if source.select_query is not None:
        return database.select(source.select_query)
    return database.select_table(source.table, source.schema)


def make_table(database: Database, target: TableSide) -> None:
    """Run createTableSql if there is one and the table is missing."""
    if target.create_table_sql is not None:
        database.create_table(target.create_table_sql, target.table, target.schema)


def _insert(database: Database, target: TableSide, batches: Iterator[Sequence[Row]]) -> None:
    if target.insert_query is not None:
        database.insert(target.insert_query, batches)
    else:
        database.insert_into(target.table, target.schema, None, batches)


@contextmanager
def load_errors(entry: Entry, target: TableSide, *passed: type[DatabaseError]) -> Iterator[None]:
    """Name the object that a database does not take; what is `passed` stays as it is."""
    try:
        yield
    except DatabaseError as error:
        if isinstance(error, (ConnectionLost, *passed)):
            raise
        raise CopyError(f"{entry.uri} cannot be loaded into '{target.table}': {error}") from error
