"""After a start: what earlier processes held is handed out again, and what a killed run left is ended."""

from __future__ import annotations

from penstock.engine.activation import deactivate
from penstock.engine.attempts import SERVICE_ENDED, Failure, failed, lost
from penstock.engine.engine import Engine
from penstock.engine.plan import SYSTEM_GROUP
from penstock.store.rows import Attempt, Pipeline, read_all


def recover(engine: Engine, hostname: str) -> None:
    """Hand back preconditions, and start resources again, that a server which has ended held under this name."""
    with engine.store.snapshot() as tx:
        rows = tx.all("running_attempts_of_host", worker_group=SYSTEM_GROUP, owner=engine.owner, hostname=hostname)
    for attempt in read_all(Attempt, rows):
        with engine.turn(attempt.pipeline_id) as turn:
            lost(turn, attempt)


def end_run(engine: Engine, owner: str) -> list[str]:
    """Deactivate the pipelines of a run that was killed, and have them belong to servers; gives their ids."""
    with engine.store.snapshot() as tx:
        left = read_all(Pipeline, tx.all("pipelines_of_owner", owner=owner))
    for pipeline in left:
        with engine.turn(pipeline.pipeline_id) as turn:
            if pipeline.state == "SCHEDULED":
                deactivate(turn, pipeline, cancel_active=True)
    with engine.store.snapshot() as tx:
        running = read_all(Attempt, tx.all("running_attempts_of_owner", owner=owner))
    for attempt in running:  # resources that are SHUTTING_DOWN: what would have told of their end is gone
        with engine.turn(attempt.pipeline_id) as turn:
            failed(turn, attempt, Failure("ServiceRestarted", SERVICE_ENDED))
    release(engine, owner)
    return [pipeline.pipeline_id for pipeline in left]


def release(engine: Engine, owner: str) -> None:
    """Have what belongs to a run belong to servers, without the run's keys."""
    with engine.turn() as turn:
        turn.tx.execute("delete_keys_of_owner", owner=owner)
        turn.tx.execute("release_attempts", owner=owner)
        turn.tx.execute("release_pipelines", owner=owner)
