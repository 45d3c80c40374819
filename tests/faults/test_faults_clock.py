"""A clock that jumps by an hour, forward and back, under all processes or some of them."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fault_pipeline import DEFAULT, MACHINE, TRIES, Runs, activity, check_ends, make_pipeline, repeated, seeds
from fault_site import GROUP, MASTER_KEY, SECONDS, Site, by_hand, until

HOUR = 3600
LONG = "[engine]\nretry_delay = 0\nlease = 900\nlong_poll = 2\n[runner]\nreport = 0.3\n"
CUSTOMIZE = """
import time as _time
from pathlib import Path as _Path
_file, _real = _Path(__file__).with_name("offset"), _time.time
_time.time = lambda: _real() + float(_file.read_text() or 0)
"""


def jumping(folder: Path) -> Callable[[float], None]:
    """A folder for PYTHONPATH whose processes have a clock that is ahead by what a file says; gives what sets it."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(CUSTOMIZE)

    def jump(seconds: float) -> None:
        (folder / "new").write_text(str(seconds))
        (folder / "new").replace(folder / "offset")

    jump(0)
    return jump


def with_clock(folder: Path) -> dict[str, str]:
    given = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": f"{folder}{os.pathsep}{given}" if given else str(folder)}


@by_hand
@pytest.mark.parametrize("hours", [1, -1])
def test_a_jump_of_the_clock_ends_no_lease_and_no_timeout(
    new_site: Callable[..., Site], tmp_path: Path, hours: int
) -> None:
    jump = jumping(tmp_path / "clock")
    site = new_site(settings=LONG, environment=with_clock(tmp_path / "clock"))
    runs = Runs(site.folder / "runs")
    site.server()
    site.runner()
    some = {"attemptTimeout": "10 minutes", **TRIES}
    once = 'case "#{@headAttempt}" in *_Attempt=1) exit 1;; esac'
    pipeline_id = site.activated(
        [
            DEFAULT,
            MACHINE,
            activity("There", runs.command(1.5), workerGroup=GROUP, **some),
            activity("OnMachine", runs.command(1.5), runsOn={"ref": "Machine"}, **some),
            activity("Next", runs.command(0), after=["There", "OnMachine"], workerGroup=GROUP, **some),
            activity("Again", runs.command(0, ending=once), workerGroup=GROUP, **some | {"retryDelay": "2 seconds"}),
        ]
    )
    until(lambda: runs.read().by_instance().total() >= 3, "both commands run, and one has failed")
    jump(hours * HOUR)
    until(lambda: site.state(pipeline_id) == "FINISHED", "the pipeline ends")
    runs.read()
    assert set(site.statuses(pipeline_id).values()) == {"FINISHED"}
    assert sorted(runs.by_instance().values()) == [1, 1, 1, 2]


@by_hand
def test_a_runner_whose_clock_is_wrong_works_on(new_site: Callable[..., Site], tmp_path: Path) -> None:
    jump = jumping(tmp_path / "clock")
    site = new_site(settings=LONG)
    runs = Runs(site.folder / "runs")
    site.server()
    site.environment |= with_clock(tmp_path / "clock")
    jump(2 * HOUR)
    site.runner()
    first = site.activated([DEFAULT, activity("One", runs.command(0), workerGroup=GROUP)])
    until(lambda: site.state(first) == "FINISHED", "it works with a wrong clock")
    second = site.activated([DEFAULT, activity("Two", runs.command(1.0), workerGroup=GROUP)])
    until(lambda: runs.read().by_instance().total() == 2, "the second command runs")
    jump(-HOUR)
    until(lambda: site.state(second) == "FINISHED", "it works with another wrong clock")
    assert set(runs.read().by_instance().values()) == {1}
    assert site.processes["runner"].poll() is None


def moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)


def every_second(runs: Runs) -> list[dict[str, object]]:
    schedule = {"id": "Often", "type": "Schedule", "period": "1 second", "startAt": "FIRST_ACTIVATION_DATE_TIME"}
    default = {"id": "Default", "scheduleType": "cron", "schedule": {"ref": "Often"}, "maxActiveInstances": "5"}
    return [default, schedule, activity("Work", runs.command(0), workerGroup=GROUP, **TRIES)]


def starts(site: Site, pipeline_id: str) -> list[datetime]:
    found = site.objects(pipeline_id, "INSTANCE")
    return sorted(moment(fields["@scheduledStartTime"]) for fields in found)


def check_intervals(site: Site, pipeline_id: str) -> int:
    """No interval is missing or there twice; gives how many there are."""
    found = starts(site, pipeline_id)
    assert found == [found[0] + timedelta(seconds=n) for n in range(len(found))]
    return len(found)


@by_hand
def test_on_postgresql_the_time_is_the_databases_however_a_servers_clock_jumps(
    new_site: Callable[..., Site], postgresql_url: str, tmp_path: Path
) -> None:
    jump = jumping(tmp_path / "clock")
    environment = with_clock(tmp_path / "clock") | {"PENSTOCK_MASTER_KEY": MASTER_KEY}
    site = new_site(settings=LONG, environment=environment)
    runs = Runs(site.folder / "runs")
    site.server("server", "--store", postgresql_url)
    site.runner()
    pipeline_id = site.activated(every_second(runs))
    for offset in (HOUR, -HOUR):
        known = len(starts(site, pipeline_id))
        until(lambda known=known: len(starts(site, pipeline_id)) > known, "the schedule goes on")
        jump(offset)
    known = len(starts(site, pipeline_id))
    until(lambda: len(starts(site, pipeline_id)) > known + 1, "the schedule goes on")
    site.call("DeactivatePipeline", pipelineId=pipeline_id)
    assert check_intervals(site, pipeline_id) < 60
    ahead = max(starts(site, pipeline_id)) - datetime.now(UTC)
    assert ahead < timedelta(seconds=1.5)  # never early
    assert set(runs.read().by_instance().values()) == {1}


@by_hand
@pytest.mark.timeout(max(120, 3 * SECONDS))
def test_a_clock_that_jumps_again_and_again_doubles_nothing(new_site: Callable[..., Site], tmp_path: Path) -> None:
    for seed in seeds():
        chance = random.Random(seed)
        clock = tmp_path / f"clock-{seed}"
        jump = jumping(clock)
        site = new_site(settings=LONG, environment=with_clock(clock))
        runs = Runs(site.folder / "runs")
        site.server()
        site.runner()
        often = site.activated(every_second(runs))
        pipeline_id = site.activated(make_pipeline(runs, 20, seed))
        for _ in range(8):
            time.sleep(chance.uniform(0.0, 0.8))
            jump(chance.choice((-HOUR, 0, HOUR)))
        until(lambda site=site, p=pipeline_id: site.state(p) == "FINISHED", "the pipeline ends")
        check_ends(site.statuses(pipeline_id))
        site.call("DeactivatePipeline", pipelineId=often)
        made = check_intervals(site, often)
        extra = repeated(runs, 20)
        print(f"seed {seed}: {made} intervals, {runs.begun.total()} runs, {extra} again", flush=True)
        assert extra == 0
        site.end()
