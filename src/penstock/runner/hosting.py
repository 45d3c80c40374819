"""Hosting a resource: a task runner in a process of its own, with a key for the resource's worker group only."""

from __future__ import annotations

import base64
import os
import subprocess
import sys

from penstock.definition.model import PipelineObject
from penstock.objects.work import WorkFailed, WorkStopped
from penstock.runner.commands import GRACE_SECONDS, Stop, clean_environment
from penstock.runner.logs import AttemptLogs
from penstock.runner.place import Place

TASKS = 2  # the real task runner has two poller threads
CERTIFICATE_VARIABLE = "PENSTOCK_SERVER_CERTIFICATE"  # base64 of DER
_HANDED = "PENSTOCK_HANDED_"
"""What the names of variables begin with that a resource's runner takes for its own: in place of its service's keys."""
_OF_STORAGES = ("AWS_", "GOOGLE_", "AZURE_")
RUNNER_GRACE = GRACE_SECONDS + 5.0  # seconds: its commands have theirs first


def host_runner(own: PipelineObject, place: Place, stop: Stop, logs: AttemptLogs) -> None:
    """Start the resource's task runner and stay until it ends; it ends when the service says `terminate`.

    The runner's standard input is a pipe from this process: when this process ends, however that happens, the runner
    reads the end of the pipe and ends too, with its commands.
    """
    group = own.text("@workerGroup")
    access_key, secret = own.text("@accessKeyId"), own.text("*secretAccessKey")
    if not (group and access_key and secret):
        raise WorkFailed("The service gave no key for the resource.")
    # -P: a penstock.py or json.py in the folder that this process works in must not be taken for a module
    arguments = [sys.executable, "-P", "-m", "penstock", "runner", "--worker-group", group]
    arguments += [
        "--endpoint",
        place.endpoint,
        "--data-dir",
        str(place.data_dir.absolute()),
        "--tasks",
        str(TASKS),
        "--embedded",
    ]
    if place.config is not None:
        arguments += ["--config", str(place.config.absolute())]
    environment = clean_environment() | {"AWS_ACCESS_KEY_ID": access_key, "AWS_SECRET_ACCESS_KEY": secret}
    if place.certificate is not None:
        environment[CERTIFICATE_VARIABLE] = base64.b64encode(place.certificate).decode("ascii")
    if "PYTHONPATH" in os.environ:  # where Penstock and other packages of object types may lie
        environment["PYTHONPATH"] = os.environ["PYTHONPATH"]
    storage = place.settings.storage
    if storage.embedded is None or storage.buckets:  # the runner finds the same keys for them as this process
        own_variables = {name: value for name, value in os.environ.items() if name.startswith(_OF_STORAGES)}
        environment |= {_HANDED + name: value for name, value in own_variables.items()}
    logs.write(f"Starting a task runner for {group}")
    with logs.open("StdOutput") as out, logs.open("StdError") as err:
        process = subprocess.Popen(
            arguments, env=environment, stdin=subprocess.PIPE, stdout=out, stderr=err, start_new_session=True
        )
        stop.holds(process, RUNNER_GRACE)
        try:
            status = process.wait()
        finally:
            stop.lets_go()
            assert process.stdin is not None
            process.stdin.close()
    if stop.event.is_set():
        raise WorkStopped(stop.reason)
    if status != 0:
        raise WorkFailed(f"The resource's task runner ended with exit status {status}. {logs.tail()}".rstrip())


def restore_own_variables() -> None:
    """Give this process, a resource's runner, the variables of the service's process that lead to storages."""
    for name in [name for name in os.environ if name.startswith(_OF_STORAGES)]:
        del os.environ[name]
    for name in [name for name in os.environ if name.startswith(_HANDED)]:
        os.environ[name.removeprefix(_HANDED)] = os.environ.pop(name)
