"""Problems of parameters and their values."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from penstock.definition.model import Definition, ParameterObject, Values
from penstock.definition.problems import Problem, closest, shown

_TYPES: dict[str, Callable[[str], object]] = {
    "string": str,
    "integer": int,
    "double": float,
    "aws::s3::objectkey": str,
}


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
        if not parameter.id.removeprefix("*").startswith("my"):
            yield Problem(parameter.id, "id", "A parameter's id should begin with 'my'.", is_warning=True)
        values = given.get(parameter.id, definition.values.get(parameter.id, parameter.attributes.get("default")))
        if values is None:
            if not parameter.is_optional:
                yield Problem(
                    parameter.id,
                    "values",
                    f"The parameter '{parameter.id}' has no value.",
                    f'Give one with --parameter {parameter.id}=…, in "values", or as its default.',
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
    secret = parameter.id.startswith("*")
    allowed = parameter.attributes.get("allowedValues")
    if len(values) > 1 and (parameter.attribute("isArray") or "").lower() != "true":
        yield Problem(
            parameter.id,
            "values",
            f"'{parameter.id}' has {len(values)} values.",
            "Give one, or set isArray to true.",
        )
    for value in values:
        seen = "'*****'" if secret else shown(value)
        if allowed and value not in allowed:
            yield Problem(
                parameter.id,
                "values",
                f"'{parameter.id}' is {seen}.",
                f"Allowed values: {', '.join(allowed)}.",
            )
        try:
            _TYPES.get(kind, str)(value)
        except ValueError:
            yield Problem(parameter.id, "values", f"'{parameter.id}' is {seen}.", f"It must be of type {kind.title()}.")
