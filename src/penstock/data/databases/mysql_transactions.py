"""Transactions of MySQL: nobody can be asked about a COMMIT whose answer is lost, and some tables have none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from penstock.data.databases.mysql_connection import MysqlConnection
from penstock.data.databases.mysql_errors import errors
from penstock.data.databases.rows import ConnectionLost, DatabaseError


@contextmanager
def transaction(connection: MysqlConnection) -> Iterator[None]:
    """What is done inside happens wholly or not at all, but for what makes and changes tables; one inside joins it."""
    if connection.in_transaction:
        yield
        return
    with errors("the transaction"):
        connection.run("SET autocommit = 0")
    try:
        yield
        try:
            with errors("COMMIT"):
                connection.run("COMMIT")
        except ConnectionLost as error:
            raise DatabaseError(
                "The connection was lost during COMMIT, and MySQL cannot be asked whether that was done, so nothing"
                " is tried again. Look whether the rows are there, and run it again if they are not."
                f" {error}"
            ) from error
    except BaseException as error:
        _roll_back(connection, error)
        raise
    finally:
        with suppress(Exception):
            connection.run("SET autocommit = 1")


def undo(connection: MysqlConnection) -> None:
    """Undo an open transaction, and let each statement be one of its own again."""
    if connection.in_transaction:
        with suppress(Exception):
            connection.run("ROLLBACK")
            connection.run("SET autocommit = 1")


def _roll_back(connection: MysqlConnection, error: BaseException) -> None:
    """Undo the transaction; a table of an engine without transactions keeps its rows, which the error then says."""
    try:
        done = connection.run("ROLLBACK")
    except Exception:
        return  # the connection is lost, and the server undoes it
    if done.warnings and isinstance(error, DatabaseError):
        kept = "What was written to tables whose engine has no transactions (such as MyISAM) is still there"
        raise type(error)(f"{error} {kept}.") from error
