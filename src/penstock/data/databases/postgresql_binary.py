"""Quoted text as PostgreSQL's binary COPY, made by DuckDB on another core while the server loads what came before.

The server takes binary values in about half of the time that it takes to parse text. Only values whose meaning is the
same to both are made binary: each is compared with the text that it came from, or with a pattern of what both read
alike. One other value, and the piece that holds it goes as text. Types that are not in the list go as text always.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Self, TypeVar, cast

from penstock.data.databases.postgresql_text import has_blank_line
from penstock.data.formats import Format

if TYPE_CHECKING:
    import duckdb

_T = TypeVar("_T")
_PIECE = 1 << 24
_MEMORY = "100MB"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_ANY_DAY = "{v} >= '0001-01-01' AND {v} < '10000-01-01'"
_CANONICAL = "{v}::VARCHAR IS NOT DISTINCT FROM {c}"
_SECOND = "[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[ T][0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}(\\.[0-9]{{1,6}})?"
_GUARDS = {
    "smallint": ("SMALLINT", _CANONICAL),
    "integer": ("INTEGER", _CANONICAL),
    "bigint": ("BIGINT", _CANONICAL),
    "date": ("DATE", f"{_CANONICAL} AND {_ANY_DAY}"),
    "timestamp without time zone": (
        "TIMESTAMP",
        f"({{c}} LIKE '____-__-__ __:__:__' OR {_CANONICAL} OR regexp_full_match({{c}}, '{_SECOND}')) AND {_ANY_DAY}",
    ),
    "timestamp with time zone": (
        "TIMESTAMPTZ",
        f"regexp_full_match({{c}}, '{_SECOND}(Z|[+-](0[0-9]|1[0-4])(:[0-5][0-9])?)') AND {_ANY_DAY}",
    ),
    "boolean": ("BOOLEAN", "{c} IN ('true', 'false', 't', 'f')"),
    "double precision": (
        "DOUBLE",
        "regexp_full_match({c}, '-?[0-9]{{1,17}}(\\.[0-9]{{1,20}})?([eE][+-]?[0-9]{{1,2}})?')",
    ),
    "uuid": ("UUID", _CANONICAL),
    "text": ("VARCHAR", ""),
    "character varying": ("VARCHAR", ""),
    "json": ("VARCHAR", ""),
}
"""PostgreSQL's name of a type: DuckDB's, and when the value `{v}` of the text `{c}` is what PostgreSQL reads."""
_NUMERIC = re.compile(r"numeric\((\d+),(\d+)\)")
_VARYING = re.compile(r"character varying\(\d+\)")


@dataclass(frozen=True)
class Piece:
    """Some whole records: a file, at its start, with their text or with them as binary COPY; closed by who uses it."""

    data: BinaryIO
    is_binary: bool


def is_available() -> bool:
    """Whether DuckDB and its extension for PostgreSQL are installed."""
    return _extension() is not None


def takes(types: list[str]) -> bool:
    """Whether there is a binary form of each of these types, as PostgreSQL names them; a single column has none."""
    return len(types) > 1 and all(_guard(kind) is not None for kind in types)


class BinaryMaker:
    """Makes pieces for columns of these types. A context manager."""

    def __init__(self, types: list[str], format: Format) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="penstock-load-")
        self._query = _query(types, format)
        self._connection: duckdb.DuckDBPyConnection | None = None

    def pieces(self, text: Iterator[bytes]) -> Generator[Piece, None, None]:
        """The pieces of a text. While one is used, the next one is made, and of those after it the text is read."""
        with ExitStack() as stack:
            written = stack.enter_context(_ahead(self._written(text)))
            for piece in stack.enter_context(_ahead(self._made(written))):
                with piece.data:
                    yield piece

    def _written(self, text: Iterator[bytes]) -> Iterator[_Text]:
        block = next(text, None)
        while block is not None:
            stream, path = self._file()
            size = 0
            is_plain = True
            ends = b""
            while block is not None and (not size or size + len(block) <= _PIECE):
                stream.write(block)
                size += len(block)
                is_plain = is_plain and not has_blank_line(block) and not block.startswith(_BYTE_ORDER_MARK)
                ends = b"\r\n" if block.endswith(b"\r\n") else b"\n"
                block = next(text, None)
            stream.seek(0)
            yield _Text(stream, path, ends, is_plain)

    def _made(self, written: Iterator[_Text]) -> Iterator[Piece]:
        for text in written:
            binary = self._make(text) if text.is_plain else None
            if binary is None:
                yield Piece(text.stream, is_binary=False)
            else:
                text.stream.close()
                yield Piece(binary, is_binary=True)

    def _make(self, text: _Text) -> BinaryIO | None:
        import duckdb

        if self._connection is None:
            self._connection = _connect(Path(self._folder.name))
        binary, path = self._file()
        ends = "" if text.ends == b"\r\n" else ", new_line = '\\n'"
        try:
            self._connection.execute(self._query.format(text=text.path, binary=path, ends=ends))
        except duckdb.Error:  # a value, or a record, that the two may not read alike
            binary.close()
            return None
        return binary

    def _file(self) -> tuple[BinaryIO, str]:
        """A new file and its path: in memory, or in the folder for temporary files where the system has no such."""
        if sys.platform == "linux":
            stream = open(os.memfd_create("penstock-load"), "r+b", buffering=0)  # noqa: SIM115
            return stream, f"/proc/self/fd/{stream.fileno()}"
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


@dataclass(frozen=True)
class _Text:
    """A file of whole records, the end of its last record, and whether DuckDB would see all of its records."""

    stream: BinaryIO
    path: str
    ends: bytes
    is_plain: bool


@contextmanager
def _ahead(items: Iterator[_T]) -> Iterator[Iterator[_T]]:
    """The items, the next two of which are made in a thread while one is used."""

    def made() -> Iterator[_T]:
        waiting = deque([worker.submit(next, items, None) for _ in range(2)])
        while (item := waiting.popleft().result()) is not None:
            waiting.append(worker.submit(next, items, None))
            yield item

    with ThreadPoolExecutor(1) as worker:
        yield made()


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
            alike = condition.format(c=f"c{number}", v=f"v{number}")
            guards.append(f"(c{number} IS NULL OR (v{number} IS NOT NULL AND ({alike})))")
    read = (
        f"read_csv('{{text}}', columns = {{{{{', '.join(columns)}}}}},"
        f" delim = E'\\x{ord(format.column_separator):02x}', quote = '\"', escape = '\"', nullstr = '',"
        " allow_quoted_nulls = false, header = false, auto_detect = false,"
        " strict_mode = true{{ends}})"
    )
    where = " AND ".join(guards).replace("{", "{{").replace("}", "}}") or "true"
    names = ", ".join([f"v{number}" for number in range(len(types))])
    return (
        f"COPY (SELECT {names} FROM (SELECT {', '.join(values)} FROM {read})"  # noqa: S608
        f" WHERE CASE WHEN {where} THEN true ELSE error('other') END) TO '{{binary}}' (FORMAT postgres_binary, USE_TMP_FILE false)"
    )


def _guard(kind: str) -> tuple[str, str] | None:
    number = _NUMERIC.fullmatch(kind)
    if number is not None:
        precision, scale = int(number[1]), int(number[2])
        if not 0 <= scale <= precision <= 38:
            return None
        fraction = f"(\\.[0-9]{{{{1,{scale}}}}})?" if scale else ""
        plain = f"regexp_full_match({{c}}, '-?[0-9]{{{{1,{max(precision - scale, 1)}}}}}{fraction}')"
        return f"DECIMAL({precision},{scale})", f"{_CANONICAL} OR {plain}"
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
    connection.execute(f"LOAD '{_extension()}'")
    return connection


def _extension() -> Path | None:
    """The file of DuckDB's extension for PostgreSQL, which a wheel brings."""
    try:
        import duckdb
        import duckdb_extension_postgres_scanner as wheel  # type: ignore[import-untyped]
    except ImportError:
        return None
    folder = Path(next(iter(wheel.__path__))) / "extensions" / f"v{duckdb.__version__}"
    path = folder / "postgres_scanner.duckdb_extension"
    return path if path.exists() else None
