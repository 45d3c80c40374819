"""How ends of tasks go to the service together."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, cast

import pytest

from penstock.runner.ends import MOST_AWAY, Ends
from penstock.wire.client import Client
from penstock.wire.errors import ServiceError


class Service:
    """Takes requests, and answers each when it is told to: a next task for each end, but for those it refuses."""

    def __init__(self, *refused: str) -> None:
        self.refused = refused
        self.requests: list[list[str]] = []
        self.come = threading.Semaphore(0)
        self.go_on = threading.Semaphore(0)
        self.fails = False

    def call(self, operation: str, *, ends: list[dict[str, str]], **parameters: Any) -> dict[str, Any]:
        assert operation == "EndTasks"
        names = [end["taskId"] for end in ends]
        self.requests.append(names)
        self.come.release()
        assert self.go_on.acquire(timeout=20)
        if self.fails:
            raise ServiceError("InternalServiceError", "broken", 500)
        refused = [{"taskId": name, "errorCode": "Odd", "message": "no"} for name in names if name in self.refused]
        following = [{"taskId": f"after {name}"} for name in names if name not in self.refused]
        return {"taskObjects": following, "refused": refused}

    def close(self) -> None: ...


Told = Future[Any]


def tell_all(service: Service, count: int) -> tuple[list[Told], Ends]:
    """Tell so many ends at once; the first two are on their way when the others come."""
    ends = Ends(cast("Client", service), "host", 5)
    pool = ThreadPoolExecutor(count)
    told = []
    for number in range(count):
        told.append(pool.submit(ends.tell, "group", {"taskId": str(number), "taskStatus": "FINISHED"}))
        if number < MOST_AWAY:
            assert service.come.acquire(timeout=20)
    while len(ends._waiting["group"]) < count - MOST_AWAY:
        pass
    pool.shutdown(wait=False)
    return told, ends


def test_what_ends_while_requests_are_away_goes_with_the_next_one() -> None:
    service = Service()
    told, ends = tell_all(service, 8)
    for _ in range(3):
        service.go_on.release()
    assert {future.result(20)["taskId"] for future in told} == {f"after {number}" for number in range(8)}
    assert sorted(map(len, service.requests)) == [1, 1, 6]
    assert ends._away["group"] == 0


def test_a_refused_end_is_the_error_of_its_own_task_alone() -> None:
    service = Service("3")
    told, _ = tell_all(service, 5)
    for _ in range(3):
        service.go_on.release()
    with pytest.raises(ServiceError, match="no"):
        told[3].result(20)
    assert sum(told[number].result(20) is not None for number in (0, 1, 2, 4)) == 4


def test_a_request_that_fails_fails_for_all_that_went_with_it_and_the_next_is_sent() -> None:
    service = Service()
    service.fails = True
    told, ends = tell_all(service, 4)
    for _ in range(3):
        service.go_on.release()
    for future in told:
        with pytest.raises(ServiceError, match="broken"):
            future.result(20)
    service.fails = False
    service.go_on.release()
    assert ends.tell("group", {"taskId": "later", "taskStatus": "FINISHED"}) == {"taskId": "after later"}
