"""kill -9 of server, runner, a resource's runner, and all of them, at random moments, while a pipeline runs."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest
from fault_pipeline import DEFAULT, Runs, activity, check_ends, make_pipeline, repeated, seeds
from fault_site import GROUP, SECONDS, Site, by_hand, until

TASKS, ON_MACHINE = 3, 2
LOST_BY = {"server": ON_MACHINE, "runner": TASKS, "machine": ON_MACHINE, "all": TASKS + ON_MACHINE}
COUNT = 40 if SECONDS else 14
KILLS = 14 if SECONDS else 4


def kill(site: Site, what: str) -> None:
    if what == "machine":
        site.kill_resource_runners()
        return
    names = {"server": ["server"], "runner": ["runner"], "all": ["server", "runner"]}[what]
    if what == "all":
        site.kill_resource_runners()
    site.kill(*names)
    for name in names:
        site.start(name)


@by_hand
@pytest.mark.timeout(max(120, 3 * SECONDS))
def test_what_is_killed_at_random_moments_ends_as_it_should(new_site: Callable[..., Site]) -> None:
    for seed in seeds():
        chance = random.Random(seed)
        site = new_site()
        runs = Runs(site.folder / "runs")
        site.server()
        site.runner(tasks=TASKS)
        began = time.monotonic()
        pipeline_id = site.activated(make_pipeline(runs, COUNT, seed))
        bound = 0
        kinds = [*LOST_BY] if not SECONDS else []
        chance.shuffle(kinds)
        kinds += [chance.choice([*LOST_BY]) for _ in range(KILLS - len(kinds))]
        for kind in kinds:
            time.sleep(chance.uniform(0.0, 1.5 if SECONDS else 0.8))
            if site.state(pipeline_id) == "FINISHED":
                break
            bound += LOST_BY[kind]
            kill(site, kind)
        until(lambda site=site, p=pipeline_id: site.state(p) == "FINISHED", "the pipeline ends", 90)
        check_ends(site.statuses(pipeline_id))
        extra = repeated(runs, COUNT)
        print(
            f"seed {seed}: {kinds} {time.monotonic() - began:.1f} s, {sum(runs.begun.values())} runs, "
            f"{extra} again of {bound}",
            flush=True,
        )
        assert extra <= bound
        site.end()


def test_commands_end_with_the_runner_that_is_killed(site: Site) -> None:
    runs = Runs(site.folder / "runs")
    site.server()
    site.runner()
    machine = {"id": "Machine", "type": "Ec2Resource"}
    work = f"sleep 0.3; {runs.note('begin')}; sleep 300 & sleep 300"
    site.activated(
        [
            DEFAULT,
            machine,
            activity("There", work, workerGroup=GROUP),
            activity("OnMachine", work, runsOn={"ref": "Machine"}),
        ]
    )
    until(lambda: sum(runs.read().begun.values()) == 2, "both commands run")
    site.kill("runner")
    until(
        lambda: sum(line.startswith("sleep 300") for line in site.marked().values()) == 2,
        "the runner's commands end",
        10,
    )
    (runner,) = site.resource_runners()
    site.kill_resource_runners()
    until(lambda: runner not in site.marked(), "the machine's runner has ended")
    site.kill("server")
    until(lambda: not site.marked(), "everything ends", 15)
