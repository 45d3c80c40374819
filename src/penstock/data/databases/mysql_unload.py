"""The rows of the wire as our text, without a look at their values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO

from penstock.data.databases.mysql_connection import Column, MysqlConnection, rows_of
from penstock.data.databases.mysql_text import NotText, TextMaker
from penstock.data.databases.mysql_values import is_date, is_exact_text
from penstock.data.databases.rows import DatabaseError, TextNotTaken
from penstock.data.formats import Column as FormatColumn
from penstock.data.formats import Format, write_rows


def unload(
    connection: MysqlConnection,
    query: str,
    described: Sequence[Column] | None,
    zeros: str,
    format: Format,
    stream: BinaryIO,
    what: str,
) -> int:
    """Write the rows of a query; returns how many. Raises `TextNotTaken` before the first byte.

    `described` are its columns as far as they are known before it runs, `zeros` is how zero dates are read.
    """
    if described is None or not _is_exact(described, zeros):
        raise TextNotTaken(f"{what} has columns whose text must be made value by value.")
    if format.columns and len(format.columns) != len(described):
        raise TextNotTaken("The format has other columns than the query.")
    result = connection.result(query)
    assert result is not None  # what has columns gives rows
    if not _is_exact(result.columns, zeros):
        raise TextNotTaken(f"{what} has columns whose text must be made value by value.")
    write_rows(stream, format, [], columns=[FormatColumn(column.name) for column in result.columns])
    maker = TextMaker(format, len(result.columns))
    rows = 0
    for chunk in rows_of(connection, result):
        try:
            text = maker.text(chunk)
        except NotText:
            raise DatabaseError(f"{what} gives text that is not UTF-8, after row {rows}.") from None
        stream.write(text if rows else text[1:])
        rows += len(chunk.starts)
    if rows:
        stream.write(format.record_separator.encode())
    return rows


def _is_exact(columns: Sequence[Column], zeros: str) -> bool:
    if zeros and any(is_date(column) for column in columns):
        return False
    return bool(columns) and all(is_exact_text(column) for column in columns)
