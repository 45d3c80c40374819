"""MySQL's errors as ours, which say what was being done, and to which row."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pymysql

from penstock.data.databases.mysql_packets import EndOfStream
from penstock.data.databases.rows import ConnectionLost, DatabaseError

_LOST = frozenset((1053, 1077, 1079, 1152, 1158, 1159, 1160, 1161, 1927, 2003, 2006, 2013, 2055, 4031))
"""Shutdown, a killed or aborted connection, and errors of the network."""
_AT_ROW = re.compile(r"at row (\d+)\b")


@contextmanager
def errors(what: str | Callable[[], str]) -> Iterator[None]:
    """Turn the driver's errors into ours; `what` says what was being done, or is called to say it."""
    try:
        yield
    except (pymysql.MySQLError, EndOfStream) as error:
        code, message = code_and_message(error)
        done = what() if callable(what) else what
        if code in _LOST:
            raise ConnectionLost(f"The connection to MySQL broke at {done}: {message}.") from error
        raise DatabaseError(f"MySQL refused {done}: {message}.") from error


@contextmanager
def row_errors(first: int, count: int, target: str) -> Iterator[None]:
    """Name the row that the server names, counted from the first of all; else the rows of the statement."""
    what = f"row {first} for {target}" if count == 1 else f"rows {first} to {first + count - 1} for {target}"
    try:
        with errors(what):
            yield
    except DatabaseError as error:
        raise type(error)(with_row(str(error), first)) from error


def with_row(message: str, first: int) -> str:
    """A message of the server's with the row counted from the first of all."""
    return _AT_ROW.sub(lambda match: f"at row {int(match[1]) + first - 1}", message)


def code_and_message(error: BaseException) -> tuple[int, str]:
    """The number of an error, 0 if it has none, and what it says in one line without its full stop."""
    if isinstance(error, pymysql.InterfaceError):
        return 2006, "it is closed"
    if isinstance(error, EndOfStream):
        return 2013, " ".join(str(error).split()).rstrip(".") or "the server closed it"
    if len(error.args) > 1 and isinstance(error.args[0], int):
        return error.args[0], " ".join(str(error.args[1]).split()).rstrip(".")
    return 0, " ".join(str(error).split()).rstrip(".")
