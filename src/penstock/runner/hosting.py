"""Hosting a resource: a task runner in a process of its own, with a key for the resource's worker group only."""

from __future__ import annotations

import signal
import subprocess
import sys

from penstock.definition.model import PipelineObject
from penstock.objects.work import WorkFailed, WorkStopped
from penstock.runner.commands import Stop, clean_environment, signal_group
from penstock.runner.logs import AttemptLogs
from penstock.runner.place import Place

TASKS = 2  # the real task runner has two poller threads


def host_runner(own: PipelineObject, place: Place, stop: Stop, logs: AttemptLogs) -> None:
    """Start the resource's task runner and stay until it ends; it ends when the service says `terminate`."""
    group = own.text("@workerGroup")
    access_key, secret = own.text("@accessKeyId"), own.text("*secretAccessKey")
    if not (group and access_key and secret):
        raise WorkFailed("The service gave no key for the resource.")
    arguments = [sys.executable, "-m", "penstock", "runner", "--worker-group", group, "--endpoint", place.endpoint]
    arguments += ["--data-dir", str(place.data_dir.absolute()), "--tasks", str(TASKS), "--embedded"]
    if place.config is not None:
        arguments += ["--config", str(place.config.absolute())]
    environment = clean_environment() | {"AWS_ACCESS_KEY_ID": access_key, "AWS_SECRET_ACCESS_KEY": secret}
    logs.write(f"Starting a task runner for {group}")
    with logs.stdout.open("ab") as out, logs.stderr.open("ab") as err:
        process = subprocess.Popen(
            arguments, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True
        )
        stop.holds(process)
        try:
            status = process.wait()
        finally:
            stop.holds(None)
    if stop.event.is_set():
        signal_group(process, signal.SIGKILL)
        raise WorkStopped(stop.reason)
    if status != 0:
        raise WorkFailed(f"The resource's task runner ended with exit status {status}.")
