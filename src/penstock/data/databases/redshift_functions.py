"""The functions of Redshift, and what they are in PostgreSQL and DuckDB; a function that is not here is refused.

A function is either the same there, has another name, or is an expression that is made of the texts of its arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from penstock.data.databases.rows import DatabaseError

Target = Literal["postgres", "duckdb"]
Arguments = Sequence[str]

_EVERYWHERE = """
abs ceil ceiling floor round sign sqrt exp ln power mod greatest least coalesce nullif upper lower ltrim rtrim lpad rpad
replace repeat translate split_part strpos left right substr substring reverse md5 ascii chr count sum min max
row_number rank dense_rank percent_rank cume_dist ntile lag lead first_value last_value nth_value date_trunc pi sin cos
tan asin acos atan atan2 degrees radians random bool_and bool_or bit_and bit_or stddev stddev_samp stddev_pop variance
var_samp var_pop trunc exists any all"""
_POSTGRESQL_ALONE = """
btrim initcap length char_length character_length octet_length to_char to_date to_timestamp to_number log cbrt to_hex
quote_ident quote_literal current_database current_schema sha256 date_part position overlay"""
SAME: dict[Target, frozenset[str]] = {
    "postgres": frozenset(f"{_EVERYWHERE} {_POSTGRESQL_ALONE}".split()),
    "duckdb": frozenset(_EVERYWHERE.split()) - {"translate", "log"},
}
_PART_NAMES = {
    "year": "y yr yrs year years",
    "quarter": "qtr qtrs quarter quarters",
    "month": "mon mons month months",
    "week": "w week weeks",
    "day": "d day days",
    "hour": "h hr hrs hour hours",
    "minute": "m min mins minute minutes",
    "second": "s sec secs second seconds",
    "millisecond": "ms msec msecs msecond mseconds millisec millisecs millisecon millisecond milliseconds",
    "microsecond": "us usec usecs usecond useconds microsec microsecs microsecond microseconds",
}
_PARTS = {name: part for part, names in _PART_NAMES.items() for name in names.split()}
_SECONDS = {"hour": 3600, "minute": 60, "second": 1}
_FRACTIONS = {"millisecond": 1000, "microsecond": 1000000}


def translate_function(name: str, arguments: Arguments, target: Target) -> str | None:
    """The expression for a call; None if the call stays as it is. Raises `DatabaseError` with the function's name."""
    make = _MADE.get(name)
    if make is not None:
        return make(arguments, target)
    if name in SAME[target]:
        return None
    where = "DuckDB" if target == "duckdb" else "PostgreSQL"
    remedy = _REMEDIES.get(name, "Write the query without it, or run it on a real cluster.")
    raise DatabaseError(f"Redshift's function {name.upper()} is not translated for {where}. {remedy}")


def date_part(text: str) -> str:
    """A date part in full, as Redshift understands it: `mon` is month. Raises `DatabaseError`."""
    part = _PARTS.get(text.strip("'\"").lower())
    if part is None:
        raise DatabaseError(f"The date part {text} is not translated. Known are {', '.join(_PART_NAMES)}.")
    return part


def _number(arguments: Arguments, name: str, *counts: int) -> None:
    if len(arguments) not in counts:
        expected = " or ".join(str(count) for count in counts)
        raise DatabaseError(f"{name} takes {expected} arguments here, not {len(arguments)}.")


def _getdate(arguments: Arguments, target: Target) -> str:
    _number(arguments, "GETDATE", 0)
    now = "statement_timestamp()" if target == "postgres" else "CURRENT_TIMESTAMP"
    return f"DATE_TRUNC('second', CAST({now} AS TIMESTAMP))"


def _dateadd(arguments: Arguments, target: Target) -> str:
    _number(arguments, "DATEADD", 3)
    part, number, moment = arguments
    unit = date_part(part)
    months = {"quarter": 3}.get(unit, 1)
    count = f"({number}) * {months}" if months > 1 else f"({number})"
    unit = "month" if unit == "quarter" else unit
    if target == "duckdb":
        return f"(({count}) * INTERVAL '1 {unit}' + CAST({moment} AS TIMESTAMP))"
    return f"(({count}) * INTERVAL '1 {unit}' + CAST({moment} AS TIMESTAMP))"


def _datediff(arguments: Arguments, target: Target) -> str:
    _number(arguments, "DATEDIFF", 3)
    part = date_part(arguments[0])
    start, end = (f"CAST({moment} AS TIMESTAMP)" for moment in arguments[1:])
    if part == "week":
        raise DatabaseError("DATEDIFF by week is not translated. Count days: DATEDIFF(day, …) / 7.")
    if target == "duckdb":
        return f"DATE_DIFF('{part}', {start}, {end})"
    if part == "day":
        return f"(CAST(CAST({end} AS DATE) - CAST({start} AS DATE) AS BIGINT))"
    if part in _SECONDS:
        gap = f"DATE_TRUNC('{part}', {end}) - DATE_TRUNC('{part}', {start})"
        return f"(CAST(EXTRACT(EPOCH FROM {gap}) / {_SECONDS[part]} AS BIGINT))"
    if part in _FRACTIONS:
        gap = f"DATE_TRUNC('{part}', {end}) - DATE_TRUNC('{part}', {start})"
        return f"(CAST(EXTRACT(EPOCH FROM {gap}) * {_FRACTIONS[part]} AS BIGINT))"
    years = f"(EXTRACT(YEAR FROM {end}) - EXTRACT(YEAR FROM {start}))"
    if part == "year":
        return f"(CAST({years} AS BIGINT))"
    per_year = 12 if part == "month" else 4
    rest = f"(EXTRACT({part.upper()} FROM {end}) - EXTRACT({part.upper()} FROM {start}))"
    return f"(CAST({years} * {per_year} + {rest} AS BIGINT))"


def _add_months(arguments: Arguments, target: Target) -> str:
    """The last day of a month becomes the last day of a month."""
    _number(arguments, "ADD_MONTHS", 2)
    moment, number = f"CAST({arguments[0]} AS TIMESTAMP)", arguments[1]
    later = f"({moment} + ({number}) * INTERVAL '1 month')"
    last = f"(DATE_TRUNC('month', {moment}) + INTERVAL '1 month' - INTERVAL '1 day')"
    last_later = f"(DATE_TRUNC('month', {later}) + INTERVAL '1 month' - INTERVAL '1 day')"
    time = f"({moment} - DATE_TRUNC('day', {moment}))"
    return f"(CASE WHEN DATE_TRUNC('day', {moment}) = {last} THEN {last_later} + {time} ELSE {later} END)"


def _last_day(arguments: Arguments, target: Target) -> str:
    _number(arguments, "LAST_DAY", 1)
    month = f"DATE_TRUNC('month', CAST({arguments[0]} AS TIMESTAMP))"
    return f"(CAST({month} + INTERVAL '1 month' - INTERVAL '1 day' AS DATE))"


def _convert_timezone(arguments: Arguments, target: Target) -> str:
    _number(arguments, "CONVERT_TIMEZONE", 2, 3)
    source = arguments[0] if len(arguments) == 3 else "'UTC'"
    return f"(CAST({arguments[-1]} AS TIMESTAMP) AT TIME ZONE {source} AT TIME ZONE {arguments[-2]})"


def _nvl2(arguments: Arguments, target: Target) -> str:
    _number(arguments, "NVL2", 3)
    return f"(CASE WHEN {arguments[0]} IS NOT NULL THEN {arguments[1]} ELSE {arguments[2]} END)"


def _concat(arguments: Arguments, target: Target) -> str:
    """NULL if one of the two is NULL, other than PostgreSQL's function of that name."""
    _number(arguments, "CONCAT", 2)
    return f"({arguments[0]} || {arguments[1]})"


def _charindex(arguments: Arguments, target: Target) -> str:
    _number(arguments, "CHARINDEX", 2)
    return f"(POSITION({arguments[0]} IN {arguments[1]}))"


def _length(arguments: Arguments, target: Target) -> str:
    _number(arguments, "LEN", 1)
    return f"LENGTH({arguments[0]})"


def _regexp_replace(arguments: Arguments, target: Target) -> str:
    """All that match are replaced, where PostgreSQL and DuckDB replace the first."""
    _number(arguments, "REGEXP_REPLACE", 2, 3)
    return f"REGEXP_REPLACE({', '.join([*arguments, *([_EMPTY] if len(arguments) == 2 else [])])}, 'g')"


def _decimal_average(arguments: Arguments, target: Target) -> str:
    """Redshift cuts the average of whole numbers to a whole number, and the types are not known here."""
    (argument,) = arguments
    if not any(mark in argument.upper() for mark in ("AS DOUBLE PRECISION)", "AS DOUBLE)", "AS REAL)", "AS DECIMAL(")):
        raise DatabaseError(
            "AVG gives a whole number for whole numbers in Redshift, and not in other databases. Cast its argument,"
            " as in AVG(x::float) or AVG(x::decimal(18,2)), to have the same everywhere."
        )
    return f"AVG({argument})"


_EMPTY = "''"
_Make = Callable[[Arguments, Target], str]
_MADE: dict[str, _Make] = {
    "getdate": _getdate,
    "dateadd": _dateadd,
    "date_add": _dateadd,
    "datediff": _datediff,
    "date_diff": _datediff,
    "add_months": _add_months,
    "last_day": _last_day,
    "convert_timezone": _convert_timezone,
    "nvl": lambda arguments, target: f"COALESCE({', '.join(arguments)})",
    "nvl2": _nvl2,
    "concat": _concat,
    "charindex": _charindex,
    "len": _length,
    "textlen": _length,
    "length": _length,
    "replicate": lambda arguments, target: f"REPEAT({', '.join(arguments)})",
    "space": lambda arguments, target: f"REPEAT(' ', {arguments[0]})",
    "pow": lambda arguments, target: f"POWER({', '.join(arguments)})",
    "dexp": lambda arguments, target: f"EXP({arguments[0]})",
    "dlog1": lambda arguments, target: f"LN({arguments[0]})",
    "date": lambda arguments, target: f"(CAST({arguments[0]} AS DATE))",
    "regexp_replace": _regexp_replace,
    "avg": _decimal_average,
}
_REMEDIES = {
    "median": "Write PERCENTILE_CONT on a real cluster, or compute it in the query.",
    "json_extract_path_text": "Load the JSON into columns (commandOptions JSON 'auto').",
}
