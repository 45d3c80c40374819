"""What MySQL only warns of, as an error: a value that it changed, a row that it left out."""

from __future__ import annotations

from penstock.data.databases.mysql_connection import Done, MysqlConnection
from penstock.data.databases.mysql_errors import with_row
from penstock.data.databases.rows import DatabaseError, TextNotTaken

_RAGGED = frozenset((1261, 1262, 1300))
"""Rows with too few or too many columns and bytes that are no UTF-8: the reader of rows says it better."""
_DEPRECATIONS = frozenset((1287, 1681, 3719, 3778, 4166))
"""Old syntax, which changes nothing."""


def check_warnings(connection: MysqlConnection, done: Done, target: str, first_row: int = 1) -> None:
    """Raise what the server warns of after a statement, whose first row is so many-th of all."""
    rows = connection.query("SHOW WARNINGS LIMIT 64")
    for _, code, message in rows:
        number = int(code or 0)
        if number in _RAGGED:
            raise TextNotTaken(f"MySQL refused {target}: {message}.")
        if number not in _DEPRECATIONS:
            more = f" (and {done.warnings - 1} more)" if done.warnings > 1 else ""
            raise DatabaseError(f"MySQL refused {target}: {with_row(str(message), first_row)}{more}.")
