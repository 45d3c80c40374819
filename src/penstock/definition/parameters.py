"""Parameters: the value of each, and the problems of declarations and values."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from penstock.definition.conversion import read_double, read_integer
from penstock.definition.model import Definition, ParameterObject, Values, is_secret
from penstock.definition.problems import Problem, closest, shown, shown_of

_TYPES: dict[str, Callable[[str], object]] = {
    "string": str,
    "integer": read_integer,
    "double": read_double,
    "aws::s3::objectkey": str,
}
MOST_LISTED = 50  # allowed values, in one message
ATTRIBUTES = ("type", "description", "optional", "default", "allowedValues", "isArray", "helpText", "watermark")


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


def parameter_problems(definition: Definition, given: Values, *, complete: bool) -> Iterator[Problem]:
    """Check declarations and values; without `complete` a missing value is a warning, since activation may give it."""
    declared = definition.parameters
    for parameter in declared.values():
        kind = (parameter.attribute("type") or "String").lower()
        if kind not in _TYPES:
            yield Problem(
                parameter.id,
                "type",
                f"The parameter type {shown(parameter.attribute('type') or '')} is not known.",
                "Types are String, Integer, Double and AWS::S3::ObjectKey.",
            )
        for key in parameter.attributes:
            if key not in ATTRIBUTES:
                message = f"Parameters have no attribute {shown(key)}."
                yield Problem(parameter.id, key, message, closest(key, ATTRIBUTES), is_warning=True)
        if not parameter.id.removeprefix("*").startswith("my"):
            yield Problem(parameter.id, "id", "A parameter's id should begin with 'my'.", is_warning=True)
        values = given.get(parameter.id, definition.values.get(parameter.id, parameter.attributes.get("default")))
        if values is None:
            if not parameter.is_optional:
                yield Problem(
                    parameter.id,
                    "values",
                    f"The parameter '{parameter.id}' has no value.",
                    f'Give one in "values" (or parameterValues, or --parameter {parameter.id}=…), or as its default.',
                    is_warning=not complete,
                )
            continue
        yield from _value_problems(parameter, kind, values)
    for identity in [*definition.values, *given]:
        if identity not in declared:
            yield Problem(
                identity,
                "values",
                f"There is a value for '{identity}', but no such parameter.",
                closest(identity, declared),
                is_warning=True,
            )


def _value_problems(parameter: ParameterObject, kind: str, values: tuple[str, ...]) -> Iterator[Problem]:
    allowed = parameter.attributes.get("allowedValues", ())
    known = set(allowed)
    listed = ", ".join(allowed[:MOST_LISTED]) + (", …" if len(allowed) > MOST_LISTED else "")
    if len(values) > 1 and (parameter.attribute("isArray") or "").lower() != "true":
        yield Problem(
            parameter.id,
            "values",
            f"'{parameter.id}' has {len(values)} values.",
            "Give one, or set isArray to true.",
        )
    for value in values:
        seen = shown_of(parameter.id, value)
        kept = "" if is_secret(parameter.id) else value
        if allowed and value not in known:
            remedy = "It is none of the allowed values."
            if not is_secret(parameter.id):
                remedy = f"Allowed values: {listed}."
            yield Problem(parameter.id, "values", f"'{parameter.id}' is {seen}.", remedy, kept)
        try:
            _TYPES.get(kind, str)(value)
        except ValueError as error:
            remedy = f"Its type is {kind.title()}: {error}."
            yield Problem(parameter.id, "values", f"'{parameter.id}' is {seen}.", remedy, kept)
