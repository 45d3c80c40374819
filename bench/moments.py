"""How well scheduled moments are met: from the moment of a schedule to the start of its command.

    python bench/moments.py [PIPELINES] [--seconds SECONDS] [--threads THREADS]

PIPELINES (100) with a schedule each are due at the seconds of the next SECONDS (10), as many at each, on a `penstock
server` with SQLite and with PostgreSQL and a `penstock runner` of THREADS (2) task threads. Measured is when the
commands start, against the moment that their schedule names: the earliest, the median and the latest.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from engine import Service, database, object_of, penstock_runner, penstock_server, postgresql, put

TARGET = 100  # milliseconds
AHEAD = 3  # seconds from the last activation to the first moment, and from the last one to the end of the measurement


def delays(service: Service, folder: Path, pipelines: int, seconds: int, threads: int) -> list[float]:
    """Milliseconds from each scheduled moment to the start of its command; negative: it started too early."""
    note = folder / "starts"
    first = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=AHEAD + pipelines // 50)
    with penstock_runner(service, folder, threads):
        for number in range(pipelines):
            moment = first + timedelta(seconds=number % seconds)
            schedule = object_of(
                "Once",
                type="Schedule",
                period="1 day",
                startDateTime=f"{moment:%Y-%m-%dT%H:%M:%S}",
                occurrences="1",
            )
            default = object_of("Default", scheduleType="cron", schedule=("Once",))
            command = f"echo {moment.timestamp():.0f} $EPOCHREALTIME >> {note}"
            work = object_of("Work", type="ShellCommandActivity", command=command, workerGroup="bench")
            pipeline_id = put(service, f"moment {number}", [default, schedule, work])
            service.client.call("ActivatePipeline", pipelineId=pipeline_id)
        if datetime.now(UTC) > first:
            raise SystemExit("the pipelines were not activated before their first moment: give fewer")
        time.sleep((first - datetime.now(UTC)).total_seconds() + seconds + AHEAD)
    pairs = [line.split() for line in note.read_text(encoding="utf-8").splitlines()]
    if len(pairs) != pipelines:
        raise SystemExit(f"{len(pairs)} of {pipelines} commands started")
    return [(float(start) - float(moment)) * 1000 for moment, start in pairs]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pipelines", type=int, nargs="?", default=100)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    print(
        f"{'milliseconds after the scheduled moment':44}{'earliest':>10}{'median':>10}{'latest':>10}  (0 to {TARGET})"
    )
    with tempfile.TemporaryDirectory() as name, postgresql(Path(name)) as url:
        for store in ("sqlite", "postgresql"):
            folder = Path(name) / f"on-{store}"
            folder.mkdir()
            with penstock_server(folder, database(url, "moments") if store == "postgresql" else None) as service:
                found = delays(service, folder, options.pipelines, options.seconds, options.threads)
            figures = (min(found), statistics.median(found), max(found))
            print(f"{store:44}" + "".join(f"{figure:10.1f}" for figure in figures), flush=True)


if __name__ == "__main__":
    main()
