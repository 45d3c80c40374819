"""Alarms of a running service: from an activity's failure to a receiver, and what the service's people see of it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from api_service import ON_DEMAND, Api, running, shell, until

from penstock.cli.composition import ServiceNotStarted, ServiceOptions
from penstock.cli.credentials import penstock_client
from penstock.cli.operate import send_test_alarm
from penstock.service import EmbeddedService
from penstock.store.database import open_store
from penstock.store.sql_files import migrations, statements
from penstock.wire.errors import ServiceError
from receivers import PUBLISHED, HttpReceiver, http_receiver

TOPIC = "arn:aws:sns:us-east-1:123456789012:failures"
DEAD = "arn:aws:sns:us-east-1:123456789012:dead"


@dataclass
class Alarming:
    api: Api
    http: HttpReceiver

    def failed(self, topic: str, group: str) -> str:
        """A pipeline whose activity has just failed."""
        words = {"subject": "#{node.@componentParent} has failed", "message": "#{node.errorMessage}", "role": "r"}
        pipeline_id = self.api.activated(
            ON_DEMAND,
            {"id": "Bad", "type": "SnsAlarm", "topicArn": topic, **words},
            shell("A", group, onFail={"ref": "Bad"}),
        )
        task = self.api.poll(group)
        fault = {"errorId": "Broken", "errorMessage": "it broke"}
        self.api.boto.set_task_status(taskId=task["taskId"], taskStatus="FAILED", **fault)
        return pipeline_id

    def events(self, pipeline_id: str) -> list[tuple[str, str]]:
        found = self.api.own.call("ListEvents", pipelineId=pipeline_id)["events"]
        return [(event["toStatus"], event["detail"]) for event in found if event["sphere"] == "ALARM"]


@pytest.fixture(scope="module")
def alarming(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alarming]:
    with http_receiver() as http:
        endpoint = f"http://127.0.0.1:{http.port}"
        settings = (
            f'[sns]\nendpoint = "{endpoint}"\naccess_key_id = "AK"\nsecret_access_key = "hush"',
            f'[alarms."{TOPIC}"]\nto = ["json://me:hush@127.0.0.1:{http.port}/hook", "sns"]',
            f'[alarms."{DEAD}"]\nto = "json://me:hush@127.0.0.1:1"',
        )
        for api in running(tmp_path_factory.mktemp("alarming") / "data", "long_poll = 1", *settings):
            yield Alarming(api, http)


def test_the_alarm_of_a_failure_reaches_its_targets_and_the_events(alarming: Alarming, group: str) -> None:
    alarming.http.received.clear()
    alarming.http.answer((200, PUBLISHED))
    pipeline_id = alarming.failed(TOPIC, group)
    until(lambda: len(alarming.events(pipeline_id)) == 1)
    hook, sns = alarming.http.received
    assert hook.path == "/hook"
    assert (json.loads(hook.body)["title"], json.loads(hook.body)["message"]) == ("A has failed", "it broke")
    assert (sns.form["TopicArn"], sns.form["Subject"], sns.form["Message"]) == (TOPIC, "A has failed", "it broke")
    names = f"json://127.0.0.1:{alarming.http.port}, sns"
    assert alarming.events(pipeline_id) == [("DELIVERED", f"A has failed: it broke (delivered to {names})")]


def test_what_is_not_delivered_yet_is_explained(alarming: Alarming, group: str) -> None:
    pipeline_id = alarming.failed(DEAD, group)
    until(lambda: bool(alarming.events(pipeline_id)))
    instance = alarming.api.instance(pipeline_id, "A")
    answer = alarming.api.own.call("ExplainWaiting", pipelineId=pipeline_id, objectId=instance)
    (said,) = answer["alarms"]
    assert said.startswith("The alarm Bad is still to be delivered. The latest try failed: json://127.0.0.1:1: ")
    assert "hush" not in f"{said} {alarming.events(pipeline_id)}"


def test_a_test_alarm_says_what_each_target_said(alarming: Alarming, capsys: pytest.CaptureFixture[str]) -> None:
    alarming.http.answer((200, ""), (403, ""))
    service = _ClientsOf(alarming.api)
    with pytest.raises(SystemExit) as ended:
        send_test_alarm(service, TOPIC, as_json=False)  # type: ignore[arg-type]
    assert ended.value.code == 1
    _, _, hook, sns = capsys.readouterr().out.splitlines()
    assert hook.split()[1:] == ["delivered"]
    assert sns.startswith("sns ")
    assert sns.endswith("not delivered: Its answer is none that SNS gives.")


def test_a_test_alarm_of_a_topic_that_goes_nowhere_names_the_settings(
    api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        send_test_alarm(_ClientsOf(api), "arn:x", as_json=False)  # type: ignore[arg-type]
    assert capsys.readouterr().err == (
        'Alarms of arn:x go to the event log only: the server\'s settings have neither [alarms."arn:x"] nor [sns].\n'
    )


def test_who_may_only_read_or_poll_sends_no_test_alarms(alarming: Alarming) -> None:
    for role in ("runner", "viewer"):
        with (
            closing(penstock_client(alarming.api.endpoint, alarming.api.key(role))) as client,
            pytest.raises(ServiceError, match=f"has the role {role}, which may not SendTestAlarm"),
        ):
            client.call("SendTestAlarm", topicArn=TOPIC)


def test_a_service_with_a_wrong_target_does_not_start_and_leaves_nothing(tmp_path: Path) -> None:
    config = tmp_path / "penstock.toml"
    config.write_text('[alarms.t]\nto = ["pigeon://hush"]\n')
    with pytest.raises(ServiceNotStarted, match=r"alarms\.\"t\"\.to': 'pigeon' is no scheme that apprise knows") as no:
        EmbeddedService(ServiceOptions(tmp_path / "data", config=config))
    assert "hush" not in str(no.value)
    assert not (tmp_path / "data").exists()


OLD_ALARMS = (
    "INSERT INTO outbox (pipeline_id, object_id, action, topic, subject, message, created_at, due_at, delivered_at)"
    " VALUES ('df-1', '@A', 'Bad', 't', 's', 'gone', 1, NULL, 2), ('df-1', '@A', 'Bad', 't', 's', 'waits', 1, 1, NULL)"
)
PIPELINE = (
    "INSERT INTO pipelines (pipeline_id, name, unique_id, creator, owner, state, created_at)"
    " VALUES ('df-1', 'p', 'u', 'me', '', 'PENDING', 0)"
)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_alarms_that_an_older_penstock_has_not_delivered_are_kept(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    before = [(number, sql) for number, sql in migrations(kind) if number < 5]
    url = request.getfixturevalue("postgresql_url") if kind == "postgresql" else None
    if url is None:
        with closing(sqlite3.connect(tmp_path / "penstock.db", isolation_level=None)) as old:
            for _, sql in before:
                for statement in statements(sql):
                    old.execute(statement)
            old.execute(PIPELINE)
            old.execute(OLD_ALARMS)
            old.execute("PRAGMA user_version = 4")
    else:
        with psycopg.connect(url, autocommit=True) as connection:
            for _, sql in before:
                connection.execute(sql)  # type: ignore[arg-type]
            connection.execute(PIPELINE)
            connection.execute(OLD_ALARMS)
            connection.execute("CREATE TABLE penstock_schema (version BIGINT NOT NULL)")
            connection.execute("INSERT INTO penstock_schema VALUES (4)")
    with closing(open_store(url, tmp_path)) as store, store.snapshot() as tx:
        (row,) = tx.all("alarms_of_object", pipeline_id="df-1", object_id="@A")
    assert (row["message"], row["due_at"], row["tries"], row["delivered_to"]) == ("waits", 1, 0, "[]")


class _ClientsOf:
    def __init__(self, api: Api) -> None:
        self.own = api.own
