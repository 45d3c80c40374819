"""A pipeline's definition for one activation, worked out: what each component waits for, when, where and how often."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from penstock.clock import from_ms
from penstock.definition.conversion import convert_text
from penstock.definition.dependencies import component_graph
from penstock.definition.file_form import definition_of
from penstock.definition.model import Definition, PipelineObject, Values
from penstock.definition.period import Intervals, Period
from penstock.definition.resolve import Resolved, resolve
from penstock.definition.slots import Catalogue, slots_of
from penstock.definition.timetable import Timetable, Timing, make_timetable
from penstock.settings import EngineSettings
from penstock.store.database import Transaction
from penstock.store.rows import Activation, Instance, Pipeline, read

SYSTEM_GROUP = "penstock:system"
_OF_RESOURCES = "resource:"
RESOURCE_RETRIES = 3
SIZE_KEPT = 100_000_000  # bytes, roughly
PLANS_KEPT = 500  # each task that ends needs its plan, which takes milliseconds to make and about 5 KiB a component


def resource_group(pipeline_id: str, instance_id: str) -> str:
    """The worker group of one resource instance, as the service names it (recorded)."""
    return f"{_OF_RESOURCES}{pipeline_id}_{instance_id}"


def resource_of_group(worker_group: str) -> tuple[str, str] | None:
    """The ids of the pipeline and of the resource instance whose worker group this is; None for other groups.

    A pipeline's id has no underscore.
    """
    if not worker_group.startswith(_OF_RESOURCES):
        return None
    pipeline_id, _, instance_id = worker_group[len(_OF_RESOURCES) :].partition("_")
    return pipeline_id, instance_id


@dataclass(frozen=True)
class Component:
    """One activity, data node, precondition or resource, with everything that the engine decides by."""

    id: str
    family: str
    intervals: Intervals
    is_due_at_end: bool = False
    max_active: int = 5
    producers: tuple[str, ...] = ()
    preconditions: tuple[str, ...] = ()
    resource: str | None = None
    worker_group: str | None = None
    serves: tuple[str, ...] = ()
    cascades: bool = False
    is_system_managed: bool = False
    is_asked_last: bool = False
    maximum_retries: int = 2
    retry_delay: int = 0
    attempt_timeout: Period | None = None
    report_timeout: Period | None = None
    late_after: Period | None = None
    precondition_timeout: Period | None = None
    init_timeout: Period | None = None
    terminate_after: Period | None = None
    ends_with_a_failed_task: bool = False
    on_fail: tuple[str, ...] = ()
    on_success: tuple[str, ...] = ()
    on_late: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """All components of one activation."""

    pipeline_id: str
    activation: Activation
    resolved: Resolved
    is_on_demand: bool
    components: Mapping[str, Component]
    timetable: Timetable

    def instance_id(self, component: str, node: str, start: str) -> str:
        """The id of an instance by its component and the field form of its start."""
        return self.timetable.instance_id(component, node, start)

    def resource_start(self, component: Component, start: datetime) -> datetime | None:
        """The start of the resource instance that serves an instance with this start."""
        if component.resource is None or component.resource not in self.components:
            return None
        return self.components[component.resource].intervals.holding(start)


def make_plan(
    pipeline: Pipeline,
    activation: Activation,
    definition: Definition,
    values: Values,
    catalogue: Catalogue,
    settings: EngineSettings,
) -> Plan:
    """Work out the components of an activation; the definition was validated before."""
    resolved, _ = resolve(definition, values)
    on_demand = resolved.is_on_demand
    graph = component_graph(resolved, catalogue)
    scheduled_at = from_ms(activation.scheduled_at)
    first = activation.activated_at if pipeline.first_activated_at is None else pipeline.first_activated_at
    timetable = make_timetable(resolved, catalogue, scheduled_at, from_ms(first))
    once = Timing(Intervals(scheduled_at, None), is_due_at_end=False)
    objects = resolved.objects
    classes = {identity: catalogue.find(obj.text("type")) for identity, obj in objects.items()}
    families = {identity: cls.family if cls else "" for identity, cls in classes.items()}
    components: dict[str, Component] = {}
    served: dict[str, dict[str, None]] = {}
    for other, obj in objects.items():
        for resource in obj.refs("runsOn") if families[other] == "Activity" else ():
            served.setdefault(resource, {})[other] = None
    for identity, obj in objects.items():
        if families[identity] not in ("Activity", "DataNode", "Precondition", "Resource"):
            continue
        read_slot = _Reader(obj, catalogue)
        timing = timetable.timings.get(identity, once)  # a precondition has the interval of the object that has it
        default_retries = RESOURCE_RETRIES if families[identity] == "Resource" else settings.maximum_retries
        is_retried = read_slot("actionOnResourceFailure") != "retryNone"
        retry_delay = read_slot.given("retryDelay")
        runs_on = next((ref for ref in obj.refs("runsOn") if families.get(ref) == "Resource"), None)
        components[identity] = Component(
            id=identity,
            family=families[identity],
            intervals=timing.intervals,
            is_due_at_end=timing.is_due_at_end,
            max_active=_max_active(read_slot, on_demand, settings),
            producers=graph.get(identity, ()),
            preconditions=tuple(ref for ref in obj.refs("precondition") if families.get(ref) == "Precondition"),
            resource=runs_on if families[identity] != "Resource" else None,
            worker_group=None if runs_on else obj.text("workerGroup"),
            serves=tuple(served.get(identity, ())) if families[identity] == "Resource" else (),
            cascades=read_slot("failureAndRerunMode") == "cascade",
            is_system_managed=bool(getattr(classes[identity], "is_system_managed", False)),
            is_asked_last=bool(getattr(classes[identity], "is_asked_last", False)),
            maximum_retries=_number(read_slot.given("maximumRetries"), default_retries) if is_retried else 0,
            retry_delay=int(settings.retry_delay * 1000) if retry_delay is None else _milliseconds(retry_delay),
            attempt_timeout=_period(read_slot("attemptTimeout")),
            report_timeout=_period(read_slot("reportProgressTimeout")),
            late_after=None if on_demand else _period(read_slot("lateAfterTimeout")),
            precondition_timeout=_period(read_slot("preconditionTimeout")),
            init_timeout=_period(read_slot("initTimeout")),
            terminate_after=_period(read_slot("terminateAfter")),
            ends_with_a_failed_task=read_slot("actionOnTaskFailure") == "terminate",
            on_fail=obj.refs("onFail"),
            on_success=obj.refs("onSuccess"),
            on_late=obj.refs("onLateAction"),
        )
    return Plan(pipeline.pipeline_id, activation, resolved, on_demand, components, timetable)


def unactivated_plan(pipeline: Pipeline, resolved: Resolved) -> Plan:
    """A plan that shows a definition before its first activation, also one with errors; it has no components."""
    nothing = Activation(pipeline.pipeline_id, 0, pipeline.latest_version, "{}", 0, None, 0, "")
    return Plan(pipeline.pipeline_id, nothing, resolved, resolved.is_on_demand, {}, Timetable(resolved, {}, {}))


def values_of(activation: Activation) -> Values:
    """The parameter values that the activation was given (secret ones encrypted)."""
    return {key: tuple(values) for key, values in json.loads(activation.parameter_values).items()}


class _Reader:
    """Reads slots of one object as converted values; what still holds an expression counts as not given."""

    def __init__(self, obj: PipelineObject, catalogue: Catalogue) -> None:
        self.obj = obj
        cls = catalogue.find(obj.text("type"))
        self.slots = slots_of(cls) if cls else {}

    def given(self, name: str) -> object | None:
        text = self.obj.text(name)
        if text is None or name not in self.slots or "#{" in text:
            return None
        try:
            value: object = convert_text(self.slots[name], text)
        except ValueError:
            return None
        return value

    def __call__(self, name: str) -> object | None:
        value = self.given(name)
        return value if value is not None or name not in self.slots else self.slots[name].default


def _max_active(read_slot: _Reader, on_demand: bool, settings: EngineSettings) -> int:
    return max(1, _number(read_slot.given("maxActiveInstances"), 1 if on_demand else settings.max_active_instances))


def _number(value: object, default: int) -> int:
    return value if isinstance(value, int) else default


def _period(value: object) -> Period | None:
    return value if isinstance(value, Period) else None


def _milliseconds(value: object) -> int:
    return int(value.length().total_seconds() * 1000) if isinstance(value, Period) else 0


def _size(plan: Plan) -> int:
    """The memory that a plan takes, roughly: some KiB an object, and the texts that expressions made."""
    fields = [values for obj in plan.resolved.objects.values() for values in obj.fields.values()]
    texts = sum(len(value) for values in fields for value in values if isinstance(value, str))
    return texts + 500 * len(fields) + 2000 * len(plan.resolved.objects)


class Plans:
    """The plans of recent activations, kept in memory; a plan never changes."""

    def __init__(self, catalogue: Catalogue, settings: EngineSettings, most: int = PLANS_KEPT) -> None:
        self.catalogue = catalogue
        self.settings = settings
        self.most = most
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, int], Plan] = OrderedDict()
        self._sizes: dict[tuple[str, int], int] = {}

    def find(self, tx: Transaction, pipeline_id: str, number: int) -> Plan:
        """The plan of an activation."""
        plan = self._look_up(pipeline_id, number)
        if plan is None:
            pipeline = tx.one("pipeline_by_id", pipeline_id=pipeline_id)
            row = tx.one("activation_by_number", pipeline_id=pipeline_id, number=number)
            if pipeline is None or row is None:
                raise LookupError(f"{pipeline_id} has no activation {number}")
            activation = read(Activation, row)
            stored = tx.one("definition_by_version", pipeline_id=pipeline_id, version=activation.version)
            assert stored is not None
            definition = definition_of(json.loads(stored["body"]))
            values = values_of(activation)
            plan = make_plan(read(Pipeline, pipeline), activation, definition, values, self.catalogue, self.settings)
            with self._lock:
                self._kept[pipeline_id, number] = plan
                self._sizes[pipeline_id, number] = _size(plan)
                while len(self._kept) > self.most or (sum(self._sizes.values()) > SIZE_KEPT and len(self._kept) > 1):
                    key, _ = self._kept.popitem(last=False)
                    del self._sizes[key]
        return plan

    def _look_up(self, pipeline_id: str, number: int) -> Plan | None:
        with self._lock:
            plan = self._kept.get((pipeline_id, number))
            if plan is not None:
                self._kept.move_to_end((pipeline_id, number))
            return plan

    def forget(self, pipeline_id: str | None) -> None:
        """Drop the plans of a pipeline whose transaction was undone; all plans if it is not known which."""
        with self._lock:
            for key in list(self._kept):
                if pipeline_id in (None, key[0]):
                    del self._kept[key], self._sizes[key]

    def of(self, tx: Transaction, instance: Instance) -> Plan:
        """The plan of the activation that an instance belongs to."""
        return self.find(tx, instance.pipeline_id, instance.activation)
