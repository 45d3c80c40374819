"""A store that was made with the first schema, with a pipeline at work in it, goes on with the present one.

`first_schema.json` holds the rows that the first version wrote: of two days of a daily pipeline the first is over, with
a failure, and the second is at work on its machine.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from story import SYSTEM, Pipe, Story, Task, day
from test_story_resources import group, host, must_end

from penstock.store.database import Store, open_store
from penstock.store.sql_files import migrations

PIPELINE = "df-00000000000000000001"
ROWS = json.loads((Path(__file__).parent / "first_schema.json").read_text(encoding="utf-8"))
MACHINE, CLUSTER = day("Machine", 2), day("Cluster", 2)


@pytest.fixture(params=["sqlite", "postgresql"])
def migrated(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    url = request.getfixturevalue("postgresql_url") if request.param == "postgresql" else None
    open_store(url, tmp_path, 1).close()
    connection = psycopg.connect(url) if url else sqlite3.connect(tmp_path / "penstock.db")
    with closing(connection):
        for table, content in ROWS.items():
            marks = ", ".join(["%s" if url else "?"] * len(content["columns"]))
            insert = f"INSERT INTO {table} ({', '.join(content['columns'])}) VALUES ({marks})"
            connection.cursor().executemany(insert, content["rows"])  # type: ignore[arg-type]
        connection.commit()
    with closing(open_store(url, tmp_path)) as store:
        yield store


@pytest.fixture
def pipe(migrated: Store, tmp_path: Path) -> Pipe:
    return Pipe(Story(migrated, tmp_path, "2024-01-02T00:00:01", owner="first"), PIPELINE)


def task_of(instance_id: str) -> Task:
    """A task that a task runner took before the migration."""
    return Task(f"task of {instance_id}_Attempt=1", f"{instance_id}_Attempt=1", {})


def test_nothing_is_lost(migrated: Store, pipe: Pipe) -> None:
    assert migrated.schema == max(number for number, _ in migrations(migrated.dialect)) > 1
    identity, status = (ROWS["instances"]["columns"].index(name) for name in ("instance_id", "status"))
    assert pipe.statuses() == {row[identity]: row[status] for row in ROWS["instances"]["rows"]}
    assert len(pipe.events()) == len(ROWS["events"]["rows"])
    assert pipe.fields(day("Check", 1))["errorMessage"] == ["it broke"]
    assert pipe.description["name"] == "from the first schema"
    assert migrated.one("key_by_id", access_key="AKIDFIRST") is not None


def test_what_is_at_work_comes_to_its_end(pipe: Pipe) -> None:
    story = pipe.story
    extract = task_of(day("Extract", 2))
    assert not story.report(extract), "the task runner has it still"
    story.end(extract)
    assert must_end(story, pipe, MACHINE)
    story.end(task_of(MACHINE))
    hosting = host(story, pipe, CLUSTER)
    assert story.work(group(pipe, CLUSTER)) == [day("Load", 2)]
    assert must_end(story, pipe, CLUSTER)
    story.end(hosting)
    assert story.work() == [day("Check", 2), day("Report", 2)]
    assert {status for name, status in pipe.statuses().items() if "-02T" in name} == {"FINISHED"}


def test_what_has_failed_is_run_again_and_the_schedule_goes_on(pipe: Pipe) -> None:
    pipe.set_status("RERUN", day("Check", 1))
    assert pipe.story.work() == [day("Check", 1), day("Report", 1)]
    pipe.story.until("2024-01-03T00:00:00")
    assert pipe.status(day("Extract", 3)) == "WAITING_ON_DEPENDENCIES"
    taken = [pipe.story.take(SYSTEM).instance_id for _ in range(2)]
    assert taken == [MACHINE, day("Machine", 3)], "whoever hosted the machine of the second day has gone"
