"""LOAD DATA LOCAL: rows of Python's values, or a text, in an open transaction."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from typing import BinaryIO

from penstock.data.databases.mysql_connection import MysqlConnection
from penstock.data.databases.mysql_errors import errors
from penstock.data.databases.mysql_load_text import clauses, to_load
from penstock.data.databases.mysql_tables import TableColumn
from penstock.data.databases.mysql_values import text_of
from penstock.data.databases.mysql_warnings import check_warnings
from penstock.data.databases.rows import DatabaseError, Progress, Row, of_width
from penstock.data.formats import TSV, Format, FormatError, write_rows

_ZERO_IS_ZERO = "SET @penstock_mode = @@sql_mode, sql_mode = CONCAT(@@sql_mode, ',NO_AUTO_VALUE_ON_ZERO')"


def load_rows(
    connection: MysqlConnection,
    table: str,
    columns: Sequence[TableColumn],
    batches: Iterable[Sequence[Row]],
    target: str,
) -> int:
    """Load rows into the columns of a table, as our text; returns how many."""
    progress = Progress()
    numbers = [column.is_number for column in columns]

    def pieces() -> Iterator[bytes]:
        for batch in of_width(batches, len(columns), target, progress):
            kinds = {type(value) for row in batch for value in row}
            if bool in kinds or datetime in kinds:
                batch = [[_plain(*pair) for pair in zip(row, numbers, strict=True)] for row in batch]
            stream = io.BytesIO()
            try:
                write_rows(stream, TSV(), [batch], first_row=progress.rows + 1)
            except FormatError as error:
                raise DatabaseError(f"MySQL cannot take a row for {target}. {error}") from error
            yield stream.getvalue()

    _load(connection, table, columns, clauses(TSV()), pieces(), target)
    return progress.rows


def load_text(
    connection: MysqlConnection,
    table: str,
    columns: Sequence[TableColumn],
    format: Format,
    stream: BinaryIO,
    target: str,
) -> int:
    """Load a text into the columns of a table; returns the rows. Raises as `Database.load_text`."""
    return _load(connection, table, columns, clauses(format), to_load(stream, format, len(columns)), target)


def _load(
    connection: MysqlConnection,
    table: str,
    columns: Sequence[TableColumn],
    how: str,
    pieces: Iterable[bytes],
    target: str,
) -> int:
    places, changes = [], []
    for number, column in enumerate(columns):
        made = column.from_text(f"@penstock{number}")
        places.append(f"@penstock{number}" if made else column.name)
        if made:
            changes.append(f"{column.name} = {made}")
    load = f"LOAD DATA LOCAL INFILE 'penstock' INTO TABLE {table} CHARACTER SET utf8mb4 {how} ({', '.join(places)})" + (
        f" SET {', '.join(changes)}" if changes else ""
    )
    with errors(target):
        connection.run(_ZERO_IS_ZERO)
        try:
            done = connection.load(load, pieces)
            if done.warnings:
                check_warnings(connection, done, target)
        finally:
            with suppress(Exception):
                connection.run("SET sql_mode = @penstock_mode")
    return done.rows


def _plain(value: object, is_number: bool) -> object:
    if type(value) is bool and is_number:
        return "1" if value else "0"
    return text_of(value) if isinstance(value, datetime) else value
