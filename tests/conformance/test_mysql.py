"""What MySQL and MariaDB do alone: their types, LOAD DATA that hides nothing, and the text of rows made in bulk."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.data.databases import ConnectionLost, Database, DatabaseError, TextNotTaken, connect
from penstock.data.databases import parse_connection_string as parse
from penstock.data.databases.mysql_packets import SIZE
from penstock.data.formats import CSV, TSV, Format, delimited, read_rows, write_rows

pytestmark = pytest.mark.by_hand

QUOTED = delimited("CSV", quoting="rfc4180")
FORMATS = [CSV(), TSV(), QUOTED, Format("Custom", "|", "\x01", "\\")]
Rows = list[tuple[object, ...]]


@pytest.fixture
def mysql(mysql_url: str, tmp_path: Path) -> Iterator[Database]:
    with connect(parse(mysql_url, folder=tmp_path)) as database:
        yield database


@pytest.fixture
def without_load(mysql: Database, mysql_url: str, tmp_path: Path) -> Iterator[Database]:
    """A connection to a server that refuses LOAD DATA LOCAL, as MySQL 8 does by default."""
    mysql.execute_script("set global local_infile = 0")
    try:
        with connect(parse(mysql_url, folder=tmp_path)) as database:
            yield database
    finally:
        mysql.execute_script("set global local_infile = 1")


def rows(database: Database, query: str) -> Rows:
    return [row for batch in database.select(query).batches for row in batch]


def load(database: Database, text: bytes, format: Format, table: str = "t") -> int:
    return database.load_text(table, None, None, format, io.BytesIO(text))


def unload(database: Database, query: str, format: Format) -> bytes:
    stream = io.BytesIO()
    database.unload_text(query, format, stream)
    return stream.getvalue()


def written(values: Rows, format: Format) -> bytes:
    stream = io.BytesIO()
    write_rows(stream, format, [values] if values else [])
    return stream.getvalue()


# Types

VALUES = [
    ("decimal(20,5)", "-123456789012345.67890", Decimal("-123456789012345.67890")),
    ("bigint unsigned", "18446744073709551615", 18446744073709551615),
    ("bigint", "-9223372036854775808", -9223372036854775808),
    ("int(5) zerofill", "42", "00042"),
    ("tinyint(1)", "true", 1),
    ("tinyint(1)", "false", 0),
    ("bit(10)", "1023", 1023),
    ("bit(1)", "true", 1),
    ("double", "0.30000000000000004", 0.30000000000000004),
    ("double", "5e-324", 5e-324),
    ("float", "16777217", 16777216.0),
    ("float", "0.1", 0.1),
    ("float", "3.4028234663852886e38", 3.4028234663852886e38),
    ("float", "1.17549435e-38", 1.1754944e-38),
    ("float(10,2)", "1234.5", 1234.5),
    ("datetime(6)", "2013-01-02 03:04:05.12", "2013-01-02 03:04:05.120000"),
    ("datetime", "0000-00-00 00:00:00", "0000-00-00 00:00:00"),
    ("datetime", "2013-00-00 00:00:00", "2013-00-00 00:00:00"),
    ("date", "9999-12-31", "9999-12-31"),
    ("timestamp(3)", "2013-07-02 03:04:05.1", "2013-07-02 03:04:05.100"),
    ("time(1)", "-838:59:58.9", "-838:59:58.9"),
    ("time", "100:00:01", "100:00:01"),
    ("year", "2013", "2013"),
    ("year", "0000", "0000"),
    ("json", '{"b": 1.0, "a":2}', '{"b": 1.0, "a":2}'),
    ("varchar(20)", "NULL", "NULL"),
    ("varchar(20)", "", ""),
    ("text", "😀\0\x1a\\'\"", "😀\0\x1a\\'\""),
    ("enum('a','b')", "b", "b"),
    ("set('a','b')", "a,b", "a,b"),
    ("blob", "\\x00ff5c", b"\0\xff\\"),
    ("varbinary(20)", "plain", b"plain"),
    ("binary(3)", "\\x", b"\0\0\0"),
    ("char(3)", "ab", "ab"),
]


@pytest.mark.parametrize("way", ["load data", "insert"])
def test_a_value_of_any_type_comes_back(way: str, request: pytest.FixtureRequest) -> None:
    database: Database = request.getfixturevalue("mysql" if way == "load data" else "without_load")
    chosen = [value for value in VALUES if way == "load data" or value[1] not in ("true", "false")]
    columns = ", ".join(f"c{number} {kind} null" for number, (kind, _, _) in enumerate(chosen))
    database.execute_script(f"create table t ({columns})")
    texts: list[object] = [
        bytes.fromhex(text[2:]) if text[:2] == "\\x" and way == "insert" else text for _, text, _ in chosen
    ]
    if way == "insert":
        texts = [
            int(str(text)) if kind[:3] == "bit" else text for (kind, _, _), text in zip(chosen, texts, strict=True)
        ]
    database.insert_into("t", None, None, [[texts, [None] * len(chosen)]])
    found = rows(database, "select * from t")
    assert found == [tuple(value for _, _, value in chosen), (None,) * len(chosen)]
    without_floats = [number for number, (kind, _, _) in enumerate(chosen) if not kind.startswith("float")]
    names = ", ".join(f"c{number}" for number in without_floats)
    expected = tuple(chosen[number][2] for number in without_floats)
    assert rows(database, f"select {names} from t limit 1") == [expected]


def test_a_timestamp_is_in_utc_and_a_zone_becomes_utc(mysql: Database, mysql_url: str, tmp_path: Path) -> None:
    mysql.execute_script("create table t (a timestamp null, b datetime)")
    there = datetime(2013, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=-5)))
    mysql.insert("insert into t values (?, ?)", [[(there, datetime(2013, 1, 2, tzinfo=UTC))]])
    mysql.insert("insert into t values (?, ifnull(?, null))", [[(there, there)]])
    assert rows(mysql, "select * from t") == [
        ("2013-01-02 08:04:05", "2013-01-02 00:00:00"),
        ("2013-01-02 08:04:05", "2013-01-02 08:04:05"),
    ]
    with connect(parse(f"jdbc:{mysql_url}?serverTimezone=GMT-5", folder=tmp_path)) as other:
        assert rows(other, "select a from t limit 1") == [("2013-01-02 03:04:05",)]


@pytest.mark.parametrize(
    ("behavior", "expected"), [("CONVERT_TO_NULL", None), ("convertToNull", None), ("round", "0001-01-01 00:00:00")]
)
def test_zero_dates_are_read_as_the_connection_string_says(
    mysql: Database, mysql_url: str, tmp_path: Path, behavior: str, expected: str | None
) -> None:
    mysql.execute_script("create table t (a datetime); insert into t values ('0000-00-00'), ('2013-01-02')")
    with connect(parse(f"jdbc:{mysql_url}?zeroDateTimeBehavior={behavior}", folder=tmp_path)) as other:
        assert rows(other, "select * from t") == [(expected,), ("2013-01-02 00:00:00",)]
        with pytest.raises(TextNotTaken):
            unload(other, "select * from t", CSV())
    refusing = parse(f"jdbc:{mysql_url}?zeroDateTimeBehavior=EXCEPTION", folder=tmp_path)
    problem = r"Column a holds 0000-00-00 00:00:00, which zeroDateTimeBehavior"
    with connect(refusing) as other, pytest.raises(DatabaseError, match=problem):
        rows(other, "select * from t")


# What does not fit

BAD = [
    ("int", "x", "Incorrect integer value: 'x' for column .*`a` at row 2"),
    ("int", "", "Incorrect integer value: '' for column .*`a` at row 2"),
    ("tinyint", "200", "Out of range value for column 'a' at row 2"),
    ("int unsigned", "-1", "Out of range value for column 'a' at row 2"),
    ("decimal(5,2)", "1.239", "Data truncated for column 'a' at row 2"),
    ("varchar(2)", "abc", "Data (too long|truncated) for column 'a' at row 2"),
    ("varchar(2)", "ab ", "Data (too long|truncated) for column 'a' at row 2"),
    ("varchar(9) character set utf8mb3", "😀", "Incorrect string value: .* for column .*`a` at row 2"),
    ("date", "2013-02-31", "(Incorrect date value|Data truncated).* at row 2"),
    ("date", "", "(Incorrect date value|Data truncated).* at row 2"),
    ("datetime", "2013-01-02 03:04:05+00:00", "(Incorrect datetime value|Data truncated).* at row 2"),
    ("enum('a')", "b", "Data truncated for column 'a' at row 2"),
    ("int unique", "1", "Duplicate entry '1' for key 'a'"),
    ("json", "{", "(Invalid JSON|Unexpected end of JSON|CONSTRAINT `t.a` failed)"),
    ("bit(2)", "4", "(Out of range|Data too long) .*'a' at row 2"),
    ("double", "Infinity", "Incorrect double value: 'Infinity' for column .*`a` at row 2"),
]


@pytest.mark.parametrize(("kind", "bad", "problem"), BAD)
def test_a_value_that_does_not_fit_is_refused_with_its_row_and_column(
    mysql: Database, kind: str, bad: str, problem: str
) -> None:
    mysql.execute_script(f"create table t (a {kind}, b int)")
    good = {"date": "2013-01-02", "datetime": "2013-01-02 00:00:00", "enum('a')": "a", "json": "1"}.get(kind, "1")
    records: list[Rows] = [[(good, "1")], [(bad, "1"), (None, None)]]
    ways: list[Callable[[], object]] = [
        lambda: mysql.insert("insert into t values (?, ?)", records),
        lambda: mysql.insert("insert into t values (?, abs(?))", records),
        lambda: load(mysql, written([row for batch in records for row in batch], QUOTED), QUOTED),
    ]
    if kind.startswith("bit"):
        ways.pop(1)  # text is bytes there
    for way in ways:
        with pytest.raises(DatabaseError, match=problem):
            way()
        assert rows(mysql, "select * from t") == []


def test_null_in_a_column_that_takes_none_is_refused(mysql: Database) -> None:
    mysql.execute_script("create table t (a int not null, b timestamp not null default '2000-01-01')")
    for row in (("1", None), (None, "2013-01-01 00:00:00")):
        with pytest.raises(DatabaseError, match=r"NULL|Data truncated for column 'b'"):
            mysql.insert_into("t", None, None, [[row]])
    assert rows(mysql, "select * from t") == []


def test_hexadecimal_digits_that_are_none_are_refused(mysql: Database) -> None:
    mysql.execute_script("create table t (a blob)")
    for bad in ("\\xfg", "\\xfff"):
        with pytest.raises(DatabaseError, match="Truncated incorrect INTEGER value"):
            mysql.insert_into("t", None, None, [[(bad,)]])


def test_a_zero_stays_zero_in_a_column_that_counts(mysql: Database) -> None:
    mysql.execute_script("create table t (a int auto_increment primary key, b int)")
    mysql.insert_into("t", None, None, [[("0", "1"), ("7", "2")]])
    mysql.insert("insert into t (b) values (?)", [[("3",)]])
    assert rows(mysql, "select * from t order by a") == [(0, 1), (7, 2), (8, 3)]


def test_a_table_without_transactions_is_told_to_keep_its_rows(mysql: Database) -> None:
    mysql.execute_script("create table t (a int) engine = MyISAM")
    with pytest.raises(DatabaseError, match=r"at row 2.* whose engine has no transactions .* is still there"):
        mysql.insert("insert into t values (?)", [[("1",), ("x",)]])


# Text in bulk

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufeff"), max_size=8)
tricky = st.sampled_from(["", "NULL", "\\N", "N", "\\", ",", '"', '""', "\n", "\r", "\r\n", "\t", "|", "n"])
cell = st.none() | texts | tricky | st.lists(tricky, max_size=4).map("".join)
table = st.lists(
    st.tuples(
        cell,
        st.none() | st.decimals(-(10**8), 10**8, places=3).map(str),
        st.none() | st.datetimes(datetime(1000, 1, 1)).map(lambda moment: moment.strftime("%Y-%m-%d %H:%M:%S.%f")),
        cell,
    ),
    max_size=6,
)


@pytest.mark.parametrize("format", FORMATS, ids=["csv", "tsv", "quoted", "custom"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=table)
def test_a_text_goes_into_a_table_and_comes_back(mysql: Database, format: Format, values: Rows) -> None:
    made = "create table t (i int auto_increment primary key, a text, b decimal(12,3), c datetime(6), d text)"
    mysql.create_table(made, "t")
    mysql.execute_script("delete from t")
    text = written(values, format)
    assert mysql.load_text("t", None, ["a", "b", "c", "d"], format, io.BytesIO(text)) == len(values)
    assert unload(mysql, "select a, b, c, d from t order by i", format) == text
    found = rows(mysql, "select a, cast(b as char), c, d from t order by i")
    assert found == [row for batch in read_rows(io.BytesIO(text), format) for row in batch] == values


pieces = st.lists(
    st.sampled_from([",", "\n", "\r\n", '"', '""', "\\", "\\N", "\\n", "\\\\", "N", "NULL", "n", "é", "x"])
)


@pytest.mark.parametrize("format", [CSV(), QUOTED], ids=["csv", "quoted"])
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=pieces.map("".join))
def test_any_text_makes_the_rows_that_the_reader_reads_or_is_not_taken(
    mysql: Database, format: Format, text: str
) -> None:
    mysql.create_table("create table t (i int auto_increment primary key, a text, b text)", "t")
    mysql.execute_script("delete from t")
    try:
        count = mysql.load_text("t", None, ["a", "b"], format, io.BytesIO(text.encode()))
    except TextNotTaken:
        return
    found = rows(mysql, "select a, b from t order by i")
    assert found == [row for batch in read_rows(io.BytesIO(text.encode()), format) for row in batch]
    assert count == len(found)


def test_values_of_any_length_come_as_they_are(mysql: Database, mysql_url: str, tmp_path: Path) -> None:
    lengths = [0, 250, 251, 65535, 65536, SIZE - 200, SIZE, 17 << 20, 3]
    mysql.execute_script("set global max_allowed_packet = 1073741824")
    query = (
        "select i, repeat('é', n), n from ("
        + " union all ".join(f"select {number} as i, {length // 2} as n" for number, length in enumerate(lengths))
        + ") s order by i"
    )
    expected: Rows = [(number, "é" * (length // 2), length // 2) for number, length in enumerate(lengths)]
    try:
        with connect(parse(mysql_url, folder=tmp_path)) as other:
            assert rows(other, query) == expected
            for format in (CSV(), QUOTED):
                assert unload(other, query, format) == written(expected, format)
    finally:
        mysql.execute_script("set global max_allowed_packet = 16777216")


def test_types_whose_text_is_made_value_by_value_are_not_unloaded_in_bulk(mysql: Database) -> None:
    for value in ("1e0", "cast(1 as float)", "x'01'", "b'1'"):
        with pytest.raises(TextNotTaken):
            unload(mysql, f"select {value}", CSV())
    with pytest.raises(DatabaseError, match="syntax"):
        mysql.select("select from")
    assert unload(mysql, "select 1, 'a,b', null", CSV()) == b"1,a\\,b,\\N\n"


def test_rows_of_another_width_and_text_that_is_not_utf8_go_to_the_reader(mysql: Database) -> None:
    mysql.execute_script("create table t (a text, b text)")
    for text in (b"1\n", b"1,2,3\n", b"1,\xff\n", b"1,2\\", b'1,"', b'1,"2"3\n', b'"1""2,3\n'):
        for format in (CSV(), QUOTED):
            if (format is QUOTED or b'"' not in text) and (format, text) != (QUOTED, b"1,2\\"):
                with pytest.raises(DatabaseError):
                    load(mysql, text, format)
    assert rows(mysql, "select * from t") == []


@pytest.mark.parametrize(
    "format",
    [CSV(escape_char=None), CSV(escape_char="^"), Format("Custom", "n", "\n", "\\"), Format("Custom", "é", "\n", "\\")],
)
def test_formats_that_load_data_cannot_speak_are_not_taken(mysql: Database, format: Format) -> None:
    assert not mysql.takes(format)


# Scripts and connections


def test_a_server_without_load_data_takes_rows_by_inserts(without_load: Database) -> None:
    without_load.execute_script("create table t (a int, b varchar(9))")
    batch = [(str(number), "it's \\ '😀'"[: number % 9]) for number in range(5000)]
    assert without_load.insert_into("t", None, None, [batch, batch]) == 10000
    assert rows(without_load, "select count(*), sum(a) from t") == [(10000, Decimal(2 * 4999 * 2500))]
    with pytest.raises(DatabaseError, match=r"Incorrect integer value: 'x' for column .*`a` at row 5003"):
        without_load.insert("insert into t values (?, ?)", [batch, [("1", ""), ("2", ""), ("x", "")]])
    with pytest.raises(TextNotTaken, match="local_infile is off"):
        load(without_load, b"1,2\n", CSV())


def test_a_script_may_define_procedures_and_triggers(mysql: Database) -> None:
    mysql.execute_script(
        """create table t (a int); # a comment; with a semicolon
        create procedure p(n int) begin
            declare i int default 0;
            while i < n do if i > 1 then insert into t values (i); else begin end; end if; set i = i + 1; end while;
            case n when 4 then insert into t values (-1); else insert into t values (-2); end case;
            select a from t; select 1;
        end;
        create trigger r before insert on t for each row set new.a = new.a * 10;
        call p(?)""",
        ["4"],
    )
    assert rows(mysql, "select a from t order by a") == [(-10,), (20,), (30,)]
    assert rows(mysql, "select /* ; ? */ 'it\\'s; ?' as a, `a` from t where a = 20 -- ; ?") == [("it's; ?", 20)]
    assert rows(mysql, "select 5--1") == [(6,)]
    assert (-20,) in rows(mysql, "call p(0)")
    assert rows(mysql, "select 1") == [(1,)]


def test_the_word_delimiter_is_refused_with_a_remedy(mysql: Database) -> None:
    with pytest.raises(
        DatabaseError, match=r"Statement 1 is DELIMITER, a command of the mysql client alone. Leave it out"
    ):
        mysql.execute_script("delimiter //\ncreate procedure p() select 1 //")


def test_a_script_may_not_ask_for_a_file_of_this_machine(mysql: Database) -> None:
    mysql.execute_script("create table t (a text)")
    with pytest.raises(DatabaseError, match="LOAD DATA LOCAL of a script is refused"):
        mysql.execute_script("load data local infile '/etc/passwd' into table t")


def test_databases_are_schemas_and_names_may_stand_in_quotes(mysql: Database, mysql_url: str) -> None:
    schema = mysql_url.rpartition("/")[2]
    mysql.execute_script("create table `a ``b``` (a int)")
    for name, where in (("a `b`", schema), ("`a ``b```", None), (f"`{schema}`.`a ``b```", None)):
        assert mysql.table_exists(name, where)
    assert not mysql.table_exists("a `b`", "mysql")
    with pytest.raises(DatabaseError, match=r"There is no table u in the database mysql of mysql://127.0.0.1"):
        mysql.insert_into("u", "mysql", None, [])


def test_a_connection_that_is_killed_is_lost_and_its_rows_with_it(
    mysql: Database, mysql_url: str, tmp_path: Path
) -> None:
    mysql.execute_script("create table t (a int)")
    with connect(parse(mysql_url, folder=tmp_path)) as other:
        ((number,),) = rows(other, "select connection_id()")

        def batches() -> Iterator[Rows]:
            yield [(1,)] * 10
            mysql.execute_script(f"kill {number}")
            yield [(2,)] * 100_000

        with pytest.raises(ConnectionLost, match=r"connection to MySQL broke at the table t"):
            other.insert_into("t", None, None, batches())
        with pytest.raises(ConnectionLost):
            other.select("select 1")
    assert rows(mysql, "select * from t") == []


def test_a_password_is_in_no_message(mysql_url: str, tmp_path: Path) -> None:
    url = re.sub("root@", "root:hidden-word@", mysql_url)
    with pytest.raises(
        DatabaseError, match=r"Cannot connect to mysql://127.0.0.1:\d+/test_\d+: Access denied"
    ) as caught:
        connect(parse(url, folder=tmp_path))
    assert "hidden-word" not in str(caught.value)
    with pytest.raises(DatabaseError, match=r"Cannot connect to mysql://127.0.0.1:1/d: .*refused"):
        connect(parse("mysql://127.0.0.1:1/d", folder=tmp_path))


def test_a_database_is_made_if_the_connection_string_asks(mysql_url: str, tmp_path: Path) -> None:
    name = mysql_url.rpartition("/")[2] + "_new"
    url = f"jdbc:{mysql_url}_new?createDatabaseIfNotExist=true&sessionVariables=wait_timeout=77"
    with connect(parse(url, folder=tmp_path)) as database:
        assert rows(database, "select database(), @@wait_timeout") == [(name, 77)]
        database.execute_script(f"drop database {name}")
