"""Records of RFC 4180, headers, widths, and CSV for Excel."""

from __future__ import annotations

import io
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.data.formats import (
    CSV,
    AnyFormat,
    Column,
    ExcelCsv,
    FormatError,
    JsonLines,
    Row,
    delimited,
    read_rows,
    write_rows,
)

QUOTED = delimited("CSV", quoting="rfc4180")
EXCEL = ExcelCsv()


def written(format: AnyFormat, *rows: Row, columns: tuple[str, ...] = ()) -> bytes:
    stream = io.BytesIO()
    assert write_rows(stream, format, [rows], columns=[Column(name) for name in columns]) == len(rows)
    return stream.getvalue()


def read(data: bytes, format: AnyFormat) -> list[tuple[object, ...]]:
    return [row for batch in read_rows(io.BytesIO(data), format) for row in batch]


# Quotes


def test_null_is_nothing_the_empty_string_is_two_quotes_and_the_word_is_a_word() -> None:
    row = (None, "", "NULL", "\\N", '"', '""')
    assert written(QUOTED, row) == b',"",NULL,\\N,"""",""""""\n'
    assert read(written(QUOTED, row), QUOTED) == [row]


def test_a_value_is_quoted_only_where_it_must_be() -> None:
    assert written(QUOTED, ("a b", "a,b", 'a"b', "a\nb", "a\rb")) == b'a b,"a,b","a""b","a\nb","a\rb"\n'


def test_a_single_column_tells_null_from_the_empty_string() -> None:
    assert written(QUOTED, (None,), ("",), ("\\.",)) == b'\n""\n"\\."\n'
    assert read(b'\n""\n"\\."\n', QUOTED) == [(None,), ("",), ("\\.",)]


def test_two_quotes_inside_a_quoted_value_are_no_empty_string() -> None:
    assert read(b'"a,"",b","",c\n', QUOTED) == [('a,",b', "", "c")]


def test_lines_of_windows_and_a_byte_order_mark_are_read() -> None:
    assert read(b'\xef\xbb\xbf"a",b\r\n"c\r\nd",\r\n', QUOTED) == [("a", "b"), ("c\r\nd", None)]
    assert read(written(QUOTED, ("\ufeffa", "b")), QUOTED) == [("\ufeffa", "b")]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b'a,b\nc,"d\ne', r"Row 2 has a quote that is never closed, before 'd\\ne'"),
        (b'"x\ny",b\na"b,c\n', r"Row 2 \(line 3\) has a quote in the middle of an unquoted field, 'a\"b,c'"),
        (b'ab",c\n', "Row 1 has a quote in the middle of an unquoted field"),
        (b'a,"b"c\n', "Row 1 has text after a closing quote, '\"b\"c'"),
        (b"a\rb,c\n", "Row 1 has a carriage return in an unquoted field"),
        (b'"x\ny",b\n\xff,c\n', r"Row 2 \(line 3\) is not valid UTF-8"),
        (b'"x\ny",b\nc\n', r"Row 2 \(line 3\) has 1 column, the first is 'c', but row 1 has 2 columns"),
    ],
)
def test_what_rfc_4180_does_not_allow_is_refused(data: bytes, problem: str) -> None:
    with pytest.raises(FormatError, match=problem):
        read(data, QUOTED)


@pytest.mark.parametrize("given", [{"escape_char": "^"}, {"record_separator": ";"}, {"column_separator": '"'}])
def test_marks_that_do_not_go_with_quotes_are_refused(given: dict[str, str]) -> None:
    with pytest.raises(FormatError, match="with quoting 'rfc4180'"):
        delimited("Custom", quoting="rfc4180", **given)


def test_separators_may_be_written_as_codes() -> None:
    for text in ("\x01", "\\u0001", "\\x01", "\\001"):
        format = delimited("Custom", column_separator=text, record_separator="\\x02")
        assert written(format, ("a", None), ("b,\n"[:2], "")) == b"a\x01\\N\x02b,\x01\x02"


# Columns


@pytest.mark.parametrize("data", [b"a,b\nc\n", b"a,b\nc,d,e\n", b"a,b\n\n"])
def test_a_row_of_another_width_is_refused_in_every_dialect(data: bytes) -> None:
    for format in (CSV(), QUOTED):
        with pytest.raises(FormatError, match=r"Row 2 has \d columns?, the first is .*, but row 1 has 2 columns"):
            read(data, format)
    with pytest.raises(FormatError, match="Row 1 has 2 columns, the first is 'a', but the column list of the format"):
        read(data, CSV(columns=["A INT", "B", "C"]))


def test_rows_of_another_width_are_not_written() -> None:
    with pytest.raises(FormatError, match="Row 2 has 1 column, the first is NULL, but row 1 has 2 columns"):
        written(CSV(), ("a", "b"), (None,))


@pytest.mark.parametrize("quoting", ["none", "rfc4180"])
def test_a_header_holds_the_names_of_the_columns(quoting: str) -> None:
    format = delimited("CSV", ("id INT", "Name STRING"), quoting=quoting, header=True)
    assert written(format, ("1", "x")) == b"id,Name\n1,x\n"
    rows = read_rows(io.BytesIO(b"id,Name\r\n1,x\r\n"), format)
    assert (rows.columns, list(rows)) == ((Column("id", "INT"), Column("Name", "STRING")), [[("1", "x")]])
    unnamed = delimited("CSV", quoting=quoting, header=True)
    assert written(unnamed, columns=("a", "b")) == b"a,b\n"
    assert read_rows(io.BytesIO(b"a,b\n"), unnamed).columns == (Column("a"), Column("b"))
    assert read(b"", unnamed) == []


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"id,name\n1,x\n", "The header is id, name, but the columns of the format are id, Name"),
        (b"id\n", "The header is id, but the columns"),
        (b"id,Name\n1\n", r"Row 1 \(line 2\) has 1 column"),
    ],
)
def test_a_header_that_names_other_columns_is_refused(data: bytes, problem: str) -> None:
    with pytest.raises(FormatError, match=problem):
        read(data, delimited("CSV", ("id INT", "Name STRING"), header=True))


def test_names_that_are_not_known_cannot_be_written() -> None:
    for format in (delimited("CSV", header=True), JsonLines()):
        with pytest.raises(FormatError, match=r"needs the names of the columns.*Name them in `column`"):
            written(format, ("a",))
    with pytest.raises(FormatError, match="two columns are called 'a'"):
        written(JsonLines(), ("1", "2"), columns=("a", "a"))


def test_a_header_is_part_of_the_text_of_a_format() -> None:
    plain, header = CSV(), CSV(header=True)
    assert plain.joins and not header.joins
    assert not plain.same_text(header) and header.same_text(CSV(header=True))
    assert not CSV().same_text(QUOTED) and QUOTED.same_text(delimited("X", ("a INT",), quoting="rfc4180"))


# Excel


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("00123", '"=""00123"""'),
        ("1234567890123456", '"=""1234567890123456"""'),
        ("123456789012345", "123456789012345"),
        ("1.50", '"=""1.50"""'),
        (Decimal("1.50"), "1.50"),
        ("-1.5", "-1.5"),
        ("=1+1", '"=""=1+1"""'),
        ("@x", '"=""@x"""'),
        ("1-2", '"=""1-2"""'),
        ("5. März", '"=""5. März"""'),
        ("true", '"=""true"""'),
        (True, "true"),
        ("2013-01-02", "2013-01-02"),
        ("plain, text", '"plain, text"'),
        ("", '""'),
        (None, ""),
    ],
)
def test_excel_gets_a_formula_where_it_would_change_a_text(value: object, text: str) -> None:
    assert written(EXCEL, (value, "x")).decode() == f"\ufeff{text},x\r\n"


def test_a_column_of_numbers_stays_one_for_excel() -> None:
    assert written(ExcelCsv(("a DECIMAL(5,2)",)), ("1.50",)) == b"\xef\xbb\xbf1.50\r\n"


@pytest.mark.parametrize("value", ["x" * 32_768, "=" + "x" * 9000])
def test_a_text_that_no_cell_takes_is_refused(value: str) -> None:
    with pytest.raises(FormatError, match=r"Row 1 has a text of \d+ characters"):
        written(EXCEL, (value,))


texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    st.text('",\r\n=+-@019.e \t\ue000', max_size=6),
    st.sampled_from(["", "NULL", "null", "\\N", "=" + '"' * 300]),
)


@pytest.mark.parametrize("format", [EXCEL, ExcelCsv(("a", "b"), True, ";")], ids=["plain", "header"])
@settings(max_examples=100)
@given(rows=st.lists(st.tuples(st.none() | texts, st.none() | texts), max_size=6))
def test_every_row_for_excel_reads_back_as_it_was_written(format: ExcelCsv, rows: list[tuple[str | None, ...]]) -> None:
    assert read(written(format, *rows), format) == rows
