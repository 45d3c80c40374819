"""Checks a JSON value against its shape and makes Python values of it, finding all problems in one walk.

The same walk serves requests (strict: every limit of the model holds, unknown members are refused) and
answers (lenient: types only, unknown members are passed over).
"""

from __future__ import annotations

import functools
import math
import re
import warnings
from collections.abc import Callable
from typing import Any, TypeAlias

from penstock.wire.findings import MAX_SHOWN, Findings, Path, shortened
from penstock.wire.model import ServiceModel, Shape, ShapeRef
from penstock.wire.scalars import read_blob, read_timestamp

MAX_DEPTH = 100
"""The deepest nesting of a value."""

Reader: TypeAlias = "Callable[[Any, Path, int, Findings], Any]"

_NUMBER_RANGES = {"integer": 2**31, "long": 2**63}
_SPECIAL_FLOATS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_SURROGATE_PAIR = re.compile(r"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")


def problems(model: ServiceModel, shape: Shape, value: object) -> list[str]:
    """All that is wrong with a value of a shape (JSON as parsed; datetimes and bytes may be there already).

    Checked are required and unknown members, types, min, max, enum, pattern and depth. Looking ends at about
    a hundred problems. ValueError if a pattern of the model is one that Python cannot compile.
    """
    found = Findings()
    reader(model, shape.name, True)(value, None, 0, found)
    return found.wrong_types + found.limits


@functools.lru_cache(maxsize=1024)
def reader(model: ServiceModel, shape: str, strict: bool) -> Reader:
    """The function that checks a value of a shape and converts it: (value, path, depth, findings).

    ValueError if a pattern of the model is one that Python cannot compile.
    """
    made: dict[tuple[str, str | None], Reader] = {}

    def read_by(ref: ShapeRef | None) -> Reader:
        if ref is None:
            raise ValueError(f"A list or map of the model {model.name} does not say what it holds")
        key = (ref.shape, ref.timestamp_format)
        if key in made:
            return made[key]
        target = model.shapes[ref.shape]
        if target.document:
            made[key] = _read_document
        elif target.type == "structure":
            entries: dict[str, tuple[str, Reader]] = {}
            # Registered before its members, since a structure may hold itself.
            made[key] = _structure_reader(target, entries, strict)
            for name, member in target.members.items():
                entries[member.wire_name or name] = (name, read_by(member))
        elif target.type == "list":
            made[key] = _list_reader(target, read_by(target.member), strict)
        elif target.type == "map":
            made[key] = _map_reader(target, read_by(target.key), read_by(target.value), strict)
        elif target.type in ("string", "character"):
            made[key] = _string_reader(target, strict)
        else:
            made[key] = _checked_range(target, _SCALARS[target.type], strict)
        return made[key]

    return read_by(ShapeRef(shape))


def _structure_reader(shape: Shape, entries: dict[str, tuple[str, Reader]], strict: bool) -> Reader:
    def read_structure(value: Any, path: Path, depth: int, found: Findings) -> Any:
        if type(value) is not dict:
            return found.wrong_type(path, "an object", value)
        if depth > MAX_DEPTH:
            return found.limit(path, f"Member must not be nested deeper than {MAX_DEPTH} levels")
        result = {}
        for wire_name, item in value.items():
            entry = entries.get(wire_name)
            if entry is None:
                # Services write __type into structures, and clients may send it back.
                if strict and wire_name != "__type":
                    known = shortened(", ".join(entries) or "none", 4 * MAX_SHOWN)
                    found.limit((path, shortened(wire_name)), f"Member is not known; members are: {known}")
                    if found.many:
                        return None
            elif item is not None:
                name, read = entry
                result[name] = read(item, (path, wire_name), depth + 1, found)
        if strict:
            for name in shape.required:
                if name not in result:
                    found.limit((path, shape.members[name].wire_name or name), "Member must not be null")
            if shape.union and len(result) != 1:
                found.limit(path, f"Exactly one member must be set, not {len(result)}")
        return result

    return read_structure


def _list_reader(shape: Shape, read: Reader, strict: bool) -> Reader:
    def read_list(value: Any, path: Path, depth: int, found: Findings) -> Any:
        if type(value) is not list:
            return found.wrong_type(path, "a list", value)
        if strict:
            _check_length(shape, value, len(value), path, found)
        result = []
        for index, item in enumerate(value):
            if item is not None:
                result.append(read(item, (path, index), depth + 1, found))
            elif strict:
                found.limit((path, index), "Member must not be null")
            else:
                result.append(None)
            if found.many:
                break
        return result

    return read_list


def _map_reader(shape: Shape, read_key: Reader, read: Reader, strict: bool) -> Reader:
    def read_map(value: Any, path: Path, depth: int, found: Findings) -> Any:
        if type(value) is not dict:
            return found.wrong_type(path, "an object", value)
        if strict:
            _check_length(shape, value, len(value), path, found)
        result = {}
        for key, item in value.items():
            step: Path = (path, (key,))
            name = read_key(key, step, depth + 1, found)
            if item is not None:
                result[name] = read(item, step, depth + 1, found)
            elif strict:
                found.limit(step, "Member must not be null")
            if found.many:
                break
        return result

    return read_map


def _string_reader(shape: Shape, strict: bool) -> Reader:
    least = shape.min or 0
    most = math.inf if shape.max is None else shape.max
    pattern = _compiled(shape) if strict and shape.pattern is not None else None
    fits = pattern.fullmatch if pattern else None
    enum = frozenset(shape.enum)

    def shown(value: str) -> str | None:
        return None if shape.sensitive else value

    def read_string(value: Any, path: Path, depth: int, found: Findings) -> Any:
        if type(value) is not str:
            return found.wrong_type(path, "a string", value, shown=not shape.sensitive)
        if not strict:
            return value
        if not least <= len(value) <= most:
            _check_length(shape, value, len(value), path, found)
        if fits is not None and fits(value) is None:
            begun = pattern.match(value) if pattern else None
            place = f" (character {begun.end() + 1} does not fit)" if begun else ""
            found.limit(path, f"Member must satisfy regular expression pattern: {shape.pattern}{place}", shown(value))
        if enum and value not in enum:
            allowed = shortened(", ".join(shape.enum), 4 * MAX_SHOWN)
            found.limit(path, f"Member must satisfy enum value set: [{allowed}]", shown(value))
        return value

    return read_string


def _checked_range(shape: Shape, read: Reader, strict: bool) -> Reader:
    if not strict or (shape.min is None and shape.max is None):
        return read

    def read_checked(value: Any, path: Path, depth: int, found: Findings) -> Any:
        result = read(value, path, depth, found)
        if isinstance(result, bytes):
            _check_length(shape, result, len(result), path, found)
        elif isinstance(result, int | float):
            if shape.min is not None and not result >= shape.min:
                found.limit(path, f"Member must have value greater than or equal to {shape.min}", value)
            if shape.max is not None and not result <= shape.max:
                found.limit(path, f"Member must have value less than or equal to {shape.max}", value)
        return result

    return read_checked


def _check_length(shape: Shape, value: object, length: int, path: Path, found: Findings) -> None:
    value = None if shape.sensitive else value
    if shape.min is not None and length < shape.min:
        found.limit(path, f"Member must have length greater than or equal to {shape.min}", value)
    if shape.max is not None and length > shape.max:
        found.limit(path, f"Member must have length less than or equal to {shape.max}", value)


def _read_boolean(value: Any, path: Path, depth: int, found: Findings) -> Any:
    return value if type(value) is bool else found.wrong_type(path, "true or false", value, shown=True)


def _read_whole(kind: str, value: Any, path: Path, depth: int, found: Findings) -> Any:
    # JSON does not tell 5.0 from 5, and clients in JavaScript do not either.
    if type(value) is float and value.is_integer():
        value = int(value)
    bound = _NUMBER_RANGES[kind]
    if type(value) is not int:
        return found.wrong_type(path, "a whole number", value, shown=True)
    if not -bound <= value < bound:
        return found.wrong_type(path, f"a whole number from -{bound} to {bound - 1}", value, shown=True)
    return value


def _read_float(value: Any, path: Path, depth: int, found: Findings) -> Any:
    if type(value) is float and math.isfinite(value):
        return value
    if type(value) is str and value in _SPECIAL_FLOATS:
        return _SPECIAL_FLOATS[value]
    if type(value) is int:
        try:
            return float(value)
        except OverflowError:
            pass
    return found.wrong_type(path, "a number", value, shown=True)


def _read_timestamp(value: Any, path: Path, depth: int, found: Findings) -> Any:
    try:
        return read_timestamp(value)
    except ValueError:
        return found.wrong_type(path, "a time (epoch seconds, or ISO 8601 text)", value, shown=True)


def _read_blob(value: Any, path: Path, depth: int, found: Findings) -> Any:
    try:
        return read_blob(value)
    except ValueError:
        return found.wrong_type(path, "base64 text", value, shown=True)


def _read_document(value: Any, path: Path, depth: int, found: Findings) -> Any:
    if depth > MAX_DEPTH:
        return found.limit(path, f"Member must not be nested deeper than {MAX_DEPTH} levels")
    if type(value) is dict:
        for key, item in value.items():
            _read_document(item, (path, (key,)), depth + 1, found)
    elif type(value) is list:
        for index, item in enumerate(value):
            _read_document(item, (path, index), depth + 1, found)
    return value


_SCALARS: dict[str, Reader] = {
    "boolean": _read_boolean,
    "integer": functools.partial(_read_whole, "integer"),
    "long": functools.partial(_read_whole, "long"),
    "float": _read_float,
    "double": _read_float,
    "timestamp": _read_timestamp,
    "blob": _read_blob,
}


def _compiled(shape: Shape) -> re.Pattern[str]:
    """The pattern in Python's dialect: in Java's, characters beyond U+FFFF are two surrogates."""
    python = _SURROGATE_PAIR.sub(_astral, shape.pattern or "")
    try:
        with warnings.catch_warnings():
            # Python warns where Java's sets mean more than its own, like [a-z&&[^b]].
            warnings.simplefilter("error", FutureWarning)
            return re.compile(python, re.ASCII)
    except (re.error, FutureWarning) as error:
        raise ValueError(f"The pattern {shape.pattern} of the shape {shape.name} is not supported: {error}") from error


def _astral(pair: re.Match[str]) -> str:
    high, low = int(pair[1], 16), int(pair[2], 16)
    return f"\\U{0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00):08X}"
