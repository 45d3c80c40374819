"""Whatever is sent, the service answers as the protocol wants, soon, and goes on; in a process of its own.

`PENSTOCK_FUZZ=2000 python -m pytest tests/api/test_api_fuzz.py` sends that many requests for each operation, on
PostgreSQL with `PENSTOCK_FUZZ_STORE=postgresql`.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fuzz_requests import ENCODINGS, EXPRESSIONS, Name, definitions, near, spoiled, written
from fuzz_server import SLOTS, FuzzServer
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from penstock.api.operations import operations

COUNT = int(os.environ.get("PENSTOCK_FUZZ", "6"))
STORE = os.environ.get("PENSTOCK_FUZZ_STORE", "")
IS_LONG = COUNT > 100
MOST_GROWN = 24 * 1024  # KiB
CHECKS = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
FUZZ = settings(
    max_examples=COUNT,
    deadline=None,
    database=None,
    derandomize=not IS_LONG,
    phases=[Phase.generate],
    suppress_health_check=CHECKS,
)
MODELS = operations()
CALLS = sorted(f"{prefix}.{name}" for prefix, (_, functions) in MODELS.items() for name in functions)
PIPELINES = [Name(slot) for slot in SLOTS]
OBJECTS = [Name("instance"), Name("attempt"), "A", "In", "Default"]
KNOWN: dict[str, list[Any]] = {
    "pipelineId": PIPELINES,
    "pipelineIds": PIPELINES,
    "objectId": OBJECTS,
    "objectIds": OBJECTS,
    "instanceId": OBJECTS,
    "attemptId": [Name("attempt")],
    "sphere": ["COMPONENT", "INSTANCE", "ATTEMPT"],
    "status": ["PAUSE", "RESUME", "TRY_CANCEL", "RERUN", "MARK_FINISHED"],
    "taskId": [Name("task")],
    "workerGroup": [Name("group"), "g"],
    "accessKeyId": [Name("key")],
    "fieldName": ["@status", "input", "name", "@scheduledStartTime", "*myToken"],
    "key": ["type", "command", "parent", "schedule", "*password", "dependsOn"],
    "refValue": ["A", "Default", "In"],
    "expression": EXPRESSIONS * 2,
}


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FuzzServer]:
    options = ("--store", _new_database(request.getfixturevalue("postgresql"))) if STORE == "postgresql" else ()
    made = FuzzServer(tmp_path_factory.mktemp("fuzz"), *options)
    started = time.monotonic()
    try:
        yield made
        if IS_LONG:
            made.report(lambda line: print(line, file=sys.__stdout__, flush=True))
            print(f"{time.monotonic() - started:.0f} s", file=sys.__stdout__, flush=True)
    finally:
        made.stop()


def _new_database(url: str) -> str:
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS fuzz WITH (FORCE)")
        connection.execute("CREATE DATABASE fuzz")
    return f"{url.rpartition('/')[0]}/fuzz"


def tree(target: str) -> st.SearchStrategy[Any]:
    """Bodies of an operation."""
    prefix, _, operation = target.partition(".")
    model = MODELS[prefix][0]
    shape = model.operations[operation].input
    assert shape is not None
    return spoiled(near(model, shape, KNOWN))


@pytest.mark.filterwarnings("ignore:Generating overly large repr")
@pytest.mark.timeout(0 if IS_LONG else 60)
@pytest.mark.parametrize("target", CALLS)
def test_no_request_for_an_operation_breaks_the_service(server: FuzzServer, target: str) -> None:
    bodies, sent = tree(target), 0

    @FUZZ
    @given(body=bodies, encoded=st.sampled_from(ENCODINGS))
    def requests(body: Any, encoded: Any) -> None:
        nonlocal sent
        sent += 1
        code, _ = server.send(target, encoded(written(body, server.names)), MODELS[target.partition(".")[0]][0])
        if (code == "200" and target.endswith(".DeletePipeline")) or sent % 250 == 0:
            server.heal()

    requests()
    server.heal()
    server.well()


@pytest.mark.timeout(0 if IS_LONG else 60)
@FUZZ
@given(steps=st.lists(st.sampled_from(CALLS).flatmap(lambda t: st.tuples(st.just(t), tree(t))), min_size=2, max_size=8))
def test_no_sequence_of_operations_breaks_the_service(server: FuzzServer, steps: list[tuple[str, Any]]) -> None:
    for target, body in steps:
        text = written(body, server.names)
        server.send(target, text.encode("utf-8", "surrogatepass"), MODELS[target.partition(".")[0]][0])
    server.heal()


@pytest.mark.timeout(0 if IS_LONG else 60)
@FUZZ
@given(
    made=definitions(),
    expression=st.sampled_from(EXPRESSIONS),
    verb=st.sampled_from(["RERUN", "TRY_CANCEL", "MARK_FINISHED"]),
    start=st.sampled_from([None, None, 0, -62135596800, 253402300799, 1.79e9]),
)
def test_no_definition_breaks_what_reads_it(
    server: FuzzServer, made: dict[str, Any], expression: str, verb: str, start: float | None
) -> None:
    pipeline_id = server.call("CreatePipeline", name="any", uniqueId=str(time.monotonic_ns()))["pipelineId"]

    def send(target: str, **members: Any) -> Any:
        members = members if "taskId" in members else {"pipelineId": pipeline_id, **members}
        body = written(members, server.names).encode("utf-8", "surrogatepass")
        return server.send(target, body, MODELS[target.partition(".")[0]][0])[1]

    send("DataPipeline.PutPipelineDefinition", **made)
    ids = [obj["id"] for obj in made["pipelineObjects"]]
    for _ in range(2):
        send("Penstock.PreviewIntervals", parameterValues=made["parameterValues"][:2])
        send("DataPipeline.DescribeObjects", objectIds=ids, evaluateExpressions=True)
        send("DataPipeline.EvaluateExpression", objectId=ids[0], expression=expression)
        send("DataPipeline.ActivatePipeline", **({} if start is None else {"startTimestamp": start}))
        server.send("DataPipeline.DescribePipelines", written({"pipelineIds": [pipeline_id]}, {}).encode())
        found = send("DataPipeline.QueryObjects", sphere="INSTANCE").get("ids", [])[:5]
        send("DataPipeline.DescribeObjects", objectIds=found, evaluateExpressions=True)
        for identity in found[:2]:
            send("DataPipeline.EvaluateExpression", objectId=identity, expression=expression)
            send("Penstock.ExplainWaiting", objectId=identity)
        task = server.call("PollForTask", workerGroup="group").get("taskObject")
        if task:
            send("DataPipeline.ReportTaskProgress", taskId=task["taskId"])
            send("DataPipeline.SetTaskStatus", taskId=task["taskId"], taskStatus="FAILED", errorMessage="x")
        send("DataPipeline.SetStatus", objectIds=found[:1], status=verb)
        send("DataPipeline.DeactivatePipeline")
    send("DataPipeline.GetPipelineDefinition")
    send("DataPipeline.DeletePipeline")


def test_the_server_is_well_after_all_that_and_has_not_grown(server: FuzzServer) -> None:
    server.well()
    if IS_LONG:
        total = sum(server.seen.values())
        warm = next(rss for count, rss in server.memory if count >= total * 0.2)
        assert server.resident() - warm < MOST_GROWN, server.memory[:: len(server.memory) // 20]


def test_the_log_is_where_it_was_looked_for(server: FuzzServer) -> None:
    assert Path(server.log).read_text(encoding="utf-8").startswith("Penstock serves http://127.0.0.1:")
