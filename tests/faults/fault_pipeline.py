"""A pipeline of short activities whose commands note that they ran, and what is known of that afterwards."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fault_site import GROUP, SECONDS

DEFAULT = {"id": "Default", "scheduleType": "ondemand", "failureAndRerunMode": "cascade"}
MACHINE = {"id": "Machine", "type": "Ec2Resource", "maximumRetries": "1000", "retryDelay": "1 second"}
TRIES = {"maximumRetries": "1000", "retryDelay": "1 second"}


@dataclass
class Runs:
    """The file in which each command notes its begin and its end, by its attempt."""

    path: Path
    begun: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)

    def note(self, verb: str) -> str:
        """A shell command that notes something."""
        return f"printf '%s\\n' \"{verb} #{{@headAttempt}}\" >> '{self.path}'"

    def command(self, seconds: float, *, ending: str = "true") -> str:
        return f"{self.note('begin')}; sleep {seconds:.2f}; {self.note('end')}; {ending}"

    def read(self) -> Runs:
        """What was noted by now."""
        self.begun.clear()
        self.ended.clear()
        if self.path.exists():
            for line in self.path.read_text().splitlines():
                verb, attempt = line.split(" ", 1)
                (self.begun if verb == "begin" else self.ended)[attempt] += 1
        return self

    def by_instance(self) -> Counter[str]:
        """How often the command of each instance began."""
        counts: Counter[str] = Counter()
        for attempt, count in self.begun.items():
            counts[attempt.rpartition("_Attempt=")[0]] += count
        return counts


def activity(identity: str, command: str, *, after: list[str] | None = None, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"id": identity, "type": "ShellCommandActivity", "command": command, **more}
    if after:
        found["dependsOn"] = [{"ref": name} for name in after]
    return found


def make_pipeline(runs: Runs, count: int, seed: int, seconds: float = 0.15) -> list[dict[str, Any]]:
    """Activities in a random order of dependencies, half of them on a machine.

    Every seventh fails the first time. One fails for good, with a consumer.
    """
    chance = random.Random(seed)
    objects: list[dict[str, Any]] = [DEFAULT, MACHINE]
    for number in range(count):
        after = chance.sample(range(number), min(number, chance.choice((0, 1, 1, 2)))) if number else []
        place: dict[str, Any] = {"runsOn": {"ref": "Machine"}} if number % 2 else {"workerGroup": GROUP}
        once = 'case "#{@headAttempt}" in *_Attempt=1) exit 1;; esac'
        command = runs.command(seconds * chance.uniform(0.3, 1.7), ending=once if number % 7 == 3 else "true")
        objects.append(activity(f"Work{number}", command, after=[f"Work{n}" for n in after], **place, **TRIES))
    bad = {"workerGroup": GROUP, "maximumRetries": "0"}
    objects.append(activity("Bad", "exit 1", **bad))
    objects.append(activity("AfterBad", "true", after=["Bad"], **bad))
    return objects


def check_ends(statuses: Mapping[str, str]) -> None:
    """Everything ended as it should."""
    for identity, status in statuses.items():
        expected = "FAILED" if "@Bad_" in identity else "CASCADE_FAILED" if "@AfterBad_" in identity else "FINISHED"
        assert status == expected, f"{identity} is {status}"


def repeated(runs: Runs, count: int) -> int:
    """How many runs there were beyond those that the pipeline asks for; each activity must have run to its end."""
    read = runs.read()
    counts = read.by_instance()
    names = {identity.partition("_")[0]: times for identity, times in counts.items()}
    extra = 0
    for number in range(count):
        times = names.get(f"@Work{number}", 0)
        assert times, f"Work{number} never ran: {sorted(names)}"
        extra += max(0, times - (2 if number % 7 == 3 else 1))
    for attempt, times in read.ended.items():
        assert times <= read.begun[attempt], attempt
    return extra


def seeds() -> Iterator[int]:
    """One seed, and more of them until the time that somebody has given is over."""
    first, deadline = int(os.environ.get("PENSTOCK_FAULTS_SEED", "1")), time.monotonic() + SECONDS
    yield first
    while time.monotonic() < deadline:
        first += 1
        yield first
