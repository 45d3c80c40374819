"""ListRunners: which task runners were seen lately, without a write for each poll."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from api_service import ON_DEMAND, Api, shell, until

from penstock.api.seen_runners import MOST, SeenRunners
from penstock.cli.credentials import penstock_client
from penstock.definition.slots import Catalogue
from penstock.engine.engine import Engine
from penstock.settings import Settings
from penstock.store.database import Row, Store, open_store
from penstock.store.secrets import Secrets
from penstock.wire.errors import ServiceError


def runners_of(api: Api, group: str) -> list[dict[str, Any]]:
    return [r for r in api.own.call("ListRunners")["runners"] if group in r["workerGroups"]]


def test_a_task_runner_is_listed_with_its_key_and_what_it_holds(api: Api, group: str) -> None:
    key = api.key(workerGroup=group)
    runner = api.client(key)
    pipeline_id = api.activated(ON_DEMAND, shell("Load", group))
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    task = runner.poll_for_task(workerGroup=group, hostname="dock")["taskObject"]
    (found,) = runners_of(api, group)
    assert found.pop("lastSeenTime") >= before
    assert found == {
        "hostname": "dock",
        "workerGroups": [group],
        "accessKeyId": key.access_key,
        "keyName": "a runner",
        "tasks": [{"pipelineId": pipeline_id, "attemptId": task["attemptId"], "workerGroup": group}],
    }
    runner.set_task_status(taskId=task["taskId"], taskStatus="FINISHED")
    assert runners_of(api, group)[0]["tasks"] == []


def test_a_report_and_a_heartbeat_are_signs_of_life(api: Api, group: str) -> None:
    api.activated(ON_DEMAND, shell("Load", group))
    task_id = api.poll(group)["taskId"]
    seen = [runners_of(api, group)[0]["lastSeenTime"]]
    for call in (
        lambda: api.boto.report_task_progress(taskId=task_id),
        lambda: api.boto.report_task_runner_heartbeat(taskrunnerId="r", workerGroup=group, hostname="here"),
    ):
        until(lambda: datetime.now(UTC) > seen[-1] + timedelta(milliseconds=2))
        call()
        (found,) = runners_of(api, group)
        seen.append(found["lastSeenTime"])
    assert seen == sorted(set(seen))


def test_one_host_with_several_groups_is_one_task_runner_for_each_key(api: Api, group: str) -> None:
    other = api.key()
    for client in (api.boto, api.client(other)):
        for name in (f"{group}-a", f"{group}-b"):
            client.report_task_runner_heartbeat(taskrunnerId="r", workerGroup=name, hostname=f"host of {group}")
    found = runners_of(api, f"{group}-a")
    assert [runner["workerGroups"] for runner in found] == [[f"{group}-a", f"{group}-b"]] * 2
    assert [runner["keyName"] for runner in found] == ["a runner", "first key"]


def test_who_may_not_work_for_a_group_is_not_listed(api: Api, group: str) -> None:
    client = api.client(api.key(workerGroup="another-group"))
    with pytest.raises(client.exceptions.ClientError, match="AccessDenied"):
        client.poll_for_task(workerGroup=group, hostname="intruder")
    assert runners_of(api, group) == []


def test_a_task_runner_may_not_list_the_others(api: Api) -> None:
    client = penstock_client(api.endpoint, api.key())
    with pytest.raises(ServiceError, match="may not ListRunners"):
        client.call("ListRunners")
    client.close()


class Watch:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.moment = datetime(2024, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment

    def move(self, **units: float) -> None:
        self.moment += timedelta(**units)


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = open_store(None, tmp_path)
    yield made
    made.close()


@pytest.fixture
def engine(store: Store, watch: Watch, tmp_path: Path) -> Engine:
    return Engine(store, Catalogue({}), watch, Settings(), Secrets(tmp_path))


def rows(store: Store) -> list[Row]:
    with store.snapshot() as tx:
        return tx.all("runners", since=0)


def test_what_was_seen_is_written_every_thirty_seconds(engine: Engine, store: Store, watch: Watch) -> None:
    seen = SeenRunners(engine)
    for _ in range(10):
        seen.saw("dock", "loading", "AK1")
        watch.move(seconds=2.9)
        seen.write_if_due()
    assert rows(store) == []
    watch.move(seconds=1)
    seen.write_if_due()
    assert [(row["hostname"], row["worker_group"], row["access_key"]) for row in rows(store)] == [
        ("dock", "loading", "AK1")
    ]
    before = rows(store)[0]["last_seen_at"]
    watch.move(minutes=1)
    seen.write_if_due()
    assert rows(store)[0]["last_seen_at"] == before
    seen.saw("dock", "loading", "AK1")
    seen.write_if_due()
    assert rows(store)[0]["last_seen_at"] == before + 64_000 - 100


def test_what_another_server_saw_later_stays(engine: Engine, store: Store, watch: Watch) -> None:
    one, other = SeenRunners(engine), SeenRunners(engine)
    one.saw("dock", "loading", "AK1")
    watch.move(seconds=5)
    other.saw("dock", "loading", "AK1")
    other.write()
    one.write()
    assert rows(store)[0]["last_seen_at"] == int(watch.moment.timestamp() * 1000)


def test_who_was_not_seen_for_a_day_is_forgotten(engine: Engine, store: Store, watch: Watch) -> None:
    seen = SeenRunners(engine)
    seen.saw("old", "loading", "AK1")
    seen.write()
    watch.move(days=1)
    seen.saw("new", "loading", "AK1")
    seen.write()
    assert [row["hostname"] for row in rows(store)] == ["new"]


def test_the_task_runner_of_a_run_is_not_noted(engine: Engine, store: Store) -> None:
    engine.owner = "run:1"
    seen = SeenRunners(engine)
    seen.saw("dock", "loading", "AK1")
    seen.write()
    assert rows(store) == []


def test_invented_hostnames_take_no_more_than_a_bounded_place(engine: Engine, store: Store) -> None:
    seen = SeenRunners(engine)
    for number in range(MOST + 50):
        seen.saw(f"host {number}", "loading", "AK1")
    seen.write()
    assert len(rows(store)) == MOST
