"""`penstock server`, `penstock runner` and `penstock keys`: the same work in several processes, with boto3."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from penstock_command import Server, Shell

from penstock.cli.runner import choose_endpoint
from penstock.definition.api_form import definition_to_api
from penstock.definition.file_form import definition_of
from processes import ended

Start = Callable[..., Server]
DEFAULT = {"id": "Default", "scheduleType": "ondemand", "failureAndRerunMode": "cascade"}
FAST = "[engine]\nretry_delay = 0\n"


def activate(client: Any, *objects: dict[str, Any], name: str = "p", **default: str) -> str:
    """Create, put and activate a definition; gives the pipeline's id."""
    definition = definition_of({"objects": [DEFAULT | default, *objects]})
    pipeline_id: str = client.create_pipeline(name=name, uniqueId=name)["pipelineId"]
    put = client.put_pipeline_definition(pipelineId=pipeline_id, **definition_to_api(definition))
    assert not put["errored"], put
    client.activate_pipeline(pipelineId=pipeline_id)
    return pipeline_id


def state(client: Any, pipeline_id: str) -> str:
    described = client.describe_pipelines(pipelineIds=[pipeline_id])["pipelineDescriptionList"][0]
    return next(field["stringValue"] for field in described["fields"] if field["key"] == "@pipelineState")


def statuses(client: Any, pipeline_id: str) -> dict[str, str]:
    """The status of each instance by the name of its component."""
    ids = client.query_objects(pipelineId=pipeline_id, sphere="INSTANCE")["ids"]
    found: dict[str, str] = {}
    for described in client.describe_objects(pipelineId=pipeline_id, objectIds=ids)["pipelineObjects"]:
        fields = {field["key"]: field.get("stringValue", field.get("refValue")) for field in described["fields"]}
        found[fields["@componentParent"]] = fields["@status"]
    return found


def finished(client: Any, pipeline_id: str, within: float = 40) -> dict[str, str]:
    """Wait until the pipeline is over."""
    deadline = time.monotonic() + within
    while state(client, pipeline_id) != "FINISHED" and time.monotonic() < deadline:
        pass  # each question takes a few milliseconds
    return statuses(client, pipeline_id)


def shell_activity(command: str, identity: str = "Work", **fields: Any) -> dict[str, Any]:
    return {"id": identity, "type": "ShellCommandActivity", "command": command, **fields}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_server_and_runner_work_together_with_boto3_as_the_client(shell: Shell, start_server: Start) -> None:
    server = start_server()
    runner = shell.start("runner", "--worker-group", "there", "--data-dir", "own", environment=server.environment)
    runner.wait_for("Working for there")
    client = server.client()
    machine = {"id": "Machine", "type": "Ec2Resource"}
    one = shell_activity('echo "keys: $AWS_SECRET_ACCESS_KEY $PENSTOCK_DATA_DIR"', "One", workerGroup="there")
    two = shell_activity("echo two", "Two", runsOn={"ref": "Machine"}, dependsOn={"ref": "One"})
    pipeline_id = activate(client, machine, one, two, pipelineLogUri="s3://bucket/logs/")
    expected = {"One": "FINISHED", "Two": "FINISHED", "Machine": "FINISHED"}
    assert finished(client, pipeline_id) == expected
    assert [p.read_text() for p in (shell.folder / "own/logs").glob("*/@One_*/StdOutput")] == ["keys:  \n"]
    sent = (shell.data / "s3/bucket/logs" / pipeline_id / "Two").glob("*/*/*")
    assert sorted(path.name for path in sent) == ["Activity.log.gz", "StdError.gz", "StdOutput.gz"]
    runner.send(signal.SIGTERM)
    assert runner.end().status == 0
    assert server.stop().status == 0


def test_the_server_prints_what_boto3_needs_and_keeps_its_key_to_its_user(shell: Shell, start_server: Start) -> None:
    server = start_server()
    assert set(server.environment) == {"AWS_SHARED_CREDENTIALS_FILE", "AWS_ENDPOINT_URL_DATA_PIPELINE"}
    path = Path(server.environment["AWS_SHARED_CREDENTIALS_FILE"])
    assert path == shell.data / "credentials"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "region = us-east-1" in path.read_text()
    before = path.read_text()
    assert server.stop().status == 0
    again = start_server()
    assert path.read_text() == before
    assert again.client().list_pipelines()["pipelineIdList"] == []


def test_the_server_says_which_settings_of_the_environment_would_win(shell: Shell) -> None:
    environment = {"AWS_ACCESS_KEY_ID": "AKIAX", "AWS_PROFILE": "work"}
    server = shell.start("server", "--port", 0, "--data-dir", shell.data, environment=environment)
    text = server.wait_for("AWS_PROFILE is set", where="out")
    assert "AWS_ACCESS_KEY_ID is set in this environment and wins over the file" in text


def test_a_port_in_use_is_named_with_the_remedy(shell: Shell) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = shell.run("server", "--port", port, "--data-dir", shell.data)
    assert done.status == 1
    assert f"port {port}" in done.err
    assert "--port" in done.err
    assert not shell.data.exists()


def test_listening_to_the_world_is_refused(shell: Shell) -> None:
    done = shell.run("server", "--host", "0.0.0.0", "--port", 0)
    assert done.status == 1
    assert "0.0.0.0" in done.err
    assert "--tls-cert FILE and --tls-key FILE" in done.err
    assert "--insecure" in done.err
    assert list(shell.folder.iterdir()) == []


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user of the machine can look into, which pytest's own are not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def as_ordinary_user() -> tuple[str, ...]:
    """What to put before a command so that root runs it as nobody."""
    if os.geteuid() != 0:
        return ()
    if shutil.which("setpriv") is None:
        pytest.skip("Root may write everywhere, and there is no setpriv to become another user.")
    nobody = pwd.getpwnam("nobody")
    return ("setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups")


def test_an_unwritable_data_directory_is_named(open_folder: Path) -> None:
    shell = Shell(open_folder)
    before = as_ordinary_user()
    environment = {"HOME": "/", "PYTHONDONTWRITEBYTECODE": "1"}
    if shell.run("--version", before=before, environment=environment).status != 0:
        pytest.skip("Penstock lies in a folder that other users cannot read.")
    path = shell.write({"objects": [DEFAULT]})
    shell.data.mkdir()
    shell.data.chmod(0o555)
    for arguments in (("server", "--port", 0), ("run", path)):
        done = shell.run(*arguments, "--data-dir", shell.data, before=before, environment=environment)
        assert done.status == 1, done.err
        assert f"The data directory {shell.data} is not writable: Permission denied" in done.err
        assert "--data-dir" in done.err


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[engine]\nlesae = 3\n", "engine.lesae"),
        ("[engine\n", "is no TOML file"),
        ("[engine]\nlease = 'long'\n", "'engine.lease' must be a number"),
        ("[engine]\nlease = -1\n", "must not be negative"),
        ("[databases.x]\nusername = 'u'\n", "lacks 'url'"),
        ("engine = 3\n", "must be a table"),
        (None, "cannot be read: No such file"),
    ],
)
def test_broken_settings_are_named(shell: Shell, text: str | None, expected: str) -> None:
    path = shell.folder / "penstock.toml"
    if text is not None:
        path.write_text(text)
    done = shell.run("server", "--port", 0, "--data-dir", shell.data, "--config", path)
    assert done.status == 1
    assert str(path) in done.err
    assert expected in done.err
    assert not shell.data.exists()


@pytest.mark.parametrize("store", ["mysql://x/y", "postgresql://127.0.0.1:1/none?connect_timeout=1"])
def test_a_broken_store_url_is_told(shell: Shell, store: str) -> None:
    done = shell.run("server", "--port", 0, "--data-dir", shell.data, "--store", store)
    assert done.status == 1
    assert "store" in done.err
    assert "Traceback" not in done.err


def test_a_broken_credentials_file_is_named(shell: Shell) -> None:
    shell.data.mkdir()
    (shell.data / "credentials").write_text("this is no credentials file\n")
    done = shell.run("server", "--port", 0, "--data-dir", shell.data)
    assert done.status == 1
    assert "is no credentials file" in done.err
    assert "Traceback" not in done.err


def test_the_store_can_be_a_postgresql(shell: Shell, start_server: Start, postgresql_url: str) -> None:
    server = start_server("--store", postgresql_url)
    client = server.client()
    pipeline_id = activate(
        client, {"id": "Machine", "type": "Ec2Resource"}, shell_activity("true", runsOn={"ref": "Machine"})
    )
    assert finished(client, pipeline_id) == {"Work": "FINISHED", "Machine": "FINISHED"}
    assert server.stop().status == 0


@pytest.mark.parametrize("number", [pytest.param(signal.SIGTERM, marks=pytest.mark.by_hand), signal.SIGKILL])
def test_a_pipeline_ends_although_its_server_was_restarted_while_a_resource_ran(
    shell: Shell, start_server: Start, number: signal.Signals
) -> None:
    config = shell.folder / "penstock.toml"
    config.write_text(FAST)
    port = free_port()
    server = start_server("--config", config, port=port)
    os.mkfifo(shell.folder / "signpost")
    mark = shell.folder / "mark"
    command = f"[ -e {mark} ] && exit 0; touch {mark}; echo $$ > {shell.folder / 'signpost'}; exec sleep 600"
    machine = {"id": "Machine", "type": "Ec2Resource"}
    pipeline_id = activate(server.client(), machine, shell_activity(command, runsOn={"ref": "Machine"}))
    pid = int((shell.folder / "signpost").read_text())
    server.running.send(number)
    server.running.end()
    again = start_server("--config", config, port=port)
    assert finished(again.client(), pipeline_id) == {"Work": "FINISHED", "Machine": "FINISHED"}
    assert ended(pid)


def test_a_runner_goes_on_when_its_server_comes_back(shell: Shell, start_server: Start) -> None:
    port = free_port()
    server = start_server(port=port)
    runner = shell.start("runner", "--worker-group", "g", environment=server.environment)
    runner.wait_for("Working for g")
    server.stop()
    runner.wait_for("Trying again in")
    again = start_server(port=port)
    pipeline_id = activate(again.client(), shell_activity("true", workerGroup="g"))
    assert finished(again.client(), pipeline_id) == {"Work": "FINISHED"}


def test_keys_are_created_listed_and_revoked(shell: Shell, start_server: Start) -> None:
    server = start_server()
    created = shell.run("keys", "create", "--name", "ann", "--data-dir", shell.data, environment=server.environment)
    assert created.status == 0
    key = created.out.split("aws_access_key_id = ")[1].split()[0]
    secret = created.out.split("aws_secret_access_key = ")[1].split()[0]
    listed = shell.run("keys", "list", environment=server.environment)
    assert key in listed.out
    assert "ann" in listed.out
    assert secret not in listed.out
    of_ann = {**server.environment, "AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}
    assert shell.run("keys", "list", "--json", environment=of_ann).json()["keys"]
    assert shell.run("keys", "revoke", key, environment=server.environment).status == 0
    refused = shell.run("keys", "list", environment=of_ann)
    assert refused.status == 1
    assert "Traceback" not in refused.err
    unknown = shell.run("keys", "revoke", "AKNOBODY", environment=server.environment)
    assert unknown.status == 1
    assert "There is no key AKNOBODY" in unknown.err


def test_a_key_that_scripts_already_use_can_be_added(shell: Shell, start_server: Start) -> None:
    server = start_server()
    added = shell.run("keys", "add", "AKIAOLD", stdin="old-secret\n", environment=server.environment)
    assert added.status == 0
    own = {"AWS_ACCESS_KEY_ID": "AKIAOLD", "AWS_SECRET_ACCESS_KEY": "old-secret"}
    assert shell.run("keys", "list", "--endpoint", server.endpoint, environment=own).status == 0
    empty = shell.run("keys", "add", "AKIANEW", environment=server.environment)
    assert empty.status == 1
    assert "The secret is empty" in empty.err


def test_a_runners_key_works_for_its_group_only(shell: Shell, start_server: Start) -> None:
    server = start_server()
    arguments = ("--role", "runner", "--worker-group", "mine")
    created = shell.run("keys", "create", *arguments, environment=server.environment)
    path = shell.folder / "runner-credentials"
    path.write_text(created.out)
    environment = {**server.environment, "AWS_SHARED_CREDENTIALS_FILE": str(path)}
    runner = shell.start("runner", "--worker-group", "mine", environment=environment)
    runner.wait_for("Working for mine")
    pipeline_id = activate(server.client(), shell_activity("true", workerGroup="mine"))
    assert finished(server.client(), pipeline_id) == {"Work": "FINISHED"}
    refused = shell.run("runner", "--worker-group", "other", environment=environment)
    assert refused.status == 1
    assert "may not work for the worker group 'other'" in refused.err
    assert shell.run("keys", "list", environment=environment).status == 1


def test_without_a_server_the_commands_say_where_they_looked(shell: Shell) -> None:
    own = {"AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": "s"}
    endpoint = f"http://127.0.0.1:{free_port()}"
    listed = shell.run_here("keys", "list", "--endpoint", endpoint, environment=own)
    assert listed.status == 1
    assert f"No answer from {endpoint}" in listed.err
    wrong = shell.run_here("keys", "list", "--endpoint", "nonsense", environment=own)
    assert wrong.status == 1
    assert "'nonsense' is not a URL" in wrong.err
    keyless = shell.run_here("keys", "list", "--endpoint", endpoint)
    assert keyless.status == 1
    assert "There is no access key" in keyless.err
    assert ".penstock/credentials" in keyless.err
    runner = shell.run_here("runner", "--worker-group", "g", "--endpoint", "nonsense", environment=own)
    assert runner.status == 1
    assert "'nonsense' is not a URL" in runner.err


def test_a_runner_of_a_nameless_worker_group_is_refused(shell: Shell) -> None:
    run = shell.run("runner", "--worker-group", "")
    assert run.status == 1
    assert run.err == "penstock: The name of a worker group is empty.\n"


def test_the_store_can_be_named_in_the_environment(shell: Shell) -> None:
    environment = {"PENSTOCK_STORE": "mysql://user:geheim@host/x"}
    done = shell.run("server", "--port", 0, "--data-dir", shell.data, environment=environment)
    assert done.status == 1
    assert "A store of the kind 'mysql' is not known" in done.err
    assert "geheim" not in done.err


def test_commands_find_the_server_by_the_variables_of_boto3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL_DATA_PIPELINE", raising=False)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    assert choose_endpoint(None) == "http://127.0.0.1:4780"
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://all:1")
    assert choose_endpoint(None) == "http://all:1"
    monkeypatch.setenv("AWS_ENDPOINT_URL_DATA_PIPELINE", "http://own:2")
    assert choose_endpoint(None) == "http://own:2"
    assert choose_endpoint("http://given:3") == "http://given:3"
