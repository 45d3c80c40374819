"""COPY out, and one statement for many rows, on libpq itself: psycopg takes longer for each record or row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from select import select

import psycopg
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus
from psycopg.pq.abc import PGconn, PGresult

_RECORDS_AT_ONCE = 2048
_ROWS_AT_ONCE = 250
_STATEMENT = b"penstock_rows"


def copied_out(connection: psycopg.Connection) -> Iterator[bytes]:
    """What a COPY TO STDOUT sends, many records at once; psycopg's own loop takes twice as long for each record."""
    records: list[bytes | bytearray | memoryview] = []
    read = connection.pgconn.get_copy_data
    while True:
        size, record = read(1)
        if size > 0:
            records.append(record)
            if len(records) < _RECORDS_AT_ONCE:
                continue
        elif size == 0:
            select([connection.pgconn.socket], [], [])
            connection.pgconn.consume_input()
            continue
        if records:
            yield b"".join(records)
            records = []
        if size < 0:
            return


def end_of_copy(connection: psycopg.Connection) -> int:
    """The number of records of a COPY that has sent its last; raises its error."""
    result = connection.pgconn.get_result()
    rows = 0
    while result is not None:
        if result.status != ExecStatus.COMMAND_OK:
            raise error_from_result(result)
        rows = result.command_tuples or 0
        result = connection.pgconn.get_result()
    return rows


def run_for_each(connection: psycopg.Connection, query: bytes, rows: Sequence[Sequence[bytes | None]]) -> None:
    """Run a statement for each row of texts, in an open transaction; raises the error of the first that fails.

    While the server works on some rows, the next ones are sent. Rows that a statement returns are left out.
    """
    pgconn = connection.pgconn
    if not rows:
        return
    waiting = 0
    pgconn.enter_pipeline_mode()
    try:
        pgconn.send_prepare(_STATEMENT, query)
        for at in range(0, len(rows), _ROWS_AT_ONCE):
            for row in rows[at : at + _ROWS_AT_ONCE]:
                pgconn.send_query_prepared(_STATEMENT, row)
            pgconn.pipeline_sync()
            pgconn.flush()
            waiting += 1
            if waiting == 2:
                waiting -= 1
                _end_of_batch(pgconn)
        if waiting:
            waiting -= 1
            _end_of_batch(pgconn)
    except psycopg.Error:
        while pgconn.status == ConnStatus.OK and waiting:
            waiting -= 1
            with suppress(psycopg.Error):
                _end_of_batch(pgconn)
        raise
    finally:
        if pgconn.status == ConnStatus.OK:
            pgconn.exit_pipeline_mode()
    with psycopg.RawCursor(connection) as cursor:
        cursor.execute(b"DEALLOCATE " + _STATEMENT)


def _end_of_batch(pgconn: PGconn) -> None:
    """Read the results of a batch to its end; raises the first error of them."""
    error: psycopg.Error | None = None
    while True:
        result = _next_result(pgconn)
        if result is None:
            if pgconn.status == ConnStatus.OK:
                continue
            raise error or psycopg.OperationalError(pgconn.error_message.decode(errors="replace"))
        if result.status == ExecStatus.PIPELINE_SYNC:
            break
        if result.status == ExecStatus.FATAL_ERROR and error is None:
            error = error_from_result(result)
    if error is not None:
        raise error


def _next_result(pgconn: PGconn) -> PGresult | None:
    while pgconn.is_busy():
        is_sent = pgconn.flush() == 0
        select([pgconn.socket], [] if is_sent else [pgconn.socket], [])
        pgconn.consume_input()
    return pgconn.get_result()
