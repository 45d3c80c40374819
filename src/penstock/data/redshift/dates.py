"""Dates and times as COPY reads them: DATEFORMAT and TIMEFORMAT, their defaults, `auto`, and seconds since 1970."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone

from penstock.data.redshift.option_text import OptionError

_FULL_MONTHS = (
    *("JANUARY", "FEBRUARY", "MARCH", "APRIL", "MAY", "JUNE"),
    *("JULY", "AUGUST", "SEPTEMBER", "OCTOBER", "NOVEMBER", "DECEMBER"),
)
_MONTHS = tuple(month[:3] for month in _FULL_MONTHS)
_PARTS = {
    "YYYY": r"(?P<year>\d{4})",
    "YY": r"(?P<short_year>\d{2})",
    "MONTH": rf"(?P<name>{'|'.join(_FULL_MONTHS)})",
    "MON": rf"(?P<name>{'|'.join(_MONTHS)})",
    "MM": r"(?P<month>\d{1,2})",
    "DD": r"(?P<day>\d{1,2})",
    "HH24": r"(?P<hour>\d{1,2})",
    "HH12": r"(?P<hour>\d{1,2})",
    "HH": r"(?P<hour>\d{1,2})",
    "MI": r"(?P<minute>\d{1,2})",
    "SS": r"(?P<second>\d{1,2})(?:\.(?P<fraction>\d{1,6})\d*)?",
    "US": r"(?P<micro>\d{1,6})",
    "MS": r"(?P<milli>\d{1,3})",
    "AM": r"(?P<half>[AP]\.?M\.?)",
    "PM": r"(?P<half>[AP]\.?M\.?)",
    "A.M.": r"(?P<half>[AP]\.?M\.?)",
    "P.M.": r"(?P<half>[AP]\.?M\.?)",
    "OF": r"(?P<zone>Z|[+-]\d{1,2}(?::?\d{2})?)",
    "TZ": r"(?P<zone>Z|UTC|GMT|[+-]\d{1,2}(?::?\d{2})?)",
}
_PATTERN = re.compile("|".join(sorted(map(re.escape, _PARTS), key=len, reverse=True)), re.IGNORECASE)
_ZONE = r"\s*(?P<zone>Z|UTC|GMT|[+-]\d{1,2}(?::?\d{2})?)"
_CLOCK = (
    r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:\.(?P<fraction>\d{1,6})\d*)?)?"
    r"(?:\s*(?P<half>[AP]\.?M\.?))?"
)
_BARE_CLOCK = r"(?P<hour>\d{2})(?P<minute>\d{2})(?P<second>\d{2})"
_DAYS = (
    r"(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})",
    r"(?P<year>\d{4})/(?P<month>\d{1,2})/(?P<day>\d{1,2})",
    r"(?P<month>\d{1,2})[-/](?P<day>\d{1,2})[-/](?P<year>\d{4})",
    rf"(?P<name>{'|'.join([*_FULL_MONTHS, *_MONTHS])})[- ](?P<day>\d{{1,2}}),?[- ](?P<year>\d{{4}})",
    rf"(?P<day>\d{{1,2}})[- ](?P<name>{'|'.join([*_FULL_MONTHS, *_MONTHS])})[- ](?P<year>\d{{4}})",
    rf"(?P<year>\d{{4}})[- ](?P<name>{'|'.join([*_FULL_MONTHS, *_MONTHS])})[- ](?P<day>\d{{1,2}})",
)
_AUTO = [
    *[re.compile(rf"{day}(?:[T ]\s*{_CLOCK}(?:{_ZONE})?)?", re.IGNORECASE) for day in _DAYS],
    re.compile(
        rf"(?P<year>\d{{4}})(?P<month>\d{{2}})(?P<day>\d{{2}})(?:[T ]?{_BARE_CLOCK}(?:{_ZONE})?)?", re.IGNORECASE
    ),
]
_DEFAULT_TIME = re.compile(rf"{_DAYS[0]}(?: {_CLOCK}(?:{_ZONE})?)?", re.IGNORECASE)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHORTEST_CENTURY = 70

Reader = Callable[[str], datetime]
"""Gives an aware time in UTC where the text has a zone, else a plain one. Raises ValueError."""


def date_reader(text: str) -> Reader:
    """What reads dates by a DATEFORMAT; empty is `YYYY-MM-DD`. Raises `OptionError`."""
    if not text:
        return lambda value: _match(_DEFAULT_TIME, value)
    return _auto if text.lower() == "auto" else _by(text, "DATEFORMAT")


def time_reader(text: str) -> Reader:
    """What reads timestamps by a TIMEFORMAT; empty is `YYYY-MM-DD HH:MI:SS`. Raises `OptionError`."""
    lower = text.lower()
    if not text:
        return lambda value: _match(_DEFAULT_TIME, value)
    if lower == "auto":
        return _auto
    if lower == "epochsecs":
        return lambda value: _since(value, 1_000_000)
    if lower == "epochmillisecs":
        return lambda value: _since(value, 1_000)
    return _by(text, "TIMEFORMAT")


def _since(value: str, micros: int) -> datetime:
    match = re.fullmatch(r"\s*([+-]?\d+)(?:\.(\d{1,6})\d*)?\s*", value)
    if match is None:
        raise ValueError(value)
    moment = _EPOCH + timedelta(microseconds=int(match[1]) * micros)
    if match[2] and micros == 1_000_000:
        moment += timedelta(microseconds=int(match[2].ljust(6, "0")))
    return moment.replace(tzinfo=None)


def _auto(value: str) -> datetime:
    for pattern in _AUTO:
        match = pattern.fullmatch(value.strip())
        if match is not None:
            return _made(match)
    raise ValueError(value)


def _by(text: str, option: str) -> Reader:
    parts, position, seen = [], 0, set()
    for match in _PATTERN.finditer(text):
        between = text[position : match.start()]
        pattern = _PARTS[match[0].upper()]
        name = pattern.split(">")[0]
        if name in seen:
            raise OptionError(f"{option} '{text}' has {match[0]} where it has the same part before.")
        seen.add(name)
        parts += [_between(between, option, text), pattern]
        position = match.end()
    parts.append(_between(text[position:], option, text))
    if not seen:
        raise OptionError(f"{option} '{text}' has no parts such as YYYY, MM and DD.")
    compiled = re.compile("".join(parts), re.IGNORECASE)
    return lambda value: _match(compiled, value)


def _between(text: str, option: str, whole: str) -> str:
    if re.search(r"[A-SU-Za-su-z]", text):
        raise OptionError(f"{option} '{whole}' has the part '{text.strip()}', which is not known.")
    return re.escape(text)


def _match(pattern: re.Pattern[str], value: str) -> datetime:
    match = pattern.fullmatch(value.strip())
    if match is None:
        raise ValueError(value)
    return _made(match)


def _made(match: re.Match[str]) -> datetime:
    found = {name: text for name, text in match.groupdict().items() if text is not None}
    year = int(found.get("year", "0"))
    if "short_year" in found:
        short = int(found["short_year"])
        year = short + (1900 if short >= _SHORTEST_CENTURY else 2000)
    month = int(found.get("month", "1"))
    if "name" in found:
        month = _MONTHS.index(found["name"][:3].upper()) + 1
    hour = int(found.get("hour", "0"))
    half = found.get("half", "").upper()[:1]
    if half:
        if not 1 <= hour <= 12:
            raise ValueError(match[0])
        hour = hour % 12 + (12 if half == "P" else 0)
    micro = int(found["fraction"].ljust(6, "0")) if "fraction" in found else 0
    micro = int(found["micro"].ljust(6, "0")) if "micro" in found else micro
    micro = int(found["milli"].ljust(3, "0")) * 1000 if "milli" in found else micro
    made = datetime(
        year or 1,
        month,
        int(found.get("day", "1")),
        hour,
        int(found.get("minute", "0")),
        int(found.get("second", "0")),
        micro,
    )
    if "zone" not in found:
        return made
    return (made.replace(tzinfo=_zone(found["zone"]))).astimezone(UTC)


def _zone(text: str) -> timezone:
    match = re.fullmatch(r"([+-])(\d{1,2})(?::?(\d{2}))?", text)
    if match is None:
        return UTC
    gap = timedelta(hours=int(match[2]), minutes=int(match[3] or 0))
    return timezone(gap if match[1] == "+" else -gap)


def date_text(moment: datetime) -> str:
    """A date as the databases take it."""
    return date(moment.year, moment.month, moment.day).isoformat()


def time_text(moment: datetime) -> str:
    """A time as the databases take it; one with a zone is in UTC."""
    return moment.isoformat(" ")
