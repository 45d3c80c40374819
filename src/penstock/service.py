"""A whole service in one process: store, engine, API over HTTP, and a task runner for the service's own tasks."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
import time
import uuid
from functools import partial

import uvicorn

from penstock.api.application import Application
from penstock.api.tasks import new_key
from penstock.cli.composition import ServiceNotStarted, ServiceOptions
from penstock.cli.credentials import FILE, NoCredentials, data_pipeline_client, read_credentials
from penstock.clock import SystemClock
from penstock.data.local_folder import LocalFolder
from penstock.engine.engine import Engine
from penstock.engine.recovery import recover
from penstock.objects import load_catalogue
from penstock.runner.commands import clean_environment
from penstock.runner.place import LOOPBACK, Place
from penstock.runner.runner import Pace, Runner
from penstock.settings import EngineSettings, Settings, SettingsError, load_settings
from penstock.store.database import StoreError, open_store
from penstock.store.secrets import MasterKeyError, Secrets
from penstock.wire.sigv4 import Credentials

SYSTEM_TASKS = 4
START_SECONDS = 20.0
REGION = "us-east-1"
RUN_DEFAULTS = EngineSettings(retry_delay=0.0, precondition_interval=2.0)  # somebody waits for the end of a run


class EmbeddedService:
    """Starts everything when it is made; raises ServiceNotStarted."""

    def __init__(self, options: ServiceOptions) -> None:
        self.options = options
        self._check_host()
        self.owner = f"run:{uuid.uuid4()}" if options.is_run else ""
        try:
            self.settings = _settings(options)
            self._socket = _listen(options.host, options.port)
            self._make_data_dir()
            store = open_store(options.store, options.data_dir)
            self.engine = Engine(
                store, load_catalogue(), SystemClock(), self.settings, Secrets(options.data_dir), self.owner
            )
            self.credentials = self._own_key() if options.is_run else self._shared_key()
            system = self._add_key("system", "the service's own runner")
        except (SettingsError, StoreError, MasterKeyError, NoCredentials) as error:
            raise ServiceNotStarted(str(error)) from error
        host, port = self._socket.getsockname()[:2]
        self.endpoint = f"http://{host}:{port}"
        self._serve()
        recover(self.engine)
        self._loop = threading.Thread(target=self.engine.loop, name="engine", daemon=True)
        self._loop.start()
        self._runners: list[Runner] = []
        if options.has_runner:
            self._start_runner(system, ["penstock:system"], SYSTEM_TASKS)

    def start_runner(self, pipeline_id: str, groups: list[str]) -> None:
        """Start a task runner for worker groups of one pipeline; its key reaches no other."""
        self._start_runner(self._add_key("runner", pipeline_id, pipeline_id), groups, 2)

    def _start_runner(self, credentials: Credentials, groups: list[str], tasks: int) -> None:
        place = Place(
            endpoint=self.endpoint,
            data_dir=self.options.data_dir.absolute(),
            storage=LocalFolder(self.options.data_dir.absolute() / "s3"),
            environment=clean_environment(),
            settings=self.settings,
            config=self.options.config,
        )
        runner = Runner(
            partial(data_pipeline_client, self.endpoint, credentials),
            self.engine.catalogue,
            place,
            groups,
            tasks=tasks,
            pace=Pace(report=2.0 if self.options.is_run else 10.0),
        )
        runner.start()
        self._runners.append(runner)

    def wait(self) -> None:
        """Stay until the service is stopped."""
        self._server_thread.join()

    def stop(self) -> None:
        """End the runners with their tasks, then the service; a run's pipeline belongs to servers from now on."""
        for runner in self._runners:
            runner.stop()
        deadline = time.monotonic() + START_SECONDS
        while any(runner.held.all() for runner in self._runners) and time.monotonic() < deadline:
            time.sleep(0.02)
        self.application.close()
        for runner in self._runners:
            runner.close()
        self._server.should_exit = True
        if not self.options.is_run:  # a run has no other callers, and its process is about to end
            self._server_thread.join(START_SECONDS)
        self.engine.stop()
        self._loop.join(START_SECONDS)
        with self.engine.store.transaction() as tx:
            tx.execute("delete_system_key", access_key=self._system_key)
            if self.owner:
                tx.execute("delete_keys_of_owner", owner=self.owner)
                tx.execute("release_attempts", owner=self.owner)
                tx.execute("release_pipelines", owner=self.owner)
        self.engine.store.close()

    def kill(self) -> None:
        """End the commands of all tasks at once; resources' runners read the end of their pipe and follow."""
        for runner in self._runners:
            runner.kill()

    def _check_host(self) -> None:
        if self.options.host not in LOOPBACK:
            raise ServiceNotStarted(
                f"Listening on {self.options.host} would send keys and data in clear; HTTPS is not built yet."
                " Listen on 127.0.0.1 and put a proxy that speaks HTTPS in front."
            )

    def _make_data_dir(self) -> None:
        folder = self.options.data_dir
        try:
            folder.mkdir(parents=True, exist_ok=True)
            probe = folder / f".writable-{os.getpid()}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise ServiceNotStarted(
                f"The data directory {folder} is not writable: {error.strerror}. Give another with --data-dir or"
                " PENSTOCK_DATA_DIR, or change its owner."
            ) from error

    def _add_key(self, role: str, name: str, pipeline_id: str | None = None) -> Credentials:
        access_key, secret = new_key()
        if role == "system":
            self._system_key = access_key
        self._insert_key(access_key, secret, role, name, pipeline_id)
        return Credentials(access_key, secret)

    def _insert_key(self, access_key: str, secret: str, role: str, name: str, pipeline_id: str | None) -> None:
        with self.engine.turn() as turn:
            turn.tx.execute(
                "insert_key",
                access_key=access_key,
                secret=self.engine.secrets.encrypt(secret),
                role=role,
                name=name,
                owner=self.owner,
                pipeline_id=pipeline_id,
                worker_group=None,
                created_at=turn.now,
            )

    def _own_key(self) -> Credentials:
        return self._add_key("admin", "penstock run")

    def _shared_key(self) -> Credentials:
        """The key of the data directory's credentials file, which a first start makes."""
        path = self.options.data_dir / FILE
        found = read_credentials(path)
        if found is not None:
            self._insert_key(found.access_key, found.secret_key, "admin", "first key", None)  # unless it is there
            return found
        made = self._add_key("admin", "first key")
        text = (
            f"[default]\naws_access_key_id = {made.access_key}\naws_secret_access_key = {made.secret_key}\n"
            f"region = {REGION}\n"
        )
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            os.fchmod(descriptor, 0o600)  # it may have been there with another mode
            stream.write(text)
        return made

    def _serve(self) -> None:
        self.application = Application(self.engine)
        config = uvicorn.Config(
            self.application,
            lifespan="off",
            log_level="warning",
            access_log=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=5,
            ws="none",
            interface="asgi3",
        )
        self._server = uvicorn.Server(config)
        self._server_thread = threading.Thread(
            target=lambda: asyncio.run(self._server.serve(sockets=[self._socket])), name="server", daemon=True
        )
        self._server_thread.start()
        deadline = time.monotonic() + START_SECONDS
        while not self._server.started:
            if not self._server_thread.is_alive() or time.monotonic() > deadline:
                raise ServiceNotStarted("The server did not start; its log says why.")
            time.sleep(0.005)


def _settings(options: ServiceOptions) -> Settings:
    if not options.is_run:
        return load_settings(options.config)
    logging.getLogger("penstock").setLevel(logging.ERROR)
    return load_settings(options.config, RUN_DEFAULTS)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    protocol = socket.IPPROTO_TCP  # asyncio sets TCP_NODELAY on sockets that say so
    listener = socket.socket(family, socket.SOCK_STREAM, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(512)
    except OSError as error:
        listener.close()
        raise ServiceNotStarted(
            f"The port {port} on {host} cannot be used: {error.strerror}. Give another with --port; 0 takes a free one."
        ) from error
    return listener
