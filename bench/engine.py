"""The engine beside procrastinate, Luigi and bare process starts: tasks a second through the real service, durable.

    python bench/engine.py [TASKS] [--store sqlite|postgresql|both] [--peers PYTHON]

TASKS (1,000) independent shell activities that run `true` are activated on a `penstock server` and worked by a
`penstock runner` of 2 and of 8 task threads; measured is the time from the activation to the end of the pipeline, and
the processor time of server and runner without the commands themselves. procrastinate and Luigi do the same work with
as many workers, by the shell that activities have; they are measured with the interpreter PYTHON, which has them
installed (this one, if not given). A PostgreSQL of its own is started in a temporary folder for the store and for
procrastinate.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penstock.cli.credentials import data_pipeline_client, penstock_client, read_credentials
from penstock.objects.staging import shell
from penstock.wire.client import Client

PENSTOCK = str(Path(sys.executable).with_name("penstock"))
TARGET_RATE, TARGET_CPU = 350, 4.0
PROCRASTINATE = """
import os, subprocess
SHELL = os.environ["BENCH_SHELL"]
import procrastinate
app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=os.environ["BENCH_URL"]))
@app.task(queue="bench", name="run_true")
def run_true(number):
    subprocess.run([SHELL, "-c", "true"], check=True)
"""
DEFER = """
import os, sys
sys.path.insert(0, ".")
from bench_app import app, run_true
with app.open():
    run_true.batch_defer(*({"number": number} for number in range(int(sys.argv[1]))))
"""
LUIGI = """
import luigi, os, subprocess, sys
SHELL = os.environ["BENCH_SHELL"]
class True_(luigi.Task):
    number = luigi.IntParameter()
    done = False
    def run(self):
        subprocess.run([SHELL, "-c", "true"], check=True)
        self.done = True
    def complete(self):
        return self.done
tasks, workers = int(sys.argv[1]), int(sys.argv[2])
luigi.build([True_(n) for n in range(tasks)], local_scheduler=True, workers=1, log_level="ERROR")
"""


@dataclass(frozen=True)
class Figures:
    """Tasks a second, and milliseconds of processor time a task (None where it was not measured)."""

    rate: float
    cpu: float | None = None


@contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """A PostgreSQL server of its own, durable as it comes; gives its URL."""
    bin_folder = Path(
        shutil.which("initdb") or next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))))
    ).parent
    data = folder / "postgresql"
    data.mkdir()
    prefix: list[str] = []
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        shutil.chown(data, "nobody", "nogroup")
        folder.chmod(0o755)
        prefix = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    subprocess.run(
        [*prefix, str(bin_folder / "initdb"), "-D", str(data), "-U", "bench", "-A", "trust"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    port = free_port()
    process = subprocess.Popen(
        [
            *prefix,
            str(bin_folder / "postgres"),
            "-D",
            str(data),
            "-p",
            str(port),
            "-k",
            str(data),
            "-c",
            "listen_addresses=127.0.0.1",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"postgresql://bench@127.0.0.1:{port}/postgres"
    try:
        import psycopg

        deadline = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(url).close()
                break
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        yield url
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)


def database(url: str, name: str) -> str:
    """A fresh database of the server."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return f"{url.rpartition('/')[0]}/{name}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def cpu_seconds(process: int) -> float:
    """Processor time of a process without its children (Linux)."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Service:
    """A running server with clients of it."""

    process: int
    endpoint: str
    client: Client
    own: Client
    data_dir: Path


@contextmanager
def penstock_server(folder: Path, store: str | None) -> Iterator[Service]:
    port = free_port()
    data_dir = folder / "data"
    command = [PENSTOCK, "server", "--port", str(port), "--data-dir", str(data_dir)]
    process = subprocess.Popen([*command, *(["--store", store] if store else [])], stdout=subprocess.DEVNULL)
    endpoint = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                urllib.request.urlopen(f"{endpoint}/health", timeout=1).read()
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise SystemExit("penstock server did not start") from None
                time.sleep(0.02)
        credentials = read_credentials(data_dir / "credentials")
        assert credentials is not None
        client, own = data_pipeline_client(endpoint, credentials), penstock_client(endpoint, credentials)
        yield Service(process.pid, endpoint, client, own, data_dir)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


@contextmanager
def penstock_runner(service: Service, folder: Path, threads: int) -> Iterator[int]:
    command = [PENSTOCK, "runner", "--worker-group", "bench", "--endpoint", service.endpoint, "--tasks", str(threads)]
    process = subprocess.Popen(
        [*command, "--data-dir", str(service.data_dir)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def put(service: Service, name: str, objects: list[dict[str, Any]]) -> str:
    """A pipeline with a definition."""
    pipeline_id: str = service.client.call("CreatePipeline", name=name, uniqueId=name)["pipelineId"]
    answer = service.client.call("PutPipelineDefinition", pipelineId=pipeline_id, pipelineObjects=objects)
    if answer["errored"]:
        raise SystemExit(json.dumps(answer)[:2000])
    return pipeline_id


def object_of(identity: str, **fields: Any) -> dict[str, Any]:
    """An object in the API form; a tuple is a reference."""
    entries = [
        {"key": key, "refValue": value[0]} if isinstance(value, tuple) else {"key": key, "stringValue": value}
        for key, value in fields.items()
    ]
    return {"id": identity, "name": identity, "fields": entries}


def until_finished(service: Service, pipeline_id: str) -> None:
    while True:
        progress = service.own.call("DescribeProgress", pipelineId=pipeline_id)
        if progress["state"] == "FINISHED":
            break
        time.sleep(0.1)
    failed = [entry for entry in progress["counts"] if entry["status"] not in ("FINISHED",)]
    if failed:
        raise SystemExit(f"not everything finished: {failed}")


def throughput(service: Service, folder: Path, tasks: int, threads: int) -> Figures:
    """Independent activities of one on-demand pipeline."""
    default = object_of("Default", scheduleType="ondemand", failureAndRerunMode="cascade")
    activities = [
        object_of(f"Task{n}", type="ShellCommandActivity", command="true", workerGroup="bench") for n in range(tasks)
    ]
    pipeline_id = put(service, f"throughput {threads}", [default, *activities])
    with penstock_runner(service, folder, threads) as runner:
        warm = put(service, f"warm {threads}", [default, *activities[:8]])
        service.client.call("ActivatePipeline", pipelineId=warm)
        until_finished(service, warm)
        cpu = cpu_seconds(service.process) + cpu_seconds(runner)
        began = time.perf_counter()
        service.client.call("ActivatePipeline", pipelineId=pipeline_id)
        until_finished(service, pipeline_id)
        seconds = time.perf_counter() - began
        used = [cpu_seconds(service.process), cpu_seconds(runner)]
        cpu = sum(used) - cpu
    return Figures(tasks / seconds, cpu / tasks * 1000)


def chain(service: Service, folder: Path, length: int = 50, rounds: int = 10) -> tuple[float, float]:
    """Milliseconds from the start of one command of a chain to the start of the next: the median and the longest."""
    default = object_of("Default", scheduleType="ondemand", failureAndRerunMode="cascade")
    note = folder / "starts"
    command = f"echo $EPOCHREALTIME >> {note}"
    links = [object_of("Link0", type="ShellCommandActivity", command=command, workerGroup="bench")]
    for n in range(1, length):
        links.append(
            object_of(
                f"Link{n}",
                type="ShellCommandActivity",
                command=command,
                workerGroup="bench",
                dependsOn=(f"Link{n - 1}",),
            )
        )
    gaps: list[float] = []
    with penstock_runner(service, folder, 2):
        for number in range(rounds):
            pipeline_id = put(service, f"chain {number}", [default, *links])
            service.client.call("ActivatePipeline", pipelineId=pipeline_id)
            until_finished(service, pipeline_id)
            starts = [float(line) for line in note.read_text(encoding="utf-8").split()]
            note.unlink()
            gaps += [(after - before) * 1000 for before, after in itertools.pairwise(starts)]
    return statistics.median(gaps), max(gaps)


def idle(service: Service, seconds: float = 10.0) -> tuple[float, float]:
    """Memory in megabytes, and the share of a processor in per cent, of a server that has nothing to do."""
    before = cpu_seconds(service.process)
    time.sleep(seconds)
    status = Path(f"/proc/{service.process}/status").read_text(encoding="utf-8")
    memory = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    return memory / 1024, (cpu_seconds(service.process) - before) / seconds * 100


def bare(tasks: int) -> Figures:
    """Process starts from Python, one after the other in two threads' worth of nothing else."""
    began = time.perf_counter()
    for _ in range(tasks):
        subprocess.run(["true"], check=True)
    return Figures(tasks / (time.perf_counter() - began))


def procrastinate(python: str, url: str, folder: Path, tasks: int, threads: int) -> Figures | None:
    import psycopg

    if subprocess.run([python, "-c", "import procrastinate"], stderr=subprocess.DEVNULL).returncode:
        return None
    (folder / "bench_app.py").write_text(PROCRASTINATE, encoding="utf-8")
    environment = os.environ | {"BENCH_SHELL": shell(), "BENCH_URL": url, "PYTHONPATH": str(folder)}
    tool = str(Path(python).with_name("procrastinate"))
    with psycopg.connect(url, autocommit=True) as connection:
        exists = connection.execute("SELECT to_regclass('procrastinate_jobs')").fetchone()
        if exists and exists[0] is None:
            subprocess.run(
                [tool, "--app=bench_app.app", "schema", "--apply"],
                env=environment,
                cwd=folder,
                check=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        worker = subprocess.Popen(
            [tool, "--app=bench_app.app", "worker", "-q", "bench", "--concurrency", str(threads)],
            env=environment,
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            time.sleep(3)

            def left() -> int:
                row = connection.execute(
                    "SELECT count(*) FROM procrastinate_jobs WHERE status <> 'succeeded'"
                ).fetchone()
                assert row is not None
                return int(row[0])

            cpu = cpu_seconds(worker.pid)
            began = time.perf_counter()
            subprocess.run([python, "-c", DEFER, str(tasks)], env=environment, cwd=folder, check=True)
            while left():
                time.sleep(0.1)
            seconds = time.perf_counter() - began
            return Figures(tasks / seconds, (cpu_seconds(worker.pid) - cpu) / tasks * 1000)
        finally:
            worker.send_signal(signal.SIGTERM)
            worker.wait(30)


def luigi(python: str, folder: Path, tasks: int, threads: int) -> Figures | None:
    if subprocess.run([python, "-c", "import luigi"], stderr=subprocess.DEVNULL).returncode:
        return None
    (folder / "bench_luigi.py").write_text(LUIGI, encoding="utf-8")
    began = time.perf_counter()
    subprocess.run(
        [python, "bench_luigi.py", str(tasks), str(threads)],
        cwd=folder,
        env=os.environ | {"BENCH_SHELL": shell()},
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return Figures(tasks / (time.perf_counter() - began))


def line(name: str, figures: Figures | None) -> None:
    if figures is None:
        print(f"{name:44}{'not installed':>14}")
        return
    cpu = f"{figures.cpu:9.1f}" if figures.cpu is not None else ""
    print(f"{name:44}{figures.rate:14.0f}{cpu}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", type=int, nargs="?", default=1000)
    parser.add_argument("--store", choices=("sqlite", "postgresql", "both"), default="both")
    parser.add_argument("--threads", type=int, nargs="*", default=[2, 8])
    parser.add_argument("--peers", default=sys.executable)
    options = parser.parse_args()
    print(f"{'':44}{'tasks/s':>14}{'CPU ms':>9}")
    with tempfile.TemporaryDirectory() as name, postgresql(Path(name)) as url:
        folder = Path(name)
        for threads in options.threads:
            rates: dict[str, float] = {}
            for store in ("sqlite", "postgresql"):
                if options.store not in (store, "both"):
                    continue
                place = folder / f"{store}-{threads}"
                place.mkdir()
                place_url = database(url, f"penstock_{threads}") if store == "postgresql" else None
                with penstock_server(place, place_url) as service:
                    figures = throughput(service, place, options.tasks, threads)
                    line(f"Penstock, {store}, {threads} threads", figures)
                    rates[store] = figures.rate
            if options.peers != "none":
                peer = procrastinate(options.peers, url, folder, options.tasks, threads)
                line(f"procrastinate, {threads} workers", peer)
                if peer is not None:
                    print("  ".join(f"{store} {rate / peer.rate:.2f} of it (1)" for store, rate in rates.items()))
        place = folder / "chain"
        place.mkdir()
        with penstock_server(place, None) as service:
            memory, share = idle(service)
            print(f"an idle server: {memory:.0f} MB (at most 120), {share:.1f} % of a processor (0.3)")
            median, longest = chain(service, place)
            print(f"from one command of a chain to the next: {median:.1f} ms (5), the longest {longest:.1f} ms (100)")
        if options.peers != "none":
            line("Luigi, 1 worker", luigi(options.peers, folder, options.tasks, 1))
        line("process starts from Python", bare(options.tasks))


if __name__ == "__main__":
    main()
