"""SqlActivity."""

from __future__ import annotations

from penstock.data.databases import connect
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
        script = self.script
        if script is None:
            assert self.script_uri is not None
            with work.storage.open(self.script_uri) as stream:
                try:
                    script = stream.read().decode("utf-8")
                except UnicodeDecodeError as error:
                    raise WorkFailed(f"{self.script_uri} is not UTF-8: {error}.") from error
        with connect(self.database.address(work)) as database:
            database.execute_script(script, self.script_argument)
        work.log("The script has run")
