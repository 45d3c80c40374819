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
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Self, cast

from penstock.data.databases.postgresql_text import has_blank_line
from penstock.data.formats import Format

if TYPE_CHECKING:
    import duckdb

_PIECE = 12 << 20
_AHEAD = 2
_MEMORY = "100MB"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SAME = "{v}::VARCHAR IS NOT DISTINCT FROM {c}"
_VALID = "{c} IS NULL OR {v} IS NOT NULL AND"
_ANY_DAY = "{v} >= '0001-01-01' AND {v} < '10000-01-01'"
_SECOND = "[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[ T][0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}(\\.[0-9]{{1,6}})?"
_GUARDS = {
    "smallint": ("SMALLINT", _SAME),
    "integer": ("INTEGER", _SAME),
    "bigint": ("BIGINT", _SAME),
    "date": ("DATE", f"{_VALID} {_SAME} AND {_ANY_DAY}"),
    "timestamp without time zone": (
        "TIMESTAMP",
        f"{_VALID} {_ANY_DAY}"
        f" AND ({{c}} LIKE '____-__-__ __:__:__' OR {_SAME} OR regexp_full_match({{c}}, '{_SECOND}'))",
    ),
    "timestamp with time zone": (
        "TIMESTAMPTZ",
        f"{_VALID} regexp_full_match({{c}}, '{_SECOND}(Z|[+-](0[0-9]|1[0-4])(:[0-5][0-9])?)') AND {_ANY_DAY}",
    ),
    "boolean": ("BOOLEAN", f"{_VALID} {{c}} IN ('true', 'false', 't', 'f')"),
    "double precision": (
        "DOUBLE",
        f"{_VALID} regexp_full_match({{c}}, '-?[0-9]{{{{1,17}}}}(\\.[0-9]{{{{1,20}}}})?([eE][+-]?[0-9]{{{{1,2}}}})?')",
    ),
    "uuid": ("UUID", _SAME),
    "text": ("VARCHAR", ""),
    "character varying": ("VARCHAR", ""),
    "json": ("VARCHAR", ""),
}
"""PostgreSQL's name of a type: DuckDB's, and when the value `{v}` of the text `{c}` is what PostgreSQL reads."""
_NUMERIC = re.compile(r"numeric\((\d+),(\d+)\)")
_VARYING = re.compile(r"character varying\(\d+\)")


@dataclass(frozen=True)
class Piece:
    """Some whole records: a file with their text, or with them as binary COPY; whoever uses it closes it."""

    stream: BinaryIO
    is_binary: bool


@dataclass(frozen=True)
class Text:
    """A file of whole records, its path, whether DuckDB would see all of them, and how the last ends."""

    stream: BinaryIO
    path: str
    is_plain: bool
    ends_in_crlf: bool


def is_available() -> bool:
    """Whether DuckDB and its extension for PostgreSQL are installed."""
    return extension() is not None


def takes(types: list[str]) -> bool:
    """Whether there is a binary form of each of these types, as PostgreSQL names them; a single column has none."""
    return len(types) > 1 and all(_guard(kind) is not None for kind in types)


class BinaryMaker:
    """Makes pieces for columns of these types. A context manager."""

    def __init__(self, types: list[str], format: Format) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="penstock-load-")
        self._query = _query(types, format)
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
        """Files of whole records of a text."""
        block = next(text, None)
        while block is not None:
            with ExitStack() as stack:
                stream, path = self._file()
                stack.enter_context(stream)
                size, is_plain, last = 0, True, block
                while block is not None and (not size or size + len(block) <= _PIECE):
                    stream.write(block)
                    size += len(block)
                    is_plain = is_plain and not has_blank_line(block) and not block.startswith(_BYTE_ORDER_MARK)
                    last, block = block, next(text, None)
                stream.seek(0)
                stack.pop_all()  # whoever uses it closes it
            yield Text(stream, path, is_plain, ends_in_crlf=last.endswith(b"\r\n"))

    def make(self, text: Text) -> BinaryIO | None:
        """The binary form of a text; None if a value or a record may not be read alike."""
        import duckdb

        if not text.is_plain:
            return None
        connection = self._start()
        binary, path = self._file()
        ends = "" if text.ends_in_crlf else ", new_line = '\\n'"  # DuckDB finds it where it can, and errs else
        try:
            connection.execute(self._query.format(text=text.path, binary=path, ends=ends))
        except duckdb.Error:
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


def _query(types: list[str], format: Format) -> str:
    """What makes a piece; `{text}` and `{binary}` are the paths, `{ends}` says what ends a record."""
    columns, values, guards = [], [], []
    for number, kind in enumerate(types):
        guard = _guard(kind)
        assert guard is not None
        name, condition = guard
        columns.append(f"c{number}: 'VARCHAR'")
        values.append(f"c{number}, TRY_CAST(c{number} AS {name}) AS v{number}")
        if condition:
            guards.append(f"({condition.format(c=f'c{number}', v=f'v{number}')})")
    read = (
        f"read_csv('{{text}}', columns = {{{{{', '.join(columns)}}}}},"
        f" delim = E'\\x{ord(format.column_separator):02x}', quote = '\"', escape = '\"', nullstr = '',"
        " allow_quoted_nulls = false, header = false, auto_detect = false,"
        " strict_mode = true{ends})"
    )
    where = " AND ".join(guards).replace("{", "{{").replace("}", "}}") or "true"
    names = ", ".join([f"v{number}" for number in range(len(types))])
    return (
        f"COPY (SELECT {names} FROM (SELECT {', '.join(values)} FROM {read})"  # noqa: S608
        f" WHERE CASE WHEN {where} THEN true ELSE error('other') END)"
        " TO '{binary}' (FORMAT postgres_binary, USE_TMP_FILE false)"
    )


def _guard(kind: str) -> tuple[str, str] | None:
    number = _NUMERIC.fullmatch(kind)
    if number is not None:
        precision, scale = int(number[1]), int(number[2])
        if not 0 <= scale <= precision <= 38:
            return None
        fraction = f"(\\.[0-9]{{{{1,{scale}}}}})?" if scale else ""
        plain = f"regexp_full_match({{c}}, '-?[0-9]{{{{1,{max(precision - scale, 1)}}}}}{fraction}')"
        return f"DECIMAL({precision},{scale})", f"{_SAME} OR {{v}} IS NOT NULL AND {plain}"
    return _GUARDS["character varying"] if _VARYING.fullmatch(kind) else _GUARDS.get(kind)


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
