"""Weeks of an hourly schedule, with every moment of them; the whole year with PENSTOCK_SIMULATION_SECONDS."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest
from story import Pipe, Story, activity, data_node, ref, schedule, scheduled

from penstock.clock import from_ms, to_ms
from penstock.engine import attempts
from penstock.store.database import Store
from penstock.store.rows import Attempt, read

HOURS = 366 * 24 if os.environ.get("PENSTOCK_SIMULATION_SECONDS") else 8 * 7 * 24  # from the first of 2024


def do_next_task(story: Story, pipe: Pipe) -> str | None:
    """Take the next task and end it, without its objects, which take most of a poll's time; gives its instance."""
    now = to_ms(story.clock.moment)
    with story.store.snapshot() as tx:
        row = tx.one("waiting_attempts", worker_group="work", owner=story.owner, now=now, limit=1)
    if row is None:
        return None
    with story.engine.turn(pipe.id) as turn:
        ((attempt, instance),) = attempts.take_all(turn, [read(Attempt, row)], "host-1")
        attempts.finished(turn, attempt, instance)
    return attempt.instance_id


@pytest.mark.by_hand
def test_every_hour_of_a_schedule_ends_as_it_should(sqlite_store: Store, tmp_path: Path) -> None:
    story = Story(sqlite_store, tmp_path)
    objects = (activity("A", output=ref("D")), data_node("D"), activity("B", input=ref("D")))
    pipe = story.pipeline(scheduled(schedule("Daily", "1 hour", occurrences=str(HOURS)), *objects))
    order: list[str] = []
    due: int | None = to_ms(story.clock.moment)
    while due is not None:
        story.clock.moment = from_ms(due)
        due = story.engine.run_due()
        while (done := do_next_task(story, pipe)) is not None:
            order.append(f"{story.clock.moment:%Y-%m-%dT%H:%M:%S} {done}")
    assert pipe.state == "FINISHED"
    instances = pipe.instances()
    assert Counter((i.component, i.status) for i in instances) == {
        (name, "FINISHED"): HOURS for name in ("A", "B", "D")
    }
    assert all(i.ended_at == i.scheduled_start and i.attempt_count == (i.component != "D") for i in instances)
    hours = sorted({i.instance_id[3:] for i in instances})
    assert order == [f"{hour} @{name}_{hour}" for hour in hours for name in ("A", "B")]
    assert len(hours) == HOURS
