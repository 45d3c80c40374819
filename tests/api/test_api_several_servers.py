"""Several servers on one store in PostgreSQL, each with a data directory of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import boto3_task_runner
import pytest
from api_service import ON_DEMAND, Api, running, shell, until

from penstock.api import application
from penstock.store.postgresql import PostgresqlStore

TASKS = 40


class Servers(list[Api]):
    """Two servers; `leading` tells which of them runs the clock."""

    def leading(self) -> list[bool]:
        return [store._leading is not None for store in map(store_of, self)]


def store_of(api: Api) -> PostgresqlStore:
    store = api.service.engine.store
    assert isinstance(store, PostgresqlStore)
    return store


@pytest.fixture
def servers(tmp_path: Path, postgresql_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Servers]:
    monkeypatch.setenv("PENSTOCK_MASTER_KEY", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")
    monkeypatch.setattr(application, "LOOK_AGAIN", 3600.0)  # whatever a server hears of the other, it was told
    with ExitStack() as stack:
        start = contextmanager(running)
        made = [
            stack.enter_context(start(tmp_path / name, "long_poll = 40", store=postgresql_url)) for name in ("a", "b")
        ]
        found = Servers(made)
        until(lambda: any(found.leading()))
        yield found


def test_a_poll_at_one_server_has_a_task_that_was_made_at_the_other(servers: Servers, group: str) -> None:
    with ThreadPoolExecutor(1) as threads:
        polling = threads.submit(servers[1].poll, group)
        servers[1].until_waiting(group)
        pipeline_id = servers[0].activated(ON_DEMAND, shell("Work", group))
        task: dict[str, Any] = polling.result(20)
    servers[0].boto.set_task_status(taskId=task["taskId"], taskStatus="FINISHED")
    assert servers[1].pipeline_fields(pipeline_id)["@pipelineState"] == "FINISHED"


def test_each_task_is_handed_out_once_whoever_asks(servers: Servers, group: str) -> None:
    tasks = [shell(f"Task{number}", group) for number in range(TASKS)]
    pipeline_id = servers[0].activated(ON_DEMAND, *tasks[: TASKS // 2])
    other_id = servers[1].activated(ON_DEMAND, *tasks[TASKS // 2 :])
    worked: Counter[str] = Counter()

    def work(api: Api) -> None:
        client = api.client(api.credentials, read_timeout=60)
        while sum(worked.values()) < TASKS:
            task = client.poll_for_task(workerGroup=group, hostname="h").get("taskObject")
            if task:
                worked[task["attemptId"]] += 1
                client.set_task_status(taskId=task["taskId"], taskStatus="FINISHED")

    with ThreadPoolExecutor(4) as threads:
        ends = [threads.submit(work, api) for api in [*servers, *servers]]
        until(lambda: sum(worked.values()) >= TASKS, 40)
        for api in servers:
            api.service.application.close()  # who polls once more need not wait
        for end in ends:
            end.result(20)
    assert len(worked) == TASKS
    assert set(worked.values()) == {1}
    for identity in (pipeline_id, other_id):
        assert servers[0].pipeline_fields(identity)["@pipelineState"] == "FINISHED"


def test_one_server_runs_the_clock_and_another_takes_over_when_it_has_gone(
    servers: Servers, group: str, postgresql_url: str
) -> None:
    assert sorted(servers.leading()) == [False, True]
    leader, follower = sorted(servers, key=lambda api: store_of(api)._leading is None)
    pipeline_id = follower.activated(
        ON_DEMAND | {"maximumRetries": "1"}, shell("Work", group, command="exit 1", retryDelay="1 second")
    )
    task = follower.poll(group)
    leader.service.engine.stop()  # as if it had died: it does nothing more, and its connection ends
    leader.service._loop.join(20)
    store_of(leader)._leading.close()
    follower.boto.set_task_status(taskId=task["taskId"], taskStatus="FAILED")
    assert follower.poll(group)["attemptId"].endswith("_Attempt=2")  # the clock has told that its delay was over
    assert store_of(follower)._leading is not None
    assert follower.status(pipeline_id, "Work") == "RUNNING"


def test_what_the_clock_makes_is_heard_of_at_the_server_that_does_not_run_it(servers: Servers, group: str) -> None:
    _, follower = sorted(servers, key=lambda api: store_of(api)._leading is None)
    follower.activated(ON_DEMAND | {"maximumRetries": "1"}, shell("Work", group, retryDelay="1 second"))
    follower.boto.set_task_status(taskId=follower.poll(group)["taskId"], taskStatus="FAILED")
    assert follower.poll(group)["attemptId"].endswith("_Attempt=2")


def test_a_runner_works_on_through_the_other_server(servers: Servers, group: str) -> None:
    pipeline_id = servers[0].activated(ON_DEMAND, shell("One", group), shell("Two", group, dependsOn={"ref": "One"}))
    task = servers[0].poll(group)
    assert not servers[1].boto.report_task_progress(taskId=task["taskId"])["canceled"]
    servers[1].boto.set_task_status(taskId=task["taskId"], taskStatus="FINISHED")
    with ThreadPoolExecutor(1) as threads:
        runner = threads.submit(boto3_task_runner.work, servers[1].client(servers[0].credentials), group)
        until(lambda: servers[0].pipeline_fields(pipeline_id)["@pipelineState"] == "FINISHED")
        servers[1].service.application.close()
        assert len(runner.result(20)) == 1


def test_the_time_is_the_databases(servers: Servers) -> None:
    store = store_of(servers[0])
    assert abs(store.clock_offset()) < 60
    store._ahead += 3600.0  # this machine's clock is an hour late
    now, other = (api.service.engine.clock.now() for api in servers)
    assert 3000 < (now - other).total_seconds() < 4200
