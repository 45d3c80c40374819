"""The ends of tasks on their way to the service, and the next tasks on theirs back."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from penstock.wire.client import Client
from penstock.wire.errors import ServiceError

MOST = 25  # ends of one request; the service takes no more


@dataclass
class _End:
    """One end: what is told, and what comes of it."""

    told: Mapping[str, str]
    woken: threading.Event = field(default_factory=threading.Event)
    is_answered: bool = False
    following: Mapping[str, Any] | None = None
    error: Exception | None = None


class Ends:
    """Tells ends by EndTasks of our own service: while a request is away, what ends meanwhile goes with the next one.

    The thread of a task that has ended sends the request itself, for the others that wait as well.
    """

    def __init__(self, client: Client, hostname: str, answer_within: float) -> None:
        self._client = client
        self._hostname = hostname
        self._answer_within = answer_within
        self._lock = threading.Lock()
        self._waiting: dict[str, list[_End]] = {}  # by worker group; there is a list while a request is away

    def tell(self, group: str, told: Mapping[str, str]) -> Mapping[str, Any] | None:
        """Tell an end, and have the next task if one waits. Raises what the service or the connection says."""
        own = _End(told)
        with self._lock:
            is_away = group in self._waiting
            self._waiting.setdefault(group, []).append(own)
        if is_away:
            own.woken.wait()
        if not own.is_answered:
            self._send(group)
        if own.error is not None:
            raise own.error
        return own.following

    def _send(self, group: str) -> None:
        with self._lock:
            sent, self._waiting[group] = self._waiting[group][:MOST], self._waiting[group][MOST:]
        try:
            ends = [end.told for end in sent]
            answer = self._client.call(
                "EndTasks", _timeout=self._answer_within, ends=ends, workerGroup=group, hostname=self._hostname
            )
            for end, task in zip(sent, answer["taskObjects"], strict=False):
                end.following = task
            refused = {refusal["taskId"]: refusal for refusal in answer.get("refused", ())}
            for end in sent:
                if refusal := refused.get(end.told["taskId"]):
                    end.error = ServiceError(refusal["errorCode"], refusal["message"])
        except Exception as error:  # it is for all of them to say what they do about it
            for end in sent:
                end.error = error
        with self._lock:
            others = self._waiting[group]
            if not others:
                del self._waiting[group]
        if others:
            others[0].woken.set()  # it sends the next request
        for end in sent:
            end.is_answered = True
            end.woken.set()

    def close(self) -> None:
        """End the connections."""
        self._client.close()
