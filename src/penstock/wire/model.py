"""Service models in botocore's format (`service-2.json`) as plain frozen data.

Only what a JSON service needs is read: operations, shapes and their limits. botocore is never imported; its
models are read from its data folder.
"""

from __future__ import annotations

import functools
import gzip
import importlib.util
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

SHAPE_TYPES = frozenset(
    (
        "structure",
        "list",
        "map",
        "string",
        "character",
        "integer",
        "long",
        "float",
        "double",
        "boolean",
        "blob",
        "timestamp",
    )
)


@dataclass(frozen=True, slots=True)
class ShapeRef:
    """Where one shape uses another: the shape's name, its name on the wire if that differs, a time format."""

    shape: str
    wire_name: str | None = None
    timestamp_format: str | None = None


@dataclass(frozen=True, slots=True)
class Shape:
    """One shape of a model with its limits.

    `min` and `max` bound the length of strings (code points), blobs (bytes), lists and maps, and the value of
    numbers. A `document` is free JSON; of a `union` exactly one member is set; no error shows what is `sensitive`.
    """

    name: str
    type: str
    members: Mapping[str, ShapeRef] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    member: ShapeRef | None = None
    key: ShapeRef | None = None
    value: ShapeRef | None = None
    min: float | None = None
    max: float | None = None
    pattern: str | None = None
    enum: tuple[str, ...] = ()
    timestamp_format: str | None = None
    union: bool = False
    document: bool = False
    sensitive: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: its input and output shapes (None where it has none) and the codes of its errors."""

    name: str
    input: Shape | None
    output: Shape | None
    errors: list[str]


@dataclass(frozen=True, eq=False)
class ServiceModel:
    """A service: its names, its operations and its shapes. Two models are equal only if they are the same."""

    name: str
    endpoint_prefix: str
    target_prefix: str
    api_version: str
    signing_name: str
    json_version: str
    operations: Mapping[str, Operation]
    shapes: Mapping[str, Shape]


def read_model(document: Mapping[str, Any]) -> ServiceModel:
    """The model that a parsed `service-2.json` describes; ValueError if it is not a JSON service's."""
    metadata = document["metadata"]
    prefix = metadata.get("endpointPrefix", "")
    name = metadata.get("serviceId") or metadata.get("serviceFullName") or prefix
    if "json" not in (metadata.get("protocol"), *metadata.get("protocols", ())):
        raise ValueError(
            f"The service model {name!r} speaks the protocol {metadata.get('protocol')!r}; only 'json' is supported"
        )
    shapes = {key: _shape(key, value) for key, value in document["shapes"].items()}
    return ServiceModel(
        name=name,
        endpoint_prefix=prefix,
        target_prefix=metadata["targetPrefix"],
        api_version=metadata["apiVersion"],
        signing_name=metadata.get("signingName", prefix),
        json_version=str(metadata.get("jsonVersion", "1.0")),
        operations=MappingProxyType(
            {key: _operation(key, value, shapes) for key, value in document["operations"].items()}
        ),
        shapes=MappingProxyType(shapes),
    )


def load_model(path: Path | Traversable) -> ServiceModel:
    """The model in one file, `.json` or `.json.gz`."""
    content = path.read_bytes()
    return read_model(json.loads(gzip.decompress(content) if path.name.endswith(".gz") else content))


@functools.cache
def load_botocore_model(service: str) -> ServiceModel:
    """The newest model that the installed botocore has of a service, named as its data folder names it.

    LookupError says which of botocore, the service or the model file is missing.
    """
    spec = importlib.util.find_spec("botocore")
    if spec is None or not spec.submodule_search_locations:
        raise LookupError("botocore is not installed, and the service models are read from it")
    folder = Path(spec.submodule_search_locations[0], "data", service)
    if not folder.is_dir():
        raise LookupError(f"The installed botocore has no service {service!r}")
    for version in sorted((entry for entry in folder.iterdir() if entry.is_dir()), reverse=True):
        for name in ("service-2.json.gz", "service-2.json"):
            if (version / name).is_file():
                return load_model(version / name)
    raise LookupError(f"The installed botocore has no service-2.json of {service!r}")


@functools.cache
def load_penstock_model() -> ServiceModel:
    """The model of our own operations."""
    return load_model(files("penstock") / "models" / "penstock" / "2026-11-20" / "service-2.json")


def concealing(model: ServiceModel, shapes: Collection[str]) -> ServiceModel:
    """The model with more shapes marked as sensitive: errors do not show their values. KeyError for unknown ones."""
    marked = {name: replace(model.shapes[name], sensitive=True) for name in shapes}
    return replace(model, shapes=MappingProxyType({**model.shapes, **marked}))


def _operation(name: str, entry: Mapping[str, Any], shapes: Mapping[str, Shape]) -> Operation:
    def named(part: str) -> Shape | None:
        return shapes[entry[part]["shape"]] if part in entry else None

    return Operation(name, named("input"), named("output"), [error["shape"] for error in entry.get("errors", ())])


def _shape(name: str, entry: Mapping[str, Any]) -> Shape:
    if entry["type"] not in SHAPE_TYPES:
        raise ValueError(f"The shape {name} is of type {entry['type']!r}, which is not supported")
    return Shape(
        name=name,
        type=entry["type"],
        members=MappingProxyType({key: _ref(value) for key, value in entry.get("members", {}).items()}),
        required=tuple(entry.get("required", ())),
        member=_ref(entry["member"]) if "member" in entry else None,
        key=_ref(entry["key"]) if "key" in entry else None,
        value=_ref(entry["value"]) if "value" in entry else None,
        min=entry.get("min"),
        max=entry.get("max"),
        pattern=entry.get("pattern"),
        enum=tuple(entry.get("enum", ())),
        timestamp_format=entry.get("timestampFormat"),
        union=entry.get("union", False),
        document=entry.get("document", False),
        sensitive=entry.get("sensitive", False),
    )


def _ref(entry: Mapping[str, Any]) -> ShapeRef:
    return ShapeRef(entry["shape"], entry.get("locationName"), entry.get("timestampFormat"))
