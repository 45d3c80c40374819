"""A task runner in a process of its own, as `penstock runner` starts it."""

from __future__ import annotations

import base64
import os
from functools import partial

from penstock.cli.composition import RunnerNotStarted, RunnerOptions
from penstock.cli.credentials import NoCredentials, data_pipeline_client, find_credentials, penstock_client
from penstock.clock import SystemClock
from penstock.data.seaweedfs import NotInstalled, NotStarted
from penstock.objects import load_catalogue
from penstock.runner.commands import clean_environment, own_environment
from penstock.runner.event_sender import EventSender
from penstock.runner.guard import Guard
from penstock.runner.hosting import CERTIFICATE_VARIABLE, restore_own_variables
from penstock.runner.pace import Pace
from penstock.runner.place import Place, is_local
from penstock.runner.runner import Runner
from penstock.settings import SettingsError, choose_data_dir, load_settings, make_data_dir
from penstock.storage_in_use import use_storage, use_storage_elsewhere

EMBEDDED_GIVES_UP = 30.0  # seconds: the server of a resource has gone, and so should its runner


def make_task_runner(options: RunnerOptions) -> Runner:
    """A runner that is ready to start; raises RunnerNotStarted."""
    folder = choose_data_dir(options.data_dir).absolute()
    pinned = os.environ.get(CERTIFICATE_VARIABLE) if options.is_embedded else None
    certificate = base64.b64decode(pinned) if pinned else None
    try:
        settings = load_settings(options.config)
        make_data_dir(folder)
        credentials = find_credentials(folder)
        if options.is_embedded:
            restore_own_variables()
        if is_local(options.endpoint):
            in_use = use_storage(settings.storage, folder)
        else:
            in_use = use_storage_elsewhere(settings.storage, folder, is_shared=options.data_dir is not None)
        environment = clean_environment() if options.is_embedded else own_environment()
        place = Place(
            endpoint=options.endpoint,
            data_dir=folder,
            storage=in_use.storage,
            environment={**environment, **in_use.environment},
            clock=SystemClock(),
            settings=settings,
            guard=Guard(),
            events=EventSender(settings.openlineage) if settings.openlineage is not None else None,
            config=options.config,
            certificate=certificate,
        )
        return Runner(
            partial(data_pipeline_client, options.endpoint, credentials, certificate),
            load_catalogue(),
            place,
            options.groups,
            tasks=options.tasks,
            pace=Pace(
                report=settings.runner.report,
                answer=settings.runner.answer_within,
                give_up=EMBEDDED_GIVES_UP if options.is_embedded else None,
            ),
            logs=None if options.is_embedded else penstock_client(options.endpoint, credentials),
            ends=penstock_client(options.endpoint, credentials, certificate),
        )
    except (
        NoCredentials,
        SettingsError,
        NotInstalled,
        NotStarted,
        ValueError,
    ) as error:  # ValueError: the endpoint is not a URL
        raise RunnerNotStarted(str(error)) from error
