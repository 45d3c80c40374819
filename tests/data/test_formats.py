"""Rows as text: CSV of the Unix kind, TSV and custom formats."""

from __future__ import annotations

import io
import re
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.data import records
from penstock.data.formats import CSV, TSV, Format, FormatError, Row, delimited, read_rows, to_text, write_rows
from penstock.data.formats import rows as formats_rows

CUSTOM = Format("Custom", "|", ";", None)
QUOTED = delimited("CSV", quoting="rfc4180")
FORMATS = [
    CSV(),
    TSV(),
    CSV(escape_char="^"),
    TSV(column_separator="§", record_separator="\r", escape_char="🙂"),
    Format("words", " ", "\n", "\\", null_text="NULL"),
    QUOTED,
    delimited("Custom", quoting="rfc4180", column_separator="🙂"),
]


def written(format: Format, *rows: Row) -> bytes:
    stream = io.BytesIO()
    assert write_rows(stream, format, [rows]) == len(rows)
    return stream.getvalue()


def read(data: bytes, format: Format, batch_size: int = 2000) -> list[tuple[str | None, ...]]:
    return [row for batch in read_rows(io.BytesIO(data), format, batch_size=batch_size) for row in batch]


def test_csv_has_commas_line_feeds_and_no_quotes() -> None:
    assert written(CSV(), ("a", 'say "hi"'), (1, None)) == b'a,say "hi"\n1,\\N\n'
    assert read(b'a,say "hi"\n1,\\N\n', CSV()) == [("a", 'say "hi"'), ("1", None)]


def test_tsv_has_tabs() -> None:
    assert written(TSV(), ("a,b", "c\td"), (None, "")) == b"a,b\tc\\\td\n\\N\t\n"


def test_a_null_is_written_as_backslash_N_and_differs_from_the_empty_string_and_the_word() -> None:
    for format in (CSV(), TSV()):
        row = (None, "", "NULL", "\\N", "N", "null")
        assert read(written(format, row), format) == [row]
    assert written(CSV(), (None, "", "NULL", "\\N", "N")) == b"\\N,,NULL,\\\\N,N\n"


@pytest.mark.parametrize("value", [",", "\\", "\n", "\r", "a,b\\c\nd\re", "\\,", "\r\n", "\\\\", "a\\"])
def test_a_value_with_a_separator_has_the_escape_character_before_it(value: str) -> None:
    text = written(CSV(), (value, "next")).decode()
    assert text == re.sub(r"([,\\\n\r])", r"\\\1", value) + ",next\n"
    assert read(text.encode(), CSV()) == [(value, "next")]


def test_the_escape_character_can_be_another() -> None:
    format = CSV(escape_char="^")
    assert written(format, ("a,b", "^", "\\", None, "\\N")) == b"a^,b,^^,\\,\\N,^\\N\n"
    assert read(b"a^,b,^^,\\,\\N,^\\N\n", format) == [("a,b", "^", "\\", None, "\\N")]


def test_an_escape_character_makes_the_next_character_itself() -> None:
    assert read(rb"\a,\n,x\Ny" + b"\n", CSV()) == [("a", "n", "xNy")]


def test_an_empty_line_is_a_row_of_one_empty_string() -> None:
    assert written(CSV(), ("",), ("",)) == b"\n\n"
    assert read(b"\n\n", CSV()) == [("",), ("",)]
    assert read(b"", CSV()) == []


def test_the_last_record_needs_no_separator() -> None:
    assert read(b"a,b\nc,d", CSV()) == [("a", "b"), ("c", "d")]


def test_a_return_before_a_line_feed_ends_the_record_too() -> None:
    assert read(b"a,b\r\nc,\\N\r\nd,x\\\r\n", CSV()) == [("a", "b"), ("c", None), ("d", "x\r")]
    assert read(b"a\rb\n", CSV()) == [("a\rb",)]


def test_other_line_breaks_of_unicode_are_text() -> None:
    assert read("a\u2028b\x0bc\x85\n".encode(), CSV()) == [("a\u2028b\x0bc\x85",)]


def test_a_format_without_an_escape_character_takes_backslashes_as_they_are() -> None:
    assert read(b"C:\\temp|\\N;x|y", CUSTOM) == [("C:\\temp", None), ("x", "y")]
    assert written(CUSTOM, ("C:\\temp", None)) == b"C:\\temp|\\N;"


def test_batches_have_the_size_that_was_asked_for() -> None:
    data = b"".join(b"%d\n" % number for number in range(100_000))
    sizes = [len(batch) for batch in read_rows(io.BytesIO(data), CSV(), batch_size=3000)]
    assert sizes == [3000] * 33 + [1000]


values = st.one_of(
    st.none(), st.text(st.characters(exclude_categories=["Cs"])), st.text(",\t\\\n\r^§🙂 N\x00", max_size=5)
)
rows = st.integers(1, 4).flatmap(lambda width: st.lists(st.tuples(*[values] * width), max_size=8))


@pytest.mark.parametrize("format", FORMATS, ids=lambda format: f"{format.name} {format.escape_char}")
@settings(max_examples=150)
@given(rows=rows, chunk=st.sampled_from([1, 2, 3, 7, 1 << 18]))
def test_every_row_reads_back_as_it_was_written(format: Format, rows: list[tuple[str | None, ...]], chunk: int) -> None:
    data = written(format, *rows)
    whole = records._CHUNK
    records._CHUNK = chunk
    try:
        assert read(data, format, batch_size=3) == rows
        if data:
            assert read(data[: -len(format.record_separator.encode())], format) == (
                rows[:-1] if rows[-1] == ((None if format.quote_char else ""),) else rows
            )
    finally:
        records._CHUNK = whole


@pytest.mark.parametrize("format", [CSV(), QUOTED], ids=["escaped", "quoted"])
@settings(max_examples=60)
@given(rows=rows)
def test_long_values_are_the_same_rows_and_text(format: Format, rows: list[tuple[str | None, ...]]) -> None:
    data = written(format, *rows)
    limit = formats_rows._LONG
    formats_rows._LONG = 0
    try:
        assert written(format, *rows) == data
        assert read(data, format) == rows
    finally:
        formats_rows._LONG = limit


def test_batches_of_long_rows_are_small() -> None:
    data = b"".join(b"%d,%s\n" % (number, b"x" * 1_000_000) for number in range(20))
    assert max(len(batch) for batch in read_rows(io.BytesIO(data), CSV())) <= 6


@given(rows=rows)
def test_rows_are_the_same_text_in_any_batches(rows: list[tuple[str | None, ...]]) -> None:
    stream = io.BytesIO()
    write_rows(stream, CSV(), ([row] for row in rows))
    assert stream.getvalue() == written(CSV(), *rows)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"a\nb\n\xff\n", "Row 3 is not valid UTF-8"),
        (b"a\\\nb\n\xff\n", r"Row 2 \(line 3\) is not valid UTF-8"),
        (b"a\nb\\", r"Row 2 ends in the escape character"),
        (b"\x1f\x8b\x08\x00", "compressed with gzip. Set compression to 'gzip'"),
    ],
)
def test_bytes_that_are_no_rows_are_refused_with_the_number_of_the_row(data: bytes, problem: str) -> None:
    with pytest.raises(FormatError, match=problem):
        read(data, CSV())


def test_a_record_over_the_limit_is_refused() -> None:
    too_long = (
        r"Row 2 is longer than 1,048,576 bytes, which \[data\] longest_record.*record separator '\\n' may be wrong"
    )
    with pytest.raises(FormatError, match=too_long):
        list(read_rows(io.BytesIO(b"a\n" + b"x" * (1 << 21)), CSV(), longest_record=1 << 20))
    with pytest.raises(FormatError, match=r"Row 2 is longer than 1,048,576 bytes.*A quote in it may never be closed"):
        list(read_rows(io.BytesIO(b'a\n"' + b"x\n" * (1 << 20)), QUOTED, longest_record=1 << 20))


@pytest.mark.parametrize(
    ("format", "row", "problem"),
    [
        (CUSTOM, ("a|b",), r"Row 2 holds 'a\|b', which the format Custom cannot write without an escape"),
        (CUSTOM, ("\\N",), r"Row 2 holds .*cannot write"),
        (Format("Custom", ",", null_text=None), (None,), "Row 2 holds NULL, which Custom cannot hold"),
        (CSV(), (), "Row 2 has 0 columns, but row 1 has 1 column"),
        (CSV(), (object(),), "Row 2 cannot be written.*type object has no text form"),
        (CSV(), ("\ud800",), "Row 2 holds text that is not valid Unicode"),
    ],
)
def test_a_value_that_a_format_cannot_hold_is_refused(format: Format, row: Row, problem: str) -> None:
    with pytest.raises(FormatError, match=problem):
        written(format, ("fine",), row)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: TSV(column_separator="||"), r"columnSeparator of the format TSV must be a single character"),
        (lambda: TSV(record_separator="\r\n"), "recordSeparator of the format TSV must be a single character"),
        (lambda: CSV(escape_char=""), "escapeChar of the format CSV must be a single character"),
        (lambda: CSV(escape_char=","), "must all differ"),
        (lambda: CSV(escape_char="N"), "escapeChar 'N' of the format CSV is part of its text for NULL"),
        (lambda: Format("Custom", "N"), "must be some text without separators"),
    ],
)
def test_a_format_that_contradicts_itself_is_refused(make: object, problem: str) -> None:
    with pytest.raises(FormatError, match=problem):
        make()  # type: ignore[operator]


def test_formats_of_other_names_and_columns_can_be_the_same_text() -> None:
    assert CSV(columns=["Name STRING"]).same_text(Format("Custom", ",", "\n", "\\"))
    assert not CSV().same_text(TSV())


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None),
        ("", ""),
        (True, "true"),
        (False, "false"),
        (-12, "-12"),
        (10**20, "1" + "0" * 20),
        (Decimal("1E+3"), "1000"),
        (Decimal("0.00000010"), "0.00000010"),
        (Decimal("NaN"), "NaN"),
        (0.1, "0.1"),
        (1.0, "1.0"),
        (1e300, "1e+300"),
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
        (float("nan"), "NaN"),
        (date(2013, 1, 2), "2013-01-02"),
        (time(1, 2, 3), "01:02:03"),
        (datetime(2013, 1, 2, 3, 4, 5), "2013-01-02 03:04:05"),
        (datetime(2013, 1, 2, 3, 4, 5, 60), "2013-01-02 03:04:05.00006"),
        (datetime(2013, 1, 2, 3, 4, 5, tzinfo=UTC), "2013-01-02 03:04:05+00:00"),
        (datetime(2013, 1, 2, tzinfo=timezone(timedelta(hours=-5))), "2013-01-02 00:00:00-05:00"),
        (b"\x00\xff", "\\x00ff"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ({"a": [1, None, "é"]}, '{"a":[1,null,"é"]}'),
        ([Decimal("1.50")], '["1.50"]'),
    ],
)
def test_every_value_has_one_text(value: object, text: str | None) -> None:
    assert to_text(value) == text


def test_typed_values_are_written_as_their_text() -> None:
    assert written(CSV(), (1, True, None, b"\x01", "a,b"), (2, False, 0.5, "", "x")) == (
        b"1,true,\\N,\\\\x01,a\\,b\n2,false,0.5,,x\n"
    )
