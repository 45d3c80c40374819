"""DuckDB's errors as ours, which say what was being done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import duckdb

from penstock.data.databases.rows import DatabaseError


def one_line(error: Exception) -> str:
    """What an error of DuckDB says, without the lines that point into the statement."""
    return " ".join(str(error).split("\n\n", 1)[0].split())


@contextmanager
def errors(what: str | Callable[[], str]) -> Iterator[None]:
    """Turn DuckDB's errors into ours; `what` says what was being done, or is called to say it."""
    try:
        yield
    except (duckdb.Error, TypeError, UnicodeError, OSError, RuntimeError) as error:
        raise DatabaseError(f"DuckDB refused {what if isinstance(what, str) else what()}: {one_line(error)}") from error
