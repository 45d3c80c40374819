"""How a task runner sends its logs to a service that does not share its data directory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.clock import SystemClock
from penstock.data.local_folder import LocalFolder
from penstock.data.log_files import LogFiles
from penstock.runner import log_upload
from penstock.runner.log_upload import LogUpload
from penstock.runner.logs import AttemptLogs
from penstock.runner.masking import Masking
from penstock.wire.client import ConnectionFailed

AWAY = ConnectionFailed("http://127.0.0.1:1", "Connection refused")


class Service:
    """A service at the other end: it keeps logs as the real one does, and may be away or lose its answers."""

    def __init__(self, data_dir: Path, keep_bytes: int = 1000) -> None:
        self.logs = LogFiles(data_dir, LocalFolder(data_dir / "s3"), keep_bytes)
        self.folder = data_dir / "attempt"
        self.offsets: list[int] = []
        self.fails: list[str] = []

    def call(self, operation: str, **sent: Any) -> dict[str, Any]:
        assert operation == "WriteLog"
        failure = self.fails.pop(0) if self.fails else ""
        if failure == "away":
            raise AWAY
        self.offsets.append(sent["offset"])
        size, wanted = self.logs.write(self.folder, sent["taskId"], sent["name"], sent["offset"], sent["content"])
        if failure == "answer lost":
            raise AWAY
        return {"size": size, "isMoreWanted": wanted, "isThere": False}

    def text(self, name: str = "StdOutput") -> bytes:
        return (self.folder / name).read_bytes()


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path / "server")


@pytest.fixture
def logs(tmp_path: Path) -> AttemptLogs:
    storage = LocalFolder(tmp_path / "s3")
    return AttemptLogs(tmp_path / "runner/attempt", None, storage, Masking(["hunter2"]), SystemClock())


Upload = Callable[..., LogUpload]


@pytest.fixture
def upload(logs: AttemptLogs) -> Upload:
    return lambda service, task_id="task": LogUpload(logs, task_id, service)


def add(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as stream:
        stream.write(content)


def test_what_has_come_is_sent_and_nothing_if_nothing_has(logs: AttemptLogs, service: Service, upload: Upload) -> None:
    sending = upload(service)
    sending.send()
    assert service.offsets == []
    add(logs.stdout, b"one ")
    sending.send()
    add(logs.stdout, b"two")
    sending.send()
    sending.send()
    assert service.text() == b"one two"
    assert service.offsets == [0, 4]


def test_a_log_that_has_grown_a_lot_is_sent_in_parts(
    logs: AttemptLogs, service: Service, upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_upload, "CHUNK", 4)
    add(logs.stdout, b"0123456789")  # by an earlier task of the attempt, here
    sending = upload(service)
    add(logs.stdout, b"abcdefghij")
    sending.send()
    assert service.text() == b"abcdefghij"
    assert service.offsets == [0, 4, 8]


@pytest.mark.parametrize("failure", ["away", "answer lost"])
def test_what_the_service_did_not_take_is_sent_again(
    logs: AttemptLogs, service: Service, upload: Upload, failure: str
) -> None:
    sending = upload(service)
    service.fails = [failure]
    add(logs.stdout, b"one ")
    with pytest.raises(ConnectionFailed):
        sending.send()
    add(logs.stdout, b"two")
    sending.send()
    assert service.text() == b"one two"


def test_what_the_service_has_lost_is_sent_again(logs: AttemptLogs, service: Service, upload: Upload) -> None:
    sending = upload(service)
    add(logs.stdout, b"one ")
    sending.send()
    (service.folder / "StdOutput").unlink()
    add(logs.stdout, b"two")
    sending.send()
    assert service.text() == b"one two"


def test_a_second_task_of_the_attempt_sends_only_its_own(logs: AttemptLogs, service: Service, upload: Upload) -> None:
    first = upload(service, "first")
    add(logs.stdout, b"asked, ")
    first.send()
    first.end()
    second = upload(service, "second")
    add(logs.stdout, b"asked again")
    second.send()
    assert service.text() == b"asked, asked again"


def test_no_more_is_sent_of_a_log_than_the_service_keeps(
    logs: AttemptLogs, tmp_path: Path, upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_upload, "CHUNK", 4)
    service = Service(tmp_path / "server", keep_bytes=6)
    sending = upload(service)
    add(logs.stdout, b"0123456789abcdef")
    sending.send()
    add(logs.stderr, b"err")
    sending.send()
    assert service.offsets == [0, 4, 0]
    assert service.text().startswith(b"012345\n[All that follows the first 6 bytes is left out here")
    assert service.text("StdError") == b"err"


def test_a_service_that_shares_the_data_directory_is_sent_nothing_twice(
    logs: AttemptLogs, service: Service, upload: Upload
) -> None:
    service.folder = logs.folder
    sending = upload(service)
    for text in (b"one ", b"two"):
        add(logs.stdout, text)
        sending.send()
    assert service.offsets == [0]
    assert logs.stdout.read_bytes() == b"one two"
    sending.end()
    assert sorted(path.name for path in logs.folder.iterdir()) == ["StdOutput"]


def test_secrets_do_not_leave_the_runner(logs: AttemptLogs, service: Service, upload: Upload) -> None:
    sending = upload(service)
    logs.write("the password is hunter2")
    sending.send()
    assert service.text("Activity.log").endswith(b" the password is *****\n")


def test_after_its_end_a_task_sends_nothing(logs: AttemptLogs, service: Service, upload: Upload) -> None:
    sending = upload(service)
    add(logs.stdout, b"one")
    sending.end()
    sending.send()
    assert service.offsets == []
