"""Passwords and keys never appear in what a failed copy says: its message, its logs, its fields, its lineage."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock.clock import SystemClock
from penstock.data.local_folder import LocalFolder
from penstock.objects import load_catalogue
from penstock.runner.commands import clean_environment
from penstock.runner.event_sender import EventSender
from penstock.runner.place import Place
from penstock.runner.task import Task
from penstock.settings import DatabaseSetting, OpenLineageSettings, Settings
from receivers import HttpReceiver, http_receiver

ATTEMPT = "@Copy_2025-01-01T00:00:00_Attempt=1"
SECRET = "hush"
COPY = {"type": "CopyActivity", "input": {"ref": "In"}, "output": {"ref": "Out"}}
IN = {"id": "In", "type": "S3DataNode", "filePath": "s3://b/in.csv"}
OUT = {"id": "Out", "type": "SqlDataNode", "table": "t", "database": {"ref": "B"}}
DATABASE = {"id": "B", "type": "JdbcDatabase", "jdbcDriverClass": "x", "username": "me", "*password": "hush-field"}
POSTGRESQL = "jdbc:postgresql://me:hush-user@127.0.0.1:1/x?password=hush-query&sslpassword=hush-ssl"


def table(connection_string: str) -> list[dict[str, Any]]:
    return [IN, OUT, DATABASE | {"connectionString": connection_string}]


def file(uri: str) -> list[dict[str, Any]]:
    return [IN, {"id": "Out", "type": "S3DataNode", "filePath": uri}]


CASES = {
    "a PostgreSQL that does not answer": table(POSTGRESQL),
    "a PostgreSQL without a password field": [IN, OUT, {**table(POSTGRESQL)[2], "*password": ""}],
    "a MySQL that does not answer": table("jdbc:mysql://me:hush-user@127.0.0.1:1/x?password=hush-query"),
    "a string that cannot be read": table("jdbc:postgresql://me:hush/user@127.0.0.1:1/x"),
    "a parameter that is unknown": table("postgresql://me:hush-user@127.0.0.1:1/x?other=hush-query"),
    "a database that is not built": table("jdbc:oracle:thin:me/hush-user@//127.0.0.1:1/x"),
    "an address of the settings": table("mapped"),
    "keys in the URI of the target": file("s3://AKIA1:hush-key@b/out.csv"),
    "keys in a URI of another kind": file("https://AKIA1:hush-key@127.0.0.1/b/out.csv"),
    "keys in the URI of the source": [{**IN, "filePath": "s3://AKIA1:hush-key@b/in.csv"}, file("s3://b/out.csv")[1]],
}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[HttpReceiver]:
    with http_receiver() as receiver:
        yield receiver


def task_of(place: Place, others: list[dict[str, Any]]) -> Task:
    def as_api(identity: str, fields: dict[str, Any]) -> dict[str, Any]:
        entries = [
            {"key": key, "refValue": value["ref"]} if isinstance(value, dict) else {"key": key, "stringValue": value}
            for key, value in fields.items()
            if key != "id"
        ]
        return {"id": identity, "name": identity, "fields": entries}

    objects = {ATTEMPT: as_api(ATTEMPT, COPY)} | {other["id"]: as_api(other["id"], other) for other in others}
    return Task.read({"taskId": "t", "pipelineId": "df-1", "attemptId": ATTEMPT, "objects": objects}, place)


@pytest.mark.parametrize("case", CASES)
def test_a_copy_that_fails_shows_no_password(
    tmp_path: Path,
    endpoint: HttpReceiver,
    case: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    lineage = OpenLineageSettings(f"http://127.0.0.1:{endpoint.port}/", api_key="key")
    mapped = DatabaseSetting("postgresql://me:hush-url@127.0.0.1:1/x", "me", "hush-setting")
    place = Place(
        "http://127.0.0.1:1",
        tmp_path,
        LocalFolder(tmp_path / "s3"),
        clean_environment(),
        SystemClock(),
        settings=Settings(databases={"mapped": mapped}, openlineage=lineage),
        events=EventSender(lineage),
    )
    with place.storage.create("s3://b/in.csv") as stream:
        stream.write(b"1,a\n")
    task = task_of(place, CASES[case])
    came = len(endpoint.received)
    outcome = task.run(load_catalogue())
    assert place.events is not None
    place.events.close()
    assert outcome["taskStatus"] == "FAILED"
    assert outcome["errorMessage"]
    told = {
        "outcome": str(outcome),
        "fields": str(task.fields),
        "events": str([received.body for received in endpoint.received[came:]]),
        "log": caplog.text,
        "output": "".join(capfd.readouterr()),
        **{str(path): path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file()},
    }
    assert "FAIL" in told["events"]
    assert [place for place, text in told.items() if SECRET in text] == []
