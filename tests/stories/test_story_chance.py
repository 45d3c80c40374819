"""Whatever happens in whatever order, a pipeline in cascade mode comes to its end, and nothing waits for ever."""

from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from story import SYSTEM, Pipe, Story, Task, activity, data_node, exists, ref, resource, schedule, scheduled

from penstock.api import backfill, tasks
from penstock.definition.period import parse_date_time
from penstock.engine.recovery import recover
from penstock.store.database import Store
from penstock.wire.errors import ServiceError

VERBS = ("RERUN", "RERUN", "CANCEL", "MARK_FINISHED")
MAY_STAND_STILL = ("A0", "A1", "A2", "A3", "P0", "P1", "R1")
RETRY = {"maximumRetries": "1", "retryDelay": "1 minute"}


def made_up(chance: random.Random) -> dict[str, Any]:
    """Two schedules, two resources, data nodes with preconditions, and activities that depend on earlier ones."""
    objects: list[dict[str, Any]] = [
        schedule("Daily", "1 day", occurrences="3"),
        schedule("Short", "8 hours", occurrences=str(chance.randint(6, 10))),
    ]
    for name in ("R1", "R2"):
        after = {
            "actionOnTaskFailure": chance.choice(["continue", "terminate"]),
            "actionOnResourceFailure": chance.choice(["retryAll", "retryAll", "retryNone"]),
        }
        objects.append(resource(name, schedule=ref(chance.choice(["Daily", "Short"])), **after, **RETRY))
    earlier: list[str] = []
    for number in range(chance.randint(3, 7)):
        fields: dict[str, Any] = {"schedule": ref(chance.choice(["Daily", "Short"])), **RETRY}
        if earlier:
            fields["dependsOn"] = [
                ref(name) for name in chance.sample(earlier, min(len(earlier), chance.randint(0, 2)))
            ]
        if chance.random() < 0.5:
            fields["precondition"] = ref(f"P{number}")
            objects.append(exists(f"P{number}", preconditionTimeout="3 hours", **RETRY))
        if chance.random() < 0.3:
            objects.append(data_node(f"D{number}", **{k: v for k, v in fields.items() if k != "dependsOn"}))
            earlier.append(f"D{number}")
            fields.pop("precondition", None)
            fields["output"] = ref(f"D{number}")
        if chance.random() < 0.5:
            fields["runsOn"] = ref(chance.choice(["R1", "R2"]))
        if not fields.get("dependsOn"):
            fields.pop("dependsOn", None)
        objects.append(activity(f"A{number}", **fields))
        earlier.append(f"A{number}")
    return scheduled(*objects, kind=chance.choice(["cron", "timeseries"]))


class World:
    """Runners that answer as chance will have it, and people who meddle."""

    def __init__(self, story: Story, pipe: Pipe, chance: random.Random) -> None:
        self.story, self.pipe, self.chance = story, pipe, chance
        self.hosted: list[Task] = []
        self.held: list[Task] = []

    def poll(self, group: str) -> Task | None:
        task = self.story.poll(group)
        if task is not None and self.chance.random() < 0.9:
            self.story.report(task)
        return task

    def work(self, good: float) -> None:
        """Take what there is; some of it ends at once, some later, some never."""
        while (task := self.poll(SYSTEM)) is not None:
            self.hosted.append(task)
        for hosting in list(self.hosted):
            self._host(hosting, good)
        while (task := self.poll("work")) is not None:
            self._answer(task, good)
        for task in self.held[:]:
            self.held.remove(task)
            if self.chance.random() < 0.9:
                self.end(task, "FINISHED")

    def _host(self, hosting: Task, good: float) -> None:
        if self._is_gone(hosting):
            self.hosted.remove(hosting)
            return
        group = f"resource:{self.pipe.id}_{hosting.instance_id}"
        beat = {"taskrunnerId": hosting.attempt_id, "workerGroup": group, "hostname": "h"}
        while not tasks.report_task_runner_heartbeat(self.story.call("runner"), beat)["terminate"]:
            if self.chance.random() > good:
                self.end(hosting, "FAILED")
                self.hosted.remove(hosting)
                return
            task = self.poll(group)
            if task is None:
                return
            self._answer(task, good)
        self.end(hosting, "FINISHED")
        self.hosted.remove(hosting)

    def _is_gone(self, task: Task) -> bool:
        try:
            return self.story.report(task)
        except ServiceError:
            return True

    def _answer(self, task: Task, good: float) -> None:
        if self.chance.random() < good:
            self.end(task, "FINISHED")
        elif "@P" in task.instance_id and self.chance.random() < 0.5:
            self.end(task, "FALSE")
        elif self.chance.random() < 0.5:
            self.end(task, "FAILED")
        else:
            self.held.append(task)

    def end(self, task: Task, status: str) -> None:
        try:
            self.story.end(task, status)
        except ServiceError as error:
            assert error.code == "TaskNotFoundException"

    def meddle(self) -> None:
        """Do one thing that a user may do at any time."""
        instances = self.pipe.instances()
        try:
            match self.chance.randint(0, 11):
                case 0:
                    self.pipe.deactivate(cancel_active=self.chance.random() < 0.5)
                case 1 | 2:
                    self.pipe.activate()
                case 3:
                    self.pipe.set_status(self.chance.choice(["PAUSE", "RESUME"]), self.chance.choice(MAY_STAND_STILL))
                case 4:
                    recover(self.story.engine, "host-1")
                case 5 | 6:
                    start = parse_date_time("2024-01-01") + timedelta(hours=8 * self.chance.randint(0, 3))
                    asked = {"startTime": start, "endTime": start + timedelta(hours=24)}
                    is_all = self.chance.random() < 0.5
                    backfill.backfill_range(
                        self.story.call(), {"pipelineId": self.pipe.id, "includeFinished": is_all, **asked}
                    )
                case _ if instances:
                    self.pipe.set_status(self.chance.choice(VERBS), self.chance.choice(instances).instance_id)
        except ServiceError:
            pass  # what cannot be done now is refused

    def is_consistent(self) -> None:
        """What holds at every moment."""
        for instance in self.pipe.instances():
            attempts = self.pipe.attempts(instance.instance_id)
            active = [attempt for attempt in attempts if attempt.ended_at is None]
            if instance.ended_at is not None or instance.status == "WAITING_ON_DEPENDENCIES":
                assert not active, instance
            elif instance.status != "SHUTTING_DOWN":
                assert len(active) == 1, instance
                if instance.family != "Resource":
                    assert active[0].status == instance.status
            waits = instance.ended_at is None and instance.status not in ("RUNNING",)
            assert bool(self.pipe.why(instance.instance_id)) == waits, instance


@pytest.mark.parametrize(
    ("store", "seed"),
    [
        *[("sqlite", seed) for seed in range(4)],
        *[pytest.param("sqlite", seed, marks=pytest.mark.by_hand) for seed in range(4, 12)],
        ("postgresql", 13),
        pytest.param("postgresql", 12, marks=pytest.mark.by_hand),
    ],
    indirect=["store"],
)
def test_every_pipeline_comes_to_its_end(store: Store, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    story = Story(store, tmp_path)
    pipe = story.pipeline(made_up(chance))
    world = World(story, pipe, chance)
    for _ in range(25):
        story.later(minutes=chance.choice([1, 5, 60, 240]))
        world.work(good=0.8)
        if chance.random() < 0.5:
            world.meddle()
        world.is_consistent()
    if pipe.state == "DEACTIVATING":
        story.later(hours=1)
        world.work(good=1)
    for name in MAY_STAND_STILL:
        try:
            pipe.set_status("RESUME", name)
        except ServiceError:
            continue
    for _ in range(12):
        if pipe.state == "INACTIVE":
            pipe.activate()
        story.later(hours=12)
        world.work(good=1)
        story.later(minutes=5)
        world.work(good=1)
    world.is_consistent()
    left = {i.instance_id: (i.status, pipe.why(i.instance_id)) for i in pipe.instances() if i.ended_at is None}
    assert not left
    assert pipe.state == "FINISHED"
