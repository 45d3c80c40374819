"""Statements with values in the places of their `?`: plain INSERTs, INSERTs of many rows at once, and all others."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from penstock.data.databases.mysql_connection import MysqlConnection
from penstock.data.databases.mysql_errors import row_errors
from penstock.data.databases.mysql_tables import TableColumn, quote
from penstock.data.databases.mysql_values import literal
from penstock.data.databases.mysql_warnings import check_warnings
from penstock.data.databases.rows import DatabaseError, Progress, Row, of_width
from penstock.data.databases.statements import Statement

_NAME = r"(?:`(?:[^`]|``)+`|[\w$]+)"
_PLAIN_INSERT = re.compile(
    rf"INSERT\s+INTO\s+(?P<table>{_NAME}(?:\s*\.\s*{_NAME})?)\s*"
    rf"(?:\(\s*(?P<columns>{_NAME}(?:\s*,\s*{_NAME})*)\s*\)\s*)?"
    r"VALUES\s*\(\s*\?(?:\s*,\s*\?)*\s*\)",
    re.IGNORECASE,
)
_VALUES = re.compile(r"\bVALUES?\s*\(", re.IGNORECASE)
_IN_GROUP = re.compile(
    r"(?s:'(?:[^'\\]|\\.|'')*+'|\"(?:[^\"\\]|\\.|\"\")*+\")|`[^`]*`|/\*(?s:.*?)\*/|(?:--\s|#)[^\n]*|[()]"
)
_ORDER_MATTERS = re.compile(r"@|\blast_insert_id\b", re.IGNORECASE)


@dataclass(frozen=True)
class PlainInsert:
    """`INSERT INTO table (columns) VALUES (?, …)`; without `columns`, into all of them."""

    table: str
    columns: tuple[str, ...] | None
    width: int

    def among(self, columns: Sequence[TableColumn]) -> list[TableColumn] | None:
        """Those of a table's columns that take the values; None where the server would refuse the statement."""
        if self.columns is None:
            return list(columns) if len(columns) == self.width else None
        known = {column.name.lower(): column for column in columns}
        names = [quote(name).lower() for name in self.columns]
        if len(set(names)) != len(names) or len(names) != self.width or not set(names) <= set(known):
            return None
        return [known[name] for name in names]


def plain_insert(statement: Statement) -> PlainInsert | None:
    """The statement as a plain INSERT, which LOAD DATA can stand for."""
    match = _PLAIN_INSERT.fullmatch(statement.text)
    if match is None:
        return None
    names = re.findall(_NAME, match["columns"] or "")
    columns = tuple([name[1:-1].replace("``", "`") if name[0] == "`" else name for name in names]) or None
    return PlainInsert(re.sub(r"\s*\.\s*", ".", match["table"]), columns, statement.placeholders)


def filled(statement: Statement, values: Sequence[object]) -> str:
    """The statement with its values as literals."""
    try:
        return _filled(statement.text, [place[0] for place in statement.places], [literal(value) for value in values])
    except (TypeError, UnicodeError) as error:
        raise DatabaseError(f"MySQL cannot take a value for {statement.first_line}: {error}") from error


def insert_rows(
    connection: MysqlConnection, statement: Statement, batches: Iterable[Sequence[Row]], largest: int, target: str
) -> int:
    """Run a statement for all rows, in an open transaction; `largest` is the most bytes that the server takes."""
    progress = Progress()
    for batch in of_width(batches, statement.placeholders, target, progress):
        position = 0
        for text, count in _filled_for_rows(statement, batch, largest, progress.rows, target):
            first = progress.rows + position + 1
            position += count
            with row_errors(first, count, target):
                done = connection.run(text)
            if done.warnings and "IGNORE" not in statement.words:
                check_warnings(connection, done, f"rows {first} to {first + count - 1} for {target}", first)
    return progress.rows


def _filled_for_rows(
    statement: Statement, rows: Sequence[Row], largest: int, rows_before: int, target: str
) -> Iterator[tuple[str, int]]:
    """Statements for the rows and how many each is for: several of an INSERT whose `?` are in its VALUES."""
    text, places = statement.text, [place[0] for place in statement.places]
    group = _group(statement)
    head, middle, tail = (text[: group[0]], text[group[0] : group[1]], text[group[1] :]) if group else ("", text, "")
    inner = [place - len(head) for place in places]
    waiting: list[str] = []
    size = 0
    for index, row in enumerate(rows):
        try:
            made = _filled(middle, inner, [literal(value) for value in row])
        except (TypeError, UnicodeError) as error:
            raise DatabaseError(f"MySQL cannot take row {rows_before + index + 1} for {target}: {error}") from error
        if group is None:
            yield made, 1
            continue
        if waiting and size + len(made) * 4 > largest:
            yield head + ",".join(waiting) + tail, len(waiting)
            waiting, size = [], 0
        waiting.append(made)
        size += len(made) * (1 if made.isascii() else 4) + 1
    if waiting:
        yield head + ",".join(waiting) + tail, len(waiting)


def _filled(text: str, places: Sequence[int], literals: Sequence[str]) -> str:
    parts, position = [], 0
    for place, value in zip(places, literals, strict=True):
        parts += [text[position:place], value]
        position = place + 1
    return "".join([*parts, text[position:]])


def _group(statement: Statement) -> tuple[int, int] | None:
    """Where the parentheses after VALUES begin and end, if they hold every `?` and rows can share a statement."""
    if statement.words[:1] not in (("INSERT",), ("REPLACE",)) or not statement.places:
        return None
    starts = [match.end() - 1 for match in _VALUES.finditer(statement.text, 0, statement.places[0][0])]
    if not starts or _ORDER_MATTERS.search(statement.text):
        return None
    depth = 0
    for match in _IN_GROUP.finditer(statement.text, starts[-1]):
        depth += {"(": 1, ")": -1}.get(match[0], 0)
        if depth == 0:
            is_whole = statement.places[-1][0] < match.end()
            return (starts[-1], match.end()) if is_whole else None
    return None
