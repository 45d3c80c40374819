"""Where an attempt's logs are: in the data directory, and in the service's layout under pipelineLogUri."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.data.file_names import file_name
from penstock.data.local_folder import LocalFolder
from penstock.runner.logs import AttemptLogs, log_uri
from penstock.runner.masking import Masking

ODD = ["../x", "..", ".", "a/b", "/etc/passwd", "a\\b", "a\nb", "ü€😀", "x" * 300, "€" * 300, "a\0b", "~", " "]


@pytest.fixture
def storage(tmp_path: Path) -> LocalFolder:
    return LocalFolder(tmp_path / "s3")


@pytest.fixture
def logs(tmp_path: Path, storage: LocalFolder) -> AttemptLogs:
    return AttemptLogs(tmp_path / "logs", "s3://bucket/logs/df-1/A/@A/@A_1", storage, Masking(["hunter2"]))


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


def test_logs_are_sent_compressed(logs: AttemptLogs, storage: LocalFolder) -> None:
    logs.stdout.write_bytes(b"out")
    logs.write("began")
    logs.send()
    assert unpacked(storage, "StdOutput") == b"out"
    assert unpacked(storage, "StdError") == b""
    assert unpacked(storage, "Activity.log").endswith(b" began\n")


def test_logs_that_have_grown_are_sent_again(logs: AttemptLogs, storage: LocalFolder) -> None:
    logs.stdout.write_bytes(b"one")
    logs.send()
    logs.stdout.write_bytes(b"one two")
    logs.send()
    assert unpacked(storage, "StdOutput") == b"one two"


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
