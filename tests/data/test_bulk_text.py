"""Bulk load and unload of text come to the same as record by record, or say that they cannot."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import duckdb
import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from penstock.data.copy.by_duckdb import binary, connected, read
from penstock.data.databases import Database, DatabaseError, TextNotTaken, connect, duckdb_csv, parse_connection_string
from penstock.data.databases.postgresql_binary import query
from penstock.data.formats import CSV, TSV, Format, FormatError, delimited, read_rows, to_text, write_rows
from penstock.data.formats.structure import QuotedStructure

pytestmark = pytest.mark.by_hand

QUOTED = delimited("CSV", quoting="rfc4180")
FORMATS = [CSV(), TSV(), QUOTED, Format("Custom", "|", "\n", "\\")]
quick = settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture
def database(postgresql_url: str, tmp_path: Path) -> Iterator[Database]:
    with connect(parse_connection_string(postgresql_url, folder=tmp_path)) as database:
        yield database


def rows(database: Database, query: str = "select * from t") -> list[tuple[object, ...]]:
    return [row for batch in database.select(query).batches for row in batch]


def load(database: Database, data: bytes, format: Format) -> int:
    return database.load_text("t", None, None, format, io.BytesIO(data))


def unload(database: Database, query: str, format: Format) -> bytes:
    target = io.BytesIO()
    database.unload_text(query, format, target)
    return target.getvalue()


def written(format: Format, given_rows: list[tuple[str | None, ...]]) -> bytes:
    target = io.BytesIO()
    write_rows(target, format, [given_rows])
    return target.getvalue()


def test_postgresql_takes_the_formats_that_copy_speaks(database: Database) -> None:
    assert [database.takes(format) for format in FORMATS] == [True] * 4
    others = [CSV(escape_char="^"), Format("C", "x"), Format("C", "é", escape_char="\\"), Format("C", ",", "\r", "\\")]
    assert [database.takes(format) for format in others] == [False] * 4


def test_sqlite_takes_no_text(tmp_path: Path) -> None:
    with connect(parse_connection_string("sqlite:a.db", folder=tmp_path)) as database:
        assert not database.takes(CSV())
        with pytest.raises(TextNotTaken):
            load(database, b"", CSV())
        with pytest.raises(TextNotTaken):
            unload(database, "select 1", CSV())


pieces = st.sampled_from(
    ["\\", "\\\\", ",", "\n", "\r", "\r\n", '"', '""', ',"', '"\n', "n", "t", "N", "\\N", "\\.", ".", "x41", "a", "é"]
)
texts = st.lists(pieces, max_size=12).map("".join)


@pytest.mark.parametrize("format", [CSV(), QUOTED], ids=["escaped", "quoted"])
@quick
@given(text=texts)
@example(text="\\.\na\n")
@example(text="a\n\\.\nb\n")
@example(text='a\r\n"b\r\n"\r\n')
@example(text="a\rb\n")
@example(text="\\\r\n\\\\\r\na\r")
@example(text="﻿a\n")
def test_any_text_loads_as_it_is_read(database: Database, format: Format, text: str) -> None:
    try:
        expected = [row for batch in read_rows(io.BytesIO(text.encode()), format) for row in batch]
    except FormatError:
        expected = None
    width = len(expected[0]) if expected else 1 + text.partition("\n")[0].count(",")
    columns = ", ".join(f"c{number} text" for number in range(width))
    database.execute_script(f"drop table if exists t; create table t ({columns})")
    try:
        assert load(database, text.encode(), format) == len(expected or [])
    except DatabaseError as error:
        assert isinstance(error, TextNotTaken) or expected is None
    else:
        assert rows(database) == expected


@pytest.mark.parametrize("data", [b"\xff\n", b"a\0b\n", b"ab", b"1,2\n", b"1,2,3\n4\n"])
@pytest.mark.parametrize("format", [CSV(), QUOTED], ids=["escaped", "quoted"])
def test_text_that_may_be_wrong_goes_row_by_row(database: Database, format: Format, data: bytes) -> None:
    database.execute_script("create table t (a text, b text, c text)")
    with pytest.raises(TextNotTaken):
        load(database, data, format)
    assert rows(database) == []


values = (
    st.none()
    | st.text(',|\t\\N\n\r."a', max_size=5)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=4)
)


@pytest.mark.parametrize("format", FORMATS, ids=["CSV", "TSV", "quoted", "Custom"])
@quick
@given(given_rows=st.lists(st.tuples(values, values), min_size=1, max_size=5))
def test_any_values_go_out_and_in_as_text(
    database: Database, format: Format, given_rows: list[tuple[str | None, str | None]]
) -> None:
    database.execute_script("drop table if exists t; create table t (a text, b text)")
    assert load(database, written(format, [*given_rows]), format) == len(given_rows)
    assert rows(database) == given_rows
    try:
        data = unload(database, "select * from t", format)
    except TextNotTaken:
        assert (given_rows[0][0] or "").startswith("\ufeff")
        return
    assert [row for batch in read_rows(io.BytesIO(data), format) for row in batch] == given_rows
    if format.quote_char is None:
        assert data == written(format, [*given_rows])


TYPED = """select
    null::int, 1::smallint, (-2147483648)::int, 9223372036854775807::bigint, 1.50::numeric(10,2), 'NaN'::numeric,
    1e30::numeric, true, false, 'x  '::char(5), 'é,"\n'::varchar(9), '\\x00ff5c'::bytea, '2013-01-02'::date,
    '0044-03-15 BC'::date, '12345-01-01'::date, 'infinity'::timestamp, '2013-01-02 03:04:05.5'::timestamp,
    '2013-01-02 03:04:05.000001'::timestamp, '2013-01-02 03:04:05.12-05'::timestamptz, '-infinity'::timestamptz,
    '0044-03-15 00:00 BC'::timestamptz, '12345-01-01'::timestamptz, '0001-01-01 00:00Z'::timestamptz,
    '9999-12-31 23:59:59.999999Z'::timestamptz, '24:00'::time, '1 mon 2 days'::interval, '{"b": 1.0, "a":2}'::json,
    '{"b": 1.0, "a":2}'::jsonb, '{1,NULL}'::int[], '{t,NULL}'::bool[], '{1.5}'::float8[], '[1,5)'::int4range,
    '00000000-0000-0000-0000-000000000001'::uuid"""


@pytest.mark.parametrize("format", [CSV(), QUOTED], ids=["escaped", "quoted"])
def test_values_of_all_types_go_out_as_their_text(database: Database, format: Format) -> None:
    expected = [tuple(to_text(value) for value in row) for row in rows(database, TYPED)]
    data = unload(database, TYPED, format)
    assert [row for batch in read_rows(io.BytesIO(data), format) for row in batch] == expected


@pytest.mark.parametrize("query", ["select 1.5::float8", "select 1::float4", "show timezone", "select point(1, 2)"])
def test_values_whose_text_is_not_proven_go_row_by_row(database: Database, query: str) -> None:
    with pytest.raises(TextNotTaken):
        unload(database, query, CSV())


def test_a_header_is_read_and_written(database: Database) -> None:
    database.execute_script('create table t (a int, "B,b" text)')
    quoted = delimited("CSV", quoting="rfc4180", header=True)
    assert load(database, b'\xef\xbb\xbfx,"y\nz"\n1,"2\n"\n', quoted) == 1
    assert load(database, b"x,y\\\nz\n2,\n", CSV(header=True)) == 1
    assert rows(database) == [(1, "2\n"), (2, "")]
    assert unload(database, "select * from t", quoted) == b'a,"B,b"\n1,"2\n"\n2,""\n'
    for data in (b"x\n1,2\n", b"x,y,z\n1,2\n"):
        with pytest.raises(TextNotTaken):
            load(database, data, quoted)


def test_a_value_that_does_not_fit_is_named_with_its_row(database: Database) -> None:
    database.execute_script("create table t (a int, b varchar(2))")
    with pytest.raises(TextNotTaken, match=r'syntax for type integer: "x"\. COPY t, row \d, column a: "x"\.'):
        load(database, b'1,"\n"\n2,3\nx,2\n', QUOTED)  # only by rows it is known which one
    with pytest.raises(DatabaseError, match=r"too long for type character varying\(2\)\. COPY t, row 2, column b"):
        load(database, b"1,\\\n\n2,abc\n", CSV())


# Binary

BIG = 60_000
NEAR = "0123456789-+.: TZeE_xNaIinfty/ ()BC\u0661"
KINDS = {
    "smallint": ["32767", "-32768", "32768", "007", "1.5", "1e3", "0x1F", "1_000", " 1", "+1", "-0", "true", "१"],
    "bigint": ["9223372036854775807", "-9223372036854775808", "9223372036854775808", "0b1"],
    "numeric(6,2)": ["9999.99", "9999.995", "-0.00", "1.5", "1.", ".5", "1e2", "NaN", "0001.10", "12345", "1,5"],
    "numeric(38,10)": ["9999999999999999999999999999.9999999999", "-0.0000000001"],
    "numeric(3,3)": ["0.999", "0.9995", "1", "-0.001"],
    "date": ["2013-01-02", "0001-01-01", "0000-01-01", "9999-12-31", "2013-02-29", "2013-1-2", "epoch", "infinity"],
    "timestamp without time zone": [
        *("2013-01-02 03:04:05", "2013-01-02T03:04:05.5", "2013-01-02 03:04:05.123456", "2013-01-02 03:04:05.1234567"),
        *("2013-01-02 24:00:00", "2013-01-02 23:59:60", "2013-01-02 03:04+01", "0000-01-01 00:00:00", "infinity"),
        *("2013-01-02 03:04:05Z", "2013-01-02 03:04:05.500", "2013/01/02 03:04:05", "2013-01-02 03:04:05 BC"),
        *("2013-01-02 03:04:5 ", "2013-01-2  03:04:05", "2013-01-02 03:04:05.123+01"),
        *("2013-01-02 -3:04:05", "2013-01-02 03:04:+5", "12345-01-01 00:00:00", "0001-01-01 00:00:00"),
    ],
    "timestamp with time zone": [
        *("2013-01-02 03:04:05+00", "2013-01-02 03:04:05.5-05:30", "2013-01-02T03:04:05Z", "2013-01-02 03:04:05"),
        *("0001-01-01 00:00:00+14:00", "9999-12-31 23:59:59-14:00", "2013-01-02 03:04:05 Europe/Berlin"),
    ],
    "boolean": ["true", "f", "t", "no", "1", "TRUE", " t"],
    "double precision": ["1.5", "-0", "1e10", "1E-5", "NaN", "Infinity", "1e400", "123456789012345678", ".5", "1_0"],
    "uuid": ["00000000-0000-0000-0000-00000000000a", "00000000-0000-0000-0000-00000000000A", "{0}", "0" * 32],
    "character varying(3)": ["abc", "abcd", "abc  ", "é"],
    "json": ['{"a": 1.0}', "{", "null"],
}  # fmt: skip


@pytest.fixture(scope="module")
def duck() -> Iterator[duckdb.DuckDBPyConnection]:
    with connected("", reads=True, threads=1) as connection:
        connection.execute(duckdb_csv.SETTINGS)
        yield connection


@pytest.mark.parametrize("kind", list(KINDS))
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_is_made_binary_is_what_postgresql_reads(
    database: Database, duck: duckdb.DuckDBPyConnection, kind: str, data: st.DataObject
) -> None:
    known = st.sampled_from(KINDS[kind])
    near = known.flatmap(lambda text: st.tuples(st.just(text), st.integers(0, len(text)), st.sampled_from(NEAR))).map(
        lambda parts: parts[0][: parts[1]] + parts[2] + parts[0][parts[1] + 1 :]
    )
    check_binary(database, duck, kind, data.draw(known | near | st.text(NEAR, max_size=8)))


@pytest.mark.parametrize("kind", list(KINDS))
def test_edges_that_are_made_binary_are_what_postgresql_reads(
    database: Database, duck: duckdb.DuckDBPyConnection, kind: str
) -> None:
    made = [check_binary(database, duck, kind, text) for text in KINDS[kind]]
    assert made[0]  # the plainest form goes the fast way


def check_binary(database: Database, duck: duckdb.DuckDBPyConnection, kind: str, text: str) -> bool:
    line = written(QUOTED, [(text, "x"), (None, None)])
    database.execute_script(f"drop table if exists t; create table t (a {kind}, b text)")
    connection = database._connection  # type: ignore[attr-defined]
    try:
        load(database, line, QUOTED)
        expected = rows(database, "select a::text, b from t")
    except DatabaseError:
        expected = None
    database.execute_script("truncate t")
    structure = QuotedStructure(",")
    try:
        with read(structure.seen([line]), duck, None) as path:
            asked = query(f"'{path}'", [kind, "text"], QUOTED, [(text, "x")])
            made = b"".join(binary(duck, asked))
    except (TextNotTaken, FormatError):
        return False
    try:
        with connection.cursor() as cursor:
            with cursor.copy(b"COPY t FROM STDIN (FORMAT binary)") as target:
                target.write(made)
            count = cursor.rowcount
    except psycopg.Error:
        assert expected is None
        return False
    if not structure.has(count, 2):
        return False
    assert rows(database, "select a::text, b from t") == expected
    return True


STAMP = "[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,6})?"
STAMPS = [f"2013-12-11{mark}10:12:11{'.123456'[:size]}" for mark in " T" for size in (0, 2, 3, 4, 5, 6, 7)]
IN_PLACE = ["", *"0139 TZ-:.+/e\té", "11", "-1", " 1", "1 "]
CHANGED = """select {number} as number, substr(text, 1, p - 1) || x || substr(text, p + 1, q - p - 1) || y
    || substr(text, q + 1) as c from (select '{text}' as text), range(1, {end}) r(p), range(p + 1, {end} + 1) s(q),
    alphabet a(x), alphabet b(y)"""


def test_a_text_of_the_shape_of_timestamps_is_one_or_none_for_duckdb() -> None:
    """Two places of a timestamp are changed, in every way in which that can be written."""
    values = [duckdb_csv.timestamp(STAMP, [(text,)], 0) for text in STAMPS]
    changed = [CHANGED.format(number=number, text=text, end=len(text)) for number, text in enumerate(STAMPS)]
    passes = [f"when {number} then {value.condition.replace('{c}', 'c')}" for number, value in enumerate(values)]
    with duckdb.connect() as connection:
        connection.execute("create table alphabet as select unnest(?) as x", [IN_PLACE])
        connection.execute(
            f"create table taken as select c, try_cast(c as timestamp) as v from ({' union all '.join(changed)})"
            f" where case number {' '.join(passes)} end"
        )
        found = connection.execute(
            "select c, v from taken where v is not null and (not regexp_full_match(c, ?)"
            " or strftime(v, '%Y-%m-%d %H:%M:%S') <> replace(substr(c, 1, 19), 'T', ' ')) limit 9",
            [STAMP],
        ).fetchall()
        assert found == []
        counted = connection.execute("select count(v) > 9000, count(*) > 90000 from taken").fetchone()
        assert counted == (True, True)  # of the shape


HARD = "create table t (a bigint, b numeric(12,2), c timestamp, d text, e varchar(40))"


TABLES = {
    "a table": ("create table t (a int); insert into t values (1), (2)", b"1\n2\n"),
    "one with a child": (
        "create table t (a int); create table u () inherits (t); insert into t values (1); insert into u values (2)",
        b"1\n2\n",
    ),
    "one with a generated column": (
        "create table t (a int, b int generated always as (a * 2) stored); insert into t values (1)",
        b"1,2\n",
    ),
    "one in partitions": (
        "create table t (a int) partition by list (a); create table u partition of t default; insert into t values (1)",
        b"1\n",
    ),
    "a view": ("create view t as select 1 as a", b"1\n"),
}


@pytest.mark.parametrize("name", list(TABLES))
def test_the_text_of_a_table_is_that_of_its_query(database: Database, name: str) -> None:
    script, expected = TABLES[name]
    database.execute_script(script)
    stream = io.BytesIO()
    rows_of = database.unload_text(database.table_query("t"), QUOTED, stream)
    assert (stream.getvalue(), rows_of) == (expected, expected.count(b"\n"))


def test_much_quoted_text_is_loaded_in_pieces(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.data.databases.postgresql_text._QUOTED_BLOCK", 1 << 16)
    database.execute_script(HARD)
    lines = []
    for number in range(8000):
        amount = " 7.5" if number == 5000 else f"{number}.50"
        note = '"\n\n"' if number == 1000 else '"a ""b"",\nc"' if number % 3 else '""'
        lines.append(
            f"{number},{amount},2013-01-02 03:04:05.{number % 1000:03d},{note},{'' if number % 2 else 'NULL'}\n"
        )
    data = "".join(lines).encode()
    assert load(database, data, QUOTED) == 8000
    fast = rows(database, "select a, b::text, c::text, d, e from t")
    database.execute_script("truncate t")
    database.insert_into("t", None, None, read_rows(io.BytesIO(data), QUOTED))
    assert rows(database, "select a, b::text, c::text, d, e from t") == fast
    database.execute_script("truncate t; alter table t add check (a <> 7000)")
    with pytest.raises(TextNotTaken, match=r"violates check constraint"):  # its line is not that of the row
        load(database, data, QUOTED)
    with pytest.raises(TextNotTaken):
        load(database, data + b'7,"x"y,,,\n', QUOTED)
    assert rows(database) == []
