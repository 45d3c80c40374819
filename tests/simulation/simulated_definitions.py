"""Definitions that chance makes, valid ones, and versions of them that an activated pipeline may take."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

from story import activity, alarm, data_node, exists, ref, refs, resource, s3_key_exists, schedule

Definition = dict[str, Any]
PERIODS = {"15 minutes": 48, "1 hour": 30, "6 hours": 12, "1 day": 5, "2 days": 3, "1 week": 2}  # with most intervals
GROUPS = ("work", "other")
PARAMETER = {"id": "myWord", "type": "String", "default": "none"}


def versions(chance: random.Random) -> list[Definition]:
    """A definition, and up to two edits of it, each of which can follow the one before."""
    made = [_definition(chance)]
    for _ in range(chance.randint(0, 2)):
        made.append(_edited(made[-1], chance))
    return made


def _definition(chance: random.Random) -> Definition:
    on_demand = chance.random() < 0.2
    schedules = [] if on_demand else list(_schedules(chance))
    objects: list[dict[str, Any]] = [*schedules, alarm("Alarm"), {"id": "End", "name": "End", "type": "Terminate"}]
    names = [obj["id"] for obj in schedules]
    default: dict[str, Any] = {"id": "Default", "name": "Default"}
    default["failureAndRerunMode"] = chance.choice(["cascade", "cascade", "none"])
    default["scheduleType"] = "ondemand" if on_demand else chance.choice(["cron", "cron", "timeseries"])
    if names:
        default["schedule"] = ref(names[0])
    is_sparse = chance.random() < 0.5

    def fields() -> dict[str, Any]:
        chosen: dict[str, Any] = _timing(chance, is_sparse)
        if names:
            chosen["schedule"] = ref(chance.choice(names))
        if chance.random() < 0.1:
            chosen["failureAndRerunMode"] = chance.choice(["cascade", "none"])
        return chosen

    resources = [f"R{number}" for number in range(chance.choice([0, 0, 1, 1, 2]))]
    for name in resources:
        limits = {}
        if chance.random() < 0.3:
            limits["initTimeout"] = chance.choice(["5 minutes", "1 hour"])
        if chance.random() < 0.3:
            limits["terminateAfter"] = chance.choice(["30 minutes", "3 hours", "1 day"])
        objects.append(resource(name, **_only_for_resources(fields()), **limits))
    preconditions = []
    for number in range(chance.choice([0, 0, 1, 2])):
        limits = {"preconditionTimeout": chance.choice(["30 minutes", "4 hours"])} if chance.random() < 0.4 else {}
        make = chance.choice([exists, s3_key_exists])
        objects.append(make(f"P{number}", **_retries(chance), **limits))
        preconditions.append(f"P{number}")
    nodes: list[str] = []
    earlier: list[str] = []
    written: set[str] = set()
    for number in range(chance.randint(1, 5)):
        chosen = fields()
        if chance.random() < 0.4:
            name = f"D{number}"
            objects.append(data_node(name, **_some_preconditions(chance, preconditions), **fields()))
            nodes.append(name)
        if earlier and chance.random() < 0.5:
            chosen["dependsOn"] = refs(*sorted(chance.sample(earlier, min(len(earlier), chance.randint(1, 2)))))
        unwritten = [name for name in nodes if name not in written]
        if unwritten and chance.random() < 0.6:
            chosen["output"] = ref(chance.choice(unwritten))
            written.add(chosen["output"]["ref"])
        readable = [name for name in nodes if name != chosen.get("output", {}).get("ref")]
        if readable and chance.random() < 0.6:
            read = chance.choice(readable)
            if read in written or chance.random() < 0.5:
                chosen["input"] = ref(read)
                written.add(read)  # by nobody from now on: what is read is not written by a later activity
        if resources and chance.random() < 0.6:
            chosen["runsOn"] = ref(chance.choice(resources))
        else:
            chosen["workerGroup"] = chance.choice(GROUPS)
        chosen.update(_some_preconditions(chance, preconditions), **_actions(chance))
        objects.append(activity(f"A{number}", **{"command": "echo #{myWord}", **chosen}))
        earlier.append(f"A{number}")
    return {"objects": [default, *objects], "parameters": [PARAMETER]}


def _schedules(chance: random.Random) -> Iterator[dict[str, Any]]:
    for number in range(chance.choice([1, 1, 2, 3])):
        period = chance.choice(list(PERIODS))
        start = {"startDateTime": chance.choice(["2024-01-01T00:00:00", "2024-01-01T00:00:00", "2024-01-01T12:00:00"])}
        if chance.random() < 0.1:
            start = {"startAt": "FIRST_ACTIVATION_DATE_TIME"}
        yield schedule(f"S{number}", period, occurrences=str(chance.randint(1, PERIODS[period])), **start)


def _retries(chance: random.Random) -> dict[str, Any]:
    chosen = {}
    if chance.random() < 0.6:
        chosen["maximumRetries"] = str(chance.randint(0, 2))
    if chance.random() < 0.6:
        chosen["retryDelay"] = chance.choice(["0 minutes", "1 minute", "10 minutes"])
    return chosen


def _timing(chance: random.Random, is_sparse: bool) -> dict[str, Any]:
    chosen = _retries(chance)
    likely = 0.1 if is_sparse else 0.3
    if chance.random() < likely:
        chosen["attemptTimeout"] = chance.choice(["10 minutes", "2 hours"])
    if chance.random() < likely:
        chosen["reportProgressTimeout"] = chance.choice(["5 minutes", "1 hour"])
    if chance.random() < likely:
        chosen["lateAfterTimeout"] = chance.choice(["10 minutes", "3 hours", "2 days"])
        chosen["onLateAction"] = ref(chance.choice(["Alarm", "End"]))
    if chance.random() < 0.4:
        chosen["maxActiveInstances"] = str(chance.randint(1, 3))
    return chosen


def _only_for_resources(chosen: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in chosen.items() if key not in ("attemptTimeout", "reportProgressTimeout")}


def _some_preconditions(chance: random.Random, names: list[str]) -> dict[str, Any]:
    chosen = [name for name in names if chance.random() < 0.3]
    return {"precondition": refs(*chosen)} if chosen else {}


def _actions(chance: random.Random) -> dict[str, Any]:
    return {key: ref("Alarm") for key in ("onFail", "onSuccess") if chance.random() < 0.2}


def _edited(before: Definition, chance: random.Random) -> Definition:
    """Other retries, limits and ends of schedules, and perhaps one more activity: what an edit may change."""
    made = copy.deepcopy(before)
    for obj in made["objects"]:
        kind = obj.get("type", "")
        if kind == "Schedule" and chance.random() < 0.4:
            shorter = 0 if obj["id"] in _of_resources(made) else -3  # a resource that is left out takes a RERUN
            obj["occurrences"] = str(max(1, int(obj["occurrences"]) + chance.randint(shorter, 3)))
        elif kind == "ShellCommandActivity" and chance.random() < 0.5:
            obj |= _retries(chance)
            obj["maxActiveInstances"] = str(chance.randint(2, 6))
    names = [obj["id"] for obj in made["objects"] if obj.get("type") == "ShellCommandActivity"]
    if chance.random() < 0.4:
        chosen = chance.choice(names)
        like = next(obj for obj in made["objects"] if obj["id"] == chosen)
        where = {key: like[key] for key in ("schedule", "runsOn", "workerGroup", "precondition") if key in like}
        new = activity(f"N{len(names)}", **{"command": "echo #{myWord}", "dependsOn": ref(like["id"]), **where})
        made["objects"].append(new)
    return made


def _of_resources(definition: Definition) -> set[str]:
    default = definition["objects"][0].get("schedule")
    hosts = [obj for obj in definition["objects"] if obj.get("type") == "Ec2Resource"]
    return {(obj.get("schedule") or default)["ref"] for obj in hosts if obj.get("schedule") or default}


def without(definition: Definition, name: str) -> Definition:
    """A definition without an object, and without the references to it."""
    kept = [obj for obj in definition["objects"] if obj["id"] != name]
    made = {**definition, "objects": []}
    for obj in kept:
        smaller = {}
        for key, value in obj.items():
            if isinstance(value, dict) and value.get("ref") == name:
                continue
            if isinstance(value, list):
                value = [entry for entry in value if entry != {"ref": name}]
                if not value:
                    continue
            smaller[key] = value
        made["objects"].append(smaller)
    return made


def text_of(definition: Definition) -> str:
    """A definition as Python text."""
    lines = ",\n            ".join(json.dumps(obj) for obj in definition["objects"])
    return f'{{"objects": [\n            {lines}],\n         "parameters": {json.dumps(definition["parameters"])}}}'
