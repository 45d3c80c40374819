"""A problem of a definition: which object, which field, what is wrong and what would be right."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from difflib import get_close_matches
from heapq import nlargest
from itertools import pairwise

LONGEST_SHOWN = 80
MOST_SUGGESTED = 100  # comparing names costs more than all else; who has more wrong ones sees what is wrong with them
MOST_COMPARED = 20  # names, for one suggestion
_suggestions: ContextVar[list[int] | None] = ContextVar("suggestions", default=None)
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
        if not self.remedy:
            return self.message.rstrip()
        stop = "" if self.message.endswith((".", "?", "!", ":", ";")) else "."  # AWS's own texts have none
        return f"{self.message}{stop} {self.remedy}"


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
    left = _suggestions.get()
    if left is not None:
        if left[0] <= 0:
            return ""
        left[0] -= 1
    name = name[:LONGEST_SHOWN].lower()
    lowered = {candidate.lower(): candidate for candidate in candidates}
    compared = list(lowered)
    if len(compared) > MOST_COMPARED:
        pairs = _pairs(name)
        compared = nlargest(MOST_COMPARED, compared, key=lambda known: len(pairs & _pairs(known)) - len(known) / 10)
    matches = get_close_matches(name, compared, n=1, cutoff=0.6)
    return f"Did you mean '{lowered[matches[0]]}'?" if matches else ""


def _pairs(name: str) -> set[tuple[str, str]]:
    """The pairs of neighbours in a name, which similar names share."""
    name = name[:LONGEST_SHOWN]
    return set(pairwise(name))


@contextmanager
def few_suggestions() -> Iterator[None]:
    """Have `closest` give up after MOST_SUGGESTED names, here and in what is called from here."""
    if _suggestions.get() is not None:
        yield
        return
    token = _suggestions.set([MOST_SUGGESTED])
    try:
        yield
    finally:
        _suggestions.reset(token)
