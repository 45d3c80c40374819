"""How long Penstock takes to start, and how much memory: beside an empty Python and Luigi, in one run.

    python bench/start.py [RUNS]

Wall time and peak memory (of the largest process) of `penstock run` of one `true`, of `penstock validate`, and of
`penstock server` until it answers. Each run begins in an empty folder; the medians of RUNS (7) runs are printed, taken
in turn with an empty Python's. Luigi's one task that runs `true` is the thing to compare `penstock run` with; it is
measured when it is installed (`pip install -e '.[bench]'`).
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

RUNS = int(sys.argv[1]) if len(sys.argv) > 1 else 7
PENSTOCK = str(Path(sys.executable).with_name("penstock"))
TARGETS = {"penstock run": 1.0, "penstock validate": 0.4, "penstock server": 1.0}
MEMORY_TARGET = 120.0
DEFINITION = {
    "objects": [
        {"id": "Default", "scheduleType": "ondemand", "failureAndRerunMode": "cascade"},
        {"id": "True", "type": "ShellCommandActivity", "command": "true", "workerGroup": "bench"},
    ]
}
LUIGI = """
import luigi, subprocess
class True_(luigi.Task):
    done = False
    def run(self):
        subprocess.run(["true"], check=True)
        self.done = True
    def complete(self):
        return self.done
luigi.build([True_()], local_scheduler=True, log_level="ERROR")
"""
Figure = tuple[float, float]


def finished(arguments: list[str], folder: Path) -> Figure:
    """Seconds and megabytes of a command that runs to its end."""
    started = time.perf_counter()
    process = subprocess.Popen(arguments, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    if status != 0:
        raise SystemExit(f"{' '.join(arguments)} ended with {os.waitstatus_to_exitcode(status)}")
    return seconds, _megabytes(usage.ru_maxrss)


def answering(folder: Path) -> Figure:
    """Seconds until a server answers, and megabytes at its end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    started = time.perf_counter()
    process = subprocess.Popen(
        [PENSTOCK, "server", "--port", str(port)], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1).read()
            break
        except OSError:
            if time.perf_counter() - started > 30:
                raise SystemExit("the server did not answer within 30 s") from None
            time.sleep(0.002)
    seconds = time.perf_counter() - started
    process.send_signal(signal.SIGTERM)
    _, _, usage = os.wait4(process.pid, 0)
    return seconds, _megabytes(usage.ru_maxrss)


def _megabytes(maxrss: int) -> float:
    return maxrss / (1 << 20) if sys.platform == "darwin" else maxrss / 1024


def main() -> None:
    """Measure in turn, and print medians, ratios and whether the targets are met."""
    measured: dict[str, Callable[[Path], Figure]] = {
        "python -c pass": lambda folder: finished([sys.executable, "-c", "pass"], folder),
        "penstock run": lambda folder: finished([PENSTOCK, "run", "true.json"], folder),
        "penstock validate": lambda folder: finished([PENSTOCK, "validate", "true.json"], folder),
        "penstock server": answering,
    }
    if importlib.util.find_spec("luigi"):
        measured["luigi"] = lambda folder: finished([sys.executable, "-c", LUIGI], folder)
    figures: dict[str, list[Figure]] = {name: [] for name in measured}
    for number in range(RUNS + 1):
        for name, measure in measured.items():
            with tempfile.TemporaryDirectory() as folder:
                (Path(folder) / "true.json").write_text(json.dumps(DEFINITION), encoding="utf-8")
                figure = measure(Path(folder))
            if number:  # the first round only warms up
                figures[name].append(figure)
    print(f"{'':20}{'seconds':>9}{'MB':>8}{'target':>9}")
    met = True
    for name, taken in figures.items():
        seconds = statistics.median(figure[0] for figure in taken)
        memory = max(figure[1] for figure in taken)
        target = TARGETS.get(name)
        met = met and (target is None or (seconds <= target and memory <= MEMORY_TARGET))
        print(f"{name:20}{seconds:9.3f}{memory:8.0f}{f'{target:.1f} s' if target else '':>9}")
    if "luigi" in figures:
        ours = statistics.median(figure[0] for figure in figures["penstock run"])
        theirs = statistics.median(figure[0] for figure in figures["luigi"])
        print(f"\npenstock run / luigi: {ours / theirs:.2f}")
    print(f"\nTargets (and {MEMORY_TARGET:.0f} MB) {'met' if met else 'NOT met'}")
    sys.exit(0 if met else 1)


if __name__ == "__main__":
    main()
