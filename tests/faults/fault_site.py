"""Servers and task runners as processes that a test may kill, stop and start again, as a supervisor would."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from penstock.cli.credentials import data_pipeline_client, penstock_client, read_credentials
from penstock.definition.api_form import definition_to_api
from penstock.definition.file_form import definition_of
from penstock.wire.client import Client, ConnectionFailed
from penstock.wire.errors import ServiceError

SECONDS = float(os.environ.get("PENSTOCK_FAULTS_SECONDS", "0"))
GROUP = "there"
MASTER_KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
by_hand = pytest.mark.by_hand
LEASE, ACKNOWLEDGE, REPORT = 3.0, 2.0, 0.3
SETTINGS = f"""[engine]
retry_delay = 0
acknowledge_within = {ACKNOWLEDGE}
lease = {LEASE}
system_lease = 2
long_poll = 2
[runner]
report = {REPORT}
answer_within = 2
"""
LONGEST = 60.0


def until(condition: Callable[[], Any], what: str, within: float = LONGEST) -> Any:
    """Wait until the condition gives something, and give that."""
    deadline = time.monotonic() + within
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {within:g} seconds: {what}"
        time.sleep(0.02)
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Site:
    """A folder with a data directory, and the processes that work in it; they are told by their home folder."""

    folder: Path
    settings: str = SETTINGS
    environment: dict[str, str] = field(default_factory=dict)
    arguments: dict[str, list[str]] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    before: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.data = self.folder / "data"
        self.home = self.folder / f"home-{uuid.uuid4().hex}"
        self.home.mkdir(parents=True)
        self.config = self.folder / "penstock.toml"
        self.config.write_text(self.settings, encoding="utf-8")
        self.ports: dict[str, int] = {}
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "PENSTOCK_", "COV_"))}
        self.environment = kept | {"HOME": str(self.home)} | self.environment

    def server(self, name: str = "server", *more: str, data: Path | None = None) -> str:
        """Start a server and wait until it answers; gives its endpoint."""
        port = self.ports.setdefault(name, free_port())
        given = ["server", "--port", str(port), "--data-dir", str(data or self.data), "--config", str(self.config)]
        self.arguments[name] = [*given, *more]
        self.start(name)
        return f"http://127.0.0.1:{port}"

    def runner(
        self, name: str = "runner", endpoint: str | None = None, tasks: int = 3, data: Path | None = None
    ) -> None:
        """Start a task runner."""
        given = ["runner", "--worker-group", GROUP, "--tasks", str(tasks), "--config", str(self.config)]
        given += ["--endpoint", endpoint or self.endpoint(), "--data-dir", str(data or self.folder / name)]
        self.arguments[name] = given
        self.start(name)

    def endpoint(self, name: str = "server") -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    def start(self, name: str) -> None:
        """Start a process again as it was started before; a server must answer."""
        key = {} if self.arguments[name][0] == "server" else {"AWS_SHARED_CREDENTIALS_FILE": self.credentials_file()}
        with self.log(name).open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [*self.before, sys.executable, "-m", "penstock", *self.arguments[name]],
                env=self.environment | key,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
            )
        if name in self.ports:
            until(lambda: self._answers(name), f"{name} answers; it says {self.said(name)[-2000:]}")

    def _answers(self, name: str) -> bool:
        process = self.processes[name]
        assert process.poll() is None, f"{name} has ended: {self.said(name)[-3000:]}"
        try:
            with socket.create_connection(("127.0.0.1", self.ports[name]), 1) as connection:
                connection.sendall(b"GET /health HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
                return b"200" in connection.recv(100)
        except OSError:
            return False

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def said(self, name: str) -> str:
        """Everything that a process has printed."""
        return self.log(name).read_text(errors="replace") if self.log(name).exists() else ""

    def kill(self, *names: str) -> None:
        """kill -9."""
        for name in names:
            self.processes[name].kill()
        for name in names:
            self.processes[name].wait()

    def credentials_file(self) -> str:
        """The file of the first server that was started, or of its data directory."""
        return str(self.data / "credentials")

    def _key(self) -> Any:
        return read_credentials(Path(self.credentials_file()))

    def client(self, endpoint: str | None = None) -> Client:
        return data_pipeline_client(endpoint or self.endpoint(), self._key())

    def own_client(self, endpoint: str | None = None) -> Client:
        return penstock_client(endpoint or self.endpoint(), self._key())

    def call(self, operation: str, within: float = LONGEST, client: Client | None = None, **given: Any) -> Any:
        """Call an operation, again while the service is away."""
        made = client or self.client()

        def once() -> Any:
            try:
                return (made.call(operation, _timeout=10.0, **given),)
            except ConnectionFailed:
                return None
            except ServiceError as error:
                if error.status < 500:
                    raise
                return None

        try:
            return until(once, operation, within)[0]
        finally:
            if client is None:
                made.close()

    def activated(self, objects: Iterable[Mapping[str, Any]], name: str = "a pipeline") -> str:
        """A pipeline that runs."""
        pipeline_id: str = self.call("CreatePipeline", name=name, uniqueId=uuid.uuid4().hex)["pipelineId"]
        form = definition_to_api(definition_of({"objects": list(objects)}))
        answer = self.call("PutPipelineDefinition", pipelineId=pipeline_id, **form)
        assert not answer["errored"], answer
        self.call("ActivatePipeline", pipelineId=pipeline_id)
        return pipeline_id

    def state(self, pipeline_id: str) -> str:
        described = self.call("DescribePipelines", pipelineIds=[pipeline_id])["pipelineDescriptionList"][0]
        return next(entry["stringValue"] for entry in described["fields"] if entry["key"] == "@pipelineState")

    def objects(self, pipeline_id: str, sphere: str) -> list[dict[str, str]]:
        """The fields of all instances or attempts."""
        found: list[dict[str, str]] = []
        marker: dict[str, str] = {}
        while True:
            page = self.call("QueryObjects", pipelineId=pipeline_id, sphere=sphere, limit=25, **marker)
            if page["ids"]:
                described = self.call("DescribeObjects", pipelineId=pipeline_id, objectIds=page["ids"])
                for obj in described["pipelineObjects"]:
                    fields = {f["key"]: f.get("stringValue", f.get("refValue", "")) for f in obj["fields"]}
                    found.append(fields | {"id": obj["id"]})
            if not page.get("hasMoreResults"):
                return found
            marker = {"marker": page["marker"]}

    def statuses(self, pipeline_id: str) -> dict[str, str]:
        """The status of each instance, by its id."""
        return {fields["id"]: fields["@status"] for fields in self.objects(pipeline_id, "INSTANCE")}

    def marked(self) -> dict[int, str]:
        """All processes with this site's mark in their environment, by id, with their command lines."""
        found = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    if str(self.home).encode() in (entry / "environ").read_bytes():
                        line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                        found[int(entry.name)] = line
                except OSError:
                    pass
        return found

    def resource_runners(self) -> list[int]:
        """The task runners that host resources."""
        return [pid for pid, line in self.marked().items() if " --embedded " in line]

    def kill_resource_runners(self) -> int:
        """kill -9; gives how many there were."""
        pids = self.resource_runners()
        for pid in pids:
            end_process(pid)
        return len(pids)

    def leftovers(self) -> dict[int, str]:
        """What runs that is neither a server nor a runner of ours."""
        own = {process.pid for process in self.processes.values() if process.poll() is None}
        return {pid: line for pid, line in self.marked().items() if pid not in own}

    def end(self) -> None:
        """End everything as its user would; nothing may be left over."""
        try:
            for process in self.processes.values():
                if process.poll() is None:
                    process.send_signal(signal.SIGCONT)
                    process.send_signal(signal.SIGTERM)
            for name, process in self.processes.items():
                assert process.wait(LONGEST) in (0, 1, -9, 130, 143), f"{name}: {self.said(name)[-2000:]}"
            until(lambda: not self.marked(), "nothing is left over", 20)
        finally:
            for process in self.processes.values():
                process.kill()
            for pid in self.marked():
                end_process(pid)


def end_process(pid: int) -> None:
    """kill -9 of a process that may have ended already."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
