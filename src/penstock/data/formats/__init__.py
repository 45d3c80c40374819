"""Rows in files: every format that is read and written, through `read_rows` and `write_rows`.

AWS's CSV, TSV and Custom do not quote. A separator, a line feed, a carriage return or the escape character inside a
value has the escape character before it, and means itself when it is read: `a,b` is written `a\\,b`. NULL is a field
of exactly `\\N`, the empty string is nothing, and the word NULL is a word: the three stay different. With quoting
they are RFC 4180's. Text is UTF-8.

A carriage return before the line feed that ends a record is taken off, so files from Windows read as expected (the
service failed on them); one that belongs to a value is escaped or quoted. Every record has as many columns as the
format's `columns`, or as the first one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import BinaryIO

from penstock.data.formats import delimited_files, dynamodb_export, excel, json_lines, parquet, reg_ex
from penstock.data.formats.delimited import CSV as CSV
from penstock.data.formats.delimited import TSV as TSV
from penstock.data.formats.delimited import Format as Format
from penstock.data.formats.delimited import delimited as delimited
from penstock.data.formats.dynamodb_export import DynamoDBExport as DynamoDBExport
from penstock.data.formats.excel import ExcelCsv as ExcelCsv
from penstock.data.formats.json_lines import JsonLines as JsonLines
from penstock.data.formats.parquet import Parquet as Parquet
from penstock.data.formats.reg_ex import RegEx as RegEx
from penstock.data.formats.rows import Column as Column
from penstock.data.formats.rows import Row as Row
from penstock.data.formats.rows import Rows as Rows
from penstock.data.formats.rows import Sink as Sink
from penstock.data.formats.rows import TextRow as TextRow
from penstock.data.formats.rows import parse_columns as parse_columns
from penstock.data.records import LONGEST_RECORD
from penstock.data.records import FormatError as FormatError
from penstock.data.values import to_text as to_text

AnyFormat = Format | JsonLines | Parquet | RegEx | DynamoDBExport | ExcelCsv
"""Every format has `name`, `columns`, `same_text(other)`, and `joins`: whether files one after another are one file.

Only those that join have a `record_separator`.
"""


def read_rows(
    stream: BinaryIO, format: AnyFormat, *, batch_size: int = 2000, longest_record: int = LONGEST_RECORD
) -> Rows:
    """The records of a stream, in lists of `batch_size` (the last may be shorter), and their columns as far as known.

    A last record needs no record separator after it. Raises `FormatError` with the row, and the line where the two
    differ, for what the format does not allow, and for a record of more than `longest_record` bytes.
    """
    if isinstance(format, Format):
        return delimited_files.read(stream, format, batch_size=batch_size, longest_record=longest_record)
    if isinstance(format, Parquet):
        return parquet.read(stream, format, batch_size=batch_size)
    if isinstance(format, RegEx):
        return reg_ex.read(stream, format, batch_size=batch_size, longest_record=longest_record)
    if isinstance(format, DynamoDBExport):
        return dynamodb_export.read(stream, format, batch_size=batch_size, longest_record=longest_record)
    if isinstance(format, ExcelCsv):
        return excel.read(stream, format, batch_size=batch_size, longest_record=longest_record)
    return json_lines.read(stream, format, batch_size=batch_size, longest_record=longest_record)


def write_rows(
    stream: Sink,
    format: AnyFormat,
    batches: Iterable[Sequence[Row]],
    *,
    columns: Sequence[Column] = (),
    first_row: int = 1,
) -> int:
    """Write rows, and return how many.

    `columns` are those of the rows, for a format that writes names and has none of its own. Raises `FormatError` with
    the number of the row, counted from `first_row`, for a value that the format cannot hold.
    """
    if isinstance(format, Format):
        return delimited_files.write(stream, format, batches, columns=columns, first_row=first_row)
    if isinstance(format, Parquet):
        return parquet.write(stream, format, batches, columns=columns, first_row=first_row)
    if isinstance(format, RegEx):
        return reg_ex.write(stream, format, batches, first_row=first_row)
    if isinstance(format, DynamoDBExport):
        return dynamodb_export.write(stream, format, batches, columns=columns, first_row=first_row)
    if isinstance(format, ExcelCsv):
        return excel.write(stream, format, batches, columns=columns, first_row=first_row)
    return json_lines.write(stream, format, batches, columns=columns, first_row=first_row)
