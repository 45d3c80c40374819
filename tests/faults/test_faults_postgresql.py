"""A store on PostgreSQL that is restarted or cut off, with several servers of which some are killed."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from fault_pipeline import Runs, check_ends, make_pipeline, repeated, seeds
from fault_proxy import Proxy
from fault_site import ACKNOWLEDGE, MASTER_KEY, SECONDS, SETTINGS, Site, by_hand, until
from postgresql import SETTINGS as OF_POSTGRESQL
from postgresql import Running, restartable_postgresql
from test_faults_clock import check_intervals, every_second, starts

COUNT = 30 if SECONDS else 10
LONG_LEASE = (  # longer than the database is away: a short task is acknowledged by its end, which waits for that
    SETTINGS.replace("lease = 3.0", "lease = 30")
    .replace("system_lease = 2", "system_lease = 30")
    .replace(f"acknowledge_within = {ACKNOWLEDGE}", "acknowledge_within = 15")
)
KEY = {"PENSTOCK_MASTER_KEY": MASTER_KEY}


HOW = (signal.SIGINT, signal.SIGQUIT)  # fast, and as if it had crashed


@pytest.fixture
def database(postgresql_url: str) -> Iterator[Running]:
    """A PostgreSQL of the test's own, which keeps what it has committed."""
    with restartable_postgresql(OF_POSTGRESQL | {"synchronous_commit": "on"}) as running:
        yield running


def two_servers(site: Site, store: str) -> None:
    site.server("server", "--store", store)
    credentials = site.data / "credentials"
    other = site.folder / "other"
    other.mkdir()
    (other / "credentials").write_text(credentials.read_text())
    site.server("other", "--store", store, data=other)


@by_hand
@pytest.mark.timeout(max(120, 3 * SECONDS))
def test_a_restart_of_postgresql_in_the_middle_of_a_run_costs_nothing(
    new_site: Callable[..., Site], database: Running
) -> None:
    for seed in seeds():
        chance = random.Random(seed)
        with psycopg.connect(database.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE restarts_{seed}")
        site = new_site(settings=LONG_LEASE, environment=dict(KEY))
        runs = Runs(site.folder / "runs")
        two_servers(site, f"{database.url.rpartition('/')[0]}/restarts_{seed}")
        site.runner()
        site.runner("second", endpoint=site.endpoint("other"))
        pipeline_id = site.activated(make_pipeline(runs, COUNT, seed))
        for how in HOW * (4 if SECONDS else 1):
            time.sleep(chance.uniform(0.1, 1.0))
            database.restart(how)
        until(lambda site=site, p=pipeline_id: site.state(p) == "FINISHED", "the pipeline ends", 90)
        check_ends(site.statuses(pipeline_id))
        extra = repeated(runs, COUNT)
        print(f"seed {seed}: {runs.begun.total()} runs, {extra} again", flush=True)
        assert extra == 0
        site.end()


@by_hand
def test_a_database_that_is_cut_off_for_a_while_costs_nothing(
    new_site: Callable[..., Site], postgresql_url: str
) -> None:
    site = new_site(settings=LONG_LEASE, environment=dict(KEY))
    runs = Runs(site.folder / "runs")
    url = urlsplit(postgresql_url)
    assert url.port is not None
    with closing(Proxy(url.port)) as proxy:
        two_servers(site, postgresql_url.replace(f":{url.port}", f":{proxy.port}"))
        site.runner()
        pipeline_id = site.activated(make_pipeline(runs, COUNT, 5))
        for cut in (proxy.cut, proxy.stop):
            time.sleep(0.3)
            cut()
            time.sleep(3.0 if SECONDS else 1.0)
            proxy.go_on()
        until(lambda: site.state(pipeline_id) == "FINISHED", "the pipeline ends", 90)
        check_ends(site.statuses(pipeline_id))
        assert repeated(runs, COUNT) == 0
        site.end()


def test_a_server_ends_as_asked_while_its_database_is_away(new_site: Callable[..., Site], postgresql_url: str) -> None:
    site = new_site(environment=dict(KEY))
    url = urlsplit(postgresql_url)
    assert url.port is not None
    with closing(Proxy(url.port)) as proxy:
        site.server("server", "--store", postgresql_url.replace(f":{url.port}", f":{proxy.port}"))
        until(lambda: "Ctrl-C ends it" in site.said("server"), "the server has started")
        proxy.cut()
        site.processes["server"].send_signal(signal.SIGTERM)
        assert site.processes["server"].wait(30) in (0, 130, 143)
    assert "the next start puts in order what is left in it" in site.said("server")
    assert "Traceback" not in site.said("server")


@by_hand
def test_when_the_server_that_runs_the_clock_is_killed_another_misses_no_interval(
    new_site: Callable[..., Site], postgresql_url: str
) -> None:
    site = new_site(environment=dict(KEY))
    runs = Runs(site.folder / "runs")
    two_servers(site, postgresql_url)
    site.runner("runner", endpoint=site.endpoint("other"))
    pipeline_id = site.activated(every_second(runs))
    until(lambda: len(starts(site, pipeline_id)) > 1, "the schedule runs")
    kills = 10 if SECONDS else 1
    for number in range(kills):
        leader = leading(site, postgresql_url)
        known = instances(postgresql_url)
        site.kill(leader)
        killed = time.monotonic()
        until(lambda known=known: instances(postgresql_url) > known, "the other one goes on", 20)
        print(f"kill {number}: {time.monotonic() - killed:.2f} s to the next interval", flush=True)
        site.start(leader)
    site.call("DeactivatePipeline", pipelineId=pipeline_id)
    assert check_intervals(site, pipeline_id) > 2
    until(lambda: set(site.statuses(pipeline_id).values()) <= {"FINISHED", "CANCELED"}, "everything ends")
    assert set(runs.read().by_instance().values()) == {1}


def instances(url: str) -> int:
    """How many there are, by the store itself."""
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute("SELECT count(*) FROM instances").fetchone()
    assert row is not None
    return int(row[0])


def leading(site: Site, url: str) -> str:
    """The server whose connection holds the lock of the clock: told by the port of the connection's other end."""
    holder = (
        "SELECT client_port FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE locktype = 'advisory' AND granted"
    )

    def ports() -> list[int]:
        with psycopg.connect(url, autocommit=True) as connection:
            return [row[0] for row in connection.execute(holder).fetchall()]

    def found() -> str | None:
        for port in ports():
            for name in ("server", "other"):
                if port in local_ports(site.processes[name].pid):
                    return name
        return None

    name: str = until(found, "one of the servers runs the clock", 10)
    return name


def local_ports(pid: int) -> set[int]:
    """The local ports of a process's TCP connections."""
    process = Path("/proc") / str(pid)
    inodes = set()
    for entry in (process / "fd").iterdir():
        with suppress(OSError):
            inodes.add(str(entry.readlink()))
    rows = [line.split() for line in (process / "net/tcp").read_text().splitlines()[1:]]
    return {int(row[1].rpartition(":")[2], 16) for row in rows if f"socket:[{row[9]}]" in inodes}
