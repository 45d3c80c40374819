"""What expressions know of an instance, and the evaluated objects that a task carries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from penstock.clock import from_ms, to_field
from penstock.definition.model import FieldValue, PipelineObject, Ref, is_secret
from penstock.definition.scope import Entry
from penstock.definition.slots import Catalogue, slots_of
from penstock.engine.plan import Plan
from penstock.engine.turn import Turn
from penstock.expressions import ExpressionError, NotYet, Value, to_text
from penstock.store.rows import Attempt, Instance

NOT_CARRIED = (
    "parent",
    "schedule",
    "onFail",
    "onSuccess",
    "onLateAction",
    "dependsOn",
    "precondition",
    "runsOn",
)
MASKED_VALUES = "*maskedValues"


class NotEvaluated(Exception):
    """A field of a task cannot be evaluated; the text names the object, the field and the reason."""


def runtime_fields(plan: Plan, instance: Instance) -> dict[str, Value]:
    """The runtime fields of an instance as expressions see them."""
    known: dict[str, Value] = {
        "@pipelineId": plan.pipeline_id,
        "@sphere": "INSTANCE",
        "@status": instance.status,
        "@version": str(plan.activation.version),
        "@scheduledStartTime": from_ms(instance.scheduled_start),
        "@scheduledEndTime": from_ms(instance.scheduled_end),
        "@attemptCount": instance.attempt_count,
        "@triesLeft": instance.tries_left,
        "@componentParent": instance.component,
        "@headAttempt": instance.head_attempt,
        "@actualStartTime": from_ms(instance.started_at) if instance.started_at is not None else None,
        "@actualEndTime": from_ms(instance.ended_at) if instance.ended_at is not None else None,
        "@finishedTime": from_ms(instance.ended_at) if instance.ended_at is not None else None,
        "@cascadeFailedOn": instance.cascade_failed_on,
        "errorId": instance.error_id,
        "errorMessage": instance.error_message,
        "errorStackTrace": instance.error_stack_trace,
        "cancellationReason": instance.cancellation_reason,
    }
    return {key: value for key, value in known.items() if value is not None}


def instance_entries(turn: Turn, plan: Plan, instance: Instance) -> dict[str, Entry]:
    """What is known of an instance and of the instances that it is linked with."""
    refs, entries = plan.timetable.links(
        instance.component, from_ms(instance.scheduled_start), from_ms(instance.scheduled_end)
    )
    known: dict[str, Value] = {"@pipelineId": plan.pipeline_id, "@version": str(plan.activation.version)}
    entries = {key: replace(entry, runtime={**known, **entry.runtime}) for key, entry in entries.items()}
    node: str | None = None
    if instance.node:
        node = plan.instance_id(instance.node, "", to_field(from_ms(instance.scheduled_start)))
        owner = turn.instance(instance.pipeline_id, node)
        if owner is not None:
            entries |= instance_entries(turn, plan, owner)
    entries[instance.instance_id] = Entry(instance.component, runtime_fields(plan, instance), refs, node)
    return entries


def task_objects(
    turn: Turn,
    plan: Plan,
    instance: Instance,
    attempt: Attempt,
    catalogue: Catalogue,
    reveal: Callable[[str], str],
) -> Mapping[str, PipelineObject]:
    """The objects of a task by id, the attempt's own under its id, every expression evaluated and secrets in clear.

    Raises NotEvaluated. The attempt's field `*maskedValues` lists the secrets that were used, for the runner to mask.
    """
    entries = instance_entries(turn, plan, instance)
    own = entries[instance.instance_id]
    entries[attempt.attempt_id] = Entry(own.component, own.runtime, own.refs, own.node)
    scope = plan.resolved.scope(entries=entries, reveal=reveal)
    made: dict[str, PipelineObject] = {}
    pending = [attempt.attempt_id]
    while pending:
        key = pending.pop()
        entry = entries.get(key)
        source = plan.resolved.inherited.get(entry.component if entry else key)
        if key in made or source is None:
            continue
        cls = catalogue.find(source.text("type"))
        slots = slots_of(cls) if cls is not None else {}
        fields: dict[str, tuple[FieldValue, ...]] = {}
        for name, values in source.fields.items():
            if name == "parent" or (name not in slots and name != "type" and slots):
                continue
            if entry is not None and name in entry.refs:
                values = tuple(Ref(ref) for ref in entry.refs[name])
            try:
                fields[name] = scope.evaluate_field(key, name, values)
            except NotYet as error:
                read = "a value" if is_secret(name) else f"'{error.name}'"
                raise NotEvaluated(
                    f"The field '{name}' of '{source.id}' reads {read}, which is not known yet."
                ) from error
            except ExpressionError as error:
                if name not in plan.resolved.objects[source.id].fields:
                    continue  # it holds only an optional parameter without a value
                reason = error if not _reads_secrets(plan, entries, key, name, values) else "it reads a secret."
                raise NotEvaluated(f"The field '{name}' of '{source.id}' cannot be evaluated: {reason}") from error
            if name not in NOT_CARRIED:
                pending.extend(value.id for value in fields[name] if isinstance(value, Ref))
        if entry is not None:
            fields |= {k: (_text(v),) for k, v in entry.runtime.items() if k.startswith("@") and v is not None}
            fields["parent"] = fields["@componentParent"] = (Ref(entry.component),)
            if entry.node is not None:
                fields["node"] = (Ref(entry.node),)
                pending.append(entry.node)
        made[key] = PipelineObject(key, source.name if entry is None else key, fields)
    mine = made[attempt.attempt_id]
    fields = {**mine.fields, "@sphere": ("ATTEMPT",), "@instanceParent": (Ref(instance.instance_id),)}
    fields["@pipelineName"] = (turn.pipeline(instance.pipeline_id).name,)  # by which lineage names the job
    if scope.revealed:
        fields[MASKED_VALUES] = tuple(sorted(scope.revealed))
    made[attempt.attempt_id] = PipelineObject(mine.id, mine.name, fields)
    return made


def _reads_secrets(
    plan: Plan, entries: Mapping[str, Entry], key: str, name: str, values: tuple[FieldValue, ...]
) -> bool:
    """Whether the error of a field might quote a secret: it is one, or reads one."""
    if is_secret(name):
        return True
    try:
        plan.resolved.scope(entries=entries).evaluate_field(key, name, values)
    except NotYet:
        return True
    except ExpressionError:
        pass
    return False


def _text(value: Value) -> str:
    made = to_text(value)
    return made if isinstance(made, str) else ", ".join(made)
