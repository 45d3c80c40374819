"""SqlActivity."""

from __future__ import annotations

from penstock.data.databases import Address, connect
from penstock.data.sides import TableSide
from penstock.definition.slots import slot
from penstock.objects.families import Activity, Database
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
        self._make_outputs(work, address)
        if address.written_for == "redshift":
            from penstock.data.redshift.script import moves_files

            if moves_files(script):
                self._run_with_files(work, script, address)
                return
        with connect(address) as database:
            if self.queue is not None and address.dialect == "redshift":
                group = self.queue.replace("'", "''")
                database.execute_script(f"SET query_group TO '{group}'")
            elif self.queue is not None:
                work.log(f"The queue {self.queue} has no meaning here: the database is no Redshift")
            database.execute_script(script, self.script_argument)
        work.log("The script has run")

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

    def _run_with_files(self, work: Work, script: str, address: Address) -> None:
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
                lambda rows, size: work.progress(rows=rows, bytes=size),
            )
        work.log("The script has run")
