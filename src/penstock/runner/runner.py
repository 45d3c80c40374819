"""The task runner's threads: pollers that take tasks and run them, one that reports on all, two that send logs."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from penstock.definition.slots import Catalogue
from penstock.objects.work import WorkStopped
from penstock.runner.ends import End, Ends
from penstock.runner.log_sender import LogSender
from penstock.runner.pace import Pace
from penstock.runner.place import Place
from penstock.runner.task import Held, NotBegun, Task, failure
from penstock.wire.client import Client, ConnectionFailed
from penstock.wire.errors import ServiceError

LOG = logging.getLogger(__name__)
REFUSED = ("UnrecognizedClientException", "AccessDeniedException", "InvalidSignatureException")
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 30.0
FIRST_REPORT = 1.0  # seconds
RESOURCE_PREFIX = "resource:"
LONGEST_UNCHECKED = 0.5  # seconds between two checks while `join` waits
STOPPED = "The task runner was stopped."


class Runner:
    """Works for some worker groups with a number of threads for each.

    `logs` is a client of our own operations, by which logs are sent; None where the service's data directory is ours.
    `ends` is another, by which the ends of tasks are told and the next ones had with one request; a service that does
    not know that, such as AWS itself, is told and asked by its own operations.
    """

    def __init__(
        self,
        client: Callable[[], Client],
        catalogue: Catalogue,
        place: Place,
        groups: Sequence[str],
        *,
        tasks: int = 2,
        pace: Pace | None = None,
        logs: Client | None = None,
        ends: Client | None = None,
    ) -> None:
        # Two clients: those polls that wait are ended by closing theirs, while the ends of tasks are still reported.
        self.polls, self.client = client(), client()
        self.pace = pace or Pace()
        self.catalogue = catalogue
        self.place = place
        self.groups = list(groups)
        self.tasks = tasks
        self.runner_id = f"{place.hostname}-{uuid.uuid4()}"
        self.held = Held()
        self.refusal: Exception | None = None
        self._answered = time.monotonic()
        self._stopping = threading.Event()
        self._log_sender = LogSender(logs, self.held, self.pace, self._stopping)
        self._own_service = ends
        self._ends = {group: self._ends_of(group, ends) for group in self.groups} if ends is not None else {}
        self._pollers: list[threading.Thread] = []

    def _ends_of(self, group: str, service: Client) -> Ends:
        return Ends(
            service,
            group,
            self.tasks,
            self.place.hostname,
            self.pace.answer,
            tell_alone=lambda end: self._set_status(end.attempt_id, end.told),
            answered=self._has_answered,
        )

    def start(self) -> None:
        """Start the threads."""
        self._has_answered()
        for ends in self._ends.values():
            ends.start()
        for group in self.groups:
            for _ in range(self.tasks):
                self._pollers.append(threading.Thread(target=self._poll, args=(group,), daemon=True))
        targets = (self._report, self._log_sender.store_all, self._log_sender.send_all)
        others = (threading.Thread(target=target, daemon=True) for target in targets)
        for thread in (*self._pollers, *others):
            thread.start()

    def join(self, check: Callable[[], None] = lambda: None) -> None:
        """Wait until the runner and its tasks have ended; `refusal` says whether the service did not accept it.

        `check` is called now and then, and may raise what ends the waiting.
        """
        for thread in self._pollers:
            while thread.is_alive():
                check()
                thread.join(LONGEST_UNCHECKED)
        while not self.held.wait_for_none(LONGEST_UNCHECKED):  # resources, which have threads of their own
            check()
        self._stopping.set()
        self._close_reports()

    def stop(self, reason: str = STOPPED) -> None:
        """End all polls and all tasks; the tasks fail with the reason and are tried again."""
        self._stopping.set()
        for task in self.held.all():
            task.stop.set(reason)
        self.polls.close()
        for ends in self._ends.values():
            ends.stop()

    def kill(self) -> None:
        """End the commands of all tasks at once, by SIGKILL."""
        for task in self.held.all():
            task.stop.kill()

    def close(self) -> None:
        """Close the connections: nothing is reported any more."""
        self.polls.close()
        self._close_reports()

    def _close_reports(self) -> None:
        if self.place.guard is not None:
            self.place.guard.close()
        self.place.folders.close()
        for ends in self._ends.values():
            ends.close()
        if self._own_service is not None:
            self._own_service.close()
        self.client.close()
        self._log_sender.close()

    def _refuse(self, error: Exception) -> None:
        """Nothing more can be had from the service: end, with all tasks."""
        self.refusal = self.refusal or error
        self.stop(str(error))

    def _poll(self, group: str) -> None:
        pause = FIRST_PAUSE
        while not self._stopping.is_set():
            try:
                answer = self.polls.call("PollForTask", workerGroup=group, hostname=self.place.hostname)
                self._has_answered()
                pause = FIRST_PAUSE
                task = answer.get("taskObject")
                if task:
                    while task:
                        task = self._take(task, group) or self._next(group)
                elif group.startswith(RESOURCE_PREFIX) and self._must_end(group):
                    return
            except ConnectionFailed as error:
                self._is_silent(error)
                pause = self._wait(pause, error)
            except ServiceError as error:
                if error.code in REFUSED:
                    self._refuse(error)
                    return
                pause = self._wait(pause, error)

    def _next(self, group: str) -> Mapping[str, Any] | None:
        """A task that is there already."""
        ends = self._ends.get(group)
        return ends.next() if ends is not None else None

    def _has_answered(self) -> None:
        self._answered = time.monotonic()

    def _is_silent(self, error: ConnectionFailed) -> None:
        """The service did not answer; after `give_up` seconds an embedded runner ends."""
        silent = time.monotonic() - self._answered
        if self.pace.give_up is not None and silent > self.pace.give_up and not self._stopping.is_set():
            self._refuse(error)

    def _wait(self, pause: float, error: Exception) -> float:
        if not self._stopping.is_set():
            LOG.warning("%s Trying again in %.1f s.", error, pause)
        self._stopping.wait(pause)
        return min(pause * 2, LONGEST_PAUSE)

    def _must_end(self, group: str) -> bool:
        answer = self.client.call(
            "ReportTaskRunnerHeartbeat",
            _timeout=self.pace.answer,
            taskrunnerId=self.runner_id,
            workerGroup=group,
            hostname=self.place.hostname,
        )
        return bool(answer["terminate"])

    def _take(self, answer: Mapping[str, Any], group: str) -> Mapping[str, Any] | None:
        """Work on a task; gives the next one, if the service gave one with its end."""
        try:
            task = Task.read(answer, self.place)
        except NotBegun as error:  # the attempt has failed
            LOG.error("The task %s could not be begun: %s", answer["attemptId"], error)
            told = failure("TaskNotBegun", f"The task runner on {self.place.hostname} cannot begin: {error}")
            self._set_status(answer["attemptId"], {"taskId": answer["taskId"], **told})
            return None
        self._log_sender.begin(task)
        self.held.add(task)
        if task.is_resource(self.catalogue):
            threading.Thread(target=self._run, args=(task,), daemon=True).start()
            return None
        return self._run(task, group)

    def _run(self, task: Task, group: str | None = None) -> Mapping[str, Any] | None:
        """Run a task to its end, and have it told; gives the next one, if there is one."""
        began = time.monotonic()
        outcome: dict[str, str] | None = None
        try:
            outcome = self._outcome(task)
        finally:
            if outcome is None:
                self._is_over(task)
        if outcome is None:
            return None
        told, seconds = {"taskId": task.task_id, **outcome}, time.monotonic() - began
        end = End(task.attempt_id, told, seconds, lambda: self._is_over(task))
        ends = self._ends.get(group) if group is not None and not self._stopping.is_set() else None
        if ends is not None and ends.is_known:
            return ends.tell(end)
        self._set_status(end.attempt_id, end.told)
        self._is_over(task)
        return None

    def _outcome(self, task: Task) -> dict[str, str] | None:
        """How a task ends; None for one that was stopped by the service, which has ended it itself."""
        if self._stopping.is_set():
            task.stop.set(STOPPED)
        LOG.info("%s begins", task.attempt_id, extra=task.about)
        try:
            outcome = task.run(self.catalogue)
        except WorkStopped:
            if not self._stopping.is_set():
                reason = task.masking.text(task.stop.reason)
                LOG.info("%s was stopped: %s", task.attempt_id, reason, extra=task.about)
                self._log_sender.send_last(task)
                return None
            outcome = failure("TaskRunnerStopped", task.masking.text(task.stop.reason))
        except Exception as error:  # such as a full disk under the logs
            trace = task.masking.text("".join(traceback.format_exception(error)))
            LOG.error("%s failed outside its work\n%s", task.attempt_id, trace, extra=task.about)
            outcome = failure(type(error).__name__, task.masking.text(str(error)))
        self._log_sender.send_last(task)
        if task.fields:
            self._progress(task)
        told = f"{outcome['taskStatus']} {outcome.get('errorMessage', '')}".strip()
        LOG.info("%s ends: %s", task.attempt_id, told, extra=task.about)
        return outcome

    def _is_over(self, task: Task) -> None:
        """The end of a task is told, or need not be."""
        self._log_sender.send(task)  # what the service could not take while it was away
        self.held.remove(task)
        if task.upload is not None:
            task.upload.end()

    def _set_status(self, attempt_id: str, told: Mapping[str, str]) -> None:
        """Report an end; it is tried again while the service is away, since the work is done."""
        pause = FIRST_PAUSE
        while True:
            try:
                self.client.call("SetTaskStatus", _timeout=self.pace.answer, **told)
                self._has_answered()
                return
            except ServiceError as error:
                if error.status < 500 or self._stopping.is_set():
                    LOG.warning("The end of %s was not taken: %s", attempt_id, error)
                    return
                pause = self._wait(pause, error)
            except ConnectionFailed as error:
                self._is_silent(error)
                if self._stopping.is_set():
                    return
                pause = self._wait(pause, error)

    def _progress(self, task: Task) -> bool:
        """Report progress; False when the task must stop."""
        fields = [{"key": key, "stringValue": value} for key, value in list(task.fields.items())]
        try:
            answer = self.client.call(
                "ReportTaskProgress", _timeout=self.pace.answer, taskId=task.task_id, fields=fields
            )
            self._has_answered()
        except ServiceError as error:
            if error.status >= 500:
                LOG.warning("%s; %s goes on", task.masking.text(str(error)), task.attempt_id)
                return True
            task.stop.set(f"The service says: {error}")
            return False
        except ConnectionFailed as error:
            self._is_silent(error)
            if not self._stopping.is_set():
                LOG.warning("%s %s goes on.", error, task.attempt_id)
            return True
        if answer["canceled"]:
            task.stop.set("The service has canceled the attempt.")
        return not answer["canceled"]

    def _until_report(self) -> float:
        """Seconds until a task is to be reported on; new ones are looked for meanwhile."""
        now, pauses = time.monotonic(), [FIRST_REPORT, self.pace.report]
        for task in self.held.all():
            if task.reported_at is not None:
                pauses.append(task.reported_at + min(self.pace.report, task.report_within) - now)
        return max(0.0, min(pauses))

    def _report(self) -> None:
        """Report on every task at its pace, for the first time when it has worked for a moment: most are over then."""
        beat = time.monotonic()
        while not self._stopping.wait(self._until_report()):
            now = time.monotonic()
            for task in self.held.all():
                if task.reported_at is None or now - task.reported_at >= min(self.pace.report, task.report_within):
                    task.reported_at = now
                    self._progress(task)
            if now - beat >= self.pace.heartbeat:
                beat = now
                for group in self.groups:
                    with contextlib.suppress(ServiceError, ConnectionFailed):
                        self._must_end(group)
