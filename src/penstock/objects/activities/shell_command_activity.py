"""ShellCommandActivity."""

from __future__ import annotations

import re
from collections.abc import Mapping

from penstock.definition.slots import slot
from penstock.objects import staging
from penstock.objects.families import Activity
from penstock.objects.work import Work, WorkFailed

LONGEST_ARGUMENT = 30_000  # characters, so at most 120,000 bytes; Linux takes 131,071 in one argument
AWS_S3 = re.compile(rb"\baws\s[^\n;|&]{0,200}?\bs3(api)?\s")


class ShellCommandActivity(Activity):
    """Runs a command or a script."""

    icon = "terminal"

    command: str | None = slot(
        "The command to run; the script arguments are $1, $2 and so on.", one_of="program", at_most_one=True
    )
    script_uri: str | None = slot("An S3 URI of the script to run.", one_of="program", at_most_one=True)
    script_argument: list[str] = slot("Arguments passed to the command.")
    stage: bool = slot("Whether inputs and outputs are staged as local folders.", default=False)
    stdout: str | None = slot("Where a copy of the command's output goes: an S3 URI, or a path with a worker group.")
    stderr: str | None = slot("Where a copy of the command's error output goes.")

    def run(self, work: Work) -> None:
        """Stage, run, and send the outputs when the command ended with 0."""
        environment = dict(work.environment)
        if self.stage:
            environment |= staging.stage_inputs(work, self.input) | staging.make_outputs(work, self.output)
        status = run_program(work, self.command, self.script_uri, self.script_argument, environment)
        staging.redirect(work, self.stdout, self.stderr)
        if status != 0:
            raise WorkFailed(f"The command ended with {_ending(status)}.{_hint(work, self.command)}")
        if self.stage:
            staging.send_outputs(work, self.output)


def run_program(
    work: Work,
    command: str | None,
    script_uri: str | None,
    arguments: list[str],
    environment: Mapping[str, str],
) -> int:
    """Run a command or a script in the attempt's folder; gives the exit status."""
    if command is not None and len(command) <= LONGEST_ARGUMENT:
        words = [staging.shell(), "-c", command, "command", *arguments]
    else:
        path = staging.program(work, command, script_uri)
        runs_itself = command is None and path.read_bytes()[:2] == b"#!"
        words = [*([] if runs_itself else [staging.shell()]), str(path), *arguments]
    return work.execute(words, environment=environment, folder=work.folder)


def _hint(work: Work, command: str | None) -> str:
    """What explains most failures of commands that were written for AWS."""
    from penstock.data.local_folder import LocalFolder

    program = command.encode() if command is not None else (work.folder / "program").read_bytes()
    if not isinstance(work.storage, LocalFolder) or not AWS_S3.search(program):
        return ""
    return (
        " Commands that call `aws s3` cannot reach the embedded storage, which is a folder: use staging instead, or"
        " have it served to them: pip install 'penstock[s3]' and [storage] embedded = \"seaweedfs\" in --config."
    )


def _ending(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit status {status}"
