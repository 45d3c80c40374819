"""Records of RFC 4180: quotes where a field needs them, NULL as an unquoted empty field, `""` as the empty string.

The csv module of the standard library parses and writes fast, but cannot tell `""` from nothing and takes quotes
where none may stand. So a text is checked by one regular expression first, and the empty strings are marked.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from penstock.data.formats.delimited import Format
from penstock.data.formats.rows import BadRecord, Row, TextRow, are_long, texts_of

_BARE_RETURN = re.compile(r"\r(?!\n)")
_FIELD = re.compile(r'"[^"]*+(?:""[^"]*+)*+"')
csv.field_size_limit(2**31 - 1)  # of the whole process: the default of 128 KiB would refuse what our limit allows


def parse(text: str, format: Format) -> list[TextRow]:
    """The rows of a text of whole records, without the last record separator. Raises `BadRecord`."""
    separator = format.column_separator
    if "\r" in text:
        _check_returns(text, format)
    if '"' not in text:
        lines = text.replace("\r\n", "\n").removesuffix("\r") if "\r" in text else text
        return [_nulls(line.split(separator)) for line in lines.split("\n")]
    if are_long([[text]]):
        return _long_rows(text, format)
    marked, mark = _mark_empty(text, format)
    rows = records(marked + "\n", format)
    if mark is None:
        return [_nulls(row) or (None,) for row in rows]
    return [
        tuple([None if field == "" else "" if field == mark else field for field in row])
        if "" in row or mark in row
        else tuple(row) or (None,)
        for row in rows
    ]


def _long_rows(text: str, format: Format) -> list[TextRow]:
    """The rows without the csv module, for a text with a value that it would need too much memory for."""
    valid, _ = _patterns(format.column_separator)
    whole = valid.match(text)
    if whole is None or whole.end() < len(text):
        raise _misplaced_quote(text, whole.end() if whole else 0, format)
    separator = format.column_separator
    field = re.compile(rf'"([^"]*+(?:""[^"]*+)*+)"|[^{re.escape(separator)}\r\n]*+')
    rows: list[TextRow] = []
    row: list[str | None] = []
    position = 0
    while True:
        found = field.match(text, position)
        if found is None:  # the empty text matches everywhere
            raise AssertionError(position)
        position = found.end()
        row.append(found[0] or None if found[1] is None else found[1].replace('""', '"'))
        if text.startswith(separator, position):
            position += 1
            continue
        rows.append(tuple(row))
        row = []
        position += text.startswith("\r", position)
        if position >= len(text):
            return rows
        position += 1


def records(text: str, format: Format) -> Any:
    """The csv module's reader of a text, which counts lines in `line_num`; it does not say what is NULL."""
    return csv.reader(io.StringIO(text, newline="\n"), delimiter=format.column_separator)


def counted(text: str, format: Format) -> Any:
    """The same reader for what may be wrong: a carriage return alone, at which it would stop, is a blank."""
    return records(_BARE_RETURN.sub(" ", text), format)


def text_of(batch: Sequence[Row], format: Format, line_end: str = "\n") -> str:
    """The text of rows, `line_end` after each. Raises `BadRecord`."""
    rows = [texts_of(row, index) for index, row in enumerate(batch)]
    text = _fast_text(rows, format, line_end)
    return text if text is not None else "".join([_record(row, format) + line_end for row in rows])


def _nulls(fields: list[str]) -> TextRow:
    return tuple([field or None for field in fields]) if "" in fields else tuple(fields)


def _mark_empty(text: str, format: Format) -> tuple[str, str | None]:
    """The text with every `""` that is a whole field replaced by a mark that occurs nowhere, and the mark.

    Raises `BadRecord` where a quote stands that RFC 4180 does not allow.
    """
    valid, empty = _patterns(format.column_separator)
    whole = valid.match(text)
    if whole is None or whole.end() < len(text):
        raise _misplaced_quote(text, whole.end() if whole else 0, format)
    found = [match.start() for match in empty.finditer(text)]
    if not found:
        return text, None
    before = format.column_separator + "\n"
    mark = _absent(text)
    pieces = []
    done = counted = quotes = 0
    for position in found:
        if position and text[position - 1] not in before:
            continue
        quotes += text.count('"', counted, position)
        counted = position
        if quotes % 2 == 0:  # not inside a quoted field
            pieces.append(text[done:position])
            done = position + 2
    pieces.append(text[done:])
    return mark.join(pieces), mark


@cache
def _patterns(separator: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    mark = re.escape(separator)
    field = rf'(?<![^{mark}\n])"[^"]*+(?:""[^"]*+)*+"(?=[{mark}\n]|\r\n|\r?\Z)'
    return re.compile(rf'[^"]*+(?:{field}[^"]*+)*+'), re.compile(rf'""(?=[{mark}\r\n]|\Z)')


def _absent(text: str) -> str:
    return next(character for character in map(chr, range(0xE000, 0xF8FF)) if character not in text)


def _misplaced_quote(text: str, position: int, format: Format) -> BadRecord:
    separator = format.column_separator
    rows = list(counted(text[:position], format))
    starts_record = position == 0 or text[position - 1] == "\n"
    index = len(rows) if starts_record else len(rows) - 1
    if not starts_record and text[position - 1] != separator:
        begin = max(text.rfind(separator, 0, position), text.rfind("\n", 0, position)) + 1
        return BadRecord(
            index,
            f"has a quote in the middle of an unquoted field, {text[begin : position + 20][:60]!r}. With quoting"
            " 'rfc4180' such a field is quoted as a whole and the quote doubled.",
        )
    closed = _FIELD.match(text, position)
    if closed is None:
        return BadRecord(index, f"has a quote that is never closed, before {text[position + 1 : position + 41]!r}.")
    return BadRecord(
        index,
        f"has text after a closing quote, {text[max(position, closed.end() - 20) : closed.end() + 20]!r}. With quoting"
        " 'rfc4180' a quote inside a value is doubled.",
    )


def _check_returns(text: str, format: Format) -> None:
    if text.count("\r") == text.count("\r\n"):
        return
    outside = _FIELD.sub(lambda match: "x" * len(match[0]), text.removesuffix("\r"))
    bare = _BARE_RETURN.search(outside)
    if bare is not None and outside.count('"', 0, bare.start()) == 0:
        index = outside.count("\n", 0, bare.start())
        raise BadRecord(
            index,
            "has a carriage return in an unquoted field. Lines end in a line feed, or in a carriage return and a"
            " line feed; a value with a carriage return is quoted.",
        )


def _fast_text(rows: list[Sequence[str | None]], format: Format, line_end: str) -> str | None:
    """The text by the csv module, or None where it would not write what we mean."""
    if len(rows[0]) == 1 or are_long(rows):
        return None
    mark, empties = "\ue000", 0
    marked = rows
    if any("" in row for row in rows):
        marked = []
        for row in rows:
            if "" in row:
                empties += row.count("")
                row = [mark if value == "" else value for value in row]
            marked.append(row)
    stream = io.StringIO(newline="")
    csv.writer(stream, delimiter=format.column_separator, lineterminator=line_end).writerows(marked)
    text = stream.getvalue()
    if ("\r" in text and line_end == "\n") or text.startswith("\ufeff") or (empties and text.count(mark) != empties):
        return None
    return text.replace(mark, '""') if empties else text


def _record(row: Sequence[str | None], format: Format) -> str:
    return format.column_separator.join([_field(text, format) for text in row])


def _field(text: str | None, format: Format) -> str:
    if text is None:
        return ""
    # PostgreSQL ends the data at a line of \. and readers take U+FEFF at the start for a byte order mark
    if text and format.special.search(text) is None and text != "\\." and not text.startswith("\ufeff"):
        return text
    return '"' + text.replace('"', '""') + '"'
