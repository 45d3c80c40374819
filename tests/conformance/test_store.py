"""What every store does: the same tests over SQLite and PostgreSQL."""

from __future__ import annotations

import contextlib
import multiprocessing
import re
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import penstock
from penstock.store.database import Store, StoreError, Transaction, open_store
from penstock.store.postgresql import PostgresqlStore
from penstock.store.sql_files import migrations, queries
from penstock.store.sqlite import SqliteStore

PIPELINE, INSTANCE, ATTEMPT = "df-1", "@A_2024-01-01T00:00:00", "@A_2024-01-01T00:00:00_Attempt=1"

# Every parameter that a query takes, with a value that fits the seed; those in NULLABLE may be None as well.
VALUES: dict[str, Any] = {
    "jump": 0,
    "system_group": "(system)",
    "system_until": 2000,
    "until": 2000,
    "access_key": "AK1",
    "acknowledged": 0,
    "action": "Alarm",
    "activated_at": 1000,
    "activated_by": "me",
    "activation": 1,
    "at": 1000,
    "attempt_count": 1,
    "attempt_id": ATTEMPT,
    "available_at": 0,
    "before": 5000,
    "body": "{}",
    "cancellation_reason": "because",
    "cascade_failed_on": "@B",
    "component": "A",
    "consumer": INSTANCE,
    "created_at": 1000,
    "created_by": "me",
    "creator": "me",
    "delivered_to": "[]",
    "deliveries": 0,
    "description": "text",
    "detail": "text",
    "due_at": 5000,
    "ended_at": 9000,
    "end_start": 5000,
    "ended_before": 0,
    "ends_at": 5000,
    "error_id": "E",
    "error_message": "text",
    "error_stack_trace": "text",
    "errored": 0,
    "expires_at": 9000,
    "family": "Activity",
    "fields": "{}",
    "finished_at": 9000,
    "first": 0,
    "from_status": "WAITING_ON_DEPENDENCIES",
    "health": "HEALTHY",
    "held_task_id": "task-1",
    "hostname": "host",
    "include_finished": 1,
    "instance_id": INSTANCE,
    "is_rerun": 0,
    "kept": 1,
    "key": "team",
    "kind": "data",
    "completed": 1000,
    "second_kind": "data",
    "third_kind": "served",
    "last": 5000,
    "late_at": 9000,
    "latest_run_at": 0,
    "lease_until": 6000,
    "limit": 10,
    "marker": "",
    "message": "text",
    "met": 1,
    "most": 3,
    "name": "flights",
    "newest": 5000,
    "next_due_at": 2000,
    "next_index": 1,
    "next_start": 2000,
    "node": "",
    "now": 1000,
    "number": 1,
    "object_id": INSTANCE,
    "owner": "",
    "parameter_values": "{}",
    "paused": 1,
    "pipeline_id": PIPELINE,
    "problem": "text",
    "producer": "B",
    "producer_node": "",
    "producer_start": 0,
    "requested_at": 1000,
    "role": "runner",
    "scheduled_at": 1000,
    "scheduled_end": 1000,
    "scheduled_start": 0,
    "secret": "s",
    "sequence": 0,
    "since": 0,
    "sphere": "INSTANCE",
    "start_at": 0,
    "started_at": 500,
    "started_until": 0,
    "status": "WAITING_ON_DEPENDENCIES",
    "stop": 5000,
    "subject": "text",
    "task_id": "task-2",
    "text": "text",
    "to_status": "FINISHED",
    "topic": "arn",
    "tries": 0,
    "tries_left": 2,
    "unique_id": "u1",
    "value": "data",
    "verb": "finish",
    "version": 1,
    "was_deactivated": 0,
    "worker_group": "work",
}
NULLABLE = (
    "cancellation_reason",
    "cascade_failed_on",
    "description",
    "ends_at",
    "error_id",
    "error_message",
    "error_stack_trace",
    "expires_at",
    "finished_at",
    "hostname",
    "late_at",
    "latest_run_at",
    "next_due_at",
    "next_start",
    "start_at",
    "started_at",
    "worker_group",
)
# Where the seed or a CHECK needs another value than VALUES has.
SPECIAL: dict[str, dict[str, Any]] = {
    "delete_definition": {"version": 7},
    "insert_activation": {"number": 2, "scheduled_at": 2000},
    "insert_attempt": {"attempt_id": "@C_Attempt=1", "instance_id": "@C", "worker_group": "work"},
    "insert_backfill": {"next_start": 2000},
    "insert_instance": {"component": "Z", "instance_id": "@Z", "ended_at": None},
    "insert_pipeline": {"pipeline_id": "df-2", "unique_id": "u2"},
    "move_attempt": {"from_status": "WAITING_FOR_RUNNER", "due_at": None},
    "move_instance": {"to_status": "FINISHED"},
    "move_pipeline": {"from_status": "SCHEDULED"},
    "set_backfill": {"next_start": 2000},
}
NAMES = sorted(queries("sqlite"))


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest) -> str | None:
    return request.getfixturevalue("postgresql_url") if request.param == "postgresql" else None


@pytest.fixture
def store(store_url: str | None, tmp_path: Path) -> Iterator[Store]:
    made = open_store(store_url, tmp_path)
    yield made
    made.close()


@contextlib.contextmanager
def undone(store: Store) -> Iterator[Transaction]:
    """A transaction that leaves nothing behind."""
    with contextlib.suppress(_Undo), store.transaction() as tx:
        yield tx
        raise _Undo


class _Undo(Exception):
    pass


def given(tx: Transaction, name: str, **changes: Any) -> int:
    """Run a query with the values of the table above."""
    wanted = set(re.findall(r"(?<![:\w]):([a-z_]\w*)", queries("sqlite")[name]))
    values = {key: VALUES[key] for key in wanted} | SPECIAL.get(name, {}) | changes
    return tx.execute(name, **{key: value for key, value in values.items() if key in wanted})


def seed(tx: Transaction) -> None:
    """One pipeline with a definition, an activation, a component, two instances and a waiting attempt."""
    given(tx, "insert_pipeline", pipeline_id=PIPELINE, unique_id="u1")
    given(tx, "put_definition")
    given(tx, "insert_activation", number=1, scheduled_at=1000)
    given(tx, "set_latest_version")
    given(tx, "move_pipeline", from_status="PENDING", to_status="SCHEDULED", finished_at=None)
    given(tx, "set_activation")
    given(tx, "insert_component")
    given(tx, "insert_instance", component="A", instance_id=INSTANCE, late_at=None)
    given(tx, "insert_instance", component="C", instance_id="@C", late_at=None)
    given(tx, "insert_dependency", met=0)
    given(tx, "insert_attempt", attempt_id=ATTEMPT, instance_id=INSTANCE, task_id="task-1", expires_at=None)


def test_the_table_of_parameters_is_whole() -> None:
    used = {name for sql in queries("sqlite").values() for name in re.findall(r"(?<![:\w]):([a-z_]\w*)", sql)}
    assert used == set(VALUES)


def test_every_query_that_the_code_names_exists_and_every_query_is_used() -> None:
    code = "\n".join(path.read_text() for path in Path(penstock.__file__).parent.rglob("*.py"))
    called = set(re.findall(r"\.(?:execute|execute_many|one|all)\(\s*\"(\w+)\"", code))
    assert called - {"BEGIN", "COMMIT", "ROLLBACK"} <= set(NAMES)
    named = set(re.findall(r"\"(\w+)\"", code))
    made = {name for name in NAMES if name.startswith("delete_")}  # one per table, by f-string
    assert set(NAMES) - named - made == set()


def test_every_query_runs_and_takes_null_where_a_column_may_be_null(store: Store) -> None:
    with store.transaction() as tx:
        seed(tx)
    for name in NAMES:
        sql = queries("sqlite")[name]
        with undone(store) as tx:
            if name in ("delete_instances", "delete_definitions"):
                given(tx, "delete_attempts")
                given(tx, "delete_activations")
            given(tx, name)
        nulls = {key: None for key in NULLABLE if f":{key}" in sql and key not in SPECIAL.get(name, {})}
        if nulls and name.split("_")[0] in ("insert", "move", "set", "put"):
            with undone(store) as tx:
                given(tx, name, **nulls)
        if sql.startswith("SELECT") and not name.endswith("_for_update"):
            with store.snapshot() as tx:
                wanted = set(re.findall(r"(?<![:\w]):([a-z_]\w*)", sql))
                assert isinstance(tx.all(name, **{key: VALUES[key] for key in wanted}), list)


def test_rows_come_back_as_they_were_written(store: Store) -> None:
    text = "naïve 日本語 🙂 'quoted' \"double\" 100% %s :name \\ \n\t"
    with store.transaction() as tx:
        seed(tx)
        given(tx, "insert_event", detail=text, at=2**53)
    with store.snapshot() as tx:
        (row,) = tx.all("events_after", pipeline_id=PIPELINE, sequence=0, limit=10)
    assert (row["detail"], row["at"]) == (text, 2**53)


ODD = ("@plain", '@"quoted"', "@{a,b}", "@back\\slash", "@NULL", "@ naïve 🙂 %s ")


def test_rows_that_are_inserted_soon_are_there_for_the_next_question(store: Store) -> None:
    """Rows of 60 instances are more than are sent at once; an attempt may come before another one's instance."""
    names = [*ODD, *(f"@{number}" for number in range(60))]
    with store.transaction() as tx:
        seed(tx)
        instance, attempt = (
            {key: VALUES[key] for key in re.findall(r":([a-z_]+)", queries("sqlite")[f"insert_{kind}"])}
            for kind in ("instance", "attempt")
        )
        for number, name in enumerate(names):
            late = {"late_at": None if number % 2 else 5, "scheduled_start": 2000 + number}
            tx.insert_soon("insert_instance", **{**instance, **late, "instance_id": name, "ended_at": None})
            told = {"instance_id": name, "attempt_id": f"{name}_Attempt=1", "task_id": f"task of {name}"}
            tx.insert_soon("insert_attempt", **{**attempt, **told, "expires_at": None})
        asked = [("instance_by_id", {"pipeline_id": PIPELINE, "instance_id": name}) for name in (*names, "@none")]
        found = tx.several(*asked, ("pipeline_by_id", {"pipeline_id": PIPELINE}))
    assert [[(row["instance_id"], row["late_at"]) for row in rows] for rows in found[:-1]] == [
        *([(name, None if number % 2 else 5)] for number, name in enumerate(names)),
        [],
    ]
    assert len(found[-1]) == 1
    with store.snapshot() as tx:
        found = tx.several(*(("attempt_by_task", {"task_id": f"task of {name}"}) for name in ODD))
    assert [row["instance_id"] for rows in found for row in rows] == [*ODD]


def test_many_rows_are_written_at_once(store: Store) -> None:
    event = {key: VALUES[key] for key in re.findall(r":([a-z_]+)", queries("sqlite")["insert_event"])}
    with store.transaction() as tx:
        tx.execute_many("insert_event", [{**event, "at": number} for number in range(500)])
        tx.execute_many("insert_event", [])
    with store.snapshot() as tx:
        rows = tx.all("events_after", pipeline_id=PIPELINE, sequence=0, limit=1000)
    assert [row["at"] for row in rows] == list(range(500))


def test_a_second_instance_of_an_interval_is_never_made(store: Store) -> None:
    with store.transaction() as tx:
        seed(tx)
        assert given(tx, "insert_instance", component="A", instance_id=INSTANCE) == 0
        assert given(tx, "insert_instance", component="A", instance_id="@another-name") == 0
        assert given(tx, "insert_instance", component="A", instance_id="@later", scheduled_start=1) == 1


REFUSED: dict[str, Callable[[Transaction], object]] = {
    "a second active attempt of an instance": lambda tx: given(
        tx, "insert_attempt", attempt_id="@A_Attempt=2", instance_id=INSTANCE, task_id="task-9"
    ),
    "a second attempt with the same task id": lambda tx: given(tx, "insert_attempt", task_id="task-1"),
    "an attempt of no instance": lambda tx: given(tx, "insert_attempt", instance_id="@none"),
    "a final instance without its end": lambda tx: given(tx, "move_instance", ended_at=None),
    "an active instance with an end": lambda tx: given(tx, "move_instance", to_status="RUNNING"),
    "a running attempt that is never due": lambda tx: given(
        tx, "move_attempt", from_status="WAITING_FOR_RUNNER", to_status="RUNNING", due_at=None, ended_at=None
    ),
    "a final attempt without its end": lambda tx: given(tx, "move_attempt", due_at=None, ended_at=None),
    "an unknown status of an attempt": lambda tx: given(
        tx, "move_attempt", to_status="LOST", due_at=None, ended_at=None
    ),
    "an unknown state of a pipeline": lambda tx: given(tx, "move_pipeline", to_status="LOST"),
    "two activations in one second": lambda tx: given(tx, "insert_activation", scheduled_at=1000),
    "an activation of a version that is not there": lambda tx: given(tx, "insert_activation", version=7),
    "an unknown kind of dependency": lambda tx: given(tx, "insert_dependency", kind="other", producer="X"),
    "a due time without an interval": lambda tx: given(tx, "set_cursor", next_start=None, next_due_at=5),
    "a backfill of nothing": lambda tx: given(tx, "insert_backfill", next_start=5, end_start=5),
    "an unknown health": lambda tx: given(tx, "set_health", health="FINE"),
    "a tag of no pipeline": lambda tx: given(tx, "upsert_tag", pipeline_id="df-none"),
    "a definition of no pipeline": lambda tx: given(tx, "put_definition", pipeline_id="df-none"),
    "a key with an unknown role": lambda tx: given(tx, "insert_key", access_key="AK2", role="king"),
}


def test_what_must_never_be_is_refused(store: Store) -> None:
    with store.transaction() as tx:
        seed(tx)
    for what, write in REFUSED.items():
        with pytest.raises(Exception) as caught, store.transaction() as tx:
            write(tx)
        assert "Integrity" in type(caught.value).__name__ or "Violation" in type(caught.value).__name__, (what, caught)


def test_two_pipelines_with_one_name_and_unique_id_are_one(store: Store) -> None:
    with store.transaction() as tx:
        seed(tx)
        assert given(tx, "insert_pipeline", unique_id="u1") == 0
        given(tx, "move_pipeline", to_status="DELETING", finished_at=None)
        assert given(tx, "insert_pipeline", unique_id="u1") == 1


def test_an_exception_undoes_everything(store: Store) -> None:
    with store.transaction() as tx:
        seed(tx)
    with pytest.raises(ZeroDivisionError), store.transaction() as tx:
        given(tx, "insert_event")
        given(tx, "move_instance")
        raise ZeroDivisionError
    with store.snapshot() as tx:
        assert tx.all("events_after", pipeline_id=PIPELINE, sequence=0, limit=10) == []
        row = tx.one("instance_by_id", pipeline_id=PIPELINE, instance_id=INSTANCE)
    assert row is not None
    assert row["status"] == "WAITING_ON_DEPENDENCIES"
    with store.transaction() as tx:
        assert given(tx, "insert_event") == 1


def test_a_failed_statement_leaves_the_store_usable(store: Store) -> None:
    with store.transaction() as tx:
        seed(tx)
    for _ in range(3):
        with pytest.raises(Exception), store.transaction() as tx:  # noqa: B017
            given(tx, "insert_attempt", task_id="task-1")
    with store.transaction() as tx:
        assert given(tx, "insert_event") == 1


def test_of_two_moves_of_one_status_one_wins(store: Store) -> None:
    with store.transaction() as tx:
        seed(tx)
    results: list[int] = []
    start = threading.Barrier(2, timeout=30)

    def finish() -> None:
        start.wait()
        with store.transaction() as tx:
            results.append(given(tx, "move_instance"))

    in_threads(finish, finish)
    assert sorted(results) == [0, 1]


def test_writers_that_lock_the_pipeline_wait_for_each_other(store: Store) -> None:
    with store.transaction() as tx:
        seed(tx)

    def count_up() -> None:
        for _ in range(25):
            with store.transaction() as tx:
                row = tx.one("pipeline_for_update", pipeline_id=PIPELINE)
                assert row is not None
                tx.execute("set_latest_version", pipeline_id=PIPELINE, version=row["latest_version"] + 1)

    in_threads(count_up, count_up, count_up)
    with store.snapshot() as tx:
        row = tx.one("pipeline_by_id", pipeline_id=PIPELINE)
    assert row is not None
    assert row["latest_version"] == 76


def test_a_snapshot_sees_one_state_beside_a_writer(store: Store) -> None:
    with store.transaction() as tx:
        seed(tx)
    with store.snapshot() as reader:
        assert len(reader.all("events_after", pipeline_id=PIPELINE, sequence=0, limit=10)) == 0
        with store.transaction() as tx:
            given(tx, "insert_event")
        assert len(reader.all("events_after", pipeline_id=PIPELINE, sequence=0, limit=10)) == 0
    with store.snapshot() as reader:
        assert len(reader.all("events_after", pipeline_id=PIPELINE, sequence=0, limit=10)) == 1


def test_what_is_not_committed_nobody_sees(store: Store) -> None:
    with store.transaction() as tx:
        seed(tx)
        with store.snapshot() as reader:
            assert reader.one("pipeline_by_id", pipeline_id=PIPELINE) is None


def test_migrations_run_from_empty_and_do_nothing_the_second_time(store: Store, store_url: str | None) -> None:
    with store.transaction() as tx:
        seed(tx)
    again = open_store(store_url, store.path.parent if isinstance(store, SqliteStore) else Path())
    with again.snapshot() as tx:
        assert tx.one("pipeline_by_id", pipeline_id=PIPELINE) is not None
    again.close()


def test_two_that_open_a_new_store_at_once_both_can(store_url: str | None, tmp_path: Path) -> None:
    start = threading.Barrier(4, timeout=30)
    stores: list[Store] = []

    def open_it() -> None:
        start.wait()
        stores.append(open_store(store_url, tmp_path))

    in_threads(*[open_it] * 4)
    assert len(stores) == 4
    for made in stores:
        made.close()


def test_a_store_of_a_newer_penstock_is_refused(store: Store, store_url: str | None, tmp_path: Path) -> None:
    newer = max(number for number, _ in migrations(store.dialect)) + 1
    if isinstance(store, SqliteStore):
        store._writer.execute(f"PRAGMA user_version = {newer}")
    else:
        assert isinstance(store, PostgresqlStore)
        with store._begun(("BEGIN", None)) as tx:
            tx.connection.execute("INSERT INTO penstock_schema VALUES (%s)", (newer,))
    with pytest.raises(StoreError, match="made by a newer Penstock"):
        open_store(store_url, tmp_path)


def test_a_store_that_cannot_be_opened_says_so(tmp_path: Path) -> None:
    (tmp_path / "penstock.db").write_text("this is no database, and long enough to be noticed as none")
    with pytest.raises(StoreError, match=r"penstock\.db cannot be opened: file is not a database"):
        open_store(None, tmp_path)
    with pytest.raises(StoreError, match=r"cannot be opened: unable to open database file.*writable"):
        open_store(None, tmp_path / "nowhere")
    with pytest.raises(StoreError, match="PostgreSQL cannot be opened"):
        open_store("postgresql://nobody@127.0.0.1:1/none", tmp_path)
    with pytest.raises(StoreError, match="'mysql' is not known; give postgresql://") as refused:
        open_store("mysql://user:secret@x", tmp_path)
    assert "secret" not in str(refused.value)


def test_a_store_takes_up_again_after_its_connections_were_cut(postgresql_url: str, tmp_path: Path) -> None:
    store = open_store(postgresql_url, tmp_path)
    assert isinstance(store, PostgresqlStore)
    with store.transaction() as tx:
        seed(tx)
    other = PostgresqlStore(postgresql_url)
    with other._begun(("BEGIN", None)) as tx:
        tx.connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            " AND datname = current_database()"
        )
    other.close()
    with store.transaction() as tx:
        assert given(tx, "insert_event") == 1
    store.close()


# What may look at a whole history: none of it is asked for each task.
WHOLE = (
    "deactivated_instances",
    "keys",
    "pipelines_of_owner",
    "release_attempts",
    "release_pipelines",
    "activations_with_instances",  # by a pass of the retention that has deleted something
    "owners",
)


def test_no_query_of_a_tasks_way_looks_at_the_history(tmp_path: Path) -> None:
    """SQLite's plans show it: no table is read whole, and those that grow not by their pipeline alone."""
    store = open_store(None, tmp_path)
    assert isinstance(store, SqliteStore)
    for name in NAMES:
        sql = queries("sqlite")[name]
        if name in (*WHOLE, "status_counts") or not sql.startswith(("SELECT", "UPDATE")):
            continue
        for row in store._writer.execute(f"EXPLAIN QUERY PLAN {sql}", VALUES):
            plan = row["detail"]
            few = ("SCAN due", "SCAN active", "SCAN foremost")
            assert not re.match(r"SCAN (\w+)$", plan) or plan in few, (name, plan)
            grows = "attempts" in plan or "instances" in plan or "dependencies" in plan
            assert not (grows and "autoindex" in plan and plan.endswith("(pipeline_id=?)")), (name, plan)
    store.close()


def in_threads(*functions: Callable[[], None]) -> None:
    """Run functions at once; the first error is raised."""
    errors: list[BaseException] = []

    def guarded(function: Callable[[], None]) -> None:
        try:
            function()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    if errors:
        raise errors[0]


def _write_from_a_process(folder: str, name: str, start: Any, done: Any) -> None:
    try:
        start.wait(60)
        store = open_store(None, Path(folder))
        for number in range(40):
            with store.transaction() as tx:
                row = tx.one("pipeline_by_id", pipeline_id="df-count")
                if row is None:
                    given(tx, "insert_pipeline", pipeline_id="df-count", unique_id="count")
                    row = tx.one("pipeline_by_id", pipeline_id="df-count")
                assert row is not None
                tx.execute("set_latest_version", pipeline_id="df-count", version=row["latest_version"] + 1)
                given(tx, "insert_event", pipeline_id="df-count", detail=f"{name} {number}")
            with store.snapshot() as tx:
                tx.all("events_after", pipeline_id="df-count", sequence=0, limit=1000)
        store.close()
        done.put(None)
    except BaseException as error:
        done.put(f"{name}: {error!r}")


def test_processes_on_one_file_neither_corrupt_it_nor_lock_each_other_out(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    start, done = context.Barrier(2), context.Queue()
    processes = [
        context.Process(target=_write_from_a_process, args=(str(tmp_path), name, start, done), daemon=True)
        for name in ("one", "two")
    ]
    for process in processes:
        process.start()
    assert [done.get(timeout=60) for _ in processes] == [None, None]
    for process in processes:
        process.join(30)
    store = open_store(None, tmp_path)
    with store.snapshot() as tx:
        row = tx.one("pipeline_by_id", pipeline_id="df-count")
        events = tx.all("events_after", pipeline_id="df-count", sequence=0, limit=1000)
    assert row is not None
    assert row["latest_version"] == 80
    assert {event["detail"] for event in events} == {f"{name} {n}" for name in ("one", "two") for n in range(40)}
    assert isinstance(store, SqliteStore)
    assert store._writer.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    store.close()


def test_a_reader_waits_for_no_writer(store: Store) -> None:
    with store.transaction():
        in_threads(lambda: read_keys(store))  # it ends before the writer does


def test_a_reader_does_not_wait_while_a_writer_waits_for_another_process(tmp_path: Path) -> None:
    store = open_store(None, tmp_path)
    assert isinstance(store, SqliteStore)
    with contextlib.closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        begun, ended = threading.Event(), threading.Event()
        connection = store._writer

        class Writer:
            """Tells when the writer begins to wait."""

            def __getattr__(self, name: str) -> Any:
                begun.set()
                return getattr(connection, name)

        store._writer = Writer()  # type: ignore[assignment]

        def write() -> None:
            with store.transaction():
                ended.set()

        writing = threading.Thread(target=write)
        writing.start()
        assert begun.wait(30)
        in_threads(lambda: read_keys(store))
        assert not ended.is_set()
        other.execute("ROLLBACK")
        writing.join(30)
    assert ended.is_set()
    store.close()


def read_keys(store: Store) -> None:
    with store.snapshot() as tx:
        tx.all("keys")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:geheim@geheim@127.0.0.1:1/geheim",
        "postgresql://user:geheim/geheim@127.0.0.1:1/x",
        "postgresql://user:ge#geheim@127.0.0.1:1/x",
        'postgresql://user:x@geheim"geheim:1/x',
        "postgresql://user:x@geheim'geheim:1/x",
        "postgresql://user:%geheim@127.0.0.1:1/x",
        "postgresql://user:x@[geheim:1/x",
        "postgresql://127.0.0.1:1/x?geheim=geheim",
        "postgresql://127.0.0.1:1/x?sslmode=geheim",
    ],
)
def test_a_wrong_postgresql_url_is_refused_without_quoting_it(url: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="store on PostgreSQL") as refused:
        open_store(url, tmp_path)
    assert "geheim" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_refused_user_of_postgresql_is_told_why(postgresql_url: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="database … does not exist"):
        open_store(postgresql_url + "-none", tmp_path)


@pytest.mark.parametrize("name", ["waiting_attempts", "waiting_attempts_of_pipeline", "instances_after"])
def test_the_next_rows_are_read_from_an_index_in_their_order(name: str, tmp_path: Path) -> None:
    store = open_store(None, tmp_path)
    assert isinstance(store, SqliteStore)
    plan = [row["detail"] for row in store._writer.execute(f"EXPLAIN QUERY PLAN {queries('sqlite')[name]}", VALUES)]
    assert not any("TEMP B-TREE" in step for step in plan), plan
    store.close()
