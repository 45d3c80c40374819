r"""The files of DynamoDB's exports by Data Pipeline and EMR: an item on each line, its attributes with their types.

A line is `name\x03{"s":"value"}\x02name\x03{"n":"1"}…`, or, as newer versions write it, a JSON object of such values;
both are read, the types in small or capital letters. Lines are written in the first form, and in the second where a
name has other characters than letters, digits, `_`, `-` and `.`, as Amazon's own import would misread it.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, BinaryIO, cast

from penstock.data.formats.column_types import is_bare
from penstock.data.formats.json_lines import JsonText, decoder, json_text
from penstock.data.formats.lines import line_error, read_lines
from penstock.data.formats.rows import (
    BadRecord,
    Column,
    Row,
    Rows,
    Sink,
    batched_rows,
    check_width,
    named_columns,
    parse_columns,
)
from penstock.data.records import FormatError
from penstock.data.values import to_text

ITEM = "item"
"""The one column of rows that are whole items, as JSON."""
_TYPES = {"s", "n", "b", "bool", "null", "ss", "ns", "bs", "l", "m"}
_SAME = {"nullvalue": "null"}
_NUMBER = re.compile(r"-?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_PLAIN_NAME = re.compile(r"[\w.-]+", re.ASCII)
_OWN_JSON = ("ARRAY", "MAP", "STRUCT", "LIST", "ITEM")


@dataclass(frozen=True)
class DynamoDBExport:
    """An item on each line. `columns` are the attributes of a row; without them a row is an item, as JSON.

    | attribute | value |
    |---|---|
    | s, n, bool, b | text, number, truth, bytes |
    | null, or none of that name | NULL |
    | ss, ns, bs, l, m | DynamoDB's JSON of it, such as `{"SS":["a","b"]}` |
    """

    columns: tuple[str, ...] = ()
    name = "DynamoDBExportDataFormat"
    record_separator = "\n"
    joins = True

    def same_text(self, other: object) -> bool:
        """Whether the lines of one are lines of the other: where the same attributes are chosen, or all."""
        return isinstance(other, DynamoDBExport) and (
            [column.name for column in parse_columns(self.columns)]
            == [column.name for column in parse_columns(other.columns)]
        )


def read(stream: BinaryIO, format: DynamoDBExport, *, batch_size: int, longest_record: int) -> Rows:
    """The items of a file. See `read_rows`. An empty line is no item."""
    columns = parse_columns(format.columns)
    return Rows(
        columns or (Column(ITEM, "ITEM"),),
        batched_rows(_rows(read_lines(stream, longest_record), [column.name for column in columns]), batch_size),
    )


def _rows(pieces: Iterator[list[str]], names: list[str]) -> Iterator[tuple[object, ...]]:
    decode = decoder()
    number = 0
    for lines in pieces:
        for line in lines:
            number += 1
            if not line.strip():
                continue
            try:
                item = {name: _checked(value) for name, value in _item(line, decode).items()}
                row = tuple([_value(item.get(name)) for name in names]) if names else (_own_json(item),)
            except (ValueError, StopIteration) as error:
                problem = str(error) if type(error) is ValueError else f"is no item: {line[:60]!r}."
                raise line_error(number, problem) from None
            yield row


def _item(line: str, decode: Callable[[str, int], tuple[object, int]]) -> dict[str, object]:
    text = line.strip()
    if text.startswith("{"):
        return cast("dict[str, object]", _decoded(text, decode))
    item: dict[str, object] = {}
    for attribute in text.split("\x02"):
        name, mark, value = attribute.partition("\x03")
        if not mark:
            raise ValueError(f"has an attribute without a value: {attribute[:60]!r}.")
        if name in item:
            raise ValueError(f"has the attribute {name!r} twice.")
        item[name] = _decoded(value, decode)
    return item


def _decoded(text: str, decode: Callable[[str, int], tuple[object, int]]) -> object:
    value, end = decode(text, 0)
    if end != len(text) or not isinstance(value, dict):
        raise ValueError(f"is no item: {text[:60]!r}.")
    return value


def _checked(value: object) -> tuple[str, Any]:
    """The type of an attribute's value and what is in it. Raises ValueError."""
    if not isinstance(value, dict) or len(value) != 1:
        raise ValueError(f'has an attribute that is not of the form {{"s":"text"}}: {json_text(value)[:60]}.')
    ((tag, inner),) = value.items()
    kind = _SAME.get(tag.lower(), tag.lower())
    wrong = ValueError(f"has an attribute of the type {tag!r} with {json_text(inner)[:60]}.")
    if kind not in _TYPES:
        raise ValueError(f"has an attribute of the type {tag!r}, which DynamoDB does not know.")
    if kind in ("s", "n", "b"):
        return kind, _scalar(kind, inner, wrong)
    if kind in ("bool", "null"):
        if not isinstance(inner, bool):
            raise wrong
        return kind, inner
    if kind == "m":
        if not isinstance(inner, dict):
            raise wrong
        return kind, {name: _checked(one) for name, one in inner.items()}
    if not isinstance(inner, list):
        raise wrong
    if kind == "l":
        return kind, [_checked(one) for one in inner]
    return kind, [_scalar(kind[0], one, wrong) for one in inner]


def _scalar(kind: str, inner: object, wrong: ValueError) -> str:
    if not isinstance(inner, str) or (kind == "s" and isinstance(inner, JsonText)):
        raise wrong
    if kind == "n" and _NUMBER.fullmatch(inner) is None:
        raise wrong
    if kind == "b":
        try:
            base64.b64decode(inner, validate=True)
        except binascii.Error:
            raise wrong from None
    return str(inner)


def _value(attribute: tuple[str, Any] | None) -> object:
    if attribute is None:
        return None
    kind, inner = attribute
    if kind == "s" or kind == "bool":
        return inner
    if kind == "n":
        return JsonText(inner)
    if kind == "b":
        return base64.b64decode(inner)
    return None if kind == "null" else JsonText(_typed(attribute, str.upper))


def _typed(attribute: tuple[str, Any], case: Callable[[str], str]) -> str:
    """The JSON of a value with its type, in capital letters as DynamoDB has them, or small ones as files do."""
    kind, inner = attribute
    if kind == "m":
        text = "{" + ",".join([f"{json_text(name)}:{_typed(one, case)}" for name, one in inner.items()]) + "}"
    elif kind == "l":
        text = "[" + ",".join([_typed(one, case) for one in inner]) + "]"
    else:
        text = json_text(inner)
    return f'{{"{case(kind)}":{text}}}'


def _own_json(item: dict[str, tuple[str, Any]]) -> JsonText:
    return JsonText("{" + ",".join([f"{json_text(name)}:{_typed(one, str.upper)}" for name, one in item.items()]) + "}")


def write(
    stream: Sink,
    format: DynamoDBExport,
    batches: Iterable[Sequence[Row]],
    *,
    columns: Sequence[Column],
    first_row: int,
) -> int:
    """Write rows as items. See `write_rows`.

    A NULL is no attribute; a row of nothing else is refused. A text is s, but in a column of numbers, BINARY, BOOLEAN
    or ARRAY it is what the type says.
    """
    row_number = first_row
    for batch in batches:
        if not batch:
            continue
        named = named_columns("A DynamoDB export", format.columns, columns)
        whole_items = [column.name for column in named] == [ITEM] and not format.columns
        try:
            check_width(batch, len(named), "the columns of the format are")
            lines = [_line(row, named, index, is_item=whole_items) for index, row in enumerate(batch)]
        except BadRecord as error:
            raise error.at(row_number + error.index) from None
        text = "".join(lines)
        try:
            stream.write(text.encode())
        except UnicodeEncodeError as error:
            number = row_number + text.count("\n", 0, error.start)
            raise FormatError(f"Row {number} holds text that is not valid Unicode.") from None
        row_number += len(batch)
    return row_number - first_row


def _line(row: Row, columns: Sequence[Column], index: int, *, is_item: bool) -> str:
    item: dict[str, tuple[str, Any]] = {}
    try:
        if is_item:
            found = _decoded(to_text(row[0]) or "", decoder())
            item = {name: _checked(value) for name, value in cast("dict[str, object]", found).items()}
        for column, value in zip(columns, row, strict=True):
            if value is not None and not is_item:
                item[column.name] = _attribute(value, column)
    except (ValueError, TypeError, StopIteration) as error:
        if isinstance(error, json.JSONDecodeError | StopIteration):
            raise BadRecord(index, "has no JSON of DynamoDB's where it should be.") from None
        raise BadRecord(index, str(error)) from None
    if not item:
        raise BadRecord(index, "has no attribute: all its values are NULL.")
    if all(map(_PLAIN_NAME.fullmatch, item)):
        return "\x02".join([f"{name}\x03{_typed(value, str.lower)}" for name, value in item.items()]) + "\n"
    return "{" + ",".join([f"{json_text(name)}:{_typed(value, str.lower)}" for name, value in item.items()]) + "}\n"


def _attribute(value: object, column: Column) -> tuple[str, Any]:
    """A value with its type. Raises ValueError."""
    if isinstance(value, bytes | bytearray | memoryview):
        return "b", base64.b64encode(bytes(value)).decode()
    if isinstance(value, bool):
        return "bool", value
    if isinstance(value, dict | list | tuple):
        return _nested(value)
    text = to_text(value) or ""
    wrong = ValueError(f"has {text[:40]!r} in the column {column.name!r}, which is no {column.type} as it stands.")
    if column.type.startswith(_OWN_JSON) or (isinstance(value, JsonText) and text.startswith("{")):
        return _checked(_decoded(text, decoder()))
    if isinstance(value, JsonText) and text.startswith("["):
        return _nested(json.loads(text, parse_int=JsonText, parse_float=JsonText))
    if column.type in ("BINARY", "BLOB", "BYTEA"):
        if not text.startswith("\\x"):
            raise wrong
        return "b", base64.b64encode(bytes.fromhex(text[2:])).decode()
    if column.type in ("BOOLEAN", "BOOL"):
        if text not in ("true", "false"):
            raise wrong
        return "bool", text == "true"
    if isinstance(value, int | float | Decimal | JsonText) or is_bare(column.type):
        if _NUMBER.fullmatch(text) is None:
            raise wrong if column.type else ValueError(f"has {text!r}, which DynamoDB has no number for.")
        return "n", text
    return "s", text


def _nested(value: object) -> tuple[str, Any]:
    if isinstance(value, dict):
        return "m", {str(name): _nested(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return "l", [_nested(one) for one in value]
    return ("null", True) if value is None else _attribute(value, Column(""))
