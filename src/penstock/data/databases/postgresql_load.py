"""COPY in: rows of Python's values, a text, or values that are binary already, in an open transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import BinaryIO

import psycopg

from penstock.data.databases import postgresql_text
from penstock.data.databases.postgresql_errors import errors
from penstock.data.databases.rows import ConnectionLost, DatabaseError, Progress, Row, TextNotTaken, of_width
from penstock.data.formats import TSV, Format, FormatError, write_rows


def load_rows(
    connection: psycopg.Connection, copy: str, width: int, batches: Iterable[Sequence[Row]], target: str
) -> int:
    """Load rows of so many columns by a COPY, as our text; returns how many."""
    progress = Progress()
    with errors(target, has_rows=True), psycopg.RawCursor(connection) as cursor, cursor.copy(copy.encode()) as stream:
        for batch in of_width(batches, width, target, progress):
            try:
                write_rows(stream, TSV(), [batch], first_row=progress.rows + 1)
            except FormatError as error:
                raise DatabaseError(f"PostgreSQL cannot take a row for {target}. {error}") from error
    return progress.rows


def load_text(
    connection: psycopg.Connection, table: str, columns: Sequence[str], format: Format, stream: BinaryIO, target: str
) -> int:
    """Load a text into the columns of a table; returns the rows. Raises as `Database.load_text`."""
    copy = copy_into(table, columns)
    pieces = postgresql_text.to_copy(stream, format, len(columns))
    try:
        return _load(connection, f"{copy} {postgresql_text.options(format)}", pieces, target)
    except ConnectionLost:
        raise
    except DatabaseError as error:
        if not format.quote_char or ", row " not in str(error):
            raise
        # COPY counts the line breaks in quotes, but for those before the first line's end
        raise TextNotTaken(str(error)) from error


def load_binary(connection: psycopg.Connection, copy: str, blocks: Iterable[bytes], target: str) -> int:
    """Load what is binary already by a COPY; returns the rows."""
    return _load(connection, f"{copy} (FORMAT binary)", blocks, target)


def copy_into(table: str, columns: Sequence[str]) -> str:
    """The COPY into columns of a table, without its options."""
    return f"COPY {table} ({', '.join(columns)}) FROM STDIN"


def _load(connection: psycopg.Connection, copy: str, pieces: Iterable[bytes], target: str) -> int:
    with errors(target, has_rows=True), psycopg.RawCursor(connection) as cursor:
        with cursor.copy(copy.encode()) as stream:
            for piece in pieces:
                stream.write(piece)
        return cursor.rowcount
