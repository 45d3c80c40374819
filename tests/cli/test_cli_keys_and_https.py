"""Keys with roles and HTTPS, as people use them from the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from penstock_command import Server, Shell

from certificates import make_pair
from penstock.cli.key_commands import role_option
from penstock.wire.model import load_penstock_model

Start = Callable[..., Server]
AWS = Path(sys.executable).with_name("aws")


def test_the_roles_that_can_be_given_are_the_services() -> None:
    def command() -> None: ...

    (option,) = role_option(command).__click_params__  # type: ignore[attr-defined]
    assert sorted(option.type.choices) == sorted(load_penstock_model().shapes["role"].enum)


def test_https_and_roles_from_a_first_start_to_a_refusal(shell: Shell, start_server: Start) -> None:
    pair = make_pair(shell.folder, "localhost")
    server = start_server("--host", "0.0.0.0", "--tls-cert", pair.cert, "--tls-key", pair.key)
    assert server.endpoint.startswith("https://localhost:")
    assert server.environment["AWS_CA_BUNDLE"] == str(pair.cert)

    untrusting = {name: value for name, value in server.environment.items() if name != "AWS_CA_BUNDLE"}
    refused = shell.run_here("pipelines", environment=untrusting)
    assert refused.status == 1
    assert "its certificate is not trusted (self-signed certificate)" in refused.err
    assert "AWS_CA_BUNDLE" in refused.err

    command = [AWS, "--ca-bundle", pair.cert, "--region", "us-east-1", "datapipeline"]
    create = [*command, "create-pipeline", "--name", "p", "--unique-id", "u"]
    done = subprocess.run(create, env=shell.environment | untrusting, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr

    created = shell.run_here("keys", "create", "--role", "viewer", environment=server.environment)
    path = shell.folder / "viewer"
    path.write_text(created.out)
    viewer = {**server.environment, "AWS_SHARED_CREDENTIALS_FILE": str(path)}
    command = [AWS, "datapipeline", "list-pipelines"]  # the file names a region, without which aws-cli does nothing
    done = subprocess.run(command, env=shell.environment | viewer, capture_output=True, text=True, timeout=60)
    assert (done.returncode, json.loads(done.stdout or "{}").get("pipelineIdList", [{}])[0].get("name")) == (0, "p")

    made = shell.run_here("keys", "create", "--role", "viewer", "--json", environment=server.environment)
    assert json.loads(made.out).keys() == {"accessKeyId", "secretAccessKey"}

    refused = shell.run_here("activate", "p", environment=viewer)
    assert refused.status == 1
    assert "has the role viewer, which may not ActivatePipeline; operator and admin may." in refused.err
    assert "`penstock keys create --role operator`" in refused.err


def test_a_pair_that_does_not_match_is_refused_by_name(shell: Shell) -> None:
    pair, other = make_pair(shell.folder / "a", "localhost"), make_pair(shell.folder / "b", "localhost")
    done = shell.run("server", "--port", 0, "--data-dir", shell.data, "--tls-cert", pair.cert, "--tls-key", other.key)
    assert done.status == 1
    assert f"The key {other.key} does not belong to the certificate {pair.cert}" in done.err
    assert not shell.data.exists()
