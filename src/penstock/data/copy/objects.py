"""Objects to objects: as bytes where the format is the same, else record by record."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

from penstock.data.compression import open_reader, open_writer
from penstock.data.copy import parquet_text
from penstock.data.copy.count import Count, errors_of
from penstock.data.copy.rows import records
from penstock.data.databases import TextNotTaken
from penstock.data.formats import AnyFormat, Format, write_rows
from penstock.data.records import ends_record
from penstock.data.sides import FileSide, objects_of, refuse_overlap, target_uri
from penstock.data.storage import Entry

_CHUNK = 1 << 20
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def copy_objects(source: FileSide, target: FileSide, count: Count) -> tuple[int, str]:
    """Copy files to files; how many were written, and by which way."""
    refuse_overlap(source, target)
    same_format = source.rows.same_text(target.rows)
    if source.is_directory and not target.is_directory:
        if same_format and source.rows.joins:
            return _join(source, target, count), "bytes"
        with target.storage.create(target.uri) as stream, open_writer(stream, target.compression) as plain:
            _convert(source, objects_of(source), target, plain, count)
        return 1, "rows"
    if not same_format:
        return _convert_each(source, target, count)
    if source.compressed_as(target) and source.storage == target.storage:
        return _copy_in_storage(source, target, count), "storage"
    objects = 0
    for entry in objects_of(source):
        _copy_bytes(source, entry, target, target_uri(entry, source, target), count)
        objects += 1
    return objects, "bytes"


def _copy_in_storage(source: FileSide, target: FileSide, count: Count) -> int:
    objects = 0
    for entry in objects_of(source):
        target.storage.copy(entry.uri, target_uri(entry, source, target))
        objects += 1
        count.bytes += entry.size
        count.report()
    return objects


def _copy_bytes(source: FileSide, entry: Entry, target: FileSide, uri: str, count: Count) -> None:
    with source.storage.open(entry.uri) as stream, target.storage.create(uri) as written:
        if source.compressed_as(target):
            _pour(count.counted(stream), written)
        else:
            with errors_of(entry.uri), open_writer(written, target.compression) as plain:
                _pour(open_reader(count.counted(stream), source.compression), plain)


def _pour(stream: BinaryIO, target: BinaryIO, begin: bytes = b"") -> bytes:
    """Copy a stream to its end, after what was read of it already, and return its last bytes."""
    last, data = b"", begin or stream.read(_CHUNK)
    while data:
        target.write(data)
        last = (last + data)[-_CHUNK:]
        data = stream.read(_CHUNK)
    return last


def _join(source: FileSide, target: FileSide, count: Count) -> int:
    """Write the records of all objects; a record separator is added where an object lacks it at its end."""
    with target.storage.create(target.uri) as written, open_writer(written, target.compression) as plain:
        for number, entry in enumerate(objects_of(source)):
            with source.storage.open(entry.uri) as stream, errors_of(entry.uri):
                opened = open_reader(count.counted(stream), source.compression)
                begin = opened.read(_CHUNK)
                if number and getattr(source.rows, "quote_char", None):
                    begin = begin.removeprefix(_BYTE_ORDER_MARK)  # it belongs to the start of a file
                last = _pour(opened, plain, begin)
                if last and not _ends_record(last, source.rows):
                    plain.write(_separator(source.rows))
    return 1


def _ends_record(last: bytes, format: AnyFormat) -> bool:
    return ends_record(last, format) if isinstance(format, Format) else last.endswith(b"\n")


def _separator(format: AnyFormat) -> bytes:
    return format.record_separator.encode() if isinstance(format, Format) else b"\n"


def _convert_each(source: FileSide, target: FileSide, count: Count) -> tuple[int, str]:
    """Write each object in the target's format; nothing is put in place before all are read."""
    ways = set()
    with tempfile.TemporaryDirectory(prefix="penstock-copy-") as folder:
        converted: list[tuple[Path, str]] = []
        for entry in objects_of(source):
            path = Path(folder) / str(len(converted))
            before = count.rows, count.bytes, count.columns
            try:
                parquet_text.convert(source, entry, target, path, count)
                ways.add("bulk")
            except TextNotTaken:
                count.rows, count.bytes, count.columns = before
                with path.open("wb") as stream, open_writer(stream, target.compression) as plain:
                    _convert(source, iter([entry]), target, plain, count)
                ways.add("rows")
            converted.append((path, target_uri(entry, source, target)))
        for path, uri in converted:
            target.storage.upload(path, uri, move=True)
    return len(converted), "bulk" if ways == {"bulk"} else "rows"


def _convert(source: FileSide, entries: Iterator[Entry], target: FileSide, stream: BinaryIO, count: Count) -> None:
    columns, batches = records(source, entries, count)
    count.columns = count.columns or tuple(columns)
    with closing(batches):
        write_rows(stream, target.rows, count.rows_of(batches), columns=columns)
