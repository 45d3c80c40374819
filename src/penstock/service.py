"""A whole service in one process: store, engine, API over HTTP, and a task runner for the service's own tasks."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import uuid
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from penstock.api.application import Application
from penstock.api.server import Server, ServerNotStarted, listen
from penstock.cli.composition import ServiceNotStarted, ServiceOptions
from penstock.cli.credentials import FILE, NoCredentials, data_pipeline_client, read_credentials
from penstock.clock import SystemClock
from penstock.data.local_folder import LocalFolder
from penstock.engine.engine import Engine
from penstock.engine.plan import SYSTEM_GROUP
from penstock.engine.recovery import end_run, recover, release
from penstock.locks import HeldFile, hold, hold_abandoned
from penstock.objects import load_catalogue
from penstock.runner.commands import clean_environment
from penstock.runner.place import LOOPBACK, Place
from penstock.runner.runner import Pace, Runner
from penstock.settings import EngineSettings, Settings, SettingsError, load_settings
from penstock.store.database import StoreError, open_store
from penstock.store.keys import insert_key, new_key
from penstock.store.secrets import MasterKeyError, Secrets
from penstock.wire.sigv4 import Credentials

LOG = logging.getLogger(__name__)
SERVERS, RUNS = "servers", "runs"  # folders of the data directory with a held file for each process
RUN = "run:"  # what the owners of runs' pipelines begin with
SYSTEM_TASKS = 4
START_SECONDS = 20.0
REGION = "us-east-1"
RUN_DEFAULTS = EngineSettings(retry_delay=0.0, precondition_interval=2.0)  # somebody waits for the end of a run


class EmbeddedService:
    """Starts everything when it is made; raises ServiceNotStarted."""

    def __init__(self, options: ServiceOptions) -> None:
        self.options = options
        self._check_host()
        self._held: list[HeldFile] = []
        self._killed_runs: list[HeldFile] = []
        self._opened = ExitStack()
        try:
            self._start()
        except BaseException:
            self._opened.close()
            for file in (*self._held, *self._killed_runs):
                file.let_go()
            raise

    def _start(self) -> None:
        options = self.options
        try:
            self.settings = _settings(options)
            self._socket = listen(options.host, options.port)
            self._opened.callback(self._socket.close)
            self._make_data_dir()
            self.name = self._hold_name()
            self.owner = RUN + self.name if options.is_run else ""
            store = open_store(options.store, options.data_dir)
            self._opened.callback(store.close)
            secrets = Secrets(options.data_dir)
            secrets.tie(store)
            self.engine = Engine(store, load_catalogue(), SystemClock(), self.settings, secrets, self.owner)
            self.credentials = self._own_key() if options.is_run else self._shared_key()
            self.application = Application(self.engine)
            self._server = Server(self.application, self._socket)
        except (SettingsError, StoreError, MasterKeyError, NoCredentials, ServerNotStarted) as error:
            raise ServiceNotStarted(str(error)) from error
        host, port = self._socket.getsockname()[:2]
        self.endpoint = f"http://{host}:{port}"
        self._end_killed_runs()
        self._recover()
        self._loop = threading.Thread(target=self.engine.loop, name="engine", daemon=True)
        self._loop.start()
        self._runners: list[Runner] = []
        if options.has_runner:
            system = self._add_key("system", self.name)
            self._start_runner(system, [SYSTEM_GROUP], SYSTEM_TASKS, hostname=self.name if not options.is_run else None)

    def start_runner(self, pipeline_id: str, groups: list[str]) -> None:
        """Start a task runner for worker groups of one pipeline; its key reaches no other."""
        self._start_runner(self._add_key("runner", pipeline_id, pipeline_id), groups, 2)

    def _start_runner(
        self, credentials: Credentials, groups: list[str], tasks: int, hostname: str | None = None
    ) -> None:
        place = Place(
            endpoint=self.endpoint,
            data_dir=self.options.data_dir.absolute(),
            storage=LocalFolder(self.options.data_dir.absolute() / "s3"),
            environment=clean_environment(),
            clock=self.engine.clock,
            settings=self.settings,
            config=self.options.config,
            hostname=hostname or socket.gethostname(),
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

    def stop(self) -> None:
        """End the runners with their tasks, then the service; a run's pipeline belongs to servers from now on."""
        for runner in self._runners:
            runner.stop()
        deadline = time.monotonic() + START_SECONDS
        while any(runner.held.all() for runner in self._runners) and time.monotonic() < deadline:
            time.sleep(0.02)
        self._server.end_polls()
        for runner in self._runners:
            runner.close()
        self._server.stop(wait=not self.options.is_run)  # a run has no other callers, and its process is about to end
        self.engine.stop()
        self._loop.join(START_SECONDS)
        if self.owner:
            release(self.engine, self.owner)
        elif self.name:
            self._delete_system_keys(self.name)
        self.engine.store.close()
        for file in self._held:
            if self.owner:
                file.remove()
            else:
                file.let_go()
        self._held.clear()

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

    def _hold_name(self) -> str:
        """The name by which the store knows this process, held as a file of the data directory while it lives.

        A server takes a name that an earlier one has left, and with it that one's tasks; it takes none if it leaves
        the service's own tasks to others. A run's name is always new.
        """
        try:
            if self.options.store is None:  # runs are in the data directory's own store
                self._killed_runs = hold_abandoned(self.options.data_dir / RUNS)
            if self.options.is_run:
                return self._hold_new(RUNS, str(uuid.uuid4()))
            if not self.options.has_runner:
                return ""
            self._held = hold_abandoned(self.options.data_dir / SERVERS)
            return self._held[0].name if self._held else self._hold_new(SERVERS, _server_name())
        except OSError as error:
            raise ServiceNotStarted(
                f"The data directory {self.options.data_dir} takes no locks: {error.strerror}."
                " Give one on a local disk with --data-dir or PENSTOCK_DATA_DIR."
            ) from error

    def _hold_new(self, folder: str, name: str) -> str:
        path = self.options.data_dir / folder / name
        path.parent.mkdir(exist_ok=True)
        held = hold(path)
        assert held is not None, "nobody else knows the name"
        self._held.append(held)
        return name

    def _recover(self) -> None:
        """Take over what servers of this data directory held that have ended; their names are not needed any more."""
        if self.options.is_run:
            return
        for file in list(self._held):
            self._delete_system_keys(file.name)
            recover(self.engine, file.name)
            if file.name != self.name:
                file.remove()
                self._held.remove(file)

    def _delete_system_keys(self, name: str) -> None:
        with self.engine.turn() as turn:
            turn.tx.execute("delete_system_keys", name=name)

    def _end_killed_runs(self) -> None:
        """Deactivate the pipelines of runs that were killed; they belong to servers from now on."""
        for file in self._killed_runs:
            try:
                for pipeline_id in end_run(self.engine, RUN + file.name):
                    LOG.warning("The `penstock run` of %s was killed. The pipeline is deactivated.", pipeline_id)
            except Exception:  # it must not keep the service from starting; the next start tries again
                LOG.exception("What the killed run %s has left could not be ended", file.name)
                file.let_go()
            else:
                file.remove()
        self._killed_runs.clear()

    def _add_key(self, role: str, name: str, pipeline_id: str | None = None) -> Credentials:
        access_key, secret = new_key()
        self._insert_key(access_key, secret, role, name, pipeline_id)
        return Credentials(access_key, secret)

    def _insert_key(self, access_key: str, secret: str, role: str, name: str, pipeline_id: str | None) -> None:
        with self.engine.turn() as turn:
            insert_key(
                turn.tx,
                self.engine.secrets,
                turn.now,
                access_key,
                secret,
                role=role,
                name=name,
                owner=self.owner,
                pipeline_id=pipeline_id,
            )

    def _own_key(self) -> Credentials:
        return self._add_key("admin", "penstock run")

    def _shared_key(self) -> Credentials:
        """The key of the data directory's credentials file, which a first start makes."""
        path = self.options.data_dir / FILE
        found = read_credentials(path)
        if found is not None:
            self._insert_key(found.access_key, found.secret_key, "admin", "first key", None)  # unless it is there
            self._check_shared_key(path, found)
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

    def _check_shared_key(self, path: Path, found: Credentials) -> None:
        """Whoever is told to use the file must be let in by the store."""
        with self.engine.store.snapshot() as tx:
            row = tx.one("key_by_id", access_key=found.access_key)
        assert row is not None
        if row["revoked_at"] is not None:
            problem = "was revoked"
        elif self.engine.secrets.reveal(row["secret"]) != found.secret_key:
            problem = "has another secret in the store"
        else:
            return
        raise ServiceNotStarted(
            f"The key {found.access_key} of {path} {problem}, so nobody could use it. Correct the file, or move it"
            " away: the next start makes a new key."
        )


def _server_name() -> str:
    """A new name, by which people see where a task ran."""
    return f"{socket.gethostname()}-{uuid.uuid4().hex[:12]}"


def _settings(options: ServiceOptions) -> Settings:
    if not options.is_run:
        return load_settings(options.config)
    logging.getLogger("penstock").setLevel(logging.ERROR)
    return load_settings(options.config, RUN_DEFAULTS)
