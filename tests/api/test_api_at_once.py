"""Two clients that put and activate the same pipeline at once: one of the two orders comes out, never a mixture."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from api_service import ON_DEMAND, Api, api_object, running, shell

pytestmark = pytest.mark.by_hand

NAMES = ("one", "two")
ROUNDS = {"sqlite": 15, "postgresql": 15}
PARAMETERS = [{"id": name, "attributes": []} for name in ("myFirst", "mySecond")]


@pytest.fixture(params=["sqlite", "postgresql"])
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Api]:
    """A service on either store."""
    store = request.getfixturevalue("postgresql_url") if request.param == "postgresql" else None
    with contextmanager(running)(tmp_path / "data", store=store) as api:
        yield api


def definition(name: str, group: str) -> dict[str, Any]:
    """A definition that says its name in two objects and two values."""
    objects = (
        ON_DEMAND | {"maxActiveInstances": "5", "myName": name},
        shell("A", group, command=f"echo {name} #{{myName}} #{{myFirst}} #{{mySecond}}"),
        shell("B", group, command=f"echo {name} #{{myName}} #{{myFirst}} #{{mySecond}}"),
    )
    return {
        "pipelineObjects": [api_object(obj) for obj in objects],
        "parameterObjects": PARAMETERS,
        "parameterValues": [{"id": parameter["id"], "stringValue": name} for parameter in PARAMETERS],
    }


def commands(api: Api, pipeline_id: str) -> dict[str, set[str]]:
    """The evaluated commands of each start time."""
    found: dict[str, set[str]] = {}
    ids = api.ids(pipeline_id)
    answer = api.boto.describe_objects(pipelineId=pipeline_id, objectIds=ids, evaluateExpressions=True)
    for obj in answer["pipelineObjects"]:
        command = next(f["stringValue"] for f in obj["fields"] if f["key"] == "command")
        found.setdefault(obj["id"].partition("_")[2], set()).add(command)
    return found


def without_metadata(answer: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in answer.items() if key != "ResponseMetadata"}


def test_two_clients_at_once_end_in_one_of_the_two_orders(service: Api, group: str, request: pytest.FixtureRequest):
    clients = {name: service.client(service.credentials) for name in NAMES}
    together = threading.Barrier(len(NAMES))

    def put_and_activate(name: str, pipeline_id: str) -> None:
        together.wait(10)
        answer = clients[name].put_pipeline_definition(pipelineId=pipeline_id, **definition(name, group))
        assert answer["errored"] is False
        clients[name].activate_pipeline(pipelineId=pipeline_id)

    with ThreadPoolExecutor(len(NAMES)) as threads:
        for _ in range(ROUNDS[request.node.callspec.params["service"]]):
            pipeline_id = service.create()
            for done in [threads.submit(put_and_activate, name, pipeline_id) for name in NAMES]:
                done.result(20)
            latest, active = (
                without_metadata(service.boto.get_pipeline_definition(pipelineId=pipeline_id, version=version))
                for version in ("latest", "active")
            )
            assert latest == active
            (winner,) = (name for name in NAMES if definition(name, group) == active)
            whole = {frozenset({f"echo {name} {name} {name} {name}"}) for name in NAMES}
            runs = commands(service, pipeline_id)
            assert {frozenset(said) for said in runs.values()} <= whole
            assert len(runs) == 2  # each activation made its own run
            assert runs[max(runs)] == {f"echo {winner} {winner} {winner} {winner}"}
            fields = service.pipeline_fields(pipeline_id)
            assert (fields["@pipelineState"], fields["@version"] in ("1", "2")) == ("SCHEDULED", True)
            service.boto.delete_pipeline(pipelineId=pipeline_id)
