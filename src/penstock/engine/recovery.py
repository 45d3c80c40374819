"""After a start: the service's own tasks that an earlier process held are handed out again."""

from __future__ import annotations

from penstock.engine.attempts import Failure, failed
from penstock.engine.engine import Engine
from penstock.engine.plan import SYSTEM_GROUP
from penstock.engine.status import move
from penstock.engine.turn import Turn, new_token
from penstock.store.rows import Attempt, read_all


def recover(engine: Engine) -> None:
    """Hand back preconditions, and start resources again, whose host ended with the process."""
    with engine.store.snapshot() as tx:
        rows = tx.all("running_attempts_of_group", worker_group=SYSTEM_GROUP, owner=engine.owner)
    for attempt in read_all(Attempt, rows):
        with engine.turn(attempt.pipeline_id) as turn:
            _hand_back(turn, attempt)


def _hand_back(turn: Turn, attempt: Attempt) -> None:
    instance = turn.instance(attempt.pipeline_id, attempt.instance_id)
    if instance is not None and instance.family == "Resource":
        failed(turn, attempt, Failure("ServiceRestarted", "The service that hosted the resource has ended."))
        return
    moved = move(turn.tx, attempt, "hand back", turn.now, task_id=new_token(), available_at=turn.now)
    if moved is not None and instance is not None:
        move(turn.tx, instance, "hand back", turn.now)
        turn.wake(moved.worker_group)
