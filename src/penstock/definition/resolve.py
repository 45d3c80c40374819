"""A definition with everything filled in that is known before run time: inheritance, parameters, constants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from penstock.definition.model import DEFAULT, Definition, FieldValue, PipelineObject, Ref, Values
from penstock.definition.problems import Problem, closest, shown
from penstock.definition.scope import CircularFields, OptionalParameter, Scope, inherited, parameter_values
from penstock.expressions import ExpressionError, NotYet, names, parse

VERBATIM = ("type", "parent")
RUNTIME_NAMES = [
    "id",
    "name",
    "parent",
    "node",
    "errorId",
    "errorMessage",
    "errorStackTrace",
    "cancellationReason",
    "hostname",
    "reportProgressTime",
    "emrStepLog",
    "hadoopJobLog",
    "attemptStatus",
    "currentRetryCount",
    "lastRetryTime",
]


@dataclass(frozen=True)
class Resolved:
    """A definition for one activation.

    `inherited` holds each object with its inherited fields as they were written; `objects` the same with every
    expression evaluated that needs nothing from run time, and without fields that hold only an unset parameter.
    """

    definition: Definition
    values: Values
    inherited: Mapping[str, PipelineObject]
    objects: Mapping[str, PipelineObject]

    def scope(self, **arguments: object) -> Scope:
        """What expressions see; the arguments are those of `Scope`."""
        return Scope(self.inherited, self.values, self.definition.parameters, **arguments)  # type: ignore[arg-type]

    @property
    def is_on_demand(self) -> bool:
        """Whether activation makes the one run there is: Default's schedule type says so (the guide: schedules)."""
        kinds = [obj.text("scheduleType") for obj in self.objects.values() if "scheduleType" in obj.fields]
        default = self.objects.get(DEFAULT)
        if default is not None and "scheduleType" in default.fields:
            return (default.text("scheduleType") or "").lower() == "ondemand"
        return any((kind or "").lower() == "ondemand" for kind in kinds)


def resolve(definition: Definition, given: Values | None = None) -> tuple[Resolved, list[Problem]]:
    """Fill in what is known; the problems are those of expressions."""
    raw = {identity: inherited(definition, obj) for identity, obj in definition.objects.items()}
    values = parameter_values(definition, given)
    scope = Scope(raw, values, definition.parameters)
    problems: list[Problem] = []
    objects: dict[str, PipelineObject] = {}
    for identity, obj in raw.items():
        own = definition.objects[identity].fields
        fields: dict[str, tuple[FieldValue, ...]] = {}
        for key, entries in obj.fields.items():
            if key in VERBATIM or not any(isinstance(entry, str) and "#{" in entry for entry in entries):
                fields[key] = entries
                continue
            try:
                fields[key] = _reference(scope.evaluate_field(identity, key, entries), entries)
            except NotYet:
                fields[key] = entries
                if key in own:
                    problems.extend(_unknown_names(scope, identity, key, entries))
            except ExpressionError as error:
                if isinstance(error.__cause__, OptionalParameter) and len(entries) == 1:
                    continue
                fields[key] = entries
                if key in own:
                    problems.append(_problem(identity, key, entries, error))
        objects[identity] = PipelineObject(identity, obj.name, fields)
    return Resolved(definition, values, raw, objects), problems


def _reference(evaluated: tuple[FieldValue, ...], written: tuple[FieldValue, ...]) -> tuple[FieldValue, ...]:
    """References whose id is an expression stay references: only strings were evaluated."""
    return evaluated if evaluated else written


def _problem(identity: str, key: str, entries: tuple[FieldValue, ...], error: ExpressionError) -> Problem:
    value = next((entry for entry in entries if isinstance(entry, str) and "#{" in entry), "")
    cause = error.__cause__
    if isinstance(cause, CircularFields):
        return Problem(
            identity, key, f"The fields need each other's values: {cause.circle}.", "Break the circle.", value
        )
    return Problem(identity, key, f"The expression in {shown(value)} is wrong: {error}", value=value)


def _unknown_names(scope: Scope, identity: str, key: str, entries: tuple[FieldValue, ...]) -> list[Problem]:
    """Names that nothing has, in expressions that cannot be evaluated before run time."""
    found: list[Problem] = []
    fields = scope.objects[identity].fields
    default = scope.objects[DEFAULT].fields if DEFAULT in scope.objects else {}
    known = {*fields, *default, *scope.values, *scope.parameters, *RUNTIME_NAMES}
    for entry in entries:
        if isinstance(entry, Ref) or "#{" not in entry:
            continue
        for path in names(parse(entry)):
            first = path[0]
            if first.startswith("@") or first in known:
                continue
            found.append(
                Problem(
                    identity,
                    key,
                    f"The expression in {shown(entry)} reads '{first}', which is no field here and no parameter.",
                    closest(first, known),
                    entry,
                )
            )
    return found
