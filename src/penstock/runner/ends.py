"""The ends of tasks on their way to the service, and the next tasks on theirs back."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from penstock.wire.client import Client, ConnectionFailed
from penstock.wire.errors import ServiceError

LOG = logging.getLogger(__name__)
NOT_KNOWN = ("UnknownOperationException", "AccessDeniedException", "InvalidSignatureException")  # what AWS may say
MOST = 25  # ends of one request, and next tasks that it asks for; the service takes no more
AHEAD_SECONDS = 0.05  # of work that waits for the threads; half of it is more than a request takes
GATHERED_SECONDS = 0.025  # that ends wait for others at most, while there are tasks enough
LONGEST_AHEAD = 0.25  # seconds that a task waits for a thread before another task runner may have it
LATEST = 0.2  # how much of the average the last task is


@dataclass(eq=False)
class End:
    """The end of a task: what is told, and how long the task took.

    `is_over` is called when the service has it, or nothing more can be done about it.
    """

    attempt_id: str
    told: Mapping[str, str]
    seconds: float
    is_over: Callable[[], None]
    woken: threading.Event = field(default_factory=threading.Event)
    following: Mapping[str, Any] | None = None


class Ends:
    """Tells the ends of a worker group's tasks by EndTasks of our own service, and has the next ones with the answer.

    A thread of its own sends them: while a request is away, what ends meanwhile goes with the next one. Where tasks are
    short it asks for some more than there are threads, so that none waits for a request, and sends the next one when
    half of them have begun; they are given back if the threads are held up.

    `tell_alone` tells an end by SetTaskStatus, for as long as it takes: for those that the service did not take, and
    once it does not know EndTasks, which `is_known` tells. `answered` is called at each answer.
    """

    def __init__(
        self,
        client: Client,
        group: str,
        threads: int,
        hostname: str,
        answer_within: float,
        *,
        tell_alone: Callable[[End], None],
        answered: Callable[[], None],
    ) -> None:
        self.is_known = True
        self._client = client
        self._group = group
        self._threads = threads
        self._hostname = hostname
        self._answer_within = answer_within
        self._tell_alone = tell_alone
        self._answered = answered
        self._changed = threading.Condition()
        self._waiting: deque[End] = deque()  # to be sent
        self._since = 0.0  # when the first of them came
        self._idle: deque[End] = deque()  # whose threads have no other task
        self._ahead: deque[tuple[float, Mapping[str, Any]]] = deque()  # the next tasks, and when they came
        self._average: float | None = None  # seconds of a task
        self._is_stopping = False
        self._sender = threading.Thread(target=self._send_all, name=f"ends of {group}", daemon=True)
        self._is_closed = False

    def start(self) -> None:
        """Start the thread."""
        self._sender.start()

    def tell(self, end: End) -> Mapping[str, Any] | None:
        """Have an end told, and give the next task: one that is there, or one that comes with the answer, if any."""
        with self._changed:
            average = self._average
            self._average = end.seconds if average is None else average + LATEST * (end.seconds - average)
            if not self._waiting:
                self._since = time.monotonic()
            self._waiting.append(end)
            if self._ahead and not self._is_stopping:
                _, end.following = self._ahead.popleft()
            else:
                self._idle.append(end)
            self._changed.notify()
        if end.following is None:
            end.woken.wait()
        return end.following

    def next(self) -> Mapping[str, Any] | None:
        """A task that is there already."""
        with self._changed:
            return self._ahead.popleft()[1] if self._ahead and not self._is_stopping else None

    def stop(self) -> None:
        """Give back what nobody has begun, and ask for no more."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify()

    def close(self) -> None:
        """End the thread, when all that it was given is told."""
        with self._changed:
            self._is_stopping = self._is_closed = True
            self._changed.notify()
        if self._sender.is_alive():
            self._sender.join(self._answer_within)

    def _send_all(self) -> None:
        while True:
            with self._changed:
                while (seconds := self._to_wait()) != 0:
                    self._changed.wait(seconds)
                sent = [self._waiting.popleft() for _ in range(min(MOST, len(self._waiting)))]
                unused: Sequence[tuple[float, Mapping[str, Any]]] = ()
                if self._ahead and (self._is_stopping or self._held_up_in() == 0):
                    unused, self._ahead = self._ahead, deque()
                more = 0 if unused else max(0, self._most_ahead() - len(self._ahead))
                wanted = 0 if self._is_stopping else min(MOST, len(self._idle) + more)
            if not sent and not unused:
                return
            self._ask(sent, [task["taskId"] for _, task in unused], wanted)

    def _to_wait(self) -> float | None:
        """Seconds until something is to be sent; None where that is not known."""
        if self._is_stopping and (self._ahead or self._waiting or self._is_closed):
            return 0
        times = [self._held_up_in()] if self._ahead else []
        if self._waiting:
            is_enough = not self._idle and 2 * len(self._ahead) > self._most_ahead()
            times.append(max(0.0, self._since + GATHERED_SECONDS - time.monotonic()) if is_enough else 0)
        return min(times, default=None)

    def _held_up_in(self) -> float:
        """Seconds until the tasks that are ahead have waited for a thread for too long."""
        return max(0.0, self._ahead[0][0] + LONGEST_AHEAD - time.monotonic())

    def _most_ahead(self) -> int:
        """How many tasks are to be there besides those of the threads that wait for one."""
        return 0 if self._average is None else int(self._threads * AHEAD_SECONDS / max(self._average, 0.001))

    def _ask(self, sent: Sequence[End], unused: Sequence[str], wanted: int) -> None:
        """Send ends and what is given back, and let the threads that wait go on with what comes."""
        answer: Mapping[str, Any] = {}
        refused = {end.told["taskId"] for end in sent}
        try:
            if self.is_known:
                answer = self._client.call(
                    "EndTasks",
                    _timeout=self._answer_within,
                    ends=[end.told for end in sent],
                    returned=list(unused),
                    workerGroup=self._group,
                    hostname=self._hostname,
                    taskCount=wanted,
                )
                refused = {refusal["taskId"] for refusal in answer["refused"]}
                self._answered()
        except ServiceError as error:
            if error.code in NOT_KNOWN:
                self.is_known = False
        except ConnectionFailed:
            pass
        except Exception:  # the ends must be told whatever is wrong
            LOG.exception("The ends of tasks could not be told together; each is told alone")
        self._give(sent, refused, answer.get("taskObjects", ()))

    def _give(self, sent: Sequence[End], refused: set[str], tasks: Sequence[Mapping[str, Any]]) -> None:
        now, following = time.monotonic(), deque(tasks)
        with self._changed:
            while following and self._idle:
                end = self._idle.popleft()
                end.following = following.popleft()
                end.woken.set()
            self._ahead.extend((now, task) for task in following)
        for end in sent:
            try:
                if end.told["taskId"] in refused:
                    self._tell_alone(end)
            except Exception:  # the ends of others come after it
                LOG.exception("The end of %s could not be told", end.attempt_id)
            end.is_over()
        with self._changed:
            for end in [end for end in sent if end in self._idle]:
                self._idle.remove(end)
                end.woken.set()
