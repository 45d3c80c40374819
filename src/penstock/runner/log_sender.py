"""What sends the logs of a runner's tasks: to the service while they work, and under pipelineLogUri."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable

from penstock.runner.log_upload import LogUpload
from penstock.runner.pace import Pace
from penstock.runner.task import Held, Task
from penstock.wire.client import Client, ConnectionFailed
from penstock.wire.errors import ServiceError

LOG = logging.getLogger(__name__)
THROTTLED = ("ThrottlingException", "TooManyRequestsException")


class LogSender:
    """Sends the logs of the tasks that are held; what cannot be sent stays here, and never fails a task.

    `client` is one of our own operations; None where the service's data directory is ours.
    """

    def __init__(self, client: Client | None, held: Held, pace: Pace, stopping: threading.Event) -> None:
        self._client = client
        self._held = held
        self._pace = pace
        self._stopping = stopping
        self._is_wanted = client is not None
        self._is_shared = False  # whether the service works in the same data directory, which it tells

    def begin(self, task: Task) -> None:
        """Follow the logs of a task from here on."""
        if self._client is not None and self._is_wanted and not self._is_shared:
            with contextlib.suppress(OSError):  # its logs stay here
                task.upload = LogUpload(task.logs, task.task_id, self._client)

    def send(self, task: Task) -> None:
        """Send to the service what has come to the logs; a service that does not take logs gets none from then on."""
        if task.upload is None or not self._is_wanted:
            return
        try:
            task.upload.send()
            self._is_shared = self._is_shared or task.upload.is_shared
        except (ConnectionFailed, OSError):  # it is tried again, and reports tell the same of the connection
            pass
        except ServiceError as error:
            if error.code == "TaskNotFoundException":
                task.upload.end()
            elif error.status < 500 and error.code not in THROTTLED and self._is_wanted:
                self._is_wanted = False
                LOG.info("The service takes no logs, which stay here and under pipelineLogUri: %s", error)
        except Exception:  # the work counts, not its logs
            LOG.exception("The logs of %s cannot be sent to the service; they stay here", task.attempt_id)
            task.upload.end()

    def send_last(self, task: Task) -> None:
        """Keep and send all that there is of a task that has ended."""
        self._store(task, task.logs.end)
        self.send(task)
        self._store(task, task.logs.send)

    def _store(self, task: Task, store: Callable[[], None]) -> None:
        try:
            store()
        except Exception as error:  # the work counts, not its logs; they stay in the data directory
            if not task.logs.is_failing:
                told = task.masking.text(f"The logs of {task.attempt_id} stay in {task.logs.folder}: {error}")
                LOG.warning("%s", told)
            task.logs.is_failing = True

    def store_all(self) -> None:
        """Put what has come to the logs under pipelineLogUri; a long log must not hold up reports, nor its readers."""
        while not self._stopping.wait(self._pace.report):
            for task in self._held.all():
                self._store(task, task.logs.send_if_due)

    def send_all(self) -> None:
        """Keep what was noted of tasks that go on, and send what has come to their logs."""
        while not self._stopping.wait(self._pace.logs):
            for task in self._held.all():
                self._store(task, task.logs.keep)
                self.send(task)

    def close(self) -> None:
        """Close the connections: nothing is sent any more."""
        if self._client is not None:
            self._client.close()
