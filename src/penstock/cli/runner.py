"""`penstock runner`: a task runner in a process of its own."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable

import click

from penstock.cli.composition import MakeTaskRunner, RunnerNotStarted, RunnerOptions
from penstock.cli.interrupt import Interrupted, Interruption
from penstock.cli.output import fail

DEFAULT_ENDPOINT = "http://127.0.0.1:4780"
ENDPOINT_VARIABLES = ("AWS_ENDPOINT_URL_DATA_PIPELINE", "AWS_ENDPOINT_URL")


def choose_endpoint(given: str | None) -> str:
    """`--endpoint`, else what the variables of boto3 and aws-cli say, else port 4780 of this machine."""
    said = (os.environ.get(variable) for variable in ENDPOINT_VARIABLES)
    return given or next(filter(None, said), DEFAULT_ENDPOINT)


def _stop_with_host(stop: Callable[[], None]) -> None:
    """Standard input is a pipe from the process that hosts the resource; its end is the end of that process."""
    while os.read(0, 4096):
        pass
    stop()


def work(options: RunnerOptions, make_task_runner: MakeTaskRunner) -> None:
    """Work until stopped by a signal, or until the service says that the resource has ended."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    if not all(options.groups):
        fail("The name of a worker group is empty.")
    try:
        runner = make_task_runner(options)
    except RunnerNotStarted as error:
        fail(str(error))
    if options.is_embedded:
        threading.Thread(target=_stop_with_host, args=(runner.stop,), daemon=True).start()
    else:
        click.echo(f"Working for {', '.join(options.groups)} of {options.endpoint}; Ctrl-C ends it.", err=True)
    with Interruption() as interruption:
        interruption.on_second = runner.kill
        try:
            runner.start()
            runner.join(interruption.check)
        except Interrupted:
            interruption.shield()
            if not options.is_embedded:
                click.echo("\nEnding, with the commands that run here; once more ends at once.", err=True)
            runner.stop()
            runner.join()
    if runner.refusal is not None:
        fail(f"The service at {options.endpoint} does not let this runner work: {runner.refusal}")
    sys.exit(0)
