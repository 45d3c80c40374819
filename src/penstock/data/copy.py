"""Copying data between objects and tables, streaming: what CopyActivity does.

| from | to | how |
|---|---|---|
| file, directory | the same format and compression | object by object, the bytes as they are |
| file, directory | the same format, another compression | object by object, recompressed |
| file, directory | another format | object by object, record by record |
| directory | one file | the records of its objects in the order of their keys |
| file, directory | table | record by record, in one transaction |
| table | file | record by record |
| table | directory | one file that is named after the table |
| table | table | record by record, in one transaction |

A directory is every object whose key begins with its path and a slash. A directory without objects is an
error, like a missing file: the data has not come, or the path is wrong, and an empty target would hide
that. An empty file is none: it has no rows.
"""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from penstock.data.compression import CompressionError, open_reader, open_writer
from penstock.data.databases import Database, DatabaseError, Row, connect
from penstock.data.formats import FormatError, TextRow, read_rows, write_rows
from penstock.data.records import ends_record
from penstock.data.sides import CopyError as CopyError
from penstock.data.sides import FileSide as FileSide
from penstock.data.sides import TableSide as TableSide
from penstock.data.sides import objects_of, refuse_overlap, table_file_uri, target_uri
from penstock.data.storage import Entry

_CHUNK = 1 << 20


class Progress(Protocol):
    """Is called now and then with what has been copied so far. An exception from it ends the copy."""

    def __call__(self, *, rows: int, bytes: int) -> None:
        """Take note of the totals."""


@dataclass(frozen=True)
class CopyResult:
    """What was copied.

    `rows` are the records that were read, 0 where the bytes were copied without looking at records. `bytes`
    are those of the objects as they are stored: of the source if it is files, else of the target. `objects`
    were written.
    """

    rows: int
    bytes: int
    objects: int


def copy(source: FileSide | TableSide, target: FileSide | TableSide, progress: Progress | None = None) -> CopyResult:
    """Copy everything of the source to the target.

    If it fails, the target is as it was: a table by its transaction, a file because it appears whole, and a
    directory because other formats are written when all is read. Only bytes that go from directory to
    directory without a change of format appear object by object. Raises `NoSuchKey` for a missing file and
    a directory without objects, `FormatError` and `CompressionError` with the URI, `DatabaseError`,
    `StorageError` and `CopyError`.
    """
    count = _Count(progress)
    if isinstance(target, TableSide):
        with connect(target.address) as database:
            if isinstance(source, TableSide):
                with connect(source.address) as other, closing(_select(other, source)) as rows:
                    _insert(database, target, count.rows_of(rows))
            else:
                with closing(_records(source, objects_of(source), count)) as records:
                    try:
                        _insert(database, target, count.rows_of(records))
                    except DatabaseError as error:
                        raise CopyError(f"{source.uri} cannot be loaded into '{target.table}': {error}") from error
        objects = 0
    elif isinstance(source, TableSide):
        uri = table_file_uri(source, target)
        with (
            connect(source.address) as database,
            target.storage.create(uri) as stream,
            _errors_of(uri),
            open_writer(count.counted(stream), target.compression) as plain,
            closing(_select(database, source)) as rows,
        ):
            write_rows(plain, target.rows, count.rows_of(rows))
        objects = 1
    else:
        objects = _copy_objects(source, target, count)
    count.report()
    return CopyResult(count.rows, count.bytes, objects)


def _copy_objects(source: FileSide, target: FileSide, count: _Count) -> int:
    refuse_overlap(source, target)
    same_format = source.rows.same_text(target.rows)
    if source.is_directory and not target.is_directory:
        with target.storage.create(target.uri) as stream, open_writer(stream, target.compression) as plain:
            if same_format:
                _join(source, plain, count)
            else:
                _convert(source, objects_of(source), target, plain, count)
        return 1
    if same_format:
        objects = 0
        for entry in objects_of(source):
            _copy_bytes(source, entry, target, target_uri(entry, source, target), count)
            objects += 1
        return objects
    return _convert_each(source, target, count)


def _copy_bytes(source: FileSide, entry: Entry, target: FileSide, uri: str, count: _Count) -> None:
    if source.gzip == target.gzip and source.storage == target.storage:
        source.storage.copy(entry.uri, uri)
        count.bytes += entry.size
        count.report()
        return
    with source.storage.open(entry.uri) as stream, target.storage.create(uri) as written:
        if source.gzip == target.gzip:
            _pour(count.counted(stream), written, count)
        else:
            with _errors_of(entry.uri), open_writer(written, target.compression) as plain:
                _pour(open_reader(count.counted(stream), source.compression), plain, count)


def _pour(stream: BinaryIO, target: BinaryIO, count: _Count) -> bytes:
    """Copy a stream to its end and return its last bytes."""
    last = b""
    while data := stream.read(_CHUNK):
        target.write(data)
        last = (last + data)[-_CHUNK:]
        count.report()
    return last


def _join(source: FileSide, target: BinaryIO, count: _Count) -> None:
    """Write the records of all objects; a record separator is added where an object lacks it at its end."""
    separator = source.rows.record_separator.encode()
    for entry in objects_of(source):
        with source.storage.open(entry.uri) as stream, _errors_of(entry.uri):
            last = _pour(open_reader(count.counted(stream), source.compression), target, count)
            if last and not ends_record(last, source.rows):
                target.write(separator)


def _convert_each(source: FileSide, target: FileSide, count: _Count) -> int:
    """Write each object in the target's format; nothing is put in place before all are read."""
    with tempfile.TemporaryDirectory(prefix="penstock-copy-") as folder:
        converted: list[tuple[Path, str]] = []
        for entry in objects_of(source):
            path = Path(folder) / str(len(converted))
            with path.open("wb") as stream, open_writer(stream, target.compression) as plain:
                _convert(source, iter([entry]), target, plain, count)
            converted.append((path, target_uri(entry, source, target)))
        for path, uri in converted:
            target.storage.upload(path, uri)
    return len(converted)


def _convert(source: FileSide, entries: Iterator[Entry], target: FileSide, stream: BinaryIO, count: _Count) -> None:
    with closing(_records(source, entries, count)) as rows:
        write_rows(stream, target.rows, count.rows_of(rows))


def _records(source: FileSide, entries: Iterator[Entry], count: _Count) -> Generator[list[TextRow], None, None]:
    for entry in entries:
        with source.storage.open(entry.uri) as stream, _errors_of(entry.uri):
            yield from read_rows(open_reader(count.counted(stream), source.compression), source.rows)


def _select(database: Database, source: TableSide) -> Generator[list[tuple[object, ...]], None, None]:
    if source.select_query is not None:
        return database.select(source.select_query).batches
    return database.select_table(source.table, source.schema).batches


def _insert(database: Database, target: TableSide, batches: Iterable[Sequence[Row]]) -> None:
    with database.transaction():
        if target.create_table_sql is not None:
            database.create_table(target.create_table_sql, target.table, target.schema)
        if target.insert_query is not None:
            database.insert(target.insert_query, batches)
        else:
            database.insert_into(target.table, target.schema, None, batches)


@contextmanager
def _errors_of(uri: str) -> Iterator[None]:
    """Name the object in the errors of its bytes."""
    try:
        yield
    except FormatError as error:
        raise FormatError(f"{uri}: {error}") from None
    except CompressionError as error:
        raise CompressionError(f"{uri}: {error}") from None


@dataclass
class _Count:
    """What has been copied so far."""

    progress: Progress | None
    rows: int = field(default=0, init=False)
    bytes: int = field(default=0, init=False)

    def report(self) -> None:
        if self.progress is not None:
            self.progress(rows=self.rows, bytes=self.bytes)

    def rows_of(self, batches: Iterable[Sequence[Row]]) -> Iterator[Sequence[Row]]:
        for batch in batches:
            yield batch
            self.rows += len(batch)
            self.report()

    def counted(self, stream: BinaryIO) -> BinaryIO:
        return cast("BinaryIO", _Counted(stream, self))


class _Counted:
    """A stream whose bytes are counted as they are read or written; it leaves closing to its owner."""

    def __init__(self, stream: BinaryIO, count: _Count) -> None:
        self._stream = stream
        self._count = count

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._count.bytes += len(data)
        return data

    def write(self, data: bytes) -> int:
        self._count.bytes += len(data)
        return self._stream.write(data)

    def flush(self) -> None:
        self._stream.flush()

    def close(self) -> None:
        pass
