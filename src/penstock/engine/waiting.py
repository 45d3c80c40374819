"""Why an instance is not running: the one answer that the API, the commands and the console give."""

from __future__ import annotations

import json

from penstock.clock import ms_to_field
from penstock.engine.dependencies import producer_of, unmet
from penstock.engine.status import UNSUCCESSFUL
from penstock.engine.turn import Turn
from penstock.store.rows import Attempt, Instance, read

OF_RESOURCES = {
    "WAITING_ON_DEPENDENCIES": "No activity needs it yet.",
    "CREATING": "Its task runner has not called yet.",
    "SHUTTING_DOWN": "Its task runner is ending.",
}


def waiting_on(turn: Turn, instance: Instance) -> list[str]:
    """The ids of what an instance waits for, as @waitingOn lists them."""
    if instance.ended_at is not None:
        return []
    plan = turn.plan(instance)
    return [
        plan.instance_id(row.producer, row.producer_node, ms_to_field(row.producer_start))
        for row in unmet(turn, instance)
        if row.kind != "served"
    ]


def why(turn: Turn, instance: Instance) -> list[str]:
    """Sentences that say what keeps an instance from going on; empty for one that has ended or runs."""
    if instance.ended_at is not None or instance.status == "RUNNING":
        return []
    reasons: list[str] = []
    pipeline = turn.pipeline(instance.pipeline_id)
    if pipeline.state not in ("SCHEDULED", "FINISHED"):
        reasons.append(f"The pipeline is {pipeline.state}.")
    paused = turn.paused(instance)
    if paused is not None:
        reasons.append(f"{paused} is paused.")
    is_held = bool(reasons)
    plan = turn.plan(instance)
    for dependency in unmet(turn, instance):
        if dependency.kind == "served":
            continue
        name = plan.instance_id(dependency.producer, dependency.producer_node, ms_to_field(dependency.producer_start))
        producer = producer_of(turn, dependency)
        if producer is None:
            reasons.append(f"{name} has not been made yet.")
        elif producer.status in UNSUCCESSFUL:
            reasons.append(f"{name} is {producer.status}; run it again or mark it as finished.")
        else:
            reasons.append(f"{name} is {producer.status}.")
    attempt_row = turn.tx.one("active_attempt", pipeline_id=instance.pipeline_id, instance_id=instance.instance_id)
    if attempt_row is not None:
        attempt = read(Attempt, attempt_row)
        found = json.loads(attempt.fields).get("lastResult")
        if found:
            reasons.append(str(found))
        if attempt.status == "WAITING_FOR_RUNNER" and attempt.available_at > turn.now:
            what = "asked again" if instance.family == "Precondition" else "tried again"
            reasons.append(f"It will be {what} at {ms_to_field(attempt.available_at)}.")
        elif attempt.status == "WAITING_FOR_RUNNER" and not is_held:
            reasons.append(f"No task runner of worker group '{attempt.worker_group}' has taken it yet.")
    if not reasons and instance.status in OF_RESOURCES:
        reasons.append(OF_RESOURCES[instance.status])
    return reasons
