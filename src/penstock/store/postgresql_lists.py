"""Many rows to insert, or one question for many values, as one statement of PostgreSQL whose parameters are lists.

Its text is the same for any number of them, so it is planned once; sent and run it costs little more than one of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from penstock.store.database import Row
from penstock.store.postgresql_connection import Result, Statement

NUMBER = "number_of_question"
_VALUES = re.compile(r"VALUES \((?P<values>(?:%\(\w+\)s|[^()])*)\)")
_NAMED = re.compile(r"%\((\w+)\)s")


def together(sql: str, rows: Sequence[Mapping[str, Any]]) -> Statement:
    """An INSERT of many rows, made from that of one: each column's values are a list, so its text is the same for any
    number of rows.
    """
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    types = {
        name: next((_type(value) for value in values if value is not None), None) for name, values in columns.items()
    }
    return _of_lists(sql, tuple(types.items())), {name: columns[name] for name, kind in types.items() if kind}


def _type(value: object) -> str:
    return "text[]" if isinstance(value, str) else "double precision[]" if isinstance(value, float) else "bigint[]"


@cache
def _of_lists(sql: str, types: tuple[tuple[str, str | None], ...]) -> str:
    found = _VALUES.search(sql)
    assert found is not None
    lists = [(name, f"%({name})s::{kind}") for name, kind in types if kind]
    nulls = {name for name, kind in types if kind is None}
    values = _NAMED.sub(lambda place: "NULL" if place[1] in nulls else f"given.{place[1]}", found["values"])
    names = ", ".join(name for name, _ in lists)
    rows = f"SELECT {values} FROM unnest({', '.join(made for _, made in lists)}) AS given ({names})"  # noqa: S608
    return sql[: found.start()] + rows + sql[found.end() :]


def question(sql: str, values: Sequence[Mapping[str, Any]]) -> Statement:
    """A query for one or many sets of values, each without None."""
    if len(values) == 1:
        return sql, values[0]
    types = tuple((name, _type(value)) for name, value in values[0].items())
    return _for_lists(sql, types), {name: [known[name] for known in values] for name in values[0]}


def answers(result: Result, count: int) -> list[list[Row]]:
    """The rows for each set of values."""
    if count == 1:
        return [result.rows]
    found: list[list[Row]] = [[] for _ in range(count)]
    for row in result.rows:
        columns = dict(row)
        found[columns.pop(NUMBER) - 1].append(columns)
    return found


@cache
def _for_lists(sql: str, types: tuple[tuple[str, str], ...]) -> str:
    """The limit says that the lists are short, so that no plan reads a table from end to end, even an empty one."""
    lists = ", ".join(f"%({name})s::{kind}" for name, kind in types)
    names = ", ".join(name for name, _ in types)
    rows = f"SELECT * FROM unnest({lists}) WITH ORDINALITY LIMIT cardinality({lists.partition(',')[0]})"  # noqa: S608
    one = _NAMED.sub(r"asked.\1", sql)
    return (
        f"SELECT asked.{NUMBER}, found.* FROM ({rows}) AS asked({names}, {NUMBER})"  # noqa: S608
        f" CROSS JOIN LATERAL ({one}) AS found"
    )
