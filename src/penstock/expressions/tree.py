"""What a parsed text is made of: templates, expressions and their nodes, all frozen.

Positions never count when two trees are compared. A node's position is the offset of the token that names it
(the operator, the field, the function) from the beginning of its expression's body, after `#{`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Literal:
    """A string, an integer or a double as written."""

    value: str | int | float
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Name:
    """A field of the object itself, a parameter, or a secret parameter (`*mySecret`)."""

    name: str
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Access:
    """A field through a reference: `object.name`."""

    object: "Node"
    name: str
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Call:
    """A function call; the method form `x.f(y)` is the same as `f(x, y)`."""

    function: str
    arguments: tuple["Node", ...]
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Negation:
    """Unary minus."""

    operand: "Node"
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Operation:
    """Two operands and one of `+ - * / ^`."""

    operator: str
    left: "Node"
    right: "Node"
    position: int = field(default=0, compare=False)


Node = Literal | Name | Access | Call | Negation | Operation
"""Any node of an expression."""


@dataclass(frozen=True, slots=True)
class Expression:
    """One `#{…}`; `start` is the offset of its body in the text of the template."""

    root: Node
    start: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Template:
    """A string field: plain text and expressions in the order they stand."""

    parts: tuple[str | Expression, ...]
    text: str = field(default="", compare=False, repr=False)


def names(template: Template) -> list[tuple[str, ...]]:
    """Every path that a template reads, such as `("node", "@scheduledStartTime")`, in order of first use."""
    found: dict[tuple[str, ...], None] = {}
    for part in template.parts:
        if isinstance(part, Expression):
            found.update(dict.fromkeys(paths(part.root)))
    return list(found)


def paths(node: Node) -> Iterator[tuple[str, ...]]:
    """Every path that a node reads, from left to right; a field of a call's result is not one."""
    path = _path(node)
    if path:
        yield path
        return
    for child in children(node):
        yield from paths(child)


def children(node: Node) -> tuple[Node, ...]:
    """The nodes right below a node, from left to right."""
    match node:
        case Operation():
            return node.left, node.right
        case Call():
            return node.arguments
        case Negation():
            return (node.operand,)
        case Access():
            return (node.object,)
        case _:
            return ()


def _path(node: Node) -> tuple[str, ...]:
    """The path that a name or a chain of accesses from a name spells, else an empty tuple."""
    fields: list[str] = []
    while isinstance(node, Access):
        fields.append(node.name)
        node = node.object
    return (node.name, *reversed(fields)) if isinstance(node, Name) else ()


def print_template(template: Template) -> str:
    """The text of a template: parsed again it gives an equal template."""
    return "".join(
        f"#{{{_printed(part.root, _SUM)}}}" if isinstance(part, Expression) else part for part in template.parts
    )


_SUM, _PRODUCT, _SIGNED, _POWER, _MEMBER = range(5)
"""How strongly things bind, weakest first, as in the grammar."""

_BINDING = {"+": _SUM, "-": _SUM, "*": _PRODUCT, "/": _PRODUCT, "^": _POWER}

_ESCAPES = str.maketrans({"\\": r"\\", "'": r"\'", "\n": r"\n", "\r": r"\r", "\t": r"\t"})


def _printed(node: Node, least: int) -> str:
    """A node as text, in brackets if it binds more weakly than `least`."""
    match node:
        case Literal(value=str() as text):
            return f"'{text.translate(_ESCAPES)}'"
        case Literal():
            return repr(node.value)
        case Name():
            return node.name
        case Access():
            return f"{_printed(node.object, _MEMBER)}.{node.name}"
        case Call():
            arguments: list[str] = []
            for argument in node.arguments:
                arguments.append(_printed(argument, _SUM))
            return f"{node.function}({', '.join(arguments)})"
        case Negation():
            binding, text = _SIGNED, f"-{_printed(node.operand, _SIGNED)}"
        case Operation(operator="^"):
            binding = _POWER
            text = f"{_printed(node.left, _MEMBER)} ^ {_printed(node.right, _SIGNED)}"
        case Operation():
            binding = _BINDING[node.operator]
            right = _printed(node.right, binding + 1)
            text = f"{_printed(node.left, binding)} {node.operator} {right}"
    return text if binding >= least else f"({text})"
