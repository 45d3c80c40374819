"""Backups of the store: both databases, and one into the other."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from penstock.store.backup import (
    BackupError,
    check_empty,
    new_archive,
    read_contents,
    restore_tables,
    tables,
    write_backup,
)
from penstock.store.database import Store, open_store
from penstock.store.sql_files import migrations
from penstock.store.sqlite import SqliteStore

NEWEST = max(number for number, _ in migrations("sqlite"))
TEXT = "naïve 日本語 🙂 'quoted' \"double\" 100% \\ \n\t\u2028"
KINDS = ("sqlite", "postgresql")
Open = Callable[..., Store]


@pytest.fixture
def new_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    made: list[Store] = []

    def make(kind: str, schema: int | None = None) -> Store:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        url = request.getfixturevalue("new_postgresql_url")() if kind == "postgresql" else None
        made.append(open_store(url, folder, schema))
        return made[-1]

    yield make
    for store in made:
        store.close()


def event(**changes: Any) -> dict[str, Any]:
    texts = {"object_id": "o", "sphere": "INSTANCE", "verb": "v", "from_status": "", "to_status": "", "detail": TEXT}
    return {"at": 2**53, "pipeline_id": "df-1", **texts, **changes}


def fill(store: Store, events: int = 1500) -> None:
    with store.transaction() as tx:
        named = {"name": "n", "unique_id": "u", "description": None, "creator": "me", "owner": ""}
        tx.execute("insert_pipeline", pipeline_id="df-1", created_at=1, **named)
        tx.execute("put_definition", pipeline_id="df-1", version=1, body="{}", errored=0, created_at=1, created_by=TEXT)
        tx.execute_many("insert_event", [event(at=number) for number in range(events)])


def backup(store: Store) -> io.BytesIO:
    stream = io.BytesIO()
    with new_archive(stream) as archive:
        write_backup(store, archive, {"version": "1", "made": "now"})
    return stream


def events(store: Store) -> list[dict[str, Any]]:
    with store.snapshot() as tx:
        return [dict(row) for row in tx.all("events_after", pipeline_id="df-1", sequence=0, limit=10_000)]


@pytest.mark.parametrize("source", KINDS)
@pytest.mark.parametrize("target", KINDS)
def test_a_backup_of_either_database_is_restored_on_either(new_store: Open, source: str, target: str) -> None:
    old, new = new_store(source), new_store(target)
    fill(old)
    archive, contents = read_contents(backup(old), "b")
    counts = restore_tables(new, archive, contents["schema"])
    assert counts == contents["rows"]
    assert events(new) == events(old)
    with new.transaction() as tx:
        row = tx.one("pipeline_by_id", pipeline_id="df-1")
        assert row is not None and row["description"] is None
        tx.execute("insert_event", **event(at=-1))
    assert events(new)[-1]["at"] == -1, "numbers go on where they were"
    again, _ = read_contents(backup(new_store(source)), "b")
    assert again.namelist() == archive.namelist()


@pytest.mark.parametrize("kind", KINDS)
def test_a_backup_is_of_one_moment_while_others_write(new_store: Open, kind: str) -> None:
    store = new_store(kind)
    fill(store)
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            with store.transaction() as tx:
                tx.execute("upsert_tag", pipeline_id="df-1", key="number", value=str(number))
                tx.execute("insert_event", **event(at=number, verb="writes"))

    thread = threading.Thread(target=write)
    thread.start()
    try:
        while len(events(store)) < 1510:
            pass
        for _ in range(3):
            archive, _ = read_contents(backup(store), "b")
            tags = [json.loads(line) for line in archive.read("tables/tags.jsonl").splitlines()[1:]]
            written = [json.loads(line) for line in archive.read("tables/events.jsonl").splitlines()[1:]]
            assert int(tags[0][2]) == sum("writes" in row for row in written)
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("kind", KINDS)
def test_a_backup_of_an_older_schema_is_restored_and_then_migrated(new_store: Open, tmp_path: Path, kind: str) -> None:
    old, new = new_store("sqlite", 1), new_store(kind, 1)
    fill(old, events=3)
    archive, contents = read_contents(backup(old), "b")
    assert contents["schema"] == 1
    restore_tables(new, archive, 1)
    if isinstance(new, SqliteStore):
        with closing(open_store(None, new.path.parent)) as migrated:
            assert migrated.schema == NEWEST
            assert len(events(migrated)) == 3


def test_a_store_with_anything_in_it_is_not_empty(new_store: Open) -> None:
    store = new_store("sqlite")
    check_empty(store)
    fill(store, events=0)
    with pytest.raises(BackupError, match=r"not empty \(its table pipelines has rows\).*--data-dir"):
        check_empty(store)


def test_what_is_no_backup_is_refused(new_store: Open) -> None:
    for content in (b"", b"something else", b"PK\x05\x06" + b"\0" * 18):
        with pytest.raises(BackupError, match="x is no backup of Penstock"):
            read_contents(io.BytesIO(content), "x")
    whole = backup(new_store("sqlite")).getvalue()
    with pytest.raises(BackupError, match="not a whole one"):
        read_contents(io.BytesIO(whole[: len(whole) // 2]), "x")


def test_a_backup_of_a_newer_penstock_is_refused() -> None:
    stream = io.BytesIO()
    with ZipFile(stream, "w") as archive:
        archive.writestr("backup.json", json.dumps({"format": 1, "schema": NEWEST + 1, "version": "9.9"}))
    with pytest.raises(BackupError, match=r"made by Penstock 9.9, whose store has the schema \d+; .* 9.9 or newer"):
        read_contents(stream, "x")


def test_every_table_of_the_store_is_in_a_backup(new_store: Open) -> None:
    store = new_store("sqlite")
    with store.transaction() as tx:
        rows = tx.connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")  # type: ignore[attr-defined]
        there = {row["name"] for row in rows if not row["name"].startswith("sqlite_")}
    assert {table.name for table in tables(NEWEST)} == there
    assert {table.name for table in tables(NEWEST) if table.identity} == {"events", "outbox", "backfills"}
