"""How ends of tasks go to the service together, and how tasks wait for the threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Any, cast

import pytest

from penstock.runner import ends as module
from penstock.runner.ends import End, Ends
from penstock.wire.client import Client, ConnectionFailed
from penstock.wire.errors import ServiceError

THREADS = 4
SHORT, LONG = 0.01, 60.0  # seconds of a task
NOT_THERE = ConnectionFailed("there", "broken")
UNKNOWN = ServiceError("UnknownOperationException", "There is no such operation.")


class Service:
    """Takes requests, and answers each when it is told to: with as many tasks as are wanted, as far as it has them."""

    def __init__(self) -> None:
        self.tasks = 1000
        self.refused: set[str] = set()
        self.error: Exception | None = None
        self.problem: Exception | None = None
        self.requests: list[dict[str, Any]] = []
        self.come = threading.Semaphore(0)
        self.go_on = threading.Semaphore(0)
        self.over: list[str] = []
        self.alone: list[str] = []

    def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        assert operation == "EndTasks"
        self.requests.append(parameters)
        self.come.release()
        assert self.go_on.acquire(timeout=20)
        if self.error is not None:
            raise self.error
        names = [end["taskId"] for end in parameters["ends"]]
        given = min(self.tasks, parameters["taskCount"])
        self.tasks -= given
        refused = [{"taskId": name, "errorCode": "Odd", "message": "no"} for name in names if name in self.refused]
        following = [{"taskId": f"next {self.tasks + number}"} for number in range(given)]
        return {"taskObjects": following, "refused": refused}

    def tell_alone(self, end: End) -> None:
        if self.problem is not None:
            raise self.problem
        self.alone.append(end.told["taskId"])

    def answer(self) -> dict[str, Any]:
        """The next request, which is answered."""
        assert self.come.acquire(timeout=20)
        request = self.requests[-1]
        self.go_on.release()
        return request

    def sent(self) -> list[list[str]]:
        return [[end["taskId"] for end in request["ends"]] for request in self.requests]


Tell = Callable[..., Future[Any]]


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def ends(service: Service) -> Iterator[Ends]:
    made = Ends(
        cast("Client", service),
        "group",
        THREADS,
        "host",
        5,
        tell_alone=service.tell_alone,
        answered=lambda: None,
    )
    made.start()
    service_goes_on = threading.Semaphore(1000)
    with closing(made):
        yield made
        service.go_on = service_goes_on


@pytest.fixture
def tell(service: Service, ends: Ends) -> Iterator[Tell]:
    """Tells the end of a task in a thread of its own; gives what is next."""
    with ThreadPoolExecutor(20) as pool:

        def told(name: str, seconds: float = LONG) -> Future[Any]:
            end = End(name, {"taskId": name, "taskStatus": "FINISHED"}, seconds, lambda: service.over.append(name))
            future = pool.submit(ends.tell, end)
            while not (any(end is other for other in (*ends._waiting, *ends._idle)) or future.done()):
                pass
            return future

        yield told


def test_what_ends_while_a_request_is_away_goes_with_the_next_one(service: Service, tell: Tell) -> None:
    told = [tell("0")]
    assert service.come.acquire(timeout=20)
    told += [tell(str(number)) for number in range(1, 7)]
    service.go_on.release()
    service.answer()
    assert {future.result(20)["taskId"] for future in told} == {f"next {number}" for number in range(993, 1000)}
    assert service.sent() == [["0"], ["1", "2", "3", "4", "5", "6"]]
    assert service.over == ["0", "1", "2", "3", "4", "5", "6"]


def test_as_many_tasks_are_asked_for_as_threads_are_idle_where_tasks_are_long(service: Service, tell: Tell) -> None:
    told = tell("0")
    assert service.answer()["taskCount"] == 1
    assert told.result(20) is not None


def test_short_tasks_are_there_before_their_threads_are_idle(service: Service, tell: Tell) -> None:
    first = tell("0", SHORT)
    assert service.answer()["taskCount"] == 1 + THREADS * module.AHEAD_SECONDS / SHORT
    first.result(20)
    assert tell("1", SHORT).result(20) is not None  # before the service has answered
    assert service.over == ["0"]
    assert service.answer()["taskCount"] == 1


def test_tasks_for_which_no_thread_comes_are_given_back(
    service: Service, ends: Ends, tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LONGEST_AHEAD", 0.01)
    first = tell("0", SHORT)
    count = service.answer()["taskCount"]
    first.result(20)
    request = service.answer()
    assert len(request["returned"]) == count - 1
    assert (request["ends"], request["taskCount"]) == ([], 0)
    assert ends.next() is None


def test_a_runner_that_is_stopped_gives_back_what_it_has_not_begun(service: Service, ends: Ends, tell: Tell) -> None:
    first = tell("0", SHORT)
    count = service.answer()["taskCount"]
    first.result(20)
    assert ends.next() is not None
    ends.stop()
    assert ends.next() is None
    request = service.answer()
    assert len(request["returned"]) == count - 2
    last = tell("1", SHORT)
    assert service.answer()["taskCount"] == 0
    assert last.result(20) is None


def test_a_refused_end_is_told_alone_and_the_others_are_not(service: Service, tell: Tell) -> None:
    service.refused = {"0"}
    told = tell("0")
    service.answer()
    told.result(20)
    assert (service.alone, service.over) == (["0"], ["0"])


@pytest.mark.parametrize("error", [NOT_THERE, ServiceError("InternalServiceError", "broken", 500), ValueError("odd")])
def test_ends_whose_request_fails_are_told_one_by_one_and_the_next_go_together_again(
    service: Service, ends: Ends, tell: Tell, error: Exception
) -> None:
    service.error = error
    told = tell("0")
    service.answer()
    assert told.result(20) is None
    assert (service.alone, service.over) == (["0"], ["0"])
    service.error = None
    told = tell("1")
    service.answer()
    assert told.result(20) is not None
    assert service.alone == ["0"]


def test_an_end_that_cannot_be_told_keeps_no_other_back(
    service: Service, tell: Tell, caplog: pytest.LogCaptureFixture
) -> None:
    service.refused = {"0"}
    service.problem = ValueError("odd")
    told = tell("0")
    service.answer()
    told.result(20)
    told = tell("1")
    service.answer()
    assert told.result(20) is not None
    assert service.over == ["0", "1"]
    assert "The end of 0 could not be told" in caplog.text


def test_a_service_that_does_not_know_EndTasks_is_asked_once(service: Service, ends: Ends, tell: Tell) -> None:
    service.error = UNKNOWN
    told = [tell("0")]
    service.answer()
    told.append(tell("1"))
    assert [future.result(20) for future in told] == [None, None]
    assert (service.alone, len(service.requests), ends.is_known) == (["0", "1"], 1, False)


def test_the_thread_ends_when_everything_is_told(service: Service, ends: Ends, tell: Tell) -> None:
    told = tell("0")
    service.answer()
    told.result(20)
    ends.close()
    assert not ends._sender.is_alive()
