"""Tables of MySQL: how their names are written and found, and how text goes into their columns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from penstock.data.databases.mysql_connection import MysqlConnection
from penstock.data.databases.mysql_errors import errors
from penstock.data.databases.rows import name_parts

_QUOTED = r'`(?:[^`]|``)+`|"(?:[^"]|"")+"'
_DOTTED = re.compile(rf"(?:({_QUOTED}|[^.`\"]+)\.)?({_QUOTED}|[^.`\"]+)")
_FIND = """
SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES
WHERE TABLE_SCHEMA = COALESCE(%s, DATABASE()) AND TABLE_NAME = %s AND
    (@@lower_case_table_names > 0 OR (BINARY TABLE_NAME = BINARY %s)) LIMIT 1"""
_COLUMNS = """
SELECT COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, IS_NULLABLE FROM information_schema.COLUMNS
WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s AND EXTRA NOT LIKE '%%STORED GENERATED%%'
    AND EXTRA NOT LIKE '%%VIRTUAL%%' AND EXTRA NOT LIKE '%%PERSISTENT%%' AND EXTRA NOT LIKE '%%INVISIBLE%%'
ORDER BY ORDINAL_POSITION"""
_NUMBERS = frozenset(("tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "float", "double", "bit", "year"))
_BYTES = frozenset(("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"))


@dataclass(frozen=True)
class Table:
    """A table or view that is there: the database that it is in, and its name."""

    schema: str
    name: str

    @property
    def quoted(self) -> str:
        """The name as it stands in SQL."""
        return f"{quote(self.schema)}.{quote(self.name)}"


@dataclass(frozen=True)
class TableColumn:
    """A column that rows are inserted into; its name is quoted."""

    name: str
    type: str
    full_type: str
    is_nullable: bool = True

    @property
    def is_number(self) -> bool:
        """Whether true and false are 1 and 0 in it."""
        return self.type in _NUMBERS

    def from_text(self, variable: str) -> str | None:
        """What makes the column's value of its text in a variable; None where the text itself will do."""
        if self.type in _BYTES:
            # what is no even number of hexadecimal digits makes a warning, and so an error
            digits = f"IF(LENGTH({variable}) % 2 = 0, UNHEX(SUBSTR({variable}, 3)), NULL)"
            bad = f"BINARY CAST({variable} AS SIGNED)"
            return f"IF({variable} LIKE '\\\\\\\\x%', IFNULL({digits}, {bad}), BINARY {variable})"
        if self.type == "timestamp" and not self.is_nullable:
            return f"IFNULL({variable}, 'NULL')"  # else MySQL would make NULL the time of now
        truth = f"CASE {variable} WHEN 'true' THEN 1 WHEN 'false' THEN 0"
        if self.type == "bit":
            return f"{truth} ELSE CAST({variable} AS UNSIGNED) END"
        return f"{truth} ELSE {variable} END" if self.full_type.startswith("tinyint(1)") else None


def quote(name: str) -> str:
    """A name as MySQL takes it whatever its characters are."""
    return "`" + name.replace("`", "``") + "`"


def split_name(table: str, schema: str | None) -> tuple[str | None, str]:
    """The schema and the name of a table as people write it, with or without quotes; a `schema` of its own wins."""
    if "`" in table:
        parts = _DOTTED.fullmatch(table)
        if parts is not None:
            return schema or (_plain(parts[1]) if parts[1] else None), _plain(parts[2])
    written, name, _ = name_parts(table, schema)
    return written, name


def find(connection: MysqlConnection, table: str, schema: str | None) -> Table | None:
    """The table or view of this name."""
    written, name = split_name(table, schema)
    with errors(f"looking for the table {table}"):
        rows = connection.query(_FIND, (written, name, name))
    return Table(str(rows[0][0]), str(rows[0][1])) if rows else None


def columns_of(connection: MysqlConnection, table: Table) -> list[TableColumn]:
    """The columns of a table that take values, in their order."""
    with errors(f"reading the columns of {table.name}"):
        rows = connection.query(_COLUMNS, (table.schema, table.name))
    return [
        TableColumn(quote(str(name)), str(kind).lower(), str(full).lower(), nullable == "YES")
        for name, kind, full, nullable in rows
    ]


def chosen(columns: Sequence[TableColumn], names: Sequence[str] | None) -> list[TableColumn]:
    """Those of a table's columns that have these names, or all; one that is not there is the server's to refuse."""
    if names is None:
        return list(columns)
    known = {column.name.lower(): column for column in columns}
    return [known.get(quote(name).lower(), TableColumn(quote(name), "", "")) for name in names]


def _plain(name: str) -> str:
    mark = name[0]
    return name[1:-1].replace(mark * 2, mark) if mark in '`"' else name
