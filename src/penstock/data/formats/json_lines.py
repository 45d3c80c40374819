"""JSON Lines: an object on each line, an extension.

A number stays the text that it is: nothing is rounded on its way. A NULL is null, and so is a key that an object
lacks; what is nested is a value whose text is JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import BinaryIO, cast

from penstock.data.formats.column_types import check_texts, is_bare
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
    row_error,
)
from penstock.data.records import FormatError
from penstock.data.values import to_text

_quote = json.encoder.encode_basestring
_SPACE = " \t\r"
_NO_NUMBERS = ("NaN", "Infinity", "-Infinity")


@dataclass(frozen=True)
class JsonLines:
    """JSON Lines. `columns` are the keys that are read, in their order, and the names that are written."""

    columns: tuple[str, ...] = ()
    name = "JSONLines"
    record_separator = "\n"
    joins = True

    def same_text(self, other: object) -> bool:
        """Whether the lines of one are lines of the other: where the same keys are chosen, or all."""
        return isinstance(other, JsonLines) and (
            [column.name for column in parse_columns(self.columns)]
            == [column.name for column in parse_columns(other.columns)]
        )


class JsonText(str):
    """A number, an object or a list as JSON has it."""

    __slots__ = ()


def read(stream: BinaryIO, format: JsonLines, *, batch_size: int, longest_record: int) -> Rows:
    """The objects of a file. See `read_rows`.

    Without columns those of the first object are those of all, and a further key in another is an error.
    """
    objects = _objects(stream, longest_record)
    columns = parse_columns(format.columns)
    if not columns:
        first = next(objects, None)
        if first is None:
            return Rows((), iter(()))
        columns = tuple([Column(name) for name in first[1]])
        if not columns:
            raise line_error(first[0], "is an object without keys. Name the columns in `column` of the data format.")
        objects = _again(first, objects)
        del first
    return Rows(columns, batched_rows(_rows(objects, columns, is_closed=not format.columns), batch_size))


def write(
    stream: Sink,
    format: JsonLines,
    batches: Iterable[Sequence[Row]],
    *,
    columns: Sequence[Column],
    first_row: int,
) -> int:
    """Write rows as objects. See `write_rows`.

    A text is a JSON string, but in a column of a type of numbers, or of BOOLEAN, it is written as it is.
    """
    row_number = first_row
    written: tuple[Column, ...] = ()
    for batch in batches:
        if not batch:
            continue
        written = written or named_columns("JSON Lines", format.columns, columns)
        keys = [("," if index else "{") + _quote(column.name) + ":" for index, column in enumerate(written)]
        bare = [is_bare(column.type) for column in written]
        try:
            check_width(batch, len(written), "the columns of the format are")
            check_texts(batch, written, bare)
            lines = [
                "".join([key + _json(value, as_it_is) for key, value, as_it_is in zip(keys, row, bare, strict=True)])
                for row in batch
            ]
        except BadRecord as error:
            raise error.at(row_number + error.index) from None
        except TypeError as error:
            raise FormatError(f"A row from {row_number} on cannot be written. {error}") from None
        lines.append("")
        text = "}\n".join(lines)
        del lines
        try:
            data = text.encode()
        except UnicodeEncodeError as error:
            number = row_number + error.object.count("\n", 0, error.start)
            raise row_error(number, None, "holds text that is not valid Unicode.") from None
        del text
        stream.write(data)
        row_number += len(batch)
        del batch, data
    return row_number - first_row


def json_text(value: object) -> str:
    """The JSON of a value, numbers as they are."""
    if isinstance(value, dict):
        return "{" + ",".join([f"{_quote(str(key))}:{json_text(inner)}" for key, inner in value.items()]) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join([json_text(inner) for inner in value]) + "]"
    return _json(value, as_it_is=False)


def _json(value: object, as_it_is: bool) -> str:
    if value is None:
        return "null"
    kind = type(value)
    if kind is str:
        return str(value) if as_it_is and value not in _NO_NUMBERS else _quote(str(value))
    if kind is JsonText or kind is int:
        return str(value)
    if kind is bool:
        return "true" if value else "false"
    if isinstance(value, dict | list | tuple):
        return json_text(value)
    text = to_text(value) or ""
    if isinstance(value, int) or (isinstance(value, float | Decimal) and text[-1:].isdigit()):
        return text
    return _quote(text)  # also NaN and Infinity, for which JSON has no number


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"has the key {twice!r} twice.")
    return found


def _no_number(text: str) -> object:
    raise ValueError(f"holds {text}, which is no JSON. Write it as a string.")


def decoder() -> Callable[[str, int], tuple[object, int]]:
    """A function that decodes the JSON value at a position of a text, and gives it with its end."""
    decode = json.JSONDecoder(
        parse_int=JsonText, parse_float=JsonText, parse_constant=_no_number, object_pairs_hook=_unique
    )
    return cast("Callable[[str, int], tuple[object, int]]", decode.scan_once)  # type: ignore[attr-defined]


def _objects(stream: BinaryIO, longest: int) -> Iterator[tuple[int, dict[str, object]]]:
    """Each object with the number of its line; an empty line is none."""
    decode = decoder()
    number = 0
    for lines in read_lines(stream, longest):
        lines.reverse()
        while lines:  # `enumerate` would keep a long one
            number += 1
            text = lines.pop().strip(_SPACE)
            if number == 1:
                text = text.removeprefix("\ufeff")
            if not text:
                continue
            try:
                value, end = decode(text, 0)
            except StopIteration as error:
                raise line_error(number, f"is no JSON, from {_at(text, error.value)} on.") from None
            except json.JSONDecodeError as error:
                raise line_error(number, f"is no JSON: {error.msg}, at {_at(text, error.pos)}.") from None
            except (ValueError, RecursionError) as error:
                problem = str(error) if isinstance(error, ValueError) else "is nested too deeply."
                raise line_error(number, problem) from None
            if end < len(text):
                raise line_error(number, f"has more than one JSON object: {_at(text, end)}.")
            if not isinstance(value, dict):
                raise line_error(number, f"is no JSON object: {_at(text, 0)}.")
            del text  # a long one is not kept while its object is, nor that while the next is read
            yield number, value
            del value


def _again(
    first: tuple[int, dict[str, object]], rest: Iterator[tuple[int, dict[str, object]]]
) -> Iterator[tuple[int, dict[str, object]]]:
    """The first and the rest; `chain` would keep a long first one."""
    waiting = [first]
    del first
    yield waiting.pop()
    yield from rest


def _at(text: str, position: int) -> str:
    return repr(text[position : position + 40]) if position < len(text) else "its end"


def _rows(
    objects: Iterator[tuple[int, dict[str, object]]], columns: tuple[Column, ...], *, is_closed: bool
) -> Iterator[tuple[object, ...]]:
    names = [column.name for column in columns]
    known = set(names)
    for number, found in objects:
        if is_closed and not known.issuperset(found):
            other = next(name for name in found if name not in known)
            raise line_error(
                number,
                f"has the key {other!r}, but the first object has only {', '.join(names)}."
                " Name the columns in `column` of the data format.",
            )
        get = found.get
        yield tuple([_value(get(name)) for name in names])
        del found, get


def _value(value: object) -> object:
    return JsonText(json_text(value)) if type(value) is dict or type(value) is list else value
