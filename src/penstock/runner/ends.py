"""The ends of tasks on their way to the service, and the next tasks on theirs back."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from penstock.wire.client import Client
from penstock.wire.errors import ServiceError

MOST = 25  # ends of one request; the service takes no more
MOST_AWAY = 2  # requests for a worker group: one is on its way while the other is worked on


@dataclass
class _End:
    """One end: what is told, and what comes of it. Its thread is woken with the answer, or to send what waits."""

    told: Mapping[str, str]
    woken: threading.Event = field(default_factory=threading.Event)
    must_send: bool = False
    is_answered: bool = False
    following: Mapping[str, Any] | None = None
    error: Exception | None = None


class Ends:
    """Tells ends by EndTasks of our own service: while requests are away, what ends meanwhile goes with the next one.

    The thread of a task that has ended sends the request itself, for the others that wait as well.
    """

    def __init__(self, client: Client, hostname: str, answer_within: float) -> None:
        self._client = client
        self._hostname = hostname
        self._answer_within = answer_within
        self._lock = threading.Lock()
        self._waiting: defaultdict[str, list[_End]] = defaultdict(list)  # by worker group
        self._away: Counter[str] = Counter()  # requests, or threads that are about to send one

    def tell(self, group: str, told: Mapping[str, str]) -> Mapping[str, Any] | None:
        """Tell an end, and have the next task if one waits. Raises what the service or the connection says."""
        own = _End(told)
        with self._lock:
            self._waiting[group].append(own)
            own.must_send = self._away[group] < MOST_AWAY
            self._away[group] += own.must_send
        while not own.is_answered:
            if own.must_send:
                own.must_send = False
                self._send(group)
            else:
                own.woken.wait()
                own.woken.clear()
        if own.must_send:  # it was to send what another thread has sent
            self._send(group)
        if own.error is not None:
            raise own.error
        return own.following

    def _send(self, group: str) -> None:
        """Send what waits, which another thread may have done meanwhile, and leave the next request to somebody."""
        with self._lock:
            sent, self._waiting[group] = self._waiting[group][:MOST], self._waiting[group][MOST:]
        if sent:
            self._ask(group, sent)
        with self._lock:
            others = self._waiting[group]
            if others and not others[0].must_send:
                others[0].must_send = True
                others[0].woken.set()
            else:
                self._away[group] -= 1
        for end in sent:
            end.is_answered = True
            end.woken.set()

    def _ask(self, group: str, sent: Sequence[_End]) -> None:
        ends = [end.told for end in sent]
        try:
            answer = self._client.call(
                "EndTasks", _timeout=self._answer_within, ends=ends, workerGroup=group, hostname=self._hostname
            )
        except Exception as error:  # it is for all of them to say what they do about it
            for end in sent:
                end.error = error
            return
        refused = {refusal["taskId"]: refusal for refusal in answer.get("refused", ())}
        following = iter(answer["taskObjects"])
        for end in sent:
            refusal = refused.get(end.told["taskId"])
            if refusal is not None:
                end.error = ServiceError(refusal["errorCode"], refusal["message"])
            else:
                end.following = next(following, None)

    def close(self) -> None:
        """End the connections."""
        self._client.close()
