"""Settings, typed: the data directory, and what `penstock.toml` says."""

from __future__ import annotations

import math
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from penstock.setting_tables import SettingsError as SettingsError
from penstock.setting_tables import as_table, check_known, is_number, read_table
from penstock.storage_settings import BUCKET_KEYS, STORAGE_KEYS, StorageSettings, WrongSetting, read_storage

_HTTP = re.compile(r"https?://[^\s/]+\S*")
SHORTEST = 0.05  # seconds between two reports: more of them would only keep a server busy
LEAST_RECORD, MOST_RECORD = 1 << 20, 1 << 30  # bytes: files are read in pieces, and a value is never larger
_TARGET = re.compile(r"sns$|[A-Za-z][\w+.-]*://\S")


@dataclass(frozen=True)
class DatabaseSetting:
    """The real address of a database that a definition names (`[databases."NAME"]`)."""

    url: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class EngineSettings:
    """The engine's times, in seconds, and its limits (`[engine]`).

    `lease` is how long a task runner may be silent, `system_lease` how long the one that is built into a server may:
    after that another server has the service's own tasks, which host resources and ask preconditions.
    """

    acknowledge_within: float = 120.0
    lease: float = 900.0
    system_lease: float = 60.0
    retry_delay: float = 600.0
    precondition_interval: float = 60.0
    maximum_retries: int = 2
    max_active_instances: int = 5
    long_poll: float = 45.0


@dataclass(frozen=True)
class RunnerSettings:
    """A task runner's times, in seconds (`[runner]`).

    `report` is how often it reports on what it works at, `answer_within` how long it waits for the answer of anything
    but a poll.
    """

    report: float = 10.0
    answer_within: float = 20.0


@dataclass(frozen=True)
class SnsSettings:
    """Where SnsAlarms go to SNS (`[sns]`); keys and region that are not given are those that botocore finds."""

    endpoint: str | None = None
    region: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class AlarmSetting:
    """Where the alarms of a topic go (`[alarms."TOPIC_ARN"]`): URLs of apprise, or `sns`. They may hold secrets."""

    to: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True)
class DeliverySettings:
    """How alarms are delivered (`[delivery]`), in seconds.

    After each try that failed comes the next one of `pauses`, and after the last of them no try. `lease` is how long
    one try may take before another server makes it.
    """

    pauses: tuple[float, ...] = (1, 5, 30, 300, 1800, 7200, 21600, 54000)  # a day in all
    lease: float = 120.0


@dataclass(frozen=True)
class LogSettings:
    """How much of a log a server keeps that a task runner elsewhere sends (`[logs]`), in bytes for each file."""

    keep_bytes: int = 16 * 1024 * 1024


@dataclass(frozen=True)
class DataSettings:
    """What a task runner holds of data at once (`[data]`): `longest_record` in bytes, of a record in a file."""

    longest_record: int = 64 * 1024 * 1024


@dataclass(frozen=True)
class RetentionSettings:
    """How much history a server keeps (`[retention]`); 0 is all of it, and what a setting names goes beyond it."""

    instances_days: float = 0.0
    instances_per_component: int = 0
    events_days: float = 0.0
    logs_days: float = 0.0
    definition_versions: int = 0

    @property
    def is_on(self) -> bool:
        """Whether anything is ever deleted."""
        return any(getattr(self, entry.name) for entry in fields(self))


@dataclass(frozen=True)
class OpenLineageSettings:
    """Where task runners tell what data their activities read and write (`[openlineage]`), by OpenLineage's HTTP.

    `url` and `endpoint` are joined, `namespace` is that of the jobs, `timeout` in seconds is for one event.
    """

    url: str
    api_key: str | None = field(default=None, repr=False)
    namespace: str = "penstock"
    endpoint: str = "api/v1/lineage"
    timeout: float = 5.0


@dataclass(frozen=True)
class RedshiftSettings:
    """How real Redshift clusters reach S3 (`[redshift]`): by a role or by keys; the embedded warehouse needs none.

    `staging` is a place in S3, such as `s3://bucket/staging`, where the rows of other tables lie while they are loaded.
    """

    iam_role: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)
    region: str | None = None
    staging: str | None = None


@dataclass(frozen=True)
class Settings:
    """Everything that `penstock.toml` can say."""

    databases: Mapping[str, DatabaseSetting] = field(default_factory=dict)
    engine: EngineSettings = field(default_factory=EngineSettings)
    sns: SnsSettings | None = None
    alarms: Mapping[str, AlarmSetting] = field(default_factory=dict)
    delivery: DeliverySettings = field(default_factory=DeliverySettings)
    retention: RetentionSettings = field(default_factory=RetentionSettings)
    logs: LogSettings = field(default_factory=LogSettings)
    runner: RunnerSettings = field(default_factory=RunnerSettings)
    storage: StorageSettings = field(default_factory=StorageSettings)
    openlineage: OpenLineageSettings | None = None
    redshift: RedshiftSettings = field(default_factory=RedshiftSettings)
    data: DataSettings = field(default_factory=DataSettings)


def load_settings(path: Path | None, defaults: EngineSettings | None = None) -> Settings:
    """Read a settings file; what it does not say has its default. Raises SettingsError."""
    defaults = defaults or EngineSettings()
    if path is None:
        return Settings(engine=defaults)
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is no TOML file: {error}.") from error
    known = {"databases", "engine", "sns", "alarms", "delivery", "logs", "retention", "runner", "storage", "buckets"}
    check_known(path, "", document, known | {"redshift", "openlineage", "data"})
    databases = {
        name: DatabaseSetting(**read_table(path, f'databases."{name}"', table, DatabaseSetting, required={"url"}))
        for name, table in as_table(path, "databases", document.get("databases", {})).items()
    }
    engine = replace(defaults, **read_table(path, "engine", document.get("engine", {}), EngineSettings))
    return Settings(
        databases,
        engine,
        _sns(path, document),
        _alarms(path, document),
        _delivery(path, document),
        RetentionSettings(**read_table(path, "retention", document.get("retention", {}), RetentionSettings)),
        LogSettings(**read_table(path, "logs", document.get("logs", {}), LogSettings)),
        _runner(path, document),
        _storage(path, document),
        _openlineage(path, document),
        redshift=RedshiftSettings(**read_table(path, "redshift", document.get("redshift", {}), RedshiftSettings)),
        data=_data(path, document),
    )


def _storage(path: Path, document: Mapping[str, Any]) -> StorageSettings:
    table = as_table(path, "storage", document["storage"]) if "storage" in document else None
    check_known(path, "storage.", table or {}, STORAGE_KEYS)
    buckets = {}
    for name, entry in as_table(path, "buckets", document.get("buckets", {})).items():
        buckets[name] = as_table(path, f'buckets."{name}"', entry)
        check_known(path, f'buckets."{name}".', buckets[name], BUCKET_KEYS)
        if "url" not in buckets[name]:
            raise SettingsError(f"{path}: 'buckets.\"{name}\"' lacks 'url'.")
    try:
        return read_storage(table, buckets)
    except WrongSetting as error:
        raise SettingsError(f"{path}: {error}") from error


def _runner(path: Path, document: Mapping[str, Any]) -> RunnerSettings:
    table = read_table(path, "runner", document.get("runner", {}), RunnerSettings)
    for key, seconds in table.items():
        if seconds < SHORTEST:
            raise SettingsError(f"{path}: 'runner.{key}' is {seconds}; it must be at least {SHORTEST} seconds.")
    return RunnerSettings(**table)


def _data(path: Path, document: Mapping[str, Any]) -> DataSettings:
    made = DataSettings(**read_table(path, "data", document.get("data", {}), DataSettings))
    if not LEAST_RECORD <= made.longest_record <= MOST_RECORD:
        raise SettingsError(
            f"{path}: 'data.longest_record' is {made.longest_record}; it must be {LEAST_RECORD:,} to {MOST_RECORD:,}"
            " bytes."
        )
    return made


def _openlineage(path: Path, document: Mapping[str, Any]) -> OpenLineageSettings | None:
    if "openlineage" not in document:
        return None
    table = read_table(path, "openlineage", document["openlineage"], OpenLineageSettings, required={"url"})
    made = OpenLineageSettings(**table)
    if not _HTTP.fullmatch(made.url) or "@" in made.url.partition("://")[2].partition("/")[0]:
        raise SettingsError(  # without the value: it may hold a password
            f"{path}: 'openlineage.url' is no URL; write http://HOST:PORT or https://HOST, and a key in 'api_key'."
        )
    if made.timeout < SHORTEST:
        raise SettingsError(f"{path}: 'openlineage.timeout' is {made.timeout}; it must be at least {SHORTEST} seconds.")
    return made


def _sns(path: Path, document: Mapping[str, Any]) -> SnsSettings | None:
    if "sns" not in document:
        return None
    made = SnsSettings(**read_table(path, "sns", document["sns"], SnsSettings))
    if made.endpoint is not None and not _HTTP.fullmatch(made.endpoint):
        raise SettingsError(f"{path}: 'sns.endpoint' is no URL; write http://HOST:PORT or https://HOST.")
    if (made.access_key_id is None) != (made.secret_access_key is None):
        raise SettingsError(f"{path}: 'sns' needs both 'access_key_id' and 'secret_access_key', or neither.")
    return made


def _alarms(path: Path, document: Mapping[str, Any]) -> dict[str, AlarmSetting]:
    found = {}
    for topic, entry in as_table(path, "alarms", document.get("alarms", {})).items():
        name = f'alarms."{topic}"'
        table = as_table(path, name, entry)
        check_known(path, name + ".", table, {"to"})
        if "*" in topic[:-1]:
            raise SettingsError(f"{path}: '{name}' has a * that is not its last character; it stands for any ending.")
        to = table.get("to")
        targets = tuple(to) if isinstance(to, list) else (to,)
        if not targets or not all(isinstance(target, str) and _TARGET.match(target) for target in targets):
            raise SettingsError(  # without the value: it may hold a password
                f'{path}: \'{name}.to\' must be a list of URLs as apprise has them, such as "mailto://…", or "sns".'
            )
        if "sns" in targets and "sns" not in document:
            raise SettingsError(f"{path}: '{name}.to' names sns, but there is no table [sns]; add one, even if empty.")
        found[topic] = AlarmSetting(targets)
    return found


def _delivery(path: Path, document: Mapping[str, Any]) -> DeliverySettings:
    table = dict(as_table(path, "delivery", document.get("delivery", {})))
    pauses = table.pop("pauses", DeliverySettings.pauses)
    if not isinstance(pauses, list | tuple) or not all(is_number(pause) and 0 <= pause < math.inf for pause in pauses):
        raise SettingsError(f"{path}: 'delivery.pauses' must be a list of seconds, as in [1, 5, 30].")
    check_known(path, "delivery.", table, {"lease", "pauses"})
    return DeliverySettings(tuple(pauses), **read_table(path, "delivery", table, DeliverySettings))


def make_data_dir(folder: Path) -> None:
    """Make the data directory, for its owner only, and see that files can be made in it. Raises SettingsError."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = folder / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise SettingsError(
            f"The data directory {folder} is not writable: {error.strerror}. Give another with --data-dir or"
            " PENSTOCK_DATA_DIR, or change its owner."
        ) from error


def choose_data_dir(given: Path | None) -> Path:
    """`--data-dir`, else `$PENSTOCK_DATA_DIR`, else `./.penstock`."""
    if given is not None:
        return given
    return Path(os.environ.get("PENSTOCK_DATA_DIR") or ".penstock")
