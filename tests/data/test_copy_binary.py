"""Quoted text that begins as one binary COPY into PostgreSQL, and holds something odd far behind: it starts again.

What is there then is what PostgreSQL's own COPY makes of the file, or the error says where it is and nothing is there.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from penstock.data.compression import open_writer
from penstock.data.copy import CopyError, FileSide, TableSide, binary_text, copy
from penstock.data.databases import DatabaseError, parse_connection_string
from penstock.data.formats import FormatError, delimited
from penstock.data.local_folder import LocalFolder

pytestmark = pytest.mark.by_hand

QUOTED = delimited("CSV", quoting="rfc4180")
CREATE = "create table t (a int, b numeric(8,2), c timestamp, d double precision, e varchar(5), f text)"
ROWS, ODD = 240, 220
LONG = b'"x, ""y""\n\n' + b"z" * 40_000 + b'"'  # all rows together are larger than two buffers of DuckDB
PLAIN = {"a": "7", "b": "7.50", "c": "2013-01-02 03:04:05", "d": "1.5", "e": "e", "f": "f"}


def line(**changed: str) -> bytes:
    """A record with these values, as they are to be written."""
    return ",".join((PLAIN | changed).values()).encode() + b"\n"


def file(odd: bytes, at: int = ODD, end: bytes = b"\n") -> bytes:
    """Many records, one of which, or what stands between two, is odd."""
    lines = [b"%d,%d.50,2013-01-02 03:04:05,1.5,,%s%s" % (number, number, LONG, end) for number in range(ROWS)]
    lines[at] = odd
    return b"".join(lines)


@pytest.fixture
def storage(tmp_path: Path) -> LocalFolder:
    return LocalFolder(tmp_path / "s3")


def put(storage: LocalFolder, data: bytes, uri: str = "s3://b/in") -> FileSide:
    with storage.create(uri) as stream:
        stream.write(data)
    return FileSide(storage, uri, format=QUOTED)


@pytest.fixture
def connection(postgresql_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute(f"{CREATE}; insert into t (f) values ('as it was'); create table own (like t)")
        yield connection


@pytest.fixture
def target(connection: psycopg.Connection, postgresql_url: str, tmp_path: Path) -> TableSide:
    return TableSide(parse_connection_string(postgresql_url, folder=tmp_path), "t")


@pytest.fixture(autouse=True)
def tries(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """How each file went that was tried as one binary COPY."""
    made: list[str] = []
    load = binary_text.load

    def watched(*arguments: Any) -> int | None:
        try:
            rows = load(*arguments)
        except binary_text.NotBinary:
            made.append("again")
            raise
        except DatabaseError:
            made.append("refused")
            raise
        made.append("none" if rows is None else "binary")
        return rows

    monkeypatch.setattr(binary_text, "load", watched)
    return made


def rows_of(connection: psycopg.Connection, table: str = "t") -> list[tuple[object, ...]]:
    found = f"select a::text, b::text, c::text, d::text, e, length(f), md5(f) from {table} order by ctid"
    return connection.execute(found).fetchall()


def copied_by_itself(connection: psycopg.Connection, data: bytes, options: str = "") -> list[tuple[object, ...]]:
    """What PostgreSQL's own COPY makes of a file, after what is in the table."""
    connection.execute("insert into own select * from t")
    with connection.cursor() as cursor, cursor.copy(f"copy own from stdin (format csv{options})") as target:
        target.write(data)
    return rows_of(connection, "own")


FITTING = {
    "nothing odd": (line(), "binary"),
    **{f"a whole number {text}": (line(a=text), "again") for text in ("007", " 7", "7 ", "+7", "-0")},
    **{f"a numeric {text}": (line(b=text), "again") for text in ("1e3", " 1.5", "1.005", ".5", "NaN")},
    **{
        f"a timestamp {text}": (line(c=text), "again")
        for text in (
            "2013-1-2 03:04:05",
            "2013-01-02 3:04:05",
            "2013-01-02",
            "infinity",
            "-infinity",
            "2013-01-02 03:04:05Z",
            "2013-01-02 03:04:05 ",
            "2013-01-02 03:04:05.1234567",
            "0044-03-15 03:04:05 BC",
            "12345-01-02 03:04:05",
        )
    },
    "a timestamp at the end of a day": (line(c="2013-01-02 24:00:00"), "binary"),
    "a timestamp with a T": (line(c="2013-01-02T03:04:05"), "binary"),
    "a timestamp with a fraction": (line(c="2013-01-02 03:04:05.5"), "binary"),
    **{f"a double {text}": (line(d=text), "again") for text in ("Infinity", "-inf", "nan", "1.5 ", ".5")},
    "NULLs": (line(a="", b="", c="", d="", e="", f=""), "binary"),
    "empty strings and the word NULL": (line(e='""', f="NULL"), "binary"),
    "a quoted number": (line(a='"7"', d='"1.5"'), "binary"),
    "what is no NULL": (line(e="\\N", f='"\\N"'), "binary"),
    "spaces behind a varchar": (line(e='"abcde   "'), "binary"),
    "a varchar of other letters": (line(e="éé東🎉a"), "binary"),
    "a record of 3 MB": (line(f="x" * 3_000_000), "binary"),
    "a record of 9 MB": (line(f="x" * 9_000_000), "again"),
}


@pytest.mark.parametrize("name", list(FITTING))
def test_an_odd_value_far_behind_is_what_postgresql_makes_of_it(
    storage: LocalFolder, connection: psycopg.Connection, target: TableSide, tries: list[str], name: str
) -> None:
    odd, way = FITTING[name]
    data = file(odd)
    expected = copied_by_itself(connection, data)
    told: list[tuple[int, int]] = []
    result = copy(put(storage, data), target, lambda *, rows, bytes: told.append((rows, bytes)))
    assert rows_of(connection) == expected
    assert tries == [way]
    assert (result.way, result.rows, result.bytes) == ("bulk", ROWS, len(data))
    assert told[-1] == (ROWS, len(data))


def test_two_that_are_odd_are_both_what_postgresql_makes_of_them(
    storage: LocalFolder, connection: psycopg.Connection, target: TableSide, tries: list[str]
) -> None:
    data = file(line(a=" 7")) + file(line(b="1e3"))
    expected = copied_by_itself(connection, data)
    assert copy(put(storage, data), target).rows == 2 * ROWS
    assert rows_of(connection) == expected
    assert tries == ["again"]


@pytest.mark.parametrize("odd", [line(), line(a="007")], ids=["nothing odd", "odd"])
@pytest.mark.parametrize("how", ["CRLF", "no last line feed", "byte order mark"])
def test_the_ends_of_a_file_and_of_its_records_change_nothing(
    storage: LocalFolder, connection: psycopg.Connection, target: TableSide, tries: list[str], how: str, odd: bytes
) -> None:
    data = file(odd)
    expected = copied_by_itself(connection, data)
    if how == "CRLF":
        data = file(odd.replace(b"\n", b"\r\n"), end=b"\r\n")
    elif how == "byte order mark":
        data = b"\xef\xbb\xbf" + data
    else:
        data = data.removesuffix(b"\n")
    result = copy(put(storage, data), target)
    assert (result.way, result.rows) == ("bulk", ROWS)
    assert rows_of(connection) == expected
    assert tries == ["binary" if odd == line() and how != "CRLF" else "again"]  # DuckDB takes the first LF for an end


def test_records_that_end_in_CR_LF_go_the_same_way(
    storage: LocalFolder, connection: psycopg.Connection, target: TableSide, tries: list[str]
) -> None:
    data = [line(f="x" * 40_000), line(e='"e,"', f='""')] * 120
    expected = copied_by_itself(connection, b"".join(data))
    assert copy(put(storage, b"".join(data).replace(b"\n", b"\r\n")), target).rows == 240
    assert rows_of(connection) == expected
    assert tries == ["binary"]


@pytest.mark.parametrize("end", [b"\n", b"\r"], ids=["a line feed alone", "a carriage return alone"])
def test_records_that_end_in_other_ways_are_no_others(
    storage: LocalFolder, connection: psycopg.Connection, target: TableSide, tries: list[str], end: bytes
) -> None:
    data = file(line().removesuffix(b"\n") + end + line().replace(b"\n", b"\r\n"), end=b"\r\n")
    if end == b"\n":
        assert copy(put(storage, data), target).rows == ROWS + 1
    else:
        with pytest.raises(FormatError, match="has a carriage return in an unquoted field"):
            copy(put(storage, data), target, pauses=())
    assert len(rows_of(connection)) == (ROWS + 2 if end == b"\n" else 1)
    assert tries == ["again"]


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_a_compressed_file_goes_the_same_way(
    storage: LocalFolder, connection: psycopg.Connection, target: TableSide, tries: list[str], compression: str
) -> None:
    noise = random.Random(1)
    data = file(line())
    more = b"".join(line(f=f"{noise.getrandbits(64_000):x}") for _ in range(700))  # which cannot be made small
    expected = copied_by_itself(connection, data + more)
    with storage.create("s3://b/in") as stream, open_writer(stream, compression) as plain:
        plain.write(data + more)
    source = FileSide(storage, "s3://b/in", format=QUOTED, compression=compression)
    assert copy(source, target).rows == ROWS + 700
    assert rows_of(connection) == expected
    assert tries == ["binary"]


@pytest.mark.parametrize("odd", [line(), line(a="007")], ids=["nothing odd", "odd"])
def test_a_header_is_no_row(
    storage: LocalFolder, connection: psycopg.Connection, target: TableSide, tries: list[str], odd: bytes
) -> None:
    data = b'id,"the\n""price""",at,d,e,f\n' + file(odd)
    expected = copied_by_itself(connection, data, ", header")
    source = replace(put(storage, data), format=delimited("CSV", quoting="rfc4180", header=True))
    assert copy(source, target).rows == ROWS
    assert rows_of(connection) == expected
    assert tries == ["binary" if odd == line() else "again"]
    with pytest.raises(FormatError, match="s3://b/in: "):
        named = delimited("CSV", tuple("abcdef"), quoting="rfc4180", header=True)
        copy(replace(source, format=named), target, pauses=())
    assert rows_of(connection) == expected


def test_what_ends_a_copy_of_text_is_a_value(
    storage: LocalFolder, connection: psycopg.Connection, target: TableSide, tries: list[str]
) -> None:
    mark = "x\n\\.\ny"
    for odd, way in ((line(f=f'"{mark}"'), "bulk"), (line(f=f'"{mark}"', a="007"), "rows")):
        result = copy(put(storage, file(odd)), target)
        assert (result.way, result.rows) == (way, ROWS)
        assert connection.execute("select f from t where a = 7 and e = 'e'").fetchall() == [(mark,)]
        assert len(rows_of(connection)) == 1 + ROWS
        connection.execute("delete from t where a is not null")
    assert tries == ["binary", "again"]


def test_the_files_of_a_directory_are_there_once(
    storage: LocalFolder, connection: psycopg.Connection, target: TableSide, tries: list[str]
) -> None:
    data = [file(line()), file(line(b="1e3")), line()]
    expected = copied_by_itself(connection, b"".join(data))
    for number, part in enumerate(data):
        put(storage, part, f"s3://b/in/{number}")
    result = copy(FileSide(storage, "s3://b/in", is_directory=True, format=QUOTED), target)
    assert (result.way, result.rows, result.bytes) == ("bulk", 2 * ROWS + 1, len(b"".join(data)))
    assert rows_of(connection) == expected
    assert tries == ["binary", "again"]


def test_a_table_that_is_made_for_it_is_made_again(
    storage: LocalFolder, connection: psycopg.Connection, target: TableSide, tries: list[str]
) -> None:
    data = file(line(a="007"))
    expected = copied_by_itself(connection, data)[1:]
    connection.execute("drop table t")
    made = replace(
        target, create_table_sql=CREATE, insert_query="insert into t (f, a, b, c, d, e) values (?, ?, ?, ?, ?, ?)"
    )
    with pytest.raises(CopyError, match="row 1"):
        copy(put(storage, data), made, pauses=())
    assert connection.execute("select to_regclass('t')").fetchone() == (None,)
    made = replace(
        target, create_table_sql=CREATE, insert_query="insert into t (a, b, c, d, e, f) values (?, ?, ?, ?, ?, ?)"
    )
    assert copy(put(storage, data), made).way == "bulk"
    assert rows_of(connection) == expected
    assert tries == ["again", "again"]


REFUSED: dict[str, tuple[bytes, type[Exception], str]] = {
    "a separator too many": (line(f="f,"), FormatError, r"has 7 columns, the first is '7'"),
    "a separator too few": (b"7,7.50\n", FormatError, r"has 2 columns, the first is '7'"),
    "one too few and then one too many": (
        line().replace(b",f\n", b"\n") + line(f="f,"),
        FormatError,
        r"has 5 columns, the first is '7'",
    ),
    "one too many and then one too few": (
        line(f="f,") + line().replace(b",f\n", b"\n"),
        FormatError,
        r"has 7 columns, the first is '7'",
    ),
    "a separator too many in a long record": (line(f="f" * 40_000 + ","), FormatError, "has 7 columns"),
    "an empty line": (b"\n", FormatError, "has 1 column"),
    "a line that ends a COPY": (b"\\.\n", FormatError, "has 1 column"),
    "a lone quote": (line(f='f"'), FormatError, "has a quote in the middle of an unquoted field, 'f\""),
    "a quote that is never closed": (line(f='"f'), FormatError, "has text after a closing quote"),
    "text after a quote": (line(e='"e"e'), FormatError, 'has text after a closing quote, \'"e"e'),
    "a lone carriage return": (line(f="f\rf"), FormatError, "has a carriage return in an unquoted field"),
    "no UTF-8": (b"7,7.50,2013-01-02 03:04:05,1.5,e,caf\xe9\n", FormatError, "is not valid UTF-8"),
    "a zero byte": (line(f="a\0b"), CopyError, "column f|NUL|0x00"),
    **{
        f"{text} as a whole number": (line(a=text), CopyError, f'column a.*"{text}"|"{text}".*column a')
        for text in ("seven", "1.5", "1e3", "99999999999", "NaN", "true")
    },
    "a numeric that is too large": (line(b="1234567.00"), CopyError, "column b|numeric field overflow"),
    "a comma in a numeric": (line(b='"1,5"'), CopyError, 'column b.*"1,5"'),
    "a day that is none": (line(c="2013-02-30 03:04:05"), CopyError, 'out of range: "2013-02-30 03:04:05".*column c'),
    "a time of no day": (line(c="03:04:05"), CopyError, 'column c.*"03:04:05"'),
    "a double that is too large": (line(d="1e400"), CopyError, '"1e400".*column d'),
}
BY_THE_SERVER = {
    "a text that is too long": (line(e="abcdef"), CopyError, r"too long for type character varying\(5\).*column e"),
    "what breaks a rule": (line(a="-1"), CopyError, "violates check constraint"),
}


@pytest.mark.parametrize("name", [*REFUSED, *BY_THE_SERVER])
def test_a_wrong_value_far_behind_is_named_and_nothing_is_there(
    storage: LocalFolder, connection: psycopg.Connection, target: TableSide, tries: list[str], name: str
) -> None:
    odd, error, message = (REFUSED | BY_THE_SERVER)[name]
    connection.execute("alter table t add check (a >= 0)")
    with pytest.raises(error) as found:
        copy(put(storage, file(odd)), target, pauses=())
    assert str(found.value).startswith("s3://b/in")
    assert re.search(message, str(found.value))
    assert re.search(rf"[Rr]ow {ODD + 1}\b", str(found.value))
    assert [row[-2] for row in rows_of(connection)] == [len("as it was")]
    assert tries == ["again" if name in REFUSED else "refused"]


def test_an_error_of_the_server_ends_what_is_still_being_made(
    storage: LocalFolder, connection: psycopg.Connection, target: TableSide
) -> None:
    connection.execute("alter table t add check (a >= 0)")
    with pytest.raises(CopyError, match=r"violates check constraint.*row 3\."):
        copy(put(storage, file(line(a="-1"), at=2)), target, pauses=())
    assert len(rows_of(connection)) == 1
