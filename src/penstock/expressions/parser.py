"""From text to tree: finds each `#{…}` and reads its body with the grammar in `expressions.lark`."""

import math
import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING, NamedTuple, cast

from penstock.expressions.arguments import in_range
from penstock.expressions.errors import ExpressionError, Mistake
from penstock.expressions.functions import function_for
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
)

if TYPE_CHECKING:
    from lark import Lark, Token

MAX_DEPTH = 200
"""How deeply an expression may nest; every operator, call, field access and pair of brackets is a level."""

LONGEST_TEXT = 20_480
SHORT = 1_000  # characters

_STOP = re.compile(r"""['"}]|#\{""")
_REST_OF_STRING = {
    "'": re.compile(r"[^'\\]*(?:\\.[^'\\]*)*'", re.DOTALL),
    '"': re.compile(r'[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL),
}
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", "'": "'", '"': '"'}


def parse(text: str) -> Template:
    """Read a string field; raises ExpressionError, also for a wrong call of a function with constants."""
    if "#{" not in text:
        return Template((text,) if text else (), text)
    if len(text) > LONGEST_TEXT:
        message = f"A text with expressions has {LONGEST_TEXT:,} characters at most, not {len(text):,}."
        raise ExpressionError(text, 0, message, "Split it, or keep the text in a file.")
    found = _short_text(text) if len(text) <= SHORT else _long_text(text)
    if isinstance(found, Template):
        return found
    raise ExpressionError(text, *found)


def expression_length(text: str) -> int:
    """How many characters of a text stand in expressions; all from one on that has no end."""
    length, at = 0, 0
    while (opening := text.find("#{", at)) >= 0:
        try:
            at = _end_of_body(text, opening + 2) + 1
        except ExpressionError:
            return length + len(text) - opening
        length += at - opening
    return length


@lru_cache(maxsize=2048)
def _short_text(text: str) -> Template | tuple[int, str, str]:
    return _parsed_or_wrong(text)


@lru_cache(maxsize=128)  # a tree takes up to a hundred times the memory of its text
def _long_text(text: str) -> Template | tuple[int, str, str]:
    return _parsed_or_wrong(text)


def _parsed_or_wrong(text: str) -> Template | tuple[int, str, str]:
    """The template, or what its ExpressionError says after the text: wrong texts are read as often as right ones."""
    try:
        return _parsed(text)
    except ExpressionError as error:
        return error.position, error.message, error.remedy


def _parsed(text: str) -> Template:
    parts: list[str | Expression] = []
    at = 0
    while (opening := text.find("#{", at)) >= 0:
        if opening > at:
            parts.append(text[at:opening])
        start = opening + 2
        end = _end_of_body(text, start)
        try:
            parts.append(Expression(_read(text[start:end]), start))
        except Mistake as mistake:
            raise mistake.placed(text, start) from None
        at = end + 1
    if at < len(text):
        parts.append(text[at:])
    return Template(tuple(parts), text)


def _end_of_body(text: str, start: int) -> int:
    """The offset of the brace that closes the expression whose body begins at `start`."""
    at = start
    while found := _STOP.search(text, at):
        stop = found.group()
        if stop == "}":
            return found.start()
        if stop == "#{":
            raise ExpressionError(
                text,
                found.start(),
                "An expression cannot hold another '#{'.",
                "Use names and calls directly inside the outer braces, without '#{' and '}'.",
            )
        closing = _REST_OF_STRING[stop].match(text, found.end())
        if closing is None:
            raise ExpressionError(
                text,
                found.start(),
                "The string that begins here has no closing quote.",
                f"Close it with {stop}; write \\{stop} for that quote inside the string.",
            )
        at = closing.end()
    raise ExpressionError(text, start - 2, "The expression that begins here is not closed.", "Close it with '}'.")


def _read(body: str) -> Node:
    """The tree of an expression's body; raises Mistake with a position."""
    from lark.exceptions import UnexpectedCharacters, UnexpectedToken

    try:
        return cast(_Built, _grammar().parse(body)).node
    except UnexpectedCharacters as error:
        place = error.pos_in_stream or 0
        raise Mistake(
            f"The character {body[place]!r} has no meaning here.",
            "Write names, numbers, quoted strings, calls, brackets and the operators + - * / ^.",
            place,
        ) from None
    except UnexpectedToken as error:
        raise _unexpected(error.token, body, error.expected) from None


def _unexpected(token: "Token", body: str, expected: "set[str]") -> Mistake:
    at_end = token.type == "$END"
    if at_end and not body.strip():
        return Mistake("The expression is empty.", "Write a name, a value or a call between the braces.", 0)
    message = "The expression ends too early." if at_end else f"{_short(token)} is not expected here."
    if "NUMBER" in expected:
        remedy = "A name, a number, a quoted string, a call or '(' comes here."
    elif "NAME" in expected:
        remedy = "The name of a field or of a function comes after the dot."
    elif at_end:
        remedy = "Close the bracket with ')'."
    else:
        remedy = "An operator comes here, or the end; put quotes around text."
    return Mistake(message, remedy, len(body) if at_end else _place(token))


def _short(token: str) -> str:
    return repr(str(token) if len(token) <= 40 else token[:39] + "…")


@cache
def _grammar() -> "Lark":
    """The parser, made when the first expression is met: constant strings never load lark."""
    from importlib.resources import files
    from typing import Any

    from lark import Lark

    grammar = files("penstock.expressions").joinpath("expressions.lark").read_text(encoding="utf-8")
    builder: Any = _Builder()
    return Lark(grammar, parser="lalr", lexer="contextual", transformer=builder, maybe_placeholders=False)


class _Built(NamedTuple):
    """A node under construction and how deep it is."""

    node: Node
    depth: int


class _Builder:
    """Makes the node of each grammar rule while the parser runs, so that nothing recurses over the text."""

    def number(self, parts: "list[Token]") -> _Built:
        token = parts[0]
        value: int | float
        if len(token) <= 400 and token.isdigit():
            value = int(token)
            fits = in_range(value)
        else:
            value = float(token)
            fits = math.isfinite(value) and not token.isdigit()
        if not fits:
            raise Mistake(
                f"The number {_short(token)} is too large.",
                "Integers go up to 9223372036854775807, doubles to 1.7976931348623157E308.",
                _place(token),
            )
        return _Built(Literal(value, _place(token)), 1)

    def string(self, parts: "list[Token]") -> _Built:
        token = parts[0]
        start = _place(token)
        text = str(token[1:-1])
        if "\\" in text:
            text = _ESCAPE.sub(lambda found: _unescaped(found, start + 1), text)
        return _Built(Literal(text, start), 1)

    def name(self, parts: "list[Token]") -> _Built:
        return _Built(Name(str(parts[0]), _place(parts[0])), 1)

    def brackets(self, parts: list[_Built]) -> _Built:
        inner = parts[0]
        return _level(inner.node, inner.depth + 1, inner.node.position)

    def negation(self, parts: "tuple[Token, _Built]") -> _Built:
        minus, operand = parts
        return _level(Negation(operand.node, _place(minus)), operand.depth + 1, _place(minus))

    def operation(self, parts: "tuple[_Built, Token, _Built]") -> _Built:
        left, sign, right = parts
        node = Operation(str(sign), left.node, right.node, _place(sign))
        return _level(node, max(left.depth, right.depth) + 1, _place(sign))

    def access(self, parts: "tuple[_Built, Token]") -> _Built:
        target, name = parts
        return _level(Access(target.node, str(name), _place(name)), target.depth + 1, _place(name))

    def arguments(self, parts: list[_Built]) -> list[_Built]:
        return parts

    def call(self, parts: "list[Token | list[_Built]]") -> _Built:
        arguments = parts[1] if len(parts) > 1 else []
        return _call(cast("Token", parts[0]), cast(list[_Built], arguments))

    def method(self, parts: "list[_Built | Token | list[_Built]]") -> _Built:
        arguments = parts[2] if len(parts) > 2 else []
        first = cast(_Built, parts[0])
        return _call(cast("Token", parts[1]), [first, *cast(list[_Built], arguments)])


def _call(name: "Token", arguments: list[_Built]) -> _Built:
    place = _place(name)
    nodes = tuple(argument.node for argument in arguments)
    node = Call(str(name), nodes, place)
    depth = max((argument.depth for argument in arguments), default=0)
    checked(node)
    return _level(node, depth + 1, place)


def checked(call: Call) -> None:
    """Refuse, with a position, a call whose function, number of arguments or constant argument is wrong."""
    try:
        function = function_for(call.function, len(call.arguments))
    except Mistake as mistake:
        raise mistake.at(call.position) from None
    for parameter, argument in zip(function.parameters, call.arguments, strict=True):
        if isinstance(argument, Literal):
            try:
                parameter.kind.convert(argument.value)
            except Mistake as mistake:
                raise mistake.at(argument.position, f"{parameter.name} of {function.name}") from None


def _level(node: Node, depth: int, position: int) -> _Built:
    if depth > MAX_DEPTH:
        raise Mistake(
            f"The expression nests more than {MAX_DEPTH} levels deep.",
            "Split it: put parts of it into fields of their own and use those by name.",
            position,
        )
    return _Built(node, depth)


def _place(token: "Token") -> int:
    return token.start_pos or 0


def _unescaped(found: "re.Match[str]", start: int) -> str:
    escape = found[1]
    if len(escape) == 5:
        return chr(int(escape[1:], 16))
    if escape not in _ESCAPED:
        raise Mistake(
            f"There is no escape {found[0]!r} in a string.",
            r"""The escapes are \n \r \t \\ \' \" and \u with four hexadecimal digits.""",
            start + found.start(),
        )
    return _ESCAPED[escape]
