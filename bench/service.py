"""The service beside moto's server, which people start today to have AWS Data Pipeline's API: rates and latencies.

    python bench/service.py [SECONDS] [--store URL] [--moto PATH]

Each operation is asked for SECONDS (2) with one connection, for the latency, and with eight, for the rate, by a client
that signs before it measures and then only writes and reads bytes. Penstock verifies every signature, checks every
limit and commits durably; moto does none of these and forgets all when it ends. moto has no PollForTask, so an empty
poll is held beside moto's fastest read. At last 500 long polls wait at once: memory and processor time of the server.
PATH is the moto_server to run (`pip install 'moto[server]'`; the one on PATH or beside this Python, if not given).
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import os
import re
import selectors
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from penstock.cli.credentials import read_credentials
from penstock.wire.sigv4 import Credentials, sign

PENSTOCK = str(Path(sys.executable).with_name("penstock"))
CONNECTIONS = 8
POLLS = 500
READS = ("DescribeObjects", "ListPipelines", "PollForTask")
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Server:
    """A server under test: where it listens, what signs, and its process."""

    port: int
    credentials: Credentials
    process: int

    def request(self, operation: str, **parameters: Any) -> bytes:
        """The bytes of a signed request."""
        body = json.dumps(parameters).encode()
        headers = {"X-Amz-Target": f"DataPipeline.{operation}", "Content-Type": "application/x-amz-json-1.1"}
        url = f"http://127.0.0.1:{self.port}/"
        signed = sign(
            "POST",
            url,
            headers,
            body,
            self.credentials,
            region="us-east-1",
            service="datapipeline",
            now=datetime.now(UTC),
        )
        lines = [f"{name}: {value}" for name, value in signed.items()]
        return "\r\n".join(("POST / HTTP/1.1", *lines, f"Content-Length: {len(body)}", "", "")).encode() + body

    def call(self, operation: str, **parameters: Any) -> Any:
        """The answer to one request."""
        (answer,) = exchange(self.port, [self.request(operation, **parameters)], 1).answers
        return json.loads(answer.partition(b"\r\n\r\n")[2])


@dataclass(frozen=True)
class Exchange:
    """What came of many requests: latencies in seconds, how long it took in all, and the last answers."""

    latencies: list[float]
    seconds: float
    answers: list[bytes]

    @property
    def rate(self) -> float:
        """Requests a second."""
        return len(self.latencies) / self.seconds


@dataclass
class _Connection:
    socket: socket.socket
    started: float = 0.0
    received: bytes = b""


def exchange(port: int, requests: list[bytes], connections: int, seconds: float | None = None) -> Exchange:
    """Send the requests in turn, each connection one at a time; with `seconds`, again and again for so long."""
    source = itertools.cycle(requests) if seconds is not None else iter(requests)
    latencies: list[float] = []
    answers: list[bytes] = []
    clock = time.perf_counter
    with selectors.DefaultSelector() as selector:

        def send(connection: _Connection) -> bool:
            request = next(source, None)
            if request is None or (seconds is not None and clock() - began > seconds):
                return False
            connection.received, connection.started = b"", clock()
            connection.socket.sendall(request)
            return True

        def connect() -> _Connection:
            made = _Connection(socket.create_connection(("127.0.0.1", port)))
            made.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(made.socket, selectors.EVENT_READ, made)
            return made

        def close(connection: _Connection) -> None:
            selector.unregister(connection.socket)
            connection.socket.close()

        began = clock()
        for _ in range(min(connections, len(requests)) if seconds is None else connections):
            send(connect())
        while selector.get_map():
            for key, _ in selector.select():
                connection: _Connection = key.data
                part = connection.socket.recv(1 << 20)
                connection.received += part
                if part and not _is_whole(connection.received):
                    continue
                latencies.append(clock() - connection.started)
                if not connection.received.startswith((b"HTTP/1.1 200", b"HTTP/1.0 200")):
                    raise SystemExit(f"the server answered {connection.received[:600]!r}")
                answers = [connection.received]
                if (
                    not part
                    or connection.received.startswith(b"HTTP/1.0")
                    or b"onnection: close" in connection.received
                ):
                    close(connection)
                    connection = connect()
                if not send(connection):
                    close(connection)
        return Exchange(latencies, clock() - began, answers)


def _is_whole(received: bytes) -> bool:
    head, blank, body = received.partition(b"\r\n\r\n")
    found = _LENGTH.search(head)
    return bool(blank) and found is not None and len(body) >= int(found[1])


@contextmanager
def started(command: list[str], folder: Path, port: int, ready: str, environment: dict[str, str]) -> Iterator[int]:
    """A server's process, once it answers."""
    process = subprocess.Popen(
        command, cwd=folder, env=os.environ | environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            try:
                connection.request("GET", ready)
                connection.getresponse().read()
                break
            except OSError:
                if time.monotonic() > deadline or process.poll() is not None:
                    raise SystemExit(f"{command[0]} did not start") from None
                time.sleep(0.05)
            finally:
                connection.close()
        yield process.pid
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def penstock(folder: Path, store: str | None, long_poll: float) -> Iterator[Server]:
    """Penstock's server as a user starts it, but for the length of a long poll.

    Its own task runner would poll without end where a poll is never long: then it is left out.
    """
    port = free_port()
    (folder / "penstock.toml").write_text(f"[engine]\nlong_poll = {long_poll}\n", encoding="utf-8")
    command = [PENSTOCK, "server", "--port", str(port), "--data-dir", str(folder / "data")]
    command += ["--config", str(folder / "penstock.toml"), *(["--store", store] if store else [])]
    command += [] if long_poll else ["--no-runner"]
    with started(command, folder, port, "/health", {}) as process:
        credentials = read_credentials(folder / "data" / "credentials")
        assert credentials is not None
        yield Server(port, credentials, process)


@contextmanager
def moto(path: str, folder: Path) -> Iterator[Server]:
    """moto's server."""
    port = free_port()
    with started([path, "-H", "127.0.0.1", "-p", str(port)], folder, port, "/moto-api/", {}) as process:
        yield Server(port, Credentials("testing", "testing"), process)


def objects() -> list[dict[str, Any]]:
    """A definition of 21 objects in the API form: a chain of shell activities."""
    default = {"scheduleType": "ondemand", "failureAndRerunMode": "cascade", "pipelineLogUri": "s3://bench/logs"}
    found = [_object("Default", default)]
    for number in range(20):
        fields = {"type": "ShellCommandActivity", "command": f"echo {number}", "workerGroup": "bench"}
        found.append(_object(f"Step{number}", fields))
        if number:
            found[-1]["fields"].append({"key": "dependsOn", "refValue": f"Step{number - 1}"})
    return found


def _object(identity: str, fields: dict[str, str]) -> dict[str, Any]:
    entries = [{"key": key, "stringValue": value} for key, value in fields.items()]
    return {"id": identity, "name": identity, "fields": entries}


def scenarios(server: Server) -> dict[str, Callable[[float], list[bytes]]]:
    """Requests of each operation, as many as may be needed; what they need is made here."""
    pipeline_id = server.call("CreatePipeline", name="bench", uniqueId="bench")["pipelineId"]
    server.call("PutPipelineDefinition", pipelineId=pipeline_id, pipelineObjects=objects())
    for number in range(30):
        server.call("CreatePipeline", name=f"listed {number}", uniqueId=f"listed {number}")
    ids = [entry["id"] for entry in objects()]

    def creates(count: float) -> list[bytes]:
        return [
            server.request("CreatePipeline", name=f"bench {number}", uniqueId=f"bench {number}")
            for number in itertools.islice(_numbers, int(count))
        ]

    def puts(count: float) -> list[bytes]:
        """Each differs from the one before, so that each is written."""
        made = objects(), objects()
        made[1][1]["fields"][1]["stringValue"] = "echo another"
        return [server.request("PutPipelineDefinition", pipelineId=pipeline_id, pipelineObjects=one) for one in made]

    return {
        "CreatePipeline": creates,
        "PutPipelineDefinition": puts,
        "DescribeObjects": lambda count: [server.request("DescribeObjects", pipelineId=pipeline_id, objectIds=ids)],
        "ListPipelines": lambda count: [server.request("ListPipelines")],
        "PollForTask": lambda count: [server.request("PollForTask", workerGroup="nobody")],
    }


@dataclass(frozen=True)
class Figures:
    """What was measured of an operation: requests a second, and of one client's milliseconds and processor time."""

    rate: float
    p50: float
    p95: float
    cpu: float


def measure(server: Server, seconds: float, with_polls: bool) -> dict[str, Figures]:
    """The figures of every operation that the server has."""
    found = {}
    for operation, make in scenarios(server).items():
        if operation == "PollForTask" and not with_polls:
            continue
        is_repeatable = operation != "CreatePipeline"
        exchange(server.port, make(50), 1)
        _, before = usage(server.process)
        one = exchange(server.port, make(400), 1, seconds if is_repeatable else None)
        _, after = usage(server.process)
        many = exchange(server.port, make(2000), CONNECTIONS, seconds if is_repeatable else None)
        cuts = statistics.quantiles(one.latencies, n=20)
        cpu = (after - before) / len(one.latencies)
        found[operation] = Figures(many.rate, statistics.median(one.latencies) * 1000, cuts[18] * 1000, cpu * 1000)
    return found


def usage(process: int) -> tuple[float, float]:
    """Memory in megabytes and processor seconds of a process (Linux)."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) / 1024, (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def waiting(server: Server, seconds: float) -> None:
    """Print what 500 long polls cost that wait at once."""
    server.call("ListPipelines")
    before, _ = usage(server.process)
    connections = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(POLLS)]
    try:
        for number, connection in enumerate(connections):
            connection.sendall(server.request("PollForTask", workerGroup=f"group {number % 50}"))
        time.sleep(2)
        _, started_at = usage(server.process)
        time.sleep(seconds)
        after, ended_at = usage(server.process)
    finally:
        for connection in connections:
            connection.close()
    share = (ended_at - started_at) / seconds * 100
    print(f"\n{POLLS} waiting polls: {after - before:.1f} MB more (at most 60), {share:.1f} % of a processor (0)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seconds", type=float, nargs="?", default=2.0)
    parser.add_argument("--store")
    parser.add_argument(
        "--moto", default=shutil.which("moto_server") or str(Path(sys.executable).with_name("moto_server"))
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with penstock(folder, options.store, long_poll=0) as server:
            ours = measure(server, options.seconds, with_polls=True)
        theirs: dict[str, Figures] = {}
        if Path(options.moto).exists():
            with moto(options.moto, folder) as server:
                theirs = measure(server, options.seconds, with_polls=False)
        else:
            print("moto's server is not there: pip install 'moto[server]'\n")
        headings = ("requests/s", "p50 ms", "p95 ms", "CPU ms", "moto/s", "CPU ms", "ratio", "target")
        print(" " * 24 + "".join(f"{heading:>11}" for heading in headings))
        fastest = max((figures.rate for key, figures in theirs.items() if key in READS), default=0.0)
        for operation, figures in ours.items():
            line = f"{operation:24}{figures.rate:11.0f}{figures.p50:11.2f}{figures.p95:11.2f}{figures.cpu:11.2f}"
            peer = theirs.get(operation)
            rate = peer.rate if peer else fastest
            if rate:
                line += (
                    f"{peer.rate:11.0f}{peer.cpu:11.2f}" if peer else f"{'(' + format(rate, '.0f') + ')':>11}{'':11}"
                )
                line += f"{figures.rate / rate:11.1f}{4 if operation in READS else 1:11}"
            print(line)
        with penstock(folder, options.store, long_poll=45) as server:
            waiting(server, 10)


if __name__ == "__main__":
    main()
