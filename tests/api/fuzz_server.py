"""A server in a process of its own, which requests of any kind are sent to, and the laws that hold for its answers."""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from api_service import ON_DEMAND, api_object, shell

from penstock.cli.credentials import FILE, read_credentials
from penstock.wire.json_protocol import decode_output
from penstock.wire.model import ServiceModel
from penstock.wire.sigv4 import Credentials, sign

PENSTOCK = Path(sys.executable).with_name("penstock")
SLOWEST = 8.0  # seconds for one answer, on a machine that does other things as well
LEAK = re.compile(rb'Traceback|File \\?"|site-packages|/penstock/[a-z_]+/[a-z_]+\.py|\.py", line')
SCHEDULED = [
    {"id": "Default", "scheduleType": "cron", "schedule": {"ref": "S"}, "failureAndRerunMode": "cascade"},
    {"id": "S", "type": "Schedule", "period": "1 day", "startAt": "FIRST_ACTIVATION_DATE_TIME"},
]
SLOTS = ("empty", "errored", "pending", "scheduled", "waiting", "running", "finished", "inactive")


class FuzzServer:
    """`penstock server`, with pipelines in every state; `names` are what exists now."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder, self.data = folder, folder / "data"
        (folder / "penstock.toml").write_text("[engine]\nretry_delay = 0\nlong_poll = 0.02\n", encoding="utf-8")
        self.log = folder / "server.log"
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "PENSTOCK_"))}
        command = [PENSTOCK, "server", "--port", "0", "--no-runner", "--data-dir", self.data]
        command += ["--config", folder / "penstock.toml", *options]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [str(part) for part in command], stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment
            )
        try:
            self._begin()
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise

    def _begin(self) -> None:
        """Wait until it serves, and make a pipeline for each state."""
        self.endpoint = self._started()
        found = read_credentials(self.data / FILE)
        assert found is not None
        self.credentials: Credentials = found
        self.connection = self._connect()
        self.seen: Counter[str] = Counter()
        self.memory: list[tuple[int, int]] = []
        self.slowest = (0.0, "")
        self.names: dict[str, Any] = {}
        self.made = 0
        for slot in SLOTS:
            self.renew(slot)
        self.names["key"] = self.ok("Penstock.CreateKey", role="runner", name="a key")["accessKeyId"]

    def _started(self) -> str:
        deadline = time.monotonic() + 30
        while not (found := re.search(r"Penstock serves (\S+) from", self.log.read_text(encoding="utf-8"))):
            assert self.process.poll() is None and time.monotonic() < deadline, self.log.read_text(encoding="utf-8")
            time.sleep(0.01)
        return found[1]

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(urlsplit(self.endpoint).netloc, timeout=4 * SLOWEST)

    def signed(self, target: str, body: bytes, method: str = "POST", path: str = "/") -> dict[str, str]:
        """The headers of a request."""
        return sign(
            method,
            self.endpoint + path,
            {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1"},
            body,
            self.credentials,
            region="us-east-1",
            service="penstock" if target.startswith("Penstock.") else "datapipeline",
            now=datetime.now(UTC),
        )

    def send(self, target: str, body: bytes, model: ServiceModel | None = None) -> tuple[str, Any]:
        """Send any body and hold the answer to the laws; the code (`200` where there is none) and the document."""
        started = time.monotonic()
        try:
            self.connection.request("POST", "/", body, self.signed(target, body))
            response = self.connection.getresponse()
            content = response.read()
        except (http.client.HTTPException, OSError) as error:
            self.connection.close()
            self.connection = self._connect()
            raise AssertionError(f"{target} had no answer: {error!r}; {self.complaints()}") from error
        seconds = time.monotonic() - started
        self.slowest = max(self.slowest, (seconds, target))
        assert seconds < SLOWEST, (target, seconds)
        document = self.lawful(response.status, {k.lower(): v for k, v in response.getheaders()}, content)
        code = str(document["__type"]) if response.status >= 400 else "200"
        if response.status == 200 and model is not None:
            decode_output(model, target.partition(".")[2], content)
        self.seen[code] += 1
        if sum(self.seen.values()) % 100 == 0:
            self.memory.append((sum(self.seen.values()), self.resident()))
        return code, document

    def lawful(self, status: int, headers: dict[str, str], content: bytes) -> Any:
        """The document of an answer that is as every answer must be."""
        assert status in (200, 400, 403, 408, 413, 431), (status, content[:500], self.complaints())
        assert headers["x-amzn-requestid"]
        assert headers["content-type"] == "application/x-amz-json-1.1"
        assert not LEAK.search(content), content[:2000]
        assert str(self.folder).encode() not in content
        document = json.loads(content)
        assert type(document) is dict
        if status >= 400:
            assert set(document) == {"__type", "message"}, document
            assert headers["x-amzn-errortype"] == document["__type"]
        return document

    def ok(self, target: str, **members: Any) -> Any:
        """The answer to a request that must do."""
        code, document = self.send(target, json.dumps(members).encode())
        assert code == "200", (target, members, document)
        return document

    def call(self, operation: str, **members: Any) -> Any:
        """The answer to an operation of Data Pipeline that must do."""
        return self.ok(f"DataPipeline.{operation}", **members)

    def renew(self, slot: str) -> None:
        """Make the pipeline of a state anew."""
        if slot in self.names:
            self.send("DataPipeline.DeletePipeline", json.dumps({"pipelineId": self.names[slot]}).encode())
        self.made += 1
        group = f"group-{slot}-{self.made}"
        name = {"name": f"a {slot} one", "uniqueId": str(self.made)}
        pipeline_id = self.names[slot] = self.call("CreatePipeline", **name)["pipelineId"]
        if slot == "empty":
            return
        objects = list(SCHEDULED) if slot == "scheduled" else [ON_DEMAND]
        objects = [*objects, {"id": "In", "type": "S3DataNode", "filePath": "s3://b/#{@scheduledStartTime}"}]
        objects.append(
            shell("A", group, input={"ref": "In"}, my_list=["a", "b"], _x="#{name}", **{"*myToken": "secret"})
        )
        objects.append(shell("B", group, dependsOn={"ref": "A"}, period="x") if slot == "errored" else shell("B", "g"))
        self.call("PutPipelineDefinition", pipelineId=pipeline_id, pipelineObjects=[api_object(o) for o in objects])
        if slot in ("errored", "pending"):
            return
        self.call("ActivatePipeline", pipelineId=pipeline_id)
        if slot in ("running", "finished"):
            for worker_group in (group, "g"):
                task = self.call("PollForTask", workerGroup=worker_group)["taskObject"]
                if slot == "finished":
                    self.call("SetTaskStatus", taskId=task["taskId"], taskStatus="FINISHED")
                else:
                    self.names["task"], self.names["attempt"] = task["taskId"], task["attemptId"]
        if slot == "inactive":
            self.call("DeactivatePipeline", pipelineId=pipeline_id)
        found = self.call("QueryObjects", pipelineId=pipeline_id, sphere="INSTANCE")["ids"]
        self.names["instance"] = found[0]
        self.names["group"] = group

    def heal(self) -> None:
        """Make anew what was deleted, and now and then one that changed its state."""
        for slot in SLOTS:
            document = json.dumps({"pipelineIds": [self.names[slot]]}).encode()
            if self.send("DataPipeline.DescribePipelines", document)[0] != "200":
                self.renew(slot)
        self.renew(SLOTS[self.made % len(SLOTS)])

    def resident(self) -> int:
        """The memory of the server, in KiB."""
        status = Path(f"/proc/{self.process.pid}/status")
        if not status.exists():  # outside Linux
            return 0
        return int(next(line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmRSS")))

    def complaints(self) -> str:
        """What the server's log has beyond its greeting."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-3000:]

    def well(self) -> None:
        """Whether the server lives, has nothing to complain about, and answers."""
        assert self.process.poll() is None, self.complaints()
        log = self.log.read_text(encoding="utf-8", errors="replace")
        assert "Traceback" not in log and "ERROR" not in log, log[-6000:]
        connection = self._connect()
        connection.request("GET", "/health")
        assert json.loads(connection.getresponse().read()) == {"status": "ok"}
        connection.close()
        assert "pipelineIdList" in self.call("ListPipelines")

    def stop(self) -> None:
        """End the server."""
        self.connection.close()
        self.process.terminate()
        self.process.wait(20)

    def report(self, show: Callable[[str], Any]) -> None:
        """What came of it all."""
        total = sum(self.seen.values())
        show(f"{total:,} requests, answers: {dict(self.seen.most_common())}; slowest {self.slowest}")
        if self.memory:
            warm = next(rss for count, rss in self.memory if count >= total * 0.2)
            show(f"memory after a fifth {warm // 1024} MB, at the end {self.resident() // 1024} MB")
