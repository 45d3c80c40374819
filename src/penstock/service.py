"""A whole service in one process: store, engine, API over HTTP, and a task runner for the service's own tasks."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
import uuid
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from penstock.api.application import Application
from penstock.api.metrics import MetricsServer
from penstock.api.server import Server, check_host, endpoints, listen
from penstock.api.tls import ServerNotStarted, given_certificate
from penstock.cli.composition import ServiceNotStarted, ServiceOptions
from penstock.cli.credentials import NoCredentials, data_pipeline_client, penstock_client
from penstock.clock import SystemClock
from penstock.data.log_files import LogFiles
from penstock.data.seaweedfs import NotInstalled, NotStarted
from penstock.data.storage import Storage
from penstock.engine.alarm_targets import make_targets
from penstock.engine.delivery import Deliverer
from penstock.engine.engine import Engine
from penstock.engine.plan import SYSTEM_GROUP
from penstock.engine.recovery import end_run, recover, release
from penstock.locks import IN_USE, HeldFile, hold, hold_abandoned
from penstock.log_lines import about
from penstock.objects import load_catalogue
from penstock.runner.commands import clean_environment
from penstock.runner.event_sender import EventSender
from penstock.runner.guard import Guard
from penstock.runner.pace import Pace
from penstock.runner.place import Place
from penstock.runner.runner import Runner
from penstock.service_keys import UnusableKey, add_key, delete_system_keys, shared_key
from penstock.settings import EngineSettings, Settings, SettingsError, load_settings, make_data_dir
from penstock.storage_in_use import use_storage
from penstock.store.database import StoreError, open_store
from penstock.store.secrets import MasterKeyError, Secrets
from penstock.wire.sigv4 import Credentials

LOG = logging.getLogger(__name__)
SERVERS, RUNS = "servers", "runs"  # folders of the data directory with a held file for each process
RUN = "run:"  # what the owners of runs' pipelines begin with
SYSTEM_TASKS = 4
START_SECONDS = 20.0
DELIVERERS = 4  # threads: alarms to as many slow targets do not hold up the others
DELIVERY_SECONDS = 10.0  # for the alarms that are due when the service ends
LOOK_SECONDS = 30.0  # between two looks for runs that were killed
_NOT_STARTED = (
    SettingsError,
    StoreError,
    MasterKeyError,
    NoCredentials,
    UnusableKey,
    ServerNotStarted,
    NotInstalled,
    NotStarted,
)
# Somebody waits for the end of a run, and no other service could take over what its own tasks do.
RUN_DEFAULTS = EngineSettings(retry_delay=0.0, precondition_interval=2.0, system_lease=EngineSettings.lease)


class EmbeddedService:
    """Starts everything when it is made; raises ServiceNotStarted."""

    def __init__(self, options: ServiceOptions) -> None:
        self.options = options
        self.metrics_url: str | None = None
        self._metrics: MetricsServer | None = None
        self._held: list[HeldFile] = []
        self._killed_runs: list[HeldFile] = []
        self._stopping = threading.Event()
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
            targets_of = make_targets(self.settings, options.config)
            self._certificate = given_certificate(options.tls_cert, options.tls_key, SystemClock().now())
            check_host(options.host, self._certificate, is_insecure=options.is_insecure)
            self._socket = listen(options.host, options.port)
            self._opened.callback(self._socket.close)
            make_data_dir(options.data_dir)
            self._in_use = self._use_data_dir()
            self._opened.callback(self._in_use.let_go)
            self._storage = use_storage(self.settings.storage, options.data_dir.absolute())
            self._opened.callback(self._storage.end)
            self.name = self._hold_name()
            self.owner = RUN + self.name if options.is_run else ""
            store = open_store(options.store, options.data_dir)
            self._opened.callback(store.close)
            secrets = Secrets(options.data_dir)
            secrets.tie(store)
            self.engine = Engine(
                store,
                load_catalogue(),
                SystemClock(store.clock_offset),
                self.settings,
                secrets,
                self.owner,
                None if options.is_run else options.data_dir.absolute(),
            )
            self.engine.targets_of = targets_of
            self.credentials = (
                add_key(self.engine, "admin", "penstock run")
                if options.is_run
                else shared_key(self.engine, options.data_dir)
            )
            self.application = Application(self.engine, self._log_files())
            if options.metrics_port is not None:
                self._metrics = MetricsServer(self.application, options.metrics_host, options.metrics_port)
                self._opened.callback(self._metrics.stop)
                self.metrics_url = self._metrics.url
            self._server = Server(self.application, self._socket, self._certificate)
        except _NOT_STARTED as error:
            raise ServiceNotStarted(str(error)) from error
        self.endpoint, self._own_endpoint = endpoints(self._socket, options.host, self._certificate)
        self.is_self_signed = self._certificate is not None and self._certificate.is_self_signed
        self._end_killed_runs()
        self._recover()
        store.listen(self.engine.hear)
        self._loop = threading.Thread(target=self.engine.loop, name="engine", daemon=True)
        self._loop.start()
        self._watch = threading.Thread(target=self._watch_runs, name="runs", daemon=True)
        if not options.is_run:
            self._watch.start()
        self._deliverer = Deliverer(self.engine, DELIVERERS if self.settings.alarms or self.settings.sns else 1)
        self._deliverer.start()
        self._runners: list[Runner] = []
        lineage = self.settings.openlineage
        self._events = EventSender(lineage) if lineage is not None else None
        if options.has_runner:
            system = add_key(self.engine, "system", self.name)
            self._start_runner(system, [SYSTEM_GROUP], SYSTEM_TASKS, hostname=self.name if not options.is_run else None)

    def embedded_storage(self, bucket: str) -> Storage | None:
        """The embedded storage, if this bucket is there."""
        return self._storage.embedded(bucket)

    def storage_place(self, data_dir: Path) -> str:
        """Where s3:// is, for people: a folder of the data directory (as it was given), or an endpoint."""
        return self._storage.place(data_dir)

    def start_runner(self, pipeline_id: str, groups: list[str]) -> None:
        """Start a task runner for worker groups of one pipeline; its key reaches no other."""
        self._start_runner(add_key(self.engine, "runner", pipeline_id, pipeline_id), groups, 2)

    def _start_runner(
        self, credentials: Credentials, groups: list[str], tasks: int, hostname: str | None = None
    ) -> None:
        certificate = self._certificate.der if self._certificate else None
        place = Place(
            endpoint=self._own_endpoint,
            data_dir=self.options.data_dir.absolute(),
            storage=self._storage.storage,
            environment={**clean_environment(), **self._storage.environment},
            clock=self.engine.clock,
            settings=self.settings,
            guard=Guard(),
            events=self._events,
            config=self.options.config,
            hostname=hostname or socket.gethostname(),
            certificate=certificate,
        )
        runner = Runner(
            partial(data_pipeline_client, self._own_endpoint, credentials, certificate),
            self.engine.catalogue,
            place,
            groups,
            tasks=tasks,
            pace=Pace(report=self._report_seconds(), answer=self.settings.runner.answer_within),
            ends=penstock_client(self._own_endpoint, credentials, certificate),
        )
        runner.start()
        self._runners.append(runner)

    def _report_seconds(self) -> float:
        """How often a runner reports: several times within the lease of the service's own tasks."""
        wanted = 2.0 if self.options.is_run else self.settings.runner.report
        return min(wanted, max(0.1, self.settings.engine.system_lease / 4))

    def stop(self) -> None:
        """End the runners with their tasks, then the service; a run's pipeline belongs to servers from now on."""
        self._stopping.set()
        for runner in self._runners:
            runner.stop()
        deadline = time.monotonic() + START_SECONDS
        while any(runner.held.all() for runner in self._runners) and time.monotonic() < deadline:
            time.sleep(0.02)
        self._server.end_polls()
        for runner in self._runners:
            runner.close()
        if self._events is not None:
            self._events.close()
        self._server.stop(wait=not self.options.is_run)  # a run has no other callers, and its process is about to end
        self.engine.stop()
        self._loop.join(START_SECONDS)
        if self._watch.is_alive():
            self._watch.join(START_SECONDS)
        self._deliverer.stop(within=DELIVERY_SECONDS)
        try:
            self._sign_off()
        except self.engine.store.unavailable as error:
            LOG.warning("The store cannot be used, and the next start puts in order what is left in it: %s", error)
        if self._metrics is not None:
            self._metrics.stop()
        self.engine.store.close()
        self._storage.end()
        self._in_use.let_go()
        for file in self._held:
            if self.owner:
                file.remove()
            else:
                file.let_go()
        self._held.clear()

    def _sign_off(self) -> None:
        """Leave nothing in the store that is this process's own."""
        if self.owner:
            self._tell_of_alarms()
            release(self.engine, self.owner)
        elif self.name:
            delete_system_keys(self.engine, self.name)

    def _tell_of_alarms(self) -> None:
        with self.engine.store.snapshot() as tx:
            if tx.one("first_alarm", owner=self.owner) is not None:
                LOG.error(
                    "Not all alarms of this run are delivered yet. `penstock server --data-dir %s%s` goes on trying.",
                    self.options.data_dir,
                    f" --config {self.options.config}" if self.options.config else "",
                )

    def kill(self) -> None:
        """End the commands of all tasks at once; resources' runners read the end of their pipe and follow."""
        for runner in self._runners:
            runner.kill()

    def _log_files(self) -> LogFiles:
        folder = self.options.data_dir.absolute()
        return LogFiles(folder, self._storage.storage, self.settings.logs.keep_bytes)

    def _use_data_dir(self) -> HeldFile:
        """Hold the data directory together with other servers and runs, so that nothing else takes it for unused."""
        folder = self.options.data_dir
        try:
            held = hold(folder / IN_USE, shared=True)
        except OSError as error:
            raise _no_locks(folder, error) from error
        if held is None:
            raise ServiceNotStarted(
                f"A `penstock restore` or `penstock keys rotate-master` works on {folder}. Start when it has ended."
            )
        return held

    def _hold_name(self) -> str:
        """The name by which the store knows this process, held as a file of the data directory while it lives.

        A server takes a name that an earlier one has left, and with it that one's tasks; it takes none if it leaves
        the service's own tasks to others. A run's name is always new.
        """
        try:
            self._find_killed_runs()
            if self.options.is_run:
                return self._hold_new(RUNS)
            if not self.options.has_runner:
                return ""
            self._held = hold_abandoned(self.options.data_dir / SERVERS)
            return self._held[0].name if self._held else self._hold_new(SERVERS, f"{socket.gethostname()}-")
        except OSError as error:
            raise _no_locks(self.options.data_dir, error) from error

    def _hold_new(self, folder: str, prefix: str = "") -> str:
        """Hold a file of a new name; another process may see it first, and take it for one that was left."""
        parent = self.options.data_dir / folder
        parent.mkdir(exist_ok=True)
        while (held := hold(parent / f"{prefix}{uuid.uuid4().hex[:16]}")) is None:
            pass
        self._held.append(held)
        return held.name

    def _find_killed_runs(self) -> None:
        if self.options.store is None:  # runs are in the data directory's own store
            self._killed_runs = hold_abandoned(self.options.data_dir / RUNS)

    def _watch_runs(self) -> None:
        """Look now and then for runs that were killed since the start."""
        while not self._stopping.wait(LOOK_SECONDS):
            with contextlib.suppress(OSError):  # such as too many open files: the next look tries again
                self._find_killed_runs()
                self._end_killed_runs()

    def _recover(self) -> None:
        """Take over what servers of this data directory held that have ended; their names are not needed any more."""
        if self.options.is_run:
            return
        for file in list(self._held):
            delete_system_keys(self.engine, file.name)
            recover(self.engine, file.name)
            if file.name != self.name:
                file.remove()
                self._held.remove(file)

    def _end_killed_runs(self) -> None:
        """Deactivate the pipelines of runs that were killed; they belong to servers from now on."""
        for file in self._killed_runs:
            try:
                for pipeline_id in end_run(self.engine, RUN + file.name):
                    LOG.warning(
                        "The `penstock run` of %s was killed. The pipeline is deactivated.",
                        pipeline_id,
                        extra=about(pipeline_id),
                    )
            except Exception:  # it must not keep the service from starting; the next start tries again
                LOG.exception("What the killed run %s has left could not be ended", file.name)
                file.let_go()
            else:
                file.remove()
        self._killed_runs.clear()


def _no_locks(folder: Path, error: OSError) -> ServiceNotStarted:
    return ServiceNotStarted(
        f"The data directory {folder} takes no locks: {error.strerror}."
        " Give one on a local disk with --data-dir or PENSTOCK_DATA_DIR."
    )


def _settings(options: ServiceOptions) -> Settings:
    return load_settings(options.config, RUN_DEFAULTS) if options.is_run else load_settings(options.config)
