"""EndTasks: the ends of tasks and the next ones with one request, for task runners of our own."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from api_service import ON_DEMAND, Api, running, shell

from penstock.api import ends
from penstock.cli.credentials import penstock_client
from penstock.engine.attempts import MOST_DELIVERIES
from penstock.wire.client import Client
from penstock.wire.errors import ServiceError


@pytest.fixture(params=["sqlite", "postgresql"])
def service(request: pytest.FixtureRequest, api: Api) -> Api:
    return api if request.param == "sqlite" else request.getfixturevalue("on_postgresql")


@pytest.fixture(scope="module")
def on_postgresql(tmp_path_factory: pytest.TempPathFactory, postgresql: str) -> Iterator[Api]:
    name = f"end_{uuid.uuid4().hex}"
    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    url = f"{postgresql.rpartition('/')[0]}/{name}"
    yield from running(tmp_path_factory.mktemp("end") / "data", "long_poll = 1", store=url)


def end(service: Api, task: dict[str, Any], group: str, status: str = "FINISHED", own: Client | None = None) -> Any:
    ends = [{"taskId": task["taskId"], "taskStatus": status}]
    answer = (own or service.own).call("EndTasks", ends=ends, workerGroup=group)
    return next(iter(answer["taskObjects"]), None)


def test_the_next_task_comes_with_the_end_of_one(service: Api, group: str) -> None:
    pipeline_id = service.activated(ON_DEMAND, shell("One", group), shell("Two", group, command="echo 2"))
    first = service.poll(group)
    second = end(service, first, group)
    assert {first["attemptId"], second["attemptId"]} == set(service.ids(pipeline_id, "ATTEMPT"))
    command = [f for f in second["objects"][second["attemptId"]]["fields"] if f["key"] == "command"]
    assert command[0]["stringValue"] in ("true", "echo 2")
    assert end(service, second, group) is None
    assert service.pipeline_fields(pipeline_id)["@pipelineState"] == "FINISHED"


def test_what_waited_for_the_one_that_ended_is_the_next(service: Api, group: str) -> None:
    pipeline_id = service.activated(ON_DEMAND, shell("First", group), shell("Then", group, dependsOn={"ref": "First"}))
    then = end(service, service.poll(group), group)
    assert then["attemptId"].startswith("@Then_")
    assert end(service, then, group, "FAILED") is None
    assert service.status(pipeline_id, "Then") == "FAILED"


def test_as_many_next_tasks_come_as_are_wanted(service: Api, group: str) -> None:
    names = [f"Work{number}" for number in range(6)]
    service.activated(ON_DEMAND, *(shell(name, group) for name in names))
    told = [{"taskId": service.poll(group)["taskId"], "taskStatus": "FINISHED"}]
    answer = service.own.call("EndTasks", ends=told, workerGroup=group, taskCount=0)
    assert answer == {"taskObjects": [], "refused": []}
    told = [{"taskId": service.poll(group)["taskId"], "taskStatus": "FINISHED"}]
    answer = service.own.call("EndTasks", ends=told, workerGroup=group, taskCount=3)
    assert len({task["taskId"] for task in answer["taskObjects"]}) == 3
    told = [{"taskId": task["taskId"], "taskStatus": "FINISHED"} for task in answer["taskObjects"]]
    assert len(service.own.call("EndTasks", ends=told, workerGroup=group, taskCount=25)["taskObjects"]) == 1


def test_a_task_that_is_given_back_is_had_by_another_task_runner_at_once_and_as_often_as_need_be(
    service: Api, group: str
) -> None:
    pipeline_id = service.activated(ON_DEMAND, shell("Work", group))
    known = set()
    for _ in range(MOST_DELIVERIES + 1):
        task = service.poll(group)
        known.add(task["taskId"])
        assert service.own.call("EndTasks", ends=[], returned=[task["taskId"]], workerGroup=group)["refused"] == []
    assert len(known) == MOST_DELIVERIES + 1
    service.own.call(
        "EndTasks", ends=[], returned=[task["taskId"], "nobody's"], workerGroup=group
    )  # it is not ours now
    assert service.status(pipeline_id, "Work") == "WAITING_FOR_RUNNER"
    assert end(service, service.poll(group), group) is None
    assert service.status(pipeline_id, "Work") == "FINISHED"


def test_the_next_may_be_of_another_pipeline_but_not_of_another_group(service: Api, group: str) -> None:
    service.activated(ON_DEMAND, shell("One", group))
    first = service.poll(group)
    other = service.activated(ON_DEMAND, shell("Two", group), shell("Elsewhere", f"{group}-2"))
    second = end(service, first, group)
    assert second["pipelineId"] == other
    assert second["attemptId"].startswith("@Two_")
    assert end(service, second, group) is None
    assert service.status(other, "Elsewhere") == "WAITING_FOR_RUNNER"


def test_a_key_has_the_next_task_of_its_own_group_only(api: Api, group: str) -> None:
    api.activated(ON_DEMAND, shell("One", group), shell("Two", f"{group}-2"))
    task = api.poll(group)
    own = penstock_client(api.endpoint, api.key(workerGroup=group))
    with pytest.raises(ServiceError, match="may not work for the worker group"):
        end(api, task, f"{group}-2", own=own)
    assert end(api, task, group, own=own) is None
    with pytest.raises(ServiceError, match="There is no task"):
        end(api, {"taskId": "nobody's"}, group, own=own)
    own.close()


def test_an_end_is_not_lost_with_a_next_task_that_cannot_be_made(
    api: Api, group: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pipeline_id = api.activated(ON_DEMAND, shell("One", group), shell("Two", group))
    first = api.poll(group)

    def broken(*arguments: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr(ends, "task_object", broken)
        assert end(api, first, group) is None
    assert "is left to a poll" in caplog.text
    caplog.clear()
    assert sorted(api.fields(pipeline_id, i)["@status"] for i in api.ids(pipeline_id)) == [
        "FINISHED",
        "WAITING_FOR_RUNNER",
    ]


def test_next_tasks_are_not_lost_with_ends_that_the_store_cannot_take(
    api: Api, group: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        api.activated(ON_DEMAND, shell("One", group), shell("Two", group))
    held = [api.poll(group) for _ in range(3)]
    turns = iter((ends._end_of_one_pipeline, unavailable, unavailable))

    def turn(*arguments: Any) -> Any:
        return next(turns)(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(ends, "_end_of_one_pipeline", turn)
        told = [{"taskId": task["taskId"], "taskStatus": "FINISHED"} for task in held]
        answer = api.own.call("EndTasks", ends=told, workerGroup=group)
    assert len(answer["taskObjects"]) == 1
    assert {refusal["errorCode"] for refusal in answer["refused"]} == {"InternalServiceError"}
    assert "have to wait" in caplog.text
    caplog.clear()
    for task in (*held, *answer["taskObjects"]):
        api.boto.set_task_status(taskId=task["taskId"], taskStatus="FINISHED")


def unavailable(*arguments: object) -> None:
    raise sqlite3.OperationalError("disk I/O error")


def test_a_task_that_was_cancelled_stays_so_and_the_next_comes(service: Api, group: str) -> None:
    pipeline_id = service.activated(ON_DEMAND, shell("One", group), shell("Two", group))
    first = service.poll(group)
    instance = first["attemptId"].rpartition("_Attempt=")[0]
    service.boto.set_status(pipelineId=pipeline_id, objectIds=[instance], status="CANCEL")
    second = end(service, first, group)
    assert service.fields(pipeline_id, instance)["@status"] == "CANCELED"
    assert end(service, second, group) is None
