"""A copy says which columns it has seen, the same ones whichever way it goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from penstock.data.copy import FileSide, TableSide, copy, parquet, parquet_text, text
from penstock.data.databases import TextNotTaken, parse_connection_string
from penstock.data.formats import CSV, AnyFormat, Parquet, delimited
from penstock.data.local_folder import LocalFolder

pytestmark = pytest.mark.by_hand

CREATE = "create table t (id integer, note text)"
QUOTED = {"quoting": "rfc4180"}
NAMED = (("x", "INT"), ("y", "STRING"))
OF_POSTGRESQL = (("id", "INTEGER"), ("note", "VARCHAR"))
OF_MARIADB = (("id", "INT(11)"), ("note", "TEXT"))
SERVERS = ["postgresql", "mysql"]
Side = FileSide | TableSide


@pytest.fixture
def storage(tmp_path: Path) -> LocalFolder:
    return LocalFolder(tmp_path / "s3")


@pytest.fixture
def table(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], TableSide]:
    def make(server: str) -> TableSide:
        url = request.getfixturevalue(f"{server}_url")
        return TableSide(parse_connection_string(url, folder=tmp_path), "t", create_table_sql=CREATE)

    return make


def both(source: Side, target: Side, monkeypatch: pytest.MonkeyPatch) -> tuple[tuple[str, str], ...]:
    """The columns that a bulk copy has seen, which are those of a copy by rows."""
    fast = copy(source, target)
    assert fast.way == "bulk"
    with monkeypatch.context() as patch:
        for module in (text, parquet):
            for way in ("load", "unload", "move"):
                patch.setattr(module, way, refused, raising=False)
        patch.setattr(parquet_text, "convert", refused)
        slow = copy(source, target)
    assert slow.way == "rows"
    assert slow.columns == fast.columns or [name for name, _ in slow.columns] == [name for name, _ in fast.columns]
    assert not slow.columns or slow.columns == fast.columns
    return fast.columns


def refused(*_: object) -> None:
    raise TextNotTaken("as the test wants it")


def put(storage: LocalFolder, data: bytes) -> str:
    with storage.create("s3://b/in") as stream:
        stream.write(data)
    return "s3://b/in"


@pytest.mark.parametrize("server", SERVERS)
def test_columns_of_a_file_are_those_that_the_format_names(
    storage: LocalFolder, table: Callable[[str], TableSide], server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = FileSide(storage, put(storage, b"1,a\n"), format=delimited("CSV", ("x INT", "y STRING"), **QUOTED))
    assert both(source, table(server), monkeypatch) == NAMED


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("format", [CSV(header=True), delimited("CSV", header=True, quoting="rfc4180")])
def test_columns_of_a_file_with_a_header_are_those_of_the_header(
    storage: LocalFolder,
    table: Callable[[str], TableSide],
    server: str,
    format: AnyFormat,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = FileSide(storage, put(storage, b"x,y\n1,a\n"), format=format)
    assert both(source, table(server), monkeypatch) == (("x", ""), ("y", ""))


@pytest.mark.parametrize("server", SERVERS)
def test_columns_of_a_file_without_names_are_those_of_the_table(
    storage: LocalFolder, table: Callable[[str], TableSide], server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = FileSide(storage, put(storage, b"1,a\n")), table(server)
    expected = OF_POSTGRESQL if server == "postgresql" else OF_MARIADB
    assert both(source, target, monkeypatch) == expected
    swapped = replace(target, insert_query="INSERT INTO t (note, id) VALUES (?, ?)")
    put(storage, b"a,1\n")
    assert both(source, swapped, monkeypatch) == expected[::-1]


@pytest.mark.parametrize("server", SERVERS)
def test_columns_of_a_query_are_named_without_running_it_twice(
    storage: LocalFolder, table: Callable[[str], TableSide], server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = table(server)
    copy(FileSide(storage, put(storage, b"1,a\n")), target)
    known = OF_POSTGRESQL if server == "postgresql" else (("id", ""), ("note", ""))
    out = FileSide(storage, "s3://b/out")
    assert both(target, out, monkeypatch) == known
    query = replace(target, select_query="select note as n, id, id from t -- and no more")
    assert both(query, out, monkeypatch) == (("n", known[1][1]), ("id", known[0][1]), ("id", known[0][1]))


def test_columns_of_parquet_are_those_of_the_file(
    storage: LocalFolder, table: Callable[[str], TableSide], monkeypatch: pytest.MonkeyPatch
) -> None:
    format = delimited("CSV", ("x INT", "y STRING"), **QUOTED)
    file = FileSide(storage, "s3://b/file", format=Parquet())
    assert both(FileSide(storage, put(storage, b"1,a\n"), format=format), file, monkeypatch) == NAMED
    target = table("postgresql")
    assert both(file, target, monkeypatch) == (("x", "INTEGER"), ("y", "VARCHAR"))
    assert both(target, file, monkeypatch) == OF_POSTGRESQL


def test_columns_between_tables_are_those_of_the_source(
    storage: LocalFolder, new_postgresql_url: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = (parse_connection_string(new_postgresql_url(), folder=tmp_path) for _ in range(2))
    source = TableSide(one, "t", create_table_sql=CREATE)
    copy(FileSide(storage, put(storage, b"1,a\n")), source)
    target = TableSide(other, "u", create_table_sql="create table u (a int, b text)")
    assert both(source, target, monkeypatch) == OF_POSTGRESQL
    query = replace(source, select_query="select note, id + 1 as next from t")
    turned = replace(target, insert_query="insert into u (b, a) values (?, ?)")
    assert both(query, turned, monkeypatch) == (("note", "VARCHAR"), ("next", "INTEGER"))


def test_who_may_only_insert_needs_no_right_to_read(
    storage: LocalFolder, postgresql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute(f"{CREATE}; create role writer login; grant insert on t to writer")
        try:
            address = parse_connection_string(postgresql_url.replace("penstock@", "writer@"), folder=tmp_path)
            source = FileSide(storage, put(storage, b"1,a\n"))
            assert both(source, TableSide(address, "t"), monkeypatch) == OF_POSTGRESQL
        finally:
            connection.execute("drop owned by writer; drop role writer")
