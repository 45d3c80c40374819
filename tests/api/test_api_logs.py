"""WriteLog, ReadLog and ListLogs: task runners send logs, everybody else reads them."""

from __future__ import annotations

import gzip
import shutil
from importlib.resources import files
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from api_service import ON_DEMAND, Api, code_of, shell

from penstock.api import logs as api_logs
from penstock.cli.credentials import penstock_client
from penstock.data.file_names import log_uri, task_mark
from penstock.settings import SettingsError, load_settings
from penstock.wire.errors import ServiceError


class Case:
    """An activity that runs, and its logs."""

    def __init__(self, api: Api, group: str, component: str = "Load", **default: str) -> None:
        self.api = api
        self.pipeline_id = api.activated(ON_DEMAND | default, shell(component, group))
        task = api.poll(group)
        self.component = component
        self.task_id: str = task["taskId"]
        self.attempt: str = task["attemptId"]
        self.instance = self.attempt.rpartition("_Attempt=")[0]

    @property
    def folder(self) -> Path:
        return self.api.service.application.logs.folder(self.pipeline_id, self.attempt)

    def write(self, content: bytes, offset: int = 0, name: str = "StdOutput", **other: Any) -> dict[str, Any]:
        sent: dict[str, Any] = {"taskId": self.task_id, "name": name, "offset": offset, "content": content} | other
        return self.api.own.call("WriteLog", **sent)

    def read(self, name: str = "StdOutput", **other: Any) -> dict[str, Any]:
        asked = {"pipelineId": self.pipeline_id, "objectId": self.instance, "name": name} | other
        return self.api.own.call("ReadLog", **asked)

    def list(self) -> dict[str, Any]:
        return self.api.own.call("ListLogs", pipelineId=self.pipeline_id, objectId=self.instance)

    def end(self, status: str = "FINISHED") -> None:
        self.api.boto.set_task_status(taskId=self.task_id, taskStatus=status)

    def put(self, name: str, content: bytes) -> str:
        uri = log_uri("s3://bucket/logs", self.pipeline_id, self.component, self.instance, self.attempt)
        with self.api.service.application.logs.storage.create(f"{uri}/{name}.gz") as stream:
            stream.write(gzip.compress(content))
        return f"{uri}/"


@pytest.fixture
def case(api: Api, group: str) -> Case:
    return Case(api, group)


def test_what_a_task_runner_sends_is_read_back(case: Case) -> None:
    assert case.write(b"one\n\xff") == {"size": 5, "isMoreWanted": True, "isThere": False}
    assert case.read() == {
        "attemptId": case.attempt,
        "content": b"one\n\xff",
        "size": 5,
        "nextOffset": 5,
        "isComplete": False,
    }
    assert case.write(b"two", offset=5)["size"] == 8
    assert case.read(offset=5)["content"] == b"two"
    assert case.read(offset=1, limit=2)["content"] == b"ne"
    case.end()
    assert case.read(offset=1, limit=2)["isComplete"] is False
    assert case.read(offset=5)["isComplete"] is True
    listed = case.list()
    assert listed == {"attemptId": case.attempt, "isEnded": True, "logs": [{"name": "StdOutput", "size": 8}]}


def test_boto3_reads_logs_with_the_model_of_the_package(case: Case) -> None:
    case.write(b"one\n\xff")
    session = botocore.session.Session()
    session.get_component("data_loader").search_paths.append(str(files("penstock") / "models"))
    credentials = case.api.credentials
    client = session.create_client(
        "penstock",
        "us-east-1",
        endpoint_url=case.api.endpoint,
        aws_access_key_id=credentials.access_key,
        aws_secret_access_key=credentials.secret_key,
    )
    answer = client.read_log(pipelineId=case.pipeline_id, objectId=case.attempt, name="StdOutput")
    assert (answer["content"], answer["nextOffset"], answer["isComplete"]) == (b"one\n\xff", 5, False)
    written = client.write_log(taskId=case.task_id, name="StdError", offset=0, content=b"x" * 1_048_576)
    assert written["size"] == 1_048_576


def test_before_anything_is_sent_there_is_nothing_yet(case: Case) -> None:
    answer = case.read()
    assert (answer["content"], answer["nextOffset"], answer["isComplete"]) == (b"", 0, False)
    assert case.list()["logs"] == []


def test_an_empty_log_beside_others_is_complete_with_the_attempt(case: Case) -> None:
    case.write(b"one")
    case.end()
    answer = case.read("StdError")
    assert (answer["content"], answer["size"], answer["isComplete"]) == (b"", 0, True)


def test_an_instance_means_its_last_attempt(case: Case, group: str) -> None:
    case.write(b"first")
    case.api.boto.set_task_status(taskId=case.task_id, taskStatus="FAILED")
    case.api.boto.set_status(pipelineId=case.pipeline_id, objectIds=[case.instance], status="RERUN")
    first, case.task_id = case.attempt, case.api.poll(group)["taskId"]
    case.write(b"second")
    assert case.read()["content"] == b"second"
    assert case.read()["attemptId"] == f"{case.instance}_Attempt=2"
    assert case.read(objectId=first)["content"] == b"first"


def test_what_is_said_after_a_task_was_cancelled_is_waited_for(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    case.write(b"begun, ")
    case.api.boto.set_status(pipelineId=case.pipeline_id, objectIds=[case.instance], status="TRY_CANCEL")
    assert case.read()["isComplete"] is False
    assert case.write(b"stopped", offset=7)["size"] == 14
    monkeypatch.setattr(api_logs, "LAST_WORDS", -1)
    assert case.read()["isComplete"] is True
    assert case.read()["content"] == b"begun, stopped"


def test_only_who_holds_a_task_writes_its_logs(case: Case, api: Api) -> None:
    with pytest.raises(ServiceError, match="There is no task nothing") as error:
        case.write(b"", taskId="nothing")
    assert error.value.code == "TaskNotFoundException"
    other = penstock_client(api.endpoint, api.key(workerGroup="another-group"))
    with pytest.raises(ServiceError, match="may not work for the worker group") as error:
        other.call("WriteLog", taskId=case.task_id, name="StdOutput", offset=0, content=b"")
    assert error.value.code == "AccessDeniedException"
    runner = penstock_client(api.endpoint, api.key())
    assert runner.call("WriteLog", taskId=case.task_id, name="StdOutput", offset=0, content=b"x")["size"] == 1
    for operation in ("ReadLog", "ListLogs"):
        asked = {"pipelineId": case.pipeline_id, "objectId": case.attempt}
        with pytest.raises(ServiceError, match=f"may not {operation}"):
            runner.call(operation, **asked, **({"name": "StdOutput"} if operation == "ReadLog" else {}))
    for client in (other, runner):
        client.close()


def test_a_task_runner_in_the_same_data_directory_is_told_that_nothing_is_wanted(case: Case) -> None:
    case.folder.mkdir(parents=True)
    (case.folder / task_mark(case.task_id)).touch()
    (case.folder / "StdOutput").write_bytes(b"one two")
    assert case.write(b"one") == {"size": 3, "isMoreWanted": False, "isThere": True}
    assert case.read()["content"] == b"one two"


def test_a_log_that_lies_under_pipelineLogUri_only_is_read_from_there(api: Api, group: str) -> None:
    case = Case(api, group, pipelineLogUri="s3://bucket/logs/")
    uri = case.put("StdOutput", b"from storage")
    case.put("Activity.log", b"begun")
    running = case.read()
    assert (running["content"], running["isComplete"]) == (b"from storage", False)
    case.end()
    answer = case.read(offset=5)
    assert (answer["content"], answer["nextOffset"], answer["isComplete"]) == (b"storage", 12, True)
    assert "size" not in answer
    assert case.read("StdError")["content"] == b""
    listed = case.list()
    assert listed["logs"] == [{"name": "Activity.log"}, {"name": "StdOutput"}]
    assert listed["uri"] + "/" == uri


def test_logs_that_are_nowhere_are_told_with_the_place_where_they_were_looked_for(api: Api, group: str) -> None:
    case, stored = Case(api, group), Case(api, f"{group}-2", pipelineLogUri="s3://bucket/logs")
    for one, reason in (
        (case, "the pipeline has no pipelineLogUri"),
        (stored, "there is nothing under s3://bucket/logs/"),
    ):
        one.end("FAILED")
        for ask in (one.read, one.list):
            with pytest.raises(
                ServiceError, match=f"no logs of {one.attempt}: its task runner sent none, and {reason}"
            ):
                ask()


def test_an_attempt_that_finished_without_a_word_has_no_logs(case: Case) -> None:
    case.end()
    assert case.list()["logs"] == []
    assert (case.read()["content"], case.read()["isComplete"]) == (b"", True)


def test_a_log_uri_that_is_none_is_told(api: Api, group: str) -> None:
    case = Case(api, group, pipelineLogUri="gopher://logs")
    assert case.read()["content"] == b""
    case.end()
    for ask in (case.read, case.list):
        with pytest.raises(ServiceError, match="is not the URI of an S3 object"):
            ask()


def test_objects_without_logs_are_told(api: Api, case: Case, group: str) -> None:
    waiting = api.activated(ON_DEMAND, shell("First", f"{group}-2"), shell("Then", group, dependsOn={"ref": "First"}))
    instance = api.instance(waiting, "Then")
    with pytest.raises(ServiceError, match="as it was never tried: it is WAITING_ON_DEPENDENCIES"):
        case.read(pipelineId=waiting, objectId=instance)
    for wrong in ("Load", "../../x", f"{case.instance}_Attempt=7"):
        with pytest.raises(ServiceError, match="is no instance and no attempt of df-"):
            case.read(objectId=wrong)
    with pytest.raises(ServiceError, match="does not exist"):
        case.read(pipelineId="df-NONE")


def test_a_log_is_one_of_three_and_its_parts_are_bounded(case: Case) -> None:
    for wrong in ({"name": "../../credentials"}, {"offset": -1}, {"limit": 0}, {"limit": 2**20 + 1}):
        with pytest.raises(ServiceError) as error:
            case.read(**wrong)
        assert error.value.code == "ValidationException"
    with pytest.raises(ServiceError, match="length less than or equal to 1048576"):
        case.write(b"x" * (2**20 + 1))
    assert case.read(offset=2**63 - 1)["content"] == b""
    assert case.write(b"x", offset=2**63 - 1)["size"] == 0
    status = case.api.raw("Penstock.WriteLog", b'{"taskId": "t", "name": "StdOutput", "offset": 0, "content": "%%%"}')
    assert code_of(status) == "SerializationException"


def test_a_component_whose_id_is_a_path_has_its_logs_among_the_others(api: Api, group: str) -> None:
    case = Case(api, group, "../x")
    case.write(b"one")
    assert case.read()["content"] == b"one"
    assert (api.service.options.data_dir / "logs" / case.pipeline_id).is_dir()
    assert not (api.service.options.data_dir / "logs" / "x").exists()


def test_logs_that_cannot_be_written_or_read_are_told(case: Case) -> None:
    case.folder.parent.mkdir(parents=True)
    case.folder.write_text("this is no folder")
    with pytest.raises(ServiceError, match="cannot be kept: ") as error:
        case.write(b"one")
    assert error.value.status == 500
    with pytest.raises(ServiceError, match=r"The log StdOutput of .* cannot be read: Not a directory"):
        case.read()
    case.folder.unlink()
    assert case.write(b"one")["size"] == 3
    shutil.rmtree(case.folder)
    assert case.write(b"two", offset=3)["size"] == 0


def test_how_much_of_a_log_is_kept_is_a_setting(tmp_path: Path) -> None:
    config = tmp_path / "penstock.toml"
    config.write_text("[logs]\nkeep_bytes = 1000\n")
    assert load_settings(config).logs.keep_bytes == 1000
    for wrong, reason in (("1.5", "it must be a whole number"), ("-1", "must not be negative"), ("'x'", "a number")):
        config.write_text(f"[logs]\nkeep_bytes = {wrong}\n")
        with pytest.raises(SettingsError, match=f"'logs.keep_bytes' .*{reason}"):
            load_settings(config)
