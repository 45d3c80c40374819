"""What must not grow with the history: tasks, idle pipelines, waiting instances, backfills.

    python bench/scale.py [HISTORY]

On a `penstock server` with SQLite: the time of one task (its end and the next one, by EndTasks) with 1,200 finished
instances in the store and with HISTORY (200,000), which are copied from real ones; the activation of a daily schedule
of ten years; the processor time of 5,000 active pipelines that wait for tomorrow; the memory of 50,000 that wait.
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from engine import Service, cpu_seconds, object_of, penstock_server, put

TASKS = 300
PIPELINES, WAITING = 5000, 50_000
DEFAULT = object_of("Default", scheduleType="ondemand", failureAndRerunMode="cascade")


def activity(identity: str, group: str = "bench", **fields: Any) -> dict[str, Any]:
    return object_of(identity, type="ShellCommandActivity", command="true", workerGroup=group, **fields)


def task_time(service: Service, name: str) -> float:
    """Milliseconds of the end of a task together with the next one: the median of some hundred."""
    pipeline_id = put(service, name, [DEFAULT, *(activity(f"Task{n}") for n in range(TASKS))])
    service.client.call("ActivatePipeline", pipelineId=pipeline_id)
    task = service.client.call("PollForTask", workerGroup="bench")["taskObject"]
    times: list[float] = []
    while task:
        began = time.perf_counter()
        answer = service.own.call(
            "EndTasks", ends=[{"taskId": task["taskId"], "taskStatus": "FINISHED"}], workerGroup="bench"
        )
        times.append((time.perf_counter() - began) * 1000)
        task = answer.get("taskObject")
    return statistics.median(times)


def lengthen(path: Path, wanted: int) -> None:
    """Copy the finished instances with their attempts and events, at other times, until there are so many."""
    tables = {"instances": ("instance_id", "scheduled_start"), "attempts": ("attempt_id", "created_at")}
    with sqlite3.connect(path, timeout=60) as connection:
        (there,) = connection.execute("SELECT COUNT(*) FROM instances").fetchone()
        for copy in range(1, wanted // there + 1):
            mark = f"'c{copy}'"
            for table, (identity, moment) in tables.items():
                names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
                values = {
                    identity: f"{identity} || {mark}",
                    "instance_id": f"instance_id || {mark}",
                    "task_id": f"task_id || {mark}",
                    moment: f"{moment} - {copy}",
                }
                chosen = ", ".join(values.get(name, name) for name in names)
                condition = "ended_at IS NOT NULL AND instance_id NOT LIKE '%c%'" if table == "instances" else "1"
                if table == "attempts":
                    condition = "ended_at IS NOT NULL AND attempt_id NOT LIKE '%c%'"
                connection.execute(
                    f"INSERT INTO {table} ({', '.join(names)}) SELECT {chosen} FROM {table} WHERE {condition}"
                )
            connection.execute(
                "INSERT INTO events (at, pipeline_id, object_id, sphere, verb, from_status, to_status, detail)"
                f" SELECT at, pipeline_id, object_id || {mark}, sphere, verb, from_status, to_status, detail"
                " FROM events WHERE object_id LIKE '@%' AND object_id NOT LIKE '%c%'"
            )
            connection.commit()


def memory(service: Service) -> float:
    status = Path(f"/proc/{service.process}/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("history", type=int, nargs="?", default=200_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, penstock_server(Path(name), None) as service:
        for number in range(4):
            early = task_time(service, f"early {number}")
        lengthen(service.data_dir / "penstock.db", options.history)
        late = task_time(service, "late")
        print(f"a task: {early:.2f} ms with 1,200 finished instances, {late:.2f} ms with {options.history:,}", end="")
        print(f": {late / early:.2f} times (at most 1.2)", flush=True)

        start = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None) - timedelta(days=3650)
        daily = object_of("Daily", type="Schedule", period="1 day", startDateTime=start.isoformat())
        default = object_of("Default", scheduleType="cron", schedule=("Daily",))
        backfill = put(service, "ten years", [default, daily, activity("Load", "nobody"), activity("Report", "nobody")])
        began = time.perf_counter()
        service.client.call("ActivatePipeline", pipelineId=backfill, startTimestamp=start.replace(tzinfo=UTC))
        print(f"a daily backfill of ten years is activated in {time.perf_counter() - began:.2f} s (1)", flush=True)

        before = memory(service)
        for number in range(WAITING // 1000):
            many = [DEFAULT, *(activity(f"Task{n}", "nobody") for n in range(1000))]
            service.client.call("ActivatePipeline", pipelineId=put(service, f"waiting {number}", many))
        print(f"{WAITING:,} waiting instances: {memory(service) - before:.0f} MB more (50)", flush=True)

        tomorrow = (datetime.now(UTC) + timedelta(days=1)).replace(microsecond=0, tzinfo=None).isoformat()
        later = object_of("Daily", type="Schedule", period="1 day", startDateTime=tomorrow)
        for number in range(PIPELINES):
            definition = [default, later, activity("Load", "nobody")]
            service.client.call("ActivatePipeline", pipelineId=put(service, f"idle {number}", definition))
        time.sleep(2)
        used = cpu_seconds(service.process)
        time.sleep(20)
        share = (cpu_seconds(service.process) - used) / 20 * 100
        print(f"{PIPELINES:,} idle active pipelines: {share:.1f} % of a processor (1)")


if __name__ == "__main__":
    main()
