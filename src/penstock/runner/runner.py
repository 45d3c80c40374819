"""The task runner's threads: pollers that take tasks and run them, and one that reports on all of them."""

from __future__ import annotations

import contextlib
import logging
import threading
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from penstock.definition.slots import Catalogue
from penstock.objects.work import WorkStopped
from penstock.runner.place import Place
from penstock.runner.task import Held, Task
from penstock.wire.client import Client, ConnectionFailed
from penstock.wire.errors import ServiceError

LOG = logging.getLogger(__name__)
REFUSED = ("UnrecognizedClientException", "AccessDeniedException", "InvalidSignatureException")
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 30.0
RESOURCE_PREFIX = "resource:"


@dataclass(frozen=True)
class Pace:
    """How often a runner reports, in seconds, and how long it bears a service that does not answer."""

    report: float = 10.0
    heartbeat: float = 900.0
    give_up: float | None = None


class RunnerRefused(Exception):
    """The service does not accept the runner's key."""


class Runner:
    """Works for some worker groups with a number of threads for each."""

    def __init__(
        self,
        client: Callable[[], Client],
        catalogue: Catalogue,
        place: Place,
        groups: Sequence[str],
        *,
        tasks: int = 2,
        pace: Pace | None = None,
    ) -> None:
        self.client = client()
        self.catalogue = catalogue
        self.place = place
        self.groups = list(groups)
        self.tasks = tasks
        self.pace = pace or Pace()
        self.runner_id = f"{place.hostname}-{uuid.uuid4()}"
        self.held = Held()
        self.refusal: Exception | None = None
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._guests: list[threading.Thread] = []

    def start(self) -> None:
        """Start the threads."""
        for group in self.groups:
            for _ in range(self.tasks):
                self._threads.append(threading.Thread(target=self._poll, args=(group,), daemon=True))
        self._threads.append(threading.Thread(target=self._report, daemon=True))
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Wait until the runner has ended; raises RunnerRefused when the service did not accept its key."""
        for thread in self._threads[:-1]:
            while thread.is_alive():
                thread.join(1.0)
        for thread in self._guests:
            thread.join()
        self._stopping.set()
        if self.refusal is not None:
            raise RunnerRefused(str(self.refusal))

    def stop(self, reason: str = "The task runner was stopped.") -> None:
        """End all polls and all tasks; the tasks fail with the reason and are tried again."""
        self._stopping.set()
        for task in self.held.all():
            task.stop.set(reason)

    def close(self) -> None:
        """Close the connections, which also ends the polls that wait."""
        self.client.close()

    @property
    def is_stopping(self) -> bool:
        """Whether the runner takes no more tasks."""
        return self._stopping.is_set()

    def _poll(self, group: str) -> None:
        pause, silent = FIRST_PAUSE, 0.0
        while not self._stopping.is_set():
            try:
                answer = self.client.call("PollForTask", workerGroup=group, hostname=self.place.hostname)
                pause, silent = FIRST_PAUSE, 0.0
                task = answer.get("taskObject")
                if task:
                    self._take(Task.read(task, self.place))
                elif group.startswith(RESOURCE_PREFIX) and self._must_end(group):
                    return
            except ConnectionFailed as error:
                silent += pause
                if self.pace.give_up is not None and silent > self.pace.give_up:
                    self.refusal = error
                    self._stopping.set()
                    return
                pause = self._wait(pause, error)
            except ServiceError as error:
                if error.code in REFUSED:
                    self.refusal = error
                    self._stopping.set()
                    return
                pause = self._wait(pause, error)
            except Exception as error:  # a poller must outlive a task that cannot even be read
                LOG.exception("A task could not be taken")
                pause = self._wait(pause, error)

    def _wait(self, pause: float, error: Exception) -> float:
        if not self._stopping.is_set():
            LOG.warning("%s; trying again in %.1f s", error, pause)
        self._stopping.wait(pause)
        return min(pause * 2, LONGEST_PAUSE)

    def _must_end(self, group: str) -> bool:
        answer = self.client.call(
            "ReportTaskRunnerHeartbeat",
            taskrunnerId=self.runner_id,
            workerGroup=group,
            hostname=self.place.hostname,
        )
        return bool(answer["terminate"])

    def _take(self, task: Task) -> None:
        self.held.add(task)
        if task.is_resource(self.catalogue):
            thread = threading.Thread(target=self._run, args=(task,), daemon=True)
            self._guests.append(thread)
            thread.start()
        else:
            self._run(task)

    def _run(self, task: Task) -> None:
        try:
            if not self._progress(task):
                return
            if self._stopping.is_set():
                task.stop.set("The task runner was stopped.")
            try:
                outcome = task.run(self.catalogue)
            except WorkStopped:
                if not self._stopping.is_set():
                    return  # the service has ended the attempt itself
                outcome = {"taskStatus": "FAILED", "errorId": "TaskRunnerStopped", "errorMessage": task.stop.reason}
            with contextlib.suppress(Exception):
                task.logs.send()
            if task.fields:
                self._progress(task)
            self._set_status(task, outcome)
        finally:
            self.held.remove(task)

    def _set_status(self, task: Task, outcome: dict[str, str]) -> None:
        """Report the end; it is tried again while the service is away, since the work is done."""
        pause = FIRST_PAUSE
        while True:
            try:
                parameters: dict[str, Any] = {"taskId": task.task_id, **outcome}
                self.client.call("SetTaskStatus", **parameters)
                return
            except ServiceError as error:
                LOG.warning("The end of %s was not taken: %s", task.attempt_id, error)
                return
            except ConnectionFailed as error:
                if self._stopping.is_set():
                    return
                pause = self._wait(pause, error)

    def _progress(self, task: Task) -> bool:
        """Report progress; False when the task must stop."""
        fields = [{"key": key, "stringValue": value} for key, value in list(task.fields.items())]
        try:
            answer = self.client.call("ReportTaskProgress", taskId=task.task_id, fields=fields)
        except ServiceError as error:
            task.stop.set(f"The service says: {error}")
            return False
        except ConnectionFailed as error:
            LOG.warning("%s; the task goes on", error)
            return True
        if answer["canceled"]:
            task.stop.set("The service has canceled the attempt.")
        return not answer["canceled"]

    def _report(self) -> None:
        beats = 0.0
        while not self._stopping.wait(self.pace.report):
            for task in self.held.all():
                self._progress(task)
                with contextlib.suppress(Exception):
                    task.logs.send()
            beats += self.pace.report
            if beats >= self.pace.heartbeat:
                beats = 0.0
                for group in self.groups:
                    with contextlib.suppress(ServiceError, ConnectionFailed):
                        self._must_end(group)
