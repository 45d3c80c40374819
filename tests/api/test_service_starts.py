"""Services that start beside others and after others: what they take over, and when they refuse."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from api_service import ON_DEMAND, Api, shell, until

from penstock.cli.composition import ServiceNotStarted, ServiceOptions
from penstock.cli.credentials import read_credentials
from penstock.locks import HeldFile, hold
from penstock.service import EmbeddedService
from penstock.settings import make_data_dir
from penstock.store.rows import Attempt, read_all

Start = Callable[..., Api]
MACHINE = {"id": "Machine", "type": "Ec2Resource"}


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts services on one data directory; they are stopped with the test."""
    started: list[Api] = []
    config = tmp_path / "penstock.toml"
    config.write_text("[engine]\nretry_delay = 0\nlong_poll = 1\n")

    def make(*, data_dir: Path = tmp_path / "data", **options: Any) -> Api:
        started.append(Api(EmbeddedService(ServiceOptions(data_dir, config=config, **options))))
        return started[-1]

    yield make
    for api in started:
        api.own.close()
        api.boto.close()
        api.service.stop()


def host(api: Api, group: str) -> str:
    """A pipeline whose resource the service's own runner hosts, and whose activity somebody holds; gives its id."""
    pipeline_id = api.activated(
        ON_DEMAND,
        MACHINE,
        shell("A", group),
        shell("B", group, runsOn={"ref": "Machine"}, command="sleep 600"),
    )
    until(lambda: api.status(pipeline_id, "B") == "RUNNING", 30)
    return pipeline_id


def attempts(api: Api, pipeline_id: str) -> list[Attempt]:
    with api.service.engine.store.snapshot() as tx:
        return read_all(Attempt, tx.all("attempts_after", pipeline_id=pipeline_id, attempt_id="", limit=100))


def test_a_second_server_on_a_data_directory_takes_over_nothing_of_the_first(start: Start, group: str) -> None:
    first = start()
    pipeline_id = host(first, group)
    before = {attempt.attempt_id: attempt.status for attempt in attempts(first, pipeline_id)}
    second = start()
    assert second.service.name != first.service.name
    assert {attempt.attempt_id: attempt.status for attempt in attempts(first, pipeline_id)} == before
    held = next(attempt for attempt in attempts(first, pipeline_id) if attempt.worker_group == "penstock:system")
    assert held.hostname == first.service.name


def test_a_server_that_starts_after_another_has_its_name(start: Start, tmp_path: Path) -> None:
    first = start()
    name = first.service.name
    assert [path.name for path in (tmp_path / "data/servers").iterdir()] == [name]
    first.service._held.pop().let_go()  # as if its process had been killed
    again = start()
    assert again.service.name == name
    assert start().service.name != name


def test_a_server_takes_over_what_all_ended_ones_held(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "data/servers"
    folder.mkdir(parents=True)
    for name in ("one", "two"):
        (folder / name).touch()
    service = start().service
    assert service.name == "one"
    assert [path.name for path in folder.iterdir()] == ["one"]


def test_a_server_without_a_runner_takes_over_nothing(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "data/servers"
    folder.mkdir(parents=True)
    (folder / "one").touch()
    service = start(has_runner=False).service
    assert (service.name, [path.name for path in folder.iterdir()]) == ("", ["one"])
    held = hold(folder / "one")
    assert held is not None
    held.let_go()


def test_the_pipeline_of_a_killed_run_is_deactivated_and_belongs_to_servers(
    start: Start, tmp_path: Path, group: str, caplog: pytest.LogCaptureFixture
) -> None:
    run = start(is_run=True, has_runner=False)
    pipeline_id = run.activated(ON_DEMAND, shell("A", group))
    beside = start(has_runner=False)
    assert beside.boto.list_pipelines()["pipelineIdList"][0]["id"] == pipeline_id
    assert beside.pipeline_fields(pipeline_id)["@pipelineState"] == "SCHEDULED"
    run.service._held.pop().let_go()  # as if its process had been killed
    with caplog.at_level(logging.WARNING, "penstock"):
        after = start(has_runner=False)
    assert f"The `penstock run` of {pipeline_id} was killed" in caplog.text
    assert list((tmp_path / "data/runs").iterdir()) == []
    assert after.status(pipeline_id, "A") == "CANCELED"
    assert after.pipeline_fields(pipeline_id)["@pipelineState"] == "INACTIVE"
    after.boto.activate_pipeline(pipelineId=pipeline_id)
    assert after.poll(group)["pipelineId"] == pipeline_id


def test_a_living_server_ends_what_a_killed_run_has_left(
    start: Start, tmp_path: Path, group: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.service.LOOK_SECONDS", 0.05)
    server = start(has_runner=False)
    run = start(is_run=True, has_runner=False)
    pipeline_id = run.activated(ON_DEMAND, shell("A", group))
    run.service._held.pop().let_go()  # as if its process had been killed
    until(lambda: server.pipeline_fields(pipeline_id)["@pipelineState"] == "INACTIVE")
    until(lambda: list((tmp_path / "data/runs").iterdir()) == [])
    server.boto.activate_pipeline(pipelineId=pipeline_id)
    assert server.poll(group)["pipelineId"] == pipeline_id


def test_a_run_whose_new_file_somebody_saw_first_takes_another(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Path] = []

    def hold_second(path: Path, *, shared: bool = False) -> HeldFile | None:
        seen.append(path)
        return None if path.parent.name == "runs" and len(seen) < 3 else hold(path, shared=shared)

    monkeypatch.setattr("penstock.service.hold", hold_second)
    run = start(is_run=True, has_runner=False).service
    assert run.name == seen[-1].name
    assert seen[-1] != seen[-2]


def test_a_run_that_ends_leaves_no_file(start: Start, tmp_path: Path) -> None:
    run = start(is_run=True).service
    assert [path.name for path in (tmp_path / "data/runs").iterdir()] == [run.name]
    run.stop()
    assert list((tmp_path / "data/runs").iterdir()) == []
    run.stop = lambda: None  # type: ignore[method-assign]


def test_a_lost_master_key_is_told_at_the_start(start: Start, tmp_path: Path) -> None:
    start(has_runner=False)
    (tmp_path / "data/master.key").unlink()
    with pytest.raises(ServiceNotStarted, match=r"data/master\.key.*\$PENSTOCK_MASTER_KEY"):
        start(has_runner=False)


def test_a_shared_key_that_would_not_be_let_in_is_told_at_the_start(start: Start, tmp_path: Path) -> None:
    api = start(has_runner=False)
    path = tmp_path / "data/credentials"
    kept = path.read_text()
    path.write_text(kept.replace(api.credentials.secret_key, "another"))
    with pytest.raises(ServiceNotStarted, match=rf"{path} has another secret in the store.*move it away"):
        start(has_runner=False)
    path.write_text(kept)
    api.own.call("RevokeKey", accessKeyId=api.credentials.access_key)
    with pytest.raises(ServiceNotStarted, match=rf"{path} was revoked.*move it away"):
        start(has_runner=False)
    path.unlink()
    again = start(has_runner=False)
    assert read_credentials(path) == again.credentials
    assert again.boto.list_pipelines()["pipelineIdList"] == []


def test_killed_servers_leave_no_keys_behind(start: Start) -> None:
    for _ in range(3):
        start().service._held.pop().let_go()
    service = start().service
    with service.engine.store.snapshot() as tx:
        assert [row["role"] for row in tx.all("keys")].count("system") == 1


def test_a_new_data_directory_is_for_its_owner_only(tmp_path: Path) -> None:
    make_data_dir(tmp_path / "far" / "data")
    assert (tmp_path / "far" / "data").stat().st_mode & 0o777 == 0o700
