"""From tree to value: walks the nodes of a template with the fields of an object.

A list operand maps: the operation is done for each item, and for every pair of items where two operands are
lists (the left one outermost), and the results are one flat list.
"""

import math
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import product

from penstock.expressions.arithmetic import calculated, negated, number
from penstock.expressions.errors import Mistake, NotYet, UnknownName
from penstock.expressions.functions import Function, function_for
from penstock.expressions.parser import parse
from penstock.expressions.tree import (
    Access,
    Call,
    Expression,
    Literal,
    Name,
    Negation,
    Node,
    Operation,
    Template,
    paths,
)
from penstock.expressions.values import Fields, Value, described, flat, scalar_text

MAX_ITEMS = 10_000
"""How many items the combination of several lists may have."""

MAX_TEXT = 1_000_000
"""How many characters a text that `+` makes, or all items together that are made for a list, may have."""


def evaluate(template: Template | str, fields: Fields) -> Value:
    """The value of a template for an object; raises ExpressionError, and lets NotYet pass.

    A template that is one expression alone keeps the type of its value. Several parts give text, or a list of
    texts when the value of a part is a list; `[#{a}, #{b}]` with a list in it gives all items in a flat list.
    """
    if isinstance(template, str):
        template = parse(template)
    parts = template.parts
    if len(parts) == 1:
        only = parts[0]
        return only if isinstance(only, str) else _evaluated(only, template.text, fields)
    choices: list[list[str]] = []
    first_list: Expression | None = None
    for part in parts:
        if isinstance(part, str):
            choices.append([part])
            continue
        value = _evaluated(part, template.text, fields)
        if isinstance(value, list):
            first_list = first_list or part
            choices.append([_part_text(item, part, template.text) for item in value])
        else:
            choices.append([_part_text(value, part, template.text)])
    if first_list is None:
        if sum(len(choice[0]) for choice in choices) > MAX_TEXT:
            raise _too_long().placed(template.text, 0)
        return "".join([choice[0] for choice in choices])
    if _is_bracketed(parts):
        return [text for choice in choices[1::2] for text in choice]
    try:
        return ["".join(chosen) for chosen in _combined(choices)]
    except Mistake as mistake:
        raise mistake.placed(template.text, first_list.start) from None


def _combined(choices: list[list[str]]) -> "product[tuple[str, ...]]":
    """Every way to take one text at each place, the first place outermost."""
    counts = [len(choice) for choice in choices]
    _check_count(counts)
    total = math.prod(counts)
    if total and sum(sum(map(len, choice)) * (total // len(choice)) for choice in choices) > MAX_TEXT:
        raise _too_long()
    return product(*choices)


def _is_bracketed(parts: tuple[str | Expression, ...]) -> bool:
    """Whether a template has the shape `[#{a}, #{b}]`."""
    expected = ["[", *[","] * (len(parts) // 2 - 1), "]"]
    texts = [part.strip() for part in parts[::2] if isinstance(part, str)]
    return texts == expected and all(isinstance(part, Expression) for part in parts[1::2])


def _evaluated(expression: Expression, text: str, fields: Fields) -> Value:
    """The value of one expression, DateTimes in UTC, its mistakes turned into errors with their place."""
    try:
        value = _value(expression.root, fields)
    except Mistake as mistake:
        raise mistake.placed(text, expression.start) from mistake.__cause__
    if isinstance(value, list):
        return [_in_utc(item) for item in value]
    return _in_utc(value)


def _in_utc(value: Value) -> Value:
    if isinstance(value, datetime) and value.tzinfo is not UTC:
        return value.astimezone(UTC)
    return value


def _part_text(value: Value, expression: Expression, text: str) -> str:
    """The text of a value that is a part of a template."""
    try:
        return _text(value, expression.root)
    except Mistake as mistake:
        raise mistake.placed(text, expression.start) from mistake.__cause__


def _value(node: Node, fields: Fields) -> Value:
    """The value of a node; raises Mistake with a position.

    It recurses one frame a level, and the parser bounds the levels.
    """
    match node:
        case Name():
            return _field(fields, node.name, node)
        case Literal():
            return node.value
        case Call():
            values: list[Value] = []
            for argument in node.arguments:
                values.append(_value(argument, fields))
            function = _function(node)
            if list in map(type, values):
                return _each((_called(function, chosen, node) for chosen in _combinations(values, node)), node)
            return _called(function, values, node)
        case Access():
            target = _value(node.object, fields)
            if isinstance(target, list):
                return _all_accessed(target, node)
            return _accessed(target, node)
        case Operation():
            left = _value(node.left, fields)
            right = _value(node.right, fields)
            if isinstance(left, list) or isinstance(right, list):
                return _each((_operated(node, one, two) for one, two in _combinations([left, right], node)), node)
            return _operated(node, left, right)
        case Negation():
            operand = _value(node.operand, fields)
            if isinstance(operand, list):
                return [_negated(item, node) for item in operand]
            return _negated(operand, node)


def _each(made: Iterable[Value], node: Node) -> list[Value]:
    """What is made for each item of a list; the texts among it have a limit together."""
    found: list[Value] = []
    size = 0
    for value in made:
        size += len(value) if isinstance(value, str) else 0
        if size > MAX_TEXT:
            raise _too_long().at(node.position)
        found.append(value)
    return found


def _all_accessed(targets: list[Value], node: Access) -> list[Value]:
    """A field of each object of a list, as one flat list; lists of lists of objects would grow without a limit."""
    found: list[Value] = []
    for target in targets:
        found.extend(flat(_accessed(target, node)))
        if len(found) > max(MAX_ITEMS, len(targets)):
            raise _too_many(len(found)).at(node.position)
    return found


def _combinations(values: list[Value], node: Node) -> "product[tuple[Value, ...]]":
    """Every way to take one item of each list; a value that is no list is its only item."""
    choices = [value if isinstance(value, list) else [value] for value in values]
    try:
        _check_count([len(choice) for choice in choices])
    except Mistake as mistake:
        raise mistake.at(node.position) from None
    return product(*choices)


def _check_count(lengths: list[int]) -> None:
    """Refuse what several lists would multiply to; a single list may be as long as it is."""
    count = math.prod(lengths)
    if count > MAX_ITEMS and sum(length > 1 for length in lengths) > 1:
        raise _too_many(count)


def _too_many(count: int) -> Mistake:
    return Mistake(
        f"The lists here would make {count} items.", f"Combine shorter lists: {MAX_ITEMS} items is the limit."
    )


def _too_long() -> Mistake:
    return Mistake(f"The text here would be longer than {MAX_TEXT} characters.", "Make it shorter.")


def _field(holder: Fields, name: str, node: Node) -> Value:
    """A field of an object; a list in it is made flat."""
    try:
        value = holder.field(name)
    except NotYet:
        raise
    except UnknownName as unknown:
        remedy = unknown.remedy or "Define it as a field or a parameter, or check how it is spelled."
        raise Mistake(str(unknown), remedy, node.position) from unknown
    return list(flat(value)) if isinstance(value, list) else value


def _accessed(target: Value, node: Access) -> Value:
    if isinstance(target, str | int | float | datetime | list) or target is None:
        why = "holds a secret" if _reads_secret(node.object) else f"is {described(target)}"
        raise Mistake(
            f"{_subject(node.object)} {why}, so it has no field {node.name!r}.",
            f"Use a field that refers to an object before '.{node.name}'.",
            node.position,
        )
    return _field(target, node.name, node)


def _function(node: Call) -> Function:
    try:
        return function_for(node.function, len(node.arguments))
    except Mistake as mistake:
        raise mistake.at(node.position) from None


def _called(function: Function, values: "list[Value] | tuple[Value, ...]", node: Call) -> Value:
    """The result of a function for values that are no lists."""
    arguments: list[object] = []
    for parameter, value, argument in zip(function.parameters, values, node.arguments, strict=True):
        try:
            arguments.append(parameter.kind.convert(value))
        except Mistake as mistake:
            raise _about(mistake, f"{parameter.name} of {function.name}", argument) from None
    try:
        return function.call(*arguments)
    except Mistake as mistake:
        raise mistake.at(node.position) from None
    except (OverflowError, ValueError):
        raise Mistake(
            f"The result of {function.name} lies outside the years 1 to 9999.",
            "Check the DateTime and the amount that are given here.",
            node.position,
        ) from None


def _negated(value: Value, node: Negation) -> Value:
    try:
        return negated(_number(value, node.operand))
    except Mistake as mistake:
        raise mistake if mistake.position is not None else mistake.at(node.position) from None


def _operated(node: Operation, left: Value, right: Value) -> Value:
    """The result of an operator for two values that are no lists."""
    try:
        if node.operator == "+" and (isinstance(left, str) or isinstance(right, str)):
            text = _text(left, node.left) + _text(right, node.right)
            if len(text) > MAX_TEXT:
                raise _too_long()
            return text
        return calculated(node.operator, _number(left, node.left), _number(right, node.right))
    except Mistake as mistake:
        if mistake.position is None:
            raise mistake.at(node.position) from None
        raise


def _number(value: Value, node: Node) -> int | float:
    try:
        return number(value)
    except Mistake as mistake:
        raise _about(mistake, _subject(node), node) from None


def _text(value: Value, node: Node) -> str:
    """The text of a value that is no list; an object is its id."""
    try:
        return scalar_text(value)
    except NotYet:
        raise
    except UnknownName as unknown:
        raise Mistake(
            f"{_subject(node)} is an object without {unknown.name!r}, so it has no text.",
            "Name the field of it that is meant, such as '.name'.",
            node.position,
        ) from unknown


def _subject(node: Node) -> str:
    """A node as an error names it."""
    if isinstance(node, Name | Access):
        return ".".join(next(paths(node), (node.name,)))
    return f"The result of {node.function}" if isinstance(node, Call) else "This"


def _about(mistake: Mistake, subject: str, node: Node) -> Mistake:
    """A mistake about the value of a node; a value that comes from a secret is never shown."""
    if _reads_secret(node):
        mistake = Mistake("holds a secret that cannot be used here.", "Check the value of the parameter.")
    return mistake.at(node.position, subject)


def _reads_secret(node: Node) -> bool:
    return any(name.startswith("*") for path in paths(node) for name in path)
