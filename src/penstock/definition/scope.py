"""What expressions see: the fields of objects, inherited ones among them, parameters, and what is known at run time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from penstock.definition.model import DEFAULT, FieldValue, ParameterObject, PipelineObject, Ref, Values, is_secret
from penstock.expressions import ExpressionError, NotYet, UnknownName, Value, evaluate, parse, to_text
from penstock.expressions import Fields as ExpressionFields

RUNTIME_NAMES = (
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
)
"""Fields that the service sets at run time though their names do not begin with @ (object_types: runtime fields)."""
DEEPEST_FIELDS = 32
MOST_WORK = 10_000_000
"""What all expressions of a definition may cost together, where a character that is made costs 1."""
READ, EVALUATION, ITEM = 20, 200, 16  # what reading a field, an expression, and an item of a list cost besides


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
        self.known: dict[tuple[str, str], Value] = {}
        self.unset: set[tuple[str, str]] = set()
        self._work = 0
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
        """The value of a text that stands in a field of the object.

        An optional parameter without a value is empty inside a longer text; a text that is one expression and needs
        it has no value: an ExpressionError caused by OptionalParameter.
        """
        if "#{" not in text:
            return text
        self.worked(EVALUATION, text)
        template = parse(text)
        try:
            value = evaluate(template, self.fields(key))
        except ExpressionError as error:
            if len(template.parts) == 1 or not isinstance(error.__cause__, OptionalParameter):
                raise
            value = evaluate(template, replace(self.fields(key), has_blanks=True))
        except RecursionError:
            if self._open:  # a field, which is named in its error
                raise
            raise _too_deep("", (text,)) from None
        self.worked(_size(value), text)
        return value

    def worked(self, cost: int, text: str) -> None:
        """Keep expressions that multiply each other's values from filling the memory."""
        self._work += cost
        if self._work > MOST_WORK:
            raise ExpressionError(
                text, 0, "The expressions of the definition make too much together.", "Use fewer, or shorter texts."
            )

    def evaluate_field(self, key: str, name: str, values: tuple[FieldValue, ...]) -> tuple[FieldValue, ...]:
        """The evaluated values of one field: a list value becomes several values.

        A value that is an optional parameter without a value is left out.
        """
        found: list[FieldValue] = []
        try:
            with self.opened(key, name):
                for value in values:
                    if isinstance(value, Ref):
                        found.append(value)
                        continue
                    try:
                        text = to_text(self.evaluate(key, self.seen(name, value)))
                    except ExpressionError as error:
                        if isinstance(error.__cause__, OptionalParameter):
                            continue
                        raise _hidden(name, error) from error.__cause__
                    found.extend(text if isinstance(text, list) else [text])
        except RecursionError:
            raise _too_deep(name, values) from None
        return tuple(found)

    @contextmanager
    def opened(self, key: str, name: str) -> Iterator[None]:
        """Keep fields that read each other in a circle from running for ever."""
        if (key, name) in self._open:
            circle = " → ".join(field for _, field in self._open[self._open.index((key, name)) :])
            raise CircularFields(name, f"{circle} → {name}")
        if len(self._open) > DEEPEST_FIELDS:
            raise TooDeep(name, "Use fewer.")
        self._open.append((key, name))
        try:
            yield
        finally:
            self._open.pop()

    def is_innermost(self, key: str, name: str) -> bool:
        """Whether this is the field that is being evaluated."""
        return bool(self._open) and self._open[-1] == (key, name)


def _size(value: Value) -> int:
    if isinstance(value, list):
        return sum(ITEM + (len(item) if isinstance(item, str) else 0) for item in value)
    return len(value) if isinstance(value, str) else 0


def _hidden(name: str, error: ExpressionError) -> ExpressionError:
    """The error of a field; of a secret one it shows nothing, since any part of its text may be the secret."""
    if not is_secret(name):
        return error
    message = f"The expression in '{name}' is wrong."
    return ExpressionError("", 0, message, "Write a parameter as #{*myParameter}; more is not shown of a secret.")


def _too_deep(name: str, values: tuple[FieldValue, ...]) -> ExpressionError:
    text = "" if is_secret(name) else next((value for value in values if isinstance(value, str)), "")
    return ExpressionError(text, 0, "The fields that this needs nest too deeply.", "Use simpler expressions.")


class CircularFields(UnknownName):
    """Fields that need each other's values."""

    def __init__(self, name: str, circle: str) -> None:
        super().__init__(name)
        self.circle = circle


class TooDeep(UnknownName):
    """A field that is read through a long chain of others."""

    def __str__(self) -> str:
        return f"The field {self.name!r} is read through more than {DEEPEST_FIELDS} other fields."


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
    has_blanks: bool = False

    def __str__(self) -> str:
        return self.key

    def field(self, name: str) -> Value:
        """The value of a field by its name as written; raises UnknownName, or NotYet before it is known.

        With `has_blanks` an optional parameter without a value is an empty text.
        """
        try:
            return self._field(name)
        except OptionalParameter:
            if self.has_blanks:
                return ""
            raise

    def _field(self, name: str) -> Value:
        self.scope.worked(READ, name)
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
        if component is not None and name in component.fields and not self._means_parameter(name):
            return self._own(name, component.fields[name])
        if name in self.scope.values:
            if is_secret(name) and self.scope.reveal is None:
                raise NotYet(name)
            values = [self.scope.seen(name, value) for value in self.scope.values[name]]
            return values[0] if len(values) == 1 else list(values)
        if name in self.scope.parameters:
            raise (OptionalParameter if self.scope.parameters[name].is_optional else MissingValue)(name)
        default = self.scope.objects.get(DEFAULT)
        if default is not None and name in default.fields:
            return self._own(name, default.fields[name])
        if self.scope.missing is not None:
            return self.scope.missing
        if name in RUNTIME_NAMES:
            raise NotYet(name)
        raise UnknownName(name)

    def _means_parameter(self, name: str) -> bool:
        """Whether a field is being filled in from the parameter of its own name: as a field it would need itself."""
        is_parameter = name in self.scope.values or name in self.scope.parameters
        return is_parameter and self.scope.is_innermost(self.key, name)

    def _own(self, name: str, values: tuple[FieldValue, ...]) -> Value:
        refs = self.entry.refs.get(name)
        if refs is not None:
            instances: list[Value] = [self.scope.fields(ref) for ref in refs]
            return instances[0] if len(instances) == 1 else instances
        if is_secret(name) and self.scope.reveal is None:
            raise NotYet(name)
        if (self.key, name) in self.scope.unset:
            raise OptionalParameter(name)
        if (self.key, name) not in self.scope.known:
            self.scope.known[self.key, name] = self._evaluated(name, values)
        return self.scope.known[self.key, name]

    def _evaluated(self, name: str, values: tuple[FieldValue, ...]) -> Value:
        found: list[Value] = []
        unset: ExpressionError | None = None
        with self.scope.opened(self.key, name):
            for value in values:
                if isinstance(value, Ref):
                    found.append(self.scope.fields(value.id))
                    continue
                try:
                    made = self.scope.evaluate(self.key, self.scope.seen(name, value))
                except ExpressionError as error:
                    if not isinstance(error.__cause__, OptionalParameter):
                        raise _hidden(name, error) from error.__cause__
                    unset = error
                    continue
                found.extend(made if isinstance(made, list) else [made])
        if unset is not None and not found:
            self.scope.unset.add((self.key, name))
            raise OptionalParameter(name) from unset
        return found[0] if len(found) == 1 else found
