"""COPY in: rows of Python's values, a text, or values that are binary already, in an open transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, islice
from typing import BinaryIO

import psycopg

from penstock.data.databases import postgresql_binary, postgresql_text
from penstock.data.databases.postgresql_errors import errors
from penstock.data.databases.postgresql_tables import types_of
from penstock.data.databases.rows import ConnectionLost, DatabaseError, Progress, Row, TextNotTaken, of_width
from penstock.data.formats import TSV, Format, FormatError, write_rows

_BLOCK = 1 << 18


def load_rows(
    connection: psycopg.Connection, copy: str, width: int, batches: Iterable[Sequence[Row]], target: str
) -> int:
    """Load rows of so many columns by a COPY, as our text; returns how many."""
    progress = Progress()
    with errors(target, 0), psycopg.RawCursor(connection) as cursor, cursor.copy(copy.encode()) as stream:
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
    start = list(islice(pieces, 2))
    if len(start) == 2 and format.quote_char:  # below, to start DuckDB takes longer than it saves
        types = types_of(connection, table, columns)
        if postgresql_binary.takes(types) and postgresql_binary.is_available():
            return _load_as_binary(connection, copy, types, format, chain(start, pieces), target)
    checked = postgresql_text.checked(chain(start, pieces), format)
    try:
        return _load(connection, f"{copy} {postgresql_text.options(format)}", checked, target, 0)
    except ConnectionLost:
        raise
    except DatabaseError as error:
        if not format.quote_char or ", row " not in str(error):
            raise
        # COPY counts the line breaks in quotes, but for those before the first line's end
        raise TextNotTaken(str(error)) from error


def load_binary(connection: psycopg.Connection, copy: str, blocks: Iterable[bytes], target: str) -> int:
    """Load what is binary already by a COPY; returns the rows."""
    return _load(connection, _binary(copy), blocks, target, 0)


def copy_into(table: str, columns: Sequence[str]) -> str:
    """The COPY into columns of a table, without its options."""
    return f"COPY {table} ({', '.join(columns)}) FROM STDIN"


def _binary(copy: str) -> str:
    return f"{copy} (FORMAT binary)"


def _load(
    connection: psycopg.Connection, copy: str, pieces: Iterable[bytes], target: str, rows_before: int | None = None
) -> int:
    """Run one COPY; with `rows_before` its lines are rows, after so many others."""
    with errors(target, rows_before), psycopg.RawCursor(connection) as cursor:
        with cursor.copy(copy.encode()) as stream:
            for piece in pieces:
                stream.write(piece)
        return cursor.rowcount


def _load_as_binary(
    connection: psycopg.Connection, copy: str, types: list[str], format: Format, pieces: Iterator[bytes], target: str
) -> int:
    """Load pieces as binary values where they can be; the first as text, while DuckDB starts."""
    first = next(pieces)
    with postgresql_binary.BinaryMaker(types, format) as maker, maker.pieces(pieces) as made:
        rows = _load_piece(connection, copy, first, format, target)
        for piece in made:
            with piece.stream as stream:
                if piece.is_binary:
                    blocks = iter(partial(stream.read, _BLOCK), b"")
                    rows += _load(connection, _binary(copy), blocks, target, rows)
                else:
                    rows += _load_piece(connection, copy, stream.read(), format, target)
    return rows


def _load_piece(connection: psycopg.Connection, copy: str, piece: bytes, format: Format, target: str) -> int:
    blocks = postgresql_text.checked([piece], format)
    try:
        return _load(connection, f"{copy} {postgresql_text.options(format)}", blocks, target)
    except ConnectionLost:
        raise
    except DatabaseError as error:  # its lines are those of the piece
        raise TextNotTaken(str(error)) from error
