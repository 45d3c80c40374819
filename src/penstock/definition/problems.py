"""A problem of a definition: which object, which field, what is wrong and what would be right."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

LONGEST_SHOWN = 80
MASK = "*****"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong; a warning does not keep a definition from being activated.

    Advice (`is_advice`) is a warning about what AWS asks or recommends, of no consequence for a run here.
    `value` is the wrong value; it is left empty for a secret one, and messages show `*****` instead.
    """

    object_id: str
    field: str
    message: str
    remedy: str = ""
    value: str = ""
    is_warning: bool = False
    is_advice: bool = False

    @property
    def text(self) -> str:
        """The message with its remedy, as the API's validation errors carry it."""
        return f"{self.message} {self.remedy}".rstrip()


class DefinitionRefused(Exception):
    """A definition that could not be read at all, or that has problems; `problems` says which."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(problem.text for problem in self.problems))


def shown(value: str) -> str:
    """A value in quotes, shortened, for use inside a message."""
    if len(value) > LONGEST_SHOWN:
        value = value[:LONGEST_SHOWN] + "…"
    return "'" + "".join(letter if letter.isprintable() else _escaped(letter) for letter in value) + "'"


def shown_of(name: str, value: str) -> str:
    """The value of a field or parameter as a message shows it: of a secret nothing but `*****`."""
    return f"'{MASK}'" if name.startswith("*") else shown(value)


def _escaped(letter: str) -> str:
    return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(letter, f"\\u{ord(letter):04x}")


def closest(name: str, candidates: Iterable[str]) -> str:
    """`Did you mean 'x'?` when a candidate is close to the name, else nothing."""
    name = name[:LONGEST_SHOWN]
    lowered = {candidate.lower(): candidate for candidate in candidates}
    matches = get_close_matches(name.lower(), list(lowered), n=1, cutoff=0.6)
    return f"Did you mean '{lowered[matches[0]]}'?" if matches else ""
