"""Quoted text as PostgreSQL's binary COPY, made by DuckDB on another core while the server loads what came before.

The server takes binary values in about half of the time that it takes to parse text. Only values whose meaning is the
same to both are made binary: each is compared with the text that it came from, or with a pattern of what both read
alike. One other value, and the piece that holds it goes as text. Types that are not in the list go as text always.
"""

from __future__ import annotations

import io
import os
import re
import sys
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Self, cast

from penstock.data.databases import duckdb_csv as csv
from penstock.data.databases.rows import TextNotTaken
from penstock.data.formats import Format, FormatError, Row
from penstock.data.formats.structure import QuotedStructure

if TYPE_CHECKING:
    import duckdb

_PIECE = 12 << 20
_AHEAD = 2
_MEMORY = "100MB"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SECOND = "[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,6})?"
_ZONE = "(Z|[+-](0[0-9]|1[0-4])(:[0-5][0-9])?)"
_FLOAT = "-?[0-9]{1,17}(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?"
_ANY_DAY = "{c} IS NULL OR {v} >= '0001-01-01' AND {v} < '10000-01-01'"
_VALUES = {
    "smallint": csv.Value("CAST({c} AS SMALLINT)", csv.SAME),
    "integer": csv.Value("CAST({c} AS INTEGER)", csv.SAME),
    "bigint": csv.Value("CAST({c} AS BIGINT)", csv.SAME),
    "date": csv.Value("CAST({c} AS DATE)", f"{csv.SAME} AND ({_ANY_DAY})"),
    "timestamp with time zone": csv.Value(
        "CAST({c} AS TIMESTAMPTZ)",
        f"({{c}} IS NULL OR regexp_full_match({{c}}, '{_SECOND}{_ZONE}')) AND ({_ANY_DAY})",
    ),
    "boolean": csv.Value("CAST({c} AS BOOLEAN)", "{c} IS NULL OR {c} IN ('true', 'false', 't', 'f')"),
    "double precision": csv.Value("CAST({c} AS DOUBLE)", f"{{c}} IS NULL OR regexp_full_match({{c}}, '{_FLOAT}')"),
    "uuid": csv.Value("CAST({c} AS UUID)", csv.SAME),
    "text": csv.Value(),
    "character varying": csv.Value(),
    "json": csv.Value(),
}
"""PostgreSQL's name of a type: what DuckDB makes of its text, and when that is what PostgreSQL reads."""
_TIMESTAMP = "timestamp without time zone"
_NUMERIC = re.compile(r"numeric\((\d+),(\d+)\)")
_VARYING = re.compile(r"character varying\(\d+\)")


@dataclass(frozen=True)
class Piece:
    """Some whole records: a file with their text, or with them as binary COPY; whoever uses it closes it."""

    stream: BinaryIO
    is_binary: bool


@dataclass(frozen=True)
class Text:
    """A file of whole records, its path, how many there are, and whether each has its columns and ends in `\r\n`.

    The number is None if DuckDB would see other records.
    """

    stream: BinaryIO
    path: str
    records: int | None
    ends_in_crlf: bool


def is_available() -> bool:
    """Whether DuckDB and its extension for PostgreSQL are installed."""
    return extension() is not None


def takes(types: list[str]) -> bool:
    """Whether there is a binary form of each of these types, as PostgreSQL names them; a single column has none."""
    return len(types) > 1 and all(_value(kind, (), 0) is not None for kind in types)


class BinaryMaker:
    """Makes pieces for columns of these types. A context manager."""

    def __init__(self, types: list[str], format: Format) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="penstock-load-")
        self._types, self._format = types, format
        self._rows: Sequence[Row] = ()  # the first ones
        self._connection: duckdb.DuckDBPyConnection | None = None

    @contextmanager
    def pieces(self, text: Iterator[bytes]) -> Iterator[Iterator[Piece]]:
        """The pieces of a text, in order, the next of which are made while one is used.

        One that is asked for while DuckDB still starts goes as text.
        """
        waiting: deque[tuple[Text, Future[BinaryIO | None]]] = deque()

        def made() -> Iterator[Piece]:
            for text in written:
                waiting.append((text, worker.submit(self.make, text)))
                if len(waiting) > _AHEAD:
                    yield _taken(*waiting.popleft())
            while waiting:
                yield _taken(*waiting.popleft())

        with _ahead(self.written(text)) as written, ThreadPoolExecutor(1) as worker:
            worker.submit(self._start)
            try:
                yield made()
            finally:
                for piece in waiting:
                    _taken(*piece).stream.close()

    def written(self, text: Iterator[bytes]) -> Iterator[Text]:
        """Files of whole records of a text. Raises `TextNotTaken` for a quote where none may stand."""
        block = next(text, None)
        while block is not None:
            structure = QuotedStructure(self._format.column_separator)
            self._rows = self._rows or csv.first_rows(block, self._format)
            has_mark, size, last = False, 0, block
            with ExitStack() as stack:
                stream, path = self._file()
                stack.enter_context(stream)
                try:
                    while block is not None and (not size or size + len(block) <= _PIECE):
                        stream.write(block)
                        structure.take(block)
                        size += len(block)
                        has_mark |= block.startswith(_BYTE_ORDER_MARK)
                        last, block = block, next(text, None)
                    structure.end()
                except FormatError as error:
                    raise TextNotTaken(str(error)) from error
                stream.seek(0)
                stack.pop_all()  # whoever uses it closes it
            yield Text(stream, path, None if has_mark else self._records(structure), last.endswith(b"\r\n"))

    def _records(self, structure: QuotedStructure) -> int | None:
        """The number of records, if all have their columns and end alike; DuckDB refuses one that has fewer."""
        records, rest = divmod(structure.fields, len(self._types))
        return records if not rest and structure.returns in (0, records) else None

    def make(self, text: Text) -> BinaryIO | None:
        """The binary form of a text; None if a value or a record may not be read alike."""
        import duckdb

        if text.records is None:
            return None
        connection = self._start()
        binary, path = self._file()
        ends = None if text.ends_in_crlf else "\\n"  # DuckDB finds it where it can, and errs else
        plain = replace(self._format, header=False)
        try:
            asked = query(f"'{text.path}'", self._types, plain, self._rows, ends)
            made = connection.execute(f"COPY ({asked}) TO '{path}' (FORMAT postgres_binary, USE_TMP_FILE false)")
            rows = made.fetchone()
        except duckdb.Error:
            binary.close()
            return None
        if rows is None or rows[0] != text.records:
            binary.close()
            return None
        return binary

    def _start(self) -> duckdb.DuckDBPyConnection:
        if self._connection is None:
            self._connection = _connect(Path(self._folder.name))
        return self._connection

    def _file(self) -> tuple[BinaryIO, str]:
        """A new file and its path: in memory, or in the folder for temporary files where the system has no such."""
        if sys.platform == "linux":
            memory = io.FileIO(os.memfd_create("penstock-load"), "r+b")
            return cast("BinaryIO", memory), f"/proc/self/fd/{memory.fileno()}"
        file = tempfile.NamedTemporaryFile("r+b", buffering=0, dir=self._folder.name)  # noqa: SIM115
        return cast("BinaryIO", file), file.name

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        if self._connection is not None:
            self._connection.close()
        self._folder.cleanup()


def _taken(text: Text, binary: Future[BinaryIO | None]) -> Piece:
    """A piece as binary if that is made or being made, else as text."""
    made = None if binary.cancel() else binary.result()
    if made is None:
        return Piece(text.stream, is_binary=False)
    text.stream.close()
    return Piece(made, is_binary=True)


@contextmanager
def _ahead(items: Iterator[Text]) -> Iterator[Iterator[Text]]:
    """The items, the next of which is made in a thread while one is used; if it is not used, it is closed."""
    left: Future[Text | None]

    def made() -> Iterator[Text]:
        nonlocal left
        while (item := left.result()) is not None:
            left = worker.submit(next, items, None)
            yield item

    with ThreadPoolExecutor(1) as worker:
        left = worker.submit(next, items, None)
        try:
            yield made()
        finally:
            if not left.cancel() and left.exception() is None and (item := left.result()) is not None:
                item.stream.close()


def query(path: str, types: Sequence[str], format: Format, rows: Sequence[Row], new_line: str | None = "\\n") -> str:
    """The values of a text file for columns of these types; `rows` are its first. `path` is a literal of SQL."""
    values = [_value(kind, rows, place) for place, kind in enumerate(types)]
    return csv.select(
        path, format, [value for value in values if value is not None], header=format.header, new_line=new_line
    )


def _value(kind: str, rows: Sequence[Row], place: int) -> csv.Value | None:
    if kind == _TIMESTAMP:
        return csv.timestamp(_SECOND, rows, place)
    number = _NUMERIC.fullmatch(kind)
    if number is not None:
        precision, scale = int(number[1]), int(number[2])
        if not 0 <= scale <= precision <= 38:
            return None
        fraction = f"(\\.[0-9]{{1,{scale}}})?" if scale else ""
        plain = f"regexp_full_match({{c}}, '-?[0-9]{{1,{max(precision - scale, 1)}}}{fraction}')"
        return csv.Value(f"CAST({{c}} AS DECIMAL({precision},{scale}))", csv.SAME, plain)
    return _VALUES.get("text" if _VARYING.fullmatch(kind) else kind)


def _connect(folder: Path) -> duckdb.DuckDBPyConnection:
    import duckdb

    connection = duckdb.connect(
        config={
            "threads": "1",
            "memory_limit": _MEMORY,
            "temp_directory": str(folder),
            "autoinstall_known_extensions": "false",
        }
    )
    connection.execute(f"LOAD '{extension()}'")
    connection.execute(csv.SETTINGS)
    return connection


def extension() -> Path | None:
    """The file of DuckDB's extension for PostgreSQL, which a wheel brings."""
    try:
        import duckdb
        import duckdb_extension_postgres_scanner as wheel  # type: ignore[import-untyped]
    except ImportError:
        return None
    folder = Path(next(iter(wheel.__path__))) / "extensions" / f"v{duckdb.__version__}"
    path = folder / "postgres_scanner.duckdb_extension"
    return path if path.exists() else None
