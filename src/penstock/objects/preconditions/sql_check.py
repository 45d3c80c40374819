"""SqlCheck."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import Literal

from penstock.data.copy import TableSide
from penstock.data.databases import Address, DatabaseError, connect
from penstock.data.databases.scripts import check_arguments
from penstock.data.databases.statements import one_statement
from penstock.data.values import to_text
from penstock.definition.slots import slot
from penstock.objects.families import Database, DataNode, Precondition
from penstock.objects.work import Work, WorkFailed

TRUE, FALSE = ("true", "t", "1"), ("false", "f", "0")
LONGEST_SHOWN = 200  # characters of a value in a message
PLAIN = ("sqlite", "duckdb")


class SqlCheck(Precondition):
    """Holds when a query's first value is true, or when a query gives no rows; NULL is not true."""

    icon = "check"
    is_extension = True
    is_asked_last = True

    query: str = slot("The query, such as SELECT COUNT(*) > 0 FROM sales WHERE day = ?.")
    expect: Literal["true", "noRows"] = slot(
        "What the query must give: true in the first column of its first row, or no rows at all.", default="true"
    )
    database: Database | None = slot("The database that is asked; that of the data node if unset.")
    script_argument: list[str] = slot("Values for the query's question marks, in order.")

    def holds(self, work: Work) -> bool:
        """Ask the database; a query that it refuses is a failure, not a no."""
        work.check_stopped()
        try:
            row = _first_row(self._address(work), self.query, self.script_argument)
        except DatabaseError as error:
            raise WorkFailed(f"'{self.name}' cannot ask its query: {_of_query(str(error))}") from error
        if self.expect == "noRows":
            work.found(
                "The query gives no rows." if row is None else f"The query gives rows; the first is {_told(row)}."
            )
            return row is None
        if row is None:
            work.found("The query gives no rows; it should give true.")
            return False
        work.found(f"The query gives {_text(row[0])}.")
        return self._is_true(row[0])

    def _is_true(self, value: object) -> bool:
        """Whether a value is true: a boolean, or 1 and 0 where a database has none. Raises WorkFailed for others."""
        word = (to_text(value) or "").strip().lower()
        if value is not None and word not in (*TRUE, *FALSE):
            raise WorkFailed(
                f"The query of '{self.name}' gives {_text(value)}, which is neither true nor false."
                " Compare it with something, as in SELECT COUNT(*) > 0, or set expect to noRows."
            )
        return word in TRUE

    def _address(self, work: Work) -> Address:
        """The check's own database, or that of the data node."""
        if self.database is not None:
            return self.database.address(work)
        side = self.node.side(work) if isinstance(self.node, DataNode) else None
        if not isinstance(side, TableSide):
            owner = self.node.id if self.node is not None else "the object that has it"
            raise WorkFailed(
                f"'{self.name}' has no database, and neither has {owner}. Refer to one in its field 'database'."
            )
        return side.address


def _first_row(address: Address, query: str, arguments: Sequence[str]) -> tuple[object, ...] | None:
    with connect(address) as database:
        dialect = address.written_for or address.dialect
        statement = one_statement(query, dialect, "query")
        check_arguments([statement], arguments)
        text, position = "", 0
        values = iter(arguments)
        for offset, length, is_placeholder in statement.places:
            if is_placeholder:
                text += statement.text[position:offset] + _literal(next(values), dialect)
                position = offset + length
        with closing(database.select(text + statement.text[position:], batch_size=1).batches) as batches:
            return next((row for rows in batches for row in rows), None)


def _literal(value: str, dialect: str) -> str:
    """A text as SQL has it, whatever characters it holds; the database makes it the type that it is compared with."""
    quoted = value.replace("'", "''")
    if "\\" not in value or dialect in PLAIN:
        return f"'{quoted}'"
    escaped = quoted.replace("\\", "\\\\")
    return f"E'{escaped}'" if dialect == "postgresql" else f"'{escaped}'"


def _of_query(message: str) -> str:
    return message.replace("selectQuery", "query", 1).replace("The script has", "The query has", 1)


def _told(row: Sequence[object]) -> str:
    text = ", ".join(_text(value) for value in row)
    return f"({text})" if len(text) <= LONGEST_SHOWN else f"({text[: LONGEST_SHOWN - 1]}…)"


def _text(value: object) -> str:
    text = to_text(value)
    if text is None:
        return "NULL"
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + "…"
