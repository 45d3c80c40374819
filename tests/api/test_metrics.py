"""Metrics for Prometheus, on a port of their own."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from api_service import ON_DEMAND, Api, shell, until
from prometheus_client.parser import text_string_to_metric_families

from penstock.api.metrics import MOST_GROUPS, OTHERS, RESOURCES, Requests, _bounded
from penstock.cli.composition import ServiceNotStarted, ServiceOptions
from penstock.service import EmbeddedService


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    folder = tmp_path_factory.mktemp("metrics")
    api = Api(EmbeddedService(ServiceOptions(folder / "data", has_runner=False, metrics_port=0)))
    yield api
    api.own.close()
    api.service.stop()


def scrape(api: Api) -> dict[str, float]:
    """Every sample, by its name and labels as Prometheus writes them."""
    url = api.service.metrics_url
    assert url is not None
    with urllib.request.urlopen(url, timeout=10) as answer:
        text = answer.read().decode()
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def test_requests_are_counted_by_operation_and_status(measured: Api) -> None:
    count = 'penstock_request_duration_seconds_count{{operation="{}",status="{}"}}'
    before = scrape(measured)
    measured.boto.list_pipelines()
    measured.raw("DataPipeline.DescribePipelines", b'{"pipelineIds": ["df-NONE"]}')
    measured.raw("DataPipeline.NoSuchThing", b"{}")
    asked = [("ListPipelines", 200), ("DescribePipelines", 400), ("(unknown)", 400)]
    expected = {(name := count.format(*one)): before.get(name, 0) + 1 for one in asked}
    until(lambda: expected.items() <= scrape(measured).items())  # one is counted when its answer has left
    after = scrape(measured)
    assert after['penstock_request_duration_seconds_bucket{le="+Inf",operation="ListPipelines",status="200"}'] >= 1


def test_tasks_queues_and_polls_are_measured(measured: Api, group: str) -> None:
    depth, age = (f'penstock_{name}{{worker_group="{group}"}}' for name in ("queue_depth", "queue_oldest_seconds"))
    measured.activated(ON_DEMAND, shell("A", group), shell("B", group))
    before = scrape(measured)
    assert before[depth] == 2
    assert 0 <= before[age] < 60
    task = measured.poll(group)
    measured.boto.set_task_status(taskId=task["taskId"], taskStatus="FINISHED")
    task = measured.poll(group)
    measured.boto.set_task_status(taskId=task["taskId"], taskStatus="FAILED", errorMessage="no")
    after = scrape(measured)
    assert depth not in after

    def grew(status: str) -> float:
        name = f'penstock_attempts_total{{status="{status}"}}'
        return after[name] - before[name]

    assert (grew("RUNNING"), grew("FINISHED"), grew("FAILED")) == (2, 1, 1)
    assert after["penstock_engine_turn_duration_seconds_count"] > before["penstock_engine_turn_duration_seconds_count"]
    assert after["penstock_store_bytes"] > 10_000
    assert after['penstock_attempts_active{status="RUNNING"}'] == 0
    assert after["penstock_long_polls_waiting"] == 0
    assert any(name.startswith("penstock_build_info{") and 'store="sqlite"' in name for name in after)


def test_without_the_option_there_are_none_and_the_apis_port_has_none(measured: Api, api: Api) -> None:
    assert api.service.metrics_url is None
    for service in (api, measured):
        assert service.send("GET", "/metrics", b"", {})[0] in (400, 403)


def test_a_port_that_is_taken_is_named(measured: Api, tmp_path: Path) -> None:
    assert measured.service.metrics_url is not None
    port = int(measured.service.metrics_url.split(":")[2].split("/")[0])
    with pytest.raises(ServiceNotStarted, match=rf"port {port} on 127.0.0.1 cannot be used for metrics.*--metrics"):
        EmbeddedService(ServiceOptions(tmp_path / "data", metrics_port=port))


def test_labels_of_worker_groups_are_bounded() -> None:
    rows = [{"worker_group": f"g{number}", "n": 1000 - number, "since": number} for number in range(200)]
    rows += [{"worker_group": f"resource:df-1_@M_{number}", "n": 1, "since": 5} for number in range(10)]
    found = _bounded(rows)
    assert len(found) <= MOST_GROUPS + 2
    assert sum(count for count, _ in found.values()) == sum(row["n"] for row in rows)
    assert found[OTHERS][1] == 5
    assert _bounded(rows[-10:]) == {RESOURCES: (10, 5)}


def test_an_observation_costs_less_than_5_microseconds() -> None:
    requests = Requests(["PollForTask", "SetTaskStatus"])
    headers = [(f"header-{number}".encode(), b"value") for number in range(6)]
    headers.append((b"x-amz-target", b"DataPipeline.SetTaskStatus"))
    best = 1.0
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(2000):
            requests.observe(headers, 200, 0.004)
        best = min(best, (time.perf_counter() - began) / 2000)
    assert best < 5e-6
    assert requests.durations["SetTaskStatus", 200].counts[2] == 10_000
