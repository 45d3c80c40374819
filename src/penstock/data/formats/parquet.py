"""Parquet, an extension, by DuckDB: it is here for the fast ways already, streams by row groups, and knows every type.

Rows are text on their way to DuckDB, through a pipe, and it makes them the types of their columns. What would not
survive that is refused before. In return the values of a file come typed; what is nested comes as JSON.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast
from uuid import UUID

from penstock.data.formats import quoted
from penstock.data.formats.column_types import check_texts, column_type
from penstock.data.formats.delimited import delimited
from penstock.data.formats.json_lines import JsonText
from penstock.data.formats.rows import (
    BadRecord,
    Column,
    Row,
    Rows,
    Sink,
    check_width,
    named_columns,
    parse_columns,
    row_error,
    texts_of,
)
from penstock.data.records import FormatError

if TYPE_CHECKING:
    import duckdb

_CHUNK = 1 << 20
_LONGEST_ROW = 8 << 20
_GROUP_BYTES = 12 << 20
_MEMORY = "200MB"
_MORE_THAN_A_PIPE = 2 << 20
_BIGGEST = 2**63
_TEXT = delimited("Parquet", quoting="rfc4180")
_NESTED = re.compile(r"(STRUCT|MAP|UNION)\b|.*\]$", re.DOTALL)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_KINDS: dict[type, str] = {
    bool: "BOOLEAN",
    float: "DOUBLE",
    date: "DATE",
    bytes: "BLOB",
    UUID: "UUID",
}


@dataclass(frozen=True)
class Parquet:
    """Parquet. `columns` are the columns that are read, in their order, or those that are written with their types."""

    columns: tuple[str, ...] = ()
    name = "Parquet"
    joins = False

    def same_text(self, other: object) -> bool:
        """Whether a file of one is one of the other."""
        return isinstance(other, Parquet) and parse_columns(self.columns) == parse_columns(other.columns)


def read(stream: BinaryIO, format: Parquet, *, batch_size: int) -> Rows:
    """The rows of a file, which is kept in a temporary file meanwhile, since its schema stands at its end."""
    batches = _read(stream, format, batch_size)
    return Rows(cast("tuple[Column, ...]", tuple(next(batches))), cast("Iterator[list[tuple[object, ...]]]", batches))


def _read(stream: BinaryIO, format: Parquet, batch_size: int) -> Iterator[Sequence[object]]:
    """The columns, and then the batches."""
    import duckdb

    from penstock.data.databases.duckdb_types import readable
    from penstock.data.databases.rows import quote

    with tempfile.TemporaryDirectory(prefix="penstock-parquet-") as folder:
        path = Path(folder) / "in.parquet"
        with path.open("wb") as file:
            shutil.copyfileobj(stream, file, _CHUNK)
        with _connect(folder) as connection:
            try:
                source = f"read_parquet({literal(path)}, hive_partitioning = false, file_row_number = false)"
                described = connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()  # noqa: S608
                kinds = {row[0]: row[1] for row in described}
                wanted = parse_columns(format.columns)
                missing = next((column.name for column in wanted if column.name not in kinds), None)
                if missing is not None:
                    raise FormatError(f"The Parquet file has no column {missing!r}, but {', '.join(kinds)}.")
                names = [column.name for column in wanted] or list(kinds)
                yield [Column(name, kinds[name].upper()) for name in names]
                values = [
                    f"CAST(to_json({quote(name)}) AS VARCHAR)" if _NESTED.match(kinds[name]) else quote(name)
                    for name in names
                ]
                query = f"SELECT {', '.join(values)} FROM {source}"  # noqa: S608
                query, _, conversions = readable(connection, query)
                cursor = connection.execute(query)
                while rows := cursor.fetchmany(batch_size):
                    if any(conversions):
                        rows = [
                            tuple(
                                [
                                    value if convert is None or value is None else convert(value)
                                    for value, convert in zip(row, conversions, strict=True)
                                ]
                            )
                            for row in rows
                        ]
                    yield rows
            except duckdb.Error as error:
                raise_if_full(error)
                raise FormatError(f"The data is no Parquet file that can be read: {_one_line(error)}.") from None


def write(
    stream: Sink,
    format: Parquet,
    batches: Iterable[Sequence[Row]],
    *,
    columns: Sequence[Column],
    first_row: int,
) -> int:
    """Write rows. See `write_rows`.

    A column without a type has that of its values in the first rows, and is text where they differ or are all NULL.
    """
    filled = (batch for batch in batches if batch)
    first = next(filled, [])
    named = named_columns("Parquet", format.columns, columns)
    try:
        check_width(first, len(named), "the columns of the format are")
    except BadRecord as error:
        raise error.at(first_row + error.index) from None
    written = [
        column if column.type else Column(column.name, _type_of([row[place] for row in first]))
        for place, column in enumerate(named)
    ]
    with tempfile.TemporaryDirectory(prefix="penstock-parquet-") as folder:
        made = Path(folder) / "out.parquet"
        rows = _convert(chain([first], filled) if first else iter(()), written, Path(folder), made, first_row)
        with made.open("rb") as file:
            while data := file.read(_CHUNK):
                stream.write(data)
    return rows


def _convert(
    batches: Iterator[Sequence[Row]], columns: Sequence[Column], folder: Path, made: Path, first_row: int
) -> int:
    """Hand the rows to DuckDB as text, and return how many there were."""
    batches, row_group = _row_group(batches)
    source = folder / "rows.csv"
    query = _copy_query(source, columns, made, row_group)
    counter = _Counter(first_row)
    pieces = _pieces(batches, columns, counter)
    begin, size = [], 0
    for piece in pieces:
        begin.append(piece)
        size += len(piece)
        if size > _MORE_THAN_A_PIPE:
            _through_a_pipe(source, chain(begin, pieces), lambda: _run(query, folder, columns))
            break
    else:
        source.write_bytes(b"".join(begin))
        _run(query, folder, columns)
    return counter.row - first_row


@dataclass
class _Counter:
    """The number of the next row."""

    row: int


def _pieces(batches: Iterator[Sequence[Row]], columns: Sequence[Column], counter: _Counter) -> Iterator[bytes]:
    """The text of each batch, when its values are those of their columns."""
    checked = [True] * len(columns)
    for batch in batches:
        try:
            check_width(batch, len(columns), "the columns of the format are")
            texts = [texts_of(row, index) for index, row in enumerate(batch)]
            check_texts(texts, columns, checked)
            data = quoted.text_of(texts, _TEXT).encode()
        except BadRecord as error:
            raise error.at(counter.row + error.index) from None
        except UnicodeEncodeError:
            raise row_error(counter.row, None, "or one soon after it holds text that is not valid Unicode.") from None
        if len(data) > _LONGEST_ROW:
            _check_length(texts, counter.row)
        yield data
        counter.row += len(batch)


def _through_a_pipe(pipe: Path, pieces: Iterator[bytes], run: Callable[[], None]) -> None:
    """Run the query while it is fed. There is more than a pipe holds, or it could be closed before DuckDB opens it."""
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)  # so that opening it to write does not wait
    errors: list[FormatError | OSError] = []

    def copy() -> None:
        try:
            run()
        except (FormatError, OSError) as error:
            errors.append(error)
        finally:
            os.close(reader)  # whoever still writes gets a BrokenPipeError

    thread = threading.Thread(target=copy, name="parquet")
    thread.start()
    try:
        with suppress(BrokenPipeError), pipe.open("wb", buffering=0) as file:
            for piece in pieces:
                data = memoryview(piece)
                while data:
                    data = data[file.write(data) :]
    finally:
        thread.join()
    if errors:
        raise errors[0]


def _run(query: str, folder: Path, columns: Sequence[Column]) -> None:
    import duckdb

    try:
        with _connect(str(folder)) as connection:
            connection.execute(query)
    except duckdb.Error as error:
        raise_if_full(error)
        raise FormatError(f"The rows do not fit into Parquet: {_one_line(error, columns)}.") from None


def _copy_query(pipe: Path, columns: Sequence[Column], made: Path, row_group: int) -> str:
    from penstock.data.databases.rows import quote

    places = [f"c{number}" for number in range(len(columns))]
    values = []
    for place, column in zip(places, columns, strict=True):
        kind = column_type(column).name
        value = f"unhex(substr({place}, 3))" if kind == "BLOB" else f"CAST({place} AS {kind})"
        values.append(f"{value} AS {quote(column.name)}")
    fields = ", ".join([f"'{place}': 'VARCHAR'" for place in places])
    source = (
        f"read_csv({literal(pipe)}, auto_detect = false, header = false, delim = ',', quote = '\"', escape = '\"',"
        f" new_line = '\\n', allow_quoted_nulls = false, parallel = false, max_line_size = {_LONGEST_ROW},"
        f" buffer_size = {2 * _LONGEST_ROW}, columns = {{{fields}}})"
    )
    return (
        f"COPY (SELECT {', '.join(values)} FROM {source}) TO {literal(made)}"  # noqa: S608
        f" (FORMAT parquet, COMPRESSION snappy, ROW_GROUP_SIZE {row_group})"
    )


def _row_group(batches: Iterator[Sequence[Row]]) -> tuple[Iterator[Sequence[Row]], int]:
    """The batches, and how many rows a group may have so that it fits into memory, by the size of the first ones."""
    first = next(batches, None)
    if first is None:
        return iter(()), 2048
    size = sum([len(str(value)) for row in first for value in row]) // len(first) + 1
    return chain([first], batches), row_group(size)


def row_group(size: int) -> int:
    """How many rows of so many bytes are written at once."""
    return min(122_880, max(2048, _GROUP_BYTES // size // 2048 * 2048))


def _type_of(values: Sequence[object]) -> str:
    """The type of a column, by its values; nothing for text."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {JsonText} and all(value is None or _NUMBER.fullmatch(str(value)) for value in values):
        values = [value if value is None else Decimal(str(value)) for value in values]
        kinds = {Decimal}
        if all(value is None or value == cast("Decimal", value).to_integral_value() for value in values):
            kinds = {int}
    if len(kinds) != 1:
        return ""
    kind = kinds.pop()
    found = [value for value in values if value is not None]
    if kind is int:
        return "BIGINT" if all(-_BIGGEST <= cast("int", value) < _BIGGEST for value in found) else "DECIMAL(38,0)"
    if kind is Decimal:
        decimals = cast("list[Decimal]", found)
        if not all(value.is_finite() for value in decimals):
            return ""
        return f"DECIMAL(38,{min(38, max(0, *[-int(value.as_tuple().exponent) for value in decimals], 0))})"
    if kind is datetime:
        aware = {cast("datetime", value).tzinfo is not None for value in found}
        return "" if len(aware) > 1 else "TIMESTAMP WITH TIME ZONE" if aware == {True} else "TIMESTAMP"
    if kind is time:
        return "TIME" if all(cast("time", value).tzinfo is None for value in found) else ""
    return _KINDS.get(kind, "")


def _check_length(texts: Sequence[Sequence[str | None]], row_number: int) -> None:
    for index, row in enumerate(texts):
        size = len(quoted.text_of([row], _TEXT).encode())
        if size > _LONGEST_ROW:
            problem = f"has {size} bytes, but a row that is written to Parquet has at most {_LONGEST_ROW}."
            raise row_error(row_number + index, None, problem)


def _connect(folder: str) -> duckdb.DuckDBPyConnection:
    import duckdb

    connection = duckdb.connect(config={"threads": 1, "memory_limit": _MEMORY, "temp_directory": folder})
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def raise_if_full(error: Exception) -> None:
    """Raise OSError where DuckDB says that a disk is full."""
    if os.strerror(errno.ENOSPC) in str(error):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error


def literal(path: Path | str) -> str:
    """A path as SQL writes it."""
    return "'" + str(path).replace("'", "''") + "'"


def _one_line(error: Exception, columns: Sequence[Column] = ()) -> str:
    """What DuckDB says, without what follows about its own options and without the names of its files and columns."""
    text = " ".join(str(error).split("\n\n")[0].split())[:500]
    text = re.sub(r"'[^']*penstock-parquet-[^']*'", "it", text)
    return re.sub(r" when casting from source column c(\d+)", lambda found: _in_column(columns, int(found[1])), text)


def _in_column(columns: Sequence[Column], place: int) -> str:
    return f" in the column {columns[place].name!r}" if place < len(columns) else ""
