"""What a service keeps of logs: files where a task runner on its machine would write them, bounded, and storage."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from penstock.data.file_names import log_uri, task_mark
from penstock.data.local_folder import LocalFolder
from penstock.data.log_files import LogFiles, Part
from penstock.data.storage import StorageError

URI = "s3://bucket/logs/df-1/A/@A_1/@A_1_Attempt=1"
LEFT_OUT = (
    b"\n[All that follows the first 10 bytes is left out here, by the server's setting [logs] keep_bytes."
    b" The whole log is under pipelineLogUri, if the pipeline has one.]\n"
)


@pytest.fixture
def logs(tmp_path: Path) -> LogFiles:
    """Keeps 10 bytes of each log."""
    return LogFiles(tmp_path, LocalFolder(tmp_path / "s3"), 10)


@pytest.fixture
def folder(logs: LogFiles) -> Path:
    return logs.folder("df-1", "@A_1_Attempt=1")


def put(logs: LogFiles, content: bytes, name: str = "StdOutput") -> None:
    with logs.storage.create(f"{URI}/{name}.gz") as stream:
        stream.write(content)


def test_a_log_lies_where_a_task_runner_of_this_machine_keeps_it(logs: LogFiles, folder: Path, tmp_path: Path) -> None:
    assert logs.write(folder, "task", "StdOutput", 0, b"one\n") == (4, True)
    path = tmp_path / "logs/df-1/@A_1_Attempt=1/StdOutput"
    assert path.read_bytes() == b"one\n"
    assert logs.names(folder) == {"StdOutput": 4}


def test_the_same_part_twice_is_there_once(logs: LogFiles, folder: Path) -> None:
    for _ in range(2):
        assert logs.write(folder, "task", "StdOutput", 0, b"one") == (3, True)
    assert logs.write(folder, "task", "StdOutput", 1, b"ne two") == (7, True)
    assert (folder / "StdOutput").read_bytes() == b"one two"


def test_nothing_is_written_behind_a_gap(logs: LogFiles, folder: Path) -> None:
    logs.write(folder, "task", "StdOutput", 0, b"one")
    assert logs.write(folder, "task", "StdOutput", 5, b"two") == (3, True)
    assert (folder / "StdOutput").read_bytes() == b"one"


def test_a_second_task_of_the_attempt_writes_after_the_first(logs: LogFiles, folder: Path) -> None:
    logs.write(folder, "first", "StdOutput", 0, b"one ")
    assert logs.write(folder, "second", "StdOutput", 0, b"two") == (3, True)
    assert logs.write(folder, "second", "StdOutput", 0, b"two") == (3, True)
    assert logs.write(folder, "second", "StdError", 0, b"err") == (3, True)
    assert (folder / "StdOutput").read_bytes() == b"one two"


def test_a_log_whose_file_was_removed_is_written_again_from_its_beginning(logs: LogFiles, folder: Path) -> None:
    logs.write(folder, "first", "StdOutput", 0, b"one ")
    logs.write(folder, "second", "StdOutput", 0, b"two")
    (folder / "StdOutput").unlink()
    assert logs.write(folder, "second", "StdOutput", 3, b" three") == (0, True)
    assert logs.write(folder, "second", "StdOutput", 0, b"two three") == (9, True)
    assert (folder / "StdOutput").read_bytes() == b"two three"


def test_a_note_that_was_cut_off_is_written_again(logs: LogFiles, folder: Path) -> None:
    logs.write(folder, "task", "StdOutput", 0, b"one")
    (folder / ".last-task").write_text('{"task": ".ta')
    assert logs.write(folder, "task", "StdOutput", 0, b"two") == (3, True)
    assert (folder / "StdOutput").read_bytes() == b"onetwo"


def test_of_a_long_log_the_beginning_is_kept_and_a_line_says_so(logs: LogFiles, folder: Path) -> None:
    assert logs.write(folder, "task", "StdOutput", 0, b"01234567") == (8, True)
    assert logs.write(folder, "task", "StdOutput", 8, b"89ab") == (10, False)
    assert logs.write(folder, "task", "StdOutput", 12, b"cd")[1] is False
    assert logs.write(folder, "another", "StdOutput", 0, b"ef")[1] is False
    assert (folder / "StdOutput").read_bytes() == b"0123456789" + LEFT_OUT


def test_a_log_that_is_just_as_long_as_it_may_be_is_whole(logs: LogFiles, folder: Path) -> None:
    assert logs.write(folder, "task", "StdOutput", 0, b"0123456789") == (10, True)
    assert (folder / "StdOutput").read_bytes() == b"0123456789"
    assert logs.write(folder, "task", "StdOutput", 10, b"a") == (10, False)
    assert (folder / "StdOutput").read_bytes() == b"0123456789" + LEFT_OUT


def test_nothing_is_written_where_the_task_runner_itself_writes(logs: LogFiles, folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / task_mark("task")).touch()
    (folder / "StdOutput").write_bytes(b"one two")
    assert logs.write(folder, "task", "StdOutput", 0, b"one") == (3, False)
    assert (folder / "StdOutput").read_bytes() == b"one two"


def test_the_mark_of_a_task_does_not_tell_its_id() -> None:
    assert "a/task" not in task_mark("a/task")
    assert task_mark("a/task") != task_mark("another")


def test_a_file_is_read_in_parts(logs: LogFiles, folder: Path) -> None:
    logs.write(folder, "task", "StdOutput", 0, b"01234567")
    assert logs.read(folder, "StdOutput", 0, 5) == Part(b"01234", 8, 5, False)
    assert logs.read(folder, "StdOutput", 5, 5) == Part(b"567", 8, 8, True)
    assert logs.read(folder, "StdOutput", 2**63 - 1, 5) == Part(b"", 8, 8, True)
    assert logs.read(folder, "StdError", 0, 5) == Part(b"", 0, 0, True)
    assert logs.read(folder / "none", "StdOutput", 0, 5) is None


def test_a_log_in_storage_is_read_in_parts(logs: LogFiles) -> None:
    put(logs, gzip.compress(b"01234567"))
    assert logs.stored_names(URI) == ["StdOutput"]
    assert logs.read_stored(URI, "StdOutput", 0, 5) == Part(b"01234", None, 5, False)
    assert logs.read_stored(URI, "StdOutput", 5, 5) == Part(b"567", None, 8, True)
    assert logs.read_stored(URI, "StdOutput", 2**63 - 1, 5) == Part(b"", None, 8, True)
    assert logs.read_stored(URI, "StdError", 0, 5) is None


def test_of_a_long_log_in_storage_the_beginning_is_read(logs: LogFiles) -> None:
    put(logs, gzip.compress(b"0123456789a"))
    assert logs.read_stored(URI, "StdOutput", 0, 100) == Part(b"0123456789", None, 10, False)
    assert logs.read_stored(URI, "StdOutput", 10, 100) == Part(LEFT_OUT, None, 10 + len(LEFT_OUT), True)
    assert logs.read_stored(URI, "StdOutput", 11, 100) == Part(b"", None, 11, True)
    put(logs, gzip.compress(b"0123456789"))
    assert logs.read_stored(URI, "StdOutput", 0, 100) == Part(b"0123456789", None, 10, True)


@pytest.mark.parametrize(
    "content",
    [b"not compressed", gzip.compress(b"01234567", mtime=0)[:-9], b"\x1f\x8b\x08\0" + b"\xff" * 20],
    ids=["not at all", "cut off", "broken"],
)
def test_what_is_not_compressed_is_told(logs: LogFiles, content: bytes) -> None:
    put(logs, content)
    with pytest.raises(StorageError, match=r"StdOutput\.gz is not compressed by gzip"):
        logs.read_stored(URI, "StdOutput", 0, 100)


def test_no_id_leads_out_of_the_logs(logs: LogFiles, tmp_path: Path) -> None:
    for attempt in ("@../../x_1", ".."):
        assert logs.folder("df-1", attempt).resolve().parents[1] == (tmp_path / "logs").resolve()
    assert log_uri("s3://b/l/", "df-1", "../x", "@../x_1", "..") == "s3://b/l/df-1/..%2Fx/@..%2Fx_1/%2E%2E"
