"""Quoted text of a local file into PostgreSQL as one binary COPY, which DuckDB makes while the server loads it.

The server takes binary values in about half of the time that it takes to parse text. Only values whose meaning is the
same to both are made binary, and the structure of the text is looked at while DuckDB reads the same file.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from typing import BinaryIO

from penstock.data.copy.by_duckdb import binary, connected, errors, meanwhile, own_path, postgresql_of, read_to_its_end
from penstock.data.copy.count import Count
from penstock.data.databases import Database, TextNotTaken, postgresql_binary
from penstock.data.databases import duckdb_csv as csv
from penstock.data.databases.headers import without_header
from penstock.data.formats import Format
from penstock.data.formats.structure import QuotedStructure

_LEAST = 4 << 20
_BLOCK = 1 << 20
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class NotBinary(TextNotTaken):
    """The text cannot go in this way; the transaction is to be begun again, without it."""


def takes(database: Database, format: Format, stream: BinaryIO, types: Sequence[str] | None = None) -> bool:
    """Whether it is worth a try."""
    path = own_path(stream) if format.quote_char else None
    if path is None or path.stat().st_size < _LEAST or (format.columns and types and len(format.columns) != len(types)):
        return False
    try:
        postgresql_of(database)
    except TextNotTaken:
        return False
    return types is None or postgresql_binary.takes([*types])


def load(
    database: Database,
    stream: BinaryIO,
    format: Format,
    table: str,
    schema: str | None,
    columns: Sequence[str] | None,
    count: Count,
) -> int | None:
    """Load a file and return its rows, or None if it is not one for this way. Raises `NotBinary`."""
    if not takes(database, format, stream):
        return None
    postgresql = postgresql_of(database)
    types = postgresql.column_types(table, schema, columns)
    path = own_path(stream)
    if path is None or not takes(database, format, stream, types):
        return None
    try:
        with tempfile.TemporaryDirectory(prefix="penstock-load-") as folder, errors():
            plain = count.counted(stream)
            begin = plain.read(_BLOCK).removeprefix(_BYTE_ORDER_MARK)
            if begin.startswith(_BYTE_ORDER_MARK):
                raise TextNotTaken("The first value begins with what DuckDB takes for a byte order mark.")
            sample = without_header(begin, format, len(types)) if format.header else begin
            query = postgresql_binary.query(f"'{path}'", types, format, csv.first_rows(sample, format))
            structure = QuotedStructure(format.column_separator)

            def look(left: threading.Event) -> None:
                structure.take(begin)
                for block in iter(partial(plain.read, _BLOCK), b""):
                    structure.take(block)
                    if left.is_set():
                        return
                structure.end()

            with (
                connected(folder, reads=True, threads=1) as connection,
                meanwhile(look, connection),
                closing(binary(connection, query)) as blocks,
            ):
                connection.execute(csv.SETTINGS)
                rows = postgresql.load_binary(table, schema, columns, blocks)
            if not structure.has(rows + format.header, len(types)):
                raise TextNotTaken("DuckDB does not see the records that are there.")
            read_to_its_end(stream)
            return rows
    except TextNotTaken as error:
        raise NotBinary(str(error)) from error
