"""PostgreSQL's errors as ours, which say what was being done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from penstock.data.databases.rows import ConnectionLost, DatabaseError, TextNotTaken

_TEXT_CODES = frozenset(("22P04", "22021"))
"""bad_copy_file_format and character_not_in_repertoire: the text itself is wrong, not a value in it."""
_LOST_CODES = frozenset(("57P01", "57P02", "57P03"))


def one_line(message: str) -> str:
    """A message without line breaks."""
    return " ".join(message.split())


@contextmanager
def errors(what: str, *, has_rows: bool = False) -> Iterator[None]:
    """Turn the driver's errors into ours; `what` says what was being done. If it `has_rows`, the lines of a COPY are
    those.
    """
    try:
        yield
    except psycopg.Error as error:
        found = error.diag
        context = found.context or ""
        if has_rows:
            context = context.replace(", line ", ", row ", 1)
        where = context if context.startswith("COPY") else None
        parts = [found.message_primary or str(error), found.message_detail, found.message_hint, where]
        message = ". ".join([one_line(part).rstrip(".") for part in parts if part])
        raise _kind(error)(f"PostgreSQL refused {what}: {message}.") from error


def _kind(error: psycopg.Error) -> type[DatabaseError]:
    code = error.sqlstate
    if code in _TEXT_CODES:
        return TextNotTaken
    if code is None:
        return ConnectionLost if isinstance(error, psycopg.OperationalError) else DatabaseError
    return ConnectionLost if code in _LOST_CODES or code.startswith("08") else DatabaseError
