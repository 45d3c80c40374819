"""A story that chance tells, step by step; told again from its steps; and made short when a law breaks in it."""

from __future__ import annotations

import random
import shutil
import tempfile
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from simulated_definitions import GROUPS, Definition, text_of, versions, without
from simulated_laws import BAD, FINAL, Laws
from simulated_world import SYSTEM, Key, Step, World

from penstock.store.database import Store

WORDS = ("red", "blue")
SETTLING = 2500  # steps, at most


@dataclass
class Told:
    """What was told: all that is needed to tell it again, the events, and the law that broke."""

    options: Mapping[str, Any]
    definitions: list[list[Definition]]
    steps: list[Step] = field(default_factory=list)
    history: list[str] = field(default_factory=list)
    broken: str = ""
    where: str = ""


class Teller:
    """Chooses what happens next; each story has its own taste."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.good = chance.choice([0.5, 0.8, 0.95])  # how much of the work goes well
        self.acknowledged = chance.choice([0.5, 0.9, 1.0])
        names = (
            "people",
            "states",
            "backfills",
            "restarts",
            "breaks",
            "silence",
            "late",
            "edits",
            "delete",
            "jumps",
            "together",
        )
        self.likes = {name: chance.random() < 0.5 for name in names}
        self.options: dict[str, Any] = {}
        if chance.random() < 0.3:
            self.options["retention"] = {
                "instances_days": chance.choice([0, 0.5]),
                "instances_per_component": chance.choice([0, 3]),
                "events_days": chance.choice([0, 1000]),
                "definition_versions": chance.choice([0, 1]),
            }
        if chance.random() < 0.3:
            self.options["delivery"] = True
        if chance.random() < 0.3:
            self.options["engine"] = {"lease": 300.0, "acknowledge_within": 30.0, "precondition_interval": 600.0}
        self.definitions = [versions(chance) for _ in range(chance.choice([1, 1, 1, 2]))]

    def step(self, world: World, laws: Laws) -> Step:
        made = self._step(world, laws)
        if self.likes["breaks"] and self.chance.random() < 0.15:
            return ("break", self.chance.randint(0, 60), self.chance.random() < 0.5, made)
        return made

    def _step(self, world: World, laws: Laws) -> Step:
        chance, state = self.chance, laws.state
        roll = chance.random()
        number = chance.randrange(len(world.pipes))
        pipeline = state.pipelines[world.pipes[number].id]
        if pipeline["state"] in ("PENDING", "INACTIVE") and roll < 0.5:
            return self._activate(number, chance)
        if roll < 0.2:
            if self.likes["jumps"] and chance.random() < 0.3:
                return ("sleep", chance.choice([1, 60, 3600, 100_000]))
            return chance.choice([("tick",), ("next",), ("next",), ("pass", chance.choice([60, 600, 3600, 21_600]))])
        if roll < 0.5:
            return self._poll(world, laws)
        if roll < 0.78:
            return self._answer(world, laws) or ("next",)
        if roll < 0.98:
            return self._meddle(world, laws, number)
        return ("restart",) if self.likes["restarts"] else ("tick",)

    @staticmethod
    def _activate(number: int, chance: random.Random) -> Step:
        start = chance.choice([None, 0, 0, 24, 30, 60])
        return ("activate", number, start, chance.choice([None, None, *WORDS]))

    def _poll(self, world: World, laws: Laws) -> Step:
        hosted = [
            (number, row["instance_id"])
            for number, pipe in enumerate(world.pipes)
            for row in laws.state.instances
            if row["pipeline_id"] == pipe.id
            and row["family"] == "Resource"
            and row["status"] not in FINAL
            and row["status"] != "WAITING_ON_DEPENDENCIES"
        ]
        if hosted and self.chance.random() < 0.4:
            return (self.chance.choice(["poll_on", "poll_on", "heartbeat"]), *self.chance.choice(hosted))
        waiting = sorted({row["worker_group"] for row in laws.state.attempts if row["status"] == "WAITING_FOR_RUNNER"})
        group = self.chance.choice(waiting if waiting and self.chance.random() < 0.8 else [*GROUPS, SYSTEM])
        return ("poll", group, self.chance.choice(["host-1", "host-2"]))

    def _answer(self, world: World, laws: Laws) -> Step | None:
        chance = self.chance
        held = list(world.held)
        if not (self.likes["late"] and chance.random() < 0.2):
            held = [key for key in held if self._is_running(world, laws, key)]
        if not held:
            return None
        key = chance.choice(held)
        if chance.random() < 0.35 * self.acknowledged:
            return ("report", *key)
        if self.likes["silence"] and chance.random() < 0.3:
            return ("hand_back", *key) if chance.random() < 0.3 else None
        row = laws.state.by_id.get((world.pipes[key[0]].id, world.held[key].instance_id))
        if row is not None and row["status"] in ("CREATING", "RUNNING") and row["family"] == "Resource":
            return ("end", *key, "FAILED") if chance.random() > self.good else None
        if self.likes["together"] and chance.random() < 0.6:
            return self._end_together(world, laws, key, held)
        if chance.random() < self.good:
            return ("end", *key, "FINISHED")
        return ("end", *key, chance.choice(["FAILED", "FALSE"]) if "@P" in key[1] else "FAILED")

    def _end_together(self, world: World, laws: Laws, first: Key, held: list[Key]) -> Step:
        """A task runner of our own ends a task, with others of its group that it has, and takes the next ones."""
        chance = self.chance
        groups = {row["task_id"]: row["worker_group"] for row in laws.state.attempts}
        group = groups.get(world.held[first].task_id) or chance.choice(GROUPS)
        others = [key for key in held if key != first and "@P" not in key[1]]
        others = [key for key in others if groups.get(world.held[key].task_id) == group]
        others = [key for key in others if not self._is_resource(world, laws, key)]
        chance.shuffle(others)
        ended, returned = others[: chance.randint(0, 4)], others[4 : 4 + chance.choice([0, 0, 1, 3])]
        ends = tuple((*key, "FINISHED" if chance.random() < self.good else "FAILED") for key in [first, *ended])
        return ("end_together", group, world.hosts[first], chance.choice([0, 1, 2, 5, 25]), ends, tuple(returned))

    @staticmethod
    def _is_resource(world: World, laws: Laws, key: Key) -> bool:
        row = laws.state.by_id.get((world.pipes[key[0]].id, world.held[key].instance_id))
        return row is not None and row["family"] == "Resource"

    @staticmethod
    def _is_running(world: World, laws: Laws, key: tuple[int, str, int]) -> bool:
        task = world.held[key]
        return any(row["task_id"] == task.task_id and row["status"] == "RUNNING" for row in laws.state.attempts)

    def _meddle(self, world: World, laws: Laws, number: int) -> Step:
        chance, state = self.chance, laws.state
        pipe = world.pipes[number]
        mine = [row for row in state.instances if row["pipeline_id"] == pipe.id]
        parts = [row["component"] for row in state.components if row["pipeline_id"] == pipe.id]
        kind = chance.choice([name for name, liked in self.likes.items() if liked] or ["states"])
        if kind == "states" and mine:
            verb = chance.choice(["RERUN", "RERUN", "RERUN", "CANCEL", "TRY_CANCEL", "MARK_FINISHED"])
            rows = mine
            if verb == "RERUN" and chance.random() < 0.7:
                rows = [row for row in mine if row["status"] in BAD] or mine
            chosen = chance.sample(rows, min(len(rows), chance.choice([1, 1, 1, 2, 5])))
            return ("set_status", number, verb, *(row["instance_id"] for row in chosen))
        if kind == "people":
            roll = chance.random()
            if roll < 0.35 and parts:
                return ("set_status", number, chance.choice(["PAUSE", "RESUME", "RESUME"]), chance.choice(parts))
            if roll < 0.6:
                return ("deactivate", number, chance.random() < 0.5)
            return self._activate(number, chance)
        if kind == "backfills":
            if chance.random() < 0.1:
                return ("stop_backfills", number)
            names = chance.sample(parts, 1) if parts and chance.random() < 0.4 else []
            first, hours = chance.choice([0, 0, 6, 12, 24]), chance.choice([1, 6, 12, 24, 48])
            return ("backfill", number, first, hours, tuple(names), chance.random() < 0.5)
        if kind == "edits":
            return ("put", number, chance.randrange(world.put[number], len(world.definitions[number])))
        if kind == "delete" and chance.random() < 0.1:
            return ("delete", number)
        if kind == "restarts":
            return chance.choice([("restart",), ("recover",)])
        return ("tick",)


def settle(world: World, laws: Laws) -> list[Step]:
    """The next steps with which everything comes to its end: all answer, and time runs on."""
    state = laws.state
    for number, pipe in enumerate(world.pipes):
        if state.pipelines[pipe.id]["state"] == "INACTIVE":
            return [("put", number, len(world.definitions[number]) - 1), ("activate", number, None, None)]
    steps: list[Step] = []
    for number, pipe in enumerate(world.pipes):
        paused = [row["component"] for row in state.components if row["pipeline_id"] == pipe.id and row["paused"]]
        steps += [("set_status", number, "RESUME", name) for name in paused]
    for attempt in state.attempts:
        number = next(n for n, pipe in enumerate(world.pipes) if pipe.id == attempt["pipeline_id"])
        if attempt["status"] == "WAITING_FOR_RUNNER" and attempt["available_at"] <= world.now:
            steps.append(("poll", attempt["worker_group"], "host-1"))
        if attempt["status"] != "RUNNING":
            continue
        instance = state.by_id[attempt["pipeline_id"], attempt["instance_id"]]
        if instance["status"] == "CREATING":
            steps.append(("heartbeat", number, instance["instance_id"]))
        elif instance["family"] != "Resource" or instance["status"] == "SHUTTING_DOWN":
            key = next((key for key, task in world.held.items() if task.task_id == attempt["task_id"]), None)
            if key is not None:
                steps.append(("end", *key, "FINISHED"))
        elif (key := next((k for k, t in world.held.items() if t.task_id == attempt["task_id"]), None)) is not None:
            steps.append(("report", *key))
    moments = [due for due in laws.due_rows().values() if due is not None]
    if any(step[0] != "report" for step in steps):
        return steps
    if moments:
        return [*steps, ("sleep", max(0.0, (min(moments) - world.now) / 1000)), ("tick",)]
    return []


def tell(store: Store, seed: int, length: int) -> Told:
    """Tell a story of a seed, with `length` steps before everything comes to its end."""
    chance = random.Random(seed)
    teller = Teller(chance)
    told = Told(teller.options, teller.definitions)
    _tell(store, told, length, teller)
    return told


def tell_again(store: Store, told: Told) -> Told:
    """Tell a story from its steps."""
    again = Told(told.options, told.definitions, list(told.steps))
    _tell(store, again, 0, None)
    return again


def _tell(store: Store, told: Told, length: int, teller: Teller | None) -> None:
    folder = Path(tempfile.mkdtemp(prefix="simulation-"))
    given, told.steps = told.steps, []
    try:
        world = World(store, folder, told.options, told.definitions)
        laws = Laws(world)

        def take(step: Step) -> None:
            told.steps.append(step)
            world.do(step)
            laws.check(step)

        laws.check(("begin",))
        for step in given:
            take(step)
        for number in range(length if teller else 0):
            assert teller is not None
            take(teller.step(world, laws))
            if number % 10 == 0:
                laws.check_reasons()
                laws.check_commands()
        if teller is not None:
            _settle(world, laws, take)
        told.history = laws.history
    except Exception as error:
        told.broken = f"{type(error).__name__}: {error}"
        told.where = "".join(traceback.format_exc().splitlines(keepends=True)[-14:])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _settle(world: World, laws: Laws, take: Any) -> None:
    taken = 0
    while steps := settle(world, laws):
        for step in steps:
            take(step)
            taken += 1
        if taken > SETTLING:
            raise AssertionError(f"it does not come to its end: {steps[:5]}")
    laws.check_end()
    laws.check_commands()
    for number in range(len(world.pipes)):
        take(("delete", number))


def shorten(store: Store, told: Told) -> Told:
    """The shortest story that breaks the same law, as far as leaving out steps and objects finds it."""
    law = kind_of(told.broken)

    def breaks(candidate: Told) -> Told | None:
        found = tell_again(store, candidate)
        return found if found.broken and kind_of(found.broken) == law else None

    best = breaks(told) or told
    if best is told:
        return told
    size = max(1, len(best.steps) // 2)
    while size >= 1:
        at, has_shrunk = 0, False
        while at < len(best.steps):
            smaller = breaks(replace(best, steps=best.steps[:at] + best.steps[at + size :]))
            if smaller is not None:
                best, has_shrunk = smaller, True
            else:
                at += size
        size = size // 2 if not has_shrunk or size > 1 else size
        if size == 1 and not has_shrunk:
            break
    for number in range(len(best.definitions)):
        for name in [obj["id"] for obj in best.definitions[number][0]["objects"] if obj["id"] != "Default"]:
            definitions = [list(chosen) for chosen in best.definitions]
            definitions[number] = [without(version, name) for version in definitions[number]]
            best = breaks(replace(best, definitions=definitions)) or best
        for position, obj in enumerate(best.definitions[number][0]["objects"]):
            for key in [key for key in obj if key not in ("id", "name", "type")]:
                definitions = [list(chosen) for chosen in best.definitions]
                definitions[number] = [_without_field(version, position, key) for version in definitions[number]]
                best = breaks(replace(best, definitions=definitions)) or best
    for at in reversed(range(len(best.steps))):
        best = breaks(replace(best, steps=best.steps[:at] + best.steps[at + 1 :])) or best
    return best


def _without_field(definition: Definition, position: int, key: str) -> Definition:
    objects = list(definition["objects"])
    objects[position] = {name: value for name, value in objects[position].items() if name != key}
    return {**definition, "objects": objects}


def kind_of(broken: str) -> str:
    """The law without the names in it."""
    return " ".join(word for word in broken.split() if not any(c.isdigit() or c in "@'{" for c in word))[:60]


def as_code(told: Told, seed: int) -> str:
    """A story as Python that tells it again."""
    definitions = ",\n        ".join(
        "[" + ",\n         ".join(text_of(version) for version in chosen) + "]" for chosen in told.definitions
    )
    steps = "\n".join(f"        {step!r}," for step in told.steps)
    return (
        f"seed {seed}: {told.broken}\n{told.where}\n"
        f"    tell_again(store, Told(\n        {dict(told.options)!r},\n        [{definitions}],\n"
        f"        [\n{steps}\n        ],\n    ))\n"
    )
