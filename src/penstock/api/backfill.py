"""BackfillRange and StopBackfills: running the intervals of a range again, or for the first time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from penstock.api.call import Answer, Call, Request, find_pipeline, invalid
from penstock.clock import from_ms
from penstock.engine import backfill
from penstock.engine.backfill import BackfillRefused, Share, Stretch, plan_backfill
from penstock.engine.turn import Turn
from penstock.store.rows import Backfill, Instance

REASONS = {
    "FINISHED": "finished; they are run again only if finished ones are included",
    "DUE": "due by the schedule, which comes to them by itself",
    "NOT_DUE": "not due yet; they come by themselves",
    "DELETED": "retention has deleted their instances",
}
ACTIVE = "active already"


def backfill_range(call: Call, request: Request) -> Answer:
    """Begin to run what starts in [startTime, endTime), or only say what it would; InvalidRequestException."""
    is_dry = request.get("isDryRun", False)
    if is_dry:
        with call.engine.reading() as turn:
            return _answer(_begin(call, turn, request, is_dry=True), ())
    with call.engine.turn(request["pipelineId"]) as turn:
        shares = _begin(call, turn, request, is_dry=False)
    return _answer(shares, turn.backfilled)


def stop_backfills(call: Call, request: Request) -> Answer:
    """End the backfills of a pipeline; what they have set going stays, and runs to its end."""
    with call.engine.turn(request["pipelineId"]) as turn:
        rows = backfill.stop(turn, find_pipeline(call, turn, request["pipelineId"]))
    return {"backfills": remaining(rows)}


def remaining(rows: Sequence[Backfill]) -> list[Answer]:
    """What backfills have still before them, by component."""
    return [
        {"component": row.component, "nextStart": from_ms(row.next_start), "endTime": from_ms(row.end_start)}
        for row in rows
    ]


def _begin(call: Call, turn: Turn, request: Request, *, is_dry: bool) -> Sequence[Share]:
    pipeline = find_pipeline(call, turn, request["pipelineId"])
    start, end, names = request["startTime"], request["endTime"], request.get("components", ())
    include_finished = request.get("includeFinished", False)
    try:
        shares = plan_backfill(turn, pipeline, names, start, end, include_finished=include_finished)
    except BackfillRefused as refused:
        raise invalid(str(refused)) from None
    if not is_dry:
        backfill.begin(turn, pipeline, shares, include_finished=include_finished)
    return shares


def _answer(shares: Sequence[Share], started: Iterable[Instance]) -> Answer:
    by_component: dict[str, list[str]] = {share.component: [] for share in shares}
    for instance in started:
        by_component.setdefault(instance.component, []).append(instance.instance_id)
    return {"components": [_component(share, by_component[share.component]) for share in shares]}


def _component(share: Share, started: list[str]) -> Answer:
    answer: Answer = {
        "component": share.component,
        "intervals": share.intervals,
        "toRun": sum(stretch.count for stretch in share.runs),
        "runs": [_stretch(stretch) for stretch in share.runs],
        "leftAlone": [{**_stretch(s), "reason": REASONS.get(s.status, ACTIVE)} for s in share.left_alone],
        "started": started,
        "isPaused": share.is_paused,
    }
    return answer


def _stretch(stretch: Stretch) -> Answer:
    return {
        "status": stretch.status,
        "count": stretch.count,
        "firstStart": from_ms(stretch.first),
        "lastStart": from_ms(stretch.last),
    }
