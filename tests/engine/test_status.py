"""The status table, and the one function that moves a status."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import penstock
from penstock.engine.status import ENDED, PIPELINE_STATES, TRANSITIONS, earliest, move
from penstock.store.database import Store, open_store
from penstock.store.rows import Attempt, Instance, Pipeline, read

INITIAL = {"PIPELINE": "PENDING", "INSTANCE": "WAITING_ON_DEPENDENCIES", "ATTEMPT": "WAITING_FOR_RUNNER"}
MADE_FINAL = {"SKIPPED"}  # an instance is made with it


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = open_store(None, tmp_path)
    with made.transaction() as tx:
        tx.execute(
            "insert_pipeline",
            pipeline_id="df-1",
            name="n",
            unique_id="u",
            description=None,
            creator="me",
            owner="",
            created_at=0,
        )
        tx.execute(
            "insert_instance",
            pipeline_id="df-1",
            instance_id="@A",
            component="A",
            node="",
            family="Activity",
            scheduled_start=0,
            scheduled_end=0,
            activation=1,
            status="WAITING_ON_DEPENDENCIES",
            created_at=0,
            started_at=None,
            ended_at=None,
            late_at=5,
            tries_left=2,
            attempt_count=0,
        )
        tx.execute(
            "insert_attempt",
            pipeline_id="df-1",
            attempt_id="@A_Attempt=1",
            instance_id="@A",
            number=1,
            task_id="t1",
            worker_group="work",
            owner="",
            created_at=0,
            available_at=0,
            expires_at=None,
        )
    yield made
    made.close()


def row(tx: Any, cls: type[Any]) -> Any:
    query = {Pipeline: "pipeline_by_id", Instance: "instance_by_id", Attempt: "attempt_by_id"}[cls]
    keys = {"pipeline_id": "df-1"}
    if cls is Instance:
        keys["instance_id"] = "@A"
    if cls is Attempt:
        keys["attempt_id"] = "@A_Attempt=1"
    return read(cls, tx.one(query, **keys))


def test_every_status_is_reached_from_the_first_one() -> None:
    for sphere, first in INITIAL.items():
        reached = {first} | (MADE_FINAL if sphere == "INSTANCE" else set())
        while True:
            more = {t.target for t in TRANSITIONS if t.sphere == sphere and reached & set(t.sources)} - reached
            if not more:
                break
            reached |= more
        named = {status for t in TRANSITIONS if t.sphere == sphere for status in (*t.sources, t.target)}
        assert reached == named


def test_a_final_status_is_left_by_a_rerun_or_by_marking_as_finished_only() -> None:
    verbs = {t.verb for t in TRANSITIONS if t.sphere == "INSTANCE" and set(t.sources) & set(ENDED)}
    assert verbs == {"rerun", "mark finished"}
    ended_attempts = {"FINISHED", "FAILED", "CANCELED", "TIMEDOUT"}
    assert not any(set(t.sources) & ended_attempts for t in TRANSITIONS if t.sphere == "ATTEMPT")


def test_a_deleted_pipeline_stays_deleted() -> None:
    assert not any("DELETING" in t.sources for t in TRANSITIONS)
    assert next(t for t in TRANSITIONS if t.verb == "delete").sources == PIPELINE_STATES


def test_every_transition_is_used_and_every_verb_is_known() -> None:
    code = "\n".join(path.read_text() for path in Path(penstock.__file__).parent.rglob("*.py"))
    quoted = set(re.findall(r"\"([a-z ]+)\"", code))
    for transition in TRANSITIONS:
        assert transition.verb in quoted
    moved = set(re.findall(r"\bmove\(\s*(?:turn\.)?tx, \w+, \"([a-z ]+)\"", code))
    assert moved <= {transition.verb for transition in TRANSITIONS}


def test_only_move_writes_a_status() -> None:
    folder = Path(penstock.__file__).parent
    for path in (folder / "store" / "queries").iterdir():
        for name, sql in re.findall(r"-- name: (\w+)\n(.*?)(?=\n-- name|\Z)", path.read_text(), re.DOTALL):
            writes = re.search(r"UPDATE \w+ SET[^;]*?\b(status|state) =(?! '[A-Z])", sql.split("WHERE")[0])
            assert bool(writes) == name.startswith("move_"), name
    for path in folder.rglob("*.py"):
        if path.name != "status.py":
            assert not re.search(r"execute\(\s*\"move_", path.read_text()), path


def test_a_move_and_its_event_are_one(store: Store) -> None:
    with store.transaction() as tx:
        moved = move(tx, row(tx, Instance), "queue", 10, detail="why", attempt_count=1)
        assert moved is not None
        assert moved == row(tx, Instance)
        (event,) = tx.all("events_after", pipeline_id="df-1", sequence=0, limit=10)
    assert (event["verb"], event["from_status"], event["to_status"], event["detail"], event["at"]) == (
        "queue",
        "WAITING_ON_DEPENDENCIES",
        "WAITING_FOR_RUNNER",
        "why",
        10,
    )


def test_who_comes_second_is_told_so_and_changes_nothing(store: Store) -> None:
    with store.transaction() as tx:
        stale = row(tx, Instance)
        assert move(tx, stale, "cancel", 10) is not None
        assert move(tx, stale, "queue", 11) is None
        assert move(tx, stale, "cancel", 11) is None
        assert row(tx, Instance).ended_at == 10
        assert len(tx.all("events_after", pipeline_id="df-1", sequence=0, limit=10)) == 1


def test_what_the_table_does_not_allow_does_not_happen(store: Store) -> None:
    with store.transaction() as tx:
        assert move(tx, row(tx, Instance), "take", 10) is None
        assert move(tx, row(tx, Instance), "time out", 10) is None
        assert move(tx, row(tx, Instance), "no such verb", 10) is None
        assert move(tx, row(tx, Pipeline), "finish", 10) is None
        assert tx.all("events_after", pipeline_id="df-1", sequence=0, limit=10) == []


def test_who_holds_another_lease_cannot_move_an_attempt(store: Store) -> None:
    with store.transaction() as tx:
        first = row(tx, Attempt)
        taken = move(tx, first, "take", 10, lease_until=100, ends_at=50)
        assert taken is not None
        assert taken.due_at == 50
        back = move(tx, taken, "hand back", 60, task_id="t2")
        assert back is not None
        assert (back.due_at, back.lease_until, back.ends_at) == (None, None, None)
        again = move(tx, back, "take", 70, lease_until=200, ends_at=None)
        assert again is not None
        assert move(tx, taken, "finish", 80) is None, "the same status, but another task id"
        assert move(tx, again, "finish", 80) is not None


def test_columns_that_follow_from_the_status_are_set_with_it(store: Store) -> None:
    with store.transaction() as tx:
        moved = move(tx, row(tx, Instance), "cancel", 10, is_rerun=1)
        assert moved is not None
        assert (moved.ended_at, moved.late_at, moved.started_at) == (10, None, None)
        again = move(tx, moved, "rerun", 20, is_rerun=1)
        assert again is not None
        assert (again.ended_at, again.is_rerun, again.status) == (None, 1, "WAITING_ON_DEPENDENCIES")


def test_the_earliest_of_times_that_may_be_missing() -> None:
    assert earliest() is None
    assert earliest(None, None) is None
    assert earliest(None, 3, 2) == 2
