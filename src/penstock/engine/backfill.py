"""Running the intervals of a range again, or for the first time: oldest first, never more than may be active.

A backfill is a row per component that says where it stands. It goes on when an instance of the component ends, when the
schedule has gone on, and with an activation; so it costs nothing up front, and outlives restarts and deactivation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from penstock.clock import from_ms, to_field, to_ms
from penstock.definition.problems import closest, shown
from penstock.engine.activation import due_index
from penstock.engine.materialise import MOST_AT_ONCE
from penstock.engine.plan import Component, Plan
from penstock.engine.rerun import rerun
from penstock.engine.status import UNSUCCESSFUL, move
from penstock.engine.turn import Turn
from penstock.store.rows import Backfill, ComponentState, Instance, Pipeline, read, read_all

FAMILIES = ("Activity", "DataNode")  # resources and preconditions come with those that need them


class BackfillRefused(Exception):
    """A range that cannot be backfilled; the text says why and what to do."""


@dataclass(frozen=True)
class Stretch:
    """Some intervals of a component, by their status or by what is to come of them: how many, the first, the last."""

    status: str
    count: int
    first: int
    last: int


@dataclass(frozen=True)
class Share:
    """What a backfill does with one component: the intervals that it runs and those that it leaves alone, by status.

    `end` is the start of the first interval that is none of its business. What has no status yet is DUE or NOT_DUE, and
    DELETED if its instance was (by retention).
    """

    component: str
    intervals: int
    runs: tuple[Stretch, ...]
    left_alone: tuple[Stretch, ...]
    end: int
    is_paused: bool


def plan_backfill(
    turn: Turn, pipeline: Pipeline, names: Sequence[str], start: datetime, end: datetime, *, include_finished: bool
) -> list[Share]:
    """What a backfill of the intervals that start in [start, end) would do; raises BackfillRefused."""
    if end <= start:
        raise BackfillRefused(f"The range ends at {to_field(end)}, which is not after its start at {to_field(start)}.")
    if pipeline.state not in ("SCHEDULED", "FINISHED"):
        raise BackfillRefused(
            f"The pipeline is {pipeline.state}. Activate it first (a start timestamp skips what lies before it), then"
            " backfill the range."
        )
    plan = turn.plans.find(turn.tx, pipeline.pipeline_id, pipeline.activation)
    if plan.is_on_demand:
        raise BackfillRefused(
            "The pipeline runs on demand, so it has no intervals to backfill. Activate it to run it once more, or RERUN"
            " an instance."
        )
    chosen = _chosen(plan, names)
    for component in chosen:
        _check_schedule(plan, component, start, end)
    shares = [_share(turn, plan, component, start, end, include_finished) for component in chosen]
    if not any(share.intervals for share in shares):
        raise BackfillRefused(
            f"No interval starts from {to_field(start)} on and before {to_field(end)}; give a longer range. It takes"
            " the intervals by their starts."
        )
    return shares


def begin(turn: Turn, pipeline: Pipeline, shares: Sequence[Share], *, include_finished: bool) -> None:
    """Begin a backfill as planned: a row per component that has something to run."""
    for share in shares:
        if share.runs:
            turn.tx.execute(
                "insert_backfill",
                pipeline_id=pipeline.pipeline_id,
                component=share.component,
                next_start=min(stretch.first for stretch in share.runs),
                end_start=share.end,
                include_finished=int(include_finished),
                requested_at=turn.now,
            )
    if any(share.runs for share in shares):
        move(turn.tx, pipeline, "rerun", turn.now)  # also where a component that is paused has it wait
    for share in shares:
        turn.advance(pipeline.pipeline_id, share.component)


def stop(turn: Turn, pipeline: Pipeline) -> list[Backfill]:
    """Set nothing more going: end the backfills of a pipeline; gives them as they stood. What is active stays so."""
    rows = read_all(Backfill, turn.tx.all("backfills_of", pipeline_id=pipeline.pipeline_id))
    if rows:
        turn.tx.execute("delete_backfills", pipeline_id=pipeline.pipeline_id)
        turn.perhaps_over.add(pipeline.pipeline_id)
    return rows


def _chosen(plan: Plan, names: Sequence[str]) -> list[Component]:
    """The components that are named with the data nodes that come with them; all activities and data nodes, if none."""
    able = {c.id: c for c in plan.components.values() if c.family in FAMILIES and c.intervals.period is not None}
    for name in names:
        if name in able:
            continue
        component = plan.components.get(name)
        if component is not None and component.family == "Resource":
            raise BackfillRefused(f"'{name}' is a resource, which comes with what runs on it; name the activities.")
        if component is not None and component.family == "Precondition":
            raise BackfillRefused(f"'{name}' is a precondition, which comes with the object that has it; name that.")
        guess = closest(name, able)
        raise BackfillRefused(
            f"{shown(name)} is no activity or data node of the active definition.{' ' + guess if guess else ''}"
            f" There are {', '.join(able)}."
        )
    if not able:
        raise BackfillRefused("The pipeline has no activities or data nodes on a schedule.")
    if not names:
        return list(able.values())
    taken = set(names)
    for component in able.values():
        if component.family == "DataNode":
            is_written = any(name in names for name in component.producers)
            is_read = not component.producers and any(component.id in able[name].producers for name in names)
            taken |= {component.id} if is_written or is_read else set()
    return [component for component in able.values() if component.id in taken]


def _check_schedule(plan: Plan, component: Component, start: datetime, end: datetime) -> None:
    """Refuse a range in which the schedule would have intervals if it started earlier or ended later."""
    intervals = component.intervals
    assert intervals.period is not None
    schedule = next(iter(plan.resolved.objects[component.id].refs("schedule")), "")
    try:
        earlier = intervals.period.after(intervals.start, -1)
    except (OverflowError, ValueError):
        earlier = None
    if earlier is not None and earlier >= start:
        raise BackfillRefused(
            f"The schedule '{schedule}' of '{component.id}' starts at {to_field(intervals.start)}: the range from"
            f" {to_field(start)} on has intervals before that. Give a range from {to_field(intervals.start)} on. The"
            " start of a schedule cannot change once the pipeline was activated: for earlier intervals clone the"
            " pipeline, with an earlier startDateTime."
        )
    counts = [intervals.count] if intervals.count is not None else []
    counts += [intervals.first_from(intervals.end)] if intervals.end is not None else []
    if not counts:
        return
    try:
        over = intervals.period.after(intervals.start, min(counts))
    except (OverflowError, ValueError):
        return
    if over < end:
        raise BackfillRefused(
            f"The schedule '{schedule}' of '{component.id}' is over at {to_field(over)}: the range to {to_field(end)}"
            f" has intervals after that. Give a range to {to_field(over)}, or put a definition with more occurrences or"
            " a later endDateTime, and activate it."
        )


def _share(
    turn: Turn, plan: Plan, component: Component, start: datetime, end: datetime, include_finished: bool
) -> Share:
    row = turn.tx.one("component_by_id", pipeline_id=plan.pipeline_id, component=component.id)
    assert row is not None
    state = read(ComponentState, row)
    intervals = component.intervals
    first, stop = intervals.first_from(start), intervals.first_from(end)
    due = max(first, min(stop, due_index(component, turn.now)))
    start_at = plan.activation.start_at
    skipped = 0 if start_at is None else intervals.first_from(from_ms(start_at))
    reached = max(first, min(due, max(state.next_index, skipped)))  # from here on they come by themselves
    made = max(first, min(reached, state.next_index))

    def start_of(index: int) -> int:
        assert intervals.period is not None
        return to_ms(intervals.period.after(intervals.start, index))

    def stretch(status: str, begin: int, end: int) -> list[Stretch]:
        return [Stretch(status, end - begin, start_of(begin), start_of(end - 1))] if end > begin else []

    rows = turn.tx.all(
        "statuses_in_range",
        pipeline_id=plan.pipeline_id,
        component=component.id,
        first=start_of(first),
        stop=start_of(made),
    )
    there = [Stretch(row["status"], row["n"], row["first"], row["last"]) for row in rows]
    runs_too = (*UNSUCCESSFUL, "SKIPPED", *(["FINISHED"] if include_finished else []))
    deleted = made - first - sum(found.count for found in there)
    return Share(
        component.id,
        stop - first,
        (*(found for found in there if found.status in runs_too), *stretch("SKIPPED", made, reached)),
        (
            *([Stretch("DELETED", deleted, start_of(first), start_of(made - 1))] if deleted > 0 else []),
            *(found for found in there if found.status not in runs_too),
            *stretch("DUE", reached, due),
            *stretch("NOT_DUE", due, stop),
        ),
        start_of(reached),
        bool(state.paused),
    )


def advance(turn: Turn, pipeline_id: str, component_id: str) -> None:
    """Let the backfills of a component go on, as far as the component has places left."""
    rows = read_all(Backfill, turn.tx.all("backfills_of", pipeline_id=pipeline_id))
    own = [row for row in rows if row.component == component_id]
    if not own:
        return
    pipeline = turn.pipeline(pipeline_id)
    state_row = turn.tx.one("component_by_id", pipeline_id=pipeline_id, component=component_id)
    assert state_row is not None
    state = read(ComponentState, state_row)
    if pipeline.state not in ("SCHEDULED", "FINISHED") or state.paused:
        turn.tx.execute("hold_backfills", pipeline_id=pipeline_id, component=component_id)
        return
    plan = turn.plans.find(turn.tx, pipeline_id, pipeline.activation)
    component = plan.components.get(component_id)
    for row in own:
        if component is None:  # a later version dropped it
            _stand_at(turn, plan, row, row.end_start, None, rows)
        else:
            _go_on(turn, plan, component, state, row, rows)


def _go_on(
    turn: Turn, plan: Plan, component: Component, state: ComponentState, row: Backfill, rows: list[Backfill]
) -> None:
    """Set the next intervals going; none that the schedule has still to come to, or whose producers come first."""
    stop = row.end_start if state.next_start is None else min(row.end_start, state.next_start)
    active = turn.tx.one("active_count", pipeline_id=plan.pipeline_id, component=component.id)
    places = max(0, component.max_active - (active["n"] if active else 0))
    room = min(places, MOST_AT_ONCE - turn.set_going[plan.pipeline_id, component.id])
    found = turn.tx.all(
        "to_backfill",
        pipeline_id=plan.pipeline_id,
        component=component.id,
        first=row.next_start,
        stop=stop,
        include_finished=row.include_finished,
        requested_at=row.requested_at,
        limit=room + 1,
    )
    for number, instance in enumerate(read_all(Instance, found)):
        if number == room or _comes_later(plan, component, instance, rows):
            due = turn.now if number == room < places else None
            _stand_at(turn, plan, row, instance.scheduled_start, due, rows)
            return
        if rerun(turn, instance, spread=False, counts=True):
            turn.set_going[plan.pipeline_id, component.id] += 1
            turn.backfilled.append(instance)
    _stand_at(turn, plan, row, max(stop, row.next_start), None, rows)


def _comes_later(plan: Plan, component: Component, instance: Instance, rows: list[Backfill]) -> bool:
    """Whether a producer of the instance is still to be set going by a backfill: then it must wait for that."""
    for name in component.producers:
        of_producer = [row for row in rows if row.component == name]
        if not of_producer:
            continue
        start, end = from_ms(instance.scheduled_start), from_ms(instance.scheduled_end)
        starts = plan.components[name].intervals.serving(start, end)
        if starts and any(
            from_ms(row.next_start) <= starts[-1] and starts[0] < from_ms(row.end_start) for row in of_producer
        ):
            return True
    return False


def _stand_at(turn: Turn, plan: Plan, row: Backfill, start: int, due: int | None, rows: list[Backfill]) -> None:
    """Write down where a backfill stands; one that is through goes, and consumers that waited for it look again."""
    if start >= row.end_start:
        turn.tx.execute("delete_backfill", sequence=row.sequence)
        turn.perhaps_over.add(row.pipeline_id)
    else:
        turn.tx.execute("set_backfill", sequence=row.sequence, next_start=start, due_at=due)
        turn.due(due)
    if start == row.next_start:
        return
    for name in dict.fromkeys(other.component for other in rows):
        consumer = plan.components.get(name)
        if consumer is not None and row.component in consumer.producers:
            turn.advance(row.pipeline_id, name)
