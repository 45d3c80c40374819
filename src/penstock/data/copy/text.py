"""Bulk text: what the database's own load reads and its own unload writes, with no record touched on the way.

Each way raises `TextNotTaken` where it would not come to the same as record by record; nothing is changed then.
"""

from __future__ import annotations

import threading
from queue import Empty, Full, Queue
from typing import BinaryIO, cast

from penstock.data.compression import open_reader, open_writer
from penstock.data.copy.count import Count, errors_of
from penstock.data.copy.rows import columns_of, load_errors, make_table
from penstock.data.databases import Database, TextNotTaken
from penstock.data.databases.plain_insert import plain_insert
from penstock.data.formats import TSV, Format
from penstock.data.records import LONGEST_RECORD
from penstock.data.sides import FileSide, TableSide, objects_of

_BLOCKS = 8
_SECONDS = 0.2


def load(database: Database, source: FileSide, target: TableSide, count: Count) -> None:
    """Load the text of files into a table, in one transaction."""
    format = source.rows
    if not isinstance(format, Format) or not database.takes(format):
        raise TextNotTaken("The database does not read this format.")
    if source.longest_record < LONGEST_RECORD:
        raise TextNotTaken("The database reads longer records than are allowed.")
    with database.transaction():
        make_table(database, target)
        table, schema, columns = into(database, target)
        for entry in objects_of(source):
            with (
                source.storage.open(entry.uri) as stream,
                errors_of(entry.uri),
                load_errors(entry, target, TextNotTaken),
            ):
                plain = open_reader(count.counted(stream), source.compression)
                count.rows += database.load_text(table, schema, columns, format, plain)
                count.report()


def unload(database: Database, source: TableSide, target: FileSide, uri: str, count: Count) -> None:
    """Write the text of a table or a query to a file."""
    format = target.rows
    if not isinstance(format, Format) or not database.takes(format):
        raise TextNotTaken("The database does not write this format.")
    asked = query(database, source)
    count.columns = described(database, source.table, source.schema) if source.select_query is None else ()
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
    pipe = _Pipe()
    writer = threading.Thread(target=pipe.fill, args=(source_database, asked, format), name="unload")
    with database.transaction():
        make_table(database, target)
        table, schema, columns = into(database, target)
        writer.start()
        try:
            stream = count.counted(cast("BinaryIO", pipe))
            count.rows = database.load_text(table, schema, columns, format, stream)
        finally:
            pipe.is_left = True
            writer.join()
            count.bytes = 0  # those of no object
        pipe.check()
        count.report()


def into(database: Database, target: TableSide) -> tuple[str, str | None, list[str] | None]:
    """The table, its schema and the columns that are loaded."""
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


def described(database: Database, table: str, schema: str | None) -> tuple[tuple[str, str], ...]:
    """The columns of a table, each (name, type)."""
    found = database.select(f"{database.table_query(table, schema)} WHERE 1 = 0")
    list(found.batches)  # to its end, which is here
    return columns_of(found)


def query(database: Database, source: TableSide) -> str:
    """The query of a table side, or that of its whole table."""
    return source.select_query or database.table_query(source.table, source.schema)


class _Pipe:
    """What one database writes and another reads, in two threads."""

    def __init__(self) -> None:
        self.is_left = False
        self._blocks: Queue[bytes] = Queue(_BLOCKS)
        self._error: BaseException | None = None
        self._is_full = False

    def fill(self, database: Database, query: str, format: Format) -> None:
        """Write all rows of the query; errors go to the reader."""
        try:
            database.unload_text(query, format, cast("BinaryIO", self))
        except BaseException as error:
            self._error = error
        finally:
            self._is_full = True

    def write(self, data: bytes) -> int:
        while data:
            if self.is_left:
                raise BrokenPipeError
            try:
                self._blocks.put(data, timeout=_SECONDS)
            except Full:
                continue
            break
        return len(data)

    def read(self, size: int = -1) -> bytes:
        while True:
            is_full = self._is_full
            try:
                return self._blocks.get(timeout=_SECONDS if not is_full else 0)
            except Empty:
                if is_full:
                    self.check()
                    return b""

    def check(self) -> None:
        if self._error is not None:
            raise self._error
