"""Settings, typed: the data directory, and what `penstock.toml` says."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any


class SettingsError(Exception):
    """A setting is unknown or wrong; the text names the file, the setting and the remedy."""


@dataclass(frozen=True)
class DatabaseSetting:
    """The real address of a database that a definition names (`[databases."NAME"]`)."""

    url: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class EngineSettings:
    """The engine's times, in seconds, and its limits (`[engine]`)."""

    acknowledge_within: float = 120.0
    lease: float = 900.0
    retry_delay: float = 600.0
    precondition_interval: float = 60.0
    maximum_retries: int = 2
    max_active_instances: int = 5
    long_poll: float = 45.0


@dataclass(frozen=True)
class Settings:
    """Everything that `penstock.toml` can say."""

    databases: Mapping[str, DatabaseSetting] = field(default_factory=dict)
    engine: EngineSettings = field(default_factory=EngineSettings)


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
    _only(path, "", document, {"databases", "engine"})
    databases = {
        name: DatabaseSetting(**_table(path, f'databases."{name}"', table, DatabaseSetting, required={"url"}))
        for name, table in _as_table(path, "databases", document.get("databases", {})).items()
    }
    engine = replace(defaults, **_table(path, "engine", document.get("engine", {}), EngineSettings))
    return Settings(databases, engine)


def _as_table(path: Path, name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise SettingsError(f"{path}: '{name}' must be a table, as in [{name}].")
    return value


def _table(path: Path, name: str, value: Any, cls: type, required: set[str] | None = None) -> dict[str, Any]:
    table = _as_table(path, name, value)
    kinds = {entry.name: entry for entry in fields(cls)}
    _only(path, name + ".", table, set(kinds))
    for key in (required or set()) - set(table):
        raise SettingsError(f"{path}: '{name}' lacks '{key}'.")
    for key, entry in table.items():
        is_number = "float" in str(kinds[key].type) or "int" in str(kinds[key].type)
        if is_number != (isinstance(entry, int | float) and not isinstance(entry, bool)):
            raise SettingsError(f"{path}: '{name}.{key}' must be {'a number' if is_number else 'a text'}.")
        if is_number and entry < 0:
            raise SettingsError(f"{path}: '{name}.{key}' is {entry}; it must not be negative.")
    return table


def _only(path: Path, prefix: str, table: Mapping[str, Any], known: set[str]) -> None:
    for key in table:
        if key not in known:
            names = ", ".join(sorted(known))
            raise SettingsError(f"{path}: there is no setting '{prefix}{key}'; known ones are {names}.")


def choose_data_dir(given: Path | None) -> Path:
    """`--data-dir`, else `$PENSTOCK_DATA_DIR`, else `./.penstock`."""
    if given is not None:
        return given
    return Path(os.environ.get("PENSTOCK_DATA_DIR") or ".penstock")
