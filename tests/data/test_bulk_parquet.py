"""Parquet in bulk, by DuckDB alone, comes to the same as record by record, or goes record by record."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import duckdb
import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from penstock.data.copy import CopyError, FileSide, TableSide, copy, parquet
from penstock.data.databases import TextNotTaken, connect, parse_connection_string
from penstock.data.formats import CSV, Format, FormatError, Parquet, delimited, read_rows, write_rows
from penstock.data.local_folder import LocalFolder

pytestmark = pytest.mark.by_hand

QUOTED = delimited("CSV", quoting="rfc4180")
quick = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
EDGES = {
    "TINYINT": ["127", "128", "-0", "1.5"],
    "INT": ["007", "1", "-1", "1e2", " 1", "1.5", "2147483648", "+1", "1_0", "0x1", ""],
    "BIGINT": ["9223372036854775807", "9223372036854775808"],
    "DECIMAL(6,2)": ["9999.99", "1.5", "1.500", "1.505", "1e2", "-0.00", "-0", "01.5", ".5", "1.", "NaN", "12345"],
    "DOUBLE": ["0.1", "-0", "1e400", "NaN", "-Infinity", "inf", "0x1", "1_0", "123456789.123456789"],
    "FLOAT": ["0.1", "1e39", "16777217"],
    "BOOLEAN": ["true", "false", "t", "1", "TRUE"],
    "DATE": ["2013-01-02", "0000-01-01", "0001-01-01", "9999-12-31", "2013-02-30", "2013-1-2", "-044-01-01"],
    "TIME": ["03:04:05.6789", "24:00:00", "3:04:05", "03:04"],
    "TIMESTAMP": [
        *("2013-01-02 03:04:05", "2013-01-02T03:04:05", "2013-01-02  3:04:05", " 044-01-02 03:04:05"),
        *("-044-01-02 03:04:05", "2013-01-02 03:04:05.6789", "2013-01-02 03:04:05.0232691", "2013-01-02 03:04:05Z"),
        *("0044-01-02 03:04:05.5 (BC)", "2013-01-02 24:00:00", "2013-01-02 03:04:60", "2013-01-02", "infinity"),
        *("2013-01-02 03:04:5 ", "2013-01-2  03:04:05", "20-3-11-12 03:04:05", "2013-01-02 03:04:05.123+01"),
        *("2013-01-02 03:04: 5", "2013-01-02 03:04:05.500", "9999-12-31 23:59:59.999999", "12013-01-02 03:04:05"),
    ],
    "TIMESTAMP WITH TIME ZONE": ["2013-01-02 03:04:05+05:30", "2013-01-02 03:04:05Z", "2013-01-02 03:04:05"],
    "UUID": ["00000000-0000-0000-0000-00000000000a", "00000000-0000-0000-0000-00000000000A", "{0}"],
    "BINARY": ["\\x00ff", "\\x0", "x", "\\x"],
    "VARCHAR(3)": ["abc", "abcd", "日本語", ""],
}  # fmt: skip
NEAR = "0123456789-+.: TZeE_xNaIinfty/ ()BC\u0661"


@pytest.fixture
def storage(tmp_path: Path) -> LocalFolder:
    return LocalFolder(tmp_path / "s3")


def put(storage: LocalFolder, data: bytes, name: str = "in") -> str:
    with storage.create(f"s3://b/{name}") as stream:
        stream.write(data)
    return f"s3://b/{name}"


def content(path: Path) -> tuple[object, list[tuple[object, ...]]]:
    """The schema and the values of a file."""
    with duckdb.connect() as connection:
        read = f"from read_parquet('{path}')"
        schema = connection.execute(f"describe select * {read}").fetchall()
        return schema, connection.execute(f"select columns(*)::varchar {read}").fetchall()


def check(storage: LocalFolder, folder: Path, data: bytes, format: Format, target: Parquet) -> str:
    """Convert text both ways and compare; which way the copy goes."""
    out = folder / "slow.parquet"
    expected: object
    try:
        rows = read_rows(io.BytesIO(data), format)
        with out.open("wb") as stream:
            write_rows(stream, target, rows, columns=rows.columns)
        expected = content(out)
    except FormatError:
        expected = None
    source = FileSide(storage, put(storage, data), format=format)
    try:
        way = copy(source, FileSide(storage, "s3://b/out", format=target)).way
    except FormatError:
        assert expected is None
        return "refused"
    assert content(folder / "s3" / "b" / "out") == expected
    return way


@pytest.mark.parametrize("kind", list(EDGES))
def test_edges_of_a_type_are_the_same_in_parquet(storage: LocalFolder, tmp_path: Path, kind: str) -> None:
    ways = []
    for text in EDGES[kind]:
        data = io.BytesIO()
        write_rows(data, QUOTED, [[(text, "x"), (None, "")]])
        ways.append(check(storage, tmp_path, data.getvalue(), QUOTED, Parquet((f"a {kind}", "b STRING"))))
    assert "bulk" in ways


@quick
@given(data=st.data())
def test_texts_near_a_value_are_the_same_in_parquet(storage: LocalFolder, tmp_path: Path, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(list(EDGES)))
    text = data.draw(st.sampled_from(EDGES[kind]))
    place = data.draw(st.integers(0, len(text)))
    text = text[:place] + data.draw(st.sampled_from(NEAR)) + text[place + data.draw(st.integers(0, 1)) :]
    written = io.BytesIO()
    write_rows(written, QUOTED, [[(text, "x"), (None, "")]])
    check(storage, tmp_path, written.getvalue(), QUOTED, Parquet((f"a {kind}", "b STRING")))


pieces = st.sampled_from(
    [
        "\\",
        ",",
        ",",
        "\n",
        "\n",
        "\r",
        "\r\n",
        '"',
        '""',
        ',"',
        '"\n',
        "n",
        "\\N",
        "\\.",
        "a",
        "é",
        "NULL",
        "\ufeff",
        "\0",
    ]
)


@pytest.mark.parametrize("format", [CSV(), QUOTED], ids=["escaped", "quoted"])
@quick
@given(text=st.lists(pieces, max_size=12).map("".join))
@example(text='a"b,c\n')
@example(text='a"",b"\n')
@example(text='"a" ,b\n')
@example(text="a,b\n\nc,d\n")
@example(text="\n\n")
@example(text='"",\n,""\n')
@example(text='a,"b\r\nc"\nd,e')
@example(text="a,b\r\nc,d\r\n")
@example(text="\\N,a\\N\nb,\\N\n")
@example(text="a,b\nc\n")
@example(text="a,b\nc,d,e\n")
@example(text="a,b\nc,d,\n")
@example(text='"a",b\nc,"d",\n')
@example(text="a,\r\r\nb,c\n")
@example(text=' "a",b\n')
def test_any_text_is_the_same_in_parquet(storage: LocalFolder, tmp_path: Path, format: Format, text: str) -> None:
    width = 1 + text.partition("\n")[0].count(",")
    columns = tuple(f"c{number}" for number in range(width))
    check(storage, tmp_path, text.encode(), format, Parquet(columns))


TYPED = """create table t (a smallint, b integer, c bigint, d numeric(20,5), f boolean, g date, h timestamp,
    i timestamptz, j double precision, k uuid, l bytea, m varchar(9), n text)"""
VALUES = """(32767, -2147483648, 9223372036854775807, 123456789012345.67890, true, '0001-01-01',
    '9999-12-31 23:59:59.999999', '2013-01-02 03:04:05.5+05:30', 0.1, '00000000-0000-0000-0000-00000000000a', '\\x00ff',
    '', 'é,"\n'), (null, 0, null, 0, null, null, null, null, '-0', null, '', null, 'NULL'),
    (-32768, 1, -1, -0.00001, false, '9999-12-31', '0001-01-01', '0001-01-01 00:00Z', 'NaN', null, null, ' ', null)"""


def test_a_table_goes_to_parquet_and_back_in_bulk(
    storage: LocalFolder, tmp_path: Path, new_postgresql_url: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = new_postgresql_url()
    address = parse_connection_string(url, folder=tmp_path)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(TYPED)
        connection.execute(f"insert into t values {VALUES}")
        connection.execute("create table u (like t)")
        file = FileSide(storage, "s3://b/f", format=Parquet())
        query = TableSide(address, "t", select_query="select * from t order by b")
        contents = []
        for source in (TableSide(address, "t"), query):
            result = copy(source, file)
            assert (result.way, result.rows) == ("bulk", 3)
            assert result.columns[3] == ("d", "DECIMAL(20,5)")
            contents.append(content(tmp_path / "s3" / "b" / "f"))
        assert copy(file, TableSide(address, "u")).way == "bulk"
        assert rows_of(connection, "u") == rows_of(connection, "t")
        monkeypatch.setattr(parquet, "postgresql_of", refuse)
        for source, expected in zip((TableSide(address, "t"), query), contents, strict=True):
            assert copy(source, file).way == "rows"
            assert content(tmp_path / "s3" / "b" / "f") == expected


def refuse(database: object) -> None:
    raise TextNotTaken("as the test wants it")


def rows_of(connection: psycopg.Connection, table: str) -> list[tuple[object, ...]]:
    return connection.execute(f"select (x.*)::text from {table} x order by 1").fetchall()


@pytest.mark.parametrize(
    "value",
    ["'NaN'::numeric(5,2)", "'infinity'::timestamp", "'0044-01-01 BC'::date", "'10000-01-01'::timestamptz"],
)
def test_what_duckdb_or_parquet_does_not_have_is_never_another_value(
    storage: LocalFolder, tmp_path: Path, postgresql_url: str, value: str
) -> None:
    address = parse_connection_string(postgresql_url, folder=tmp_path)
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute(f"create table t as select 1 as a, {value} as b")
    for source in (TableSide(address, "t"), TableSide(address, "t", select_query="select * from t")):
        with pytest.raises(FormatError, match=r"s3://b/f: Row 1 has .* in the column 'b'"):
            copy(source, FileSide(storage, "s3://b/f", format=Parquet()))
        assert not storage.exists("s3://b/f")


@pytest.mark.parametrize(
    ("made", "column", "way"),
    [
        ("1.25::decimal(5,2)", "numeric(6,3)", "bulk"),
        ("1.25::decimal(5,2)", "numeric(6,1)", "rows"),
        ("7::bigint", "smallint", "bulk"),
        ("7::bigint", "numeric(5,2)", "bulk"),
        ("1.5::double", "numeric(5,2)", "rows"),
        ("1.5::float", "real", "rows"),
        ("'2013-01-02'::date", "timestamp", "rows"),
        ("'ab'", "varchar(2)", "bulk"),
        ("'ab'", "char(3)", "rows"),
        ("[1, 2]", "json", "rows"),
    ],
)
def test_values_of_a_file_are_loaded_as_they_are(
    storage: LocalFolder, tmp_path: Path, postgresql_url: str, made: str, column: str, way: str
) -> None:
    (tmp_path / "s3" / "b").mkdir(parents=True)
    duckdb.execute(f"copy (select 1 as a, {made} as b) to '{tmp_path}/s3/b/f' (format parquet)")
    file = FileSide(storage, "s3://b/f", format=Parquet())
    address = parse_connection_string(postgresql_url, folder=tmp_path)
    created = TableSide(address, "t", create_table_sql=f"create table t (a int, b {column})")
    by_rows = TableSide(
        address, "u", "public", None, "insert into u values (?, ?)", f"create table u (a int, b {column})"
    )
    assert copy(file, created).way == way
    with connect(address) as database, storage.open("s3://b/f") as stream:
        database.create_table(by_rows.create_table_sql or "", "u")
        database.insert("insert into u values (?, ?)", read_rows(stream, Parquet()))
    with psycopg.connect(postgresql_url) as connection:
        assert rows_of(connection, "t") == rows_of(connection, "u")


def test_a_value_that_does_not_fit_leaves_the_table_as_it_was(
    storage: LocalFolder, tmp_path: Path, postgresql_url: str
) -> None:
    (tmp_path / "s3" / "b").mkdir(parents=True)
    duckdb.execute(f"copy (select i as a, 'x' as b from range(50000) t(i)) to '{tmp_path}/s3/b/f' (format parquet)")
    file = FileSide(storage, "s3://b/f", format=Parquet())
    address = parse_connection_string(postgresql_url, folder=tmp_path)
    target = TableSide(address, "t", create_table_sql="create table t (a smallint, b text)")
    with pytest.raises(CopyError, match=r"s3://b/f cannot be loaded into 't'.*out of range.*32768"):
        copy(file, target)
    with connect(address) as database:
        assert not database.table_exists("t")
