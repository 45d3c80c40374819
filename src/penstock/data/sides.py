"""The two ends of a copy: files or a directory in a storage, or a table; and which files a directory has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from penstock.data.compression import ENDINGS, check_compression
from penstock.data.databases import Address
from penstock.data.formats import CSV, AnyFormat
from penstock.data.records import LONGEST_RECORD
from penstock.data.storage import Entry, NoSuchKey, Storage, format_uri, parse_object_uri, parse_uri

_FILE_ENDINGS = {"CSV": "csv", "TSV": "tsv", "Parquet": "parquet", "JSONLines": "jsonl"}


class CopyError(Exception):
    """A copy that cannot be made the way it is asked for."""


@dataclass(frozen=True)
class FileSide:
    """An object, or with `is_directory` the objects under a prefix.

    `format` None is CSV where records are read or written. `compression` is one that `check_compression` knows.
    `longest_record` is the most bytes of a record that is read.
    """

    storage: Storage
    uri: str
    is_directory: bool = False
    format: AnyFormat | None = None
    compression: str = "none"
    longest_record: int = LONGEST_RECORD

    def __post_init__(self) -> None:
        check_compression(self.compression)

    @property
    def rows(self) -> AnyFormat:
        """The format in which records are read or written."""
        return self.format or CSV()

    @property
    def ending(self) -> str:
        """What the names of its compressed objects end in; nothing without compression."""
        return ENDINGS[self.compression.lower()]

    def compressed_as(self, other: FileSide) -> bool:
        """Whether the objects of both are compressed alike."""
        return self.compression.lower() == other.compression.lower()


@dataclass(frozen=True)
class TableSide:
    """A table: read by `select_query`, else as a whole; written by `insert_query`, else all its columns.

    `create_table_sql` runs before writing if the table is missing, in the same transaction. The columns of
    rows and of the target are matched by their order.
    """

    address: Address
    table: str
    schema: str | None = None
    select_query: str | None = None
    insert_query: str | None = None
    create_table_sql: str | None = None


def directory_uri(side: FileSide) -> str:
    """The prefix of a directory's objects: its path and a slash; all objects for a whole bucket."""
    bucket, key = parse_uri(side.uri)
    return format_uri(bucket, key if not key or key.endswith("/") else f"{key}/")


def objects_of(side: FileSide) -> Iterator[Entry]:
    """The objects of a side in the order of their keys.

    Raises `NoSuchKey` for a file that is missing and for a directory without objects. Empty objects whose
    key ends in a slash mark folders and are left out.
    """
    if not side.is_directory:
        uri = format_uri(*parse_object_uri(side.uri))
        entry = next(iter(side.storage.list(uri)), None)
        if entry is None or entry.uri != uri:
            side.storage.head(uri)  # it says whether there is a bucket
            raise NoSuchKey(uri)
        yield entry
        return
    prefix = directory_uri(side)
    is_empty = True
    for entry in side.storage.list(prefix):
        if entry.size or not entry.uri.endswith("/"):
            is_empty = False
            yield entry
    if is_empty:
        raise NoSuchKey(prefix, f"There is no object in the directory {prefix}.")


def target_uri(entry: Entry, source: FileSide, target: FileSide) -> str:
    """Where an object goes: the file, or its name in the directory, with `.gz` or `.zst` as it is compressed."""
    if not target.is_directory:
        return target.uri
    if source.is_directory:
        name = entry.uri.removeprefix(directory_uri(source))
    else:
        name = parse_object_uri(entry.uri)[1].rpartition("/")[2]
        if not name:
            raise CopyError(
                f"The name of {entry.uri} ends in a slash, so it has no name in {target.uri}. Give a filePath."
            )
    if source.compressed_as(target):
        return directory_uri(target) + name
    name = name.removesuffix(source.ending) or name
    if not name.endswith(target.ending):
        name += target.ending
    return directory_uri(target) + name


def table_file_uri(source: TableSide, target: FileSide) -> str:
    """The file for a table's rows; in a directory it has the table's name and the format's ending."""
    if not target.is_directory:
        return target.uri
    name = re.sub(r"[^\w.-]+", "_", source.table).strip("._") or "table"
    ending = _FILE_ENDINGS.get(target.rows.name, "txt")
    return f"{directory_uri(target)}{name}.{ending}{target.ending}"


def refuse_overlap(source: FileSide, target: FileSide) -> None:
    """Raise `CopyError` where the copy would write into the directory that it reads."""
    if source.is_directory and source.storage == target.storage:
        written = directory_uri(target) if target.is_directory else format_uri(*parse_object_uri(target.uri))
        if written.startswith(directory_uri(source)):
            raise CopyError(
                f"The target {target.uri} lies in the directory {source.uri} that is copied. Choose another path."
            )
