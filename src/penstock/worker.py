"""A task runner in a process of its own, as `penstock runner` starts it."""

from __future__ import annotations

import base64
import os
from functools import partial

from penstock.cli.composition import RunnerNotStarted, RunnerOptions
from penstock.cli.credentials import NoCredentials, data_pipeline_client, find_credentials, penstock_client
from penstock.clock import SystemClock
from penstock.data.local_folder import LocalFolder
from penstock.objects import load_catalogue
from penstock.runner.commands import clean_environment, own_environment
from penstock.runner.guard import Guard
from penstock.runner.hosting import CERTIFICATE_VARIABLE
from penstock.runner.pace import Pace
from penstock.runner.place import NoStorage, Place, is_local
from penstock.runner.runner import Runner
from penstock.settings import SettingsError, choose_data_dir, load_settings, make_data_dir

EMBEDDED_GIVES_UP = 30.0  # seconds: the server of a resource has gone, and so should its runner


def make_task_runner(options: RunnerOptions) -> Runner:
    """A runner that is ready to start; raises RunnerNotStarted."""
    folder = choose_data_dir(options.data_dir).absolute()
    pinned = os.environ.get(CERTIFICATE_VARIABLE) if options.is_embedded else None
    certificate = base64.b64decode(pinned) if pinned else None
    has_storage = options.data_dir is not None or is_local(options.endpoint)
    try:
        settings = load_settings(options.config)
        make_data_dir(folder)
        place = Place(
            endpoint=options.endpoint,
            data_dir=folder,
            storage=LocalFolder(folder / "s3") if has_storage else NoStorage(),
            environment=clean_environment() if options.is_embedded else own_environment(),
            clock=SystemClock(),
            settings=settings,
            guard=Guard(),
            config=options.config,
            certificate=certificate,
        )
        return Runner(
            partial(data_pipeline_client, options.endpoint, find_credentials(folder), certificate),
            load_catalogue(),
            place,
            options.groups,
            tasks=options.tasks,
            pace=Pace(
                report=settings.runner.report,
                answer=settings.runner.answer_within,
                give_up=EMBEDDED_GIVES_UP if options.is_embedded else None,
            ),
            logs=None if options.is_embedded else penstock_client(options.endpoint, find_credentials(folder)),
            ends=penstock_client(options.endpoint, find_credentials(folder), certificate),
        )
    except (NoCredentials, SettingsError, ValueError) as error:  # ValueError: the endpoint is not a URL
        raise RunnerNotStarted(str(error)) from error
