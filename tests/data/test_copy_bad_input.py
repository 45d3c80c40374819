"""Bad input of a copy: the error names the object, the row and what was found, and the target is as it was."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from penstock.data.compression import CompressionError
from penstock.data.copy import CopyError, FileSide, TableSide, copy
from penstock.data.databases import Address, DatabaseError, connect, parse_connection_string
from penstock.data.formats import CSV, TSV, AnyFormat, FormatError, JsonLines, Parquet, delimited
from penstock.data.local_folder import LocalFolder
from penstock.data.s3_storage import S3Storage
from penstock.data.storage import NoSuchKey, ObjectChanged, Storage, StorageError
from penstock.storage_settings import S3Setting

pytestmark = pytest.mark.by_hand

MIB = 1 << 20
COLUMNS = ("a INT", "b STRING")
AWS = CSV(columns=COLUMNS)
QUOTED = delimited("CSV", COLUMNS, quoting="rfc4180")
TABLES = ["postgresql", "mysql", "sqlite", "duckdb"]
FILES: dict[str, AnyFormat] = {"TSV": TSV(columns=COLUMNS), "Parquet": Parquet(COLUMNS), "JSON": JsonLines(COLUMNS)}
TARGETS = [*TABLES, *FILES]
Side = FileSide | TableSide
Errors = type[Exception] | tuple[type[Exception], ...]
SidesOf = Callable[[str], tuple[Side, Callable[[], object]]]


@pytest.fixture
def storage(tmp_path: Path) -> LocalFolder:
    return LocalFolder(tmp_path / "s3")


def put(storage: Storage, data: bytes, uri: str = "s3://b/in") -> str:
    with storage.create(uri) as stream:
        stream.write(data)
    return uri


@pytest.fixture
def target(request: pytest.FixtureRequest, storage: LocalFolder, tmp_path: Path) -> SidesOf:
    """Makes a target that holds something already, and what looks at it."""

    def make(kind: str) -> tuple[Side, Callable[[], object]]:
        if kind in FILES:
            put(storage, b"as it was", "s3://b/out")
            return FileSide(storage, "s3://b/out", format=FILES[kind]), lambda: read(storage, "s3://b/out")
        address = address_of(kind, request, tmp_path)
        strict = " strict" if kind == "sqlite" else ""
        with connect(address) as database:
            database.execute_script(f"create table t (a int, b text){strict}; insert into t values (0, 'as it was')")
        return TableSide(address, "t"), lambda: rows_of(address)

    return make


def address_of(kind: str, request: pytest.FixtureRequest, folder: Path) -> Address:
    servers = {"postgresql": "postgresql_url", "mysql": "mysql_url"}
    url = request.getfixturevalue(servers[kind]) if kind in servers else f"{kind}:t.db"
    return parse_connection_string(url, folder=folder)


def rows_of(address: Address, table: str = "t") -> list[tuple[object, ...]]:
    with connect(address) as database:
        return sorted(row for batch in database.select(f"select * from {table}").batches for row in batch)


def read(storage: Storage, uri: str) -> bytes:
    with storage.open(uri) as stream:
        return stream.read()


def refused(source: Side, target: Side, look: Callable[[], object], error: Errors, *parts: str) -> None:
    """That the copy fails with all of these in its message, and changes nothing."""
    before = look()
    with pytest.raises(error) as found:
        copy(source, target, pauses=())
    for part in parts:
        assert re.search(part, str(found.value)), str(found.value)
    assert look() == before


# Rows

RAGGED = [
    (AWS, b"1,a\n2,b,c\n", r"Row 2 has 3 columns, the first is '2', but the column list of the format has 2"),
    (AWS, b"1,a\n2\n", r"Row 2 has 1 column, the first is '2', but the column list"),
    (AWS, b"1,a\\\nb\n2,b,c\n", r"Row 2 \(line 3\) has 3 columns, the first is '2'"),
    (AWS, b"1,a\r\n2\r\n3,c\r\n", r"Row 2 has 1 column, the first is '2'"),
    (CSV(), b"1,a\n2\n3,c\n", r"Row 2 has 1 column, the first is '2', but row 1 has 2"),
    (CSV(header=True), b"a,b\n1,x\n2\n", r"Row 2 \(line 3\) has 1 column, the first is '2', but the header has 2"),
    (QUOTED, b'1,"a\nb"\n2,b,c\n', r"Row 2 \(line 3\) has 3 columns, the first is '2'"),
    (QUOTED, b'1,"a\nb"\n2\n', r"Row 2 \(line 3\) has 1 column, the first is '2'"),
    (QUOTED, b'1,a\n2,"b\n', r"Row 2 has a quote that is never closed, before 'b"),
    (QUOTED, b'1,a\n2,b"c\n', r"Row 2 has a quote in the middle of an unquoted field, 'b\"c"),
    (QUOTED, b'1,a\n2,"b"c\n', r"Row 2 has text after a closing quote, '\"b\"c"),
    (QUOTED, b"1,a\n2,b\rc\n", r"Row 2 has a carriage return in an unquoted field"),
    (TSV(columns=COLUMNS), b"1\ta\n2\tb\tc\n", r"Row 2 has 3 columns, the first is '2'"),
]


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize(("format", "data", "problem"), RAGGED, ids=range(len(RAGGED)))
def test_a_row_of_another_width_or_with_stray_quotes_is_named(
    storage: LocalFolder, target: SidesOf, kind: str, format: AnyFormat, data: bytes, problem: str
) -> None:
    if kind == "TSV" and format.same_text(FILES["TSV"]):
        format, data, problem = AWS, b"1,a\n2,b,c\n", r"Row 2 has 3 columns, the first is '2'"
    source = FileSide(storage, put(storage, data), format=format)
    refused(source, *target(kind), FormatError, rf"^s3://b/in: {problem}")


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize(("data", "found"), [(b"1,a,x\n2,b,x\n", "3 columns"), (b"1\n2\n", "1 column")])
def test_rows_of_other_columns_than_the_table_are_named(
    storage: LocalFolder, target: SidesOf, kind: str, data: bytes, found: str
) -> None:
    problem = rf"^s3://b/in cannot be loaded into 't': Row 1 has {found}, but the table t takes 2"
    refused(FileSide(storage, put(storage, data)), *target(kind), CopyError, problem)


# Values


@pytest.mark.parametrize("kind", [kind for kind in TARGETS if kind != "TSV"])
@pytest.mark.parametrize("format", [AWS, QUOTED, CSV(header=True), CSV()], ids=["escaped", "quoted", "header", "plain"])
def test_a_value_that_does_not_fit_is_named(
    storage: LocalFolder, target: SidesOf, kind: str, format: AnyFormat
) -> None:
    header = b"a,b\n" if format == CSV(header=True) else b""
    source = FileSide(storage, put(storage, header + b"1,a\n2,b\nseven,c\n4,d\n"), format=format)
    side, look = target(kind)
    if isinstance(side, FileSide):
        refused(source, side, look, FormatError, "Row 3", "'seven'", "'a'", "INT")
        return
    found = "TEXT value" if kind == "sqlite" else "seven"
    refused(source, side, look, CopyError, r"^s3://b/in cannot be loaded into 't'", "row 3", found, r"\ba\b")


def test_a_value_far_behind_in_a_large_file_is_named(storage: LocalFolder, target: SidesOf) -> None:
    """The binary way of PostgreSQL, by several pieces."""
    lines = [b'%d,"x\n%s"\n' % (number, b"y" * 300) for number in range(60_000)]
    lines[50_000] = b"12345678901,late\n"
    source = FileSide(storage, put(storage, b"".join(lines)), format=QUOTED)
    parts = (r"^s3://b/in cannot be loaded", "12345678901", r"row 50001, column a")
    refused(source, *target("postgresql"), CopyError, *parts)
    refused(source, *target("mysql"), CopyError, r"^s3://b/in cannot be loaded", "column .a. at row 50001")


# Bytes

UNREADABLE = [
    ("a\u00e9,b\n".encode("utf-16"), "Row 1 is not valid UTF-8"),
    (b"1,a\n2,caf\xe9\n", "Row 2 is not valid UTF-8. Convert the data to UTF-8 before"),
    (b"1,a\n2,\xed\xa0\x80\n", "Row 2 is not valid UTF-8"),
    (b"1,a\n2,\xf4\x90\x80\x80\n", "Row 2 is not valid UTF-8"),
    (gzip.compress(b"1,a\n"), "Row 1 is not valid UTF-8: the data is compressed with gzip. Set compression to 'gzip'"),
]


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("format", [CSV(), delimited("CSV", quoting="rfc4180")], ids=["escaped", "quoted"])
@pytest.mark.parametrize(("data", "problem"), UNREADABLE, ids=["utf-16", "latin-1", "surrogate", "too far", "gzip"])
def test_bytes_that_are_no_utf8_are_named(
    storage: LocalFolder, target: SidesOf, kind: str, format: AnyFormat, data: bytes, problem: str
) -> None:
    source = FileSide(storage, put(storage, data), format=format)
    refused(source, *target(kind), FormatError, rf"^s3://b/in: {problem}")


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("way", ["cut off", "damaged", "none", "zstd"])
def test_a_broken_gzip_is_named(storage: LocalFolder, target: SidesOf, kind: str, way: str) -> None:
    whole = gzip.compress(b"".join([b"%d,%d\n" % (number, number * 7919) for number in range(200_000)]))
    half = len(whole) // 2
    data = {
        "cut off": whole[:half],
        "damaged": whole[:half] + bytes([whole[half] ^ 0xFF] * 9) + whole[half + 9 :],
        "none": b"1,a\n",
        "zstd": b"\x28\xb5\x2f\xfd\x00",
    }[way]
    source = FileSide(storage, put(storage, data), format=AWS, compression="gzip")
    error = (CompressionError, FormatError) if way == "damaged" else CompressionError  # it may be unpacked for a while
    refused(source, *target(kind), error, r"^s3://b/in: ", "gzip|Row \\d+ has")


@pytest.mark.parametrize("kind", TARGETS)
def test_a_missing_key_is_named(storage: LocalFolder, target: SidesOf, kind: str) -> None:
    put(storage, b"", "s3://b/other")
    side, look = target(kind)
    refused(FileSide(storage, "s3://b/in", format=AWS), side, look, NoSuchKey, "There is no object s3://b/in")
    directory = FileSide(storage, "s3://b/in", is_directory=True, format=AWS)
    if not isinstance(side, FileSide):
        refused(directory, side, look, NoSuchKey, "There is no object in the directory s3://b/in/")
    refused(
        FileSide(storage, "s3://no/in", format=AWS),
        side,
        look,
        NoSuchKey,
        "no bucket no, so there is no object s3://no/in",
    )


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("insert", [None, "insert into nowhere (a, b) values (?, ?)", "insert into nowhere values (?)"])
def test_a_missing_table_is_named(storage: LocalFolder, target: SidesOf, kind: str, insert: str | None) -> None:
    side, look = target(kind)
    assert isinstance(side, TableSide)
    source = FileSide(storage, put(storage, b"1,a\n"), format=AWS)
    gone = replace(side, table="nowhere", insert_query=insert)
    refused(source, gone, look, Exception, "nowhere")
    out = FileSide(storage, "s3://b/made")
    for asked in (replace(side, table="nowhere"), replace(side, select_query="select * from nowhere")):
        refused(asked, out, lambda: storage.exists("s3://b/made"), DatabaseError, "nowhere")


def test_no_permission_in_mariadb_is_named(storage: LocalFolder, target: SidesOf, mysql_url: str) -> None:
    side, look = target("mysql")
    assert isinstance(side, TableSide)
    with connect(side.address) as database:
        database.execute_script("create user guest; grant create on *.* to guest; grant select on mysql.* to guest")
        try:
            guest = replace(side, address=replace(side.address, username="guest"))
            source = FileSide(storage, put(storage, b"1,a\n"), format=AWS)
            refused(source, guest, look, Exception, "guest|There is no table t")
            refused(guest, FileSide(storage, "s3://b/o"), look, DatabaseError, "guest|There is no table t")
            database.execute_script(f"grant select on {side.address.database}.* to guest")
            refused(source, guest, look, CopyError, "s3://b/in", r"INSERT command denied to user 'guest'.* table .*t")
            assert copy(guest, FileSide(storage, "s3://b/o")).rows == 1
        finally:
            database.execute_script("drop user guest")


def test_a_storage_that_lets_nobody_write_is_named(tmp_path: Path, seaweedfs_server: S3Setting) -> None:
    storage = S3Storage(seaweedfs_server)
    put(storage, b"1,a\n", "s3://bad-input/in")
    stranger = S3Storage(replace(seaweedfs_server, secret_access_key="wrong"))
    local = LocalFolder(tmp_path / "s3")
    source = FileSide(stranger, "s3://bad-input/in", format=AWS)
    for target in (FileSide(local, "s3://b/out"), FileSide(local, "s3://b/out", format=TSV())):
        refused(source, target, lambda: local.exists("s3://b/out"), StorageError, "s3://bad-input/")
    mine = FileSide(local, put(local, b"1,a\n"), format=AWS)
    for format in (AWS, TSV()):
        to = FileSide(stranger, "s3://bad-input/out", format=format)
        refused(mine, to, lambda: storage.exists("s3://bad-input/out"), StorageError, "s3://bad-input/")


# Connections that are lost


class Breaker:
    """Ends the other connections to a MariaDB's database when progress is told, as often as it is asked to."""

    def __init__(self, address: Address, times: int) -> None:
        self.address, self.times = address, times

    def __call__(self, *, rows: int, bytes: int) -> None:
        if self.times:
            self.times -= 1
            with connect(self.address) as database:
                query = (
                    "select cast(id as char) from information_schema.processlist where id <> connection_id()"
                    f" and db = '{self.address.database}'"
                )
                found = [row[0] for batch in database.select(query).batches for row in batch]
                assert found
                for number in found:
                    database.execute_script(f"kill {number}")


@pytest.mark.parametrize("format", [AWS, QUOTED], ids=["escaped", "quoted"])
@pytest.mark.parametrize("insert", [None, "insert into t (a, b) values (?, upper(?))"], ids=["bulk", "rows"])
def test_a_connection_to_mariadb_that_is_lost_doubles_nothing(
    storage: LocalFolder, target: SidesOf, format: AnyFormat, insert: str | None
) -> None:
    data = b"".join([b"%d,%s\n" % (number, b"x" * 90) for number in range(1, 100_000)])
    source = FileSide(storage, put(storage, data), format=format)
    side, look = target("mysql")
    assert isinstance(side, TableSide)
    side = replace(side, insert_query=insert)
    breaker = Breaker(side.address, 2)
    assert copy(source, side, breaker, pauses=(0, 0)).rows == 99_999
    assert breaker.times == 0
    found = rows_of(side.address)
    assert [row[0] for row in found] == list(range(100_000))
    with pytest.raises(DatabaseError, match=r"connection|killed|Lost"):
        copy(source, side, Breaker(side.address, 9), pauses=(0,))
    assert look() == found
    out = FileSide(storage, "s3://b/out", format=format)
    assert copy(side, out, Breaker(side.address, 1), pauses=(0,)).rows == 100_000
    assert read(storage, "s3://b/out").count(b"\n") == 100_000


# A full disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB; skips where nobody may mount one."""
    folder = tmp_path / "small"
    folder.mkdir(mode=0o777)
    command = ["mount", "-t", "tmpfs", "-o", "size=4m,mode=777", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small disk, and not everywhere")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def large(storage: LocalFolder) -> FileSide:
    """A file for which a small disk has no room, in any format."""
    data = b"".join([b"%d,%x\n" % (number, pow(7, number + 99, 1 << 512)) for number in range(1, 60_000)])
    return FileSide(storage, put(storage, data), format=QUOTED)


@pytest.mark.parametrize("format", [QUOTED, AWS, Parquet(COLUMNS)], ids=["same", "other", "Parquet"])
def test_a_full_disk_under_the_target_is_named(large: FileSide, small_disk: Path, format: AnyFormat) -> None:
    local = LocalFolder(small_disk / "s3")
    put(local, b"as it was", "s3://b/out")
    target = FileSide(local, "s3://b/out", format=format)
    refused(large, target, lambda: read(local, "s3://b/out"), CopyError, "The disk is full", "No space left", "TMPDIR")
    assert sum(path.stat().st_size for path in small_disk.rglob("*") if path.is_file()) < MIB


@pytest.mark.parametrize("kind", ["Parquet", "JSON", "postgresql from Parquet", "Parquet from postgresql"])
def test_a_full_disk_for_temporary_files_is_named(
    large: FileSide, small_disk: Path, target: SidesOf, kind: str, storage: LocalFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    source: Side = large
    side, look = target(kind if kind in FILES else "postgresql")
    if kind == "Parquet from postgresql":
        copy(large, side)
        source, (side, look) = side, target("Parquet")
    elif kind == "postgresql from Parquet":
        source = FileSide(storage, "s3://b/large", format=Parquet(COLUMNS), compression="gzip")
        copy(large, source)
    if kind == "JSON":  # what goes into a directory is converted as a whole before
        put(storage, read(storage, "s3://b/in"), "s3://b/dir/in")
        source = replace(large, uri="s3://b/dir", is_directory=True)
        side = FileSide(storage, "s3://b/outs", is_directory=True, format=FILES["JSON"])
    monkeypatch.setattr("tempfile.tempdir", str(small_disk))
    refused(source, side, look, CopyError, "The disk is full", "No space left", "TMPDIR", str(small_disk))
    assert not storage.exists("s3://b/outs/in")


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_a_full_disk_under_a_database_is_named(large: FileSide, small_disk: Path, kind: str) -> None:
    address = parse_connection_string(f"{kind}:t.db", folder=small_disk)
    with connect(address) as database:
        database.execute_script("create table t (a int, b text); insert into t values (0, 'as it was')")
    side = TableSide(address, "t")
    errors = (CopyError, DatabaseError)
    refused(
        large, side, lambda: rows_of(address), errors, "s3://b/in cannot be loaded into 't'|COMMIT", "full|No space"
    )


# Fields over the limit

LONG = """
import resource, sys
from pathlib import Path
from penstock.data.copy import FileSide, TableSide, copy
from penstock.data.databases import parse_connection_string
from penstock.data.formats import *
from penstock.data.local_folder import LocalFolder

folder, url, source, target = sys.argv[1:]
formats = {"CSV": CSV(), "quoted": delimited("CSV", quoting="rfc4180"), "TSV": TSV(), "JSON": JsonLines(("a", "b"))}
formats |= {"Parquet": Parquet(("a STRING", "b STRING")), "Excel": ExcelCsv()}
storage = LocalFolder(Path(folder) / "s3")
one = FileSide(storage, "s3://b/long", format=formats[source])
if target in formats:
    other = FileSide(storage, "s3://b/out", format=formats[target])
else:
    other = TableSide(parse_connection_string(url, folder=Path(folder)), "long_fields")
try:
    copy(one, other, pauses=())
except Exception as error:
    print(type(error).__name__, str(error)[:400])
status = Path("/proc/self/status")  # ru_maxrss would count the process that has started this one
peak = [int(line.split()[1]) for line in status.open() if line.startswith("VmHWM")] if status.exists() else []
print((peak[0] if peak else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) // 1024)
"""
INTO = {"CSV": "quoted", "quoted": "TSV", "TSV": "JSON", "JSON": "CSV"}
LONG_CASES = [(source, target) for source in ("CSV", "quoted", "JSON") for target in ("postgresql", "mysql", "sqlite")]
LONG_CASES += [*INTO.items(), ("CSV", "Parquet"), ("quoted", "Parquet"), ("JSON", "Parquet")]


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("source", "kind"), LONG_CASES)
def test_a_field_over_the_limit_is_refused_in_little_memory(
    storage: LocalFolder, tmp_path: Path, source: str, kind: str, request: pytest.FixtureRequest
) -> None:
    size = 200 * MIB
    begin, end = {"JSON": (b'{"a": "1", "b": "', b'"}\n'), "TSV": (b"1\t", b"\n")}.get(source, (b"1,", b"\n"))
    first = begin + b"x" + end
    with storage.create("s3://b/long") as stream:
        stream.write(first + begin + (b'"' if source == "quoted" else b""))
        for _ in range(size // MIB):
            stream.write(b"x" * MIB)
        stream.write((b'"' if source == "quoted" else b"") + end)
    url = ""
    look: Callable[[], object] = partial(storage.exists, "s3://b/out")
    if kind in TABLES:
        address = address_of(kind, request, tmp_path)
        with connect(address) as database:
            database.execute_script("create table long_fields (a text, b text)")
        url = request.getfixturevalue(f"{kind}_url") if kind != "sqlite" else "sqlite:t.db"
        look = partial(rows_of, address, "long_fields")
    before = look()
    command = [sys.executable, "-c", LONG, str(tmp_path), url, source, kind]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    error, _, memory = done.stdout.strip().rpartition("\n")
    assert error.startswith("FormatError s3://b/long: "), done.stdout
    assert re.search(r"(Row|Line) 2 is longer than 67,108,864 bytes, which \[data\] longest_record in the set", error)
    assert int(memory) <= 300, memory
    assert look() == before


# Files that change


class Once:
    """Does something when progress is first told."""

    def __init__(self, what: Callable[[], object]) -> None:
        self.what: Callable[[], object] | None = what

    def __call__(self, *, rows: int, bytes: int) -> None:
        if self.what is not None:
            what, self.what = self.what, None
            what()


def longer(path: Path, data: bytes) -> None:
    with path.open("ab") as stream:
        stream.write(data)


CHANGES: dict[str, Callable[[Path], object]] = {
    "longer": lambda path: longer(path, b"9,x\n"),
    "shorter": lambda path: os.truncate(path, 10 * MIB),
}


@pytest.mark.parametrize("change", list(CHANGES))
@pytest.mark.parametrize("kind", [*TARGETS, "as bytes", "binary"])
def test_a_local_file_that_is_written_while_it_is_read_is_an_error(
    storage: LocalFolder, target: SidesOf, tmp_path: Path, kind: str, change: str
) -> None:
    format = QUOTED if kind == "binary" else AWS
    source = FileSide(storage, put(storage, b"1,%s\n" % (b"x" * 98) * (20 * MIB // 101)), format=format)
    named = {"as bytes": "TSV", "binary": "postgresql"}.get(kind, kind)
    side, look = target(named)
    if kind == "as bytes":
        assert isinstance(side, FileSide)
        side = replace(side, format=AWS, storage=LocalFolder(tmp_path / "s3" / ".." / "other"))
        put(side.storage, b"as it was", side.uri)
        look = partial(read, side.storage, side.uri)
    before = look()
    path = tmp_path / "s3" / "b" / "in"
    with pytest.raises(ObjectChanged, match="s3://b/in was changed or removed while it was read"):
        copy(source, side, Once(lambda: CHANGES[change](path)), pauses=())
    assert look() == before


def test_a_parquet_file_that_is_written_while_it_is_loaded_is_an_error(
    storage: LocalFolder, target: SidesOf, tmp_path: Path
) -> None:
    data = b"".join([b"%d,%x\n" % (number, pow(7, number + 99, 1 << 256)) for number in range(100_000)])
    file = FileSide(storage, "s3://b/file", format=Parquet(COLUMNS))
    copy(FileSide(storage, put(storage, data), format=QUOTED), file)
    side, look = target("postgresql")
    before = look()
    path = tmp_path / "s3" / "b" / "file"
    with pytest.raises((ObjectChanged, FormatError), match=r"s3://b/file(: The data is no Parquet| was changed)"):
        copy(file, side, Once(lambda: longer(path, b"more")), pauses=())
    assert look() == before


@pytest.mark.parametrize("kind", [*TARGETS, "as bytes"])
def test_an_object_of_s3_that_is_written_while_it_is_read_is_never_half_of_each(
    seaweedfs_server: S3Setting, target: SidesOf, kind: str
) -> None:
    """The server may go on with the first one, or the copy fails."""
    server = S3Storage(seaweedfs_server)
    first, second = (b"%d,%s\n" % (number, b"x" * 98) * (48 * MIB // 101) for number in (1, 2))
    put(server, first, "s3://bad-input/in")
    side, look = target("TSV" if kind == "as bytes" else kind)
    if kind == "as bytes":
        assert isinstance(side, FileSide)
        side = replace(side, format=AWS)
    before = look()
    change = Once(lambda: put(server, second[: 40 * MIB], "s3://bad-input/in"))
    try:
        done = copy(FileSide(server, "s3://bad-input/in", format=AWS), side, change, pauses=())
    except ObjectChanged as error:
        assert "s3://bad-input/in was changed or removed while it was read" in str(error)
        assert look() == before
        return
    assert done.bytes == len(first)
    found = look()
    if isinstance(found, list):
        assert {row[0] for row in found} == {0, 1}
    elif kind == "as bytes":
        assert found == first
