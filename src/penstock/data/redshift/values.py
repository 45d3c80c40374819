"""Values as COPY converts them: each column of a batch at once where nothing is special, else value by value."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal, InvalidOperation

from penstock.data.redshift.dates import Reader, date_reader, date_text, time_reader, time_text
from penstock.data.redshift.options import Options

Text = str | None
_WHOLE = {"smallint": 2**15, "integer": 2**31, "bigint": 2**63}
_TRUE = frozenset(["t", "true", "y", "yes", "1"])
_FALSE = frozenset(["f", "false", "n", "no", "0"])
_DIGITS = re.compile(r"[0-9+-]*")
_PLAIN_DECIMAL = re.compile(r"[+-]?(\d*)(?:\.(\d*))?")
_PLAIN_FLOATS = re.compile(r"(?:[+-]?[0-9]{1,15}(?:\.[0-9]{1,20})?\n)+")
_PLAIN_TIMES = re.compile(r"(?:[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?\n)+")
_FLOAT = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?(?:nan|inf|infinity)", re.IGNORECASE)
_TIME = re.compile(r"([01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,6}\d*)?)?(Z|[+-]\d{1,2}(?::?\d{2})?)?", re.IGNORECASE)


@dataclass(frozen=True)
class Column:
    """A column of the table that is loaded.

    `kind` is smallint, integer, bigint, decimal, real, double, boolean, char, varchar, date, timestamp, timestamptz,
    time, bytes or other; `size` the bytes of a text or the precision of a decimal (0: no limit), `scale` its digits
    after the point.
    """

    name: str
    kind: str
    size: int = 0
    scale: int = 0
    is_nullable: bool = True
    is_identity: bool = False
    has_default: bool = False
    declared: str = ""


class BadValue(Exception):
    """A value that its column does not take; the text says why, without row and column."""


class ColumnReader:
    """Makes values of one column what the database takes, as the options say."""

    def __init__(self, column: Column, options: Options) -> None:
        self.column = column
        self._is_text = column.kind in ("varchar", "char")
        self._convert = _converter(column, options)
        self._empty_as_null = options.has("EMPTYASNULL")
        self._blanks_as_null = options.has("BLANKSASNULL")

    def all(self, values: Sequence[Text]) -> list[Text]:
        """The values of a batch. Raises `BadValue` if one of them is bad; `one` says which."""
        if self._is_text and not self._blanks_as_null:
            kept = [None if value is None or (self._empty_as_null and not value) else value for value in values]
        else:
            kept = [None if value is None or not value.strip() else value for value in values]
            if self._is_text and not self._empty_as_null:
                kept = ["" if value == "" else made for value, made in zip(values, kept, strict=True)]
        if not self.column.is_nullable and None in kept:
            raise BadValue("NULL is not allowed here")
        present = [value for value in kept if value is not None]
        if not present:
            return kept
        made = self._convert(present)
        if len(present) == len(kept):
            return made
        rest = iter(made)
        return [None if value is None else next(rest) for value in kept]

    def one(self, value: Text) -> Text:
        """One value. Raises `BadValue`."""
        return self.all([value])[0]


Convert = Callable[[list[str]], list[Text]]


def _converter(column: Column, options: Options) -> Convert:
    kind = column.kind
    if kind in _WHOLE:
        return _whole(kind, _WHOLE[kind])
    if kind == "decimal":
        return _decimal(column, ROUND_HALF_UP if options.has("ROUNDEC") else ROUND_DOWN)
    if kind in ("real", "double"):
        return _float(column)
    if kind == "boolean":
        return _booleans
    if kind in ("varchar", "char"):
        return _text(column, options)
    if kind == "date":
        return _moments(date_reader(options.date_format), date_text, "date", options)
    if kind in ("timestamp", "timestamptz"):
        return _moments(time_reader(options.time_format), time_text, kind, options)
    if kind == "time":
        return lambda values: [_clock(value) for value in values]
    if kind == "bytes":
        return lambda values: [_hexadecimal(value) for value in values]
    return lambda values: list(values)


def _whole(kind: str, limit: int) -> Convert:
    def convert(values: list[str]) -> list[Text]:
        values = [value.strip() for value in values]
        try:
            if _DIGITS.fullmatch("".join(values)) is None:
                raise ValueError
            numbers = list(map(int, values))
        except ValueError:
            bad = next(value for value in values if re.fullmatch(r"[+-]?[0-9]+", value) is None)
            raise BadValue(f"{_shown(bad)} is no whole number") from None
        if min(numbers) < -limit or max(numbers) >= limit:
            bad = next(value for value, number in zip(values, numbers, strict=True) if not -limit <= number < limit)
            raise BadValue(f"{bad} lies outside of what {kind.upper()} holds")
        return list(values)

    return convert


def _decimal(column: Column, rounding: str) -> Convert:
    whole_digits = column.size - column.scale

    def one(value: str) -> str:
        value = value.strip()
        match = _PLAIN_DECIMAL.fullmatch(value)
        is_plain = match is not None and (match[1] or match[2]) and value.isascii()
        if match is not None and is_plain:
            fits = len(match[1]) <= whole_digits and len(match[2] or "") <= column.scale
            if fits or not column.size:
                return value
        try:
            if not value.isascii() or "_" in value:
                raise InvalidOperation
            number = Decimal(value)
        except InvalidOperation:
            raise BadValue(f"{_shown(value)} is no number") from None
        if not number.is_finite():
            raise BadValue(f"{_shown(value)} is no number")
        if not column.size:
            return format(number, "f")
        if number and number.adjusted() >= whole_digits:
            raise BadValue(f"{_shown(value)} does not fit into DECIMAL({column.size},{column.scale})")
        made = number.quantize(Decimal(1).scaleb(-column.scale), rounding=rounding)
        if made and made.adjusted() >= whole_digits:
            raise BadValue(f"{_shown(value)} does not fit into DECIMAL({column.size},{column.scale})")
        return format(made, "f")

    plain = re.compile(
        rf"(?:[+-]?(?:[0-9]{{1,{whole_digits}}}(?:\.[0-9]{{0,{column.scale}}})?)\n)+" if whole_digits > 0 else r"(?!)"
    )

    def convert(values: list[str]) -> list[Text]:
        if plain.fullmatch("\n".join([*values, ""])) is not None:
            return list(values)
        return [one(value) for value in values]

    return convert


def _float(column: Column) -> Convert:
    largest = 3.4028235677973366e38 if column.kind == "real" else float("inf")

    def one(value: str) -> str:
        value = value.strip()
        if _FLOAT.fullmatch(value) is None or not value.isascii():
            raise BadValue(f"{_shown(value)} is no number")
        number = float(value)
        if abs(number) >= largest and "n" not in value.lower():
            raise BadValue(f"{_shown(value)} lies outside of what {column.kind.upper()} holds")
        return value

    def convert(values: list[str]) -> list[Text]:
        if _PLAIN_FLOATS.fullmatch("\n".join([*values, ""])) is not None:
            return list(values)
        return [one(value) for value in values]

    return convert


def _booleans(values: list[str]) -> list[Text]:
    known = {text: _boolean(text) for text in set(values)}
    return [known[value] for value in values]


def _boolean(value: str) -> str:
    lower = value.strip().lower()
    if lower in _TRUE:
        return "true"
    if lower in _FALSE:
        return "false"
    raise BadValue(f"{_shown(value)} is neither true nor false")


def _text(column: Column, options: Options) -> Convert:
    trims = options.has("TRIMBLANKS") and column.kind == "varchar"
    truncates = options.has("TRUNCATECOLUMNS")
    size = column.size

    def convert(values: list[str]) -> list[Text]:
        joined = "".join(values)
        if "\0" in joined:
            raise BadValue("the text holds the character 0x00")
        try:
            encoded = joined.encode()
        except UnicodeEncodeError as error:
            code = ord(joined[error.start]) - 0xDC00
            raise BadValue(f"the byte 0x{code:02x} is not valid UTF-8. ACCEPTINVCHARS would replace it") from None
        made = [value.rstrip() for value in values] if trims else list(values)
        if column.kind == "char":
            if len(encoded) != len(joined):
                raise BadValue("CHAR takes no character of several bytes; VARCHAR does")
            made = [value.rstrip(" ") for value in made]
        if not size or (len(max(made, key=len)) * 4 <= size):
            return list(made)
        return [_fitted(value, size, truncates) for value in made]

    return convert


def _fitted(value: str, size: int, truncates: bool) -> str:
    data = value.encode()
    if len(data) <= size:
        return value
    if not truncates:
        raise BadValue(f"the text has {len(data)} bytes, and the column takes {size}. TRUNCATECOLUMNS would cut it")
    return data[:size].decode(errors="ignore")


def _moments(read: Reader, write: Callable[..., str], kind: str, options: Options) -> Convert:
    accepts_any = options.has("ACCEPTANYDATE")
    with_zone = kind == "timestamptz"
    option = "DATEFORMAT" if kind == "date" else "TIMEFORMAT"

    def one(value: str) -> Text:
        try:
            moment = read(value)
        except (ValueError, OverflowError):
            if accepts_any:
                return None
            raise BadValue(f"{_shown(value)} is no {kind} of the form that {option} says") from None
        if moment.tzinfo is not None and not with_zone:
            moment = moment.replace(tzinfo=None)
        text = write(moment)
        return f"{text}+00:00" if with_zone and moment.tzinfo is None else text

    def convert(values: list[str]) -> list[Text]:
        if kind == "timestamp" and not options.time_format:
            if _PLAIN_TIMES.fullmatch("\n".join([*values, ""])) is None:
                return [one(value) for value in values]
            try:
                for value in values:
                    datetime.fromisoformat(value)
            except ValueError:
                return [one(value) for value in values]
            return list(values)
        if kind == "date" and not options.date_format:
            try:
                for value in values:
                    date.fromisoformat(value)
            except ValueError:
                return [one(value) for value in values]
            if min(map(len, values)) == 10 == max(map(len, values)) and "W" not in "".join(values):
                return list(values)
        return [one(value) for value in values]

    return convert


def _clock(value: str) -> str:
    if _TIME.fullmatch(value.strip()) is None:
        raise BadValue(f"{_shown(value)} is no time of the form HH:MI:SS")
    return value.strip()


def _hexadecimal(value: str) -> str:
    try:
        return "\\x" + bytes.fromhex(value).hex()
    except ValueError:
        raise BadValue(f"{_shown(value)} is not hexadecimal") from None


def _shown(value: str) -> str:
    return repr(value if len(value) <= 60 else value[:57] + "...")
