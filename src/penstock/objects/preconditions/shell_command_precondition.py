"""ShellCommandPrecondition."""

from __future__ import annotations

from penstock.definition.slots import slot
from penstock.objects import staging
from penstock.objects.activities.shell_command_activity import run_program
from penstock.objects.families import Precondition
from penstock.objects.work import Work


class ShellCommandPrecondition(Precondition):
    """Holds when a command ends with exit status 0."""

    icon = "check"

    command: str | None = slot("The command to run.", one_of="program", at_most_one=True)
    script_uri: str | None = slot("An S3 URI of the script to run.", one_of="program", at_most_one=True)
    script_argument: list[str] = slot("Arguments passed to the command.")
    stdout: str | None = slot("Where a copy of the command's output goes.")
    stderr: str | None = slot("Where a copy of the command's error output goes.")

    def holds(self, work: Work) -> bool:
        """Run the command."""
        status = run_program(work, self.command, self.script_uri, self.script_argument, work.environment)
        staging.redirect(work, self.stdout, self.stderr)
        return status == 0
