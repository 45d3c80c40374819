"""What each option of COPY does: a small file, and the rows or the error that come of it, on PostgreSQL and DuckDB."""

from __future__ import annotations

import bz2
import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from penstock.data.databases import Database, DatabaseError, connect, parse_connection_string
from penstock.data.formats import to_text
from penstock.data.local_folder import LocalFolder
from penstock.data.redshift.catalog import describe
from penstock.data.redshift.load import Files, LoadError, load, load_columns
from penstock.data.redshift.option_text import OptionError
from penstock.data.redshift.options import parse_copy, parse_unload
from penstock.data.redshift.unload import unload

URI = "s3://b/f"
TWO = "a int, b varchar(10)"


@dataclass
class Case:
    """`rows` are texts; `problem` is what the error says."""

    options: str
    file: str | bytes
    rows: list[tuple[str | None, ...]] | None = None
    problem: str = ""
    columns: str = TWO


ZSTD = bytes.fromhex("28b52ffd2004210000317c780a")
"""`1|x` and a line feed, compressed by zstd."""
CASES = [
    # the format of the file
    Case("", "1|x\n2|y", [("1", "x"), ("2", "y")]),
    Case("", "1|x|\n", [("1", "x")]),
    Case("", "1|x\r\n", [("1", "x")]),
    Case("DELIMITER ','", "1,x\n", [("1", "x")]),
    Case(r"delimiter as '\t'", "1\tx\n", [("1", "x")]),
    Case(r"DELIMITER '\001'", "1\x01x\n", [("1", "x")]),
    Case("DELIMITER '::'", "1::x\n", [("1", "x")]),
    Case("DELIMITER", "", problem="DELIMITER needs a text in single quotes"),
    Case("CSV", '1,"x,""y"\n2,"a\nb"\n', [("1", 'x,"y'), ("2", "a\nb")]),
    Case("CSV QUOTE AS '%'", '1,%x,"%\n', [("1", 'x,"')]),
    Case("CSV DELIMITER ';'", "1;x\n", [("1", "x")]),
    Case("CSV", '1,"x"y\n', problem="f, line 1: the quotation marks are wrong"),
    Case("CSV", '1,x\n2,"y\n', problem="f, line 2: the quotation marks are wrong (the file ends inside"),
    Case("FORMAT AS CSV", "1,x\n", [("1", "x")]),
    Case("FIXEDWIDTH 'a:3,b:4'", "1  xyz \n22 a\n", [("1", "xyz "), ("22", "a")]),
    Case("FIXEDWIDTH 'a:x'", "", problem="FIXEDWIDTH 'a:x' is not of the form"),
    Case("JSON 'auto'", '{"b": "x", "a": 1, "c": 2}\n{"a": 2}', [("1", "x"), ("2", None)]),
    Case("JSON 'auto'", '{"a":\n 1, "b":\n {"c": 1.50}}', [("1", '{"c":1.50}')]),
    Case("JSON 'auto'", '{"A": 1, "b": null}', [(None, None)]),
    Case("JSON AS 'auto ignorecase'", '{"A": 1, "B": true}', [("1", "true")]),
    Case("JSON 's3://b/paths'", '{"id": 7, "n": {"first": ["x", "y"]}}', [("7", "y")]),
    Case("JSON 'auto'", '{"a": 1}\n{"a" 2}\n', problem="f, line 2: the JSON is wrong"),
    Case("JSON 'auto'", '{"a": 1', problem="f, line 1: the JSON ends too early"),
    Case("JSON 'noshred'", "", problem="JSON 'noshred' needs the type SUPER"),
    Case("GZIP CSV", gzip.compress(b"1,x\n"), [("1", "x")]),
    Case("ZSTD", ZSTD, [("1", "x")]),
    Case("BZIP2", bz2.compress(b"1|x\n"), [("1", "x")]),
    Case("GZIP", "1|this is not compressed\n", problem="f: The data is not gzip"),
    Case("IGNOREHEADER 1", "a|b\n1|x\n", [("1", "x")]),
    Case("CSV IGNOREHEADER AS 2", '"a\nb"\n1,x\n', [("1", "x")]),
    Case("IGNOREBLANKLINES", "1|x\n\n2|y\n\n", [("1", "x"), ("2", "y")]),
    Case("", "1|x\n\n", problem="f, line 2: there is 1 value, and the table takes 2"),
    Case("ENCODING UTF16", "1|é\n".encode("utf-16"), [("1", "é")]),
    Case("ENCODING AS 'ISO88591'", "1|é\n".encode("latin-1"), [("1", "é")]),
    Case("ENCODING LATIN5", "", problem="ENCODING LATIN5 is not known"),
    # escapes and quotes
    Case("ESCAPE", "1|a\\|b\\\\\\\nc\n2|\\N\n3|\\\\N\n", [("1", "a|b\\\nc"), ("2", None), ("3", "\\N")]),
    Case("ESCAPE", "1|x\\", problem="f, line 1: the file ends in an escape character"),
    Case(
        "REMOVEQUOTES",
        "1|'a|b'\n2|\"x\"\n3|''y''\n4|z'\n5|''\n",
        [("1", "a|b"), ("2", "x"), ("3", "'y'"), ("4", "z'"), ("5", "")],
    ),
    Case("REMOVEQUOTES", "1|'x\n", problem="f, line 1: the quotation mark ' is not closed"),
    Case("REMOVEQUOTES ESCAPE", '1|"a\\"b"\n', [("1", 'a"b')]),
    Case("CSV ESCAPE", "", problem="CSV and ESCAPE do not go together"),
    # NULL and blanks
    Case("", "1|\n|\\N\n2|NULL\n  |x\n", [("1", ""), (None, None), ("2", "NULL"), (None, "x")]),
    Case("EMPTYASNULL", "1|\n2| \n", [("1", None), ("2", " ")]),
    Case("BLANKSASNULL", "1|  \n2|\n", [("1", None), ("2", "")]),
    Case("BLANKSASNULL EMPTYASNULL", "1|  \n2|\n", [("1", None), ("2", None)]),
    Case("NULL AS 'NULL'", "1|NULL\nNULL|\\N\n", [("1", None), (None, "\\N")]),
    Case(r"NULL '\\N'", "1|\\N\n", [("1", None)]),
    Case("", "\\N|x\n", problem="f, line 1, column a (…): NULL is not allowed", columns="a int not null, b text"),
    Case("TRIMBLANKS", "1|x  \n2|  y\n", [("1", "x"), ("2", "  y")]),
    Case("FILLRECORD", "1\n2|x\n", [("1", ""), ("2", "x")]),
    Case("FILLRECORD EMPTYASNULL", "1\n", [("1", None)]),
    Case("", "1|x|y\n", problem="f, line 1: there are 3 values, and the table takes 2"),
    # values
    Case("", "1|äöüäöü\n", problem="column b (…): the text has 12 bytes, and the column takes 10"),
    Case("TRUNCATECOLUMNS", "1|xäöüäö\n", [("1", "xäöüä")]),
    Case("", b"1|\xff\n", problem="column b …: the byte 0xff is not valid UTF-8"),
    Case("ACCEPTINVCHARS", b"1|a\xff\xfeb\n", [("1", "a??b")]),
    Case("ACCEPTINVCHARS AS '^'", b"1|\xc3x\n", [("1", "^x")]),
    Case("", "1|a\0b\n", problem="column b …: the text holds the character 0x00"),
    Case("", "1.5|x\n", problem="f, line 1, column a (…): '1.5' is no whole number"),
    Case("", "2147483648|x\n", problem="2147483648 lies outside of what INTEGER holds"),
    Case("", "20.259\n-1.999\n.5\n", [("20.25",), ("-1.99",), ("0.50",)], columns="a decimal(8,2)"),
    Case("ROUNDEC", "20.259\n", [("20.26",)], columns="a decimal(8,2)"),
    Case("", "1234.5\n", problem="'1234.5' does not fit into DECIMAL(4,2)", columns="a decimal(4,2)"),
    Case("", "t\nNo\n1\n", [("true",), ("false",), ("true",)], columns="a boolean"),
    Case("", "maybe\n", problem="'maybe' is neither true nor false", columns="a boolean"),
    Case("", "1.5\n1e3\n", [("1.5",), ("1000.0",)], columns="a double precision"),
    Case("", "2013-01-02\n", [("2013-01-02",)], columns="a date"),
    Case("", "02.01.2013\n", problem="'02.01.2013' is no date of the form that DATEFORMAT", columns="a date"),
    Case("DATEFORMAT 'DD.MM.YYYY'", "02.01.2013\n", [("2013-01-02",)], columns="a date"),
    Case("DATEFORMAT AS 'MON DD, YY'", "Jan 02, 13\n", [("2013-01-02",)], columns="a date"),
    Case("DATEFORMAT 'auto'", "20130102\n01/02/2013\n2-Jan-2013\n", [("2013-01-02",)] * 3, columns="a date"),
    Case("DATEFORMAT 'QQ'", "", problem="DATEFORMAT 'QQ' has", columns="a date"),
    Case("DATEFORMAT 'YYYY-MM-DD' ACCEPTANYDATE", "0000-00-00\n", [(None,)], columns="a date"),
    Case("", "2013-01-02 03:04:05.5\n", [("2013-01-02 03:04:05.5",)], columns="a timestamp"),
    Case("", "2013-01-02T03:04:05Z\n", problem="is no timestamp of the form", columns="a timestamp"),
    Case("TIMEFORMAT 'auto'", "2013-01-02T03:04:05+01:00\n", [("2013-01-02 02:04:05",)], columns="a timestamp"),
    Case("TIMEFORMAT 'auto'", "Jan 2, 2013 3:04 PM\n", [("2013-01-02 15:04:00",)], columns="a timestamp"),
    Case("TIMEFORMAT 'epochsecs'", "1357095845\n", [("2013-01-02 03:04:05",)], columns="a timestamp"),
    Case("TIMEFORMAT 'epochmillisecs'", "1357095845123\n", [("2013-01-02 03:04:05.123",)], columns="a timestamp"),
    Case(
        "TIMEFORMAT 'DD/MM/YYYY HH12:MI:SS AM'",
        "02/01/2013 12:04:05 am\n",
        [("2013-01-02 00:04:05",)],
        columns="a timestamp",
    ),
    # errors
    Case("MAXERROR 3", "1|x\nz|x\n2|x\ny|x\n", [("1", "x"), ("2", "x")]),
    Case("MAXERROR AS 2", "1|x\nz|x\ny|x\n", problem="More rows are wrong than MAXERROR 2 allows…line 3"),
    Case("MAXERROR 100001", "", problem="MAXERROR is at most 100000"),
    # without effect here
    Case("COMPUPDATE OFF STATUPDATE ON COMPROWS 10 REGION 'us-east-1'", "1|x\n", [("1", "x")]),
    # unknown, or not here
    Case("FROBNICATE", "", problem="'FROBNICATE' is no option of Redshift's COPY. Known are ACCEPTANYDATE,"),
    Case("PARALLEL OFF", "", problem="'PARALLEL' is no option of Redshift's COPY"),
    Case("LZOP", "", problem="LZOP of COPY is not built"),
    Case("CSV CSV", "", problem="The option CSV is given twice"),
    Case("IGNOREHEADER x", "", problem="IGNOREHEADER needs a whole number"),
    Case("CSV 'x'", "", problem="'x' is no option of COPY, and follows none that takes it"),
    Case("IAM_ROLE 'x'", "", problem="IAM_ROLE does not belong to the options"),
    Case("EXPLICIT_IDS", "1|x\n", problem="EXPLICIT_IDS is given, but the table has no IDENTITY column"),
]


@pytest.fixture(scope="module", params=["postgresql", "duckdb"])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    url = "duckdb:w.db" if request.param == "duckdb" else request.getfixturevalue("postgresql")
    address = parse_connection_string(url, folder=tmp_path_factory.mktemp("warehouse"))
    with connect(replace(address, written_for="redshift")) as database:
        yield database


class Undo(Exception):
    pass


@pytest.mark.parametrize("case", CASES, ids=[f"{number} {case.options}"[:40] for number, case in enumerate(CASES)])
def test_an_option_does_what_redshift_does(database: Database, tmp_path: Path, case: Case) -> None:
    storage = LocalFolder(tmp_path)
    put(storage, URI, case.file)
    put(storage, "s3://b/paths", '{"jsonpaths": ["$.id", "$[\'n\'].first[1]"]}')
    found: list[tuple[str | None, ...]] = []

    def copy() -> None:
        with pytest.raises(Undo), database.transaction():
            found[:] = loaded(database, storage, case)
            raise Undo

    if case.rows is None:
        with pytest.raises((LoadError, OptionError)) as raised, database.transaction():
            loaded(database, storage, case)
        assert all(part in str(raised.value) for part in case.problem.split("…")), str(raised.value)
    else:
        copy()
        assert found == case.rows


def loaded(database: Database, storage: LocalFolder, case: Case) -> list[tuple[str | None, ...]]:
    database.execute_script(f"create table loaded_here ({case.columns})")
    columns = describe(database, "loaded_here", None).columns
    options = parse_copy([case.options])
    load(database, "loaded_here", None, load_columns(columns, options), Files(storage, (URI,), options))
    rows = [row for batch in database.select_table("loaded_here").batches for row in batch]
    return [tuple(to_text(value) for value in row) for row in rows]


def put(storage: LocalFolder, uri: str, content: str | bytes) -> None:
    with storage.create(uri) as stream:
        stream.write(content if isinstance(content, bytes) else content.encode())


def text(storage: LocalFolder, uri: str) -> str:
    with storage.open(uri) as stream:
        return stream.read().decode()


# UNLOAD

QUERY = "select 1 as a, 'x|\"y' as b, null::int as c, true as d, '2013-01-02'::timestamp as e"


@pytest.mark.parametrize(
    ("options", "written"),
    [
        ("DELIMITER ';'", '1;x|"y;;t;2013-01-02 00:00:00\n'),
        ("ESCAPE", '1|x\\|"y||t|2013-01-02 00:00:00\n'),
        ("ADDQUOTES ESCAPE", '"1"|"x\\|\\"y"||"t"|"2013-01-02 00:00:00"\n'),
        ("CSV", '1,"x|""y",,t,2013-01-02 00:00:00\n'),
        ("CSV HEADER", 'a,b,c,d,e\n1,"x|""y",,t,2013-01-02 00:00:00\n'),
        (r"CSV NULL AS '\\N'", '1,"x|""y",\\N,t,2013-01-02 00:00:00\n'),
        ("FIXEDWIDTH 'a:2,b:5,c:1,d:1,e:19'", '1 x|"y  t2013-01-02 00:00:00\n'),
        ("JSON", '{"a":1,"b":"x|\\"y","c":null,"d":true,"e":"2013-01-02 00:00:00"}\n'),
    ],
)
def test_unload_writes_what_its_options_say(database: Database, tmp_path: Path, options: str, written: str) -> None:
    storage = LocalFolder(tmp_path)
    made = unload(lambda: database.select(QUERY), storage, "s3://b/p", parse_unload([options, "PARALLEL OFF"]))
    assert (made.rows, made.uris) == (1, ["s3://b/p000"])
    assert text(storage, "s3://b/p000") == written


def test_unload_names_its_files_and_writes_over_none(database: Database, tmp_path: Path) -> None:
    storage = LocalFolder(tmp_path)
    made = unload(lambda: database.select(QUERY), storage, "s3://b/p/", parse_unload(["CSV GZIP MANIFEST"]))
    assert made.uris == ["s3://b/p/0000_part_00.gz"]
    assert json.loads(text(storage, "s3://b/p/manifest")) == {"entries": [{"url": "s3://b/p/0000_part_00.gz"}]}
    with pytest.raises(LoadError, match=r"is there already, and UNLOAD does not write over it\. Set ALLOWOVERWRITE"):
        unload(lambda: database.select(QUERY), storage, "s3://b/p/", parse_unload(["CSV"]))
    unload(lambda: database.select(QUERY), storage, "s3://b/p/", parse_unload(["CSV CLEANPATH EXTENSION 'csv'"]))
    assert [entry.uri for entry in storage.list("s3://b/")] == ["s3://b/p/0000_part_00.csv"]


def test_unload_refuses_a_text_that_could_not_be_read_again(database: Database, tmp_path: Path) -> None:
    storage = LocalFolder(tmp_path)
    with pytest.raises(LoadError, match=r"Row 1 holds 'x\|\"y', which could not be read again. Add ESCAPE"):
        unload(lambda: database.select(QUERY), storage, "s3://b/p", parse_unload([""]))
    assert [*storage.list("s3://b/")] == []


def test_unload_begins_another_file_at_its_size(database: Database, tmp_path: Path) -> None:
    storage = LocalFolder(tmp_path)
    options = replace(parse_unload(["PARALLEL OFF"]), max_file_size=3 << 20)
    number = "row_number() over ()" if database.dialect == "duckdb" else "n"
    own = getattr(database, "inner")  # noqa: B009
    source = "range(6000) r(n)" if database.dialect == "duckdb" else "generate_series(1, 6000) r(n)"
    query = f"select {number}, repeat('x', 1000) from {source}"
    made = unload(lambda: own.select(query), storage, "s3://b/p", options)
    assert made.rows == 6000 and len(made.uris) > 2
    assert sum(text(storage, uri).count("\n") for uri in made.uris) == 6000


@pytest.mark.parametrize("option", ["PARTITION BY (a)", "MAXFILESIZE 1 MB", "REMOVEQUOTES", "KMS_KEY_ID 'x'"])
def test_an_option_that_unload_does_not_have_is_named(option: str) -> None:
    with pytest.raises(OptionError, match=option.split()[0]):
        parse_unload([option])


def test_a_broken_value_in_the_database_names_the_file(database: Database, tmp_path: Path) -> None:
    storage = LocalFolder(tmp_path)
    put(storage, URI, "1\n")
    with pytest.raises((LoadError, DatabaseError), match=URI), database.transaction():
        getattr(database, "inner").execute_script("create table c (a int check (a > 1))")  # noqa: B009
        columns = describe(database, "c", None).columns
        load(database, "c", None, columns, Files(storage, (URI,), parse_copy([])))
