"""Rows of Python's values out of the chunks of a result, a column at a time."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator

import numpy as np

from penstock.data.databases.mysql_connection import Column, MysqlConnection, Result, rows_of
from penstock.data.databases.mysql_packets import Chunk, Values, values_of
from penstock.data.databases.mysql_values import binary_row, converter, is_binary, zero_dates

_Rows = list[tuple[object, ...]]


def batches_of(
    connection: MysqlConnection, result: Result, prepared: int | None, zeros: str, batch_size: int
) -> Generator[_Rows, None, None]:
    """Lists of `batch_size` rows; `prepared` is the number of the prepared query whose rows they are.

    Raises ValueError for a zero date that the connection string refuses.
    """
    waiting: _Rows = []
    for rows in _rows(connection, result, prepared is not None, zeros):
        waiting = waiting + rows if waiting else rows
        start = 0
        while len(waiting) - start >= batch_size:
            yield waiting[start : start + batch_size]
            start += batch_size
        waiting = waiting[start:]
    if prepared is not None:
        connection.forget(prepared)
    if waiting:
        yield waiting


def _rows(connection: MysqlConnection, result: Result, is_binary_protocol: bool, zeros: str) -> Iterator[_Rows]:
    columns = result.columns
    dates = [(index, zero_dates(column, zeros)) for index, column in enumerate(columns)]
    changed = [(index, change) for index, change in dates if change is not None]
    for chunk in rows_of(connection, result):
        if is_binary_protocol:
            data = bytes(memoryview(chunk.data)[: chunk.end])
            rows: _Rows = [binary_row(data, start + 4, columns) for start in chunk.starts]
        else:
            rows = _text_rows(chunk, columns)
        yield [_changed(row, changed) for row in rows] if changed else rows


def _text_rows(chunk: Chunk, columns: tuple[Column, ...]) -> _Rows:
    data = bytes(memoryview(chunk.data)[: chunk.end])
    text = data.decode("latin-1")
    found = values_of(np.frombuffer(data, np.uint8), np.array(chunk.starts, np.int64), len(columns))
    return list(zip(*[_column(data, text, *pair) for pair in zip(found, columns, strict=True)], strict=True))


def _column(data: bytes, text: str, values: Values, column: Column) -> list[object]:
    begins = values.begin.tolist()
    ends = (values.begin + values.size).tolist()
    convert = converter(column)
    made: list[object]
    if is_binary(column):
        made = [data[begin:end] for begin, end in zip(begins, ends, strict=True)]
    elif convert is None:
        made = [data[begin:end].decode() for begin, end in zip(begins, ends, strict=True)]
    elif convert is str:
        made = [text[begin:end] for begin, end in zip(begins, ends, strict=True)]
    elif not values.null.any():
        made = [convert(text[begin:end]) for begin, end in zip(begins, ends, strict=True)]
    else:
        made = [convert(text[begin:end]) if begin < end else None for begin, end in zip(begins, ends, strict=True)]
    for index in np.flatnonzero(values.null).tolist():
        made[index] = None
    return made


def _changed(row: tuple[object, ...], changes: list[tuple[int, Callable[[str], object]]]) -> tuple[object, ...]:
    values = list(row)
    for index, change in changes:
        value = values[index]
        if isinstance(value, str):
            values[index] = change(value)
    return tuple(values)
