"""PollForTask waits without holding a thread, is woken at once, and hands nothing to callers that have gone."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import pytest
from api_service import LONG_POLL, ON_DEMAND, Api, shell, until

from penstock.wire.sigv4 import sign


def open_poll(api: Api, group: str) -> socket.socket:
    """A poll that was sent and whose answer nobody has read."""
    body = b'{"workerGroup":"%s"}' % group.encode()
    headers = {"X-Amz-Target": "DataPipeline.PollForTask", "Content-Type": "application/x-amz-json-1.1"}
    signed = sign(
        "POST",
        api.endpoint + "/",
        headers,
        body,
        api.credentials,
        region="us-east-1",
        service="datapipeline",
        now=datetime.now(UTC),
    )
    lines = ["POST / HTTP/1.1", *(f"{name}: {value}" for name, value in signed.items()), f"Content-Length: {len(body)}"]
    address = urlsplit(api.endpoint)
    connection = socket.create_connection((address.hostname, address.port), timeout=20)
    connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
    return connection


def answer_of(connection: socket.socket) -> bytes:
    response = http.client.HTTPResponse(connection)
    response.begin()
    with connection:
        return response.read()


def test_a_poll_without_a_task_is_answered_empty_after_its_time(api: Api, group: str):
    started = time.monotonic()
    answer = api.boto.poll_for_task(workerGroup=group)
    assert "taskObject" not in answer
    assert LONG_POLL - 0.1 < time.monotonic() - started < LONG_POLL + 15


def test_a_waiting_poll_gets_a_new_task_at_once(fresh_api: Api, group: str):
    pipeline_id = fresh_api.pipeline(ON_DEMAND, shell("A", group))
    with ThreadPoolExecutor(1) as threads:
        poll = threads.submit(fresh_api.poll, group)
        fresh_api.until_waiting(group)
        fresh_api.boto.activate_pipeline(pipelineId=pipeline_id)
        task = poll.result(20)
    assert task["pipelineId"] == pipeline_id


def test_tasks_that_come_together_wake_as_many_polls(fresh_api: Api, group: str):
    pipeline_id = fresh_api.pipeline(ON_DEMAND, *(shell(f"A{number}", group) for number in range(5)))
    with ThreadPoolExecutor(5) as threads:
        polls = [threads.submit(fresh_api.poll, group) for _ in range(5)]
        fresh_api.until_waiting(group, 5)
        fresh_api.boto.activate_pipeline(pipelineId=pipeline_id)
        attempts = {poll.result(20)["attemptId"] for poll in polls}
    assert len(attempts) == 5


def test_a_poll_is_woken_by_a_dependency_that_was_met(fresh_api: Api, group: str):
    fresh_api.activated(ON_DEMAND, shell("A", group), shell("B", group, dependsOn={"ref": "A"}))
    first = fresh_api.poll(group)
    with ThreadPoolExecutor(1) as threads:
        poll = threads.submit(fresh_api.poll, group)
        fresh_api.until_waiting(group)
        fresh_api.boto.set_task_status(taskId=first["taskId"], taskStatus="FINISHED")
        assert poll.result(20)["attemptId"].startswith("@B_")


def test_an_abandoned_poll_is_handed_nothing(fresh_api: Api, group: str):
    pipeline_id = fresh_api.pipeline(ON_DEMAND, shell("A", group))
    abandoned = open_poll(fresh_api, group)
    fresh_api.until_waiting(group)
    abandoned.close()
    fresh_api.until_waiting(group, 0)
    fresh_api.boto.activate_pipeline(pipelineId=pipeline_id)
    assert fresh_api.status(pipeline_id, "A") == "WAITING_FOR_RUNNER"
    assert fresh_api.poll(group)["attemptId"].endswith("_Attempt=1")


def test_a_task_taken_for_a_caller_that_left_meanwhile_is_free_again_at_once(
    fresh_api: Api, group: str, monkeypatch: pytest.MonkeyPatch
):
    pipeline_id = fresh_api.activated(ON_DEMAND, shell("A", group))
    operations = fresh_api.service.application.operations
    model, functions = operations["DataPipeline"]
    poll = functions["PollForTask"]
    taken = threading.Event()

    def slowly(call: Any, request: Any) -> Any:
        answer = poll(call, request)
        if not taken.is_set():
            abandoned.close()
            taken.set()
            time.sleep(0.2)  # long enough for the server to see that the connection is closed
        return answer

    changed = {
        **fresh_api.service.application.operations,
        "DataPipeline": (model, {**functions, "PollForTask": slowly}),
    }
    monkeypatch.setattr(fresh_api.service.application, "operations", changed)
    abandoned = open_poll(fresh_api, group)
    assert taken.wait(10)
    until(lambda: fresh_api.status(pipeline_id, "A") == "WAITING_FOR_RUNNER")
    task = fresh_api.poll(group)
    assert task["attemptId"].endswith("_Attempt=1")


def test_a_wake_up_for_a_caller_that_has_gone_reaches_the_next(fresh_api: Api, group: str):
    pipeline_id = fresh_api.pipeline(ON_DEMAND, shell("A", group))
    gone = [open_poll(fresh_api, group) for _ in range(3)]
    fresh_api.until_waiting(group, 3)
    with ThreadPoolExecutor(1) as threads:
        poll = threads.submit(fresh_api.poll, group)
        fresh_api.until_waiting(group, 4)
        for connection in gone:
            connection.close()
        fresh_api.boto.activate_pipeline(pipelineId=pipeline_id)
        assert poll.result(20)["pipelineId"] == pipeline_id


def test_two_hundred_waiting_polls_hold_no_thread_and_block_nobody(fresh_api: Api, group: str):
    pipeline_id = fresh_api.pipeline(ON_DEMAND, shell("A", group))
    polls = [open_poll(fresh_api, group) for _ in range(200)]
    fresh_api.until_waiting(group, 200)
    assert threading.active_count() < 40
    started = time.monotonic()
    for _ in range(20):
        fresh_api.boto.describe_pipelines(pipelineIds=[pipeline_id])
    assert time.monotonic() - started < 20  # half of the time that a poll waits
    fresh_api.boto.activate_pipeline(pipelineId=pipeline_id)
    fresh_api.until_waiting(group, 199)
    fresh_api.service.application.close()
    answers = [answer_of(poll) for poll in polls]
    assert sum(b"taskObject" in answer for answer in answers) == 1
    assert answers.count(b"{}") == 199


def test_a_poll_whose_key_is_revoked_meanwhile_is_handed_nothing(fresh_api: Api, group: str):
    key = fresh_api.key()
    runner = fresh_api.client(key)
    pipeline_id = fresh_api.pipeline(ON_DEMAND, shell("A", group))
    with ThreadPoolExecutor(1) as threads:
        poll = threads.submit(runner.poll_for_task, workerGroup=group)
        fresh_api.until_waiting(group)
        fresh_api.own.call("RevokeKey", accessKeyId=key.access_key)
        fresh_api.boto.activate_pipeline(pipelineId=pipeline_id)
        with pytest.raises(fresh_api.boto.exceptions.ClientError, match="UnrecognizedClientException"):
            poll.result(10)
    assert fresh_api.poll(group)["pipelineId"] == pipeline_id
