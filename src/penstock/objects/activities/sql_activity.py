"""SqlActivity."""

from __future__ import annotations

from time import monotonic

from penstock.data.databases import Address, connect
from penstock.data.datasets import database_dataset
from penstock.data.sides import TableSide
from penstock.definition.slots import slot
from penstock.objects.families import Activity, Database
from penstock.objects.lineage import Lineage
from penstock.objects.work import Work, WorkFailed


class SqlActivity(Activity):
    """Runs an SQL script on a database, in one transaction."""

    icon = "database"

    database: Database = slot("The database that the script runs on.")
    script: str | None = slot("The SQL to run.", one_of="script")
    script_uri: str | None = slot("An S3 URI of the SQL to run; expressions in it are not evaluated.", one_of="script")
    script_argument: list[str] = slot("Values for the script's question marks, in order.")
    queue: str | None = slot("The query group (Redshift only).")

    def run(self, work: Work) -> None:
        """Run every statement; the first that fails undoes the others."""
        script = self._text(work)
        address = self.database.address(work)
        told = _Statements(work)
        began = monotonic()
        self._run(work, script, address, told)
        sources, targets = (
            tuple([dataset for node in nodes if (dataset := node.dataset(work)) is not None])
            for nodes in (self.input, self.output)
        )
        work.record(
            Lineage(
                sources,
                targets or (database_dataset(address),),
                told.rows,
                seconds=monotonic() - began,
                way=f"{told.done} statement{'' if told.done == 1 else 's'}",
            )
        )
        work.log("The script has run")

    def _run(self, work: Work, script: str, address: Address, told: _Statements) -> None:
        self._make_outputs(work, address)
        if address.written_for == "redshift":
            from penstock.data.redshift.script import moves_files

            if moves_files(script):
                self._run_with_files(work, script, address, told)
                return
        with connect(address) as database:
            if self.queue is not None and address.dialect == "redshift":
                group = self.queue.replace("'", "''")
                database.execute_script(f"SET query_group TO '{group}'")
            elif self.queue is not None:
                work.log(f"The queue {self.queue} has no meaning here: the database is no Redshift")
            database.execute_script(script, self.script_argument, told.tell)

    def _text(self, work: Work) -> str:
        if self.script is not None:
            return self.script
        assert self.script_uri is not None
        with work.storage.open(self.script_uri) as stream:
            try:
                return stream.read().decode("utf-8")
            except UnicodeDecodeError as error:
                raise WorkFailed(f"{self.script_uri} is not UTF-8: {error}.") from error

    def _make_outputs(self, work: Work, address: Address) -> None:
        """Make the tables of the outputs that are missing, where they say how."""
        for node in self.output:
            sql = getattr(node, "create_table_sql", None)
            if sql is None:
                continue
            side = node.side(work)
            assert isinstance(side, TableSide)
            with connect(side.address) as database:
                database.create_table(sql, side.table, side.schema)

    def _run_with_files(self, work: Work, script: str, address: Address, told: _Statements) -> None:
        """Run a script of Redshift with COPY or UNLOAD in it."""
        from penstock.data.databases.translated import TranslatedDatabase
        from penstock.data.redshift.script import run_script

        with connect(address) as database:
            assert isinstance(database, TranslatedDatabase)
            run_script(
                database,
                work.storage,
                script,
                self.script_argument,
                told.count,
                told.tell,
                longest_record=work.data.longest_record,
            )


class _Statements:
    """How far a script is: statements that have run, and the rows that its COPY and UNLOAD have moved."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._before = self._moving = 0
        self.done = 0

    @property
    def rows(self) -> int | None:
        """All rows so far; None where none were counted."""
        return self._before + self._moving or None

    def tell(self, done: int, of: int) -> None:
        """Take note of statements that have run."""
        self.done = done
        self._before, self._moving = self._before + self._moving, 0
        self._work.statements(done=done, of=of, rows=self.rows)

    def count(self, rows: int, bytes: int) -> None:
        """Take note of what the COPY or UNLOAD that runs has moved."""
        self._moving = rows
        self._work.progress(rows=self._before + rows, bytes=bytes)
