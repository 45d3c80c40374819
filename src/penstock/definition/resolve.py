"""A definition with everything filled in that is known before run time: inheritance, parameters, constants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain

from penstock.definition.inheritance import ancestors, inherited
from penstock.definition.model import DEFAULT, Definition, FieldValue, PipelineObject, Ref, Values, is_secret
from penstock.definition.parameters import parameter_values
from penstock.definition.problems import Problem, closest, few_suggestions, shown_of
from penstock.definition.scope import RUNTIME_NAMES, CircularFields, Entry, ObjectFields, OptionalParameter, Scope
from penstock.expressions import ExpressionError, NotYet, UnknownName, Value, evaluate, names, parse, to_text

VERBATIM = ("type", "parent")
MOST_FOLLOWED = 50  # objects behind a list of references, in the search for the name that nothing has
MOMENTS = (datetime(2013, 1, 31, tzinfo=UTC), datetime(2012, 6, 15, 13, 47, 29, tzinfo=UTC))
"""Times that run time might bring: expressions that wait for it are tried with each, and are wrong if all fail."""


def sample(moment: datetime) -> Mapping[str, Value]:
    """What run time might bring, at a moment."""
    times = ("@scheduledStartTime", "@scheduledEndTime", "@actualStartTime", "@actualEndTime", "@finishedTime")
    return {
        "@pipelineId": "df-00000000000000000000",
        "@sphere": "INSTANCE",
        "@status": "RUNNING",
        "@version": "1",
        **dict.fromkeys(times, moment),
        "@attemptCount": 1,
        "@triesLeft": 1,
    }


@dataclass(frozen=True)
class Resolved:
    """A definition for one activation.

    `definition` is what was written, with parameters filled in where references name objects. `inherited` holds each
    object with its inherited fields as they were written; `objects` the same with every expression evaluated that
    needs nothing from run time, and without values that are an unset optional parameter.
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
        return any(kind.lower() == "ondemand" for kind in self._schedule_types())

    @property
    def may_be_on_demand(self) -> bool:
        """Whether it is on-demand, or a parameter without a value decides that."""
        return self.is_on_demand or any("#{" in kind for kind in self._schedule_types())

    def _schedule_types(self) -> list[str]:
        default = self.objects.get(DEFAULT)
        if default is not None and "scheduleType" in default.fields:
            return [default.text("scheduleType") or ""]
        return [obj.text("scheduleType") or "" for obj in self.objects.values()]

    def owner(self, identity: str, key: str) -> str:
        """The object that a field of an object is written in: itself, a parent, or Default."""
        written = self.definition.objects[identity]
        if key not in written.fields:
            for ancestor in ancestors(self.definition, written):
                if key in ancestor.fields:
                    return ancestor.id
        return identity

    def waits_for_value(self, text: str) -> bool:
        """Whether a text reads a declared parameter that has no value yet."""
        if "#{" not in text:
            return False
        parameters, values = self.definition.parameters, self.values
        try:
            return any(path[0] in parameters and path[0] not in values for path in names(parse(text)))
        except ExpressionError:
            return False


@dataclass(frozen=True)
class Finding:
    """A wrong expression: the object and field that it was evaluated for, and the problem, which names its owner.

    `is_syntax` says that it cannot be read at all, `unknown` which name nothing has.
    """

    object_id: str
    field: str
    problem: Problem
    is_syntax: bool = False
    unknown: str = ""


def resolve(definition: Definition, given: Values | None = None) -> tuple[Resolved, list[Finding]]:
    """Fill in what is known; what is found are wrong expressions, those of inherited fields among them."""
    with few_suggestions():
        return _resolve(definition, given)


def _resolve(definition: Definition, given: Values | None) -> tuple[Resolved, list[Finding]]:
    values = parameter_values(definition, given)
    findings: list[Finding] = []
    definition = _with_references(definition, values, findings)
    raw = {identity: inherited(definition, obj) for identity, obj in definition.objects.items()}
    resolved = Resolved(definition, values, raw, {})
    scope = resolved.scope()
    samples = [
        resolved.scope(entries={identity: Entry(identity, sample(moment)) for identity in raw}) for moment in MOMENTS
    ]
    objects: dict[str, PipelineObject] = {}
    for identity, obj in raw.items():
        fields: dict[str, tuple[FieldValue, ...]] = {}
        for key, entries in obj.fields.items():
            if key in VERBATIM or not any(isinstance(entry, str) and "#{" in entry for entry in entries):
                fields[key] = entries
                continue
            try:
                evaluated = scope.evaluate_field(identity, key, entries)
                if evaluated:
                    fields[key] = evaluated
                continue
            except NotYet:
                findings.extend(_find_later(resolved, samples, identity, key, entries))
            except ExpressionError as error:
                findings.append(_finding(resolved, identity, key, error))
            fields[key] = entries
        objects[identity] = PipelineObject(identity, obj.name, fields)
    return replace(resolved, objects=objects), findings


def _with_references(definition: Definition, values: Values, findings: list[Finding]) -> Definition:
    """References and names with parameters in them, filled in; nothing else is evaluated there."""
    nothing = Scope({}, values, definition.parameters).fields("")
    objects: dict[str, PipelineObject] = {}
    for identity, obj in definition.objects.items():
        fields = dict(obj.fields)
        for key, entries in obj.fields.items():
            if not any(isinstance(entry, Ref) and "#{" in entry.id for entry in entries):
                continue
            made: list[FieldValue] = []
            for entry in entries:
                try:
                    made.extend(_references(entry, nothing))
                except ExpressionError as error:
                    if not isinstance(error.__cause__, OptionalParameter):
                        made.append(entry)
                        findings.append(Finding(identity, key, _problem(identity, key, error), is_syntax=True))
            fields[key] = tuple(made)
            if not made:
                del fields[key]
        name = obj.name
        if "#{" in name:
            try:
                name = str(to_text(evaluate(name, nothing)))
            except (ExpressionError, NotYet):
                name = obj.name  # the guide: names are not evaluated; only parameters are filled in
        objects[identity] = PipelineObject(identity, name, fields)
    return replace(definition, objects=objects)


def _references(entry: FieldValue, parameters: ObjectFields) -> list[FieldValue]:
    if not isinstance(entry, Ref) or "#{" not in entry.id:
        return [entry]
    try:
        text = to_text(evaluate(entry.id, parameters))
    except NotYet:
        return [entry]
    return [Ref(identity) for identity in (text if isinstance(text, list) else [text])]


def _find_later(
    resolved: Resolved, samples: Iterable[Scope], identity: str, key: str, entries: tuple[FieldValue, ...]
) -> list[Finding]:
    """What is wrong with a field that cannot be evaluated before run time, whatever that may bring."""
    found: list[Finding] = []
    for scope in samples:
        try:
            scope.evaluate_field(identity, key, entries)
            return []
        except NotYet:
            return [Finding(identity, key, problem) for problem in _unknown_names(resolved, identity, key, entries)]
        except ExpressionError as error:
            found.append(_finding(resolved, identity, key, error))
    return found[:1]


def _finding(resolved: Resolved, identity: str, key: str, error: ExpressionError) -> Finding:
    is_syntax = False
    try:
        parse(error.text)
    except ExpressionError:
        is_syntax = True
    cause = error.__cause__
    unknown = cause.name if isinstance(cause, UnknownName) and not is_secret(key) else ""
    return Finding(identity, key, _problem(resolved.owner(identity, key), key, error), is_syntax, unknown)


def _problem(owner: str, key: str, error: ExpressionError) -> Problem:
    cause = error.__cause__
    if isinstance(cause, CircularFields):
        return Problem(owner, key, f"The fields need each other's values: {cause.circle}.", "Break the circle.")
    if is_secret(key):
        return Problem(owner, key, error.message, error.remedy)
    return Problem(owner, key, f"The expression in {shown_of(key, error.text)} is wrong: {error}", value=error.text)


def _unknown_names(resolved: Resolved, identity: str, key: str, entries: tuple[FieldValue, ...]) -> list[Problem]:
    """Names that nothing has, in expressions that not even a sample of run time can evaluate."""
    found: list[Problem] = []
    for entry in entries:
        if isinstance(entry, Ref) or "#{" not in entry:
            continue
        for path in names(parse(entry)):
            unknown = _first_unknown(resolved, identity, path)
            if unknown is None:
                continue
            name, holder, known = unknown
            where = "no field here and no parameter" if holder == identity else f"no field of '{holder}'"
            found.append(
                Problem(
                    resolved.owner(identity, key),
                    key,
                    f"The expression in {shown_of(key, entry)} reads {shown_of(key, name)}, which is {where}.",
                    "" if is_secret(key) else closest(name, known),
                    "" if is_secret(key) else entry,
                )
            )
    return found


def _first_unknown(resolved: Resolved, identity: str, path: tuple[str, ...]) -> tuple[str, str, Iterable[str]] | None:
    """The first name of a path that nothing has, the object that lacks it, and what it has; follows references."""
    holders = [identity]
    for name in path:
        if name.startswith("@") or name in RUNTIME_NAMES:
            return None
        following: dict[str, None] = {}  # lists of lists of references name the same few objects
        for holder in holders:
            fields = resolved.inherited[holder].fields
            default = resolved.inherited[DEFAULT].fields if DEFAULT in resolved.inherited else {}
            known = (fields, default, resolved.values, resolved.definition.parameters, RUNTIME_NAMES)
            if not any(name in names for names in known):
                return name, holder, chain(*known)
            values = fields.get(name, default.get(name, ()))
            following.update((v.id, None) for v in values if isinstance(v, Ref) and v.id in resolved.inherited)
            if len(following) >= MOST_FOLLOWED:
                break
        holders = list(following)[:MOST_FOLLOWED]
    return None
