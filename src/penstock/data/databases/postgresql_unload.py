"""COPY out as our text: the records as the server sends them, but for the few that our format writes otherwise."""

from __future__ import annotations

import re
from itertools import chain
from typing import BinaryIO

import psycopg

from penstock.data.databases import postgresql_tables, postgresql_text
from penstock.data.databases.postgresql_pipeline import copied_out, end_of_copy
from penstock.data.databases.postgresql_types import exact_text
from penstock.data.databases.rows import TextNotTaken
from penstock.data.formats import Column, Format, write_rows

_NAME = r'"(?:[^"]|"")+"'
_TABLE = re.compile(rf"SELECT \* FROM ({_NAME}\.{_NAME})")  # noqa: S608


def unload(connection: psycopg.Connection, query: str, format: Format, stream: BinaryIO, what: str) -> int:
    """Write the rows of a query, in a transaction; returns how many. Raises `TextNotTaken` before the first byte."""
    exact = exact_text(connection, query)
    if exact is None:
        raise TextNotTaken(f"{what} has columns whose text must be made value by value.")
    names, text = exact
    if format.columns and len(format.columns) != len(names):
        raise TextNotTaken("The format has other columns than the query.")
    table = _TABLE.fullmatch(text)
    is_alone = table is not None and postgresql_tables.is_alone(connection, table[1])
    source = table[1] if table is not None and is_alone else f"({text}\n)"  # it may end in a comment
    copy = f"COPY {source} TO STDOUT {postgresql_text.options(format)}"
    with psycopg.RawCursor(connection) as cursor, cursor.copy(copy.encode()):
        pieces = copied_out(connection)
        first = next(pieces, b"")
        postgresql_text.refuse_start(first, format)
        write_rows(stream, format, [], columns=[Column(name) for name in names])
        for piece in chain([first], pieces):
            stream.write(postgresql_text.from_copy(piece, format))
        return end_of_copy(connection)
