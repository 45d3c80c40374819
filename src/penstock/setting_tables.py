"""Tables of `penstock.toml` as the fields of dataclasses, and what is wrong with them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any


class SettingsError(Exception):
    """A setting is unknown or wrong; the text names the file, the setting and the remedy."""


def is_number(value: Any) -> bool:
    """Whether it is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def as_table(path: Path, name: str, value: Any) -> dict[str, Any]:
    """The table of a name. Raises SettingsError."""
    if not isinstance(value, dict):
        raise SettingsError(f"{path}: '{name}' must be a table, as in [{name}].")
    return value


def read_table(path: Path, name: str, value: Any, cls: type, required: set[str] | None = None) -> dict[str, Any]:
    """The entries of a table for the fields of a dataclass, which are texts and numbers. Raises SettingsError."""
    table = as_table(path, name, value)
    kinds = {entry.name: entry for entry in fields(cls)}
    check_known(path, name + ".", table, set(kinds))
    for key in (required or set()) - set(table):
        raise SettingsError(f"{path}: '{name}' lacks '{key}'.")
    for key, entry in table.items():
        is_numeric = "float" in str(kinds[key].type) or "int" in str(kinds[key].type)
        if is_numeric != is_number(entry) or not (is_numeric or isinstance(entry, str)):
            raise SettingsError(f"{path}: '{name}.{key}' must be {'a number' if is_numeric else 'a text'}.")
        if kinds[key].type == "int" and not isinstance(entry, int):
            raise SettingsError(f"{path}: '{name}.{key}' is {entry}; it must be a whole number.")
        if is_numeric and not 0 <= entry < math.inf:
            raise SettingsError(f"{path}: '{name}.{key}' is {entry}; it must not be negative, nor endless.")
    return table


def check_known(path: Path, prefix: str, table: Mapping[str, Any], known: set[str]) -> None:
    """Raise SettingsError for a key that is not known; `prefix` is the table's name and a dot."""
    for key in table:
        if key not in known:
            names = ", ".join(sorted(known))
            raise SettingsError(f"{path}: there is no setting '{prefix}{key}'; known ones are {names}.")
