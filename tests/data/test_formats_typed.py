"""JSON Lines, Parquet, regular expressions and DynamoDB's exports."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.data.formats import (
    AnyFormat,
    Column,
    DynamoDBExport,
    FormatError,
    JsonLines,
    Parquet,
    RegEx,
    Row,
    read_rows,
    to_text,
    write_rows,
)

GUIDE = (
    r'([^ ]*) ([^ ]*) ([^ ]*) (-|\[[^\]]*\]) ([^ "]*|"[^"]*") (-|[0-9]*) (-|[0-9]*)'
    r'(?: ([^ "]*|"[^"]*") ([^ "]*|"[^"]*"))?'
)
"""The expression of AWS's guide."""
JSON = JsonLines()
EXPORT = DynamoDBExport()


def written(format: AnyFormat, *rows: Row, columns: tuple[str, ...] = ()) -> bytes:
    stream = io.BytesIO()
    assert write_rows(stream, format, [rows], columns=[Column(name) for name in columns]) == len(rows)
    return stream.getvalue()


def read(data: bytes, format: AnyFormat) -> list[tuple[object, ...]]:
    return [row for batch in read_rows(io.BytesIO(data), format) for row in batch]


# JSON Lines


def test_numbers_of_json_keep_their_digits() -> None:
    data = b'{"a":1.50,"b":-0,"c":1e400,"d":[0.10,{"x":12345678901234567890}]}\n'
    rows = read_rows(io.BytesIO(data), JSON)
    found = [row for batch in rows for row in batch]
    assert [to_text(value) for value in found[0]] == ["1.50", "-0", "1e400", '[0.10,{"x":12345678901234567890}]']
    assert written(JSON, *found, columns=("a", "b", "c", "d")) == data


def test_a_null_and_a_missing_key_are_null() -> None:
    assert read(b'{"a":"","b":null}\r\n\n{"b":"NULL"}', JSON) == [("", None), (None, "NULL")]
    assert read(b'{"a":1,"b":2}', JsonLines(("b", "c"))) == [("2", None)]


def test_values_are_written_by_their_types_and_texts_by_those_of_their_columns() -> None:
    row = (1, Decimal("1.50"), True, None, float("nan"), {"a": [1, None]}, date(2013, 1, 2), "7")
    assert written(JSON, row, columns=tuple("abcdefgh")) == (
        b'{"a":1,"b":1.50,"c":true,"d":null,"e":"NaN","f":{"a":[1,null]},"g":"2013-01-02","h":"7"}\n'
    )
    format = JsonLines(("a INT", "b DECIMAL(9,2)", "c BOOLEAN", "d DOUBLE", "e MAP<STRING,INT>"))
    assert written(format, ("7", "1.50", "true", "NaN", "{}")) == b'{"a":7,"b":1.50,"c":true,"d":"NaN","e":"{}"}\n'


@pytest.mark.parametrize(
    "row", [("007", "1", "true"), ("1", "1.555", "true"), ("1", "1", "yes"), ("1\n2", "1", "true")]
)
def test_a_text_that_is_no_value_of_its_column_is_refused(row: Row) -> None:
    for format in (JsonLines, Parquet):
        with pytest.raises(FormatError, match=r"Row 2 has '.*' in the column '.', which is no .* as it stands"):
            written(format(("a INT", "b DECIMAL(9,2)", "c BOOLEAN")), ("1", "1.5", "true"), row)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b'{"a":1}\n\n{"a":1,"b":2}', "Line 3 has the key 'b', but the first object has only a. Name the columns"),
        (b'{"a":1} {"a":2}', "Line 1 has more than one JSON object"),
        (b'{"a":1}\n[1]', r"Line 2 is no JSON object: '\[1\]'"),
        (b'{"a":NaN}', "Line 1 holds NaN, which is no JSON"),
        (b'{"a":1,"a":2}', "Line 1 has the key 'a' twice"),
        (b'{"a":', "Line 1 is no JSON, from its end on"),
        (b"{}", "Line 1 is an object without keys"),
        (b'{"a":1}\n\xff', "Line 2 is not valid UTF-8"),
        (b'{"a":' + b"[" * 100_000, "Line 1 is nested too deeply"),
    ],
)
def test_what_is_no_json_object_is_refused_with_its_line(data: bytes, problem: str) -> None:
    with pytest.raises(FormatError, match=problem):
        read(data, JSON)


# Parquet

TYPES = (
    "i INT",
    "d DECIMAL(10,2)",
    "b BOOLEAN",
    "z TIMESTAMP WITH TIME ZONE",
    "t TIMESTAMP",
    "y DATE",
    "x BINARY",
    "f DOUBLE",
    "u UUID",
)


def test_texts_become_the_types_of_their_columns_in_parquet() -> None:
    row = ("7", "1.50", "true", "2013-01-02 03:04:05.5+02:00", "2013-01-02 03:04:05", "2013-01-02", "\\x00ff", "0.1")
    uuid = "00000000-0000-0000-0000-000000000001"
    assert read(written(Parquet(TYPES), (*row, uuid), (None,) * 9), Parquet()) == [
        (
            7,
            Decimal("1.50"),
            True,
            datetime(2013, 1, 2, 1, 4, 5, 500000, UTC),
            datetime(2013, 1, 2, 3, 4, 5),
            date(2013, 1, 2),
            b"\x00\xff",
            0.1,
            UUID(uuid),
        ),
        (None,) * 9,
    ]


def test_columns_without_a_type_have_that_of_their_values() -> None:
    data = written(
        Parquet(),
        (1, Decimal("1.50"), None, "x", {"a": [1]}),
        (2**40, Decimal("7.1"), None, "", None),
        columns=tuple("abc e"),
    )
    rows = read_rows(io.BytesIO(data), Parquet())
    assert [column.type for column in rows.columns] == ["BIGINT", "DECIMAL(38,2)", "VARCHAR", "VARCHAR", "VARCHAR"]
    assert next(rows)[0] == (1, Decimal("1.50"), None, "x", '{"a":[1]}')


def test_columns_of_parquet_are_chosen_by_name() -> None:
    data = written(Parquet(("a INT", "b STRING")), ("1", "x"))
    assert read(data, Parquet(("b", "a"))) == [("x", 1)]
    with pytest.raises(FormatError, match="has no column 'c', but a, b"):
        read(data, Parquet(("c",)))


def test_many_rows_go_through_parquet() -> None:
    def batches() -> Iterator[list[tuple[str | None, ...]]]:
        for number in range(40):
            yield [(str(number), None if row % 2 else "", "text\n" * 20) for row in range(1000)]

    stream = io.BytesIO()
    assert write_rows(stream, Parquet(("n INT", "e", "t")), batches()) == 40_000
    found = [row for batch in read_rows(io.BytesIO(stream.getvalue()), Parquet()) for row in batch]
    assert found[::1000] == [(number, "", "text\n" * 20) for number in range(40)]
    assert found[39_999] == (39, None, "text\n" * 20)


def test_an_error_among_many_rows_ends_the_writing_of_parquet() -> None:
    def batches(bad: str) -> Iterator[list[tuple[str, str]]]:
        yield from [[("1", "x" * 2000)] * 1000] * 2
        yield [(bad, "x")]
        yield from [[("1", "x" * 2000)] * 1000] * 2

    with pytest.raises(FormatError, match="Row 2001 has 'x' in the column 'n'"):
        write_rows(io.BytesIO(), Parquet(("n INT", "t")), batches("x"))
    with pytest.raises(FormatError, match=r"do not fit into Parquet.*99999999999.* in the column 'n'"):
        write_rows(io.BytesIO(), Parquet(("n INT", "t")), batches("99999999999"))


@pytest.mark.parametrize("data", [b"", b"a,b\n1,2\n", b"PAR1" + b"x" * 100])
def test_what_is_no_parquet_file_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError, match="is no Parquet file that can be read") as raised:
        read(data, Parquet())
    assert "/" not in str(raised.value)


def test_a_type_that_is_not_known_is_refused() -> None:
    with pytest.raises(FormatError, match=r"The type STRUCT<X:INT> of the column 'a' is not known\. Use STRING"):
        written(Parquet(("a struct<x:int>",)), ("1",))


# Regular expressions


def test_the_groups_of_an_expression_are_the_columns() -> None:
    format = RegEx(GUIDE, "%1$s %2$s %3$s %4$s %5$s %6$s %7$s %8$s %9$s")
    line = b'127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /a.gif HTTP/1.0" 200 2326 "-" "Mozilla/4.08"\n'
    rows = read(line + b"h - - - - - -\n", format)
    assert rows[0][4:] == ('"GET /a.gif HTTP/1.0"', "200", "2326", '"-"', '"Mozilla/4.08"')
    assert rows[1] == ("h", "-", "-", "-", "-", "-", "-", None, None)
    assert written(format, rows[0]) == line
    with pytest.raises(FormatError, match="Row 1 would be the line 'h - - - - - -  ', which inputRegEx does not read"):
        written(format, rows[1])


@pytest.mark.parametrize(
    ("expression", "line", "row"),
    [
        (r"(?<n>\p{Alpha}++)\Q.-\E(\P{Digit})(\d+)\z", "ab.-é12", ("ab", "é", "12")),
        (r"(\w*)(.*)", "aé", ("a", "é")),
        (r"(\x{1F642})(\x41)(\01)", "🙂A\x01", ("🙂", "A", "\x01")),
        (r"([\p{Upper}_]+)(\h)(.*)", "A_B\u3000x", ("A_B", "\u3000", "x")),
        (r"(?i)(A)(?:x|(y))", "ax", ("a", None)),
        (r"(?<q>['\"])(.*?)\k<q>", '"x"', ('"', "x")),
    ],
)
def test_expressions_are_javas(expression: str, line: str, row: Row) -> None:
    assert read(f"{line}\n".encode(), RegEx(expression)) == [row]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ((r"(\p{L})", None), r"has \\p\{L\}, which cannot be used here"),
        (("([a-z&&[^b]])", None), "intersection of classes"),
        (("([a[b]])", None), "a class inside a class"),
        ((r"(\Ga)", None), r"has \\G"),
        (("(a)(?i)b", None), r"has \(\?i\)"),
        (("(a", None), "is wrong: missing"),
        (("a", None), "has no group"),
        (("(a)", None, ("x", "y")), "has 1 group, but `column` names 2"),
        ((None, "%1$d"), "outputFormat has '%1\\$d'. Use %1\\$s"),
    ],
)
def test_what_cannot_be_an_expression_or_a_format_is_refused(given: tuple[str, ...], problem: str) -> None:
    with pytest.raises(FormatError, match=problem):
        RegEx(*given)  # type: ignore[arg-type]


def test_a_line_that_does_not_match_is_refused() -> None:
    with pytest.raises(FormatError, match=r"Line 2 does not match inputRegEx '\(\\\\d\+\)': 'x'"):
        read(b"1\nx\n", RegEx(r"(\d+)"))


def test_a_row_that_no_line_can_hold_is_refused() -> None:
    for row, problem in ((("a\nb",), "more than one line"), ((None,), "holds NULL"), (("a", "b", "c"), "column 4")):
        with pytest.raises(FormatError, match=problem):
            written(RegEx(None, "%4$s" if len(row) > 1 else "%s"), row)
    for format in (RegEx(None, None), RegEx("(.)", None)):
        with pytest.raises(FormatError, match="without outputFormat"):
            written(format, ("a",))
    with pytest.raises(FormatError, match="without inputRegEx"):
        read(b"a\n", RegEx(None, "%s"))
    assert written(RegEx(None, "%-3s|%3s%%"), ("a", "b")) == b"a  |  b%\n"


# DynamoDB's exports

LINE = b'id\x03{"s":"Seattle"}\x02scores\x03{"nS":["100","30"]}\x02n\x03{"n":"1.50"}\x02b\x03{"b":"AP8="}\n'


def test_an_export_of_data_pipeline_is_read_by_attributes() -> None:
    format = DynamoDBExport(("id STRING", "n DOUBLE", "b BINARY", "scores ARRAY<DOUBLE>", "none"))
    assert read(LINE, format) == [("Seattle", "1.50", b"\x00\xff", '{"NS":["100","30"]}', None)]
    assert written(format, *read(LINE, format)) == (
        b'id\x03{"s":"Seattle"}\x02n\x03{"n":"1.50"}\x02b\x03{"b":"AP8="}\x02scores\x03{"ns":["100","30"]}\n'
    )


def test_without_columns_a_row_is_a_whole_item() -> None:
    newer = b'{"id":{"s":"x"},"m":{"m":{"l":{"l":[{"bool":true},{"null":true},{"n":"1"}]}}}}\n'
    rows = read_rows(io.BytesIO(LINE + b"\n" + newer), EXPORT)
    items = [row for batch in rows for row in batch]
    assert items[1] == ('{"id":{"S":"x"},"m":{"M":{"l":{"L":[{"BOOL":true},{"NULL":true},{"N":"1"}]}}}}',)
    assert read(written(EXPORT, *items, columns=(rows.columns[0].name,)), EXPORT) == items


def test_values_are_attributes_by_their_types() -> None:
    row = (1, Decimal("1.50"), "q\n\x02", b"1", True, {"a": [1, None]}, None)
    assert written(EXPORT, row, columns=tuple("abcdefg")) == (
        b'a\x03{"n":"1"}\x02b\x03{"n":"1.50"}\x02c\x03{"s":"q\\n\\u0002"}\x02d\x03{"b":"MQ=="}\x02e\x03{"bool":true}'
        b'\x02f\x03{"m":{"a":{"l":[{"n":"1"},{"null":true}]}}}\n'
    )
    assert written(EXPORT, ("x", 5), columns=("a b", "n")) == b'{"a b":{"s":"x"},"n":{"n":"5"}}\n'


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b'a\x03{"x":"1"}', "Line 1 has an attribute of the type 'x', which DynamoDB does not know"),
        (b"a", "Line 1 has an attribute without a value: 'a'"),
        (b'{"a":1}', "Line 1 has an attribute that is not of the form"),
        (b'a\x03{"n":"x"}', "Line 1 has an attribute of the type 'n' with \"x\""),
        (b'a\x03{"b":"?"}', "Line 1 has an attribute of the type 'b'"),
        (b'a\x03{"s":"1"}\x02a\x03{"s":"1"}', "Line 1 has the attribute 'a' twice"),
        (b'a\x03{"s":"1"', "Line 1 is no item"),
    ],
)
def test_what_is_no_item_is_refused(line: bytes, problem: str) -> None:
    with pytest.raises(FormatError, match=problem):
        read(line + b"\n", EXPORT)


def test_a_row_without_an_attribute_and_a_wrong_value_are_refused() -> None:
    format = DynamoDBExport(("n INT", "x ARRAY<STRING>", "b BINARY"))
    for row, problem in (
        ((None, None, None), "Row 1 has no attribute: all its values are NULL"),
        (("x", None, None), "Row 1 has 'x' in the column 'n', which is no INT"),
        ((None, '["a"]', None), "Row 1 is no item"),
        ((None, None, "x"), "Row 1 has 'x' in the column 'b', which is no BINARY"),
    ):
        with pytest.raises(FormatError, match=problem):
            written(format, row)


# All

texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    st.text('"\\{},:\r\n\t\x02\x03 \u2028', max_size=5),
    st.sampled_from(["", "NULL", "null", "\\N", "1.50", "true"]),
)
rows = st.lists(st.tuples(texts, st.none() | texts), max_size=6)


@pytest.mark.parametrize(
    "format",
    [JsonLines(("a b", "c")), DynamoDBExport(("a b", "c")), RegEx("(?s)(.*)\x1f(?:-|\\+(.*))", None)],
    ids=lambda format: format.name,
)
@settings(max_examples=100)
@given(rows=rows)
def test_every_row_reads_back_as_it_was_written(format: AnyFormat, rows: list[tuple[str | None, ...]]) -> None:
    if isinstance(format, RegEx):
        rows = [(first.translate({10: 32, 13: 32, 31: 32}), "") for first, _ in rows]
        format = RegEx("(?s)(.*)\x1f(.*)", "%1$s\x1f%2$s")
    assert read(written(format, *rows), format) == rows


@settings(max_examples=15)
@given(rows=rows)
def test_every_row_reads_back_from_parquet(rows: list[tuple[str | None, ...]]) -> None:
    assert read(written(Parquet(("a STRING", "b STRING")), *rows), Parquet()) == rows
