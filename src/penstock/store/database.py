"""What the engine needs of a store: transactions with queries by name, and word between servers that share one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

Row = Mapping[str, Any]


class StoreError(Exception):
    """The store cannot be opened; the text says why and what to do."""


class Reads(Protocol):
    """What can be read from: a transaction, or the store itself."""

    def one(self, query: str, **parameters: Any) -> Row | None:
        """The first row of a named query."""

    def all(self, query: str, **parameters: Any) -> list[Row]:
        """All rows of a named query."""


class Transaction(Reads, Protocol):
    """One transaction; leaving it by an exception undoes everything."""

    def execute(self, query: str, **parameters: Any) -> int:
        """Run a named query; gives the number of rows that it changed."""

    def execute_later(self, query: str, **parameters: Any) -> None:
        """Run a named query of which nobody needs the answer: with the next one that is asked, or the commit.

        On a database that is a message away it costs a third of `execute`.
        """

    def several(self, *asked: tuple[str, Mapping[str, Any]]) -> list[list[Row]]:
        """The rows of some named queries, run one after the other, at the price of hardly more than one."""

    def execute_many(self, query: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run a named query once for each row of parameters."""

    def insert_later(self, query: str, **parameters: Any) -> None:
        """Insert a row before the transaction commits, which nothing in it reads: many cost little more than one."""

    def insert_soon(self, query: str, **parameters: Any) -> None:
        """Insert a row, together with others, before whatever else the transaction does to its database."""

    def announce(self, message: str) -> None:
        """Tell the other servers on this store, once the transaction has committed."""


class Store(Reads, Protocol):
    """The store: transactions that write, snapshots that read, and single reads, which cost a third of a snapshot."""

    dialect: str
    schema: int
    """The number of the schema: that of the last migration."""
    reads_here: bool
    """Whether a read is a matter of this process: it takes microseconds and waits for nobody."""
    unavailable: tuple[type[Exception], ...]
    """What transactions raise when nothing is wrong with what was asked: the database cannot be used now."""

    def transaction(self) -> contextlib.AbstractContextManager[Transaction]:
        """A transaction that may write."""

    def snapshot(self) -> contextlib.AbstractContextManager[Transaction]:
        """A transaction that only reads, beside writers."""

    def listen(self, hear: Callable[[str | None], None]) -> None:
        """Call `hear`, in a thread of the store, with what servers announce; with None where some of it was lost."""

    def leads(self) -> bool:
        """Whether this server is the one of all on this store that runs the clock; it stays so while it asks."""

    def clock_offset(self) -> float:
        """By how many seconds the store's clock is ahead of this machine's; leases are the store's."""

    def size(self) -> int:
        """How many bytes it takes on the disk."""

    def close(self) -> None:
        """Close every connection."""


def open_store(url: str | None, data_dir: Path, schema: int | None = None) -> Store:
    """The store by URL: none for SQLite in the data directory, or `postgresql://…`. Raises StoreError.

    It is migrated to the newest schema, or no further than `schema`: 0 leaves it as it is.
    """
    if url is None:
        from penstock.store.sqlite import SqliteStore

        return SqliteStore(data_dir / "penstock.db", schema)
    if url.startswith(("postgresql://", "postgres://")):
        from penstock.store.postgresql import PostgresqlStore

        return PostgresqlStore(url, schema)
    scheme = url.split("://", 1)[0] if "://" in url else url.split(":", 1)[0]  # the rest may hold a password
    raise StoreError(f"A store of the kind '{scheme}' is not known; give postgresql://…, or nothing for SQLite.")
