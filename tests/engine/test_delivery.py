"""Alarms on their way to real receivers: SNS, e-mail and webhooks on loopback, and the settings that name them."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from penstock.engine.actions import as_message, as_subject
from penstock.engine.alarm_targets import Message, NotDelivered, Target, TargetsOf, make_targets
from penstock.engine.delivery import Deliverer, deliver_due, try_target
from penstock.engine.engine import Engine
from penstock.objects import load_catalogue
from penstock.settings import Settings, SettingsError, load_settings
from penstock.store.database import Store, open_store
from penstock.store.secrets import Secrets
from receivers import PUBLISHED, REFUSED, HttpReceiver, SmtpReceiver, http_receiver, smtp_receiver

ARN = "arn:aws:sns:eu-central-1:123456789012:failures"
MESSAGE = Message(ARN, "Count has failed", "First line & <b>\nsecond line: naïve 🙂")


@pytest.fixture(scope="module")
def http_server() -> Iterator[HttpReceiver]:
    with http_receiver() as made:
        yield made


@pytest.fixture
def http(http_server: HttpReceiver) -> HttpReceiver:
    http_server.received.clear()
    http_server.answer((200, ""))
    return http_server


@pytest.fixture(scope="module")
def smtp_server() -> Iterator[SmtpReceiver]:
    with smtp_receiver() as made:
        yield made


@pytest.fixture
def smtp(smtp_server: SmtpReceiver) -> SmtpReceiver:
    smtp_server.mails.clear()
    smtp_server.refusal = None
    return smtp_server


def settings(folder: Path, text: str) -> Settings:
    path = folder / "penstock.toml"
    path.write_text(text)
    return load_settings(path)


def targets(folder: Path, text: str) -> TargetsOf:
    return make_targets(settings(folder, text), folder / "penstock.toml")


def to(*urls: str, topic: str = ARN) -> str:
    return f'[alarms."{topic}"]\nto = {json.dumps(urls)}\n'


def sns(http: HttpReceiver, *more: str) -> str:
    lines = [f'endpoint = "http://127.0.0.1:{http.port}"', 'access_key_id = "AK"', 'secret_access_key = "hush"', *more]
    return "[sns]\n" + "\n".join(lines) + "\n"


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(SettingsError) as refused:
        targets(folder, text)
    said = str(refused.value)
    assert said.startswith(str(folder / "penstock.toml"))
    return said.removeprefix(f"{folder / 'penstock.toml'}: ")


def test_without_settings_an_alarm_has_no_target() -> None:
    assert make_targets(Settings(), None)(ARN) == ()


def test_sns_gets_topic_subject_and_message(tmp_path: Path, http: HttpReceiver) -> None:
    http.answer((200, PUBLISHED))
    (target,) = targets(tmp_path, sns(http))(ARN)
    target.send(MESSAGE)
    (request,) = http.received
    assert request.form == {
        "Action": "Publish",
        "Version": "2010-03-31",
        "TopicArn": ARN,
        "Subject": MESSAGE.subject,
        "Message": MESSAGE.text,
    }
    assert target.name == "sns"
    assert "AK/" in request.headers["Authorization"]
    assert "/eu-central-1/sns/" in request.headers["Authorization"], "the region is the one of the topic"


def test_the_region_of_the_settings_wins_over_the_topics(tmp_path: Path, http: HttpReceiver) -> None:
    http.answer((200, PUBLISHED))
    targets(tmp_path, sns(http, 'region = "eu-west-3"'))(ARN)[0].send(MESSAGE)
    assert "/eu-west-3/sns/" in http.received[0].headers["Authorization"]


def test_the_credentials_of_the_environment_sign_where_the_settings_have_none(
    tmp_path: Path, http: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "FROM-ENVIRONMENT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    http.answer((200, PUBLISHED))
    targets(tmp_path, f'[sns]\nendpoint = "http://127.0.0.1:{http.port}"')(ARN)[0].send(MESSAGE)
    assert "FROM-ENVIRONMENT/" in http.received[0].headers["Authorization"]


def test_what_sns_refuses_is_said_and_asked_once(tmp_path: Path, http: HttpReceiver) -> None:
    (target,) = targets(tmp_path, sns(http))(ARN)
    http.answer((404, REFUSED))
    assert try_target(target, MESSAGE) == "NotFound: Topic does not exist"
    http.answer((500, ""))
    assert (try_target(target, MESSAGE) or "").startswith("500: ")
    assert len(http.received) == 2


def test_an_sns_that_is_not_there_is_said(tmp_path: Path) -> None:
    text = '[sns]\nendpoint = "http://127.0.0.1:1"\naccess_key_id = "AK"\nsecret_access_key = "hush"'
    problem = try_target(targets(tmp_path, text)(ARN)[0], MESSAGE)
    assert problem == 'Could not connect to the endpoint URL: "http://127.0.0.1:1/"'


def test_a_mail_has_the_subject_and_the_text(tmp_path: Path, smtp: SmtpReceiver) -> None:
    url = f"mailto://127.0.0.1:{smtp.port}?from=penstock@example.com&to=you@example.com,me@example.com&mode=insecure"
    (target,) = targets(tmp_path, to(url))(ARN)
    target.send(MESSAGE)
    assert target.name == f"mailto://127.0.0.1:{smtp.port}"
    assert sorted(name for receivers, _ in smtp.mails for name in receivers) == ["me@example.com", "you@example.com"]
    for _, mail in smtp.mails:
        assert mail["Subject"] == MESSAGE.subject
        assert "penstock@example.com" in mail["From"]
        texts = [part.get_payload(decode=True) for part in mail.walk() if not part.is_multipart()]
        said = b"".join(text for text in texts if isinstance(text, bytes)).decode()
        assert "naïve 🙂" in said
        assert "First line" in said


def test_a_mail_that_is_refused_is_said(tmp_path: Path, smtp: SmtpReceiver) -> None:
    smtp.refusal = "550 nobody of that name"
    url = f"mailto://127.0.0.1:{smtp.port}?from=penstock@example.com&to=you@example.com&mode=insecure"
    with pytest.raises(NotDelivered):
        targets(tmp_path, to(url))(ARN)[0].send(MESSAGE)
    assert smtp.mails == []


def test_a_webhook_gets_the_alarm_as_json(tmp_path: Path, http: HttpReceiver) -> None:
    (target,) = targets(tmp_path, to(f"json://127.0.0.1:{http.port}/hooks/alarm"))(ARN)
    target.send(MESSAGE)
    (request,) = http.received
    document = json.loads(request.body)
    assert request.path == "/hooks/alarm"
    assert (document["title"], document["message"]) == (MESSAGE.subject, MESSAGE.text)


def test_why_a_webhook_did_not_take_it_shows_no_secret(tmp_path: Path, http: HttpReceiver) -> None:
    http.answer((500, "pass-word user-name token-in-path"))
    url = f"json://user-name:pass%2Dword@127.0.0.1:{http.port}/token-in-path?+X-Key=header-secret"
    made = settings(tmp_path, to(url))
    (target,) = make_targets(made, tmp_path)(ARN)
    problem = try_target(target, MESSAGE)
    assert problem is not None
    assert "500" in problem
    (dead,) = targets(tmp_path, to("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"))(ARN)
    assert dead.name == "slack://…"
    for shown in (problem, target.name, dead.name, repr(made), repr(target)):
        for secret in ("pass-word", "pass%2D", "header-secret", "TIiajkdnlazkcOXrIdevi7FQ"):
            assert secret not in shown


def test_an_alarm_goes_to_every_target_of_its_topic(tmp_path: Path, http: HttpReceiver) -> None:
    http.answer((200, PUBLISHED))
    hook = f"json://127.0.0.1:{http.port}"
    found = targets(tmp_path, sns(http) + to(f"{hook}/a", f"{hook}/b", "sns"))(ARN)
    assert [target.name for target in found] == [hook, f"{hook} (2)", "sns"]
    for target in found:
        target.send(MESSAGE)
    assert [request.path for request in http.received] == ["/a", "/b", "/"]


def test_the_exact_topic_wins_then_the_longest_beginning_then_sns(tmp_path: Path, http: HttpReceiver) -> None:
    text = sns(http) + "".join(
        to(f"json://{host}", topic=topic)
        for topic, host in {ARN: "exact", "arn:aws:*": "short", "arn:aws:sns:eu-central-1:*": "long"}.items()
    )
    targets_of = targets(tmp_path, text)
    assert [targets_of(topic)[0].name for topic in (ARN, ARN + "2", "arn:aws:x", "other")] == [
        "json://exact",
        "json://long",
        "json://short",
        "sns",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[sns]\nendpont = "x"', "there is no setting 'sns.endpont'"),
        ('[sns]\nendpoint = "localhost:4566"', "'sns.endpoint' is no URL; write http://HOST:PORT"),
        ('[sns]\naccess_key_id = "AK"', "'sns' needs both 'access_key_id' and 'secret_access_key'"),
        ('[alarms.t]\nto = ["sns"]\n', "'alarms.\"t\".to' names sns, but there is no table [sns]"),
        ('[alarms.t]\ninto = ["sns"]\n', "there is no setting 'alarms.\"t\".into'; known ones are to."),
        ("[alarms.t]\n", "'alarms.\"t\".to' must be a list of URLs"),
        ("[alarms.t]\nto = []\n", "'alarms.\"t\".to' must be a list of URLs"),
        ('[alarms.t]\nto = ["me:hush@example.com"]\n', "'alarms.\"t\".to' must be a list of URLs"),
        ('[alarms."a*b"]\nto = ["json://h"]\n', "'alarms.\"a*b\"' has a * that is not its last character"),
        ('[alarms.t]\nto = ["pigeon://hush@h"]\n', "'alarms.\"t\".to': 'pigeon' is no scheme that apprise knows."),
        ('[alarms.t]\nto = ["slack://hush"]\n', "'alarms.\"t\".to': a URL slack://… is not as apprise wants it"),
        ("[delivery]\npauses = 5\n", "'delivery.pauses' must be a list of seconds"),
        ("[delivery]\npauses = [1, -5]\n", "'delivery.pauses' must be a list of seconds"),
        ("[delivery]\nlease = inf\n", "'delivery.lease' is inf"),
        ("[delivery]\nlease = -1\n", "'delivery.lease' is -1; it must not be negative"),
        ("[delivery]\nleases = 1\n", "there is no setting 'delivery.leases'; known ones are lease, pauses."),
    ],
)
def test_a_wrong_setting_is_named_without_its_secrets(tmp_path: Path, text: str, said: str) -> None:
    shown = refusal(tmp_path, text)
    assert shown.startswith(said)
    assert "hush" not in shown


def test_a_mapping_that_needs_apprise_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    assert "'alarms.\"t\".to' names json://…, which needs apprise: pip install 'penstock[alarms]'." in refusal(
        tmp_path, to("json://h", topic="t")
    )
    assert targets(tmp_path, "[sns]\n")("t")[0].name == "sns", "SNS needs none"


def test_a_subject_is_one_line_of_fewer_than_a_hundred_characters() -> None:
    assert as_subject(" COPY\r\n failed:\tnaïve\0 ") == "COPY failed: naïve"
    assert as_subject("x" * 99) == "x" * 99
    assert as_subject("x" * 100) == "x" * 96 + "..."


def test_a_message_has_at_most_256_kilobytes_and_says_that_it_was_cut() -> None:
    assert as_message("a\n\0b") == "a\nb"
    whole = "ä" * (128 * 1024)
    assert as_message(whole) == whole
    cut = as_message(whole + "ö")
    assert len(cut.encode()) <= 256 * 1024
    assert cut.endswith("ä\n... (cut: the message has 262,146 bytes)")


class Clock:
    def now(self) -> datetime:
        return datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    store = open_store(None, tmp_path)
    yield Engine(store, load_catalogue(), Clock(), Settings(), Secrets(tmp_path))
    store.close()


def write_alarms(store: Store, *topics: str) -> None:
    """Alarms of a pipeline, as the transaction of a status writes them."""
    with store.transaction() as tx:
        values = {"name": "p", "unique_id": "u", "description": None, "creator": "me", "owner": "", "created_at": 0}
        tx.execute("insert_pipeline", pipeline_id="df-1", **values)
        for topic in topics:
            texts = {"topic": topic, "subject": "subject", "message": "message"}
            tx.execute("insert_alarm", pipeline_id="df-1", object_id="@A", action="Bad", at=0, **texts)


def events(store: Store) -> list[tuple[str, str]]:
    with store.snapshot() as tx:
        rows = tx.all("events_after", pipeline_id="df-1", sequence=0, limit=100)
    return [(row["to_status"], row["detail"]) for row in rows]


def test_a_slow_target_holds_up_no_other_alarm_and_no_transaction(engine: Engine) -> None:
    is_sending, may_go_on, sent = threading.Event(), threading.Event(), threading.Event()

    def slow(message: Message) -> None:
        is_sending.set()
        assert may_go_on.wait(10)

    def quick(message: Message) -> None:
        sent.set()

    engine.targets_of = lambda topic: [Target(topic, slow if topic == "slow" else quick)]
    deliverer = Deliverer(engine, 2)
    deliverer.start()
    write_alarms(engine.store, "slow", "quick")
    engine.on_alarm()
    assert is_sending.wait(10)
    assert sent.wait(10)
    with engine.turn("df-1") as turn:
        assert turn.pipeline("df-1").name == "p"
    may_go_on.set()
    deliverer.stop(within=10)
    assert sorted(events(engine.store)) == [
        ("DELIVERED", "subject: message (delivered to quick)"),
        ("DELIVERED", "subject: message (delivered to slow)"),
    ]


def test_what_is_due_when_the_service_ends_is_delivered(engine: Engine) -> None:
    deliverer = Deliverer(engine, 1)
    deliverer.start()
    write_alarms(engine.store, "a", "b")  # and nobody says so
    deliverer.stop(within=10)
    assert [status for status, _ in events(engine.store)] == ["DELIVERED", "DELIVERED"]


def test_a_target_that_hangs_does_not_keep_the_service_from_ending(engine: Engine) -> None:
    is_sending, may_go_on = threading.Event(), threading.Event()

    def hanging(message: Message) -> None:
        is_sending.set()
        may_go_on.wait(10)

    engine.targets_of = lambda topic: [Target("hanging", hanging)]
    write_alarms(engine.store, "a")
    deliverer = Deliverer(engine, 1)
    deliverer.start()
    assert is_sending.wait(10)
    began = time.monotonic()
    deliverer.stop(within=0.05)
    assert time.monotonic() - began < 5
    assert events(engine.store) == []
    may_go_on.set()
    (thread,) = deliverer._threads
    thread.join(10)


@pytest.mark.parametrize(
    ("error", "told"), [(OSError("away"), "Alarms wait"), (ValueError("odd"), "The delivery of alarms failed")]
)
def test_the_thread_outlives_a_store_that_is_away(
    engine: Engine, caplog: pytest.LogCaptureFixture, error: Exception, told: str
) -> None:
    deliverer = Deliverer(engine, 1)
    away: Any = SimpleNamespace(snapshot=lambda: (_ for _ in ()).throw(error), unavailable=(OSError,))
    store, engine.store = engine.store, away
    assert deliverer._deliver() == 1.0
    assert told in caplog.text
    engine.store = store
    assert deliverer._deliver() == 30.0


def test_an_error_of_a_library_is_a_try_that_failed_without_its_text(engine: Engine) -> None:
    def broken(message: Message) -> None:
        raise RuntimeError("hush")

    engine.targets_of = lambda topic: [Target("broken", broken)]
    write_alarms(engine.store, "a")
    assert deliver_due(engine) == 1_704_067_201_000
    ((status, detail),) = events(engine.store)
    assert status == "NOT_DELIVERED"
    assert "The sender failed with RuntimeError." in detail
    assert "hush" not in detail
