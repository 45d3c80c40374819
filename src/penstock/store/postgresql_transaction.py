"""A transaction on PostgreSQL, with as few messages as there are answers to wait for.

Statements are sent when one of them is asked for its answer, those before it in the same message. Where they are many,
the server works on the first of them while the next are made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any

from penstock.store.database import Row
from penstock.store.postgresql_connection import Connection, Result, Statement
from penstock.store.postgresql_lists import answers, question, together
from penstock.store.sql_files import queries

First = Callable[[Callable[[Connection], list[Result]]], tuple[Connection, list[Result]]]
"""Finds a connection that does the first work of a transaction."""
CHANNEL = "penstock"
MOST_ROWS = 50  # of a table, before the server begins with them
MOST_WAITING = 50  # statements, before the server begins with them
REFERRING = ("insert_attempt",)  # to other rows that may be inserted with them
COMMIT: Statement = ("COMMIT", {})


class PostgresqlTransaction:
    """See `Transaction`."""

    def __init__(self, first: First, *waiting: Statement) -> None:
        self.used: Connection | None = None  # the one that it has begun on
        self.queries = queries("postgresql")
        self._first = first
        self._waiting = list(waiting)
        self._rows: dict[str, list[Mapping[str, Any]]] = {}  # that nothing in the transaction reads
        self._soon: dict[str, list[Mapping[str, Any]]] = {}

    @property
    def connection(self) -> Any:
        """psycopg's connection, with everything sent that waits."""
        if self._waiting or self._soon or (self.used is not None and self.used.is_under_way):
            self.send()
        assert self.used is not None
        return self.used.psycopg

    def send(self, *asked: Statement) -> list[Result]:
        """What comes of some statements, which are sent with all that waits."""
        self._insert(self._soon)
        sent = [*self._waiting, *asked]
        self._waiting.clear()
        if self.used is None:
            self.used, results = self._first(lambda connection: connection.run(sent))
        else:
            results = self.used.run(sent)
        return results[len(results) - len(asked) :]

    def _start(self) -> None:
        """Have the server begin with what waits."""
        if self.used is not None:
            self.used.start(self._waiting)
            self._waiting.clear()

    def execute(self, query: str, **parameters: Any) -> int:
        """See `Transaction`."""
        if query.startswith("delete_"):
            self._insert(self._soon)
            self._insert(self._rows)  # they may be among what is deleted
        return self.send((self.queries[query], parameters))[0].count

    def execute_later(self, query: str, **parameters: Any) -> None:
        """See `Transaction`."""
        self._insert(self._soon)
        self._waiting.append((self.queries[query], parameters))
        if len(self._waiting) >= MOST_WAITING:
            self._start()

    def execute_many(self, query: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """See `Transaction`."""
        self._insert(self._soon)
        self._waiting += [(self.queries[query], row) for row in rows]

    def insert_later(self, query: str, **parameters: Any) -> None:
        """See `Transaction`."""
        self._rows.setdefault(query, []).append(parameters)

    def insert_soon(self, query: str, **parameters: Any) -> None:
        """See `Transaction`."""
        rows = self._soon.setdefault(query, [])
        rows.append(parameters)
        if len(rows) >= MOST_ROWS:
            self._insert(self._soon)
            self._start()

    def _insert(self, rows: dict[str, list[Mapping[str, Any]]]) -> None:
        """Insert what was put off, each table's rows with a statement, after those that they refer to."""
        for query in sorted(rows, key=lambda query: query in REFERRING):
            self._waiting.append(together(self.queries[query], rows[query]))
        rows.clear()

    def commit(self) -> None:
        """Send what waits, and the end with it; a transaction that has asked nothing may not have begun."""
        self._insert(self._soon)
        self._insert(self._rows)
        if self.used is None:
            if len(self._waiting) == 1:
                return
            self.send()  # on a connection that may have been cut, which a commit must not be sent on twice
        self.send(COMMIT)

    def announce(self, message: str) -> None:
        """See `Transaction`."""
        self._waiting.append(("SELECT pg_notify(%(channel)s, %(message)s)", {"channel": CHANNEL, "message": message}))

    def one(self, query: str, **parameters: Any) -> Row | None:
        """See `Transaction`."""
        rows = self.all(query, **parameters)
        return rows[0] if rows else None

    def all(self, query: str, **parameters: Any) -> list[Row]:
        """See `Transaction`."""
        return self.send((self.queries[query], parameters))[0].rows

    def several(self, *asked: tuple[str, Mapping[str, Any]]) -> list[list[Row]]:
        """See `Transaction`. What is asked for many values in succession is one question."""
        runs = [(query, [known for _, known in run]) for query, run in groupby(asked, key=lambda one: one[0])]
        results = self.send(*(question(self.queries[query], values) for query, values in runs))
        return [
            rows for (_, values), result in zip(runs, results, strict=True) for rows in answers(result, len(values))
        ]
