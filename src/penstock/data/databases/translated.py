"""A database whose statements are written in Redshift's SQL, and translated for it (PostgreSQL or DuckDB)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Self

from penstock.data.databases.address import Dialect
from penstock.data.databases.redshift_functions import Target
from penstock.data.databases.rows import DatabaseError, Records, Row
from penstock.data.databases.scripts import StatementProgress
from penstock.data.databases.statements import one_statement, split_script
from penstock.data.formats import Format

if TYPE_CHECKING:
    from penstock.data.databases import Database


class TranslatedDatabase:
    """Everything as its `inner` database does it, with Redshift's SQL. See `Database`."""

    def __init__(self, inner: Database) -> None:
        self.inner = inner
        if inner.dialect not in ("postgresql", "duckdb"):
            inner.close()
            raise DatabaseError(
                f"A RedshiftDatabase cannot stand on {inner.dialect}. Map its cluster to a PostgreSQL, a DuckDB"
                " or a Redshift address."
            )
        self._target: Target = "duckdb" if inner.dialect == "duckdb" else "postgres"
        if inner.dialect == "duckdb":
            # Redshift's own name of the schema where nothing else is said, and its division of whole numbers.
            inner.execute_script(
                "CREATE SCHEMA IF NOT EXISTS public; SET schema = 'public'; SET integer_division = true"
            )

    @property
    def dialect(self) -> Dialect:
        """The dialect of the database itself."""
        return self.inner.dialect

    def transaction(self) -> AbstractContextManager[None]:
        """See `Database`."""
        return self.inner.transaction()

    def execute_script(
        self, script: str, arguments: Sequence[str] = (), progress: StatementProgress | None = None
    ) -> None:
        """Translate the whole script, then run it."""
        self.inner.execute_script(self.translate_script(script), arguments, progress)

    def translate_script(self, script: str) -> str:
        """The script in the database's own SQL. Raises `DatabaseError` naming the statement that has none."""
        from penstock.data.databases.redshift_sql import translate

        statements = split_script(script, "redshift")
        return ";\n".join([made for statement in statements for made in translate(statement, self._target)])

    def select(self, query: str, *, batch_size: int = 2000) -> Records:
        """See `Database`."""
        return self.inner.select(self.translate_one(query, "selectQuery"), batch_size=batch_size)

    def translate_one(self, query: str, field: str) -> str:
        """One statement in the database's own SQL; `field` names it in errors."""
        one_statement(query, "redshift", field)
        return self.translate_script(query)

    def select_table(self, table: str, schema: str | None = None, *, batch_size: int = 2000) -> Records:
        """See `Database`."""
        return self.inner.select_table(table, schema, batch_size=batch_size)

    def table_query(self, table: str, schema: str | None = None) -> str:
        """See `Database`."""
        return self.inner.table_query(table, schema)

    def insert(self, query: str, batches: Iterable[Sequence[Row]]) -> int:
        """See `Database`."""
        return self.inner.insert(self.translate_one(query, "insertQuery"), batches)

    def insert_into(
        self, table: str, schema: str | None, columns: Sequence[str] | None, batches: Iterable[Sequence[Row]]
    ) -> int:
        """See `Database`."""
        return self.inner.insert_into(table, schema, columns, batches)

    def takes(self, format: Format) -> bool:
        """See `Database`."""
        return self.inner.takes(format)

    def load_text(
        self, table: str, schema: str | None, columns: Sequence[str] | None, format: Format, stream: BinaryIO
    ) -> int:
        """See `Database`."""
        return self.inner.load_text(table, schema, columns, format, stream)

    def unload_text(self, query: str, format: Format, stream: BinaryIO) -> int:
        """See `Database`."""
        return self.inner.unload_text(self.translate_one(query, "selectQuery"), format, stream)

    def describe(self, query: str) -> tuple[tuple[str, str], ...]:
        """See `Database`."""
        return self.inner.describe(self.translate_one(query, "selectQuery"))

    def table_exists(self, table: str, schema: str | None = None) -> bool:
        """See `Database`."""
        return self.inner.table_exists(table, schema)

    def table_columns(self, table: str, schema: str | None = None) -> tuple[tuple[str, str], ...]:
        """See `Database`."""
        return self.inner.table_columns(table, schema)

    def create_table(self, sql: str, table: str, schema: str | None = None) -> None:
        """See `Database`."""
        if not self.inner.table_exists(table, schema):
            self.inner.create_table(self.translate_script(sql), table, schema)

    def close(self) -> None:
        """See `Database`."""
        self.inner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()
