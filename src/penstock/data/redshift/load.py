"""COPY on PostgreSQL and DuckDB: the files' values, converted as Redshift would, go into a table in bulk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, NoReturn

from penstock.data.compression import CompressionError, open_reader
from penstock.data.databases import Database, DatabaseError
from penstock.data.databases.translated import TranslatedDatabase
from penstock.data.formats import AnyFormat, FormatError, read_rows, to_text
from penstock.data.records import LONGEST_RECORD
from penstock.data.redshift.option_text import OptionError
from penstock.data.redshift.options import Options
from penstock.data.redshift.records import Record, open_text, read_records
from penstock.data.redshift.values import BadValue, Column, ColumnReader, Text
from penstock.data.storage import NoSuchKey, Storage

BATCH = 2000
_FEW = 20
Notice = Callable[[str], None]
Progress = Callable[[int, int], None]
"""Is called with the rows and the bytes so far; may raise."""


class LoadError(Exception):
    """A file that cannot be loaded: the text names it, the line and the column."""


@dataclass(frozen=True)
class Files:
    """What is loaded: objects of a storage, read by the options, or by a data format with its compression."""

    storage: Storage
    uris: tuple[str, ...]
    options: Options
    format: AnyFormat | None = None
    compression: str = "none"
    longest_record: int = LONGEST_RECORD


@dataclass
class Loaded:
    """How much has been loaded. `rejected` counts the rows that MAXERROR let pass."""

    rows: int = 0
    bytes: int = 0
    rejected: int = 0
    problems: list[str] = field(default_factory=list)


def load_columns(columns: Sequence[Column], options: Options) -> list[Column]:
    """The columns that a COPY without a list of columns loads: all but IDENTITY, unless EXPLICIT_IDS is given."""
    if options.has("EXPLICIT_IDS"):
        if not any(column.is_identity for column in columns):
            raise OptionError("EXPLICIT_IDS is given, but the table has no IDENTITY column.")
        return list(columns)
    return [column for column in columns if not column.is_identity]


def load(
    database: Database,
    table: str,
    schema: str | None,
    columns: Sequence[Column],
    files: Files,
    progress: Progress = lambda rows, size: None,
) -> Loaded:
    """Load all files into these columns of a table, in the transaction that is open.

    Raises `LoadError`, `OptionError`, `NoSuchKey` and `DatabaseError`.
    """
    made = Loaded()
    rows = _Rows(columns, files, made, progress)
    own = database.inner if isinstance(database, TranslatedDatabase) else database
    try:
        own.insert_into(table, schema, [column.name for column in columns], rows.batches())
    except DatabaseError as error:
        raise LoadError(f"{rows.place()}: {error}") from error
    return made


class _Rows:
    """Reads the files and converts their values, batch by batch."""

    def __init__(self, columns: Sequence[Column], files: Files, made: Loaded, progress: Progress) -> None:
        self._columns, self._files, self._made, self._progress = columns, files, made, progress
        self._readers = [ColumnReader(column, files.options) for column in columns]
        self._uri = ""
        self._allowed = max(0, files.options.max_error - 1)
        self._fills = files.options.has("FILLRECORD")
        self._drops_last = files.options.kind == "TEXT" and files.format is None

    def place(self) -> str:
        """The file that is being read, or was read last."""
        return self._uri or "The files"

    def batches(self) -> Iterator[list[tuple[Text, ...]]]:
        for uri in self._files.uris:
            self._uri = uri
            entry = self._files.storage.head(uri)
            try:
                with self._files.storage.open(uri) as stream:
                    yield from self._batches_of(stream)
            except (FormatError, CompressionError, UnicodeError, OSError, EOFError) as error:
                raise LoadError(f"{uri}: {error}") from error
            self._made.bytes += entry.size
            self._progress(self._made.rows, self._made.bytes)

    def _batches_of(self, stream: BinaryIO) -> Iterator[list[tuple[Text, ...]]]:
        for records in _in_batches(self._records(stream)):
            rows = self._converted(records)
            if rows:
                self._made.rows += len(rows)
                yield rows
                self._progress(self._made.rows, self._made.bytes)

    def _records(self, stream: BinaryIO) -> Iterator[Record]:
        files = self._files
        if files.format is None:
            names = [column.name for column in self._columns]
            text = open_text(stream, files.options)
            return read_records(text, files.options, names, files.storage.open, files.longest_record)
        return _formatted(open_reader(stream, files.compression), files.format, files.longest_record)

    def _converted(self, records: list[Record]) -> list[tuple[Text, ...]]:
        kept: list[tuple[int, list[Text]]] = []
        for line, values, problem in records:
            if values is None:
                self._reject(line, problem)
                continue
            fitted = values if len(values) == len(self._columns) else self._fitted(line, values)
            if fitted is not None:
                kept.append((line, fitted))
        if not kept:
            return []
        try:
            columns = list(zip(*[values for _, values in kept], strict=True))
            made = [reader.all(values) for reader, values in zip(self._readers, columns, strict=True)]
            return list(zip(*made, strict=True))
        except BadValue:
            return list(self._one_by_one(kept))

    def _one_by_one(self, records: list[tuple[int, list[Text]]]) -> Iterator[tuple[Text, ...]]:
        for line, values in records:
            row: list[Text] = []
            for reader, value in zip(self._readers, values, strict=True):
                try:
                    row.append(reader.one(value))
                except BadValue as error:
                    self._reject(line, str(error), reader.column)
                    break
            else:
                yield tuple(row)

    def _fitted(self, line: int, values: list[Text]) -> list[Text] | None:
        wanted, found = len(self._columns), len(values)
        if found == wanted + 1 and self._drops_last and values[-1] == "":
            return values[:-1]  # a delimiter at the end of the line
        if found < wanted and self._fills:
            missing = self._columns[found:]
            return [*values, *("" if column.kind in ("varchar", "char") else None for column in missing)]
        what = "is 1 value" if found == 1 else f"are {found} values"
        hint = " FILLRECORD would fill them." if found < wanted and self._files.format is None else ""
        self._reject(line, f"there {what}, and the table takes {wanted}.{hint}")
        return None

    def _reject(self, line: int, problem: str, column: Column | None = None) -> None:
        named = "" if column is None else f", column {column.name} ({column.declared})"
        text = f"{self._uri}, line {line}{named}: {problem.rstrip('.')}."
        if self._made.rejected >= self._allowed:
            self._fail(text)
        self._made.rejected += 1
        if len(self._made.problems) < _FEW:
            self._made.problems.append(text)

    def _fail(self, text: str) -> NoReturn:
        if self._allowed:
            text = f"More rows are wrong than MAXERROR {self._files.options.max_error} allows. The last: {text}"
        raise LoadError(text)


def _in_batches(records: Iterable[Record]) -> Iterator[list[Record]]:
    batch: list[Record] = []
    for record in records:
        batch.append(record)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _formatted(stream: BinaryIO, format: AnyFormat, longest: int) -> Iterator[Record]:
    """The rows of a data format; `line` is the number of the row."""
    number = 0
    for batch in read_rows(stream, format, longest_record=longest):
        for row in batch:
            number += 1
            yield number, [to_text(value) for value in row], ""


def prefix_uris(storage: Storage, prefix: str) -> tuple[str, ...]:
    """The files whose key begins with a prefix, as COPY takes them. Raises `NoSuchKey` if there are none."""
    found = tuple(entry.uri for entry in storage.list(prefix) if entry.size or not entry.uri.endswith("/"))
    if not found:
        raise NoSuchKey(prefix, f"There is no object whose key begins with {prefix}.")
    return found
