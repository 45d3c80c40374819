"""The header of a text that a database's bulk load reads: taken off, since databases do not compare names."""

from __future__ import annotations

import io
import re

from penstock.data.databases.rows import TextNotTaken
from penstock.data.formats import Format, read_rows
from penstock.data.records import first_end

_QUOTED_RECORD = re.compile(rb'(?:[^"\n]++|"[^"]*+")*+\n?')


def without_header(piece: bytes, format: Format, width: int) -> bytes:
    """The records after the first of a piece of whole records, for a table of `width` columns.

    Raises `FormatError` for names that are not the format's, and `TextNotTaken` for more or fewer than the table has.
    """
    if format.quote_char:
        end = _QUOTED_RECORD.match(piece)
        position = end.end() if end else 0
    else:
        position = first_end(piece, format)
    rows = read_rows(io.BytesIO(piece[:position]), format)
    next(rows, None)  # it refuses names that are not the format's
    if len(rows.columns) != width:
        raise TextNotTaken("The header has other columns than the table.")
    return piece[position:]
