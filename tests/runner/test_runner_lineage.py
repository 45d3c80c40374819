"""What attempts tell OpenLineage: events that follow its specification, at the right moments, and never in the way."""

from __future__ import annotations

import json
import logging
import re
import socket
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid5

import psycopg
import pytest

from penstock.clock import SystemClock
from penstock.data.local_folder import LocalFolder
from penstock.definition.slots import Catalogue
from penstock.objects import load_catalogue
from penstock.objects.work import WorkStopped
from penstock.runner.commands import clean_environment
from penstock.runner.event_sender import EventSender
from penstock.runner.open_lineage import RUNS
from penstock.runner.place import Place
from penstock.runner.task import Task
from penstock.settings import OpenLineageSettings, Settings, SettingsError, load_settings
from receivers import HttpReceiver, http_receiver

ATTEMPT = "@Copy_2025-01-01T00:00:00_Attempt=1"
SPEC = "https://openlineage.io/spec"
FACETS = {
    "dataSource": ("facets/1-0-1/DatasourceDatasetFacet", {"name": str, "uri": str}, set()),
    "errorMessage": (
        "facets/1-0-1/ErrorMessageRunFacet",
        {"message": str, "programmingLanguage": str, "stackTrace": str},
        {"message", "programmingLanguage"},
    ),
    "inputStatistics": (
        "facets/1-0-0/InputStatisticsInputDatasetFacet",
        {"rowCount": int, "size": int, "fileCount": int},
        set(),
    ),
    "jobType": (
        "facets/2-0-4/JobTypeJobFacet",
        {"processingType": str, "integration": str, "jobType": str},
        {"processingType", "integration"},
    ),
    "nominalTime": (
        "facets/1-0-1/NominalTimeRunFacet",
        {"nominalStartTime": str, "nominalEndTime": str},
        {"nominalStartTime"},
    ),
    "outputStatistics": (
        "facets/1-0-2/OutputStatisticsOutputDatasetFacet",
        {"rowCount": int, "size": int, "fileCount": int},
        set(),
    ),
    "parent": ("facets/1-2-0/ParentRunFacet", {"run": dict, "job": dict}, {"run", "job"}),
    "processing_engine": ("facets/1-1-1/ProcessingEngineRunFacet", {"version": str, "name": str}, {"version"}),
    "schema": ("facets/1-2-0/SchemaDatasetFacet", {"fields": list}, set()),
}
"""Each facet's schema, the members with their types, and those that it must have, as the specification has them."""


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue()


@pytest.fixture
def endpoint() -> Iterator[HttpReceiver]:
    with http_receiver() as receiver:
        yield receiver


Run = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def place(tmp_path: Path, endpoint: HttpReceiver) -> Iterator[Place]:
    settings = OpenLineageSettings(f"http://127.0.0.1:{endpoint.port}/", api_key="hush-hush", namespace="shop")
    sender = EventSender(settings)
    yield Place(
        "http://127.0.0.1:1",
        tmp_path,
        LocalFolder(tmp_path / "s3"),
        clean_environment(),
        SystemClock(),
        settings=Settings(openlineage=settings),
        hostname="here",
        events=sender,
    )
    sender.close()


@pytest.fixture
def run(place: Place, catalogue: Catalogue, endpoint: HttpReceiver) -> Run:
    """Runs an attempt and gives the events that came of it."""

    def run_attempt(own: dict[str, Any], *others: dict[str, Any]) -> list[dict[str, Any]]:
        run_attempt.task = task = task_of(place, own, *others)  # type: ignore[attr-defined]
        run_attempt.outcome = task.run(catalogue)  # type: ignore[attr-defined]
        return events(place, endpoint)

    return run_attempt


def events(place: Place, endpoint: HttpReceiver) -> list[dict[str, Any]]:
    """The events that have come by now, each of them checked."""
    assert place.events is not None
    place.events.close()
    found = [json.loads(received.body) for received in endpoint.received]
    for event in found:
        check_event(event)
    return found


def task_of(place: Place, own: dict[str, Any], *others: dict[str, Any]) -> Task:
    known = {
        "@componentParent": "Copy",
        "@instanceParent": "@Copy_2025-01-01T00:00:00",
        "@pipelineName": "sales",
        "@scheduledStartTime": "2025-01-01T00:00:00",
        "@scheduledEndTime": "2025-01-02T00:00:00",
    }
    objects = {ATTEMPT: known | own} | {other["id"]: other for other in others}
    answer = {identity: as_api(identity, fields) for identity, fields in objects.items()}
    return Task.read({"taskId": "t", "pipelineId": "df-1", "attemptId": ATTEMPT, "objects": answer}, place)


def as_api(identity: str, fields: dict[str, Any]) -> dict[str, Any]:
    entries = [
        {"key": key, "refValue": value["ref"]} if isinstance(value, dict) else {"key": key, "stringValue": value}
        for key, value in fields.items()
        if key != "id"
    ]
    return {"id": identity, "name": identity, "fields": entries}


def ref(identity: str) -> dict[str, str]:
    return {"ref": identity}


COPY = {"type": "CopyActivity", "input": ref("In"), "output": ref("T")}
IN = {"id": "In", "type": "S3DataNode", "filePath": "s3://b/d/in.csv"}
TABLE = {"id": "T", "type": "SqlDataNode", "table": "sales", "database": ref("B")}
DATABASE = {
    "id": "B",
    "type": "JdbcDatabase",
    "connectionString": "jdbc:sqlite:shop.db",
    "jdbcDriverClass": "org.sqlite.JDBC",
    "username": "u",
    "*password": "very-secret",
}


def load(place: Place) -> None:
    """A file of two rows, and a table for them."""
    with place.storage.create("s3://b/d/in.csv") as stream:
        stream.write(b"1,a\n2,b\n")
    (place.data_dir / "databases").mkdir()
    connection = sqlite3.connect(place.data_dir / "databases" / "shop.db")
    connection.execute("create table sales (id integer, name text)")
    connection.commit()
    connection.close()


def check_event(event: dict[str, Any]) -> None:
    """That an event is what https://openlineage.io/spec/2-0-2/OpenLineage.json asks for."""
    assert set(event) == {"eventType", "eventTime", "producer", "schemaURL", "run", "job", "inputs", "outputs"}
    assert event["eventType"] in ("START", "COMPLETE", "FAIL", "ABORT")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", event["eventTime"])
    assert event["schemaURL"] == f"{SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"
    assert UUID(event["run"]["runId"])
    assert event["job"]["namespace"] and event["job"]["name"]
    check_facets(event["run"]["facets"], {"errorMessage", "nominalTime", "parent", "processing_engine"})
    check_facets(event["job"]["facets"], {"jobType"})
    for dataset in event["inputs"]:
        assert set(dataset) <= {"namespace", "name", "facets", "inputFacets"}
        check_facets(dataset.get("inputFacets", {}), {"inputStatistics"})
    for dataset in event["outputs"]:
        assert set(dataset) <= {"namespace", "name", "facets", "outputFacets"}
        check_facets(dataset.get("outputFacets", {}), {"outputStatistics"})
    for dataset in (*event["inputs"], *event["outputs"]):
        assert dataset["namespace"] and dataset["name"]
        check_facets(dataset["facets"], {"dataSource", "schema"})
        for column in dataset["facets"].get("schema", {}).get("fields", ()):
            assert isinstance(column["name"], str)
            assert set(column) <= {"name", "type"}


def check_facets(facets: dict[str, Any], allowed: set[str]) -> None:
    assert set(facets) <= allowed
    for name, facet in facets.items():
        schema, members, required = FACETS[name]
        assert facet["_schemaURL"] == f"{SPEC}/{schema}.json#/$defs/{schema.rpartition('/')[2]}"
        assert re.match(r"[a-z]+:\S+$", facet["_producer"])
        given = {key: value for key, value in facet.items() if not key.startswith("_")}
        assert required <= set(given) <= set(members), name
        assert all(isinstance(value, members[key]) for key, value in given.items()), name


def test_a_copy_tells_what_it_is_to_move_and_what_it_has_moved(run: Run, place: Place) -> None:
    load(place)
    start, complete = run(COPY, IN, TABLE, DATABASE)
    assert [start["eventType"], complete["eventType"]] == ["START", "COMPLETE"]
    assert start["run"]["runId"] == complete["run"]["runId"] == str(uuid5(RUNS, f"df-1/{ATTEMPT}"))
    assert (start["job"]["namespace"], start["job"]["name"]) == ("shop", "sales.Copy")
    assert start["job"]["facets"]["jobType"]["jobType"] == "CopyActivity"
    database = f"sqlite:{place.data_dir}/databases/shop.db"
    for event in (start, complete):
        assert [(data["namespace"], data["name"]) for data in event["inputs"]] == [("s3://b", "d/in.csv")]
        assert [(data["namespace"], data["name"]) for data in event["outputs"]] == [(database, "sales")]
        assert event["outputs"][0]["facets"]["dataSource"]["uri"] == database
    assert "inputFacets" not in start["inputs"][0]
    moved = complete["outputs"][0]["outputFacets"]["outputStatistics"]
    assert (moved["rowCount"], moved["size"]) == (2, 8)


CREATE = "create table sales (id integer, name varchar(9))"
SCHEMA = [{"name": "id", "type": "INTEGER"}, {"name": "name", "type": "VARCHAR"}]


def postgresql_of(url: str) -> tuple[dict[str, Any], tuple[str, str]]:
    """The database as a definition has it, and what the table is called in OpenLineage."""
    parts = urlsplit(url)
    server = f"{parts.hostname}:{parts.port}"
    own = {"connectionString": f"jdbc:postgresql://{server}{parts.path}", "username": parts.username}
    return DATABASE | own | {"jdbcDriverClass": "org.postgresql.Driver"}, (
        f"postgres://{server}",
        f"{parts.path[1:]}.public.sales",
    )


def moved(event: dict[str, Any]) -> list[tuple[Any, ...]]:
    """The names, the columns, the rows and the bytes of what was read, and of what was written."""
    facets = event["inputs"][0]["inputFacets"] | event["outputs"][0]["outputFacets"]
    counted = (facets["inputStatistics"], facets["outputStatistics"])
    return [
        ((data["namespace"], data["name"]), data["facets"]["schema"]["fields"], facet["rowCount"], facet["size"])
        for data, facet in zip((event["inputs"][0], event["outputs"][0]), counted, strict=True)
    ]


def test_a_bulk_load_tells_columns_rows_and_bytes(run: Any, place: Place, postgresql_url: str) -> None:
    with place.storage.create("s3://b/d/in.csv") as stream:
        stream.write(b"1,a\n2,b\n")
    database, name = postgresql_of(postgresql_url)
    *_, complete = run(COPY, IN, TABLE | {"createTableSql": CREATE}, database)
    assert run.task.fields["way"] == "bulk"
    assert moved(complete) == [(("s3://b", "d/in.csv"), SCHEMA, 2, 8), (name, SCHEMA, 2, 8)]


def test_a_bulk_unload_tells_columns_rows_and_bytes(run: Any, postgresql_url: str) -> None:
    with psycopg.connect(postgresql_url) as connection:
        connection.execute(f"{CREATE}; insert into sales values (1, 'a'), (2, 'b')")
    database, name = postgresql_of(postgresql_url)
    back = COPY | {"input": ref("T"), "output": ref("In")}
    *_, complete = run(back, IN, TABLE | {"selectQuery": "select * from sales"}, database)
    assert run.task.fields["way"] == "bulk"
    assert moved(complete) == [(name, SCHEMA, 2, 8), (("s3://b", "d/in.csv"), SCHEMA, 2, 8)]


def test_an_event_says_when_it_was_due_and_what_it_belongs_to(run: Run) -> None:
    start, _ = run({"type": "ShellCommandActivity", "command": "true"})
    nominal = start["run"]["facets"]["nominalTime"]
    assert (nominal["nominalStartTime"], nominal["nominalEndTime"]) == ("2025-01-01T00:00:00Z", "2025-01-02T00:00:00Z")
    parent = start["run"]["facets"]["parent"]
    assert parent["job"] == {"namespace": "shop", "name": "sales"}
    assert parent["run"] == {"runId": str(uuid5(RUNS, "df-1/2025-01-01T00:00:00"))}


def test_other_activities_tell_the_data_of_their_definition(run: Run) -> None:
    out = {"id": "Out", "type": "S3DataNode", "directoryPath": "s3://c/e"}
    fields = {"type": "ShellCommandActivity", "command": "true", "input": ref("In"), "output": ref("Out")}
    _, complete = run(fields, IN, out)
    assert [(data["namespace"], data["name"]) for data in complete["inputs"]] == [("s3://b", "d/in.csv")]
    assert [(data["namespace"], data["name"]) for data in complete["outputs"]] == [("s3://c", "e")]


def test_a_failure_is_told_with_its_message_and_without_secrets(run: Run) -> None:
    out = {"id": "T", "type": "S3DataNode", "filePath": "s3://c/very-secret/out"}
    start, fail = run({**COPY, "*mine": "very-secret"}, {**IN, "filePath": "s3://b/very-secret"}, out)
    assert (start["eventType"], fail["eventType"]) == ("START", "FAIL")
    assert "s3://b/*****" in fail["run"]["facets"]["errorMessage"]["message"]
    assert "very-secret" not in json.dumps([start, fail])


def test_a_stopped_attempt_is_told_as_aborted(place: Place, catalogue: Catalogue, endpoint: HttpReceiver) -> None:
    load(place)
    task = task_of(place, COPY, IN, TABLE, DATABASE)
    task.stop.set("cancelled")
    with pytest.raises(WorkStopped):
        task.run(catalogue)
    assert [event["eventType"] for event in events(place, endpoint)] == ["START", "ABORT"]


def test_preconditions_are_not_told(run: Run) -> None:
    assert run({"type": "ShellCommandPrecondition", "command": "true"}) == []


def test_the_key_goes_with_each_event(run: Run, endpoint: HttpReceiver) -> None:
    run({"type": "ShellCommandActivity", "command": "true"})
    assert {received.path for received in endpoint.received} == {"/api/v1/lineage"}
    assert {received.headers["Authorization"] for received in endpoint.received} == {"Bearer hush-hush"}
    assert {received.headers["Content-Type"] for received in endpoint.received} == {"application/json"}


def test_the_attempt_reports_what_was_moved(run: Any, place: Place) -> None:
    load(place)
    run(COPY, IN, TABLE, DATABASE)
    fields = run.task.fields
    assert float(fields.pop("seconds")) >= 0
    assert fields.pop("target") == f"sqlite:{place.data_dir}/databases/shop.db#sales"
    assert {key: fields[key] for key in ("rows", "bytes", "source")} == {
        "rows": "2",
        "bytes": "8",
        "source": "s3://b/d/in.csv",
    }


@pytest.mark.parametrize("answer", [(500, "broken"), (404, "no such path"), (307, "elsewhere")])
def test_a_refusal_is_logged_once_and_the_work_is_done(
    run: Any, endpoint: HttpReceiver, caplog: pytest.LogCaptureFixture, answer: tuple[int, str]
) -> None:
    endpoint.answer(answer)
    run({"type": "ShellCommandActivity", "command": "true"})
    assert run.outcome == {"taskStatus": "FINISHED"}
    (record,) = [record for record in caplog.records if record.name == "penstock.runner.event_sender"]
    assert record.levelno == logging.ERROR
    message = record.getMessage()
    assert f"/api/v1/lineage does not take events: it answers {answer[0]}" in message
    assert answer[1] in message
    assert "hush" not in message


def test_it_is_logged_when_events_are_taken_again(
    run: Any, endpoint: HttpReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    endpoint.answer((500, ""), (200, ""))
    with caplog.at_level(logging.WARNING, "penstock"):
        run({"type": "ShellCommandActivity", "command": "true"})
    assert caplog.messages[-1].endswith("takes events again; 1 were lost.")


def test_an_endpoint_that_is_not_there_holds_nothing_up(
    place: Place, catalogue: Catalogue, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it takes connections, and never answers
        sender = EventSender(OpenLineageSettings(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.05))
        for number in range(3):
            sender.send({"number": number})
        sender.close(within=5)
    assert "timed out" in caplog.text
    assert len(caplog.messages) == 1


def test_a_process_that_ends_waits_for_its_last_events_only_so_long(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        sender = EventSender(OpenLineageSettings(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=60))
        sender.send({})
        sender.close(within=0.05)
    assert "does not take events" in caplog.text


def test_without_the_setting_nothing_is_told(tmp_path: Path) -> None:
    assert load_settings(None).openlineage is None


def test_the_settings_of_openlineage(tmp_path: Path) -> None:
    path = tmp_path / "penstock.toml"
    path.write_text('[openlineage]\nurl = "https://lineage.example.com/base"\napi_key = "k"\nnamespace = "shop"')
    made = load_settings(path).openlineage
    assert made == OpenLineageSettings("https://lineage.example.com/base", "k", "shop")
    assert EventSender(made).url == "https://lineage.example.com/base/api/v1/lineage"
    assert "k'" not in repr(made)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("", "'openlineage' lacks 'url'."),
        ("url = 'marquez:5000'", "'openlineage.url' is no URL; write http://HOST:PORT or https://HOST"),
        (
            "url = 'http://me:secret@host'",
            "'openlineage.url' is no URL; write http://HOST:PORT or https://HOST, and a key",
        ),
        ("url = ['http://host']", "'openlineage.url' must be a text."),
        ("url = 'http://host'\ntimeout = 0", "'openlineage.timeout' is 0; it must be at least 0.05 seconds."),
        ("url = 'http://host'\nkey = 'k'", "there is no setting 'openlineage.key'; known ones are api_key, endpoint,"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(tmp_path: Path, lines: str, message: str) -> None:
    path = tmp_path / "penstock.toml"
    path.write_text(f"[openlineage]\n{lines}")
    with pytest.raises(SettingsError) as error:
        load_settings(path)
    assert message in str(error.value)
    assert "secret" not in str(error.value)
