"""Text that DuckDB reads as typed values, each of which is proven to be what its text says.

DuckDB reads more than one way of writing a value: `007`, ` 7`, `1e3`, `2013-1-2`, `20-3-11-12`. So every value is
compared with its text, or with a shape that leaves one meaning only, while it is read; what does not pass ends the
query. It takes quotes too where none may stand, passes over empty lines and over a separator too many at the end of a
record: who reads quoted text holds its rows against a `QuotedStructure`.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from penstock.data.formats import Format, Row, read_rows
from penstock.data.records import FormatError, whole_records

SETTINGS = "SET disabled_optimizers = 'filter_pushdown'"
"""A value is made once, and both written and compared: DuckDB would make it again below its own filter."""
SAME = "{v}::VARCHAR IS NOT DISTINCT FROM {c}"
AFTER_YEAR_0 = "({c} >= '0001') IS DISTINCT FROM false"
"""Of a text with four digits for the year, which compares as the date does."""
_DIGIT = "[0-9]"
_SECOND = f"????-??-?{_DIGIT}%s{_DIGIT}?:?{_DIGIT}:?{_DIGIT}"
_SAMPLE = 1 << 16
_STAMP = re.compile(r"\d{4}-\d\d-\d\d([ T])\d\d:\d\d:\d\d(?:\.(\d{1,6}))?")
_BUFFER = 4 << 20


@dataclass(frozen=True)
class Value:
    """How DuckDB makes the value `{v}` of the text `{c}`, and the condition under which it is what the text says.

    Where that does not hold, `otherwise` may: a condition that takes longer.
    """

    made: str = "{c}"
    condition: str = ""
    otherwise: str = ""


def first_rows(begin: bytes, format: Format) -> Sequence[Row]:
    """The first rows of a text without a header that begins so, as far as they are whole."""
    plain = replace(format, header=False)
    piece = next(whole_records(io.BytesIO(begin[:_SAMPLE]), plain), b"")
    with suppress(FormatError):  # the first record is longer, or whoever reads all will say what is wrong
        return [row for batch in read_rows(io.BytesIO(piece), plain) for row in batch]
    return []


def timestamp(pattern: str, rows: Sequence[Row], place: int) -> Value:
    """A TIMESTAMP that is written as a pattern says; quick for the way in which the first of some rows is written.

    DuckDB takes a text of such a shape for a timestamp only if the `?` are digits too; a test tries all others.
    """
    written = next((_STAMP.fullmatch(str(row[place])) for row in rows if row[place] is not None), None)
    slow = f"regexp_full_match({{c}}, '{pattern}')"
    if written is None:
        return Value("CAST({c} AS TIMESTAMP)", f"({{c}} IS NULL OR {slow}) AND {AFTER_YEAR_0}")
    shape = _SECOND % written[1] + (f".{_DIGIT * len(written[2])}" if written[2] else "")
    return Value(
        "CAST({c} AS TIMESTAMP)",
        f"({{c}} GLOB '{shape}') IS DISTINCT FROM false AND {AFTER_YEAR_0}",
        f"{slow} AND {AFTER_YEAR_0}",
    )


def select(
    path: str,
    format: Format,
    values: Sequence[Value],
    names: Sequence[str] = (),
    *,
    header: bool = False,
    new_line: str | None = "\\n",
) -> str:
    """The query of a text file's values, by these names; it fails for one that is not what its text says.

    `path` is a literal of SQL.
    """
    fields, inner, outer, quick, slow = [], [], [], [], []
    for number, value in enumerate(values):
        text, made = f"c{number}", f"v{number}"
        fields.append(f"'{text}': 'VARCHAR'")
        inner.append(f"{text}, {value.made.replace('{c}', text)} AS {made}")
        outer.append(f"{made} AS {names[number]}" if names else made)
        if value.condition:
            first, then = (
                f"({way.replace('{c}', text).replace('{v}', made)})" for way in (value.condition, value.otherwise)
            )
            quick.append(first)
            slow.append(f"({first} OR {then})" if value.otherwise else first)
    quoting = "quote = '\"', escape = '\"', nullstr = ''"
    if not format.quote_char:
        quoting = r"quote = '', escape = '', nullstr = '\N'"
    ends = "" if new_line is None else f", new_line = '{new_line}'"
    ways = (" AND ".join(way) for way in ((quick,) if quick == slow else (quick, slow)))
    where = f" WHERE CASE {' '.join(f'WHEN {way} THEN true' for way in ways)} ELSE error('other') END" if quick else ""
    return (
        f"SELECT {', '.join(outer)} FROM (SELECT {', '.join(inner)} FROM read_csv({path},"  # noqa: S608
        f" columns = {{{', '.join(fields)}}}, {quoting}, delim = E'\\x{ord(format.column_separator):02x}',"
        f" allow_quoted_nulls = false, header = {str(header).lower()}, auto_detect = false, strict_mode = true{ends},"
        f" buffer_size = {_BUFFER})){where}"
    )
