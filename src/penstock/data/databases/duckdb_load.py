"""Rows into DuckDB in bulk."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import duckdb

from penstock.data.databases.duckdb_errors import errors
from penstock.data.databases.duckdb_tables import Table
from penstock.data.databases.duckdb_types import typed
from penstock.data.databases.rows import DatabaseError, Progress, Row, of_width, quote
from penstock.data.values import to_text

_PIECE = 64 << 20  # bytes of rows that are loaded at once
_LONGEST_LINE = 256 << 20
_NOT_CONVERTED = re.compile(r'CSV Error on Line: (\d+) .*Error when converting column "c(\d+)"\. (.*)', re.DOTALL)


def load(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    columns: Sequence[str],
    batches: Iterable[Sequence[Row]],
    target: str,
) -> int:
    """Write the rows to a file in which every value is quoted and NULL is not, and let DuckDB read it."""
    progress = Progress()
    types = {name.lower(): kind for name, kind in table.columns}
    chosen = ", ".join([quote(name) for name in columns])
    values = ", ".join([typed(f"c{number}", types.get(name.lower(), "")) for number, name in enumerate(columns)])
    read = ", ".join([f"'c{number}': 'VARCHAR'" for number in range(len(columns))])
    first = 1

    def load_file(path: str) -> None:
        with _row_errors(columns, first, target), errors(f"rows {first} to {progress.rows} for {target}"):
            connection.execute(
                f"INSERT INTO {table.name} ({chosen}) SELECT {values} FROM read_csv($1, columns = {{{read}}},"  # noqa: S608
                " header = false, auto_detect = false, delim = ',', quote = '\"', escape = '\"', nullstr = '\\N',"
                f" allow_quoted_nulls = false, parallel = false, max_line_size = {_LONGEST_LINE},"
                " new_line = '\\n')",
                [path],
            )

    with tempfile.NamedTemporaryFile(prefix="penstock-duckdb-", suffix=".csv") as file:
        for batch in of_width(batches, len(columns), target, progress):
            with errors(f"rows {progress.rows + 1} to {progress.rows + len(batch)} for {target}"):
                file.write("".join(map(_quoted_line, batch)).encode())
            if file.tell() > _PIECE:
                file.flush()
                progress.rows += len(batch)
                load_file(file.name)
                progress.rows -= len(batch)
                first = progress.rows + len(batch) + 1
                file.seek(0)
                file.truncate()
        if file.tell():
            file.flush()
            load_file(file.name)
    return progress.rows


def _quoted_line(row: Row) -> str:
    texts = [value if type(value) is str else to_text(value) for value in row]
    return ",".join(["\\N" if text is None else '"' + text.replace('"', '""') + '"' for text in texts]) + "\n"


@contextmanager
def _row_errors(columns: Sequence[str], first: int, target: str) -> Iterator[None]:
    """Name the row and the column of a value that DuckDB does not convert; it counts records where it says lines."""
    try:
        yield
    except DatabaseError as error:
        found = _NOT_CONVERTED.search(str(error))
        if found is None:
            raise
        row, column = first - 1 + int(found[1]), columns[int(found[2])]
        raise DatabaseError(f"DuckDB refused row {row} for {target}: column {column}: {found[3]}") from error.__cause__
