"""The pipeline object types: one class per file, one folder per family; other packages add types the same way.

A package that is named by an entry point of the group `penstock.objects` is walked, and every class in it that is
declared with slots and is not abstract becomes a type.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from importlib.metadata import entry_points

from penstock.definition.slots import Catalogue, Declared


class CatalogueError(Exception):
    """A package of object types cannot be used; the text names it and the remedy."""


@cache
def load_catalogue() -> Catalogue:
    """Every type there is, read from the packages of the entry-point group; raises CatalogueError."""
    types: dict[str, type[Declared]] = {}
    for entry in sorted(
        entry_points(group="penstock.objects"), key=lambda entry: (entry.name != "penstock", entry.name)
    ):
        try:
            classes = _classes_in(entry.value)
        except Exception as error:  # whatever somebody else's package raises, it names that package
            raise CatalogueError(
                f"The package '{entry.value}' of object types cannot be imported: {error!r}. Mend it or uninstall it."
            ) from error
        for cls in classes:
            known = types.setdefault(cls.type_name(), cls)
            if known is not cls:
                raise CatalogueError(
                    f"The type {cls.type_name()} is declared by {known.__module__} and by {cls.__module__}; rename one."
                )
    return Catalogue(types)


def _classes_in(package_name: str) -> list[type[Declared]]:
    package = importlib.import_module(package_name)
    modules = [package]
    if hasattr(package, "__path__"):
        for found in pkgutil.walk_packages(package.__path__, package_name + "."):
            modules.append(importlib.import_module(found.name))
    return [
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, Declared)
        and not value.is_abstract
        and value.__module__ == module.__name__
    ]
