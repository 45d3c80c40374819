"""Where an attempt's logs are: in the data directory, and in the service's layout under pipelineLogUri."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.clock import SystemClock
from penstock.data.file_names import file_name, log_uri
from penstock.data.local_folder import LocalFolder
from penstock.runner import logs as logs_module
from penstock.runner.logs import AttemptLogs
from penstock.runner.masking import Masking

ODD = ["../x", "..", ".", "a/b", "/etc/passwd", "a\\b", "a\nb", "ü€😀", "x" * 300, "€" * 300, "a\0b", "~", " "]


@pytest.fixture
def storage(tmp_path: Path) -> LocalFolder:
    return LocalFolder(tmp_path / "s3")


@pytest.fixture
def logs(tmp_path: Path, storage: LocalFolder) -> AttemptLogs:
    uri = "s3://bucket/logs/df-1/A/@A/@A_1"
    return AttemptLogs(tmp_path / "logs", uri, storage, Masking(["hunter2"]), SystemClock())


def unpacked(storage: LocalFolder, name: str) -> bytes:
    with storage.open(f"s3://bucket/logs/df-1/A/@A/@A_1/{name}.gz") as stream:
        return gzip.decompress(stream.read())


@pytest.mark.parametrize("identity", ODD)
def test_an_odd_id_is_one_name_in_the_folder(identity: str, tmp_path: Path) -> None:
    path = tmp_path / file_name(identity)
    assert path.parent == tmp_path
    assert path.resolve().parent == tmp_path.resolve()
    path.mkdir()
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@given(st.text(min_size=1))
def test_no_id_leads_out_of_its_folder(identity: str) -> None:
    name = file_name(identity)
    assert "/" not in name
    assert "\0" not in name
    assert name not in ("", ".", "..")
    assert len(name.encode()) <= 255


def test_long_ids_that_differ_at_their_end_have_different_names() -> None:
    long = "A" * 300
    assert file_name(f"@{long}_2013-01-01T00:00:00") != file_name(f"@{long}_2013-01-02T00:00:00")


def test_the_log_uri_has_the_layout_of_the_service() -> None:
    expected = "s3://b/logs/df-1/Load/@Load_2013-01-01T00:00:00/@Load_2013-01-01T00:00:00_Attempt=1"
    parts = ("df-1", "Load", "@Load_2013-01-01T00:00:00", "@Load_2013-01-01T00:00:00_Attempt=1")
    assert log_uri("s3://b/logs", *parts) == log_uri("s3://b/logs/", *parts) == expected


def test_without_pipelineLogUri_there_is_no_log_uri() -> None:
    assert log_uri(None, "df-1", "A", "@A", "@A_1") is None


def test_a_slash_in_an_id_makes_no_folder_more() -> None:
    uri = log_uri("s3://b/logs", "df-1", "../x", "@../x_1", "@../x_1_Attempt=1")
    assert uri is not None
    assert uri.count("/") == 7
    assert ".." not in uri.split("/")


def add(logs: AttemptLogs, content: bytes) -> None:
    with logs.open("StdOutput") as stream:
        stream.write(content)


def test_an_attempt_that_says_nothing_has_no_files(logs: AttemptLogs, tmp_path: Path) -> None:
    quiet = AttemptLogs(tmp_path / "quiet", None, logs.storage, logs.masking, logs.clock)
    quiet.note("it starts")
    quiet.note("it ends")
    quiet.end()
    assert not quiet.folder.exists()


def test_what_was_noted_is_kept_with_what_comes_besides(logs: AttemptLogs, tmp_path: Path) -> None:
    attempt = AttemptLogs(tmp_path / "attempt", None, logs.storage, logs.masking, logs.clock)
    attempt.note("it starts")
    add(attempt, b"out")
    attempt.note("it ends")
    attempt.end()
    text = (attempt.folder / "Activity.log").read_text()
    assert [line.partition(" ")[2] for line in text.splitlines()] == ["it starts", "it ends"]


def test_logs_are_sent_compressed(logs: AttemptLogs, storage: LocalFolder) -> None:
    add(logs, b"out")
    logs.write("began")
    logs.send()
    assert unpacked(storage, "StdOutput") == b"out"
    assert unpacked(storage, "StdError") == b""
    assert unpacked(storage, "Activity.log").endswith(b" began\n")


def test_logs_that_have_grown_are_sent_again(logs: AttemptLogs, storage: LocalFolder) -> None:
    add(logs, b"one")
    logs.send()
    add(logs, b" two")
    logs.send()
    assert unpacked(storage, "StdOutput") == b"one two"


class Stopwatch:
    """Stands for the seconds that pass: only when a test says so, and while a log is sent."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def stopwatch(monkeypatch: pytest.MonkeyPatch, storage: LocalFolder) -> Stopwatch:
    """Each file takes two seconds to send."""
    stopwatch = Stopwatch()
    create = storage.create

    def slow_create(uri: str) -> Any:
        stopwatch.seconds += 2
        return create(uri)

    monkeypatch.setattr(storage, "create", slow_create)
    monkeypatch.setattr(logs_module, "monotonic", stopwatch)
    return stopwatch


def test_logs_that_take_long_to_send_rest_ten_times_as_long(
    logs: AttemptLogs, storage: LocalFolder, stopwatch: Stopwatch
) -> None:
    logs.send_if_due()  # three files: six seconds
    logs.stdout.write_bytes(b"one")
    stopwatch.seconds += 59
    logs.send_if_due()
    assert unpacked(storage, "StdOutput") == b""
    stopwatch.seconds += 1
    logs.send_if_due()
    assert unpacked(storage, "StdOutput") == b"one"


def test_logs_whose_sending_fails_rest_as_well(
    logs: AttemptLogs, storage: LocalFolder, stopwatch: Stopwatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(uri: str) -> Any:
        stopwatch.seconds += 30
        raise OSError("The storage is away.")

    with monkeypatch.context() as away:
        away.setattr(storage, "create", fail)
        with pytest.raises(OSError, match="away"):
            logs.send_if_due()
        logs.send_if_due()  # not tried again
    stopwatch.seconds += 300
    logs.send_if_due()
    assert unpacked(storage, "StdOutput") == b""


def test_at_the_end_logs_are_sent_however_long_they_take(
    logs: AttemptLogs, storage: LocalFolder, stopwatch: Stopwatch
) -> None:
    logs.send_if_due()
    logs.stdout.write_bytes(b"the end")
    logs.send()
    assert unpacked(storage, "StdOutput") == b"the end"


def test_the_times_of_activity_log_are_those_of_the_clock(tmp_path: Path, storage: LocalFolder) -> None:
    class Noon:
        def now(self) -> datetime:
            return datetime(2013, 1, 1, 12, 0, 0, 250_000, tzinfo=UTC)

    logs = AttemptLogs(tmp_path / "logs", None, storage, Masking(()), Noon())
    logs.write("began")
    assert (logs.folder / "Activity.log").read_text() == "2013-01-01T12:00:00.250000Z began\n"


def test_activity_log_has_no_secrets(logs: AttemptLogs) -> None:
    logs.write("password hunter2")
    assert "password *****" in (logs.folder / "Activity.log").read_text()


def test_the_tail_is_of_the_error_output_if_there_is_any(logs: AttemptLogs) -> None:
    logs.write("began")
    assert logs.tail().endswith("began")
    logs.stdout.write_text("out")
    assert logs.tail() == "out"
    logs.stderr.write_text("x" * 5000 + "err")
    assert logs.tail().endswith("err")
    assert len(logs.tail()) <= 2000


def test_what_finds_no_room_on_the_disk_is_written_later(logs: AttemptLogs, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: AttemptLogs, name: str) -> Any:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(AttemptLogs, "open", full)
        logs.write("first")
    logs.write("second")
    assert [line.split()[-1] for line in (logs.folder / "Activity.log").read_text().splitlines()] == ["first", "second"]
