"""The records of a file as COPY sees them: delimited, CSV, of fixed width, or JSON; with the line each begins in."""

from __future__ import annotations

import bz2
import codecs
import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import BinaryIO, cast

from penstock.data.compression import open_reader
from penstock.data.records import FormatError, over
from penstock.data.redshift.option_text import OptionError
from penstock.data.redshift.options import DEFAULT_NULL, Options

Text = str | None
Record = tuple[int, list[Text] | None, str]
"""The line in which a record begins, its values, and what is wrong with it if it has none."""
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\[(?:'([^']*)'|\"([^\"]*)\")\]")


def open_text(stream: BinaryIO, options: Options) -> BinaryIO:
    """The bytes of a file, decompressed as GZIP, BZIP2 or ZSTD ask."""
    if options.compression == "bzip2":
        return cast("BinaryIO", bz2.BZ2File(stream))
    return open_reader(stream, options.compression)


def read_records(
    stream: BinaryIO, options: Options, columns: list[str], open_uri: Callable[[str], BinaryIO], longest: int
) -> Iterator[Record]:
    """The records of a file that is not compressed; JSON gives the values of these columns.

    `open_uri` opens a JSONPaths file. Values are text, or None for NULL; bytes that are not UTF-8 stay as surrogates,
    so that the column can be named. Raises `FormatError` for a record of more than `longest` characters.
    """
    lines = _lines(stream, options, longest)
    if options.kind == "JSON":
        return _json(lines, options, columns, open_uri, longest)
    if options.kind == "CSV":
        return _csv(lines, options, longest)
    skipped = _after_header(lines, options)
    if options.kind == "FIXEDWIDTH":
        return _fixed(skipped, options)
    if options.has("ESCAPE") or options.has("REMOVEQUOTES"):
        return _marked(skipped, options, longest)
    return _plain(skipped, options)


def _lines(stream: BinaryIO, options: Options, longest: int) -> Iterator[str]:
    """The lines with their line feeds."""
    errors = "surrogateescape"
    if options.invalid_as is not None:
        errors = "penstock-" + f"{ord(options.invalid_as):02x}"
        character = options.invalid_as

        def replace(error: UnicodeError) -> tuple[str, int]:
            assert isinstance(error, UnicodeDecodeError)
            return character * (error.end - error.start), error.end

        codecs.register_error(errors, replace)
    elif options.encoding != "utf-8":
        errors = "strict"
    reader = io.TextIOWrapper(stream, encoding=options.encoding, errors=errors, newline="\n")
    try:
        for number, line in enumerate(iter(partial(reader.readline, longest + 2), "")):
            if len(line) > longest + 1:  # with its line feed
                raise _too_long(number + 1, longest)
            yield line[1:] if number == 0 and line.startswith("\ufeff") else line
    finally:
        reader.detach()  # the stream is its owner's to close


def _after_header(lines: Iterator[str], options: Options) -> Iterator[tuple[int, str]]:
    """(number, line without its end) of the lines that hold records."""
    ignores_blank = options.has("IGNOREBLANKLINES")
    for number, line in enumerate(lines, 1):
        if number <= options.ignore_header:
            continue
        text = line.removesuffix("\n").removesuffix("\r")
        if text or not ignores_blank:
            yield number, text


def _too_long(line: int, longest: int) -> FormatError:
    return FormatError(f"The record of line {line} {over(longest)}.")


def _nulls(values: list[str], null: str) -> list[Text]:
    if null not in values:
        return cast("list[Text]", values)
    return [None if value == null else value for value in values]


def _plain(lines: Iterator[tuple[int, str]], options: Options) -> Iterator[Record]:
    delimiter, null = options.delimiter, DEFAULT_NULL if options.null is None else options.null
    for number, line in lines:
        yield number, _nulls(line.split(delimiter), null), ""


def _fixed(lines: Iterator[tuple[int, str]], options: Options) -> Iterator[Record]:
    null = DEFAULT_NULL if options.null is None else options.null
    ends, position = [], 0
    for _, width in options.widths:
        ends.append((position, position + width))
        position += width
    for number, line in lines:
        values = [line[start:end] for start, end in ends]
        yield number, [None if value.rstrip() == null else value for value in values], ""


def _marked(lines: Iterator[tuple[int, str]], options: Options, longest: int) -> Iterator[Record]:
    """With ESCAPE, REMOVEQUOTES, or both."""
    escapes, unquotes = options.has("ESCAPE"), options.has("REMOVEQUOTES")
    null = DEFAULT_NULL if options.null is None else options.null
    for number, first in lines:
        line = first
        while escapes and (len(line) - len(line.rstrip("\\"))) % 2:
            following = next(lines, None)
            if following is None:
                yield number, None, "the file ends in an escape character"
                return
            line += "\n" + following[1]
            if len(line) > longest:
                raise _too_long(number, longest)
        try:
            yield number, _fields(line, options.delimiter, null, escapes=escapes, unquotes=unquotes), ""
        except ValueError as error:
            yield number, None, str(error)


def _fields(line: str, delimiter: str, null: str, *, escapes: bool, unquotes: bool) -> list[Text]:
    fields: list[Text] = []
    position = 0
    while True:
        if unquotes and line[position : position + 1] in ("'", '"'):
            end = _closing(line, position, delimiter, escapes=escapes)
            raw, after = line[position + 1 : end], end + 1
        else:
            after = _unescaped(line, position, delimiter) if escapes else line.find(delimiter, position)
            after = len(line) if after < 0 else after
            raw = line[position:after]
        value = re.sub(r"\\(.)", r"\1", raw, flags=re.DOTALL) if escapes and "\\" in raw else raw
        fields.append(None if raw == null or (value == null and not escapes) else value)
        if after >= len(line):
            return fields
        position = after + len(delimiter)


def _unescaped(line: str, position: int, delimiter: str) -> int:
    found = line.find(delimiter, position)
    while found > 0:
        before = line[position:found]
        if (len(before) - len(before.rstrip("\\"))) % 2 == 0:
            return found
        found = line.find(delimiter, found + 1)
    return found


def _closing(line: str, position: int, delimiter: str, *, escapes: bool) -> int:
    """Where the quotation mark is that closes the one at `position`: before a delimiter or the end of the line."""
    mark = line[position]
    found = line.find(mark, position + 1)
    while found >= 0:
        between = line[position + 1 : found]
        is_escaped = escapes and (len(between) - len(between.rstrip("\\"))) % 2
        if not is_escaped and (found + 1 == len(line) or line.startswith(delimiter, found + 1)):
            return found
        found = line.find(mark, found + 1)
    raise ValueError(f"the quotation mark {mark} is not closed, which REMOVEQUOTES needs")


def _csv(lines: Iterator[str], options: Options, longest: int) -> Iterator[Record]:
    null = DEFAULT_NULL if options.null is None else options.null
    ignores_blank = options.has("IGNOREBLANKLINES")
    skipped = 0
    while skipped < options.ignore_header:
        if next(lines, None) is None:
            return
        skipped += 1
    if len(options.delimiter) != 1:
        raise OptionError("CSV takes a DELIMITER of one character.")
    number, size = skipped + 1, 0

    def counted() -> Iterator[str]:
        nonlocal size
        for line in lines:
            size += len(line)
            if size > longest + 1:
                raise _too_long(number, longest)
            yield line

    reader = csv.reader(counted(), delimiter=options.delimiter, quotechar=options.quote, strict=True)
    while True:
        number, size = skipped + reader.line_num + 1, 0
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            problem = str(error).replace("unexpected end of data", "the file ends inside of quotation marks")
            yield number, None, f"the quotation marks are wrong ({problem})"
            return
        if not values:
            if ignores_blank:
                continue
            values = [""]
        yield number, _nulls(values, null), ""


class _Number(str):
    """A number as it is written."""


def _json(
    lines: Iterator[str], options: Options, columns: list[str], open_uri: Callable[[str], BinaryIO], longest: int
) -> Iterator[Record]:
    decoder = json.JSONDecoder(parse_float=_Number, parse_int=_Number, parse_constant=_Number)
    pick = _picker(options, columns, open_uri)
    text, start, begun = "", 0, 0
    for number, line in enumerate(lines, 1):
        begun = begun or number
        text += line
        while True:
            start += len(text[start:]) - len(text[start:].lstrip(" \t\r\n,"))
            if start >= len(text):
                text, start, begun = "", 0, 0
                break
            try:
                value, start = decoder.raw_decode(text, start)
            except json.JSONDecodeError as error:
                if error.pos >= len(text.rstrip()) or "Unterminated string" in error.msg:
                    if len(text) - start > longest:
                        raise _too_long(begun, longest) from None
                    break  # it may go on in the next line
                yield begun, None, f"the JSON is wrong ({error.msg})"
                return
            try:
                yield begun, pick(value), ""
            except ValueError as error:
                yield begun, None, str(error)
            begun = number
    if text[start:].strip():
        yield begun, None, "the JSON ends too early, or is wrong"


def _picker(
    options: Options, columns: list[str], open_uri: Callable[[str], BinaryIO]
) -> Callable[[object], list[Text]]:
    if options.json.startswith("auto"):
        fold = options.json != "auto"

        def by_name(value: object) -> list[Text]:
            if not isinstance(value, dict):
                raise ValueError("the JSON is no object")
            found = {name.lower(): entry for name, entry in value.items()} if fold else value
            return [_json_text(found.get(column)) for column in columns]

        return by_name
    with open_uri(options.json) as stream:
        try:
            paths = json.loads(stream.read())["jsonpaths"]
            steps = [_steps(path) for path in paths]
        except (ValueError, KeyError, TypeError) as error:
            raise OptionError(
                f'{options.json} is no JSONPaths file, such as {{"jsonpaths": ["$.a", "$[\'b\'][0]"]}}: {error}.'
            ) from None
    if len(steps) != len(columns):
        raise OptionError(f"{options.json} has {len(steps)} paths, and the table {len(columns)} columns to load.")
    return lambda value: [_json_text(_at(value, path)) for path in steps]


def _steps(path: str) -> list[str | int]:
    steps: list[str | int] = []
    position = 1
    while position < len(path):
        match = _STEP.match(path, position)
        if match is None or not path.startswith("$"):
            raise ValueError(f"the path {path} cannot be read")
        name = next((group for group in (match[1], match[3], match[4]) if group is not None), None)
        steps.append(int(match[2]) if name is None else name)
        position = match.end()
    return steps


def _at(value: object, path: list[str | int]) -> object:
    for step in path:
        if isinstance(value, dict) and isinstance(step, str):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int):
            value = value[step] if step < len(value) else None
        else:
            return None
    return value


def _json_text(value: object) -> Text:
    if value is None or isinstance(value, str):
        return None if value is None else str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return _compact(value)


def _compact(value: object) -> str:
    """JSON without spaces whose numbers stay as they were written."""
    if isinstance(value, dict):
        return (
            "{"
            + ",".join([f"{json.dumps(name, ensure_ascii=False)}:{_compact(of)}" for name, of in value.items()])
            + "}"
        )
    if isinstance(value, list):
        return "[" + ",".join([_compact(entry) for entry in value]) + "]"
    return str(value) if isinstance(value, _Number) else json.dumps(value, ensure_ascii=False)
