"""Date-time patterns of Joda-Time's DateTimeFormat, for printing, in English.

A run of one letter is a field, text between quotes is literal, `''` is one quote, and everything that is no
letter stands for itself. The rules are those of the class documentation of `DateTimeFormat`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from penstock.expressions.errors import Mistake

MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

LONGEST_PATTERN = 1_000  # characters

Piece = Callable[[datetime], str]


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern that has been read; `printed` writes a datetime in the datetime's own time zone."""

    text: str
    pieces: tuple[Piece, ...]

    def printed(self, value: datetime) -> str:
        """The datetime in this pattern."""
        return "".join([piece(value) for piece in self.pieces])


def pattern(text: str) -> Pattern:
    """Read a pattern; raises Mistake, whose message goes on after the name of the argument."""
    if not text:
        raise Mistake("is empty.", "Write a pattern such as 'YYYY-MM-dd HH:mm:ss'.")
    if len(text) > LONGEST_PATTERN:
        raise Mistake(
            f"has {len(text):,} characters; {LONGEST_PATTERN:,} is the most.", "Write a pattern such as 'YYYY-MM-dd'."
        )
    return _pattern(text)


@lru_cache(maxsize=512)
def _pattern(text: str) -> Pattern:
    pieces: list[Piece] = []
    at = 0
    while at < len(text):
        letter = text[at]
        if letter.isascii() and letter.isalpha():
            end = at
            while end < len(text) and text[end] == letter:
                end += 1
            pieces.append(_field(letter, end - at, text))
        else:
            literal, end = _literal(text, at)
            pieces.append(_constant(literal))
        at = end
    return Pattern(text, tuple(pieces))


def _literal(text: str, at: int) -> tuple[str, int]:
    """The literal text at an offset, and where it ends; an open quote runs to the end, as in Joda."""
    characters: list[str] = []
    quoted = False
    while at < len(text):
        character = text[at]
        if character == "'":
            if text[at + 1 : at + 2] == "'":
                characters.append("'")
                at += 1
            else:
                quoted = not quoted
        elif not quoted and character.isascii() and character.isalpha():
            break
        else:
            characters.append(character)
        at += 1
    return "".join(characters), at


def _field(letter: str, count: int, text: str) -> Piece:
    """The piece for a letter repeated `count` times."""
    if letter in _YEARS and count == 2:
        number = _YEARS[letter]
        return lambda value: f"{number(value) % 100:02d}"
    if letter == "M" and count >= 3:
        return _name(MONTHS, lambda value: value.month - 1, full=count >= 4)
    if letter == "E":
        return _name(DAYS, datetime.weekday, full=count >= 4)
    if letter in _NUMBERS:
        return _number(_NUMBERS[letter], count)
    if letter in _TEXTS:
        return _TEXTS[letter]
    if letter == "S":
        return lambda value: f"{value.microsecond:06d}"[:count].ljust(count, "0")
    if letter == "z":
        return _zone_long_name if count >= 4 else _zone_name
    if letter == "Z":
        return _offset if count == 1 else _offset_with_colon if count == 2 else _zone_id
    raise Mistake(
        f"has the letter {letter!r} in {text!r}, which Joda-Time's patterns do not know.",
        f"Put text between quotes inside the pattern, as in \"YYYY-MM-dd'T'HH:mm:ss\"; {_ADVICE}",
    )


_ADVICE = "the letters are G C Y x w e E y D M d a K h H k m s S z Z."

_YEARS: dict[str, Callable[[datetime], int]] = {
    "Y": lambda value: value.year,
    "y": lambda value: value.year,
    "x": lambda value: value.isocalendar().year,
}

_NUMBERS: dict[str, Callable[[datetime], int]] = {
    **_YEARS,
    "C": lambda value: value.year // 100,
    "w": lambda value: value.isocalendar().week,
    "e": lambda value: value.isoweekday(),
    "D": lambda value: value.timetuple().tm_yday,
    "M": lambda value: value.month,
    "d": lambda value: value.day,
    "K": lambda value: value.hour % 12,
    "h": lambda value: value.hour % 12 or 12,
    "H": lambda value: value.hour,
    "k": lambda value: value.hour or 24,
    "m": lambda value: value.minute,
    "s": lambda value: value.second,
}

_TEXTS: dict[str, Piece] = {
    "G": lambda value: "AD",
    "a": lambda value: "AM" if value.hour < 12 else "PM",
}


def _constant(text: str) -> Piece:
    return lambda value: text


def _number(number: Callable[[datetime], int], width: int) -> Piece:
    return lambda value: str(number(value)).zfill(width)


def _name(table: tuple[str, ...], index: Callable[[datetime], int], *, full: bool) -> Piece:
    shown = table if full else tuple(name[:3] for name in table)
    return lambda value: shown[index(value)]


def _zone_name(value: datetime) -> str:
    return value.tzname() or "UTC"


def _zone_long_name(value: datetime) -> str:
    if _zone_id(value) != "UTC":
        raise Mistake(
            f"The long name of the time zone {_zone_id(value)} is not known.",
            "Use 'z' for the short name or 'ZZZ' for the id of the zone.",
        )
    return "Coordinated Universal Time"


def _zone_id(value: datetime) -> str:
    return str(getattr(value.tzinfo, "key", None) or value.tzname())


def _offset(value: datetime) -> str:
    return _offset_with_colon(value).replace(":", "")


def _offset_with_colon(value: datetime) -> str:
    offset = value.utcoffset() or timedelta()
    sign = "-" if offset < timedelta() else "+"
    minutes = abs(offset) // timedelta(minutes=1)
    return f"{sign}{minutes // 60:02d}:{minutes % 60:02d}"
