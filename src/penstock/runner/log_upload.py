"""Sending the logs of a running attempt to the service, in parts, as they grow (WriteLog)."""

from __future__ import annotations

import contextlib
import threading

from penstock.data.file_names import task_mark
from penstock.data.log_files import CHUNK, NAMES
from penstock.runner.logs import AttemptLogs
from penstock.wire.client import Client

PATIENCE = 20.0  # seconds for an answer: a task's end waits for its logs


class LogUpload:
    """What one task writes to the logs of its attempt, on its way to the service.

    The files are those that were masked when they were written, so nothing is sent that has secrets in it. A service
    that shares the data directory sees the file `.task-…`, and wants nothing: `is_shared` once it has said so.
    """

    def __init__(self, logs: AttemptLogs, task_id: str, client: Client) -> None:
        self._logs = logs
        self._task_id = task_id
        self._client = client
        self._beginnings = {name: logs.size(name) for name in NAMES}  # an earlier task of the attempt wrote that
        self._sent = dict.fromkeys(NAMES, 0)
        self._sending = threading.Lock()
        self.is_shared = False
        self._mark = logs.folder / task_mark(task_id)

    def send(self) -> None:
        """Send what has come to the logs by now. Raises OSError, ServiceError and ConnectionFailed."""
        with self._sending:
            for name in list(self._sent):
                self._send(name)

    def _send(self, name: str) -> None:
        begin, sent = self._beginnings[name], self._sent[name]
        length = self._logs.size(name) - begin
        if sent >= length:
            return
        self._mark.touch()
        with (self._logs.folder / name).open("rb") as stream:
            for _ in range(length // CHUNK + 2):  # one more, where the service has lost what it had
                if sent >= length:
                    return
                stream.seek(begin + sent)
                content = stream.read(min(CHUNK, length - sent))
                answer = self._client.call(
                    "WriteLog", _timeout=PATIENCE, taskId=self._task_id, name=name, offset=sent, content=content
                )
                self.is_shared = answer["isThere"]
                if not answer["isMoreWanted"]:
                    del self._sent[name]
                    return
                sent = self._sent[name] = answer["size"]

    def end(self) -> None:
        """Send nothing any more."""
        with self._sending:
            self._sent.clear()
        with contextlib.suppress(OSError):
            self._mark.unlink()
