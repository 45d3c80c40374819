"""Copying between objects and tables."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.data.compression import CompressionError
from penstock.data.copy import CopyError, CopyResult, FileSide, TableSide, copy
from penstock.data.databases import Address, DatabaseError, connect, parse_connection_string
from penstock.data.formats import CSV, TSV, Format, FormatError
from penstock.data.local_folder import LocalFolder
from penstock.data.storage import NoSuchKey, StorageError


@pytest.fixture
def storage(tmp_path: Path) -> LocalFolder:
    return LocalFolder(tmp_path / "s3")


@pytest.fixture(params=["sqlite", "postgresql"])
def new_address(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Address]:
    numbers = iter(range(100))
    if request.param == "postgresql":
        new_url = request.getfixturevalue("new_postgresql_url")
        return lambda: parse_connection_string(new_url(), folder=tmp_path)
    return lambda: parse_connection_string(f"sqlite:{next(numbers)}.db", folder=tmp_path)


@pytest.fixture
def address(new_address: Callable[[], Address]) -> Address:
    return new_address()


def put(storage: LocalFolder, **objects: bytes) -> None:
    for key, data in objects.items():
        with storage.create(f"s3://bucket/{key.replace('__', '/')}") as stream:
            stream.write(data)


def contents(storage: LocalFolder, prefix: str) -> dict[str, bytes]:
    found = {}
    for entry in storage.list(f"s3://bucket/{prefix}"):
        with storage.open(entry.uri) as stream:
            found[entry.uri.removeprefix("s3://bucket/")] = stream.read()
    return found


def totals(result: CopyResult) -> tuple[int, int, int]:
    return (result.rows, result.bytes, result.objects)


def run(address: Address, script: str) -> None:
    with connect(address) as database:
        database.execute_script(script)


def table(address: Address, query: str = "select * from t") -> list[tuple[object, ...]]:
    with connect(address) as database:
        return [row for batch in database.select(query).batches for row in batch]


# Objects to objects


def test_a_file_of_the_same_format_is_copied_byte_by_byte(storage: LocalFolder) -> None:
    put(storage, a=b"\xff any \\bytes\r\n")
    result = copy(FileSide(storage, "s3://bucket/a"), FileSide(storage, "s3://bucket/b"))
    assert contents(storage, "b") == {"b": b"\xff any \\bytes\r\n"}
    assert totals(result) == (0, 14, 1)


def test_a_file_goes_into_a_directory_under_its_name(storage: LocalFolder) -> None:
    put(storage, in__a=b"1")
    for directory in ("out", "out/"):
        copy(FileSide(storage, "s3://bucket/in/a"), FileSide(storage, f"s3://bucket/{directory}", is_directory=True))
    assert contents(storage, "out") == {"out/a": b"1"}


def test_a_directory_is_copied_with_everything_under_its_path(storage: LocalFolder) -> None:
    put(storage, i__a=b"1", i__b__c=b"2", in_other=b"3")
    with storage.create("s3://bucket/i/b/"), storage.create("s3://bucket/i//odd"):
        pass
    result = copy(
        FileSide(storage, "s3://bucket/i", is_directory=True), FileSide(storage, "s3://bucket/o", is_directory=True)
    )
    assert contents(storage, "o") == {"o//odd": b"", "o/a": b"1", "o/b/c": b"2"}
    assert totals(result) == (0, 2, 3)


def test_a_whole_bucket_is_a_directory(storage: LocalFolder) -> None:
    put(storage, a=b"1", b__c=b"2")
    copy(FileSide(storage, "s3://bucket", is_directory=True), FileSide(storage, "s3://other/x", is_directory=True))
    assert [entry.uri for entry in storage.list("s3://other/")] == ["s3://other/x/a", "s3://other/x/b/c"]


def test_objects_go_from_one_storage_to_another(storage: LocalFolder, tmp_path: Path) -> None:
    other = LocalFolder(tmp_path / "other")
    put(storage, a=b"1")
    assert copy(FileSide(storage, "s3://bucket/a"), FileSide(other, "s3://bucket/a")).bytes == 1
    assert contents(other, "a") == {"a": b"1"}


def test_another_compression_changes_the_ending_of_the_name(storage: LocalFolder) -> None:
    put(storage, i__a=b"1\n", i__b_gz=b"2\n")
    zipped = FileSide(storage, "s3://bucket/z", is_directory=True, compression="gzip")
    copy(FileSide(storage, "s3://bucket/i", is_directory=True), zipped)
    assert {key: gzip.decompress(data) for key, data in contents(storage, "z").items()} == {
        "z/a.gz": b"1\n",
        "z/b_gz.gz": b"2\n",
    }
    copy(zipped, FileSide(storage, "s3://bucket/o", is_directory=True))
    assert contents(storage, "o") == {"o/a": b"1\n", "o/b_gz": b"2\n"}


def test_a_directory_becomes_one_file_in_the_order_of_keys(storage: LocalFolder) -> None:
    put(storage, i__b=b"3\n4", i__a=b"1\n2", i__c=b"", i__d=b"5\n")
    directory = FileSide(storage, "s3://bucket/i", is_directory=True)
    assert copy(directory, FileSide(storage, "s3://bucket/o")).objects == 1
    assert contents(storage, "o") == {"o": b"1\n2\n3\n4\n5\n"}


def test_joining_files_keeps_what_their_lines_say(storage: LocalFolder) -> None:
    put(storage, i__a=b'{"path": "C:\\\\temp"}', i__b=b"ends in an escaped line feed\\\n", i__c=b"x")
    copy(FileSide(storage, "s3://bucket/i", is_directory=True), FileSide(storage, "s3://bucket/o"))
    assert contents(storage, "o")["o"] == b'{"path": "C:\\\\temp"}\nends in an escaped line feed\\\n\nx\n'


def test_another_format_is_written_record_by_record(storage: LocalFolder) -> None:
    put(storage, i__a=b"1,a\tb\n\\N,\\,\n", i__b=b"2,")
    source = FileSide(storage, "s3://bucket/i", is_directory=True, format=CSV())
    target = FileSide(storage, "s3://bucket/o", is_directory=True, format=TSV(), compression="gzip")
    assert totals(copy(source, target)) == (3, 14, 2)
    found = {key: gzip.decompress(data) for key, data in contents(storage, "o/").items()}
    assert found == {"o/a.gz": b"1\ta\\\tb\n\\N\t,\n", "o/b.gz": b"2\t\n"}
    assert copy(source, FileSide(storage, "s3://bucket/one", format=TSV())).rows == 3
    assert contents(storage, "one") == {"one": b"1\ta\\\tb\n\\N\t,\n2\t\n"}


def test_no_format_means_csv(storage: LocalFolder) -> None:
    put(storage, a=b"1,2\n")
    copy(FileSide(storage, "s3://bucket/a"), FileSide(storage, "s3://bucket/b", format=TSV()))
    copy(FileSide(storage, "s3://bucket/b", format=TSV()), FileSide(storage, "s3://bucket/c"))
    assert contents(storage, "")["b"] == b"1\t2\n"
    assert contents(storage, "")["c"] == b"1,2\n"


# Tables


def test_a_file_goes_into_a_table(storage: LocalFolder, address: Address) -> None:
    put(storage, a=b"1,x\n\\N,\n3,\\\\N\n")
    run(address, "create table t (a int, b text)")
    result = copy(FileSide(storage, "s3://bucket/a"), TableSide(address, "t"))
    assert table(address) == [(1, "x"), (None, ""), (3, "\\N")]
    assert totals(result) == (3, 14, 0)


def test_a_directory_goes_into_a_table_that_is_made(storage: LocalFolder, address: Address) -> None:
    put(storage, i__b=gzip.compress(b"2\tb\n"), i__a=gzip.compress(b"1\ta"))
    source = FileSide(storage, "s3://bucket/i", is_directory=True, format=TSV(), compression="gzip")
    target = TableSide(
        address,
        "t",
        insert_query="insert into #T (b, a) values (?, ?)".replace("#T", "t"),
        create_table_sql="create table t (a text, b int)",
    )
    for _ in range(2):
        copy(source, target)
    assert table(address) == [("a", 1), ("b", 2)] * 2


def test_a_table_goes_into_a_file_and_back(storage: LocalFolder, new_address: Callable[[], Address]) -> None:
    address, other = new_address(), new_address()
    run(
        address,
        "create table t (a int, b text); insert into t values (1, 'x,y\\z'), (2, ''), (3, null), (null, 'NULL')",
    )
    side = FileSide(storage, "s3://bucket/out.csv", format=CSV())
    result = copy(TableSide(address, "t", select_query="select a, b from t order by coalesce(a, 9)"), side)
    assert contents(storage, "") == {"out.csv": b"1,x\\,y\\\\z\n2,\n3,\\N\n\\N,NULL\n"}
    assert totals(result) == (4, 26, 1)
    copy(side, TableSide(other, "t", create_table_sql="create table t (a int, b text)"))
    assert table(other) == table(address)


@pytest.mark.parametrize(
    ("name", "format", "compression", "key"),
    [
        ("t", None, "none", "out/t.csv"),
        ("t", TSV(), "gzip", "out/t.tsv.gz"),
        ('"t"', Format("Custom", "|"), "none", "out/t.txt"),
    ],
)
def test_a_table_goes_into_a_directory_under_its_name(
    storage: LocalFolder, address: Address, name: str, format: Format | None, compression: str, key: str
) -> None:
    run(address, "create table t (a int); insert into t values (1)")
    target = FileSide(storage, "s3://bucket/out", is_directory=True, format=format, compression=compression)
    for _ in range(2):
        copy(TableSide(address, name), target)
    assert list(contents(storage, "")) == [key]


def test_a_table_goes_into_a_table(new_address: Callable[[], Address]) -> None:
    address, other = new_address(), new_address()
    run(address, "create table t (a int, b text); insert into t values (1, 'x'), (null, null)")
    run(other, "create table t (a int, b text)")
    assert totals(copy(TableSide(address, "t"), TableSide(other, "t"))) == (2, 0, 0)
    copy(
        TableSide(other, "t"),
        TableSide(
            other,
            "u",
            create_table_sql="create table u (b text, a int)",
            insert_query="insert into u (a, b) values (?, ?)",
        ),
    )
    assert table(other, "select a, b from u") == table(address)


def test_values_go_from_sqlite_to_postgresql_and_back(postgresql_url: str, tmp_path: Path) -> None:
    lite = parse_connection_string("sqlite:a.db", folder=tmp_path)
    postgres = parse_connection_string(postgresql_url, folder=tmp_path)
    run(
        lite,
        """create table t (a boolean, b blob, c timestamp, d numeric, e real);
        insert into t values (1, x'00ff', '2013-01-02 03:04:05', 12.5, 0.1), (null, null, null, null, null)""",
    )
    create = "create table t (a boolean, b bytea, c timestamptz, d numeric(10, 2), e double precision)"
    copy(TableSide(lite, "t"), TableSide(postgres, "t", create_table_sql=create))
    copy(TableSide(postgres, "t"), TableSide(lite, "u", create_table_sql="create table u (a, b, c, d, e)"))
    assert table(lite, "select * from u") == [
        (1, b"\x00\xff", "2013-01-02 03:04:05+00:00", "12.50", 0.1),
        (None, None, None, None, None),
    ]


def test_an_empty_file_has_no_rows(storage: LocalFolder, address: Address) -> None:
    put(storage, a=b"")
    run(address, "create table t (a int)")
    assert copy(FileSide(storage, "s3://bucket/a"), TableSide(address, "t")).rows == 0
    copy(TableSide(address, "t"), FileSide(storage, "s3://bucket/b"))
    assert contents(storage, "b") == {"b": b""}


values = (
    st.none()
    | st.text(",\t\\N\n\r'a", max_size=5)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(values, values), max_size=5), gzipped=st.booleans())
def test_any_rows_go_through_files_of_every_format(
    storage: LocalFolder, address: Address, rows: list[tuple[str | None, str | None]], gzipped: bool
) -> None:
    run(
        address,
        """drop table if exists t; create table t (a text, b text);
        drop table if exists u; create table u (a text, b text)""",
    )
    with connect(address) as database:
        database.insert_into("t", None, None, [rows])
    csv = FileSide(storage, "s3://bucket/csv", format=CSV(), compression="gzip" if gzipped else "none")
    tsv = FileSide(storage, "s3://bucket/tsv", format=TSV(escape_char="^"))
    copy(TableSide(address, "t"), csv)
    copy(csv, tsv)
    copy(tsv, TableSide(address, "u"))
    assert sorted(table(address, "select * from u"), key=repr) == sorted(rows, key=repr)


# Failures


def test_a_missing_source_is_named(storage: LocalFolder, address: Address) -> None:
    put(storage, other=b"")
    with storage.create("s3://bucket/empty/"), storage.create("s3://bucket/gone2"):
        pass
    run(address, "create table t (a int)")
    for target in (FileSide(storage, "s3://bucket/out"), TableSide(address, "t")):
        with pytest.raises(NoSuchKey, match="There is no object s3://bucket/gone"):
            copy(FileSide(storage, "s3://bucket/gone"), target)
        for directory in ("none", "empty"):
            with pytest.raises(NoSuchKey, match=f"There is no object in the directory s3://bucket/{directory}/"):
                copy(FileSide(storage, f"s3://bucket/{directory}", is_directory=True), target)
    with pytest.raises(NoSuchKey):
        copy(FileSide(storage, "s3://bucket/none", is_directory=True), FileSide(storage, "s3://o", is_directory=True))
    assert not storage.exists("s3://bucket/out")


def test_a_failure_leaves_the_target_as_it_was(storage: LocalFolder, address: Address) -> None:
    put(storage, i__a=b"1\n2\n", i__b=b"3\n\xff\n", out=b"old", dir__a=b"old")
    source = FileSide(storage, "s3://bucket/i", is_directory=True)
    targets = [
        FileSide(storage, "s3://bucket/out", format=TSV()),
        FileSide(storage, "s3://bucket/dir", is_directory=True, format=TSV()),
        TableSide(address, "t", create_table_sql="create table t (a text)"),
    ]
    for target in targets:
        with pytest.raises(FormatError, match="s3://bucket/i/b: Row 2 is not valid UTF-8"):
            copy(source, target)
    assert contents(storage, "out") == {"out": b"old"}
    assert contents(storage, "dir") == {"dir/a": b"old"}
    with connect(address) as database:
        assert not database.table_exists("t")


def test_a_source_that_is_cut_off_leaves_the_target_as_it_was(storage: LocalFolder, address: Address) -> None:
    put(storage, a=gzip.compress(b"1\n" * 10_000)[:-9])
    run(address, "create table t (a int)")
    source = FileSide(storage, "s3://bucket/a", compression="gzip")
    for target in (
        TableSide(address, "t"),
        FileSide(storage, "s3://bucket/out"),
        FileSide(storage, "s3://bucket/t", format=TSV()),
    ):
        with pytest.raises(CompressionError, match=r"s3://bucket/a: The gzip data ends too early"):
            copy(source, target)
    assert table(address) == []
    assert list(contents(storage, "")) == ["a"]


def test_a_query_that_fails_leaves_no_file(storage: LocalFolder, address: Address) -> None:
    with pytest.raises(DatabaseError, match="nowhere"):
        copy(TableSide(address, "t", select_query="select * from nowhere"), FileSide(storage, "s3://bucket/out"))
    run(address, "create table t (a text); insert into t values (null)")
    with pytest.raises(FormatError, match="s3://bucket/out: Row 1 holds NULL"):
        copy(TableSide(address, "t"), FileSide(storage, "s3://bucket/out", format=Format("F", ",", null_text=None)))
    assert contents(storage, "") == {}


def test_progress_is_told_and_can_end_the_copy(storage: LocalFolder, address: Address) -> None:
    put(storage, a=b"1\n" * 5000)
    run(address, "create table t (a int)")
    insert = "insert into t values (?+0)" if address.dialect == "sqlite" else "insert into t values (?::int)"
    told: list[tuple[int, int]] = []
    target = TableSide(address, "t", insert_query=insert)
    copy(FileSide(storage, "s3://bucket/a"), target, lambda *, rows, bytes: told.append((rows, bytes)))
    assert told == [(2000, 10_000), (4000, 10_000), (5000, 10_000), (5000, 10_000)]

    def cancel(*, rows: int, bytes: int) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        copy(FileSide(storage, "s3://bucket/a"), TableSide(address, "t"), cancel)
    with pytest.raises(InterruptedError):
        copy(TableSide(address, "t"), FileSide(storage, "s3://bucket/b"), cancel)
    assert len(table(address)) == 5000
    assert list(contents(storage, "")) == ["a"]


@pytest.mark.parametrize(("target", "is_directory"), [("i", True), ("i/sub", True), ("i/all.csv", False)])
def test_a_directory_is_not_copied_into_itself(storage: LocalFolder, target: str, is_directory: bool) -> None:
    put(storage, i__a=b"1")
    with pytest.raises(CopyError, match=r"lies in the directory s3://bucket/i that is copied. Choose another path"):
        copy(
            FileSide(storage, "s3://bucket/i", is_directory=True),
            FileSide(storage, f"s3://bucket/{target}", is_directory=is_directory),
        )


def test_a_file_without_a_name_does_not_go_into_a_directory(storage: LocalFolder) -> None:
    with storage.create("s3://bucket/i/") as stream:
        stream.write(b"1")
    with pytest.raises(CopyError, match=r"ends in a slash, so it has no name in s3://bucket/o. Give a filePath"):
        copy(FileSide(storage, "s3://bucket/i/"), FileSide(storage, "s3://bucket/o", is_directory=True))


def test_what_is_not_built_is_refused(storage: LocalFolder) -> None:
    put(storage, a=b"1")
    with pytest.raises(CompressionError, match="'snappy' is not built yet"):
        copy(FileSide(storage, "s3://bucket/a", compression="snappy"), FileSide(storage, "s3://bucket/b"))
    with pytest.raises(StorageError, match="is not the URI of an S3 object"):
        copy(FileSide(storage, "s3://bucket/a"), FileSide(storage, "gs://bucket/b"))
