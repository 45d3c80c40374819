"""Values between Python and MySQL: literals of statements, and what the values of a column become.

Numbers come typed, bytes as bytes, and everything else (dates, times, JSON, ENUM …) as MySQL's own text, which goes
into another table, or a file, unchanged: `0000-00-00`, `-838:59:59` and `2013-01-02 03:04:05.120` are no values of
Python's types.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pymysql.constants import FIELD_TYPE

from penstock.data.values import to_text

if TYPE_CHECKING:
    from penstock.data.databases.mysql_connection import Column

_INTEGERS = {
    FIELD_TYPE.TINY: 1,
    FIELD_TYPE.SHORT: 2,
    FIELD_TYPE.INT24: 4,
    FIELD_TYPE.LONG: 4,
    FIELD_TYPE.LONGLONG: 8,
    FIELD_TYPE.YEAR: 2,
}
_DATES = frozenset((FIELD_TYPE.DATE, FIELD_TYPE.NEWDATE, FIELD_TYPE.DATETIME, FIELD_TYPE.TIMESTAMP))
_UNSIGNED, _ZEROFILL = 32, 64
_BINARY, _ANY_SCALE = 63, 31
_STRINGS = frozenset(
    (
        *(FIELD_TYPE.VARCHAR, FIELD_TYPE.VAR_STRING, FIELD_TYPE.STRING, FIELD_TYPE.BLOB),
        *(FIELD_TYPE.TINY_BLOB, FIELD_TYPE.MEDIUM_BLOB, FIELD_TYPE.LONG_BLOB, FIELD_TYPE.GEOMETRY),
    )
)
_LARGEST_FLOAT = 3.4028234663852886e38
_ESCAPED = str.maketrans({"\\": "\\\\", "'": "\\'", "\0": "\\0", "\n": "\\n", "\r": "\\r", "\x1a": "\\Z"})


def literal(value: object) -> str:
    """A value as a statement holds it: text in quotes, bytes as hexadecimal digits.

    Raises TypeError and UnicodeError.
    """
    if value is None:
        return "NULL"
    if value is True or value is False:
        return "1" if value else "0"
    if isinstance(value, bytes | bytearray | memoryview):
        return f"x'{bytes(value).hex()}'"
    if type(value) is int:
        return str(value)  # text would be bytes to a column of the type BIT
    text = text_of(value)
    text.encode()
    return f"'{text.translate(_ESCAPED)}'"


def text_of(value: object, zone: tzinfo = UTC) -> str:
    """The text of a value that is not NULL; a time with a zone becomes UTC's, for MySQL has no type with zones."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        value = value.astimezone(zone).replace(tzinfo=None)
    text = to_text(value)
    return "" if text is None else text


def is_exact_text(column: Column) -> bool:
    """Whether MySQL's text of a column's values is what `to_text` makes of them."""
    if column.flags & _ZEROFILL:
        return True
    if column.type in (FIELD_TYPE.FLOAT, FIELD_TYPE.DOUBLE, FIELD_TYPE.BIT):
        return False
    return not is_binary(column)


def is_binary(column: Column) -> bool:
    """Whether a column's values are bytes."""
    return column.charset == _BINARY and column.type in _STRINGS


def is_date(column: Column) -> bool:
    """Whether a column may hold `0000-00-00`."""
    return column.type in _DATES


def loses_digits(column: Column) -> bool:
    """Whether the text of a column has fewer digits than its values: FLOAT is written with six."""
    return column.type == FIELD_TYPE.FLOAT and column.decimals >= _ANY_SCALE


def converter(column: Column) -> Callable[[str], object] | None:
    """What makes a column's values of their text in Latin-1; None where they are text in UTF-8 or bytes."""
    if column.flags & _ZEROFILL:
        return str
    if column.type == FIELD_TYPE.BIT:
        return lambda text: int.from_bytes(text.encode("latin-1"), "big")
    if column.type == FIELD_TYPE.YEAR or column.type in _DATES or column.type == FIELD_TYPE.TIME:
        return str
    if column.type in _INTEGERS:
        return int
    if column.type in (FIELD_TYPE.FLOAT, FIELD_TYPE.DOUBLE):
        return float
    if column.type in (FIELD_TYPE.DECIMAL, FIELD_TYPE.NEWDECIMAL):
        return Decimal
    return None


def zero_dates(column: Column, behavior: str) -> Callable[[str], object] | None:
    """What `zeroDateTimeBehavior` makes of the text of dates: `null`, `round` or `exception`; None leaves them."""
    if not behavior or not is_date(column):
        return None

    def convert(text: str) -> object:
        if not text.startswith("0000-00-00"):
            return text
        if behavior == "exception":
            raise ValueError(f"Column {column.name} holds {text}, which zeroDateTimeBehavior=EXCEPTION refuses")
        return None if behavior == "null" else "0001-01-01" + text[10:]

    return convert


def binary_row(data: bytes, position: int, columns: tuple[Column, ...]) -> tuple[object, ...]:
    """A row of the binary protocol, whose payload begins at `position`; values as those of the text protocol."""
    nulls = (len(columns) + 9) // 8
    bits = int.from_bytes(data[position + 1 : position + 1 + nulls], "little") >> 2
    position += 1 + nulls
    row: list[object] = []
    for index, column in enumerate(columns):
        if bits >> index & 1:
            row.append(None)
            continue
        width = _INTEGERS.get(column.type)
        if width is not None:
            is_signed = not column.flags & _UNSIGNED and column.type != FIELD_TYPE.YEAR
            number = int.from_bytes(data[position : position + width], "little", signed=is_signed)
            padded = column.flags & _ZEROFILL or column.type == FIELD_TYPE.YEAR
            row.append(str(number).zfill(column.length) if padded else number)
            position += width
        elif column.type == FIELD_TYPE.FLOAT:
            row.append(_shortest(data[position : position + 4]))
            position += 4
        elif column.type == FIELD_TYPE.DOUBLE:
            row.append(struct.unpack_from("<d", data, position)[0])
            position += 8
        else:
            value, position = _with_length(data, position)
            row.append(_of_bytes(value, column))
    return tuple(row)


def _shortest(data: bytes) -> float:
    """The number of fewest digits that is this one in four bytes."""
    (exact,) = struct.unpack("<f", data)
    for digits in range(6, 10):
        number = float(f"{exact:.{digits}g}")
        if abs(number) <= _LARGEST_FLOAT and struct.pack("<f", number) == data:
            return number
    return float(exact)


def _with_length(data: bytes, position: int) -> tuple[bytes, int]:
    length, width = data[position], 0
    if length > 0xFB:
        width = {0xFC: 2, 0xFD: 3, 0xFE: 8}[length]
        length = int.from_bytes(data[position + 1 : position + 1 + width], "little")
    begin = position + 1 + width
    return data[begin : begin + length], begin + length


def _of_bytes(value: bytes, column: Column) -> Any:
    if column.type in _DATES:
        return _date(value, column)
    if column.type == FIELD_TYPE.TIME:
        return _time(value, column)
    convert = converter(column)
    if convert is not None:
        return convert(value.decode("latin-1"))
    return value if is_binary(column) else value.decode()


def _date(value: bytes, column: Column) -> str:
    year, month, day, hour, minute, second, fraction = struct.unpack("<HBBBBBI", value.ljust(11, b"\0"))
    text = f"{year:04}-{month:02}-{day:02}"
    if column.type in (FIELD_TYPE.DATE, FIELD_TYPE.NEWDATE):
        return text
    return f"{text} {hour:02}:{minute:02}:{second:02}{_fraction(fraction, column)}"


def _time(value: bytes, column: Column) -> str:
    minus, days, hour, minute, second, fraction = struct.unpack("<BIBBBI", value.ljust(12, b"\0"))
    return f"{'-' * minus}{days * 24 + hour:02}:{minute:02}:{second:02}{_fraction(fraction, column)}"


def _fraction(microseconds: int, column: Column) -> str:
    digits = column.decimals if column.decimals <= 6 else 6 if microseconds else 0
    return f".{microseconds:06}"[: digits + 1] if digits else ""
