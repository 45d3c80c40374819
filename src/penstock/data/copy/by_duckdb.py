"""What all copies by DuckDB have in common: its connection, its errors, and files that it reads by itself."""

from __future__ import annotations

import fcntl
import os
import select
import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from penstock.data.databases import Database, TextNotTaken
from penstock.data.formats import FormatError
from penstock.data.formats.parquet import raise_if_full

if TYPE_CHECKING:
    import duckdb

    from penstock.data.databases.postgresql import PostgresqlDatabase

_MEMORY = "400MB"
"""Of this DuckDB keeps at most a quarter waiting to be written; with less, one of its two threads would wait."""
_MEMORY_OF_LONG_ROWS = "160MB"
_BLOCK = 1 << 20
_MILLISECONDS = 200  # after which it is looked whether anybody still reads
_MESSAGE = 1 << 17
"""Bytes that psycopg sends with one message of a COPY; it would cut longer ones in pieces."""
_LONGEST_MESSAGE = 1000
"""Letters of DuckDB's message, which may hold a whole record; PostgreSQL hangs up when a COPY ends with 10,000."""


def own_path(stream: BinaryIO) -> Path | None:
    """The path of a stream that is a file."""
    try:
        path = Path(f"/proc/self/fd/{stream.fileno()}")
    except (AttributeError, OSError):
        return None
    return path if path.is_file() and not stream.tell() else None


def read_to_its_end(stream: BinaryIO) -> None:
    """Let the storage say whether the object that DuckDB has read by itself was changed meanwhile."""
    stream.seek(0, os.SEEK_END)
    stream.read(1)


def postgresql_of(database: Database) -> PostgresqlDatabase:
    """The database as a PostgreSQL that DuckDB can write for; raises `TextNotTaken` for any other."""
    from penstock.data.databases.postgresql import PostgresqlDatabase
    from penstock.data.databases.postgresql_binary import is_available
    from penstock.data.formats import TSV

    if not isinstance(database, PostgresqlDatabase) or not database.takes(TSV()) or not is_available():
        raise TextNotTaken("No PostgreSQL whose text is UTF-8, or no extension of DuckDB for it.")
    return database


@contextmanager
def connected(
    folder: str, *, reads: bool = False, is_long: bool = False, threads: int = 2
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB, with its extension for PostgreSQL if that is wanted."""
    import duckdb

    from penstock.data.databases.postgresql_binary import extension

    config: dict[str, str | bool | int | float | list[str]] = {
        "threads": threads,
        "memory_limit": _MEMORY_OF_LONG_ROWS if is_long else _MEMORY,
        "temp_directory": folder,
        "autoinstall_known_extensions": False,
    }
    with duckdb.connect(config=config) as connection:
        connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        if reads:
            connection.execute(f"LOAD '{extension()}'")
        yield connection


@contextmanager
def errors() -> Iterator[None]:
    """What DuckDB does not do, goes record by record, which then says what is wrong."""
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        raise_if_full(error)
        raise TextNotTaken(str(error)[:_LONGEST_MESSAGE]) from error
    except FormatError as error:
        raise TextNotTaken(str(error)) from error


@contextmanager
def read(blocks: Iterable[bytes], connection: duckdb.DuckDBPyConnection, own: Path | None) -> Iterator[str]:
    """The path by which DuckDB reads a text whose blocks are made, and looked at, in a thread.

    It is that of the text's `own` file, which is read twice then, or of a pipe that gets the blocks. An error there
    ends DuckDB's work, and is raised at the end instead of its own.
    """
    reader, writer = _pipe() if own is None else (None, None)
    found: list[BaseException] = []
    left = threading.Event()

    def run() -> None:
        try:
            for block in blocks:
                if writer is not None:
                    _write(writer, block, left)
                if left.is_set():
                    return
        except BaseException as error:
            found.append(error)
            connection.interrupt()
        finally:
            if writer is not None:
                os.close(writer)

    thread = threading.Thread(target=run, name="read")
    thread.start()
    try:
        yield str(own) if own is not None else f"/dev/fd/{reader}"
    except BaseException:
        left.set()
        raise
    finally:
        thread.join()
        if reader is not None:
            os.close(reader)
        if found:
            raise found[0]


def _write(pipe: int, block: bytes, left: threading.Event) -> None:
    """Write to a pipe until nobody reads it any more, which is looked at now and then."""
    os.set_blocking(pipe, False)
    has_room = select.poll()
    has_room.register(pipe, select.POLLOUT)
    part = memoryview(block)
    while part and not left.is_set():
        try:
            part = part[os.write(pipe, part) :]
        except BlockingIOError:
            has_room.poll(_MILLISECONDS)


def _pipe() -> tuple[int, int]:
    """A pipe with room for a large block, where the system gives it."""
    reader, writer = os.pipe()
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        with suppress(OSError):  # more than this user may have
            fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, _BLOCK)
    return reader, writer


def binary(connection: duckdb.DuckDBPyConnection, query: str) -> Generator[bytes, None, None]:
    """What DuckDB writes for a binary COPY. Raises its error, by `errors`, at the end if it did not come to its own.

    Close it before the connection: DuckDB would wait for ever for somebody to read what it writes.
    """
    reader, writer = _pipe()
    found: list[BaseException] = []

    def run() -> None:
        try:
            connection.execute(f"COPY ({query}) TO '/dev/fd/{writer}' (FORMAT postgres_binary, USE_TMP_FILE false)")
        except BaseException as error:
            found.append(error)
        finally:
            os.close(writer)

    thread = threading.Thread(target=run, name="binary")
    thread.start()
    try:
        with os.fdopen(reader, "rb", buffering=0) as stream:  # closed, it is a broken pipe for DuckDB
            yield from iter(partial(stream.read, _MESSAGE), b"")
    finally:
        thread.join()
    if found:
        with errors():
            raise found[0]
