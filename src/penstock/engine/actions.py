"""Alarms: written to the outbox in the transaction of the status that sets them off, delivered by the loop."""

from __future__ import annotations

from collections.abc import Iterable

from penstock.clock import from_ms
from penstock.definition.scope import Entry
from penstock.engine.evaluation import instance_entries
from penstock.engine.turn import Turn
from penstock.expressions import ExpressionError, NotYet, to_text
from penstock.store.rows import Alarm, Instance, read_all

DELIVERIES_AT_ONCE = 100


def fire(turn: Turn, instance: Instance, names: Iterable[str]) -> None:
    """Write each alarm with its texts evaluated; `node` is the instance."""
    for name in names:
        plan = turn.plan(instance)
        obj = plan.resolved.inherited.get(name)
        if obj is None or plan.resolved.objects[name].text("type") != "SnsAlarm":
            continue
        entries = dict(instance_entries(turn, plan, instance))
        entries[f"{instance.instance_id}/{name}"] = Entry(name, {"@now": from_ms(turn.now)}, node=instance.instance_id)
        scope = plan.resolved.scope(entries=entries, missing="")
        texts = {}
        for slot in ("topicArn", "subject", "message"):
            text = obj.text(slot) or ""
            try:
                made = to_text(scope.evaluate(f"{instance.instance_id}/{name}", text))
            except (ExpressionError, NotYet) as error:
                made = f"{text} ({error})"  # an alarm must go out, even with a wrong expression
            texts[slot] = made if isinstance(made, str) else ", ".join(made)
        turn.tx.execute(
            "insert_alarm",
            pipeline_id=instance.pipeline_id,
            object_id=instance.instance_id,
            action=name,
            topic=texts["topicArn"],
            subject=texts["subject"],
            message=texts["message"],
            at=turn.now,
        )
        turn.due(turn.now)


def deliver_due(turn: Turn, pipeline_id: str) -> None:
    """Deliver a pipeline's alarms to the event log."""
    alarms = turn.tx.all("due_alarms", pipeline_id=pipeline_id, now=turn.now, limit=DELIVERIES_AT_ONCE)
    for alarm in read_all(Alarm, alarms):
        if turn.tx.execute("alarm_delivered", sequence=alarm.sequence, now=turn.now):
            turn.tx.execute(
                "insert_event",
                at=turn.now,
                pipeline_id=alarm.pipeline_id,
                object_id=alarm.object_id,
                sphere="ALARM",
                verb=alarm.action,
                from_status="",
                to_status="DELIVERED",
                detail=f"{alarm.subject}: {alarm.message}",
            )
