"""A copy of the whole store in one file, of either database and for either: a zip with a table a file, as JSON lines.

`backup.json` says what is in it: the number of the schema, when it was made, by which version. `tables/NAME.jsonl` has
the names of the columns in its first line and the values of a row in each other line. `files/` holds files of the data
directory that came along.
"""

from __future__ import annotations

import io
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import IO, Any
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile

from penstock.store.database import Store
from penstock.store.sql_files import migrations, statements

FORMAT = 1
CONTENTS = "backup.json"
PAGE = 1000
_COMPRESSION = 1  # the fastest: history shrinks to a tenth all the same


class BackupError(Exception):
    """A backup cannot be made, read or restored; the text says why and what to do."""


@dataclass(frozen=True)
class Table:
    """A table of the schema: its columns, and the one that the database numbers by itself."""

    name: str
    columns: tuple[str, ...]
    identity: str | None


def tables(schema: int) -> list[Table]:
    """The tables of a schema's number, each after those that it refers to."""
    connection = sqlite3.connect(":memory:")
    try:
        for number, sql in migrations("sqlite"):
            if number <= schema:
                for statement in statements(sql):
                    connection.execute(statement)
        found: dict[str, Table] = {}
        sources = {
            name: sql
            for name, sql in connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
            if not name.startswith("sqlite_")
        }
        while len(found) < len(sources):
            for name, sql in sources.items():
                parents = {row[2] for row in connection.execute("SELECT * FROM pragma_foreign_key_list(?)", (name,))}
                if name not in found and parents - {name} <= set(found):
                    rows = connection.execute("SELECT name, pk FROM pragma_table_info(?)", (name,)).fetchall()
                    key = next((row[0] for row in rows if row[1]), None)
                    found[name] = Table(name, tuple(row[0] for row in rows), key if "AUTOINCREMENT" in sql else None)
        return list(found.values())
    finally:
        connection.close()


def write_backup(store: Store, archive: ZipFile, about: Mapping[str, Any]) -> dict[str, int]:
    """Write every table as it is at one moment, while others write on; gives the number of rows of each."""
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
    counts: dict[str, int] = {}
    with store.snapshot() as tx:
        for table in tables(store.schema):
            with archive.open(f"tables/{table.name}.jsonl", "w", force_zip64=True) as stream:
                stream.write(encode(table.columns).encode() + b"\n")
                counts[table.name] = 0
                for rows in _pages(_rows(store, tx, table)):
                    counts[table.name] += len(rows)
                    stream.write(("\n".join(map(encode, rows)) + "\n").encode())
    contents = {"format": FORMAT, "schema": store.schema, "rows": counts, **about}
    archive.writestr(CONTENTS, json.dumps(contents, indent=2) + "\n")
    return counts


def _rows(store: Store, tx: Any, table: Table) -> Iterator[Sequence[Any]]:
    """All rows of a table, not all in memory at once."""
    select = f"SELECT {', '.join(table.columns)} FROM {table.name}"  # noqa: S608, names of our own schema
    if store.dialect == "sqlite":
        yield from map(tuple, tx.connection.execute(select))
        return
    from psycopg.rows import tuple_row

    with tx.connection.cursor(name="backup", row_factory=tuple_row) as cursor:
        cursor.itersize = PAGE
        yield from cursor.execute(select)


def _load(store: Store, tx: Any, table: Table, rows: Iterable[Sequence[Any]]) -> int:
    columns = ", ".join(table.columns)
    if store.dialect == "sqlite":
        places = ", ".join("?" * len(table.columns))
        insert = f"INSERT INTO {table.name} ({columns}) VALUES ({places})"  # noqa: S608, names of our own schema
        return max(0, int(tx.connection.executemany(insert, rows).rowcount))
    count = 0
    with tx.connection.cursor() as cursor:
        with cursor.copy(f"COPY {table.name} ({columns}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
                count += 1
        if table.identity is not None:
            cursor.execute(
                f"SELECT setval(pg_get_serial_sequence('{table.name}', '{table.identity}'),"  # noqa: S608
                f" (SELECT COALESCE(MAX({table.identity}), 0) + 1 FROM {table.name}), false)"
            )
    return count


def _pages(rows: Iterable[Sequence[Any]]) -> Iterator[list[Sequence[Any]]]:
    iterator = iter(rows)
    while page := list(islice(iterator, PAGE)):
        yield page


def new_archive(stream: IO[bytes]) -> ZipFile:
    """An archive to write a backup to."""
    return ZipFile(stream, "w", ZIP_DEFLATED, compresslevel=_COMPRESSION)


def read_contents(stream: IO[bytes], name: str) -> tuple[ZipFile, dict[str, Any]]:
    """The archive of a backup, and what it says of itself. Raises BackupError for a file that is none."""
    try:
        archive = ZipFile(stream)
        contents: dict[str, Any] = json.loads(archive.read(CONTENTS))
        schema, made_by = int(contents["schema"]), str(contents["version"])
        is_known = contents["format"] == FORMAT
    except (BadZipFile, KeyError, ValueError, TypeError) as error:
        raise BackupError(f"{name} is no backup of Penstock, or not a whole one.") from error
    newest = max(number for number, _ in migrations("sqlite"))
    if not is_known or schema > newest:
        raise BackupError(
            f"{name} was made by Penstock {made_by}, whose store has the schema {schema}; this one knows {newest}."
            f" Restore it with Penstock {made_by} or newer."
        )
    return archive, contents


def check_empty(store: Store) -> None:
    """Refuse a store that has anything in it: raises BackupError."""
    with store.snapshot() as tx:
        for table in tables(store.schema):
            if any(True for _ in _rows(store, tx, table)):
                raise BackupError(
                    f"The store is not empty (its table {table.name} has rows), and a restore overwrites nothing."
                    " Give a new data directory with --data-dir, or an empty database with --store."
                )


def restore_tables(store: Store, archive: ZipFile, schema: int) -> dict[str, int]:
    """Write every table of a backup into an empty store of the same schema, all or nothing."""
    counts = {}
    with store.transaction() as tx:
        for table in tables(schema):
            with archive.open(f"tables/{table.name}.jsonl") as stream:
                lines = io.TextIOWrapper(stream, "utf-8", newline="\n")
                columns = tuple(json.loads(lines.readline()))
                if columns != table.columns:
                    raise BackupError(f"The table {table.name} of the backup has other columns than the store's.")
                counts[table.name] = _load(store, tx, table, map(json.loads, lines))
    return counts
