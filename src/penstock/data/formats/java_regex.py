"""Java's regular expressions as Python's: what differs is translated, or refused by name.

`\\d`, `\\w` and `\\s` are those of ASCII, and `.` is no line break of Unicode's, as in Java.
"""

from __future__ import annotations

import re
from functools import cache

from penstock.data.records import FormatError

_DOT = r"[^\n\r\x85\u2028\u2029]"
_HORIZONTAL = r" \t\xa0\u1680\u180e\u2000-\u200a\u202f\u205f\u3000"
_VERTICAL = r"\n\x0b\f\r\x85\u2028\u2029"
_POSIX = {
    "Lower": "a-z",
    "Upper": "A-Z",
    "ASCII": r"\x00-\x7f",
    "Alpha": "a-zA-Z",
    "Digit": "0-9",
    "Alnum": "a-zA-Z0-9",
    "Punct": r"!-/:-@\[-`{-~",
    "Graph": "!-~",
    "Print": " -~",
    "Blank": r" \t",
    "Cntrl": r"\x00-\x1f\x7f",
    "XDigit": "0-9a-fA-F",
    "Space": r" \t\n\x0b\f\r",
}
_SETS = {"h": _HORIZONTAL, "v": _VERTICAL}
_TOKEN = re.compile(
    r"""\\Q(?P<quoted>.*?)(?:\\E|\Z)
    |\\(?P<posix>[pP])(?:\{(?P<class>\^?\w+)\}|(?P<letter>\w))
    |\\x\{(?P<long>[0-9A-Fa-f]+)\}
    |\\0(?P<octal>[0-3]?[0-7]{1,2})
    |\\c(?P<control>.)
    |\\k<(?P<back>\w+)>
    |\\u(?P<high>[dD][89abAB][0-9a-fA-F]{2})\\u(?P<low>[dD][c-fC-F][0-9a-fA-F]{2})
    |\\(?P<escape>.)
    |\(\?<(?P<name>[A-Za-z][A-Za-z0-9]*)>
    |\(\?(?P<flags>[a-zA-Z-]+)(?P<end>[:)])
    |\{(?P<upto>,\d+)\}
    |(?P<other>.)""",
    re.DOTALL | re.VERBOSE,
)
_NOT_TRANSLATED = {"G": r"\G", "X": r"\X", "N": r"\N{…}", "b{": r"\b{g}"}


@cache
def compile_java(pattern: str) -> re.Pattern[str]:
    """The pattern, compiled. Raises `FormatError` for what Python has no counterpart of."""
    dots = pattern.startswith("(?") and "s" in (re.match(r"\(\?([a-z]*)\)", pattern) or ["", ""])[1]
    pieces: list[str] = []
    in_class = False
    begins_class = False
    for token in _TOKEN.finditer(pattern):
        piece = _translated(token, pattern, in_class=in_class, dots=dots)
        if token["other"] == "[":
            if in_class:
                raise _refused(pattern, "a class inside a class")
            in_class = begins_class = True
            pieces.append("[")
            continue
        if in_class:
            if token["other"] == "]" and not begins_class:
                in_class = False
            elif token["other"] == "]":
                piece = r"\]"
            elif token["other"] in tuple("&-|~") and pieces[-1] == token["other"]:
                if token["other"] == "&":
                    raise _refused(pattern, "an intersection of classes, &&")
                piece = "\\" + str(token["other"])
            begins_class = begins_class and token["other"] == "^" and pieces[-1] == "["
        pieces.append(piece)
    try:
        return re.compile("".join(pieces), re.ASCII)
    except (re.error, RecursionError, OverflowError) as error:
        raise FormatError(f"The regular expression {pattern!r} is wrong: {error}.") from None


def _translated(token: re.Match[str], pattern: str, *, in_class: bool, dots: bool) -> str:
    if token["other"] is not None:
        return _DOT if token["other"] == "." and not in_class and not dots else str(token["other"])
    if token["quoted"] is not None:
        return re.escape(token["quoted"])
    if token["posix"] is not None:
        name = token["class"] or token["letter"]
        found = _POSIX.get(name) or _POSIX.get(name.removeprefix("Is"))
        if found is None:
            raise _refused(pattern, f"\\{token['posix']}{{{name}}}")
        return _set(found, token["posix"] == "P", pattern, in_class=in_class)
    if token["long"] is not None or token["high"] is not None:
        return re.escape(chr(_code_point(token, pattern)))
    if token["octal"] is not None:
        return f"\\x{int(token['octal'], 8):02x}"
    if token["control"] is not None:
        return f"\\x{ord(token['control']) ^ 64:02x}"
    if token["back"] is not None:
        return f"(?P={token['back']})"
    if token["name"] is not None:
        return f"(?P<{token['name']}>"
    if token["flags"] is not None:
        return _flags(token, pattern)
    if token["upto"] is not None:
        raise _refused(pattern, f"{{{token['upto']}}}")
    return _escape(str(token["escape"]), pattern, in_class=in_class)


def _code_point(token: re.Match[str], pattern: str) -> int:
    if token["long"] is None:
        return 0x10000 + ((int(token["high"], 16) & 0x3FF) << 10) + (int(token["low"], 16) & 0x3FF)
    code = int(token["long"], 16)
    if code > 0x10FFFF:
        raise _refused(pattern, f"\\x{{{token['long']}}}")
    return code


def _escape(letter: str, pattern: str, *, in_class: bool) -> str:
    if letter.lower() in _SETS:
        return _set(_SETS[letter.lower()], letter.isupper(), pattern, in_class=in_class)
    if letter == "R" and not in_class:
        return rf"(?>\r\n|[{_VERTICAL}])"
    if letter == "e":
        return r"\x1b"
    if letter == "z":
        return r"\Z"
    if letter == "Z":
        return r"(?=\n?\Z)"
    if letter in _NOT_TRANSLATED:
        raise _refused(pattern, _NOT_TRANSLATED[letter])
    return "\\" + letter


def _set(characters: str, is_negated: bool, pattern: str, *, in_class: bool) -> str:
    if in_class and is_negated:
        raise _refused(pattern, "a negated class inside a class")
    return characters if in_class else f"[{'^' if is_negated else ''}{characters}]"


def _flags(token: re.Match[str], pattern: str) -> str:
    flags, is_group = token["flags"], token["end"] == ":"
    allowed = "im-" if is_group else "ims"
    if set(flags) - set(allowed) or (not is_group and token.start() > 0):
        raise _refused(pattern, token[0])
    return token[0]


def _refused(pattern: str, what: str) -> FormatError:
    return FormatError(
        f"The regular expression {pattern!r} has {what}, which cannot be used here. Write it another way."
    )
