"""An insertQuery that COPY cannot take: run for each row, or for many at once where that comes to the same.

`INSERT INTO t VALUES (?::int, upper(?)) ON CONFLICT …` becomes one statement with the parentheses once for each of
many rows. It comes to the same if nothing in it, and nothing that the table does by itself, sees the rows before:
expressions are made of the values, operators and functions of a closed list, and the table has no triggers of its own,
no foreign key to itself and no default that calls a function of the user's. If such a statement fails, it is undone and
its rows run one by one, so an error is that of its row.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain

import psycopg

from penstock.data.databases.postgresql_errors import errors
from penstock.data.databases.postgresql_pipeline import RowStatement, run_alone
from penstock.data.databases.rows import DatabaseError, Progress, Row, of_width, quote
from penstock.data.databases.statements import Statement
from penstock.data.values import to_text

_VALUES = re.compile(r"\bVALUES\s*\(", re.IGNORECASE)
_IN_GROUP = re.compile(r"'[^']*'|\"[^\"]*\"|[()]")
_HARD_TO_READ = re.compile(r"--|/\*|\\|\$|\bOVERRIDING\b", re.IGNORECASE)
_PURE_NAMES = """
Insert Schema Table TableAlias Identifier Column Tuple Values Literal Null Boolean Cast DataType DataTypeParam Paren
Neg Add Sub Mul Div Mod DPipe EQ NEQ GT GTE LT LTE Is Not And Or In Between Case If OnConflict Ordered Var
AtTimeZone Interval CurrentTimestamp CurrentDate Localtimestamp TimestampTrunc
Upper Lower Initcap Trim Left Right Pad Length Substring StrPosition Replace RegexpReplace SplitPart Concat
Nullif Coalesce Greatest Least Abs Round Ceil Floor Pow MD5 Encode Decode Uuid
StrToTime StrToDate TimeToStr ToNumber UnixToTime"""
_PURE = frozenset(_PURE_NAMES.split())
_SEES_NO_ROWS = """
SELECT c.relkind = 'r' AND NOT c.relhasrules AND NOT pg_catalog.row_security_active(c.oid)
AND NOT EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal)
AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid AND k.confrelid = c.oid)
AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_attrdef a ON a.oid = d.objid
    WHERE d.classid = 'pg_catalog.pg_attrdef'::regclass AND d.refclassid = 'pg_catalog.pg_proc'::regclass
    AND a.adrelid = c.oid)
FROM pg_catalog.pg_class c WHERE c.oid = pg_catalog.to_regclass($1)"""
_ROWS_AT_ONCE = 250
_MOST_PARAMETERS = 32_000
_SAVEPOINT = b"SAVEPOINT penstock_rows"
_UNDO = b"ROLLBACK TO SAVEPOINT penstock_rows"
_KEEP = b"RELEASE SAVEPOINT penstock_rows"


@dataclass(frozen=True)
class ManyRows:
    """An INSERT of one row as one of many: the table, the text before and after, and between the values of a row."""

    table: str
    before: str
    between: tuple[str, ...]
    after: str

    @property
    def rows_at_once(self) -> int:
        """How many rows a statement is made for."""
        return min(_ROWS_AT_ONCE, _MOST_PARAMETERS // (len(self.between) - 1))

    def query(self, rows: int) -> bytes:
        """The statement for so many rows."""
        width = len(self.between) - 1
        groups = [
            "".join([f"{text}${row * width + number + 1}" for number, text in enumerate(self.between[:-1])])
            + self.between[-1]
            for row in range(rows)
        ]
        return (self.before + ",".join(groups) + self.after).encode()


def many_rows(statement: Statement) -> ManyRows | None:
    """The statement as one of many rows, if its text alone says that none of them sees another."""
    text = statement.text
    if statement.words[:2] != ("INSERT", "INTO") or not statement.places or _HARD_TO_READ.search(text):
        return None
    table = _pure_table(_with_nulls(statement))
    starts = [match.end() - 1 for match in _VALUES.finditer(text, 0, statement.places[0][0])]
    if table is None or len(starts) != 1 or not all(place for _, _, place in statement.places):
        return None
    depth, begin = 0, starts[0]
    for match in _IN_GROUP.finditer(text, begin):
        depth += {"(": 1, ")": -1}.get(match[0], 0)
        if depth == 0:
            places = [place[0] for place in statement.places]
            if places[-1] > match.end():
                return None
            begins = [begin, *[place + 1 for place in places]]
            between = [text[a:b] for a, b in zip(begins, [*places, match.end()], strict=True)]
            return ManyRows(table, text[:begin], tuple(between), text[match.end() :])
    return None


def _with_nulls(statement: Statement) -> str:
    """The statement as sqlglot reads it: NULL for each place, which it would take for an operator."""
    parts, position = [], 0
    for offset, length, _ in statement.places:
        parts += [statement.text[position:offset], " NULL "]
        position = offset + length
    return "".join([*parts, statement.text[position:]])


def _pure_table(text: str) -> str | None:
    """The quoted name of the table of an INSERT of one row, all of whose expressions are of the closed list."""
    import sqlglot
    from sqlglot import expressions

    try:
        insert = sqlglot.parse_one(text, read="postgres")
    except sqlglot.errors.SqlglotError:
        return None
    if not isinstance(insert, expressions.Insert) or not isinstance(insert.expression, expressions.Values):
        return None
    known = {"this", "expression", "conflict"}
    if any(value for key, value in insert.args.items() if key not in known) or len(insert.expression.expressions) != 1:
        return None
    for node in insert.walk():
        if type(node).__name__ not in _PURE:
            return None
        if isinstance(node, expressions.DataType) and node.this == expressions.DataType.Type.USERDEFINED:
            return None
    target = insert.this.this if isinstance(insert.this, expressions.Schema) else insert.this
    if not isinstance(target, expressions.Table) or {k for k, v in target.args.items() if v} - {"this", "db"}:
        return None
    parts = [part for part in (target.args.get("db"), target.this) if part is not None]
    return ".".join([quote(part.name if part.args.get("quoted") else part.name.lower()) for part in parts])


def insert_rows(
    connection: psycopg.Connection,
    statement: Statement,
    query: bytes,
    batches: Iterable[Sequence[Row]],
    target: str,
) -> int:
    """Run a statement, whose text with numbers is the `query`, for all rows, in an open transaction."""
    progress = Progress()
    many = many_rows(statement)
    if many is not None:
        with errors(f"looking for the table of {target}"):
            if connection.execute(_SEES_NO_ROWS.encode(), (many.table,)).fetchone() != (True,):
                many = None
    runner = _Runner(connection, query, many, target)
    try:
        for batch in of_width(batches, statement.placeholders, target, progress):
            rows = _encoded(batch, progress.rows + 1, target)
            runner.finish()
            runner.begin(rows, progress.rows + 1)
        runner.finish()
    except BaseException:
        runner.leave()
        raise
    runner.forget()
    return progress.rows


class _Runner:
    """Runs one batch of rows after another; while the server works on one, the next is read."""

    def __init__(self, connection: psycopg.Connection, query: bytes, many: ManyRows | None, target: str) -> None:
        self._connection = connection
        self._target = target
        self._at_once = 0 if many is None else many.rows_at_once
        self._each = RowStatement(connection, query)
        self._together = None if many is None else RowStatement(connection, many.query(self._at_once))
        self._rows: list[list[bytes | None]] = []
        self._first = 1
        self._sent = 0

    def begin(self, rows: list[list[bytes | None]], first: int) -> None:
        """Send the rows that fill statements of many; `first` is the number of the first."""
        self._rows, self._first = rows, first
        if self._together is None:
            return
        full = len(rows) // self._at_once * self._at_once
        if full:
            with errors(self._target):
                run_alone(self._connection, _SAVEPOINT)
                ranges = [rows[at : at + self._at_once] for at in range(0, full, self._at_once)]
                self._sent = full
                self._together.send([list(chain.from_iterable(part)) for part in ranges])

    def finish(self) -> None:
        """Wait for the rows that were sent, and run the others one by one."""
        done, self._sent = self._sent, 0
        if done and self._together is not None:
            with errors(self._target):
                try:
                    self._together.receive()
                    run_alone(self._connection, _KEEP)
                except psycopg.Error as error:
                    if error.sqlstate is None:
                        raise
                    run_alone(self._connection, _UNDO)
                    done = 0
        rows, self._rows = self._rows[done:], []
        try:
            self._each.run(rows)
        except psycopg.Error as error:
            row = self._first + done + self._each.done
            with errors(f"row {row} for {self._target}" if self._each.is_prepared else self._target):
                raise error

    def leave(self) -> None:
        """Wait for what was sent, so that the transaction can be undone."""
        if self._sent and self._together is not None:
            with suppress(psycopg.Error):
                self._together.receive()

    def forget(self) -> None:
        """Drop the prepared statements."""
        with errors(self._target):
            for prepared in (self._each, self._together):
                if prepared is not None:
                    prepared.forget()


def _encoded(batch: Sequence[Row], first: int, target: str) -> list[list[bytes | None]]:
    rows: list[list[bytes | None]] = []
    try:
        for row in batch:
            texts = [value if type(value) is str else to_text(value) for value in row]
            rows.append([None if text is None else text.encode() for text in texts])
    except (TypeError, UnicodeError) as error:
        raise DatabaseError(f"PostgreSQL cannot take row {first + len(rows)} for {target}: {error}") from error
    if b"\0" in b"".join(filter(None, chain.from_iterable(rows))):
        number = next(number for number, row in enumerate(rows, first) if b"\0" in b"".join(filter(None, row)))
        raise DatabaseError(
            f"PostgreSQL cannot take row {number} for {target}: its text cannot contain NUL (0x00) bytes."
        )
    return rows
