"""Rows between formats: what a reader gives, and how an error says which row it is about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple, Protocol, cast

from penstock.data.records import FormatError
from penstock.data.values import to_text

_TEXTS = {str, type(None)}
_LONG = 4 << 20

Row = Sequence[object]
"""The values of a record; None is NULL. Rows that are read from text hold str and None only."""
TextRow = tuple[str | None, ...]


class Sink(Protocol):
    """What bytes can be written to."""

    def write(self, data: bytes, /) -> object:
        """Take all of the bytes."""


class Column(NamedTuple):
    """A column of rows: its name, and its type in upper case as far as one is known."""

    name: str
    type: str = ""


def parse_columns(columns: Sequence[str]) -> tuple[Column, ...]:
    """The columns of a format, each written as a name or as a name and a type, such as `Score INT`."""
    parts = [column.split(None, 1) for column in columns]
    return tuple([Column(part[0], part[1].strip().upper() if len(part) > 1 else "") for part in parts if part])


def named_columns(what: str, own: Sequence[str], given: Sequence[Column]) -> tuple[Column, ...]:
    """The columns of a format that writes names: its own, else those of the rows. `what` needs them.

    Raises `FormatError` if there are none, and for a name that comes twice.
    """
    columns = parse_columns(own) or tuple(given)
    names = [column.name for column in columns]
    if not columns:
        raise FormatError(
            f"{what} needs the names of the columns, and the rows have none. Name them in `column` of the data format."
        )
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise FormatError(f"{what} needs different names, but two columns are called {twice!r}.")
    return columns


class Rows(Iterator[list[tuple[object, ...]]]):
    """The rows of a file in lists, as an iterator; `columns` are those that it or its format names, or none."""

    def __init__(self, columns: Sequence[Column], batches: Iterator[list[tuple[object, ...]]]) -> None:
        self.columns = tuple(columns)
        self._batches = batches

    def __next__(self) -> list[tuple[object, ...]]:
        return next(self._batches)


def batched(
    pieces: Iterable[tuple[list[tuple[object, ...]], int]], batch_size: int
) -> Iterator[list[tuple[object, ...]]]:
    """The rows of pieces, each with the size of its text, in lists of `batch_size`; of fewer where rows are long."""
    waiting: list[tuple[object, ...]] = []
    size = 0
    for rows, length in pieces:
        waiting = waiting + rows if waiting else rows
        size += length
        start = 0
        while len(waiting) - start >= batch_size:
            yield waiting[start : start + batch_size]
            start += batch_size
        if start:
            waiting, size = waiting[start:], 0
        if size > _LONG and waiting:
            del rows
            full, waiting, size = waiting, [], 0
            yield full
            del full
    if waiting:
        yield waiting


def batched_rows(rows: Iterable[tuple[object, ...]], batch_size: int) -> Iterator[list[tuple[object, ...]]]:
    """Rows in lists of `batch_size`, and of fewer where they are long."""
    batch: list[tuple[object, ...]] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += sum([len(value) for value in row if isinstance(value, str)])
        if len(batch) == batch_size or size > _LONG:
            full, batch, size = batch, [], 0
            del row
            yield full
            del full
    if batch:
        yield batch


def are_long(rows: Sequence[Sequence[str | None]]) -> bool:
    """Whether a text of the rows is so long that the csv module, which takes four bytes a character, is no choice."""
    return max(map(len, filter(None, chain.from_iterable(rows))), default=0) > _LONG


class BadRecord(Exception):
    """What is wrong with the record of an index in what is read or written at once; the rest of a sentence."""

    def __init__(self, index: int, problem: str) -> None:
        super().__init__(problem)
        self.index = index

    def at(self, row: int, line: int | None = None) -> FormatError:
        """The error with the number of the row, and the line where the two differ."""
        return row_error(row, line, str(self))


def row_error(row: int, line: int | None, problem: str) -> FormatError:
    """The error of a row; `line` is counted by line feeds, and None where a file has no lines."""
    place = f"Row {row}" if row else "The header"
    if line is not None and line != max(row, 1):
        place += f" (line {line})"
    return FormatError(f"{place} {problem}")


def texts_of(row: Row, index: int) -> Sequence[str | None]:
    """The texts of a row's values; NULL stays None. Raises `BadRecord` with the index for what has no text."""
    if _TEXTS.issuperset(map(type, row)):
        return cast("Sequence[str | None]", row)
    try:
        return [value if type(value) is str else to_text(value) for value in row]
    except TypeError as error:
        raise BadRecord(index, f"cannot be written. {error}") from None


def count(number: int, noun: str) -> str:
    """A number with its noun: 1 column, 2 columns."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def check_width(rows: Sequence[Row], width: int, because: str) -> None:
    """Raise `BadRecord` for the first row that has not `width` columns; `because` says where the number is from."""
    if set(map(len, rows)) - {width}:
        index = next(index for index, row in enumerate(rows) if len(row) != width)
        row = rows[index]
        found = repr(str(row[0])[:40]) if len(row) and row[0] is not None else "nothing" if not len(row) else "NULL"
        first = f", the first is {found}" if len(row) else ""
        raise BadRecord(index, f"has {count(len(row), 'column')}{first}, but {because} {count(width, 'column')}.")
