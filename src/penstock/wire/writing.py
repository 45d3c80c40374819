"""Makes what `json` can write of Python values, by their shapes; a function is put together once for each shape."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from penstock.wire.findings import Path, path_text
from penstock.wire.model import ServiceModel, Shape, ShapeRef
from penstock.wire.scalars import write_blob, write_timestamp

Writer: TypeAlias = "Callable[[Any], Any]"

_SCALARS: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "character": str,
    "boolean": bool,
    "integer": int,
    "long": int,
    "float": (int, float),
    "double": (int, float),
}


class Unfit(Exception):
    """A value that its shape cannot hold, a programming error; `steps` lead to it, the last one first."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.steps: list[str | int | tuple[str]] = []

    def __str__(self) -> str:
        path: Path = None
        for step in reversed(self.steps):
            path = (path, step)
        return (f" at '{path_text(path)}'" if path else "") + f": {self.args[0]}"


@functools.lru_cache(maxsize=1024)
def writer(model: ServiceModel, shape: str) -> Writer:
    """The function that turns a value of a shape into what `json` writes; it raises Unfit."""
    made: dict[tuple[str, str | None], Writer] = {}

    def write_by(ref: ShapeRef) -> Writer:
        key = (ref.shape, ref.timestamp_format)
        if key in made:
            return made[key]
        target = model.shapes[ref.shape]
        if target.document:
            made[key] = _as_it_is
        elif target.type == "structure":
            entries: dict[str, tuple[str, Writer, bool]] = {}
            # Registered before its members, since a structure may hold itself.
            made[key] = _structure_writer(target, entries)
            for name, member in target.members.items():
                is_text = model.shapes[member.shape].type == "string"
                entries[name] = (member.wire_name or name, write_by(member), is_text)
        elif target.type == "list" and target.member:
            made[key] = _list_writer(target, write_by(target.member))
        elif target.type == "map" and target.value:
            made[key] = _map_writer(target, write_by(target.value))
        else:
            made[key] = _scalar_writer(target, ref.timestamp_format)
        return made[key]

    return write_by(ShapeRef(shape))


def _as_it_is(value: Any) -> Any:
    return value


def _structure_writer(shape: Shape, entries: Mapping[str, tuple[str, Writer, bool]]) -> Writer:
    def write_structure(value: Any) -> Any:
        if type(value) is not dict and not isinstance(value, Mapping):
            raise _unfit(value, shape)
        result = {}
        for name, item in value.items():
            if name not in entries:
                raise Unfit(f"the shape {shape.name} has no member '{name}'")
            if item is not None:
                key, write, is_text = entries[name]
                if is_text and type(item) is str:  # nearly everything is: the call costs more than the rest
                    result[key] = item
                    continue
                try:
                    result[key] = write(item)
                except Unfit as unfit:
                    unfit.steps.append(name)
                    raise
        return result

    return write_structure


def _list_writer(shape: Shape, write: Writer) -> Writer:
    def write_list(value: Any) -> Any:
        if not isinstance(value, list | tuple):
            raise _unfit(value, shape)
        try:
            return [write(item) for item in value]
        except Unfit as unfit:
            unfit.steps.append(_first_unfit(enumerate(value), write))
            raise

    return write_list


def _map_writer(shape: Shape, write: Writer) -> Writer:
    def write_map(value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise _unfit(value, shape)
        try:
            return {key: write(item) for key, item in value.items()}
        except Unfit as unfit:
            unfit.steps.append((str(_first_unfit(value.items(), write)),))
            raise

    return write_map


def _first_unfit(items: Iterable[tuple[Any, Any]], write: Writer) -> Any:
    """Where the first unfit item is: looked up only when there is one."""
    for step, item in items:
        try:
            write(item)
        except Unfit:
            return step
    raise AssertionError("an item was unfit a moment ago")


def _scalar_writer(shape: Shape, timestamp_format: str | None) -> Writer:
    form = timestamp_format or shape.timestamp_format

    def write_special(value: Any) -> Any:
        try:
            return write_blob(value) if shape.type == "blob" else write_timestamp(value, form)
        except (TypeError, ValueError) as error:
            raise Unfit(str(error)) from None

    def write_text(value: Any) -> Any:
        if isinstance(value, str):
            return value
        raise _unfit(value, shape)

    def write_scalar(value: Any) -> Any:
        if not isinstance(value, _SCALARS.get(shape.type, ())) or (shape.type == "boolean") != isinstance(value, bool):
            raise _unfit(value, shape)
        return _named(value) if isinstance(value, float) and not math.isfinite(value) else value

    if shape.type in ("timestamp", "blob"):
        return write_special
    return write_text if shape.type in ("string", "character") else write_scalar


def _unfit(value: Any, shape: Shape) -> Unfit:
    return Unfit(f"{type(value).__name__} is not the type {shape.type} of the shape {shape.name}")


def _named(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
