"""Records that are not quoted: an escape character stands before what would be misread.

The csv module of the standard library does most of the work: NULL is given to it, and taken from it, as a mark that
no value has. What it would not do exactly so is done by hand.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence

from penstock.data.formats.delimited import Format
from penstock.data.formats.rows import BadRecord, Row, TextRow, are_long, texts_of
from penstock.data.records import split_records, split_unescaped

_MARK = "\ue000"
_BLOCK = 1 << 18


def parse(text: str, format: Format) -> list[TextRow]:
    """The rows of a text of whole records, without the last record separator. Raises `BadRecord`."""
    separator, escape, null = format.column_separator, format.escape_char, format.null_text
    if escape is not None and escape in text:
        rows = _fast_rows(text, format)
        return rows if rows is not None else _escaped_rows(text, format)
    records = split_records(text, format)
    if null is None or null not in text:
        return [tuple(record.split(separator)) for record in records]
    return [tuple([None if field == null else field for field in record.split(separator)]) for record in records]


def text_of(batch: Sequence[Row], format: Format) -> str:
    """The text of rows, a record separator after each. Raises `BadRecord`."""
    text = _fast_text(batch, format)
    return text if text is not None else _escaped_text(batch, format)


def _fast_rows(text: str, format: Format) -> list[TextRow] | None:
    """The rows by the csv module, or None where it would not read what we mean."""
    escape, null = format.escape_char, format.null_text
    if format.record_separator != "\n" or format.column_separator == "\r" or escape == "\r" or escape is None:
        return None
    if null is None or not null.startswith(escape) or _MARK in text or escape + null in text:
        return None
    if are_long([[text]]) or text.endswith(escape) or ("\r" in text and text.count("\r") != text.count("\r\n")):
        return None
    marked = text.replace(null, _MARK)
    reader = csv.reader(
        io.StringIO(marked + "\n", newline="\n"),
        delimiter=format.column_separator,
        escapechar=escape,
        quoting=csv.QUOTE_NONE,
    )
    nulls = 0
    rows: list[TextRow] = []
    for row in reader:
        if _MARK in row:
            nulls += row.count(_MARK)
            rows.append(tuple([None if field == _MARK else field for field in row]))
        else:
            rows.append(tuple(row) or ("",))
    return rows if nulls == marked.count(_MARK) else None


def _escaped_rows(text: str, format: Format) -> list[TextRow]:
    separator, escape, null = format.column_separator, format.escape_char or "", format.null_text
    rows: list[TextRow] = []
    escaped = re.compile(re.escape(escape) + "(.)", re.DOTALL)
    for record in split_records(text, format):
        if escape + separator in record:
            fields = split_unescaped(record, separator, escape)
        else:
            fields = record.split(separator)
        if (len(record) - len(record.rstrip(escape))) % 2 == 1:
            raise BadRecord(len(rows), f"ends in the escape character {escape!r}.")
        plain = [None if field == null else _plain(field, escape, escaped) for field in fields]
        rows.append(tuple(plain))
    return rows


def _plain(field: str, escape: str, escaped: re.Pattern[str]) -> str:
    """The text without its escapes, block by block: the pattern, and the mark, would take more than a long text."""
    if escape not in field:
        return field
    parts = []
    start = 0
    while start < len(field):
        block = field[start : start + _BLOCK]
        if (len(block) - len(block.rstrip(escape))) % 2:
            block = field[start : start + _BLOCK + 1]
        if _MARK in block:
            parts.append(escaped.sub(r"\1", block))
        else:
            parts.append(block.replace(escape * 2, _MARK).replace(escape, "").replace(_MARK, escape))
        start += len(block)
    return "".join(parts)


def _fast_text(batch: Sequence[Row], format: Format) -> str | None:
    """The text by the csv module, or None where it would not write what we mean."""
    null, escape, line_feed = format.null_text, format.escape_char, format.record_separator
    if len(batch[0]) == 1 or null is None or line_feed != "\n":
        return None
    if escape is None or not null.startswith(escape):
        return None
    nulls = 0
    rows = []
    for index, row in enumerate(batch):
        texts = texts_of(row, index)
        if None in texts:
            nulls += texts.count(None)
            texts = [_MARK if text is None else text for text in texts]
        rows.append(texts)
    if are_long(rows):
        return None
    stream = io.StringIO(newline="")
    csv.writer(
        stream,
        delimiter=format.column_separator,
        escapechar=escape,
        quoting=csv.QUOTE_NONE,
        quotechar=None,
        lineterminator="\n",
    ).writerows(rows)
    text = stream.getvalue()
    if "\r" in text or text.count(_MARK) != nulls:
        return None
    return text.replace(_MARK, null) if nulls else text


def _escaped_text(batch: Sequence[Row], format: Format) -> str:
    records = [
        format.column_separator.join([_field(text, format, index) for text in texts_of(row, index)])
        for index, row in enumerate(batch)
    ]
    records.append("")
    return format.record_separator.join(records)


def _field(text: str | None, format: Format, index: int) -> str:
    null, escape = format.null_text, format.escape_char
    if text is None:
        if null is None:
            raise BadRecord(index, f"holds NULL, which {format.name} cannot hold.")
        return null
    if format.special.search(text) is None and text != null:
        return text
    if escape is None:
        raise BadRecord(
            index,
            f"holds {text[:50]!r}, which the format {format.name} cannot write"
            " without an escape character. Use CSV or TSV, or other separators.",
        )
    written = text.replace(escape, escape * 2)
    for mark in set(f"{format.column_separator}{format.record_separator}\r\n") - {escape}:
        written = written.replace(mark, escape + mark)  # a pattern would keep each piece of a long text
    return escape + written if written == null else written
