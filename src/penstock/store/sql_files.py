"""The SQL files: named queries in `queries/`, numbered migrations in `migrations/`.

A query file holds `-- name: NAME`, then one statement, to the next name. `:name` is a parameter; what stands in
`/*pg … */` is for PostgreSQL only.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files

_NAME = re.compile(r"^-- name: (\w+)[^\n]*$", re.MULTILINE)
_NAMED = re.compile(r"(?<![:\w]):([a-z_]\w*)")
_POSTGRESQL_ONLY = re.compile(r"/\*pg (.*?)\*/")
IDENTITY = {
    "sqlite": "INTEGER PRIMARY KEY AUTOINCREMENT",
    "postgresql": "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
}


@cache
def queries(dialect: str) -> Mapping[str, str]:
    """All named queries in the words of one database."""
    found: dict[str, str] = {}
    for path in sorted(files("penstock.store").joinpath("queries").iterdir(), key=lambda entry: entry.name):
        for name, sql in parse_queries(path.read_text(encoding="utf-8")).items():
            if name in found:
                raise ValueError(f"two queries are called {name}")
            if dialect == "postgresql":
                sql = _POSTGRESQL_ONLY.sub(r"\1", sql).replace("%", "%%")
                sql = _NAMED.sub(r"%(\1)s", sql)
            found[name] = sql
    return found


def migrations(dialect: str) -> list[tuple[int, str]]:
    """The numbered migrations, oldest first."""
    found = []
    for path in files("penstock.store").joinpath("migrations").iterdir():
        if path.name.endswith(".sql"):
            sql = path.read_text(encoding="utf-8").replace("{identity}", IDENTITY[dialect])
            found.append((int(path.name.split("_")[0]), sql))
    return sorted(found)


def statements(sql: str) -> Iterator[str]:
    """The single statements of a migration, for SQLite, which takes one at a time."""
    statement = ""
    for line in sql.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def parse_queries(text: str) -> dict[str, str]:
    """The statements of a file by name."""
    parts = _NAME.split(text)
    return {name: body.strip().rstrip(";") for name, body in zip(parts[1::2], parts[2::2], strict=True)}
