"""The text of options: words, numbers and quoted texts with their escapes."""

from __future__ import annotations

import re

_TOKEN = re.compile(r"\s*(?:'((?:[^'\\]|''|\\.)*)'|([A-Za-z_][A-Za-z_0-9]*)|(\d+)|([(),=]))", re.DOTALL)
_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{2}|[0-7]{3}|.)|''", re.DOTALL)
_LETTERS = {"t": "\t", "n": "\n", "r": "\r", "\\": "\\", "'": "'"}


class OptionError(Exception):
    """An option that is unknown, has a wrong value, or does not go with another; the text names it."""


def unescaped(text: str, *, is_null: bool = False) -> str:
    """The text of a literal: `\\t`, `\\001`, `\\x01`, `''`; in a null text a backslash before others stays."""

    def plain(match: re.Match[str]) -> str:
        mark = match[1]
        if mark is None:
            return "'"
        if mark in _LETTERS:
            return _LETTERS[mark]
        if len(mark) == 3:
            return chr(int(mark[1:], 16) if mark[0] == "x" else int(mark, 8))
        return match[0] if is_null else mark

    return _ESCAPE.sub(plain, text)


def read_tokens(text: str) -> list[tuple[str, str]]:
    """(kind, text) of each `string`, `word`, `number` or `mark`; strings come without quotes. Raises `OptionError`."""
    found = []
    position = 0
    text = text.strip().rstrip(";")
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            if not text[position:].strip():
                break
            raise OptionError(f"The options cannot be read from {text[position:].strip()[:40]!r} on.")
        kind = ("string", "word", "number", "mark")[(match.lastindex or 1) - 1]
        found.append((kind, match[match.lastindex or 1]))
        position = match.end()
    return found


def read_widths(text: str) -> tuple[tuple[str, int], ...]:
    """The (label, width) of FIXEDWIDTH. Raises `OptionError`."""
    parts = [part.strip().rpartition(":") for part in text.split(",")]
    if not all(colon and label.strip() and width.strip().isdecimal() and int(width) for label, colon, width in parts):
        raise OptionError(f"FIXEDWIDTH '{text}' is not of the form 'name:width, name:width'.")
    return tuple((label.strip(), int(width)) for label, _, width in parts)
