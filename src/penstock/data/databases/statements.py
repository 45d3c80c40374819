"""SQL text as the databases take it: scripts cut into statements, and the places of `?`.

Quotes, comments, dollar quotes and the bodies of triggers and functions are passed over; nothing else is
understood.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from penstock.data.databases.address import Dialect
from penstock.data.databases.rows import DatabaseError

_QUOTED = r"'[^']*(?:'|\Z)|\"[^\"]*(?:\"|\Z)"
_REST = r"|(?P<word>[^\W\d][\w$]*)|(?P<end>;)|(?P<double>\?\?)|(?P<place>\?)"
_TOKENS = {
    "sqlite": re.compile(r"--[^\n]*|(?s:/\*.*?(?:\*/|\Z))|`[^`]*(?:`|\Z)|\[[^\]]*(?:\]|\Z)|" + _QUOTED + _REST),
    "postgresql": re.compile(
        r"--[^\n]*|(?P<comment>/\*)|(?s:[eE]'(?:[^'\\]|\\.|'')*+(?:'|\Z))|"
        + _QUOTED
        # a dollar quote; the word before it is taken first, since a name may hold a dollar sign
        + r"|(?s:(?P<tag>\$(?:[^\W\d]\w*)?\$).*?(?:(?P=tag)|\Z))"
        + _REST
    ),
    # a backslash escapes in every string, as it did in old PostgreSQL
    "redshift": re.compile(
        r"--[^\n]*|(?P<comment>/\*)|(?s:'(?:[^'\\]|\\.|'')*+(?:'|\Z))|\"[^\"]*(?:\"|\Z)"
        r"|(?s:(?P<tag>\$(?:[^\W\d]\w*)?\$).*?(?:(?P=tag)|\Z))" + _REST
    ),
    # two hyphens need a space after them, and /*! holds what MySQL runs
    "mysql": re.compile(
        r"--(?=\s|\Z)[^\n]*|#[^\n]*|(?s:/\*(?!M?!).*?(?:\*/|\Z))|`[^`]*(?:`|\Z)|"
        r"(?s:'(?:[^'\\]|\\.|'')*+(?:'|\Z))|(?s:\"(?:[^\"\\]|\\.|\"\")*+(?:\"|\Z))" + _REST
    ),
}
_TOKENS["duckdb"] = _TOKENS["postgresql"]
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_WITH_BODY = {
    "sqlite": re.compile(r"CREATE (?:TEMP |TEMPORARY )?TRIGGER\Z"),
    "postgresql": re.compile(r"CREATE (?:OR REPLACE )?(?:FUNCTION|PROCEDURE)\Z"),
    "redshift": re.compile(r"CREATE (?:OR REPLACE )?(?:FUNCTION|PROCEDURE)\Z"),
    "duckdb": re.compile(r"(?!)"),
    "mysql": re.compile(
        r"CREATE (?:OR REPLACE )?(?:DEFINER (?:\w+ ){0,2}?)?(?:AGGREGATE )?(?:FUNCTION|PROCEDURE|TRIGGER|EVENT)\Z"
    ),
}
_ENDED_BY_NAME = frozenset(("IF", "LOOP", "WHILE", "REPEAT", "CASE"))
"""MySQL ends these with END and their name; `END` alone is that of BEGIN."""


@dataclass(frozen=True)
class Statement:
    """One statement of a script: its number from 1, text, first words, and where its placeholders are.

    `places` are (offset, length, is_placeholder) of each `?` and `??` in the text.
    """

    number: int
    text: str
    words: tuple[str, ...]
    places: tuple[tuple[int, int, bool], ...]

    @property
    def placeholders(self) -> int:
        """How many arguments the statement takes."""
        return sum(is_placeholder for _, _, is_placeholder in self.places)

    @property
    def first_line(self) -> str:
        """The line by which people know the statement, shortened to 100 characters."""
        lines = [line.strip() for line in self.text.splitlines()]
        named = [line for line in lines if line and not line.startswith("--")] or lines
        return named[0] if len(named[0]) <= 100 else named[0][:97] + "..."

    @property
    def controls_transaction(self) -> bool:
        """Whether it begins or ends a transaction itself."""
        if self.words[:1] in (("BEGIN",), ("COMMIT",), ("END",), ("ABORT",)):
            return True
        if self.words[:1] == ("ROLLBACK",):
            return "TO" not in self.words
        return self.words[:2] == ("START", "TRANSACTION")

    def numbered(self) -> str:
        """The text with `$1`, `$2` … for each `?`, and one `?` for each `??`."""
        parts, position, number = [], 0, 0
        for offset, length, is_placeholder in self.places:
            number += is_placeholder
            parts += [self.text[position:offset], f"${number}" if is_placeholder else "?"]
            position = offset + length
        return "".join([*parts, self.text[position:]])


def split_script(script: str, dialect: Dialect) -> list[Statement]:
    """The statements of a script without their semicolons; empty ones and comments alone are left out.

    On PostgreSQL `??` stands for the operator `?`, as it does in JDBC.
    """
    statements: list[Statement] = []
    start, depth = 0, 0
    previous = ""
    words: list[str] = []
    places: list[tuple[int, int, bool]] = []
    has_body = is_there = False

    def add(end: int) -> None:
        text = script[start:end]
        if dialect == "mysql" and words[:1] == ["DELIMITER"]:
            raise DatabaseError(
                f"Statement {len(statements) + 1} is DELIMITER, a command of the mysql client alone. Leave it out, and"
                " end each statement with a semicolon: bodies of procedures and triggers are understood."
            )
        lead = len(text) - len(text.lstrip())
        moved = tuple((offset - start - lead, length, place) for offset, length, place in places)
        if is_there:
            statements.append(Statement(len(statements) + 1, text.strip(), tuple(words), moved))

    for kind, begin, end in _tokens(script, dialect):
        if kind == "word":
            word = script[begin:end].upper()
            if len(words) < 6:
                words.append(word)
                has_body = has_body or _WITH_BODY[dialect].match(" ".join(words)) is not None
            if dialect == "mysql" and previous == "END" and word in _ENDED_BY_NAME:
                depth += has_body and word != "CASE"  # END has been taken for that of BEGIN
            elif has_body and (word == "BEGIN" or (word == "CASE" and depth)):
                depth += 1
            elif has_body and word == "END" and depth:
                depth -= 1
            previous = word
        elif kind == "place":
            places.append((begin, end - begin, True))
        elif kind == "double" and dialect == "postgresql":
            places.append((begin, end - begin, False))
        elif kind == "double":
            places += [(begin, 1, True), (begin + 1, 1, True)]
        elif kind == "end" and not depth:
            add(begin)
            start, words, places, has_body, is_there = end, [], [], False, False
            continue
        is_there = is_there or kind != "comment"
    add(len(script))
    return statements


def one_statement(query: str, dialect: Dialect, field: str) -> Statement:
    """The only statement of a query; `field` names it in the error if there is none or more than one."""
    statements = split_script(query, dialect)
    if len(statements) != 1:
        raise DatabaseError(f"{field} must be one SQL statement; it has {len(statements)}: {query.strip()[:100]!r}.")
    return statements[0]


def _tokens(script: str, dialect: str) -> Iterator[tuple[str, int, int]]:
    """(kind, begin, end) of what matters; any other text that is not a space is of the kind `text`."""
    position = 0
    pattern = _TOKENS[dialect]
    while position < len(script):
        match = pattern.search(script, position)
        begin = match.start() if match else len(script)
        if not script[position:begin].isspace() and begin > position:
            yield "text", position, begin
        if match is None:
            return
        end = match.end()
        if match.lastgroup == "comment":
            end = _end_of_comment(script, end)
        is_comment = match[0].startswith(("--", "/*", "#"))
        kind = match.lastgroup if match.lastgroup in ("word", "end", "double", "place") else None
        yield "comment" if is_comment else kind or "text", begin, end
        position = end


def _end_of_comment(script: str, position: int) -> int:
    """Where a comment that may hold others ends."""
    depth = 1
    while depth:
        edge = _COMMENT_EDGE.search(script, position)
        if edge is None:
            return len(script)
        depth += 1 if edge[0] == "/*" else -1
        position = edge.end()
    return position
