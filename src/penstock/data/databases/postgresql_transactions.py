"""Transactions of PostgreSQL: if the connection is lost during COMMIT, another one asks whether that was done."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg
from psycopg.pq import TransactionStatus

from penstock.data.databases.postgresql_connection import connect
from penstock.data.databases.postgresql_errors import errors
from penstock.data.databases.rows import ConnectionLost, DatabaseError

_TRANSACTION = "SELECT pg_catalog.txid_current_if_assigned()::text"
_COMMITTED = "SELECT pg_catalog.txid_status($1::text::bigint)"
_SECONDS_TO_ASK = 20.0
_PAUSE = 0.2


def is_within(connection: psycopg.Connection) -> bool:
    """Whether a transaction is open, or the connection is lost."""
    return connection.info.transaction_status != TransactionStatus.IDLE


@contextmanager
def transaction(connection: psycopg.Connection, conninfo: str) -> Iterator[None]:
    """What is done inside happens wholly or not at all; one inside another joins it.

    `conninfo` is what another connection is made with, to ask about a COMMIT whose answer is lost. Raises
    `ConnectionLost` if nothing was done, so that it may be tried again, and `DatabaseError` if nobody can tell.
    """
    if is_within(connection):
        yield
        return
    with errors("the transaction"):
        connection.execute("BEGIN")
    try:
        with errors("the transaction"):
            yield
    except BaseException:
        with suppress(psycopg.Error):  # the connection is lost, and the server undoes it
            connection.execute("ROLLBACK")
        raise
    _commit(connection, conninfo)


def undo(connection: psycopg.Connection) -> None:
    """Undo an open transaction."""
    if connection.info.transaction_status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
        connection.execute("ROLLBACK")


def _commit(connection: psycopg.Connection, conninfo: str) -> None:
    with errors("the transaction"):
        row = connection.execute(_TRANSACTION).fetchone()
    try:
        with errors("COMMIT"):
            connection.execute("COMMIT")
    except ConnectionLost as error:
        if row is None or row[0] is None:
            raise  # it has changed nothing
        if not _is_committed(conninfo, str(row[0]), error):
            raise


def _is_committed(conninfo: str, transaction: str, lost: ConnectionLost) -> bool:
    end = time.monotonic() + _SECONDS_TO_ASK
    status: str | None = None
    while time.monotonic() < end:
        with suppress(psycopg.Error), connect(conninfo) as connection:
            row = connection.execute(_COMMITTED, (transaction,)).fetchone()
            status = str(row[0]) if row else None
            if status in ("committed", "aborted"):
                return status == "committed"
        time.sleep(_PAUSE)
    raise DatabaseError(
        f"The connection was lost during COMMIT of the transaction {transaction}, and the server does not say"
        " whether that was done, so nothing is tried again. Look whether the rows are there, and run it again if"
        f" they are not. {lost}"
    ) from lost
