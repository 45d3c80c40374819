"""Every pair of kinds of data nodes brings every value through as it was, whichever way the copy takes."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from penstock.data.copy import CopyError, CopyResult, FileSide, TableSide, copy
from penstock.data.databases import Address, ConnectionLost, DatabaseError, connect, parse_connection_string
from penstock.data.formats import CSV, TSV, JsonLines, Parquet, delimited
from penstock.data.local_folder import LocalFolder

pytestmark = pytest.mark.by_hand

HARD = [
    None,
    "",
    "NULL",
    "null",
    "\\N",
    "\\",
    "NA",
    ",",
    '"',
    '""',
    "'",
    "\t",
    "\n",
    "\r",
    "\r\n",
    "\\.",
    "\\n",
    'a,"b"\n\\c\td',
    " leading and trailing ",
    "naïve 東京 🎉 e\u0301",
    "\ufeffmark",
    "\x01\x1f\x7f",
    "9223372036854775807",
    "-0.00000000000000000001000",
    "1e400",
    "007",
    "true",
    "2013-01-02 03:04:05.120000+05:30",
    "9999-12-31 23:59:59.999999",
    "x" * 5000,
]
COLUMNS = ("name STRING", "value STRING", "again STRING")
CREATE = "create table t (name varchar(30), value text, again text)"
FILES = {
    "CSV": ("csv", CSV(columns=COLUMNS), "none"),
    "TSV": ("tsv", TSV(columns=COLUMNS), "gzip"),
    "quoted": ("quoted", delimited("CSV", COLUMNS, quoting="rfc4180"), "zstd"),
    "JSON": ("json", JsonLines(COLUMNS), "none"),
    "Parquet": ("parquet", Parquet(COLUMNS), "none"),
}
KINDS = [*FILES, "sqlite", "postgresql", "duckdb", "mysql"]
Side = FileSide | TableSide


@pytest.fixture
def storage(tmp_path: Path) -> LocalFolder:
    return LocalFolder(tmp_path / "s3")


@pytest.fixture
def new_side(request: pytest.FixtureRequest, storage: LocalFolder, tmp_path: Path) -> Callable[[str], Side]:
    numbers = itertools.count()

    def make(kind: str) -> Side:
        number = next(numbers)
        if kind in FILES:
            _, format, compression = FILES[kind]
            return FileSide(storage, f"s3://bucket/{number}", format=format, compression=compression)
        if kind == "postgresql":
            url = request.getfixturevalue("new_postgresql_url")()
        elif kind == "mysql":
            url = request.getfixturevalue("mysql_url")
        else:
            url = f"{kind}:{number}.db"
        address = parse_connection_string(url, folder=tmp_path)
        return TableSide(address, f"t{number}", create_table_sql=CREATE.replace(" t ", f" t{number} "))

    return make


@pytest.fixture
def start(tmp_path: Path) -> TableSide:
    """A table with the hard values."""
    address = parse_connection_string("sqlite:start.db", folder=tmp_path)
    rows = [(f"{number:03d}", value, value) for number, value in enumerate(HARD)]
    with connect(address) as database:
        database.execute_script(CREATE)
        database.insert_into("t", None, None, [rows])
    return TableSide(address, "t", select_query="select * from t order by name")


def values(side: TableSide) -> list[tuple[object, ...]]:
    with connect(side.address) as database:
        return [row for batch in database.select(f"select * from {side.table} order by name").batches for row in batch]


@pytest.mark.parametrize("first", KINDS)
def test_hard_values_go_through_every_pair(first: str, start: TableSide, new_side: Callable[[str], Side]) -> None:
    expected = [(f"{number:03d}", value, value) for number, value in enumerate(HARD)]
    one = new_side(first)
    assert copy(start, one).way in ("rows", "bulk")
    for second in KINDS:
        other, back = new_side(second), new_side("sqlite")
        assert isinstance(back, TableSide)
        copy(one, other)
        copy(other, back)
        assert values(back) == expected, second


TYPED = """create table t
    (a smallint, b integer, c bigint, d numeric(20, 5), e numeric, f boolean, g date, h timestamp,
    i timestamptz, j double precision, k uuid, l bytea, m varchar(9))"""
ROWS = """insert into t values
    (32767, -2147483648, 9223372036854775807, 123456789012345.67890, 1e20, true,
    '0001-01-01', '9999-12-31 23:59:59.999999', '2013-01-02 03:04:05.5+05:30', 0.1,
    '00000000-0000-0000-0000-00000000000a', '\\x00ff', ''),
    (-32768, 0, -1, -0.00001, 0.10, false, '2012-02-29', '2013-01-02', '0001-01-01 00:00Z', 1e300, null, '',
    'NULL'),
    (null, null, null, null, null, null, null, null, null, null, null, null, null)"""


@pytest.mark.parametrize("kind", list(FILES))
@pytest.mark.parametrize("query", ["select * from t", "select a, b, c, d, e, f, g, h, i, null::float8, k, l, m from t"])
def test_typed_values_come_back_from_files(kind: str, query: str, new_side: Callable[[str], Side]) -> None:
    """The second query has a column of its own type in the file; the first takes the other way for its floats."""
    source, target, file = new_side("postgresql"), new_side("postgresql"), new_side(kind)
    assert isinstance(source, TableSide) and isinstance(target, TableSide) and isinstance(file, FileSide)
    with connect(source.address) as database:
        database.execute_script(f"{TYPED}; {ROWS}")
    named = FileSide(file.storage, file.uri, format=FORMATS_WITHOUT_COLUMNS[kind], compression=file.compression)
    names = "a, b, c, d, e, f, g, h, i, null::float8 as j, k, l, m" if "null" in query else "*"
    copy(TableSide(source.address, "t", select_query=f"select {names} from t"), named)
    copy(named, TableSide(target.address, "t", create_table_sql=TYPED))
    with psycopg.connect(url(source.address)) as one, psycopg.connect(url(target.address)) as other:
        check = f"select (x.*)::text from ({query}) x order by 1"
        assert one.execute(check).fetchall() == other.execute(check).fetchall()


FORMATS_WITHOUT_COLUMNS = {
    "CSV": CSV(),
    "TSV": TSV(),
    "quoted": delimited("CSV", quoting="rfc4180"),
    "JSON": JsonLines(),
    "Parquet": Parquet(),
}


def url(address: Address) -> str:
    return f"postgresql://{address.username}@{address.host}:{address.port}/{address.database}"


# Which way


def test_the_way_is_told(storage: LocalFolder, new_side: Callable[[str], Side], tmp_path: Path) -> None:
    with storage.create("s3://b/in/a.csv") as stream:
        stream.write(b"1,x\n")
    file, out = FileSide(storage, "s3://b/in/a.csv"), FileSide(storage, "s3://b/out")
    target, other = new_side("postgresql"), new_side("postgresql")
    assert isinstance(target, TableSide) and isinstance(other, TableSide)
    create = "create table {} (a int, b text)"
    target = TableSide(target.address, "t", create_table_sql=create.format("t"))
    plain = TableSide(target.address, "T", insert_query='INSERT INTO T ("b", a) VALUES (?, ?) -- plain')
    more = TableSide(target.address, "t", insert_query="insert into t (a, b) values (?::int, upper(?))")
    swapped = FileSide(storage, "s3://b/in/b.csv")
    with storage.create("s3://b/in/b.csv") as stream:
        stream.write(b"y,2\n")
    assert copy(file, target).way == copy(swapped, plain).way == "bulk"
    assert copy(file, more).way == "rows"
    read = TableSide(target.address, "t", select_query="select a, b from t order by b")
    result = copy(read, out)
    assert (result.way, result.rows, result.columns) == ("bulk", 3, (("a", "INTEGER"), ("b", "VARCHAR")))
    with storage.open("s3://b/out") as stream:
        assert stream.read() == b"1,X\n1,x\n2,y\n"
    result = copy(TableSide(target.address, "t", select_query="select 1.5::float8 as f"), out)
    assert (result.way, result.columns) == ("rows", (("f", "DOUBLE"),))
    assert copy(target, TableSide(other.address, "u", create_table_sql=create.format("u"))).way == "bulk"
    assert copy(file, new_side_table(tmp_path, create.format("t"))).way == "rows"
    assert copy(file, FileSide(storage, "s3://b/copy")).way == "storage"
    assert copy(file, FileSide(LocalFolder(tmp_path / "else"), "s3://b/copy")).way == "bytes"
    assert copy(file, FileSide(storage, "s3://b/copy", format=TSV())).way == "rows"


def new_side_table(folder: Path, create: str) -> TableSide:
    return TableSide(parse_connection_string("sqlite:x.db", folder=folder), "t", create_table_sql=create)


# What fails


@pytest.fixture
def big(storage: LocalFolder) -> FileSide:
    """A file that is read in several pieces."""
    with storage.create("s3://b/big") as stream:
        stream.write(b"".join([b"%d,%s\n" % (number, b"x" * 90) for number in range(60_000)]))
    return FileSide(storage, "s3://b/big", format=delimited("CSV", quoting="rfc4180"))


class Breaker:
    """Ends all connections to a database when the copy first tells its progress, as often as it is asked to."""

    def __init__(self, address: Address, times: int) -> None:
        self.address, self.times = address, times

    def __call__(self, *, rows: int, bytes: int) -> None:
        if self.times:
            self.times -= 1
            with psycopg.connect(url(self.address)) as connection:
                connection.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'penstock'"
                    " and datname = current_database()"
                )


def test_a_lost_connection_is_tried_again_without_doubling(
    big: FileSide, storage: LocalFolder, new_side: Callable[[str], Side]
) -> None:
    side = new_side("postgresql")
    assert isinstance(side, TableSide)
    target = TableSide(side.address, "t", create_table_sql="create table t (a int, b text)")
    breaker = Breaker(side.address, 2)
    assert copy(big, target, breaker, pauses=(0, 0)).rows == 60_000
    assert breaker.times == 0
    assert len(values_of(target)) == 60_000
    by_rows = TableSide(side.address, "t", insert_query="insert into t values (?::int, ?)")
    assert copy(big, by_rows, Breaker(side.address, 1), pauses=(0,)).rows == 60_000
    out = FileSide(storage, "s3://b/out", format=big.format)
    assert copy(target, out, Breaker(side.address, 1), pauses=(0,)).rows == 120_000
    with pytest.raises(ConnectionLost, match=r"terminating connection|connection"):
        copy(big, target, Breaker(side.address, 9), pauses=(0, 0))
    assert len(values_of(target)) == 120_000


def test_a_connection_that_is_lost_with_much_left_to_send_ends_the_copy(
    storage: LocalFolder, new_side: Callable[[str], Side]
) -> None:
    side = new_side("postgresql")
    assert isinstance(side, TableSide)
    with storage.create("s3://b/bigger") as stream:
        stream.write(b"".join([b"%d,%s\n" % (number, b"x" * 190) for number in range(200_000)]))
    source = FileSide(storage, "s3://b/bigger", format=delimited("CSV", quoting="rfc4180"))
    target = TableSide(side.address, "t", create_table_sql="create table t (a int, b text)")
    with pytest.raises(ConnectionLost, match="connection"):
        copy(source, target, Breaker(side.address, 1), pauses=())
    with connect(side.address) as database:
        assert not database.table_exists("t")


def values_of(side: TableSide) -> list[tuple[object, ...]]:
    with connect(side.address) as database:
        return [row for batch in database.select(f"select a from {side.table}").batches for row in batch]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"1,a\n2\n", r"s3://b/in: Row 2 has 1 column, the first is '2', but row 1 has 2 columns"),
        (b"1,a\n2,b,c\n", r"s3://b/in: Row 2 has 3 columns, the first is '2', but row 1 has 2 columns"),
        (b"1\n2\n", r"s3://b/in cannot be loaded into 't': Row 1 has 1 column, but the table t takes 2"),
        (b"1,a\nx,b\n", r"s3://b/in cannot be loaded into 't'.*integer: \"x\"\. COPY t, row 2, column a: \"x\""),
        (b"1,a\n3000000000,b\n", r"s3://b/in cannot be loaded into 't'.*out of range.*row 2, column a"),
        (b"1,a\n,b\n", r"s3://b/in cannot be loaded into 't'.*null value in column \"a\".*row 2"),
        (b'1,a\n2,"b\n', r"s3://b/in: Row 2 has a quote that is never closed"),
        (b"1,a\n2,\xff\n", r"s3://b/in: Row 2 is not valid UTF-8"),
        (b"1,a\n2,\0\n", r"s3://b/in cannot be loaded into 't'.*0x00"),
    ],
)
def test_bad_input_is_named_and_leaves_nothing(
    storage: LocalFolder, new_side: Callable[[str], Side], data: bytes, problem: str
) -> None:
    side = new_side("postgresql")
    assert isinstance(side, TableSide)
    with storage.create("s3://b/in") as stream:
        stream.write(data)
    source = FileSide(storage, "s3://b/in", format=delimited("CSV", quoting="rfc4180"))
    target = TableSide(side.address, "t", create_table_sql="create table t (a int not null, b text)")
    with pytest.raises(Exception, match=problem):
        copy(source, target)
    with connect(side.address) as database:
        assert not database.table_exists("t")


def test_a_missing_table_and_no_permission_are_named(
    big: FileSide, new_side: Callable[[str], Side], tmp_path: Path
) -> None:
    side = new_side("postgresql")
    assert isinstance(side, TableSide)
    with pytest.raises(CopyError, match=r"There is no table nowhere in postgresql://.*Give createTableSql"):
        copy(big, TableSide(side.address, "nowhere"))
    with psycopg.connect(url(side.address)) as connection:
        connection.execute(
            "create table t (a int, b text); create role guest login; grant connect on database"
            f" {side.address.database} to guest; grant usage on schema public to guest"
        )
    try:
        guest = parse_connection_string(url(side.address).replace("penstock@", "guest@"), folder=tmp_path)
        for target in (TableSide(guest, "t"), TableSide(guest, "t", insert_query="insert into t values (?, ?)")):
            with pytest.raises((DatabaseError, CopyError), match="permission denied for table t"):
                copy(big, target)
        with pytest.raises(DatabaseError, match="permission denied for table t"):
            copy(TableSide(guest, "t"), FileSide(big.storage, "s3://b/o"))
        assert not big.storage.exists("s3://b/o")
    finally:
        with psycopg.connect(url(side.address)) as connection:
            connection.execute("drop owned by guest; drop role guest")


def test_a_full_disk_is_named(big: FileSide, storage: LocalFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "/dev/full")

    class Full:
        def write(self, data: bytes) -> int:
            with Path("/dev/full").open("wb", buffering=0) as device:
                return device.write(data)

    monkeypatch.setattr("penstock.data.copy.objects.open_writer", lambda stream, compression: _Context(Full()))
    with pytest.raises(CopyError, match=r"The disk is full: No space left on device.*TMPDIR"):
        copy(big, FileSide(storage, "s3://b/dir", is_directory=True, format=TSV()))
    assert not storage.exists("s3://b/dir/big")


class _Context:
    def __init__(self, stream: object) -> None:
        self.stream = stream

    def __enter__(self) -> object:
        return self.stream

    def __exit__(self, *error: object) -> None:
        pass


def test_files_of_other_columns_are_not_mixed(storage: LocalFolder) -> None:
    for name, data in (("a", b"x,y\n1,2\n"), ("b", b"y,x\n1,2\n")):
        with storage.create(f"s3://b/in/{name}") as stream:
            stream.write(data)
    source = FileSide(storage, "s3://b/in", is_directory=True, format=CSV(header=True))
    with pytest.raises(CopyError, match=r"s3://b/in/b has the columns y, x, but the files before it x, y"):
        copy(source, FileSide(storage, "s3://b/out", format=CSV(header=True)))
    assert not storage.exists("s3://b/out")


@pytest.mark.parametrize("kind", ["sqlite", "postgresql", "mysql", "duckdb"])
@pytest.mark.parametrize("format", [CSV(header=True), JsonLines(), Parquet()], ids=["CSV", "JSON", "Parquet"])
def test_files_of_other_columns_are_not_mixed_in_a_table(
    storage: LocalFolder, new_side: Callable[[str], Side], format: CSV | JsonLines | Parquet, kind: str
) -> None:
    columns = {"1": ("name", "value", "again"), "2": (), "3": ("again", "value", "name")}
    for name, names in columns.items():
        if names:
            copy(
                FileSide(storage, put(storage, b"x,y,z\n"), format=CSV(columns=names)),
                FileSide(storage, f"s3://b/in/{name}", format=replace(format, columns=names)),
            )
        elif not isinstance(format, Parquet):  # a file of nothing at all
            put(storage, b"", f"s3://b/in/{name}")
    target = new_side(kind)
    assert isinstance(target, TableSide)
    with connect(target.address) as database:
        database.execute_script(target.create_table_sql or "")
    source = FileSide(storage, "s3://b/in", is_directory=True, format=format)
    message = "s3://b/in/3 has the columns again, value, name, but the files before it name, value, again"
    with pytest.raises(CopyError, match=message):
        copy(source, target)
    assert values(target) == []
    storage.delete("s3://b/in/3")
    copy(source, target)
    assert values(target) == [("x", "y", "z")]


def put(storage: LocalFolder, data: bytes, uri: str = "s3://b/one") -> str:
    with storage.create(uri) as stream:
        stream.write(data)
    return uri


def test_an_empty_file_among_others_is_no_file(storage: LocalFolder) -> None:
    put(storage, b"x,y\n1,2\n", "s3://b/in/1")
    put(storage, b"", "s3://b/in/2")
    source = FileSide(storage, "s3://b/in", is_directory=True, format=CSV(header=True))
    copy(source, FileSide(storage, "s3://b/out", format=TSV(header=True)))
    with storage.open("s3://b/out") as stream:
        assert stream.read() == b"x\ty\n1\t2\n"


def test_a_result_says_what_was_seen(storage: LocalFolder, new_side: Callable[[str], Side]) -> None:
    with storage.create("s3://b/in") as stream:
        stream.write(b"1\n")
    source = FileSide(storage, "s3://b/in", format=CSV(columns=("Score INT",)))
    assert copy(source, FileSide(storage, "s3://b/out", format=TSV())) == CopyResult(
        1, 2, 1, columns=(("Score", "INT"),), way="rows"
    )
