"""COPY out, and one statement for many rows, on libpq itself: psycopg takes longer for each record or row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from select import POLLIN, POLLOUT, poll

import psycopg
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus
from psycopg.pq.abc import PGconn, PGresult

_BYTES_AT_ONCE = 1 << 19
_ROWS_AT_ONCE = 250
_numbers = count()


def copied_out(connection: psycopg.Connection) -> Iterator[bytes]:
    """What a COPY TO STDOUT sends, many records at once; psycopg's own loop takes twice as long for each record."""
    records: list[bytes | bytearray | memoryview] = []
    add, read = records.append, connection.pgconn.get_copy_data
    waiting = poll()
    waiting.register(connection.pgconn.socket, POLLIN)
    length, size = 0, 1
    while size >= 0:
        while length < _BYTES_AT_ONCE:
            size, record = read(1)
            if size <= 0:
                break
            add(record)
            length += size
        if size == 0:
            waiting.poll()
            connection.pgconn.consume_input()
        elif records:
            yield b"".join(records)
            records.clear()
            length = 0


def end_of_copy(connection: psycopg.Connection) -> int:
    """The number of records of a COPY that has sent its last; raises its error."""
    result = connection.pgconn.get_result()
    rows = 0
    while result is not None:
        if result.status != ExecStatus.COMMAND_OK:
            raise _error_of(result)
        rows = result.command_tuples or 0
        result = connection.pgconn.get_result()
    return rows


def run_alone(connection: psycopg.Connection, statement: bytes) -> None:
    """Run a statement without psycopg, which drops all prepared statements after any that says ROLLBACK."""
    result = connection.pgconn.exec_(statement)
    if result.status != ExecStatus.COMMAND_OK:
        raise _error_of(result)


class RowStatement:
    """A statement that is prepared once and run for many rows of texts, in an open transaction.

    `done` is for how many rows of the last `run` it has run, so the first that failed is the next one; if it failed
    before it `is_prepared`, that is no fault of a row.
    """

    def __init__(self, connection: psycopg.Connection, query: bytes) -> None:
        self._connection = connection
        self._pgconn = connection.pgconn
        self._query = query
        self._name = b"penstock_%d" % next(_numbers)
        self._waiting = 0
        self._error: psycopg.Error | None = None
        self.is_prepared = False
        self.done = 0

    def run(self, rows: Sequence[Sequence[bytes | None]]) -> None:
        """Run it for each row; raises the error of the first that fails. Rows that it returns are left out."""
        if rows:
            self.send(rows)
            self.receive()

    def send(self, rows: Sequence[Sequence[bytes | None]]) -> None:
        """Begin to run it for each row; nothing else can be done with the connection until `receive`.

        While the server works on some rows, the next ones are sent.
        """
        pgconn, name = self._pgconn, self._name
        self.done = self._waiting = 0
        self._error = None
        pgconn.enter_pipeline_mode()
        try:
            if not self.is_prepared:
                pgconn.send_prepare(name, self._query)
            for at in range(0, len(rows), _ROWS_AT_ONCE):
                if self._waiting == 2:
                    self._end_of_batch()
                if self._error is not None:
                    return
                for row in rows[at : at + _ROWS_AT_ONCE]:
                    pgconn.send_query_prepared(name, row)
                pgconn.pipeline_sync()
                pgconn.flush()
                self._waiting += 1
        except psycopg.Error as error:
            self._error = self._error or error

    def receive(self) -> None:
        """Wait for what was sent; raises the error of the first row that failed."""
        try:
            while self._waiting and self._pgconn.status == ConnStatus.OK:
                self._end_of_batch()
        except psycopg.Error as error:
            self._error = self._error or error
        if self._pgconn.status == ConnStatus.OK:
            self._pgconn.exit_pipeline_mode()
        if self._error is not None:
            raise self._error

    def forget(self) -> None:
        """Drop it from the server."""
        if self.is_prepared:
            with psycopg.RawCursor(self._connection) as cursor:
                cursor.execute(b"DEALLOCATE " + self._name)

    def _end_of_batch(self) -> None:
        """Read the results of a batch to its end, and keep the first error."""
        self._waiting -= 1
        while True:
            result = _next_result(self._pgconn)
            if result is None:
                if self._pgconn.status == ConnStatus.OK:
                    continue
                raise psycopg.OperationalError(self._pgconn.error_message.decode(errors="replace"))
            if result.status == ExecStatus.PIPELINE_SYNC:
                return
            if result.status == ExecStatus.FATAL_ERROR:
                self._error = self._error or _error_of(result)
            elif self._error is None and not self.is_prepared:
                self.is_prepared = True
            elif self._error is None:
                self.done += 1


def _error_of(result: PGresult) -> psycopg.Error:
    error = error_from_result(result)
    # without a code it is not the server's: it has gone
    return error if error.sqlstate else psycopg.OperationalError(str(error))


def _next_result(pgconn: PGconn) -> PGresult | None:
    waiting = poll()
    while pgconn.is_busy():
        is_sent = pgconn.flush() == 0
        waiting.register(pgconn.socket, POLLIN if is_sent else POLLIN | POLLOUT)
        waiting.poll()
        pgconn.consume_input()
    return pgconn.get_result()
