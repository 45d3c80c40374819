"""Metrics for Prometheus, on a port of their own: plain counters on the way of a request, all else when asked.

docs/operating.md lists every metric. Labels are bounded: operations are those of the models, and of worker groups the
MOST_GROUPS longest queues are told apart.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Mapping
from threading import Thread
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIServer

from penstock import __version__
from penstock.api.tls import ServerNotStarted
from penstock.clock import to_ms
from penstock.engine.measures import BOUNDS, Durations
from penstock.engine.plan import resource_of_group

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from penstock.api.application import Application

MOST_GROUPS = 50
RESOURCES, OTHERS, UNKNOWN = "(resources)", "(others)", "(unknown)"
ATTEMPT_STATUSES = ("RUNNING", "FINISHED", "FAILED", "TIMEDOUT", "CANCELED")


class Requests:
    """Requests by operation and status of the answer, counted by the one thread that serves them."""

    def __init__(self, known: Iterable[str]) -> None:
        self.durations: dict[tuple[str, int], Durations] = {}
        self._names = {name.encode(): name for name in known}

    def observe(self, headers: Iterable[tuple[bytes, bytes]], status: int, seconds: float) -> None:
        """Count a request; the header X-Amz-Target names its operation."""
        operation = UNKNOWN
        for name, value in headers:
            if name == b"x-amz-target":
                operation = self._names.get(value.rpartition(b".")[2], UNKNOWN)
                break
        found = self.durations.get((operation, status))
        if found is None:
            found = self.durations[operation, status] = Durations()
        found.add(seconds)


class Metrics:
    """What Prometheus asks for, collected from the application, its engine and the store."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self.requests = Requests(
            operation for model, _ in application.operations.values() for operation in model.operations
        )

    def collect(self) -> Iterator[Metric]:
        """All metrics, as the library wants them; one read of the store."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        engine = self.application.engine
        measures = engine.measures
        build = GaugeMetricFamily(
            "penstock_build_info", "Always 1; the labels say what runs.", labels=["version", "python", "store"]
        )
        build.add_metric([__version__, platform.python_version(), engine.store.dialect], 1)
        yield build
        latency = HistogramMetricFamily(
            "penstock_request_duration_seconds",
            "Requests by operation and status of the answer; PollForTask waits for a task.",
            labels=["operation", "status"],
        )
        for (operation, status), durations in sorted(self.requests.durations.items()):
            _add(latency, [operation, str(status)], durations)
        yield latency
        polls = sum(self.application.waiters.counts().values())
        yield GaugeMetricFamily("penstock_long_polls_waiting", "Long polls that wait for a task.", value=polls)
        moves = CounterMetricFamily(
            "penstock_attempts",
            "Attempts that this server moved to a status; RUNNING: tasks handed out.",
            labels=["status"],
        )
        for moved_to in ATTEMPT_STATUSES:
            moves.add_metric([moved_to], measures.attempts[moved_to])
        yield moves
        turns = HistogramMetricFamily("penstock_engine_turn_duration_seconds", "Transactions of the engine.", labels=[])
        _add(turns, [], measures.turns)
        yield turns
        yield GaugeMetricFamily(
            "penstock_engine_lag_seconds", "How late the engine's loop did what was due last.", value=measures.lag
        )
        yield from self._of_the_store()

    def _of_the_store(self) -> Iterator[Metric]:
        from prometheus_client.core import GaugeMetricFamily

        engine = self.application.engine
        now = to_ms(engine.clock.now())
        with engine.store.snapshot() as tx:
            queues = tx.all("queues", owner=engine.owner, now=now)
            active = {row["status"]: row["n"] for row in tx.all("unended_by_status", owner=engine.owner)}
        depth = GaugeMetricFamily(
            "penstock_queue_depth", "Attempts that task runners could take now.", labels=["worker_group"]
        )
        age = GaugeMetricFamily(
            "penstock_queue_oldest_seconds", "How long the oldest of them has waited.", labels=["worker_group"]
        )
        for group, (count, since) in _bounded(queues).items():
            depth.add_metric([group], count)
            age.add_metric([group], (now - since) / 1000)
        yield depth
        yield age
        attempts = GaugeMetricFamily(
            "penstock_attempts_active", "Attempts that are not over, of all servers of the store.", labels=["status"]
        )
        for status in ("WAITING_FOR_RUNNER", "RUNNING"):
            attempts.add_metric([status], active.get(status, 0))
        yield attempts
        yield GaugeMetricFamily("penstock_store_bytes", "The size of the store.", value=engine.store.size())


def _add(family: Any, labels: list[str], durations: Durations) -> None:
    total, buckets = 0, []
    for bound, count in zip((*map(str, BOUNDS), "+Inf"), list(durations.counts), strict=True):
        total += count
        buckets.append((bound, total))
    family.add_metric(labels, buckets, durations.total)


def _bounded(rows: Iterable[Mapping[str, Any]]) -> dict[str, tuple[int, int]]:
    """Queues by worker group: those of resources as one, and beyond MOST_GROUPS all others as one."""
    found: dict[str, tuple[int, int]] = {}
    for row in rows:  # the longest first
        group = RESOURCES if resource_of_group(row["worker_group"]) else row["worker_group"]
        if group not in found and len(found) >= MOST_GROUPS:
            group = OTHERS
        count, since = found.get(group, (0, row["since"]))
        found[group] = (count + row["n"], min(since, row["since"]))
    return found


class MetricsServer:
    """Serves /metrics from when it is made until `stop`. Raises ServerNotStarted."""

    def __init__(self, application: Application, host: str, port: int) -> None:
        from prometheus_client import CollectorRegistry, start_http_server

        metrics = Metrics(application)
        registry = CollectorRegistry(auto_describe=False)
        registry.register(metrics)
        self._server: WSGIServer
        self._thread: Thread
        try:
            self._server, self._thread = start_http_server(port, host, registry)
        except OSError as error:
            raise ServerNotStarted(
                f"The port {port} on {host} cannot be used for metrics: {error.strerror}."
                " Give another with --metrics-port; 0 takes a free one."
            ) from error
        application.requests = metrics.requests
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{self._server.server_port}/metrics"

    def stop(self) -> None:
        """End."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
