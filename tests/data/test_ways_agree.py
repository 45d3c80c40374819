"""A fast way and the way record by record agree on any bytes: both give the same rows, or both refuse.

The bytes are those of good files that were then broken: line ends changed, quotes and marks put in, ends cut off.
PENSTOCK_EXAMPLES in the environment says how many are tried of each kind.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import psycopg
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from penstock.data.compression import CompressionError
from penstock.data.copy import CopyError, FileSide, TableSide, copy, parquet, parquet_text, text
from penstock.data.databases import DatabaseError, TextNotTaken, connect, parse_connection_string
from penstock.data.formats import CSV, TSV, Format, FormatError, Parquet, delimited, write_rows
from penstock.data.local_folder import LocalFolder

pytestmark = [pytest.mark.by_hand, pytest.mark.timeout(3600)]

EXAMPLES = int(os.environ.get("PENSTOCK_EXAMPLES", "30"))
broken_files = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
COLUMNS = ("a INT", "b DECIMAL(8,2)", "c TIMESTAMP", "d STRING", "e VARCHAR(5)")
QUOTED = delimited("CSV", quoting="rfc4180")
FORMATS = {
    "escaped": CSV(),
    "tabs": TSV(),
    "quoted": QUOTED,
    "escaped with header": CSV(header=True),
    "quoted with header": delimited("CSV", quoting="rfc4180", header=True),
    "semicolons": Format("Custom", ";", "\n", "\\"),
}
REFUSALS = (CopyError, FormatError, DatabaseError, CompressionError)
CREATE = "create table t (a integer, b decimal(8,2), c timestamp, d text, e varchar(5))"

# Files

numbers = st.integers(-(2**31), 2**31 - 1).map(str)
amounts = st.decimals(-999_999, 999_999, places=2).map(str)
moments = st.datetimes().map(lambda moment: moment.isoformat(" "))
ODD = [
    "",
    "NULL",
    "\\N",
    "\\",
    '"',
    '""',
    ",",
    ";",
    "\n",
    "\r",
    "\r\n",
    "\t",
    "\\.",
    "\ufeff",
    "é🎉",
    " ",
    "1 ",
    "x" * 9,
]
odd = st.sampled_from(ODD)
texts = st.none() | st.lists(odd | st.text(max_size=3).filter(lambda t: "\0" not in t), max_size=4).map("".join)
notes = st.none() | st.text("ab ,\"\\'é", max_size=5)
near = st.sampled_from(["1.5", "007", "+1", "1e2", "2013-02-30", "0x1", "infinity", "2013-01-02", "99999999999", " 1"])
rows = st.tuples(
    st.none() | numbers | numbers | near, st.none() | amounts | near, st.none() | moments | near, texts, notes | texts
)
tables = st.lists(rows, min_size=1, max_size=8)
MARKS = [b"\r\n", b"\r", b'"', b'""', b",", b"\n", b"\n\n", b"\0", b"\xff", b"\xc3", b"\xef\xbb\xbf", b"\\", b"\\.\n"]
MARKS += [b'"\n', b',"', b'",', b"\\N", b"x" * 300, b"\\\\", b"\\n", b"\t", b";", b"NULL", b"\xed\xa0\x80", b" "]
places = st.floats(0, 1, exclude_max=True)
inserts = st.tuples(st.just("insert"), places, st.sampled_from(MARKS))
cuts = st.tuples(st.just("cut"), places, st.integers(1, 4))
wholes = st.tuples(st.sampled_from(["crlf", "cr", "no end", "mark", "half", "twice"]), places, st.none())
breaks = st.lists(inserts | inserts | cuts | wholes, max_size=3)


def broken(data: bytes, how: list[tuple[str, float, object]]) -> bytes:
    for kind, place, what in how:
        at = int(place * (len(data) + 1))
        if kind == "insert":
            assert isinstance(what, bytes)
            data = data[:at] + what + data[at:]
        elif kind == "cut":
            assert isinstance(what, int)
            data = data[:at] + data[at + what :]
        elif kind == "crlf":
            data = data.replace(b"\n", b"\r\n")
        elif kind == "cr":
            data = data.replace(b"\n", b"\r")
        elif kind == "no end":
            data = data.removesuffix(b"\n")
        elif kind == "mark":
            data = b"\xef\xbb\xbf" + data
        elif kind == "half":
            data = data[:at]
        else:
            data += data[at:]
    return data


def file_of(format: Format, table: list[tuple[str | None, ...]], how: list[tuple[str, float, object]]) -> bytes:
    target = io.BytesIO()
    named = replace(format, columns=COLUMNS) if format.header else format
    write_rows(target, named, [table])
    return broken(target.getvalue(), how)


# Both ways


@pytest.fixture
def storage(tmp_path: Path) -> LocalFolder:
    return LocalFolder(tmp_path / "s3")


def put(storage: LocalFolder, data: bytes) -> None:
    with storage.create("s3://b/in") as stream:
        stream.write(data)


class Ways:
    """Makes a copy both ways and compares; `taken` counts how it went in the fast one."""

    def __init__(self, source: FileSide, target: FileSide | TableSide, look: Callable[[], object]) -> None:
        self.source, self.target, self.look = source, target, look
        self.taken: dict[str, int] = {}

    def compare(self) -> None:
        fast, way = self._outcome()
        self.taken[way] = self.taken.get(way, 0) + 1
        if way == "rows":
            return
        with pytest.MonkeyPatch.context() as patch:
            for module, name in ((text, "load"), (parquet, "load"), (parquet_text, "convert")):
                patch.setattr(module, name, refused)
            slow, _ = self._outcome()
        if isinstance(fast, Exception) and isinstance(slow, Exception):
            if numbered(fast) and numbered(slow) and type(fast) is type(slow):
                assert numbered(fast) == numbered(slow), (str(fast), str(slow))
            return
        assert fast == slow, (str(fast), str(slow))

    def _outcome(self) -> tuple[object, str]:
        """What is there after the copy, or why there is nothing."""
        try:
            done = copy(self.source, self.target)
        except REFUSALS as error:
            return error, "refused"
        return (self.look(), done.rows), done.way


def refused(*_: object) -> None:
    raise TextNotTaken("as the test wants it")


def numbered(error: Exception) -> str | None:
    """The row that an error of a database names."""
    found = re.search(r"cannot be loaded.*(?:[Rr]ow|line) (\d+)", str(error))
    return found[1] if found else None


def check_all_taken(ways: Ways, *, binary: bool = False) -> None:
    """That the fast way was tried at all."""
    assert ways.taken.get("bulk", 0) > EXAMPLES / 50, ways.taken
    print(ways.taken)


@pytest.fixture
def postgresql_table(postgresql_url: str, tmp_path: Path) -> Iterator[tuple[TableSide, Callable[[], object]]]:
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute(CREATE)

        def look() -> object:
            found = connection.execute("select a::text, b::text, c::text, d, e from t order by ctid").fetchall()
            connection.execute("truncate t")
            return found

        yield TableSide(parse_connection_string(postgresql_url, folder=tmp_path), "t"), look


@pytest.fixture
def mysql_table(mysql_url: str, tmp_path: Path) -> Iterator[tuple[TableSide, Callable[[], object]]]:
    address = parse_connection_string(mysql_url, folder=tmp_path)
    with connect(address) as database:
        database.execute_script(
            "create table t (i int auto_increment primary key, a integer, b decimal(8,2), c datetime(6), d text,"
            " e varchar(5)) character set utf8mb4 collate utf8mb4_bin"
        )

        def look() -> object:
            query = "select cast(a as char), cast(b as char), cast(c as char), d, e from t order by i"
            found = [row for batch in database.select(query).batches for row in batch]
            database.execute_script("truncate t")
            return found

        side = TableSide(address, "t", insert_query="insert into t (a, b, c, d, e) values (?, ?, ?, ?, ?)")
        yield side, look


@pytest.mark.parametrize("name", list(FORMATS))
def test_text_to_postgresql(
    storage: LocalFolder, postgresql_table: tuple[TableSide, Callable[[], object]], name: str
) -> None:
    ways = Ways(FileSide(storage, "s3://b/in", format=FORMATS[name]), *postgresql_table)
    compare_files(ways, storage, FORMATS[name])


@pytest.mark.parametrize("name", ["quoted", "quoted with header"])
def test_quoted_text_to_postgresql_in_binary(
    storage: LocalFolder,
    postgresql_table: tuple[TableSide, Callable[[], object]],
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("penstock.data.databases.postgresql_text._QUOTED_BLOCK", 64)
    monkeypatch.setattr("penstock.data.copy.binary_text._LEAST", 0)
    ways = Ways(FileSide(storage, "s3://b/in", format=FORMATS[name]), *postgresql_table)
    compare_files(ways, storage, FORMATS[name])


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "semicolons"])
def test_text_to_mariadb(storage: LocalFolder, mysql_table: tuple[TableSide, Callable[[], object]], name: str) -> None:
    ways = Ways(FileSide(storage, "s3://b/in", format=FORMATS[name]), *mysql_table)
    compare_files(ways, storage, FORMATS[name])


@pytest.mark.parametrize("name", list(FORMATS))
def test_text_to_parquet(storage: LocalFolder, tmp_path: Path, name: str) -> None:
    format = replace(FORMATS[name], columns=COLUMNS)

    def look() -> object:
        return content(tmp_path / "s3" / "b" / "out")

    target = FileSide(storage, "s3://b/out", format=Parquet(COLUMNS))
    compare_files(Ways(FileSide(storage, "s3://b/in", format=format), target, look), storage, FORMATS[name])


def content(path: Path) -> object:
    """The schema and the values of a Parquet file."""
    with duckdb.connect() as connection:
        read = f"from read_parquet('{path}')"
        schema = connection.execute(f"describe select * {read}").fetchall()
        return schema, connection.execute(f"select columns(*)::varchar {read}").fetchall()


def compare_files(ways: Ways, storage: LocalFolder, format: Format) -> None:
    @broken_files
    @given(table=tables, how=breaks)
    @example(table=[("1", "2.00", None, 'a"b', "é")] * 3, how=[("mark", 0.0, None), ("crlf", 0.0, None)])
    @example(table=[("1", "2.00", None, "a", "b")], how=[("mark", 0.0, None)])
    @example(table=[(None,) * 5], how=[])
    def run(table: list[tuple[str | None, ...]], how: list[tuple[str, float, object]]) -> None:
        put(storage, file_of(format, table, how))
        ways.compare()

    run()
    check_all_taken(ways)


# Parquet

KINDS = {
    "smallint": ("SMALLINT", st.integers(-(2**15), 2**15 - 1)),
    "integer": ("INTEGER", st.integers(-(2**31), 2**31 - 1)),
    "bigint": ("BIGINT", st.integers(-(2**63), 2**63 - 1)),
    "numeric(12,3)": ("DECIMAL(12,3)", st.decimals(-(10**8), 10**8, places=3)),
    "double precision": ("DOUBLE", st.floats()),
    "boolean": ("BOOLEAN", st.booleans()),
    "date": ("DATE", st.dates()),
    "timestamp": ("TIMESTAMP", st.datetimes()),
    "uuid": ("UUID", st.uuids()),
    "bytea": ("BLOB", st.binary(max_size=4)),
    "text": ("VARCHAR", st.text(max_size=6)),
    "varchar(4)": ("VARCHAR", st.text(max_size=6)),
    "json": ("VARCHAR", st.sampled_from(["1", "{}", "[", '{"a": 1.0}'])),
    "real": ("FLOAT", st.floats(width=32)),
    "char(3)": ("VARCHAR", st.text(max_size=4)),
}
LIKE = {"SMALLINT": ["smallint", "integer", "bigint", "numeric(12,3)"], "INTEGER": ["smallint", "integer", "bigint"]}
LIKE |= {"BIGINT": ["bigint", "integer", "numeric(12,3)"], "VARCHAR": ["text", "varchar(4)", "json", "char(3)", "date"]}
LIKE |= {"DECIMAL(12,3)": ["numeric(12,3)", "numeric(14,5)", "numeric(8,3)", "numeric"], "DATE": ["date", "timestamp"]}
LIKE |= {"TIMESTAMP": ["timestamp", "timestamptz", "date"], "DOUBLE": ["double precision", "real", "numeric"]}


@st.composite
def parquet_tables(draw: st.DrawFn) -> tuple[list[str], list[str], list[tuple[object, ...]]]:
    """Types of a file and of a table, and rows."""
    kinds = draw(st.lists(st.sampled_from(list(KINDS)), min_size=2, max_size=4))
    made = [KINDS[kind][0] for kind in kinds]
    wanted = [draw(st.just(kind) | st.sampled_from(LIKE.get(KINDS[kind][0], [kind]))) for kind in kinds]
    values = [st.none() | KINDS[kind][1] for kind in kinds]
    return made, wanted, draw(st.lists(st.tuples(*values), max_size=6))


def test_parquet_to_postgresql(storage: LocalFolder, postgresql_url: str, tmp_path: Path) -> None:
    address = parse_connection_string(postgresql_url, folder=tmp_path)
    path = tmp_path / "s3" / "b" / "in"
    put(storage, b"")
    taken: dict[str, int] = {}
    with psycopg.connect(postgresql_url, autocommit=True) as connection, duckdb.connect() as maker:

        def look() -> object:
            found = connection.execute("select (x.*)::text from t x order by ctid").fetchall()
            connection.execute("truncate t")
            return found

        @broken_files
        @given(table=parquet_tables(), how=st.just([]) | st.just([]) | st.just([]) | breaks)
        def run(
            table: tuple[list[str], list[str], list[tuple[object, ...]]], how: list[tuple[str, float, object]]
        ) -> None:
            made, wanted, values = table
            columns = ", ".join([f"c{number} {kind}" for number, kind in enumerate(made)])
            maker.execute(f"create or replace table made ({columns})")
            try:
                for row in values:
                    maker.execute(f"insert into made values ({', '.join('?' * len(row))})", row)
            except (duckdb.Error, UnicodeError, OverflowError):
                assume(False)
            maker.execute(f"copy made to '{path}' (format parquet)")
            path.write_bytes(broken(path.read_bytes(), how))
            columns = ", ".join([f"c{number} {kind}" for number, kind in enumerate(wanted)])
            connection.execute(f"drop table if exists t; create table t ({columns})")
            ways = Ways(FileSide(storage, "s3://b/in", format=Parquet()), TableSide(address, "t"), look)
            ways.compare()
            for way, count in ways.taken.items():
                taken[way] = taken.get(way, 0) + count

        run()
    print(taken)
    assert taken.get("bulk", 0) > EXAMPLES / 20
