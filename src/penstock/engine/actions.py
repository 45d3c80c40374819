"""Actions: alarms are written down in the transaction of the status that sets them off; Terminate cancels.

An alarm that has targets goes into the outbox, from which `delivery` brings it to them; any other one into the events.
"""

from __future__ import annotations

from collections.abc import Iterable

from penstock.clock import from_ms, ms_to_field
from penstock.definition.scope import Entry
from penstock.engine.evaluation import instance_entries
from penstock.engine.turn import Turn
from penstock.expressions import ExpressionError, NotYet, to_text
from penstock.store.rows import Alarm, Instance, read_all

LONGEST_SUBJECT = 99  # characters: "less than 100" (SNS API reference, Publish)
LONGEST_MESSAGE = 256 * 1024  # bytes in UTF-8 (the same)


def fire(turn: Turn, instance: Instance, names: Iterable[str]) -> None:
    """Write down each alarm with its texts evaluated; `node` is the instance."""
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
        subject = as_subject(texts["subject"])
        message = as_message(texts["message"] or texts["subject"] or name)  # SNS takes no empty message
        if not turn.targets_of(texts["topicArn"]):
            record(turn, instance.pipeline_id, instance.instance_id, name, "DELIVERED", f"{subject}: {message}")
            continue
        turn.tx.execute(
            "insert_alarm",
            pipeline_id=instance.pipeline_id,
            object_id=instance.instance_id,
            action=name,
            topic=texts["topicArn"],
            subject=subject,
            message=message,
            at=turn.now,
        )
        turn.has_alarms = True


def record(turn: Turn, pipeline_id: str, object_id: str, action: str, status: str, detail: str) -> None:
    """Write down what has become of an alarm: DELIVERED, NOT_DELIVERED (there will be another try) or GIVEN_UP."""
    turn.tx.insert_later(
        "insert_event",
        at=turn.now,
        pipeline_id=pipeline_id,
        object_id=object_id,
        sphere="ALARM",
        verb=action,
        from_status="",
        to_status=status,
        detail=detail,
    )


def ends_instance(turn: Turn, instance: Instance, names: Iterable[str]) -> bool:
    """Whether one of these actions is a Terminate."""
    objects = turn.plan(instance).resolved.objects
    return any(name in objects and objects[name].text("type") == "Terminate" for name in names)


def undelivered(turn: Turn, instance: Instance) -> list[str]:
    """Sentences about the alarms of an instance that are still to be delivered."""
    rows = turn.tx.all("alarms_of_object", pipeline_id=instance.pipeline_id, object_id=instance.instance_id)
    said = []
    for alarm in read_all(Alarm, rows):
        text = f"The alarm {alarm.action} is still to be delivered."
        if alarm.problem:
            text += f" The latest try failed: {alarm.problem}. The next one is due at {ms_to_field(alarm.due_at)}."
        said.append(text)
    return said


def as_subject(text: str) -> str:
    """A text as SNS takes it for a subject: one line, cut where it is too long."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= LONGEST_SUBJECT else line[: LONGEST_SUBJECT - 3] + "..."


def as_message(text: str) -> str:
    """A text as SNS takes it for a message, cut where it is too long."""
    text = text.replace("\0", "")
    whole = text.encode("utf-8", "replace")
    if len(whole) <= LONGEST_MESSAGE:
        return text
    mark = f"\n... (cut: the message has {len(whole):,} bytes)"
    return whole[: LONGEST_MESSAGE - len(mark)].decode("utf-8", "ignore") + mark
