"""Copying data between objects and tables, streaming: what CopyActivity does.

| from | to | how |
|---|---|---|
| file, directory | the same format and compression | object by object, in the storage itself or as bytes |
| file, directory | the same format, another compression | object by object, recompressed |
| file, directory | another format | object by object, record by record |
| directory | one file | the records of its objects in the order of their keys |
| file, directory | table | bulk load, or record by record, in one transaction |
| table | file | bulk unload, or record by record |
| table | directory | one file that is named after the table |
| table | table | bulk unload into bulk load, or record by record, in one transaction |

Bulk is taken where it comes to the same as record by record: `Database.takes` and `TextNotTaken` decide.

A directory is every object whose key begins with its path and a slash. A directory without objects is an
error, like a missing file: the data has not come, or the path is wrong, and an empty target would hide
that. An empty file is none: it has no rows.
"""

from __future__ import annotations

import errno
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType

from penstock.data.copy import parquet, rows, text
from penstock.data.copy.count import Count
from penstock.data.copy.count import Progress as Progress
from penstock.data.copy.objects import copy_objects
from penstock.data.databases import ConnectionLost, DatabaseError, TextNotTaken, connect
from penstock.data.formats import Parquet
from penstock.data.sides import CopyError as CopyError
from penstock.data.sides import FileSide as FileSide
from penstock.data.sides import TableSide as TableSide
from penstock.data.sides import table_file_uri

_PAUSES = (1.0, 5.0)
"""Seconds before a copy whose connection was lost is tried again; after the last try it fails."""


@dataclass(frozen=True)
class CopyResult:
    """What was copied.

    `rows` are the records that were read, 0 where the bytes were copied without looking at records. `bytes`
    are those of the objects as they are stored: of the source if it is files, else of the target. `objects`
    were written. `columns` are those that were seen, each (name, type), as far as they are known. `way` is how
    the data went: `storage` (copied by the storage itself), `bytes`, `bulk` or `rows`.
    """

    rows: int
    bytes: int
    objects: int
    columns: tuple[tuple[str, str], ...] = ()
    way: str = "rows"


def copy(
    source: FileSide | TableSide,
    target: FileSide | TableSide,
    progress: Progress | None = None,
    *,
    pauses: Sequence[float] = _PAUSES,
    wait: Callable[[float], object] = time.sleep,
) -> CopyResult:
    """Copy everything of the source to the target.

    If it fails, the target is as it was: a table by its transaction, a file because it appears whole, and a
    directory because other formats are written when all is read. Only bytes that go from directory to
    directory without a change of format appear object by object. A copy whose connection to a database is lost
    begins again from the start, once after each of the `pauses`; `wait` waits so many seconds, and may raise.

    Raises `NoSuchKey` for a missing file and a directory without objects, `FormatError` and `CompressionError`
    with the URI, `DatabaseError`, `StorageError` and `CopyError`.
    """
    lost: DatabaseError | None = None
    for pause in (*pauses, None):
        count = Count(progress)
        try:
            objects, way = _copy(source, target, count)
        except DatabaseError as error:
            if pause is None or (lost is None and not isinstance(error, ConnectionLost)):
                raise
            lost = error
            wait(pause)
            continue
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise CopyError(
                f"The disk is full: {error.strerror} ({error.filename or tempfile.gettempdir()})."
                " Free some space, or let TMPDIR name a folder on a larger disk."
            ) from error
        count.report()
        return CopyResult(count.rows, count.bytes, objects, count.columns, way)
    raise AssertionError


def _copy(source: FileSide | TableSide, target: FileSide | TableSide, count: Count) -> tuple[int, str]:
    """Choose the way, and go it: how many objects were written, and the way."""
    if isinstance(source, FileSide) and isinstance(target, FileSide):
        return copy_objects(source, target, count)
    if isinstance(source, FileSide):
        assert isinstance(target, TableSide)
        with connect(target.address) as database:
            way = _bulk_or_rows(
                lambda: _bulk(source).load(database, source, target, count),
                lambda: rows.load(database, source, target, count),
                count,
            )
        return 0, way
    if isinstance(target, FileSide):
        uri = table_file_uri(source, target)
        with connect(source.address) as database:
            way = _bulk_or_rows(
                lambda: _bulk(target).unload(database, source, target, uri, count),
                lambda: rows.unload(database, source, target, uri, count),
                count,
            )
        return 1, way
    with connect(target.address) as database, connect(source.address) as other:
        way = _bulk_or_rows(
            lambda: text.move(other, source, database, target, count),
            lambda: rows.move(other, source, database, target, count),
            count,
        )
    return 0, way


def _bulk(side: FileSide) -> ModuleType:
    """What loads and unloads files of this format in bulk."""
    return parquet if isinstance(side.format, Parquet) else text


def _bulk_or_rows(bulk: Callable[[], None], by_rows: Callable[[], None], count: Count) -> str:
    try:
        bulk()
    except TextNotTaken:
        count.begin_again()
        by_rows()
        return "rows"
    return "bulk"
