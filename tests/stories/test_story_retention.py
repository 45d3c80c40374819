"""Retention: what is old goes, and nothing that something still needs."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from story import (
    Pipe,
    Story,
    activity,
    data_node,
    day,
    exists,
    on_demand,
    ref,
    resource,
    schedule,
    scheduled,
)

from penstock.api import pipelines
from penstock.clock import to_ms
from penstock.data.file_names import log_folder
from penstock.definition.period import parse_date_time
from penstock.engine import retention
from penstock.engine.engine import Engine
from penstock.settings import RetentionSettings, Settings
from penstock.store.database import Store

Begin = Callable[..., Story]


class Keeper(Story):
    """A story whose engine keeps history as the settings say."""

    def __init__(self, store: Store, folder: Path, start: str, **retention: Any) -> None:
        self.retention = RetentionSettings(**retention)
        super().__init__(store, folder, start, retry_delay=0.0, maximum_retries=0)

    def new_engine(self, folder: Path, **settings: Any) -> Engine:
        made = super().new_engine(folder, **settings)
        chosen: Settings = replace(made.settings, retention=self.retention)
        return Engine(self.store, made.catalogue, self.clock, chosen, made.secrets, self.owner, folder)

    def later(self, **period: float) -> None:
        """Let a period pass, and then a pass of the retention."""
        super().later(**period)
        self.engine.retention._due = 0
        super().later(minutes=1)


@pytest.fixture
def begin(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Begin:
    monkeypatch.setattr(retention, "EVERY", 10**12)  # a pass at the start, and after each `later`

    def make(start: str = "2024-01-01T00:00:00", **retention: Any) -> Story:
        return Keeper(store, tmp_path, start, **retention)

    return make


def days_of(pipe: Pipe, component: str) -> list[str]:
    """The days of January of which instances of a component are there."""
    return [identity[-11:-9] for identity in pipe.statuses(component)]


def run_days(story: Story, last: int, *, month: str = "01") -> None:
    """Let days pass, with all work done each midnight."""
    first = story.clock.moment.day
    for number in range(first + 1, last + 1):
        story.work()
        story.until(f"2024-{month}-{number:02}T00:00:00")
    story.work()


def test_a_pass_comes_every_hour(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "EVERY", 3_600_000)
    story = begin(instances_per_component=1)
    pipe = story.pipeline(scheduled(activity("A")))
    run_days(story, 2)
    assert days_of(pipe, "A") == ["01", "02"]
    story.until("2024-01-02T01:05:00")
    assert days_of(pipe, "A") == ["02"]


def test_nothing_is_ever_deleted_unless_the_settings_say_so(begin: Begin) -> None:
    story = begin()
    pipe = story.pipeline(scheduled(activity("A")))
    run_days(story, 20)
    story.later(days=40)
    assert {*days_of(pipe, "A")} >= {f"{number:02}" for number in range(1, 21)}
    assert len(pipe.events("ATTEMPT")) >= 40


def test_instances_go_by_age_with_their_attempts_dependencies_and_events(begin: Begin) -> None:
    story = begin(instances_days=5)
    pipe = story.pipeline(scheduled(activity("A"), activity("B", dependsOn=ref("A"))))
    run_days(story, 10)
    story.later(hours=2)
    assert days_of(pipe, "A") == days_of(pipe, "B") == ["06", "07", "08", "09", "10"]
    assert pipe.attempts(day("A", 4)) == []
    assert {event.object_id.split("_")[1][:10] for event in pipe.events("ATTEMPT")} == {
        f"2024-01-{number:02}" for number in range(6, 11)
    }
    assert [event.to_status for event in pipe.events("PIPELINE")] == ["SCHEDULED"]
    with story.store.snapshot() as tx:
        assert tx.all("dependencies_of", pipeline_id=pipe.id, consumer=day("B", 4)) == []


def test_instances_go_by_count(begin: Begin) -> None:
    story = begin(instances_per_component=3)
    pipe = story.pipeline(scheduled(activity("A")))
    run_days(story, 10)
    story.later(hours=2)
    assert days_of(pipe, "A") == ["08", "09", "10"]
    assert pipe.fields("A")["@healthStatusFromInstanceId"] == [day("A", 10)]


def test_the_last_instance_of_a_component_stays_however_old_it_is(begin: Begin) -> None:
    story = begin(instances_days=1)
    pipe = story.pipeline(scheduled(schedule(occurrences="3"), activity("A")))
    run_days(story, 4)
    story.later(days=20)
    assert days_of(pipe, "A") == ["03"]
    assert pipe.state == "FINISHED"


def test_a_producer_stays_while_a_consumer_that_is_not_made_yet_will_need_it(begin: Begin) -> None:
    story = begin(instances_days=0.1)
    pipe = story.pipeline(
        scheduled(
            schedule("Hourly", "1 hour"),
            activity("Hour", schedule=ref("Hourly")),
            activity("Day", scheduleType="timeseries", dependsOn=ref("Hour")),
        )
    )
    for hour in range(1, 24):
        story.work()
        story.until(f"2024-01-01T{hour:02}:00:00")
    story.work()
    story.later(minutes=1)
    assert len(pipe.statuses("Hour")) == 24, "the day's instance, made at midnight, waits for all of them"
    story.until("2024-01-02T00:00:00")
    assert "@Day_2024-01-01T00:00:00" in story.work()
    for hour in range(1, 9):
        story.until(f"2024-01-02T{hour:02}:00:00")
        story.work()
    story.later(minutes=1)
    assert "@Hour_2024-01-01T23:00:00" in pipe.statuses(), "the last instance of Day stays, and what it waited for"
    story.until("2024-01-03T00:00:00")
    story.work()
    story.later(hours=6)
    assert not [name for name in pipe.statuses("Hour") if "2024-01-01T" in name]
    assert len([name for name in pipe.statuses("Hour") if "2024-01-02T" in name]) == 24


def test_what_an_unfinished_consumer_waits_for_stays(begin: Begin) -> None:
    story = begin(instances_days=2)
    pipe = story.pipeline(scheduled(activity("A"), activity("B", dependsOn=ref("A"), workerGroup="other")))
    run_days(story, 5)
    story.later(days=10)
    assert day("A", 1) in pipe.statuses()
    story.work("other")
    story.later(days=3)
    assert day("A", 1) not in pipe.statuses()
    assert day("B", 1) not in pipe.statuses()


def test_a_failure_that_holds_its_consumers_stays_with_them(begin: Begin) -> None:
    story = begin(instances_days=2)
    pipe = story.pipeline(scheduled(activity("A"), activity("B", dependsOn=ref("A")), mode="none"))
    story.work(answer=lambda task: "FAILED")
    story.later(days=10)
    assert pipe.statuses()[day("A", 1)] == "FAILED"
    assert pipe.statuses()[day("B", 1)] == "WAITING_ON_DEPENDENCIES"
    pipe.set_status("RERUN", day("A", 1))
    assert {day("A", 1), day("B", 1)} <= set(story.work())


def test_preconditions_and_data_nodes_go_with_what_needs_them(begin: Begin) -> None:
    story = begin(instances_days=2)
    pipe = story.pipeline(
        scheduled(
            exists("Ready"),
            data_node("In", precondition=ref("Ready")),
            data_node("Out"),
            activity("A", input=ref("In"), output=ref("Out")),
        )
    )
    run_days(story, 6)
    story.later(hours=3)
    for component in ("In", "A", "Out"):
        assert days_of(pipe, component) == ["05", "06"], component
    assert len(pipe.statuses("Ready")) == 2


def test_a_resource_goes_after_what_ran_on_it(begin: Begin) -> None:
    story = begin(instances_days=2)
    pipe = story.pipeline(scheduled(resource("Machine"), activity("A", runsOn=ref("Machine"))))
    for number in range(1, 7):
        story.until(f"2024-01-{number:02}T00:00:00")
        create = story.take("penstock:system")
        group = create.field("@workerGroup")
        assert group is not None
        story.work(group)
        story.end(create)
    story.later(hours=3)
    assert days_of(pipe, "A") == days_of(pipe, "Machine") == ["05", "06"]
    pipe.set_status("RERUN", day("Machine", 6))
    assert pipe.status(day("A", 6)) == "WAITING_ON_DEPENDENCIES"


def test_what_a_deactivation_cancelled_stays_until_it_has_run(begin: Begin) -> None:
    story = begin(instances_days=1)
    pipe = story.pipeline(scheduled(activity("A")))
    run_days(story, 3)
    story.until("2024-01-05T00:00:00")
    pipe.deactivate()
    story.later(days=20)
    statuses = {day("A", 3): "FINISHED", day("A", 4): "CANCELED", day("A", 5): "CANCELED"}
    assert pipe.statuses("A") == statuses, "the third is where the component's health is from"
    pipe.activate()
    assert {day("A", 4), day("A", 5)} <= set(story.work())


def test_on_demand_runs_go_whole(begin: Begin) -> None:
    story = begin(instances_days=1)
    pipe = story.pipeline(on_demand(activity("A"), activity("B", workerGroup="other")))
    story.work()
    story.until("2024-01-05T00:00:00")
    pipe.activate()
    story.work()
    story.later(days=5)
    assert len(pipe.statuses("A")) == 2, "B of the first run is not over"
    story.work("other")
    story.work("other")
    story.later(days=10)
    assert list(pipe.statuses()) == ["@A_2024-01-05T00:00:00", "@B_2024-01-05T00:00:00"]


def test_what_is_gone_counts_as_done_for_an_activity_that_is_added_later(begin: Begin) -> None:
    story = begin(instances_days=2)
    definition = scheduled(resource("Machine"), activity("A"))
    pipe = story.pipeline(definition)
    run_days(story, 6)
    story.later(hours=3)
    assert days_of(pipe, "A") == ["05", "06"]
    pipe.put(scheduled(resource("Machine"), activity("A"), activity("New", dependsOn=ref("A"))))
    pipe.activate("2024-01-01T00:00:00")
    assert story.work() == [day("New", number) for number in range(1, 7)]


def test_a_skipped_instance_that_is_run_after_all_does_not_wait_for_what_is_gone(begin: Begin) -> None:
    story = begin("2024-01-09T00:00:00", instances_per_component=2)
    other = schedule("Other", "2 days")
    pipe = story.pipeline(
        scheduled(other, activity("A"), activity("B", dependsOn=ref("A"), schedule=ref("Other"))),
        start="2024-01-09T00:00:00",
    )
    run_days(story, 10)
    story.later(hours=1)
    assert (days_of(pipe, "A"), days_of(pipe, "B")) == (["09", "10"], ["07", "09"])
    assert pipe.status(day("B", 7)) == "SKIPPED"
    pipe.set_status("RERUN", day("B", 7))
    assert story.work() == [day("B", 7)]


def test_events_go_by_age_alone(begin: Begin) -> None:
    story = begin(events_days=3)
    pipe = story.pipeline(scheduled(activity("A")))
    run_days(story, 8)
    story.later(hours=2)
    assert {event.object_id.split("_")[1][:10] for event in pipe.events("ATTEMPT")} == {
        "2024-01-06",
        "2024-01-07",
        "2024-01-08",
    }
    assert len(days_of(pipe, "A")) == 8


def test_activations_go_after_their_instances_and_versions_after_their_activations(begin: Begin) -> None:
    story = begin(instances_days=1, definition_versions=2)
    pipe = story.pipeline(on_demand(activity("A", command="0")), is_active=False)
    for number in range(1, 7):
        pipe.put(on_demand(activity("A", command=str(number))))
        pipe.activate()
        story.work()
        story.later(hours=12)
    story.later(hours=2)
    with story.store.snapshot() as tx:
        activations = [row["number"] for row in tx.all("activation_numbers", pipeline_id=pipe.id)]
        versions = [n for n in range(1, 7) if tx.one("definition_by_version", pipeline_id=pipe.id, version=n)]
    assert (activations, versions) == ([6], [5, 6])


@pytest.fixture
def logs(tmp_path: Path) -> Callable[..., Path]:
    def make(pipe: Pipe, instance: str, *, written: str | None = None) -> Path:
        folder = log_folder(tmp_path, pipe.id, f"{instance}_Attempt=1")
        folder.mkdir(parents=True)
        (folder / "StdOutput").write_text("said")
        if written is not None:
            seconds = parse_date_time(written).timestamp()
            os.utime(folder / "StdOutput", (seconds, seconds))
            os.utime(folder, (seconds, seconds))
        return folder

    return make


def test_logs_go_with_their_instances(begin: Begin, logs: Callable[..., Path]) -> None:
    story = begin(instances_days=2)
    pipe = story.pipeline(scheduled(activity("A")))
    old, new = logs(pipe, day("A", 1)), logs(pipe, day("A", 6))
    run_days(story, 6)
    story.later(hours=2)
    assert not old.exists()
    assert new.exists()


def test_logs_go_by_age_but_not_those_of_a_running_attempt(
    begin: Begin, logs: Callable[..., Path], tmp_path: Path
) -> None:
    story = begin(logs_days=3)
    pipe = story.pipeline(scheduled(activity("A")))
    story.end(story.take())
    old = logs(pipe, day("A", 1), written="2024-01-01T00:00:00")
    gone = logs(pipe, "@Dropped_2023-01-01T00:00:00", written="2023-01-01T00:00:00")
    story.until("2024-01-02T00:00:00")
    story.take()
    running = logs(pipe, day("A", 2), written="2024-01-02T00:00:00")
    with story.engine.turn(pipe.id) as turn:
        active = turn.tx.one("active_attempt", pipeline_id=pipe.id, instance_id=day("A", 2))
        assert active is not None
        later = turn.in_seconds(30 * 86400)
        turn.tx.execute(
            "renew_lease", task_id=active["task_id"], lease_until=later, due_at=later, now=turn.now, fields="{}"
        )
    story.later(days=7)
    assert not old.exists()
    assert not gone.exists()
    assert running.exists()
    assert day("A", 1) in pipe.statuses()


def test_a_pass_is_a_row_of_short_transactions(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH_SECONDS", 0.0)
    monkeypatch.setattr(retention, "PAGE", 7)
    story = begin("2024-01-30T00:00:00", instances_per_component=4)
    pipe = story.pipeline(scheduled(activity("A", maxActiveInstances="100")), start="2024-01-01T00:00:00")
    story.work()
    story.later(hours=2)
    assert days_of(pipe, "A") == ["27", "28", "29", "30"]


def test_a_pipeline_that_is_deleted_in_the_middle_of_a_pass_holds_up_no_other(
    begin: Begin, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    story = begin(instances_per_component=1)
    pipes = [story.pipeline(scheduled(activity("A"))) for _ in range(2)]
    run_days(story, 3)
    monkeypatch.setattr(retention, "BATCH_SECONDS", 0.0)
    keeper = story.engine.retention
    keeper._due, now = 0, to_ms(story.clock.moment)
    due: int | None = now
    while due is not None and due < now + retention.EVERY:
        due = keeper.go_on(due)
        gone = [pipe for pipe in pipes if pipe.statuses() and days_of(pipe, "A") == ["03"]]
        if gone and len(pipes) == 2:
            pipelines.delete_pipeline(story.call(), {"pipelineId": gone[0].id})
            pipes.remove(gone[0])
    assert days_of(pipes[0], "A") == ["03"]
    assert "could not be deleted" not in caplog.text
