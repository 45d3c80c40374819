"""The commands that look after a server's pipelines: what runs, why not, and changing it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from penstock_command import Ended, Server, Shell

from penstock.cli.operate_commands import COMMANDS, STATUSES, alarms
from penstock.definition.api_form import definition_to_api
from penstock.definition.file_form import definition_of
from penstock.engine.status import TRANSITIONS

Start = Callable[..., Server]
ON_DEMAND = {"id": "Default", "scheduleType": "ondemand", "failureAndRerunMode": "cascade", "maximumRetries": "0"}
TODAY = (datetime.now(UTC) - timedelta(hours=1)).replace(minute=0, second=0, microsecond=0)  # midnight is far away
LONGEST = 40.0


class Operator:
    """Someone with a server, its commands and boto3; the commands are processes, or run in the test's."""

    def __init__(self, shell: Shell, server: Server, command: Callable[..., Ended]) -> None:
        self.shell = shell
        self.server = server
        self.command = command
        self.client = server.client()

    def put(self, *objects: dict[str, Any], name: str = "sales", unique: str = "1", **definition: Any) -> str:
        """Create a pipeline, and give it a definition if there are objects."""
        pipeline_id: str = self.client.create_pipeline(name=name, uniqueId=unique)["pipelineId"]
        if objects:
            written = definition_to_api(definition_of({"objects": list(objects), **definition}))
            put = self.client.put_pipeline_definition(pipelineId=pipeline_id, **written)
            assert not put["errored"], put
        return pipeline_id

    def run(self, *arguments: object, **options: Any) -> Ended:
        """Run a command with the server's data directory."""
        environment = self.server.environment | options.pop("environment", {})
        return self.command(*arguments, "--data-dir", self.shell.data, environment=environment, **options)

    def ask(self, *arguments: object) -> Any:
        """What a command prints with `--json`."""
        done = self.run(*arguments, "--json")
        assert done.status == 0, done.err
        return done.json()

    def refused(self, *arguments: object, **options: Any) -> str:
        """The text with which a command ends that goes wrong."""
        done = self.run(*arguments, **options)
        assert (done.status, done.out) == (1, ""), done
        assert "Traceback" not in done.err
        return done.err

    def _here(self, *arguments: object) -> Ended:
        return self.shell.run_here(*arguments, "--json", environment=self.server.environment)

    def wait_for(self, name: str, state: str) -> None:
        """Wait until a pipeline is in a state."""
        deadline = time.monotonic() + LONGEST
        while (found := self._here("status", name).json()["state"]) != state:
            assert time.monotonic() < deadline, found


@pytest.fixture
def operator(shell: Shell, start_server: Start) -> Operator:
    """Someone with a server, whose commands run here."""
    return Operator(shell, start_server(), shell.run_here)


def shell_activity(identity: str, command: str, **fields: Any) -> dict[str, Any]:
    return {"id": identity, "type": "ShellCommandActivity", "command": command, **fields}


MACHINE = {"id": "Machine", "type": "Ec2Resource"}
ON_MACHINE = {"runsOn": {"ref": "Machine"}}


def put_failing(operator: Operator, **default: str) -> None:
    """A pipeline whose first activity needs a file, and a second one that needs the first."""
    delivered = operator.shell.folder / "delivered"
    load = shell_activity("Load", f"echo loading; echo 'no delivery' >&2; test -e {delivered}", **ON_MACHINE)
    report = shell_activity("Report", "printf report", dependsOn={"ref": "Load"}, **ON_MACHINE)
    operator.put(ON_DEMAND | default, MACHINE, load, report)


def ids(operator: Operator, name: str = "sales", *options: str) -> dict[str, str]:
    """The id of each instance by the name of its component."""
    return {i["@componentParent"]: i["id"] for i in operator.ask("runs", name, *options)["instances"]}


def test_a_failure_is_found_understood_and_repaired_by_a_rerun(shell: Shell, start_server: Start) -> None:
    operator = Operator(shell, start_server(), shell.run)
    put_failing(operator)
    activated = operator.run("activate", "sales")
    assert activated.status == 0
    assert activated.out.startswith("sales (df-")
    assert activated.out.endswith(") is SCHEDULED.\n")
    operator.wait_for("sales", "FINISHED")
    status = operator.ask("status", "sales")
    assert status["counts"] == {"FAILED": 1, "CASCADE_FAILED": 1, "FINISHED": 1}
    assert status["fields"]["@pipelineState"] == "FINISHED"
    assert "3 instances: 1 CASCADE_FAILED, 1 FAILED, 1 FINISHED" in operator.run("status", "sales").out
    failed = ids(operator, "sales", "--failed")
    assert sorted(failed) == ["Load", "Report"]
    assert list(ids(operator, "sales", "--status", "finished")) == ["Machine"]
    assert sorted(ids(operator, "sales", "--status", "FINISHED", "--status", "FAILED")) == ["Load", "Machine"]
    runs = operator.run("runs", "sales").out
    assert "The command ended with exit status 1." in runs
    assert f"It needs {failed['Load']}, which did not succeed." in runs
    nothing = operator.run("runs", "sales", "--status", "RUNNING")
    assert (nothing.status, nothing.out) == (0, "")
    assert "has no instances of the status RUNNING." in nothing.err
    why = operator.run("why", failed["Load"], "--pipeline", "sales").out
    assert why.startswith(f"{failed['Load']} is FAILED:\n  The command ended with exit status 1.\n")
    assert f"penstock logs {failed['Load']} --pipeline df-" in why
    because = operator.ask("why", failed["Report"], "--pipeline", "sales")
    assert because["reasons"] == [f"It needs {failed['Load']}, which did not succeed."]
    (operator.shell.folder / "delivered").touch()
    rerun = operator.ask("rerun", failed["Load"], "--pipeline", "sales")
    assert [instance["id"] for instance in rerun["instances"]] == [failed["Load"]]
    operator.wait_for("sales", "FINISHED")
    assert operator.ask("status", "sales")["counts"] == {"FINISHED": 3}
    ended = operator.refused("cancel", failed["Load"], "--pipeline", "sales")
    assert ended == f"penstock: {failed['Load']} is FINISHED, which TRY_CANCEL cannot change.\n"


def test_logs_of_the_last_attempt_or_of_another_are_printed(operator: Operator) -> None:
    put_failing(operator)
    operator.run("activate", "sales")
    operator.wait_for("sales", "FINISHED")
    found = ids(operator)
    first = f"{found['Load']}_Attempt=1"
    printed = operator.run("logs", found["Load"], "--pipeline", "sales")
    assert printed.status == 0
    assert printed.out.endswith(f"==> {first} StdOutput <==\nloading\n==> {first} StdError <==\nno delivery\n")
    assert operator.run("logs", first, "--pipeline", "sales").out == printed.out
    untried = operator.refused("logs", found["Report"], "--pipeline", "sales")
    assert f"{found['Report']} has no logs, as it was never tried: it is CASCADE_FAILED." in untried
    (operator.shell.folder / "delivered").touch()
    operator.run("rerun", found["Load"], "--pipeline", "sales")
    operator.wait_for("sales", "FINISHED")
    (last,) = operator.ask("logs", found["Load"], "--pipeline", "sales")["attempts"]
    assert last["attempt"] == f"{found['Load']}_Attempt=2"
    assert operator.run("logs", "sales", found["Report"], "--stdout").out == "report\n"


def test_what_waits_is_explained_cancelled_and_marked_as_finished(operator: Operator) -> None:
    first = shell_activity("First", "true", workerGroup="nobody")
    second = shell_activity("Second", "true", workerGroup="nobody", dependsOn={"ref": "First"})
    operator.put(ON_DEMAND, first, second)
    operator.run("activate", "sales")
    found = ids(operator)
    why = operator.ask("why", found["First"], "--pipeline", "sales")
    assert why["status"] == "WAITING_FOR_RUNNER"
    assert why["reasons"] == ["No task runner of worker group 'nobody' has taken it yet."]
    text = operator.run("why", found["Second"], "--pipeline", "sales").out
    assert text == (f"{found['Second']} is WAITING_ON_DEPENDENCIES:\n  {found['First']} is WAITING_FOR_RUNNER.\n")
    marked = operator.run("mark-finished", found["First"], "--pipeline", "sales")
    assert marked.out.splitlines()[-1].split() == [found["First"], "FINISHED"]
    assert operator.run("why", found["First"], "--pipeline", "sales").out == f"{found['First']} is FINISHED.\n"
    assert operator.ask("why", found["Second"], "--pipeline", "sales")["status"] == "WAITING_FOR_RUNNER"
    both = operator.refused("cancel", found["Second"], found["First"], "--pipeline", "sales")
    assert f"{found['First']} is FINISHED" in both
    assert operator.ask("why", found["Second"], "--pipeline", "sales")["status"] == "WAITING_FOR_RUNNER"
    canceled = operator.ask("cancel", found["Second"], found["Second"], "--pipeline", "sales")
    assert canceled["instances"] == [{"id": found["Second"], "@status": "CANCELED"}]
    reasons = operator.ask("why", found["Second"], "--pipeline", "sales")["reasons"]
    assert reasons == ["Canceled by a user."]


def schedule(start: datetime, **fields: str) -> tuple[dict[str, Any], ...]:
    daily = {"id": "Daily", "type": "Schedule", "period": "1 day", "startDateTime": start.strftime("%Y-%m-%dT%H:%M:%S")}
    default = {"id": "Default", "scheduleType": "cron", "schedule": {"ref": "Daily"}, "failureAndRerunMode": "cascade"}
    return default, daily | fields, shell_activity("Load", "true", scriptArgument="#{myShop}", workerGroup="nobody")


def day(number: int) -> str:
    return (TODAY + timedelta(days=number)).strftime("%Y-%m-%dT%H:%M:%S")


def test_a_schedule_is_previewed_and_activated_from_a_time_on(operator: Operator) -> None:
    shop = {"parameters": [{"id": "myShop", "type": "String", "isArray": "true"}], "values": {"myShop": ["x"]}}
    operator.put(*schedule(TODAY - timedelta(days=2)), **shop)
    due = operator.ask("next", "sales")
    assert (due["state"], due["isOnDemand"]) == ("PENDING", False)
    expected = {"component": "Load", "due": 3, "firstStart": day(-2), "nextStart": day(1), "nextDueTime": day(1)}
    following = {"start": day(1), "end": day(2), "dueTime": day(1)}
    assert due["components"] == [expected | {"upcoming": [following]}]
    shown = operator.run("next", "sales")
    assert shown.out.splitlines()[-1].split() == ["Load", day(1), day(1), "3"]
    assert "is PENDING: what is due runs once it is activated." in shown.err
    assert "Give a start timestamp" in operator.refused("activate", "sales")
    started = operator.ask(
        "activate", "sales", "--start", day(-1), "--parameter", "myShop=a", "--parameter", "myShop=b"
    )
    assert started["state"] == "SCHEDULED"
    assert list(ids(operator, "sales", "--status", "SKIPPED").values()) == [f"@Load_{day(-2)}"]
    instance = operator.client.describe_objects(
        pipelineId=started["pipelineId"], objectIds=[f"@Load_{day(0)}"], evaluateExpressions=True
    )["pipelineObjects"][0]
    assert [f["stringValue"] for f in instance["fields"] if f["key"] == "scriptArgument"] == ["a", "b"]
    assert operator.run("next", "sales").err == ""
    assert f"next due {day(1)} UTC" in operator.run("status", "sales").out


def test_more_instances_than_fit_a_page_are_listed_once_each(operator: Operator) -> None:
    quarters = schedule(TODAY - timedelta(days=2), period="15 minutes")
    operator.put(*quarters, parameters=[{"id": "myShop", "type": "String", "default": "x"}])
    operator.run("activate", "sales", "--start", day(0))
    deadline = time.monotonic() + LONGEST
    while len(found := operator.ask("runs", "sales", "--status", "SKIPPED")["instances"]) < 2 * 24 * 4:
        assert time.monotonic() < deadline, len(found)
    starts = [instance["@scheduledStartTime"] for instance in found]
    assert (len(set(starts)), starts) == (2 * 24 * 4, sorted(starts))
    assert len(operator.ask("runs", "sales")["instances"]) > len(found)


def test_deactivation_can_let_what_runs_run_to_its_end(operator: Operator) -> None:
    pipeline_id = operator.put(ON_DEMAND, shell_activity("Load", "true", workerGroup="mine"))
    operator.run("activate", "sales")
    task = operator.client.poll_for_task(workerGroup="mine")["taskObject"]["taskId"]
    assert operator.ask("deactivate", "sales", "--no-cancel-active") == {
        "pipelineId": pipeline_id,
        "name": "sales",
        "state": "DEACTIVATING",
    }
    status = operator.run("status", "sales").out
    assert "is DEACTIVATING" in status
    assert "  1 at work\n" in status
    assert list(ids(operator, "sales", "--status", "RUNNING")) == ["Load"]
    operator.client.set_task_status(taskId=task, taskStatus="FINISHED")
    operator.wait_for("sales", "INACTIVE")
    assert list(ids(operator, "sales", "--status", "FINISHED")) == ["Load"]
    assert "only an active pipeline can be deactivated" in operator.refused("deactivate", "sales")


def test_deactivation_cancels_what_runs_and_activation_lets_it_go_on(operator: Operator) -> None:
    operator.put(*schedule(TODAY), parameters=[{"id": "myShop", "type": "String", "default": "x"}])
    assert operator.run("activate", "sales").status == 0
    stopped = operator.run("deactivate", "sales")
    assert stopped.out.endswith(" is INACTIVE.\n")
    assert ids(operator, "sales", "--failed") == ids(operator, "sales", "--status", "CANCELED") != {}
    assert operator.run("activate", "sales").out.endswith(" is SCHEDULED.\n")
    assert list(ids(operator, "sales", "--status", "WAITING_FOR_RUNNER")) == ["Load"]


def test_what_never_comes_by_itself_is_said(operator: Operator) -> None:
    operator.put(ON_DEMAND, shell_activity("Load", "true", workerGroup="nobody"), name="demanded")
    assert "runs on demand" in operator.refused("next", "demanded")
    assert operator.ask("next", "demanded")["isOnDemand"] is True
    over = schedule(TODAY - timedelta(days=9), occurrences="2")
    operator.put(*over[:2], shell_activity("Load", "true", workerGroup="nobody"), name="over")
    assert "none is left" in operator.run("next", "over").out


def test_pipelines_are_listed_and_found_by_id_or_by_a_name_that_is_unique(operator: Operator) -> None:
    nothing = operator.run("pipelines")
    assert nothing.status == 0
    first = operator.put(name="twin", unique="1")
    second = operator.put(name="twin", unique="2")
    odd = operator.put(name="df-odd")
    for number in range(50):
        operator.client.create_pipeline(name=f"many-{number}", uniqueId="1")
    listed = operator.ask("pipelines")["pipelines"]
    assert len(listed) == 53
    assert {entry["@id"]: entry["@pipelineState"] for entry in listed}[odd] == "PENDING"
    assert f"{odd}  df-odd" in operator.run("pipelines").out
    twins = operator.refused("status", "twin")
    assert twins == f"penstock: 2 pipelines have the name 'twin'; give an id: {', '.join(sorted((first, second)))}.\n"
    assert operator.ask("status", first)["pipelineId"] == first
    assert operator.ask("status", "df-odd")["pipelineId"] == odd
    unknown = operator.refused("runs", "df-off")
    expected = "There is no pipeline 'df-off'. Did you mean 'df-odd'? `penstock pipelines` lists them."
    assert unknown == f"penstock: {expected}\n"
    assert "There is no pipeline 'q'. `penstock pipelines`" in operator.refused("next", "q")
    empty = operator.run("runs", "df-odd")
    assert (empty.status, empty.out) == (0, "")
    assert f"df-odd ({odd}) has no instances." in empty.err
    assert "The pipeline has no definition yet" in operator.refused("activate", "df-odd")
    assert "The pipeline has no definition yet" in operator.refused("next", "df-odd")


def test_ids_that_are_no_instances_are_named(operator: Operator) -> None:
    pipeline_id = operator.put(ON_DEMAND, shell_activity("Load", "true", workerGroup="nobody"))
    never = operator.refused("rerun", "@Load", "--pipeline", "sales")
    assert "The pipeline was never activated" in never
    operator.run("activate", "sales")
    for command in ("rerun", "cancel", "mark-finished", "why", "logs"):
        text = operator.refused(command, "Load", "--pipeline", "sales")
        assert text == (
            "penstock: 'Load' is no id of an instance, which begin with '@':"
            f" `penstock runs {pipeline_id}` lists them.\n"
        )
        assert "'@Load_x'" in operator.refused(command, "@Load_x", "--pipeline", "sales")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("activate", "p", "--start", "tomorrow"), "'tomorrow' is no time: a date-time is written yyyy-MM-ddTHH:mm:ss"),
        (("activate", "p", "--start", "2026-13-01"), "'2026-13-01' is no time"),
        (("activate", "p", "--parameter", "x"), "'x' is no KEY=VALUE"),
        (("next", "p", "--parameter-values", "none.json"), "none.json cannot be read"),
        (("activate", "p", "--parameter-values", "broken.json"), "broken.json"),
        (("runs", "p", "--status", "LOST"), "'LOST' is not one of"),
        (("rerun", "--pipeline", "p"), "Missing argument 'INSTANCE...'"),
        (("why", "@x"), "Missing option '--pipeline'"),
    ],
)
def test_wrong_arguments_are_told_before_a_server_is_asked(
    shell: Shell, arguments: tuple[str, ...], expected: str
) -> None:
    (shell.folder / "broken.json").write_text("{")
    done = shell.run_here(*(str(shell.folder / a) if a.endswith(".json") else a for a in arguments))
    assert done.status == 2
    assert expected in done.err
    assert "Traceback" not in done.err


def test_without_a_server_or_a_key_the_commands_say_so(shell: Shell) -> None:
    own = {"AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": "s"}
    away = shell.run_here("pipelines", "--endpoint", "http://127.0.0.1:1", environment=own)
    assert away.status == 1
    assert "No answer from http://127.0.0.1:1" in away.err
    wrong = shell.run_here("status", "p", "--endpoint", "nonsense", environment=own)
    assert wrong.status == 1
    assert "'nonsense' is not a URL" in wrong.err
    keyless = shell.run_here("next", "p")
    assert keyless.status == 1
    assert "There is no access key" in keyless.err


def test_a_key_that_may_not_ask_is_told(operator: Operator) -> None:
    made = operator.run("keys", "create", "--role", "runner")
    path: Path = operator.shell.folder / "runner-credentials"
    path.write_text(made.out)
    text = operator.refused("pipelines", environment={"AWS_SHARED_CREDENTIALS_FILE": str(path)})
    assert "has the role runner, which may not ListPipelines" in text


def test_runs_can_be_asked_for_by_every_status_that_there_is() -> None:
    moves = [t for t in TRANSITIONS if t.sphere == "INSTANCE"]
    assert set(STATUSES) == {status for t in moves for status in (*t.sources, t.target)} | {"SKIPPED"}


def test_every_one_of_the_commands_has_help_and_prints_json() -> None:
    for command in (*COMMANDS, *alarms.commands.values()):
        assert command.help
        if command is alarms:
            continue
        assert any("--json" in parameter.opts for parameter in command.params), command.name
