"""The fields of components, instances and attempts, as DescribeObjects and QueryObjects show them."""

from __future__ import annotations

import json

from penstock.clock import from_ms, ms_to_field, to_field
from penstock.definition.model import FieldValue, PipelineObject, Ref
from penstock.definition.scope import Entry
from penstock.engine.evaluation import instance_entries
from penstock.engine.plan import Plan
from penstock.engine.turn import Turn
from penstock.engine.waiting import waiting_on
from penstock.expressions import ExpressionError, NotYet
from penstock.store.rows import Attempt, ComponentState, Instance, read
from penstock.store.secrets import masked_object

FieldMap = dict[str, tuple[FieldValue, ...]]

_OF_ROWS = (
    "id",
    "@id",
    "name",
    "@sphere",
    "@pipelineId",
    "@status",
    "@creationTime",
    "@actualStartTime",
    "@actualEndTime",
)
INSTANCE_ROW = frozenset(
    (
        *_OF_ROWS,
        *("parent", "@componentParent", "@version", "@scheduledStartTime", "@scheduledEndTime", "@finishedTime"),
        *("@attemptCount", "@triesLeft", "@headAttempt", "@cascadeFailedOn"),
    )
)
"""The fields that `runtime_fields` has if an instance has them."""
ATTEMPT_ROW = frozenset((*_OF_ROWS, "@instanceParent"))
"""The fields that `attempt_fields` has if an attempt has them."""
KEPT_OF_REPORTS = ("rows", "bytes", "seconds", "statements", "source", "target", "columns", "way", "lastResult")
"""What an instance shows of its last attempt's reports when it has ended: extensions of ours, set by activities."""
LISTS_IN_REPORTS = ("source", "target", "columns", "way")
"""Of these there is one a line in a report, and one a value in an answer."""


def _fields(**values: str | int | Ref | None) -> FieldMap:
    """Fields of one value each; None is left out, and a leading underscore stands for `@`."""
    return {
        ("@" + key[1:] if key.startswith("_") else key): (value if isinstance(value, Ref) else str(value),)
        for key, value in values.items()
        if value is not None
    }


def _time(moment: int | None) -> str | None:
    return None if moment is None else ms_to_field(moment)


def component_object(turn: Turn, plan: Plan, component_id: str, *, evaluate: bool) -> PipelineObject | None:
    """A component with what the engine knows of it."""
    written = plan.resolved.definition.objects.get(component_id)
    if written is None:
        return None
    fields = dict(written.fields)
    if evaluate:
        fields = {key: plan.resolved.objects[component_id].fields.get(key, values) for key, values in fields.items()}
    fields |= _fields(_sphere="COMPONENT", _pipelineId=plan.pipeline_id, _version=plan.activation.version)
    row = None
    if plan.activation.number:  # before the first activation there is no row of any component
        row = turn.tx.one("component_by_id", pipeline_id=plan.pipeline_id, component=component_id)
    if row is not None:
        state = read(ComponentState, row)
        active = turn.tx.all("active_instances_of_component", pipeline_id=plan.pipeline_id, component=component_id)
        fields |= _fields(
            _healthStatus=state.health,
            _healthStatusFromInstanceId=state.health_from,
            _healthStatusUpdatedTime=_time(state.health_at),
            _latestRunTime=_time(state.latest_run_at),
            _latestCompletedRunTime=_time(state.latest_completed_at),
            _nextRunTime=_time(state.next_start),
            _lastDeactivatedTime=_time(state.deactivated_at),
            _status="PAUSED" if state.paused else None,
        )
        if active:
            fields["@activeInstances"] = tuple(Ref(row["instance_id"]) for row in active)
    return masked_object(PipelineObject(component_id, written.name, fields))


def runtime_fields(instance: Instance, plan: Plan) -> FieldMap:
    """The runtime fields of an instance that need no look at other rows."""
    return _fields(
        _componentParent=Ref(instance.component),
        parent=Ref(instance.component),
        _sphere="INSTANCE",
        _pipelineId=instance.pipeline_id,
        _status=instance.status,
        _version=plan.activation.version,
        _scheduledStartTime=ms_to_field(instance.scheduled_start),
        _scheduledEndTime=ms_to_field(instance.scheduled_end),
        _creationTime=ms_to_field(instance.created_at),
        _actualStartTime=_time(_taken_up_at(instance)),
        _actualEndTime=_time(instance.ended_at),
        _finishedTime=_time(instance.ended_at),
        _attemptCount=instance.attempt_count,
        _triesLeft=instance.tries_left,
        _headAttempt=Ref(instance.head_attempt) if instance.head_attempt else None,
        _cascadeFailedOn=Ref(instance.cascade_failed_on) if instance.cascade_failed_on else None,
        errorId=instance.error_id,
        errorMessage=instance.error_message,
        errorStackTrace=instance.error_stack_trace,
        _failureReason=instance.error_message if instance.family == "Resource" else None,
        cancellationReason=instance.cancellation_reason,
    )


def _taken_up_at(instance: Instance) -> int | None:
    """When an instance began to run; while it waits, when it was taken up (recorded: `list-runs` finds it by that)."""
    if instance.started_at is not None or instance.status == "SKIPPED":
        return instance.started_at
    return instance.created_at


def instance_object(turn: Turn, instance: Instance, *, evaluate: bool) -> PipelineObject:
    """An instance: its component's fields, references to instances, and what happened to it."""
    plan = turn.plan(instance)
    entries = instance_entries(turn, plan, instance)
    fields = _component_fields(plan, instance, entries, evaluate=evaluate) | runtime_fields(instance, plan)
    waits = waiting_on(turn, instance)
    if waits:
        fields["@waitingOn"] = tuple(Ref(identity) for identity in waits)
    if instance.node:
        fields["node"] = (Ref(entries[instance.instance_id].node or instance.node),)
    if instance.family == "Resource" and instance.started_at is not None:
        fields["@resourceId"] = (f"{instance.pipeline_id}_{instance.instance_id}",)
        fields["@resourceRegion"] = ("local",)
    fields |= {key: values for key, values in _latest_reported(turn, instance).items() if not key.startswith("@")}
    return masked_object(PipelineObject(instance.instance_id, instance.instance_id, fields))


def _latest_reported(turn: Turn, instance: Instance) -> FieldMap:
    """What is reported of the attempt that is on; of an instance that has ended, what its last one has moved."""
    known = {"pipeline_id": instance.pipeline_id}
    if instance.ended_at is None:
        row = turn.tx.one("active_attempt", instance_id=instance.instance_id, **known)
        return _reported(read(Attempt, row)) if row is not None else {}
    row = turn.tx.one("attempt_by_id", attempt_id=instance.head_attempt, **known) if instance.head_attempt else None
    reported = _reported(read(Attempt, row)) if row is not None else {}
    return {key: reported[key] for key in KEPT_OF_REPORTS if key in reported}


def _component_fields(plan: Plan, instance: Instance, entries: dict[str, Entry], *, evaluate: bool) -> FieldMap:
    """The fields of an instance's component, inherited ones too, with references to instances."""
    source = plan.resolved.inherited.get(instance.component)
    fields = {key: v for key, v in (source.fields if source else {}).items() if key != "parent"}
    refs = dict(entries[instance.instance_id].refs)
    resource = refs.pop("runsOn", ())
    for key, ids in refs.items():
        fields[key] = tuple(Ref(identity) for identity in ids)
    if resource:
        fields["@resource"] = (Ref(resource[0]),)
    fields |= _neighbours(plan, instance)
    return _evaluated(plan, instance.instance_id, fields, entries) if evaluate else fields


def _neighbours(plan: Plan, instance: Instance) -> FieldMap:
    """The view from a data node (who writes and who reads it) and from a resource (whom it serves)."""
    objects = plan.resolved.objects
    start, end = from_ms(instance.scheduled_start), from_ms(instance.scheduled_end)

    def instances(component: str) -> tuple[Ref, ...]:
        starts = plan.components[component].intervals.serving(start, end)
        return tuple(Ref(plan.instance_id(component, "", to_field(moment))) for moment in starts)

    found: dict[str, list[Ref]] = {}
    if instance.family == "DataNode":
        for other in plan.components.values():
            if other.family == "Activity" and instance.component in objects[other.id].refs("input"):
                found.setdefault("output", []).extend(instances(other.id))
            if other.family == "Activity" and instance.component in objects[other.id].refs("output"):
                found.setdefault("input", []).extend(instances(other.id))
    elif instance.family == "Resource":
        for name in plan.components[instance.component].serves if instance.component in plan.components else ():
            found.setdefault("input", []).extend(instances(name)[:100])
    return {key: tuple(refs) for key, refs in found.items()}


def _evaluated(plan: Plan, key: str, fields: FieldMap, entries: dict[str, Entry]) -> FieldMap:
    scope = plan.resolved.scope(entries=entries)
    made: FieldMap = {}
    for name, values in fields.items():
        try:
            made[name] = scope.evaluate_field(key, name, values)
        except (ExpressionError, NotYet):
            made[name] = values
    return made


def _reported(attempt: Attempt) -> FieldMap:
    fields: FieldMap = {}
    for key, value in json.loads(attempt.fields).items():
        fields[key] = tuple(str(value).split("\n")) if key in LISTS_IN_REPORTS else (str(value),)
    fields |= _fields(hostname=attempt.hostname, reportProgressTime=_time(attempt.reported_at))
    return fields


def attempt_object(turn: Turn, attempt: Attempt, *, evaluate: bool) -> PipelineObject:
    """An attempt: whose it is, and how it went."""
    instance = turn.instance(attempt.pipeline_id, attempt.instance_id)
    fields: FieldMap = {}
    if instance is not None:
        plan = turn.plan(instance)
        entries = instance_entries(turn, plan, instance)
        fields = _component_fields(plan, instance, entries, evaluate=evaluate) | _fields(
            _componentParent=Ref(instance.component),
            parent=Ref(instance.component),
            _scheduledStartTime=ms_to_field(instance.scheduled_start),
            _scheduledEndTime=ms_to_field(instance.scheduled_end),
            _version=plan.activation.version,
        )
    fields |= _reported(attempt) | attempt_fields(attempt)
    return masked_object(PipelineObject(attempt.attempt_id, attempt.attempt_id, fields))


def attempt_fields(attempt: Attempt) -> FieldMap:
    """The fields of an attempt that its row has."""
    return _fields(
        _instanceParent=Ref(attempt.instance_id),
        _sphere="ATTEMPT",
        _pipelineId=attempt.pipeline_id,
        _status=attempt.status,
        _creationTime=ms_to_field(attempt.created_at),
        _unacknowledgedDeliveries=attempt.deliveries or None,
        _actualStartTime=_time(attempt.started_at),
        _actualEndTime=_time(attempt.ended_at),
        workerGroup=attempt.worker_group,
        errorId=attempt.error_id,
        errorMessage=attempt.error_message,
        errorStackTrace=attempt.error_stack_trace,
    )
