"""The connection between a task runner and the server is cut, stands still, or loses answers."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import closing

import pytest
from fault_pipeline import DEFAULT, TRIES, Runs, activity, seeds
from fault_proxy import Proxy
from fault_site import GROUP, SECONDS, SETTINGS, Site, by_hand, until

LONG_LEASE = SETTINGS.replace("lease = 3.0", "lease = 30").replace("within = 2.0", "within = 8")


ENDS = ("EndTasks", "SetTaskStatus")  # what tells a task's end


def chain(runs: Runs, count: int, seconds: float) -> list[dict[str, object]]:
    """Pairs of activities, the second after the first."""
    objects: list[dict[str, object]] = [DEFAULT]
    for number in range(count):
        after = [f"Work{number - 1}"] if number % 2 else None
        objects.append(activity(f"Work{number}", runs.command(seconds), after=after, workerGroup=GROUP, **TRIES))
    return objects


@by_hand
def test_work_goes_on_while_the_server_is_away_and_its_end_is_reported_afterwards(site: Site) -> None:
    """The server is away for longer than a lease."""
    runs = Runs(site.folder / "runs")
    site.server()
    site.runner()
    pipeline_id = site.activated(chain(runs, 2, 4.0))
    until(lambda: runs.read().begun, "the first command runs")
    site.kill("server")
    time.sleep(3.5)  # more than the lease
    site.start("server")
    until(lambda: site.state(pipeline_id) == "FINISHED", "the pipeline ends")
    assert set(runs.read().by_instance().values()) == {1}


@pytest.mark.timeout(max(120, 3 * SECONDS))
def test_a_connection_that_is_cut_costs_nothing_while_leases_last(new_site: Callable[..., Site]) -> None:
    for seed in seeds():
        chance = random.Random(seed)
        site = new_site(settings=LONG_LEASE)
        runs = Runs(site.folder / "runs")
        site.server()
        count = 20 if SECONDS else 8
        with closing(Proxy(site.ports["server"])) as proxy:
            site.runner(endpoint=f"http://127.0.0.1:{proxy.port}")
            pipeline_id = site.activated(chain(runs, count, 0.3))
            for _ in range(8 if SECONDS else 2):
                time.sleep(chance.uniform(0.0, 0.5))
                chance.choice((proxy.cut, proxy.stop))()
                time.sleep(chance.uniform(0.1, 2.0 if SECONDS else 0.6))
                proxy.go_on()
                if SECONDS:
                    proxy.drop_answers_of(chance.choice((*ENDS, "PollForTask", "ReportTaskProgress")))
                    time.sleep(chance.uniform(0.0, 0.6))
                    proxy.drop_answers_of()
            until(lambda site=site, p=pipeline_id: site.state(p) == "FINISHED", "the pipeline ends")
            extra = sum(runs.read().by_instance().values()) - count
            print(f"seed {seed}: {extra} of {count} ran again, {proxy.dropped} answers lost", flush=True)
            assert extra == 0
            site.end()


@by_hand
def test_a_lost_answer_makes_nothing_run_twice(site: Site) -> None:
    runs = Runs(site.folder / "runs")
    site.server()
    with closing(Proxy(site.ports["server"])) as proxy:
        proxy.drop_answers_of(*ENDS)
        site.runner(endpoint=f"http://127.0.0.1:{proxy.port}", tasks=1)
        pipeline_id = site.activated(chain(runs, 2, 0.1))
        until(lambda: proxy.dropped, "an answer is lost")
        proxy.drop_answers_of("PollForTask")
        until(lambda: proxy.dropped > 2 or site.state(pipeline_id) == "FINISHED", "a task is lost on its way")
        proxy.drop_answers_of()
        until(lambda: site.state(pipeline_id) == "FINISHED", "the pipeline ends")
        assert set(runs.read().by_instance().values()) == {1}
