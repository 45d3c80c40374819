"""Text to Parquet by DuckDB, on both cores.

`convert` raises `TextNotTaken` where it might not come to the same as record by record: for text that DuckDB reads
otherwise, and for a value that is not written as its column's type is.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from penstock.data.compression import open_reader
from penstock.data.copy.by_duckdb import connected, errors, own_path, read, read_to_its_end
from penstock.data.copy.count import Count, errors_of
from penstock.data.databases import TextNotTaken
from penstock.data.databases import duckdb_csv as csv
from penstock.data.databases.headers import without_header
from penstock.data.databases.postgresql_text import takes, to_copy
from penstock.data.databases.rows import quote
from penstock.data.formats import Column, Format, Parquet, Row, parse_columns
from penstock.data.formats.column_types import column_type
from penstock.data.formats.parquet import literal, row_group
from penstock.data.formats.rows import named_columns
from penstock.data.formats.structure import QuotedStructure
from penstock.data.records import LONGEST_RECORD
from penstock.data.sides import FileSide
from penstock.data.storage import Entry

if TYPE_CHECKING:
    import duckdb

_LONG_ROW = 2000
_ROW_GROUP = 61_440
_BLOCK = 1 << 20
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT")


def convert(source: FileSide, entry: Entry, target: FileSide, path: Path, count: Count) -> None:
    """Write the Parquet file of an object's records."""
    format = source.rows
    if not isinstance(format, Format) or not isinstance(target.rows, Parquet) or target.compression != "none":
        raise TextNotTaken("Not text to Parquet.")
    if source.longest_record < LONGEST_RECORD:
        raise TextNotTaken("DuckDB reads longer records than are allowed.")
    if (format.header and not format.columns) or not takes(format):
        raise TextNotTaken("The names are in the file, or DuckDB does not read the format.")
    columns = named_columns("Parquet", target.rows.columns, parse_columns(format.columns))
    if format.columns and len(columns) != len(format.columns):
        raise TextNotTaken("Target and source have other columns.")
    with (
        tempfile.TemporaryDirectory(prefix="penstock-parquet-") as folder,
        source.storage.open(entry.uri) as stream,
        errors_of(entry.uri),
        errors(),
    ):
        own = own_path(stream) if source.compression == "none" else None
        plain = open_reader(count.counted(stream), source.compression)
        if format.quote_char:
            rows = _quoted(plain, own, format, columns, path, folder)
            if own is not None:
                read_to_its_end(stream)
        else:
            rows = _escaped(plain, format, columns, path, Path(folder))
    count.rows += rows
    count.columns = count.columns or tuple(parse_columns(format.columns))
    count.report()


def _quoted(
    stream: BinaryIO, own: Path | None, format: Format, columns: Sequence[Column], made: Path, folder: str
) -> int:
    """Convert quoted text, whose structure is looked at on its way to DuckDB; the rows."""
    begin = stream.read(_BLOCK).removeprefix(_BYTE_ORDER_MARK)
    if begin.startswith(_BYTE_ORDER_MARK):
        raise TextNotTaken("The first value begins with what DuckDB takes for a byte order mark.")
    structure = QuotedStructure(format.column_separator)
    blocks = structure.seen(chain((begin,), iter(partial(stream.read, _BLOCK), b"")))
    sample = without_header(begin, format, len(columns)) if format.header else begin
    size = len(begin) // max(begin.count(b"\n"), 1) + 1
    with connected(folder, is_long=size > _LONG_ROW) as connection, read(blocks, connection, own) as path:
        rows = _run(connection, _query(path, format, columns, csv.first_rows(sample, format), made, size))
    if not structure.has(rows + format.header, len(columns)):
        raise TextNotTaken("DuckDB does not see the records that are there.")
    return rows


def _escaped(stream: BinaryIO, format: Format, columns: Sequence[Column], made: Path, folder: Path) -> int:
    """Convert text of the service's own kind, from a file without its header; the rows."""
    pieces = to_copy(stream, format, len(columns))
    begin, path, records = b"", folder / "text", 0
    with path.open("wb") as file:
        for piece in pieces:
            records += _count(piece, format, len(columns))
            begin = begin or piece
            file.write(piece)
    if begin.startswith(_BYTE_ORDER_MARK):
        raise TextNotTaken("The first value begins with what DuckDB takes for a byte order mark.")
    size = len(begin) // max(begin.count(b"\n"), 1) + 1
    query = _query(str(path), replace(format, header=False), columns, csv.first_rows(begin, format), made, size)
    with connected(str(folder), is_long=size > _LONG_ROW) as connection:
        rows = _run(connection, query)
    if rows != records:
        raise TextNotTaken("DuckDB does not see the records that are there.")
    return rows


def _count(piece: bytes, format: Format, width: int) -> int:
    """The records of a piece; raises `TextNotTaken` where DuckDB would see others than `read_rows`."""
    separator = format.column_separator.encode()
    if b"\r" in piece:
        raise TextNotTaken("A carriage return.")
    if b"\\" in piece:
        mark = re.escape(separator)
        if len(re.findall(rb"(?<![^%b\n])\\N(?=[%b\n])" % (mark, mark), piece)) != piece.count(b"\\"):
            raise TextNotTaken("DuckDB does not know escapes outside of quotes.")
    records = piece.count(b"\n")
    if piece.count(separator) != records * (width - 1):
        raise TextNotTaken("A record has more or fewer columns, which DuckDB may pass over.")
    return records


def _run(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    connection.execute(csv.SETTINGS)
    found = connection.execute(query).fetchone()
    return int(found[0]) if found else 0


def _query(source: str, format: Format, columns: Sequence[Column], rows: Sequence[Row], made: Path, size: int) -> str:
    """The query that writes the file; the rows are the first, `size` the bytes of one."""
    values = [_value(column, rows, place) for place, column in enumerate(columns)]
    names = [quote(column.name) for column in columns]
    group = min(_ROW_GROUP, row_group(size))
    return (
        f"COPY ({csv.select(literal(source), format, values, names, header=format.header)}) TO {literal(made)}"
        f" (FORMAT parquet, COMPRESSION snappy, ROW_GROUP_SIZE {group}, DICTIONARY_SIZE_LIMIT {group // 12})"
    )


def _value(column: Column, rows: Sequence[Row], place: int) -> csv.Value:
    """How DuckDB makes the values of a column, and when they are written as its type is."""
    kind = column_type(column)
    if kind.pattern is None:
        return csv.Value()
    pattern = kind.pattern.replace("'", "''")
    if kind.name == "VARCHAR":
        return csv.Value(condition=f"{{c}} IS NULL OR length({{c}}) <= {pattern.rpartition(',')[2].rstrip('}')}")
    made = f"CAST({{c}} AS {kind.name})"
    written = f"regexp_full_match({{c}}, '{pattern}')"
    if kind.name in _WHOLE or kind.name.startswith("DECIMAL"):
        return csv.Value(made, csv.SAME, written)
    if kind.name == "DATE":
        return csv.Value(made, f"{csv.SAME} AND (length({{c}}) = 10) IS DISTINCT FROM false AND {csv.AFTER_YEAR_0}")
    if kind.name == "TIMESTAMP":
        return csv.timestamp(pattern, rows, place)
    if kind.name == "BLOB":
        made = "unhex(substr({c}, 3))"
    return csv.Value(made, f"{{c}} IS NULL OR {written}")
