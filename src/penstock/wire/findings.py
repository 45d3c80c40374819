"""What a walk through a JSON value found wrong, and the texts that say so.

Texts follow the service's own words and name the path, like `pipelineObjects[3].fields[0].key`; long values
are shortened.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from penstock.wire.errors import ProtocolError

MAX_FOUND = 100
"""How many problems are looked for before the walk through a list or a map ends."""
MAX_NAMED = 10
"""How many problems an error's text names."""
MAX_SHOWN = 60
"""How many characters of a value, a name or an enumeration a text shows."""

# A path is the parent's path and one step: a member's name, a list's index, or a one-tuple with a map's key.
Path: TypeAlias = "tuple[Path, str | int | tuple[str]] | None"


@dataclass(slots=True)
class Findings:
    """What a walk found: values of a wrong type, and values that break a limit."""

    wrong_types: list[str] = field(default_factory=list)
    limits: list[str] = field(default_factory=list)

    def wrong_type(self, path: Path, expected: str, value: object, *, shown: bool = False) -> None:
        """Notes that a value is of another type than its shape; the value itself only if it may be shown."""
        self.wrong_types.append(f"{_where(path)} must be {expected}, not {_kind(value, shown)}")

    def limit(self, path: Path, constraint: str, value: object = None) -> None:
        """Notes that a value breaks a limit; give None for a value that is not to be shown."""
        shown = "" if value is None else f" '{_shown(value)}'"
        place = f" at '{path_text(path)}'" if path else ""
        self.limits.append(f"Value{shown}{place} failed to satisfy constraint: {constraint}")

    @property
    def many(self) -> bool:
        """Whether so much was found that looking on helps nobody."""
        return len(self.wrong_types) + len(self.limits) >= MAX_FOUND

    def raise_if_any(self) -> None:
        """Raises ProtocolError, if any: SerializationException for types, else ValidationException."""
        if self.wrong_types:
            raise ProtocolError("SerializationException", _joined(self.wrong_types))
        if self.limits:
            count = len(self.limits)
            detected = f"{count} validation error{'s' if count > 1 else ''} detected: "
            raise ProtocolError("ValidationException", detected + _joined(self.limits))


def path_text(path: Path) -> str:
    """A path as people read it: `pipelineObjects[3].fields[0].key`, and `objects['a']` for a map's key."""
    steps: list[str] = []
    while path is not None:
        path, step = path
        match step:
            case str():
                steps.append(f".{step}")
            case int():
                steps.append(f"[{step}]")
            case (key,):
                steps.append(f"['{shortened(key)}']")
    return "".join(reversed(steps)).removeprefix(".")


def _where(path: Path) -> str:
    return f"Value at '{path_text(path)}'" if path else "The value"


def _kind(value: object, shown: bool) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case dict():
            return "an object"
        case list():
            return "a list"
        case str():
            return f"the string '{_shown(value)}'" if shown else "a string"
        case _:
            return f"the number {_shown(value)}" if shown else "a number"


def _shown(value: object) -> str:
    match value:
        case str():
            return shortened(value)
        case list() | dict() | bytes():
            return f"{len(value)} {'bytes' if isinstance(value, bytes) else 'members'}"
        case int() if abs(value) >= 10**MAX_SHOWN:
            return f"{'-' if value < 0 else ''}1e{MAX_SHOWN} or more"
        case _:
            return str(value)


def shortened(text: str, length: int = MAX_SHOWN) -> str:
    """The beginning of a text, with what cannot be printed written as escapes."""
    short = text if len(text) <= length else text[: length - 1] + "…"
    return short if short.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in short)


def _joined(texts: list[str]) -> str:
    more = f"; and {len(texts) - MAX_NAMED} more" if len(texts) > MAX_NAMED else ""
    return "; ".join(texts[:MAX_NAMED]) + more
