"""The flights example, the real thing: true sums, the same bytes every time, on SQLite and on PostgreSQL."""

from __future__ import annotations

import csv
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from penstock_command import Ended, Shell

DEFINITION = Path(__file__).parents[2] / "examples/flights/pipeline.json"
WEEKS = {"2013-01-01": (6099, 35), "2013-01-08": (6109, 47)}
COLUMNS = ["week_start", "carrier", "flights", "cancelled", "mean_arrival_delay"]
TABLES = ("airlines", "flights", "weather", "daily_airports", "daily_carriers")


@pytest.fixture(scope="module")
def flights(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    return Shell(tmp_path_factory.mktemp("flights"))


@pytest.fixture(scope="module")
def first(flights: Shell) -> tuple[Ended, dict[str, bytes], dict[str, int]]:
    """A first run with its reports and the number of rows in each table."""
    run = flights.run("run", DEFINITION, "--data-dir", "sqlite", "--json")
    return run, reports(flights.folder / "sqlite"), rows(flights.folder / "sqlite")


def reports(data: Path) -> dict[str, bytes]:
    folder = data / "s3/penstock-flights/reports"
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def rows(data: Path) -> dict[str, int]:
    (path,) = [p for p in (data / "databases").rglob("*") if p.name.startswith("flights.db") and "-" not in p.name]
    connection = sqlite3.connect(path)
    try:
        return {table: connection.execute(f"select count(*) from {table}").fetchone()[0] for table in TABLES}
    finally:
        connection.close()


def assert_all_finished(run: Ended) -> None:
    assert run.status == 0, run.err
    instances: list[dict[str, Any]] = run.json()["instances"]
    assert len(instances) >= 60
    assert {instance["@status"] for instance in instances} == {"FINISHED"}


def assert_sums(made: dict[str, bytes]) -> None:
    for week, sums in WEEKS.items():
        lines = list(csv.DictReader(made[f"weekly/{week}/carriers.csv"].decode().splitlines()))
        assert set(COLUMNS) <= set(lines[0])
        assert {line["week_start"] for line in lines} == {week}
        assert (sum(int(line["flights"]) for line in lines), sum(int(line["cancelled"]) for line in lines)) == sums


def test_all_instances_finish_and_the_sums_are_those_of_the_source(first: Any) -> None:
    run, made, counted = first
    assert_all_finished(run)
    assert_sums(made)
    assert len([name for name in made if name.startswith("daily/")]) == 14
    assert counted["flights"] == 6099 + 6109
    assert "Backfill:" in run.err


@pytest.mark.by_hand
def test_a_second_run_is_a_new_pipeline_with_equal_reports_and_rows(flights: Shell, first: Any) -> None:
    before, made, counted = first
    run = flights.run("run", DEFINITION, "--data-dir", "sqlite", "--json")
    assert_all_finished(run)
    assert run.json()["pipelineId"] != before.json()["pipelineId"]
    assert reports(flights.folder / "sqlite") == made
    assert rows(flights.folder / "sqlite") == counted


@pytest.mark.by_hand
def test_on_postgresql_by_four_lines_of_settings_the_reports_are_the_same(
    flights: Shell, first: Any, postgresql_url: str
) -> None:
    config = flights.folder / "penstock.toml"
    lines = ['[databases."jdbc:sqlite:flights.db"]', f'url = "{postgresql_url}"', 'username = "penstock"']
    config.write_text("\n".join([*lines, 'password = "none"\n']))
    run = flights.run("run", DEFINITION, "--data-dir", "pg", "--json", "--config", config)
    assert_all_finished(run)
    assert reports(flights.folder / "pg") == first[1]
    assert not list((flights.folder / "pg").rglob("flights.db*"))


@pytest.mark.by_hand
def test_two_runs_at_once_in_one_data_directory_both_finish(shell: Shell, first: Any) -> None:
    running = [shell.start("run", DEFINITION, "--data-dir", shell.data, "--json") for _ in range(2)]
    done = [run.end() for run in running]
    for run in done:
        assert_all_finished(run)
    assert rows(shell.data) == first[2]
