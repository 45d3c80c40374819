"""The whole engine under a clock that is moved by hand: chance tells stories, and laws are looked at after each step.

A story that breaks a law is made short and printed as code; `tell_again` plays it. For longer than the suite does:

    PENSTOCK_SIMULATION_SECONDS=600 python -m pytest tests/simulation

and from another place on with PENSTOCK_SIMULATION_SEED=10000.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from itertools import count

import pytest

from penstock.engine.turn import Turn
from penstock.store.database import Store
from simulation import Told, as_code, shorten, tell, tell_again

SECONDS = float(os.environ.get("PENSTOCK_SIMULATION_SECONDS", "0"))
FIRST = int(os.environ.get("PENSTOCK_SIMULATION_SEED", "0"))
LENGTH = 100  # steps of a story, before everything comes to its end
IN_THE_SUITE = range(FIRST, FIRST + 12)
ON_POSTGRESQL = range(FIRST, FIRST + 3)


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Statements fail here on purpose; the engine logs each of them."""
    with caplog.at_level(logging.CRITICAL + 1):
        yield


def holds(store: Store, told: Told, seed: int) -> None:
    if told.broken:
        pytest.fail(as_code(shorten(store, told), seed), pytrace=False)


@pytest.mark.timeout(SECONDS + 300)
def test_the_laws_hold_whatever_happens(sqlite_store: Store) -> None:
    began, seed = time.monotonic(), FIRST
    while seed in IN_THE_SUITE or time.monotonic() < began + SECONDS:
        holds(sqlite_store, tell(sqlite_store, seed, LENGTH), seed)
        seed += 1


@pytest.mark.parametrize("seed", ON_POSTGRESQL)
def test_a_story_goes_the_same_way_on_postgresql_and_sqlite(
    sqlite_store: Store, postgresql_store: Store, seed: int
) -> None:
    here, there = tell(sqlite_store, seed, LENGTH), tell(postgresql_store, seed, LENGTH)
    holds(postgresql_store, there, seed)
    assert here.steps == there.steps
    assert here.history == there.history


@pytest.mark.parametrize("seed", [1, 3])
def test_a_seed_tells_the_same_story_again(sqlite_store: Store, seed: int) -> None:
    first, second = tell(sqlite_store, seed, LENGTH), tell(sqlite_store, seed, LENGTH)
    assert len(first.history) > 10
    assert first.steps == second.steps
    assert first.history == second.history
    assert tell_again(sqlite_store, first).history == first.history


@pytest.mark.by_hand
def test_a_broken_law_is_told_as_a_short_story(sqlite_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The simulation is put to the test: an engine that wakes nobody is found out, and told as code that shows it."""
    monkeypatch.setattr(Turn, "wake", lambda self, group: None)
    told = next(told for seed in count() if (told := tell(sqlite_store, seed, 15)).broken)
    short = shorten(sqlite_store, told)
    assert short.broken.startswith("AssertionError: nobody was woken for @")
    assert len(short.steps) <= 8
    code = as_code(short, 0)
    names = {"tell_again": tell_again, "Told": Told, "store": sqlite_store}
    assert eval(code[code.index("tell_again(") :].strip(), names).broken == short.broken
    monkeypatch.undo()
    assert not tell_again(sqlite_store, short).broken
