"""`penstock logs` and `penstock runners`: what they print, and how logs are followed."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from penstock_command import Server, Shell

from penstock.cli.connection import Named
from penstock.cli.logs import Wanted, follow_logs, show_logs
from penstock.definition.api_form import definition_to_api
from penstock.definition.file_form import definition_of
from penstock.wire.errors import ServiceError

ON_DEMAND = {"id": "Default", "scheduleType": "ondemand", "failureAndRerunMode": "cascade", "maximumRetries": "0"}
NAMES = ("Activity.log", "StdOutput", "StdError")
FIRST, SECOND = "@Load_1_Attempt=1", "@Load_1_Attempt=2"


class Scene:
    """A service with one pipeline; `then` are what happens while nobody reads, one thing for each pause."""

    def __init__(self) -> None:
        self.client = self.own = self
        self.logs: dict[tuple[str, str], bytes] = {}
        self.statuses: dict[str, str] = {}
        self.begun: list[str] = []
        self.refused: dict[str, str] = {}
        self.then: list[Callable[[], object]] = []

    def begin(self, attempt: str) -> None:
        self.begun.append(attempt)
        self.statuses[attempt.rpartition("_Attempt")[0]] = self.statuses[attempt] = "RUNNING"

    def end(self, attempt: str, *, is_over: bool = True) -> None:
        self.statuses[attempt] = "FINISHED"
        if is_over:
            self.statuses[attempt.rpartition("_Attempt")[0]] = "FINISHED"

    def say(self, text: bytes, attempt: str = FIRST, name: str = "StdOutput") -> None:
        self.logs[attempt, name] = self.logs.get((attempt, name), b"") + text

    def sleep(self, seconds: float) -> None:
        self.then.pop(0)()

    def call(self, operation: str, **asked: Any) -> dict[str, Any]:
        answer: dict[str, Any] = getattr(self, f"_{operation}")(**asked)
        return answer

    def _DescribeObjects(self, objectIds: list[str], **_: Any) -> dict[str, Any]:
        return {"pipelineObjects": [self._fields(identity) for identity in objectIds]}

    def _fields(self, identity: str) -> dict[str, Any]:
        last = [attempt for attempt in self.begun if attempt.startswith(identity + "_Attempt")][-1:]
        fields = {"@status": self.statuses.get(identity, "WAITING_FOR_RUNNER")}
        fields |= {"@sphere": "ATTEMPT" if "_Attempt" in identity else "INSTANCE"}
        fields |= {"@headAttempt": last[0]} if last else {}
        return {"id": identity, "fields": [{"key": key, "stringValue": value} for key, value in fields.items()]}

    def _QueryObjects(self, **_: Any) -> dict[str, Any]:
        return {"ids": [identity for identity in self.statuses if "_Attempt" not in identity]}

    def _DescribeProgress(self, **_: Any) -> dict[str, Any]:
        working = sum(self.statuses[attempt] == "RUNNING" for attempt in self.begun)
        return {"working": working, "due": 0, "retrying": 0}

    def _ListEvents(self, after: int, **_: Any) -> dict[str, Any]:
        events = [
            {"sequence": number, "sphere": "ATTEMPT", "verb": "take", "objectId": attempt}
            for number, attempt in enumerate(self.begun, 1)
        ]
        return {"events": events[after : after + 2], "hasMoreResults": len(events) > after + 2}

    def _ListLogs(self, objectId: str, **_: Any) -> dict[str, Any]:
        self._check(objectId)
        return {"attemptId": objectId, "logs": [{"name": name} for at, name in self.logs if at == objectId]}

    def _ReadLog(self, objectId: str, name: str, offset: int, **_: Any) -> dict[str, Any]:
        self._check(objectId)
        whole = self.logs.get((objectId, name), b"")
        content = whole[offset : offset + 8]
        end = offset + len(content)
        is_complete = self.statuses.get(objectId) != "RUNNING" and end == len(whole)
        return {"content": content, "nextOffset": end, "isComplete": is_complete}

    def _check(self, identity: str) -> None:
        if identity in self.refused:
            raise ServiceError("InvalidRequestException", self.refused[identity])


@pytest.fixture
def scene() -> Scene:
    made = Scene()
    made.begin(FIRST)
    return made


def wanted(*ids: str, names: tuple[str, ...] = NAMES, as_json: bool = False) -> Wanted:
    return Wanted(Named("df-1", "sales"), ids, names, as_json)


Follow = Callable[..., str]


@pytest.fixture
def follow(scene: Scene, capfdbinary: pytest.CaptureFixture[bytes]) -> Follow:
    def run(*ids: str, **more: Any) -> str:
        service: Any = SimpleNamespace(client=scene, own=scene)
        follow_logs(service, wanted(*ids, **more), scene.sleep)
        assert scene.then == []
        return capfdbinary.readouterr().out.decode()

    return run


def test_what_comes_is_printed_until_the_attempt_has_ended(scene: Scene, follow: Follow) -> None:
    scene.say(b"one\n")
    scene.then = [lambda: scene.say(b"two\nthree, which is long\n"), lambda: scene.end(FIRST)]
    assert follow("@Load_1", names=("StdOutput",)) == "one\ntwo\nthree, which is long\n"


def test_lines_of_several_logs_are_not_mixed(scene: Scene, follow: Follow) -> None:
    def more() -> None:
        scene.say(b"e\n")
        scene.end(FIRST)

    scene.say(b"on")
    scene.say(b"oops\n", name="StdError")
    scene.then = [more]
    assert follow("@Load_1") == f"==> {FIRST} StdError <==\noops\n==> {FIRST} StdOutput <==\none\n"


def test_a_last_line_that_is_not_ended_is_printed_with_the_end(scene: Scene, follow: Follow) -> None:
    scene.say(b"the end")
    scene.then = [lambda: scene.end(FIRST)]
    assert follow("@Load_1", names=("StdOutput",)) == "the end\n"


def test_an_instance_is_followed_through_its_attempts(scene: Scene, follow: Follow) -> None:
    def again() -> None:
        scene.begin(SECOND)
        scene.say(b"again\n", SECOND)

    scene.say(b"first\n")
    scene.then = [lambda: scene.end(FIRST, is_over=False), again, lambda: scene.end(SECOND)]
    assert follow("@Load_1", names=("StdOutput", "StdError")) == (
        f"==> {FIRST} StdOutput <==\nfirst\n==> {SECOND} StdOutput <==\nagain\n"
    )


def test_an_attempt_is_followed_to_its_own_end(scene: Scene, follow: Follow) -> None:
    scene.then = [lambda: scene.end(FIRST, is_over=False)]
    assert follow(FIRST) == ""


def test_an_instance_that_waits_is_waited_for(scene: Scene, follow: Follow) -> None:
    def begin() -> None:
        scene.begin("@Late_1_Attempt=1")
        scene.say(b"late\n", "@Late_1_Attempt=1")

    scene.then = [begin, lambda: scene.end("@Late_1_Attempt=1")]
    assert follow("@Late_1", names=("StdOutput",)) == "late\n"


def test_of_a_pipeline_what_runs_and_what_begins_is_followed(scene: Scene, follow: Follow) -> None:
    def quick() -> None:  # begins and ends between two looks
        scene.begin("@Quick_1_Attempt=1")
        scene.say(b"quick\n", "@Quick_1_Attempt=1")
        scene.end("@Quick_1_Attempt=1")

    scene.begin("@Old_1_Attempt=1")
    scene.say(b"old\n", "@Old_1_Attempt=1")
    scene.end("@Old_1_Attempt=1")
    scene.say(b"running\n")
    scene.then = [quick, lambda: scene.end(FIRST)]
    assert follow(names=("StdOutput",)) == (
        f"==> {FIRST} StdOutput <==\nrunning\n==> @Quick_1_Attempt=1 StdOutput <==\nquick\n"
    )


def test_a_pipeline_in_which_nothing_runs_is_not_waited_for(scene: Scene, follow: Follow) -> None:
    scene.say(b"over\n")
    scene.end(FIRST)
    assert follow() == ""


def test_followed_logs_are_json_lines_if_that_is_asked_for(scene: Scene, follow: Follow) -> None:
    scene.say("one ü\n".encode())
    scene.then = [lambda: scene.end(FIRST)]
    lines = [json.loads(line) for line in follow("@Load_1", as_json=True).splitlines()]
    assert lines == [{"attempt": FIRST, "name": "StdOutput", "text": "one ü\n"}]


def test_an_attempt_without_logs_is_told_once(
    scene: Scene, follow: Follow, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    scene.refused = {FIRST: "The service has no logs of it."}
    scene.end(FIRST)
    service: Any = SimpleNamespace(client=scene, own=scene)
    follow_logs(service, wanted("@Load_1"), scene.sleep)
    assert capfdbinary.readouterr().err == b"penstock: The service has no logs of it.\n"


def test_one_attempt_without_logs_does_not_keep_those_of_the_pipeline(
    scene: Scene, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    scene.begin("@Other_1_Attempt=1")
    scene.say(b"other", "@Other_1_Attempt=1")
    scene.refused = {FIRST: "The service has no logs of it."}
    for attempt in list(scene.begun):
        scene.end(attempt)
    service: Any = SimpleNamespace(client=scene, own=scene)
    show_logs(service, wanted())
    printed = capfdbinary.readouterr()
    assert printed.out == b"==> @Other_1_Attempt=1 StdOutput <==\nother\n"
    assert printed.err == b"penstock: The service has no logs of it.\n"
    with pytest.raises(ServiceError):
        show_logs(service, wanted(FIRST))


def test_logs_of_a_task_runner_elsewhere_are_followed_and_printed(
    shell: Shell, start_server: Callable[..., Server]
) -> None:
    server = start_server()
    environment = server.environment | {"PENSTOCK_DATA_DIR": "nowhere"}
    runner = shell.start("runner", "--worker-group", "there", "--data-dir", "own", environment=server.environment)
    client = server.client()
    go = shell.folder / "go"
    command = f"echo begun; while ! test -e {go}; do sleep 0.05; done; printf done; echo oops >&2"
    objects = [ON_DEMAND, {"id": "Load", "type": "ShellCommandActivity", "command": command, "workerGroup": "there"}]
    pipeline_id = client.create_pipeline(name="sales", uniqueId="1")["pipelineId"]
    client.put_pipeline_definition(pipelineId=pipeline_id, **definition_to_api(definition_of({"objects": objects})))
    client.activate_pipeline(pipelineId=pipeline_id)
    following = shell.start("logs", "sales", "-f", environment=environment)
    interrupted = shell.start("logs", "sales", "-f", "--stdout", environment=environment)
    interrupted.wait_for("begun", where="out")
    interrupted.send(signal.SIGINT)
    ended = interrupted.end()
    assert (ended.status, ended.err) == (130, "")
    (runners,) = [
        entry
        for entry in shell.run("runners", "--json", environment=environment).json()["runners"]
        if entry["workerGroups"] == ["there"]
    ]
    attempt = runners["tasks"][0]["attemptId"]
    following.wait_for(f"==> {attempt} StdOutput <==\nbegun\n", where="out")
    go.touch()
    whole = following.end()
    assert whole.status == 0, whole.err
    assert f"==> {attempt} StdError <==\noops\n" in whole.out
    assert "Ended with FINISHED\n" in whole.out
    instance = attempt.rpartition("_Attempt=")[0]
    printed = shell.run("logs", instance, "--pipeline", "sales", environment=environment)
    assert printed.out.endswith(f"==> {attempt} StdOutput <==\nbegun\ndone\n==> {attempt} StdError <==\noops\n")
    only = ("logs", "sales", instance, "--attempt", 1, "--stdout")
    assert shell.run(*only, environment=environment).out == "begun\ndone\n"
    found = shell.run("logs", "sales", "--json", environment=environment).json()
    assert [entry["attempt"] for entry in found["attempts"]] == [attempt]
    assert sorted(found["attempts"][0]["files"]) == sorted(NAMES)
    table = shell.run("runners", environment=environment).out
    assert table.splitlines()[0].split() == ["hostname", "worker", "groups", "last", "seen", "(UTC)", "key", "holds"]
    shutil.rmtree(shell.data / "logs")
    missing = shell.run("logs", "sales", instance, environment=environment)
    assert (missing.status, missing.out) == (0, "")
    assert missing.err == f"{attempt} has left no logs.\n"
    assert not (shell.folder / "nowhere").exists()
    for process in (runner, server.running):
        process.send(signal.SIGTERM)
    assert runner.end().status == 0


def test_arguments_of_logs_that_do_not_fit_are_told(shell: Shell, start_server: Callable[..., Server]) -> None:
    server = start_server("--no-runner")
    pipeline_id = server.client().create_pipeline(name="sales", uniqueId="1")["pipelineId"]

    def refused(*arguments: object) -> str:
        done = shell.run_here("logs", *arguments, environment=server.environment)
        assert (done.status, done.out) == (1, "")
        return done.err

    assert "Which pipeline is @Load_1 of? Put its name" in refused("@Load_1")
    assert f"'Load' is no id of an instance, which begin with '@': `penstock runs {pipeline_id}`" in refused(
        "sales", "Load"
    )
    assert "--attempt is about one instance or several" in refused("sales", "--attempt", 2)
    assert "@Load_1_Attempt=1 is an attempt itself" in refused("sales", "@Load_1_Attempt=1", "--attempt", 2)
