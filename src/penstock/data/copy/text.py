"""Bulk text: what the database's own load reads and its own unload writes, with no record touched on the way.

Each way raises `TextNotTaken` where it would not come to the same as record by record; nothing is changed then.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial

from penstock.data.compression import open_reader, open_writer
from penstock.data.copy import binary_text
from penstock.data.copy.by_duckdb import own_path, read_to_its_end
from penstock.data.copy.columns import into, seen
from penstock.data.copy.count import Count, errors_of
from penstock.data.copy.pipe import written
from penstock.data.copy.rows import load_errors, make_table, records, refuse_other_names
from penstock.data.databases import Database, TextNotTaken
from penstock.data.formats import TSV, Column, Format, parse_columns
from penstock.data.records import LONGEST_RECORD
from penstock.data.sides import FileSide, TableSide, objects_of
from penstock.data.storage import Entry

_BLOCK = 1 << 20


def load(database: Database, source: FileSide, target: TableSide, count: Count) -> None:
    """Load the text of files into a table, in one transaction."""
    format = source.rows
    if not isinstance(format, Format) or not database.takes(format):
        raise TextNotTaken("The database does not read this format.")
    if source.longest_record < LONGEST_RECORD:
        raise TextNotTaken("The database reads longer records than are allowed.")
    try:
        _load(database, source, target, format, count, in_binary=True)
    except binary_text.NotBinary:
        count.begin_again()
        _load(database, source, target, format, count, in_binary=False)


def _load(
    database: Database, source: FileSide, target: TableSide, format: Format, count: Count, *, in_binary: bool
) -> None:
    first: Sequence[Column] = ()
    with database.transaction():
        make_table(database, target)
        table, schema, columns = into(database, target)
        for entry in objects_of(source):
            with (
                source.storage.open(entry.uri) as stream,
                errors_of(entry.uri),
                load_errors(entry, target, TextNotTaken),
            ):
                own = own_path(stream) if source.compression == "none" else None
                plain = open_reader(count.counted(stream), source.compression)
                rows: int | None = None
                if in_binary:
                    rows = binary_text.load(database, plain, format, table, schema, columns, entry.size, own)
                if rows is None:
                    ahead = written(partial(shutil.copyfileobj, plain, length=_BLOCK))
                    with ahead if own is None else nullcontext(plain) as read:
                        rows = database.load_text(table, schema, columns, format, read)
                elif own is not None:
                    read_to_its_end(stream)
                count.rows += rows
                names = _names(source, entry)
                first = first or names
                refuse_other_names(entry, names, first)
                count.columns = count.columns or seen(names, database, target)
                count.report()


def unload(database: Database, source: TableSide, target: FileSide, uri: str, count: Count) -> None:
    """Write the text of a table or a query to a file."""
    format = target.rows
    if not isinstance(format, Format) or not database.takes(format):
        raise TextNotTaken("The database does not write this format.")
    asked = query(database, source)
    count.columns = database.describe(asked)
    with (
        target.storage.create(uri) as stream,
        errors_of(uri),
        open_writer(count.counted(stream), target.compression) as plain,
    ):
        count.rows = database.unload_text(asked, format, plain)
        count.report()


def move(source_database: Database, source: TableSide, database: Database, target: TableSide, count: Count) -> None:
    """Unload one database into the load of another, in one transaction of the target."""
    format = TSV()
    if not source_database.takes(format) or not database.takes(format):
        raise TextNotTaken("The databases have no text in common.")
    asked = query(source_database, source)
    count.columns = source_database.describe(asked)
    with database.transaction():
        make_table(database, target)
        table, schema, columns = into(database, target)
        with written(lambda stream: source_database.unload_text(asked, format, stream)) as stream:
            count.rows = database.load_text(table, schema, columns, format, count.counted(stream))
        count.bytes = 0  # those of no object
        count.report()


def _names(source: FileSide, entry: Entry) -> Sequence[Column]:
    """The columns that a format or a header names; the header is read twice, since a bulk load keeps it to itself."""
    format = source.rows
    if format.columns or not isinstance(format, Format) or not format.header:
        return parse_columns(format.columns)
    columns, batches = records(source, iter([entry]), Count(None))
    batches.close()
    return columns


def query(database: Database, source: TableSide) -> str:
    """The query of a table side, or that of its whole table."""
    return source.select_query or database.table_query(source.table, source.schema)
