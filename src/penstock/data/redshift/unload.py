"""UNLOAD on PostgreSQL and DuckDB: the rows of a query as text in files, named and cut as Redshift does."""

from __future__ import annotations

import bz2
import gzip
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO, cast

from penstock.data.compression import open_writer
from penstock.data.databases import Records
from penstock.data.formats import to_text
from penstock.data.redshift.load import LoadError, Progress
from penstock.data.redshift.options import Options
from penstock.data.storage import Storage

Row = Sequence[object]
Line = Callable[[int, Row], str]
_ENDINGS = {"gzip": ".gz", "bzip2": ".bz2", "zstd": ".zst"}
_PIECE = 1 << 18


@dataclass
class Unloaded:
    """What was written: the rows, the bytes of the objects, and their URIs."""

    rows: int = 0
    bytes: int = 0
    uris: list[str] = field(default_factory=list)


def unload(
    select: Callable[[], Records],
    storage: Storage,
    prefix: str,
    options: Options,
    *,
    is_file: bool = False,
    progress: Progress = lambda rows, size: None,
) -> Unloaded:
    """Write the rows that `select` gives to files whose URIs begin with `prefix`, or with `is_file` to that one file.

    Files are `PREFIX0000_part_00`, `PREFIX0001_part_00` …, and with PARALLEL OFF `PREFIX000`, `PREFIX001` …; a new one
    begins at MAXFILESIZE. Raises `LoadError` where files of these names are there and ALLOWOVERWRITE is not given, and
    for a value that the options cannot write so that it reads back.
    """
    made = Unloaded()
    _clear(storage, prefix, options, is_file=is_file)
    records = select()
    line = _line(options, [column.lower() for column in records.columns])
    header = _header(options, records.columns)
    with closing(records.batches) as batches:
        rows = _counted(batches, made, progress)
        while True:
            uri = prefix if is_file else _name(prefix, len(made.uris), options)
            first = next(rows, None)
            if first is None and made.uris:
                break
            with storage.create(uri) as stream, _sized(stream) as counted, _compressed(counted, options) as plain:
                done = _write(plain, counted, header, line, first, rows, options, made, splits=not is_file)
            made.uris.append(uri)
            made.bytes += counted.size
            progress(made.rows, made.bytes)
            if done:
                break
    if options.manifest:
        _write_manifest(storage, prefix, made)
    return made


def _clear(storage: Storage, prefix: str, options: Options, *, is_file: bool) -> None:
    if options.clean_path and not is_file:
        for entry in list(storage.list(prefix)):
            storage.delete(entry.uri)
    if options.allow_overwrite:
        return
    found = next((entry.uri for entry in storage.list(prefix) if entry.size or not entry.uri.endswith("/")), None)
    if found is not None and (not is_file or found == prefix):
        raise LoadError(
            f"{found} is there already, and UNLOAD does not write over it."
            " Set ALLOWOVERWRITE in commandOptions (or insertMode TRUNCATE or OVERWRITE_EXISTING), or another path."
        )


def _name(prefix: str, number: int, options: Options) -> str:
    name = f"{prefix}{number:04d}_part_00" if options.parallel else f"{prefix}{number:03d}"
    return name + (f".{options.extension.lstrip('.')}" if options.extension else _ENDINGS.get(options.compression, ""))


def _counted(
    batches: Iterable[list[tuple[object, ...]]], made: Unloaded, progress: Progress
) -> Iterator[tuple[object, ...]]:
    for batch in batches:
        yield from batch
        progress(made.rows, made.bytes)


class _Sized(io.RawIOBase):
    """A stream that counts what is written to it; it leaves closing to its owner."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        piece = bytes(cast("bytes", data))
        self._stream.write(piece)
        self.size += len(piece)
        return len(piece)


@contextmanager
def _sized(stream: BinaryIO) -> Iterator[_Sized]:
    yield _Sized(stream)


@contextmanager
def _compressed(stream: _Sized, options: Options) -> Iterator[BinaryIO]:
    target = cast("BinaryIO", stream)
    with ExitStack() as stack:
        if options.compression == "bzip2":
            yield cast("BinaryIO", stack.enter_context(bz2.BZ2File(target, "wb")))
        elif options.compression == "gzip":
            yield cast("BinaryIO", stack.enter_context(gzip.GzipFile("", "wb", 6, target, mtime=0)))
        else:
            yield stack.enter_context(open_writer(target, options.compression))


def _write(
    plain: BinaryIO,
    counted: _Sized,
    header: str,
    line: Line,
    first: Row | None,
    rows: Iterator[tuple[object, ...]],
    options: Options,
    made: Unloaded,
    *,
    splits: bool,
) -> bool:
    """Write rows until the file is full; True if there are no more."""
    pieces = [header] if header else []
    waiting = written = 0
    row = first
    while row is not None:
        made.rows += 1
        text = line(made.rows, row)
        pieces.append(text)
        waiting += len(text)
        if waiting >= _PIECE:
            written += plain.write("".join(pieces).encode())
            pieces, waiting = [], 0
            size = counted.size if options.compression != "none" else written
            if splits and size >= options.max_file_size - _PIECE * 8:
                return False
        row = next(rows, None)
    plain.write("".join(pieces).encode())
    return True


def _header(options: Options, columns: Sequence[str]) -> str:
    if not options.header:
        return ""
    if options.kind == "CSV":
        return options.delimiter.join([_quoted(column, options) for column in columns]) + "\n"
    return options.delimiter.join(columns) + "\n"


def _line(options: Options, columns: Sequence[str]) -> Line:
    null = options.null or ""
    if options.kind == "JSON":
        return lambda number, row: _json(columns, row)
    if options.kind == "CSV":
        return lambda number, row: options.delimiter.join([_csv(value, null, options) for value in row]) + "\n"
    if options.kind == "FIXEDWIDTH":
        return lambda number, row: _fixed(number, row, null, options)
    return lambda number, row: (
        options.delimiter.join([_delimited(number, value, null, options) for value in row]) + "\n"
    )


def value_text(value: object) -> str | None:
    """A value as UNLOAD writes it: `t` and `f`, timestamps with `+00`, else the common text."""
    if isinstance(value, bool):
        return "t" if value else "f"
    text = to_text(value)
    if isinstance(value, datetime) and text is not None:
        return text.removesuffix(":00") if value.tzinfo is not None else text
    if isinstance(value, bytes | bytearray | memoryview) and text is not None:
        return text.removeprefix("\\x")
    return text


def _quoted(text: str, options: Options) -> str:
    mark = options.quote
    if not any(character in text for character in (options.delimiter, mark, "\n", "\r")):
        return text
    return mark + text.replace(mark, mark * 2) + mark


def _csv(value: object, null: str, options: Options) -> str:
    text = value_text(value)
    return null if text is None else _quoted(text, options)


def _delimited(number: int, value: object, null: str, options: Options) -> str:
    text = value_text(value)
    if text is None:
        return null
    marks = [options.delimiter, "\n", "\r"]
    if options.has("ESCAPE"):
        for mark in ("\\", *marks, *(('"', "'") if options.add_quotes else ())):
            text = text.replace(mark, "\\" + mark)
    elif any(mark in text for mark in (marks[1:] if options.add_quotes else marks)):
        raise LoadError(
            f"Row {number} holds {text[:50]!r}, which could not be read again. Add ESCAPE, or CSV, to commandOptions."
        )
    return f'"{text}"' if options.add_quotes else text


def _fixed(number: int, row: Row, null: str, options: Options) -> str:
    if len(row) != len(options.widths):
        raise LoadError(f"FIXEDWIDTH has {len(options.widths)} widths, and the rows have {len(row)} columns.")
    texts = []
    for value, (label, width) in zip(row, options.widths, strict=True):
        text = value_text(value)
        text = null if text is None else text
        if len(text) > width or "\n" in text:
            raise LoadError(f"Row {number} holds {text[:50]!r}, which does not fit into {label}:{width}.")
        texts.append(text.ljust(width))
    return "".join(texts) + "\n"


def _json(columns: Sequence[str], row: Row) -> str:
    parts = []
    for name, value in zip(columns, row, strict=True):
        if value is None or isinstance(value, bool):
            text = json.dumps(value)
        elif isinstance(value, int | float) or type(value).__name__ == "Decimal":
            text = str(to_text(value))
            text = text if text[-1:].isdigit() else json.dumps(text)
        else:
            text = json.dumps(value_text(value), ensure_ascii=False)
        parts.append(f"{json.dumps(name, ensure_ascii=False)}:{text}")
    return "{" + ",".join(parts) + "}\n"


def _write_manifest(storage: Storage, prefix: str, made: Unloaded) -> None:
    with storage.create(f"{prefix}manifest") as stream:
        stream.write(json.dumps({"entries": [{"url": uri} for uri in made.uris]}, indent=2).encode())
