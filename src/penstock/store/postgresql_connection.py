"""A connection to PostgreSQL that sends several statements with one message.

It stands on libpq's pipeline mode as psycopg gives it. psycopg's own cursors take three times the processor time for
the store's small statements, which is most of what a task costs (docs/benchmarks.md).
"""

from __future__ import annotations

import re
import select
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any

import psycopg
from psycopg import pq
from psycopg.errors import error_from_result
from psycopg.rows import dict_row

from penstock.store.database import Row

Statement = tuple[str, Mapping[str, Any]]
"""SQL with `%(name)s` for a value and `%%` for `%`, and the values by name: None, str, int, float or a list of them."""

INT8, FLOAT8 = 20, 701  # the types that values are given; a text's follows from where it stands
DECODERS: Mapping[int, Callable[[bytes], Any]] = {
    **dict.fromkeys((20, 21, 23), int),
    16: lambda value: value == b"t",
    FLOAT8: float,
    1700: lambda value: Decimal(value.decode()),
}
LONGEST_KEPT = 4096  # characters of a statement that is prepared for the next time
_ESCAPED = re.compile(rb'["\\]')  # within a list
_NAMED = re.compile(r"%(?:%|\((\w+)\)s)")


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a statement: its rows, and how many rows it has changed."""

    rows: list[Row]
    count: int


class Connection:
    """A connection; `psycopg` is the same one for whatever else it is to do. Raises psycopg's errors."""

    def __init__(self, url: str) -> None:
        self.psycopg = psycopg.connect(url, row_factory=dict_row, autocommit=True)
        self._pgconn = self.psycopg.pgconn
        self._prepared: dict[str, bytes] = {}
        self._count = 0
        self._started: list[tuple[str, bytes | None]] = []  # the SQL of each message, and the name it is prepared under
        self._columns: dict[str, list[tuple[str, Callable[[bytes], Any]]]] = {}
        self._readable = select.poll()
        self._readable.register(self._pgconn.socket, select.POLLIN)
        self._usable = select.poll()
        self._usable.register(self._pgconn.socket, select.POLLIN | select.POLLOUT)

    def run(self, statements: Sequence[Statement]) -> list[Result]:
        """Run statements after those of `start`, one after the other, and give what came of them all.

        The first that fails is raised, and those after it are not run.
        """
        self.start(statements)
        pgconn = self._pgconn
        pgconn.pipeline_sync()
        self._flush()
        started, self._started = self._started, []
        return self._answers(started)

    def start(self, statements: Sequence[Statement]) -> None:
        """Send statements that the server may begin with, while more are made."""
        pgconn = self._pgconn
        encoded = [[_encoded(values[name]) for name in _numbered(sql)[1]] for sql, values in statements]
        if pgconn.pipeline_status == pq.PipelineStatus.OFF:
            pgconn.enter_pipeline_mode()
        for (sql, values), parameters in zip(statements, encoded, strict=True):
            name = self._prepared.get(sql)
            if name is None:
                numbered, names = _numbered(sql)
                self._count += 1
                name = b"penstock_%d" % self._count if len(sql) <= LONGEST_KEPT else b""
                pgconn.send_prepare(name, numbered, [_type(values[name]) for name in names])
                self._started.append((sql, name))
                if name:
                    self._prepared[sql] = name
            pgconn.send_query_prepared(name, parameters)
            self._started.append((sql, None))
        self._flush()

    def _flush(self) -> None:
        while self._pgconn.flush():
            self._usable.poll()
            self._pgconn.consume_input()

    def _answers(self, sent: Sequence[tuple[str, bytes | None]]) -> list[Result]:
        results: list[Result] = []
        error: psycopg.Error | None = None
        for sql, prepared in sent:
            answer = self._answer()
            if answer.status in (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK):
                if prepared is None:
                    results.append(Result(self._rows(sql, answer), answer.command_tuples or 0))
                continue
            if prepared is not None:
                self._prepared.pop(sql, None)
            if error is None:
                error = error_from_result(answer)
        self._answer()  # the end of the pipeline
        self._pgconn.exit_pipeline_mode()
        if error is not None:
            raise error
        return results

    def _answer(self) -> Any:
        """The next answer; between two there is nothing."""
        pgconn = self._pgconn
        while True:
            while pgconn.is_busy():
                self._readable.poll()
                pgconn.consume_input()
            answer = pgconn.get_result()
            if pgconn.status == pq.ConnStatus.BAD:
                raise psycopg.OperationalError(pgconn.get_error_message())
            if answer is not None:
                return answer

    def _rows(self, sql: str, answer: Any) -> list[Row]:
        if not answer.ntuples:
            return []
        columns = self._columns.get(sql)
        if columns is None or len(columns) != answer.nfields:
            columns = self._columns[sql] = [
                (answer.fname(number).decode(), DECODERS.get(answer.ftype(number), bytes.decode))
                for number in range(answer.nfields)
            ]
        get = answer.get_value
        return [
            {
                name: None if (value := get(row, number)) is None else decode(value)
                for number, (name, decode) in enumerate(columns)
            }
            for row in range(answer.ntuples)
        ]

    @property
    def is_under_way(self) -> bool:
        """Whether statements were started of which nobody has asked what came of them."""
        return bool(self._started)

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be asked on it any more."""
        return bool(self.psycopg.closed) or self._pgconn.pipeline_status != pq.PipelineStatus.OFF

    @property
    def has_begun(self) -> bool:
        """Whether a transaction is open."""
        return self.psycopg.info.transaction_status != pq.TransactionStatus.IDLE

    def close(self) -> None:
        """End it."""
        self.psycopg.close()


@cache
def _numbered(sql: str) -> tuple[bytes, tuple[str, ...]]:
    """The SQL with `$1`, `$2`… and the names that they stand for."""
    names: list[str] = []

    def number(match: re.Match[str]) -> str:
        name = match[1]
        if name is None:
            return "%"
        if name not in names:
            names.append(name)
        return f"${names.index(name) + 1}"

    return _NAMED.sub(number, sql).encode(), tuple(names)


def _in_list(value: object) -> bytes:
    encoded = _encoded(value)
    if encoded is None:
        return b"NULL"
    return b'"%b"' % _ESCAPED.sub(rb"\\\g<0>", encoded) if isinstance(value, str) else encoded


def _type(value: object) -> int:
    return INT8 if isinstance(value, int) else FLOAT8 if isinstance(value, float) else 0


def _encoded(value: object) -> bytes | None:
    if value is None:
        return None
    if isinstance(value, str):
        if "\0" in value:
            raise psycopg.DataError("PostgreSQL keeps no text with a character NUL.")
        return value.encode()
    if isinstance(value, int | float):
        return repr(value + 0).encode()  # a bool is a number here
    if isinstance(value, list):
        return b"{%b}" % b",".join([_in_list(one) for one in value])
    raise TypeError(f"The store keeps no {type(value).__name__}.")
