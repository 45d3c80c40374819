"""How a key becomes a path in a folder, and back: natural names, and percent signs where that cannot be.

| in the key | in the folder |
|---|---|
| `a/b.csv` | `a/b.csv` |
| an empty segment (`a//b`, `dir/`) | `%_` |
| the segments `.` and `..` | `%2E` and `%2E.` |
| a control character | `%` and two digits, such as `%0A` |
| a `%` that would be read as one of these | `%25` (`100%.csv` and `a%20b` stay as they are) |
| an object whose name is also a folder's | `a%` beside the folder `a` |
| a segment too long for a file name | pieces: folders that end in `%~`, the next piece begins with `+` |
"""

from __future__ import annotations

import re
from itertools import pairwise

NAME_BYTES = 254
"""The longest name in bytes; file systems allow 255, and an object beside a folder needs one more."""

OBJECT_MARK = "%"
PIECE_MARK = "%~"
NEXT_PIECE = "+"

_DOTS = {"": "%_", ".": "%2E", "..": "%2E."}
_NAMED = {name: segment for segment, name in _DOTS.items()}
_UNNATURAL = re.compile(r"[%\x00-\x1f\x7f]")
_AMBIGUOUS = re.compile(r"%(?=[01][0-9A-F]|7F|25|~?\Z)|\A%(?=_\Z|2E\.?\Z)|[\x00-\x1f\x7f]")
_ESCAPE = re.compile(r"%([01][0-9A-F]|7F|25)")
_UNIT = re.compile(r"%(?:[01][0-9A-F]|7F|25)|.", re.DOTALL)


def key_to_path(key: str) -> str:
    """The relative path of a key, without an object mark; never empty, never leaving its folder."""
    return "/".join([segment_to_path(segment) for segment in key.split("/")])


def segment_to_path(segment: str) -> str:
    """One segment of a key as a name, or as several joined by `/` where it is too long for one."""
    name = _DOTS.get(segment)
    if name is None:
        name = _AMBIGUOUS.sub(_escaped, segment) if _UNNATURAL.search(segment) else segment
    if len(name) * 4 <= NAME_BYTES or len(name.encode()) <= NAME_BYTES:
        return name
    return _in_pieces(name)


def name_to_segment(name: str) -> str | None:
    """The segment that a name (pieces joined, marks off) stands for; None if no segment is written so."""
    if _UNNATURAL.search(name) is None:
        return None if name in ("", ".", "..") else name
    segment = _NAMED.get(name)
    if segment is None:
        segment = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), name)
    natural = _DOTS.get(segment) or _AMBIGUOUS.sub(_escaped, segment)
    return segment if natural == name else None


def _escaped(match: re.Match[str]) -> str:
    return f"%{ord(match[0]):02X}"


def _in_pieces(name: str) -> str:
    room = NAME_BYTES - len(NEXT_PIECE) - len(PIECE_MARK)
    pieces, start, size, end = [], 0, 0, 0
    for unit in _UNIT.finditer(name):
        width = len(unit[0].encode())
        if size + width > room:
            pieces.append(name[start:end])
            start, size = end, 0
        size += width
        end = unit.end()
    pieces.append(name[start:])
    return "/".join(
        [pieces[0] + PIECE_MARK]
        + [NEXT_PIECE + piece + PIECE_MARK for piece, _ in pairwise(pieces[1:])]
        + [NEXT_PIECE + pieces[-1]]
    )
