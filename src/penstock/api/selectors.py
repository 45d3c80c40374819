"""The selectors of QueryObjects: what makes sense, and what matches."""

from __future__ import annotations

from collections.abc import Sequence

from penstock.api.call import Request, invalid
from penstock.definition.model import PipelineObject, Ref

MOST_SELECTORS = 10
MOST_VALUES = 1000  # of a selector: each is compared with each object
LONGEST_COUNT = 15  # digits
STATUS_WORDS = {"CANCELLED": ("CANCELED",), "WAITING": ("WAITING_FOR_RUNNER", "WAITING_ON_DEPENDENCIES")}
"""What `aws datapipeline list-runs --status` says for statuses that the service spells otherwise."""


def check_selectors(selectors: Sequence[Request]) -> None:
    """Refuse what cannot be meant: too many, or an operator with another number of values."""
    if len(selectors) > MOST_SELECTORS:
        raise invalid(f"A query has at most {MOST_SELECTORS} selectors; this one has {len(selectors)}.")
    for selector in selectors:
        _check(selector)


def _check(selector: Request) -> None:
    operator = selector.get("operator") or {}
    values = operator.get("values", [])
    kind = operator.get("type")
    if not selector.get("fieldName") or kind is None:
        raise invalid("A selector needs a fieldName and an operator with a type.")
    wanted = {"BETWEEN": 2, "LE": 1, "GE": 1}.get(kind)
    if (wanted is not None and len(values) != wanted) or not values:
        number = {1: "one value", 2: "two values"}.get(wanted or 0, "at least one value")
        raise invalid(f"The operator {kind} takes {number}; {len(values)} are given.")
    if len(values) > MOST_VALUES:
        raise invalid(f"The operator {kind} takes at most {MOST_VALUES:,} values; {len(values):,} are given.")


def matches(obj: PipelineObject, selector: Request) -> bool:
    """Whether a value of the field is as the selector says: REF_EQ compares references, the others texts."""
    kind, values = selector["operator"]["type"], selector["operator"]["values"]
    fields = {"id": (obj.id,), "@id": (obj.id,), "name": (obj.name,), **obj.fields}
    for value in fields.get(selector["fieldName"], ()):
        if isinstance(value, Ref) or kind == "REF_EQ":
            found = isinstance(value, Ref) and kind == "REF_EQ" and value.id in values
        elif kind == "EQ":
            found = value in values or (
                selector["fieldName"] == "@status" and any(value in STATUS_WORDS.get(word, ()) for word in values)
            )
        else:
            low = values[0] if kind != "LE" else None
            high = values[-1] if kind != "GE" else None
            found = (low is None or _is_in_order(low, value)) and (high is None or _is_in_order(value, high))
        if found:
            return True
    return False


def _is_in_order(low: str, high: str) -> bool:
    """Whether one text is not above another: whole numbers by their value, all others letter by letter."""
    if _is_count(low) and _is_count(high):
        return int(low) <= int(high)
    return low <= high


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= LONGEST_COUNT
