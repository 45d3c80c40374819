"""Quoted text into PostgreSQL as one binary COPY, which DuckDB makes while the server loads it.

The server takes binary values in about half of the time that it takes to parse text. Only values whose meaning is the
same to both are made binary, and the structure of the text is looked at on its way to DuckDB.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from penstock.data.copy.by_duckdb import binary, connected, errors, postgresql_of, read
from penstock.data.databases import Database, TextNotTaken, postgresql_binary
from penstock.data.databases import duckdb_csv as csv
from penstock.data.databases.headers import without_header
from penstock.data.databases.postgresql_text import first_end
from penstock.data.formats import Format
from penstock.data.formats.structure import QuotedStructure

_LEAST = 4 << 20
_BLOCK = 1 << 20
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class NotBinary(TextNotTaken):
    """The text cannot go in this way; the transaction is to be begun again, without it."""


def load(
    database: Database,
    stream: BinaryIO,
    format: Format,
    table: str,
    schema: str | None,
    columns: Sequence[str] | None,
    size: int,
    own: Path | None,
) -> int | None:
    """Load a text and return its rows, or None, with nothing read, if it is not one for this way. Raises `NotBinary`.

    `size` is that of its object in bytes: below some, to start DuckDB takes longer than it saves. `own` is the text's
    file, if it is one that DuckDB can read.
    """
    if not format.quote_char or size < _LEAST:
        return None
    try:
        postgresql = postgresql_of(database)
        types = postgresql.column_types(table, schema, columns)
    except TextNotTaken:
        return None
    if (format.columns and len(format.columns) != len(types)) or not postgresql_binary.takes(types):
        return None
    try:
        with tempfile.TemporaryDirectory(prefix="penstock-load-") as folder, errors():
            begin = stream.read(_BLOCK).removeprefix(_BYTE_ORDER_MARK)
            if begin.startswith(_BYTE_ORDER_MARK):
                raise TextNotTaken("The first value begins with what DuckDB takes for a byte order mark.")
            sample = without_header(begin, format, len(types)) if format.header else begin
            is_crlf = first_end(begin) == b"\r\n"
            structure = QuotedStructure(format.column_separator)
            pieces = structure.seen(chain((begin,), iter(partial(stream.read, _BLOCK), b"")))
            with connected(folder, reads=True, threads=1) as connection, read(pieces, connection, own) as path:
                connection.execute(csv.SETTINGS)
                new_line = None if is_crlf else "\\n"  # DuckDB finds CR LF, but does not take it when it is told
                query = postgresql_binary.query(f"'{path}'", types, format, csv.first_rows(sample, format), new_line)
                with closing(binary(connection, query)) as blocks:
                    rows = postgresql.load_binary(table, schema, columns, blocks)
            if not structure.has(rows + format.header, len(types), is_crlf=is_crlf):
                raise TextNotTaken("DuckDB does not see the records that are there.")
            return rows
    except TextNotTaken as error:
        raise NotBinary(str(error)) from error
