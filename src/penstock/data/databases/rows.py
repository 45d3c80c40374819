"""What the databases share: their error, the rows of a query, and the check of a row's width."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass

Row = Sequence[object]

_PART = re.compile(r'"((?:[^"]|"")+)"|([^".]+)')
_DOTTED = re.compile(rf"(?:{_PART.pattern})(?:\.(?:{_PART.pattern}))*")


class DatabaseError(Exception):
    """What went wrong with a database, its address or a statement, with the database's own message.

    A password is never part of it.
    """


class ConnectionLost(DatabaseError):
    """The connection broke; what was not committed is undone, so a new connection may try again."""


class TextNotTaken(DatabaseError):
    """A text, a table or a query that the database's bulk load or unload cannot move exactly: it goes row by row."""


@dataclass(frozen=True)
class Records:
    """The rows of a query: the names of its columns, and lists of rows, fetched as they are asked for.

    `types` are the columns' types as a data format declares them (`DECIMAL(12,2)`), or none where they are not known.
    Close `batches` if it is not read to its end and the connection stays in use.
    """

    columns: tuple[str, ...]
    batches: Generator[list[tuple[object, ...]], None, None]
    types: tuple[str, ...] = ()


@dataclass
class Progress:
    """How many rows have been handed to the database so far, so that an error can name the row."""

    rows: int = 0


def of_width(batches: Iterable[Sequence[Row]], width: int, target: str, progress: Progress) -> Iterator[Sequence[Row]]:
    """The same batches; raises `DatabaseError` for a row of another width, naming it and both numbers."""
    for batch in batches:
        if any(len(row) != width for row in batch):
            index = next(index for index, row in enumerate(batch) if len(row) != width)
            raise DatabaseError(
                f"Row {progress.rows + index + 1} has {_columns(len(batch[index]))}, but {target} takes {width}."
            )
        yield batch
        progress.rows += len(batch)


def _columns(count: int) -> str:
    return f"{count} column" if count == 1 else f"{count} columns"


def name_parts(table: str, schema: str | None) -> tuple[str | None, str, bool]:
    """The schema, the name, and whether the name was quoted, of a table as people write it.

    `events`, `sales.events` and `"Sales"."Events"` are understood; a `schema` of its own wins.
    """
    if _DOTTED.fullmatch(table) is None:
        return schema, table, False
    parts = _PART.findall(table)
    quoted, plain = parts[-1]
    before = "".join(parts[-2]).replace('""', '"') if len(parts) > 1 else None
    return schema or before, quoted.replace('""', '"') or plain, bool(quoted)


def unquoted(name: str) -> str:
    """The name that `quote` has quoted."""
    return name[1:-1].replace('""', '"')


def quote(name: str) -> str:
    """A name as SQL takes it whatever its characters are."""
    return '"' + name.replace('"', '""') + '"'
