"""What expressions see: the fields of objects, inherited ones among them, parameters, and what is known at run time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from penstock.definition.model import (
    DEFAULT,
    Definition,
    FieldValue,
    ParameterObject,
    PipelineObject,
    Ref,
    Values,
    is_secret,
)
from penstock.expressions import Fields as ExpressionFields
from penstock.expressions import NotYet, UnknownName, Value, evaluate, parse, to_text

DEEPEST_PARENTS = 32


def inherited(definition: Definition, obj: PipelineObject) -> PipelineObject:
    """The object with its parents' fields, or those of Default where it has no parent (service_facts, section 2).

    Its own fields come first. A parent that does not exist, or a circle of parents, ends the chain.
    """
    fields = dict(obj.fields)
    seen = {obj.id}
    current: PipelineObject | None = obj
    while current is not None and len(seen) <= DEEPEST_PARENTS:
        parents = current.refs("parent")
        if parents:
            current = definition.objects.get(parents[0])
        elif current.id != DEFAULT:
            current = definition.objects.get(DEFAULT)
        else:
            current = None
        if current is None or current.id in seen:
            break
        seen.add(current.id)
        for key, values in current.fields.items():
            if key != "parent":
                fields.setdefault(key, values)
    return PipelineObject(obj.id, obj.name, fields)


def parameter_values(definition: Definition, given: Values | None = None) -> Values:
    """The value of every parameter: what an activation gives, else the definition's value, else the default."""
    values: dict[str, tuple[str, ...]] = {}
    for parameter in definition.parameters.values():
        default = parameter.attributes.get("default")
        if default is not None:
            values[parameter.id] = default
    values.update(definition.values)
    values.update(given or {})
    return values


@dataclass(frozen=True)
class Entry:
    """What is known of one object at run time; the entry of an instance is kept under the instance's id.

    `refs` replaces references of the component by references to instances.
    """

    component: str
    runtime: Mapping[str, Value] = field(default_factory=dict)
    refs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    node: str | None = None


class Scope:
    """Evaluates the fields of the objects of one definition, for one activation.

    `objects` hold all inherited fields. Secrets are kept encrypted and seen only through `reveal`, which is given when
    a task is handed out; `revealed` collects them, so that the runner can mask them. `missing` is what a name stands
    for that nobody knows, instead of an error: alarms must go out anyway.
    """

    def __init__(
        self,
        objects: Mapping[str, PipelineObject],
        values: Values,
        parameters: Mapping[str, ParameterObject],
        *,
        entries: Mapping[str, Entry] | None = None,
        reveal: Callable[[str], str] | None = None,
        missing: str | None = None,
    ) -> None:
        self.objects = objects
        self.values = values
        self.parameters = parameters
        self.entries = entries or {}
        self.reveal = reveal
        self.missing = missing
        self.revealed: set[str] = set()
        self._open: list[tuple[str, str]] = []

    def fields(self, key: str) -> ObjectFields:
        """The fields of an instance or a component."""
        entry = self.entries.get(key)
        return ObjectFields(self, key, entry or Entry(key), is_instance=entry is not None)

    def seen(self, name: str, value: str) -> str:
        """A value as expressions see it: a secret in clear."""
        if not is_secret(name) or self.reveal is None:
            return value
        clear = self.reveal(value)
        self.revealed.add(clear)
        return clear

    def evaluate(self, key: str, text: str) -> Value:
        """The value of a text that stands in a field of the object."""
        template = parse(text)
        return text if template.is_constant else evaluate(template, self.fields(key))

    def evaluate_field(self, key: str, name: str, values: tuple[FieldValue, ...]) -> tuple[FieldValue, ...]:
        """The evaluated values of one field: a list value becomes several values."""
        found: list[FieldValue] = []
        with self.opened(key, name):
            for value in values:
                if isinstance(value, Ref):
                    found.append(value)
                    continue
                text = to_text(self.evaluate(key, self.seen(name, value)))
                found.extend(text if isinstance(text, list) else [text])
        return tuple(found)

    @contextmanager
    def opened(self, key: str, name: str) -> Iterator[None]:
        """Keep fields that read each other in a circle from running for ever."""
        if (key, name) in self._open:
            circle = " → ".join(field for _, field in self._open[self._open.index((key, name)) :])
            raise CircularFields(name, f"{circle} → {name}")
        self._open.append((key, name))
        try:
            yield
        finally:
            self._open.pop()


class CircularFields(UnknownName):
    """Fields that need each other's values."""

    def __init__(self, name: str, circle: str) -> None:
        super().__init__(name)
        self.circle = circle


class OptionalParameter(UnknownName):
    """An optional parameter without a value: the field that holds only it is left out."""


class MissingValue(NotYet):
    """A parameter that an activation must give a value to."""


@dataclass(frozen=True)
class ObjectFields(ExpressionFields):
    """One object as expressions see it."""

    scope: Scope
    key: str
    entry: Entry
    is_instance: bool

    def __str__(self) -> str:
        return self.key

    def field(self, name: str) -> Value:
        """The value of a field by its name as written; raises UnknownName, or NotYet before it is known."""
        component = self.scope.objects.get(self.entry.component)
        if name in ("@id", "id"):
            return self.key
        if name in self.entry.runtime:
            return self.entry.runtime[name]
        if name == "node":
            if self.entry.node is None:
                raise NotYet(name)
            return self.scope.fields(self.entry.node)
        if name == "parent" and component is not None:
            parents = component.refs("parent")
            target = self.entry.component if self.is_instance or not parents else parents[0]
            return ObjectFields(self.scope, target, Entry(target), is_instance=False)
        if name == "name" and component is not None:
            return component.name
        if name.startswith("@"):
            if self.scope.missing is not None:
                return self.scope.missing
            raise NotYet(name)
        if is_secret(name) and self.scope.reveal is None:
            raise NotYet(name)
        if component is not None and name in component.fields:
            return self._own(name, component.fields[name])
        if name in self.scope.values:
            values = [self.scope.seen(name, value) for value in self.scope.values[name]]
            return values[0] if len(values) == 1 else list(values)
        if name in self.scope.parameters:
            raise (OptionalParameter if self.scope.parameters[name].is_optional else MissingValue)(name)
        default = self.scope.objects.get(DEFAULT)
        if default is not None and name in default.fields:
            return self._own(name, default.fields[name])
        if self.scope.missing is not None:
            return self.scope.missing
        raise UnknownName(name)

    def _own(self, name: str, values: tuple[FieldValue, ...]) -> Value:
        refs = self.entry.refs.get(name)
        if refs is not None:
            found: list[Value] = [self.scope.fields(ref) for ref in refs]
        else:
            found = []
            with self.scope.opened(self.key, name):
                for value in values:
                    if isinstance(value, Ref):
                        found.append(self.scope.fields(value.id))
                        continue
                    made = self.scope.evaluate(self.key, self.scope.seen(name, value))
                    found.extend(made if isinstance(made, list) else [made])
        return found[0] if len(found) == 1 else found
