"""The page of data formats: its text, and the tables of what comes out, made by writing and reading real rows."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

from penstock.data.formats import (
    CSV,
    TSV,
    AnyFormat,
    Column,
    DynamoDBExport,
    ExcelCsv,
    FormatError,
    JsonLines,
    Parquet,
    RegEx,
    Row,
    delimited,
    read_rows,
    to_text,
    write_rows,
)

NAMES = ("id", "v")
FORMATS: dict[str, AnyFormat] = {
    "CSV": CSV(columns=NAMES),
    "TSV": TSV(columns=NAMES),
    "CSV, rfc4180": delimited("CSV", NAMES, quoting="rfc4180"),
    "Custom `\\|`": delimited("Custom", NAMES, column_separator="|"),
    "RegEx": RegEx("(.*?);(.*)", "%1$s;%2$s", NAMES),
    "DynamoDB export": DynamoDBExport(NAMES),
    "JSONLines": JsonLines(NAMES),
    "Parquet": Parquet(NAMES),
    "ExcelCSV": ExcelCsv(NAMES),
}
"""Every format, with two columns of no declared type; RegEx is `(.*?);(.*)` and `%1$s;%2$s`."""
VALUES: dict[str, object] = {
    "NULL": None,
    "the empty string": "",
    "the word NULL": "NULL",
    "`\\N`": "\\N",
    "`a,b`": "a,b",
    '`say "hi"`': 'say "hi"',
    "tab": "a\tb",
    "line feed": "a\nb",
    "CR and LF": "a\r\nb",
    "`C:\\temp`": "C:\\temp",
    "`a\\|b`": "a|b",
    "`naïve 日本 🙂`": "naïve 日本 🙂",
    "` x ` with its spaces": " x ",
    "`007`": "007",
    "`=1+1`": "=1+1",
    "integer": 9007199254740993,
    "decimal": Decimal("1.50"),
    "float": 0.1,
    "boolean": True,
    "date": date(2013, 1, 2),
    "timestamp": datetime(2013, 1, 2, 3, 4, 5, 678900),
    "with zone": datetime(2013, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=-5))),
    "bytes": b"\x00\xff",
}
"""What the tables are about: values as databases and formats with types give them."""


def written(format: AnyFormat, rows: list[Row], columns: tuple[Column, ...] = ()) -> bytes:
    """The file of rows. Raises `FormatError`."""
    stream = io.BytesIO()
    write_rows(stream, format, [rows], columns=columns)
    return stream.getvalue()


def read(data: bytes, format: AnyFormat) -> list[tuple[object, ...]]:
    """The rows of a file."""
    return [row for batch in read_rows(io.BytesIO(data), format) for row in batch]


def formats() -> Iterator[str]:
    """The page."""
    yield "# Data formats"
    yield MADE
    yield TEXT
    yield "## How values are written"
    yield (
        "A row of `1` and the value, as each format writes it; control characters are shown as `␊` (line feed), `␍`,\n"
        "`␉`, `␂`, `␃`, and the byte order mark as `BOM`. Parquet has no text: it shows what is read back."
    )
    yield _values_table()
    yield "## What comes out, for each pair"
    yield (
        "Every value of the table above is written in the format of the row, read, written in that of the column and\n"
        "read again. *all* is all: NULL, the empty string and the word NULL stay three, and every text is the same.\n"
        "What is refused is an error that names the row, and nothing is written. Times with a zone come out of\n"
        "Parquet in UTC: the moment is the same, the text is not."
    )
    yield _pairs_table()


def _values_table() -> str:
    lines = [f"| value | {' | '.join(FORMATS)} |", "|---" * (len(FORMATS) + 1) + "|"]
    parquet = through(FORMATS["Parquet"], VALUES)
    for label, value in VALUES.items():
        cells = []
        for format in FORMATS.values():
            if isinstance(format, Parquet):
                cells.append(_shown_value(parquet[label]))
                continue
            try:
                text = written(format, [("1", value)]).decode().removesuffix("\n").removesuffix("\r")
                cells.append(f"`{_visible(text)}`")
            except FormatError:
                cells.append("refused")
        lines.append(f"| {label} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _shown_value(value: object) -> str:
    if value is None:
        return "NULL"
    return f"{type(value).__name__} `{_visible(str(to_text(value)))}`" if value != "" else "str, empty"


def _visible(text: str) -> str:
    marks = {"\n": "␊", "\r": "␍", "\t": "␉", "\x02": "␂", "\x03": "␃", "\ufeff": "BOM ", "|": "\\|"}
    return "".join([marks.get(character, character) for character in text])


def _pairs_table() -> str:
    lines = [f"| from \\ to | {' | '.join(FORMATS)} |", "|---" * (len(FORMATS) + 1) + "|"]
    for name, source in FORMATS.items():
        given = through(source, VALUES)
        cells = [_difference(given, through(target, given)) for target in FORMATS.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def through(format: AnyFormat, values: Mapping[str, object]) -> dict[str, object]:
    """The values as they are read from a file that they were written to, without those that the format refuses.

    Each is in a file of its own, but in Parquet, where each is in a column of its own.
    """
    if isinstance(format, Parquet):
        columns = tuple([Column(label) for label in values])
        (row,) = read(written(Parquet(), [tuple(values.values())], columns), Parquet())
        return dict(zip(values, row, strict=True))
    found = {}
    for label, value in values.items():
        try:
            ((_, found[label]),) = read(written(format, [("1", value)]), format)
        except FormatError:
            continue
    return found


def _difference(given: Mapping[str, object], found: Mapping[str, object]) -> str:
    refused = [label for label in given if label not in found]
    changed = [label for label in found if to_text(found[label]) != to_text(VALUES[label])]
    parts = [f"{word}: {', '.join(labels)}" for word, labels in (("refused", refused), ("changed", changed)) if labels]
    return "; ".join(parts) or "all"


MADE = "<!-- Made by docs/build.py from docs/formats_reference.py; edit that. -->"
TEXT = r"""Which format a file has, an S3DataNode's `dataFormat` says; without one it is CSV where a copy needs rows.
Text is UTF-8. NULL, the empty string and the word NULL are three different values in every format here, and through
every copy.

| type | what it is | of AWS Data Pipeline |
|---|---|---|
| CSV, TSV, Custom | values between separators | yes; `quoting`, `header` and Custom's `escapeChar` are extensions |
| RegEx | lines that a regular expression takes apart | yes |
| DynamoDBExportDataFormat, DynamoDBDataFormat | the files of DynamoDB's exports | yes |
| JSONLines | an object on each line | an extension |
| Parquet | typed columns | an extension |
| ExcelCSV | CSV that Excel opens without changing a value | an extension |

`compression` of an S3DataNode is none, gzip (also of several members) or zstd (an extension). A file that is
cut off or damaged is an error that names it, and so is one that is not compressed; an empty one has no rows.

## Columns

`column` names the columns with their types, as in `Score INT`. A row has as many values as `column` has names,
else as the first row: one with more or fewer is an error that names the file, the row, its line if that is
another, and what was found. This holds in AWS's own dialect too, where the service's answer is not known: a row
that is cut short is damaged data, not one with NULLs. Names are used where a format has them (`header`,
JSONLines, Parquet, the DynamoDB export); where neither `column` nor the source names columns, such a format
cannot be written.

Types are used where a format has types, JSONLines and Parquet, and by ExcelCSV and the DynamoDB export: STRING,
VARCHAR, BOOLEAN, TINYINT, SMALLINT, INT, BIGINT, FLOAT, DOUBLE, DECIMAL(p,s), DATE, TIME, TIMESTAMP, TIMESTAMP
WITH TIME ZONE, UUID, BINARY. A text that would have to be changed to be of its column's type (`007` or `1.5` in
an INT, three decimals in a DECIMAL(10,2)) is an error; declare the column STRING to keep it. The separated
formats keep the text that they find.

## Values as text

Where a value comes typed, from a database or from Parquet, its text is the same in every format: `true` and
`false`; whole numbers and decimals by their digits, a decimal with its zeros; a float by the fewest digits that
read back as it, `NaN`, `Infinity`; `2013-01-02`, `03:04:05.6789`, `2013-01-02 03:04:05.6789+00:00`; bytes as
`\x00ff`; what is nested as JSON. A text that is read from a file is never parsed on its way: it comes out with
the digits that went in.

One record is at most 64 MiB long, and so is one field, or what `longest_record` of `[data]` in the settings says;
a longer one is an error that names the file, the row and the setting. A task runner holds the whole record, so a
text with characters beyond Latin-1 counts as what it takes in memory: 2 bytes for each of its characters, or 4 if
it has one beyond the first 65,536 of Unicode, such as an emoji.

## CSV, TSV and Custom

The Unix kind, as the service has it: values are not quoted. NULL is `\N`, the empty string is nothing. A
separator, a line feed, a carriage return or the escape character inside a value has the escape character before
it, and an escaped character means itself. A carriage return before the line feed that ends a record is taken
off. A quote is a character like others. Separators are single characters, control characters too, which may be
written `\t`, `\u0001`, `\x01` or `\001`. Custom has no escape character unless `escapeChar` gives one: a value
that holds a separator is refused then.

`quoting: rfc4180` is RFC 4180: a value that needs it stands in quotes, with a quote inside doubled and line
breaks as they are; NULL is nothing and the empty string is `""`. Records end in a line feed; a carriage return
before it is read too, as is a byte order mark at the beginning. An unclosed quote, a quote in the middle of an
unquoted field, text after a closing quote and a carriage return alone outside of quotes are errors.

`header: true`: the first record holds the names. They are written, and when read they must be those of
`column`, if it is given.

## RegEx

Each line must match `inputRegEx` as a whole, or it is an error that shows it. Each group is a column, and a
group that takes no part is NULL. The syntax is Java's: POSIX classes (`\p{Alpha}`), possessive quantifiers,
named groups, `\Q…\E`, `\h`, `\R` and the like are understood; `\d`, `\w`, `\s` are ASCII's. Intersections and
unions of classes, Unicode categories (`\p{L}`), `\G` and flags in the middle are refused by name.

`outputFormat` has `%1$s` (or `%s`) for a column, with a width to pad to (`%-10s`), and `%%`. A row is written
only if `inputRegEx`, where there is one, reads the line back as the same row; without one a NULL is refused.

## DynamoDBExportDataFormat, DynamoDBDataFormat

The files of Data Pipeline's and EMR's exports: an item on each line, `name␃{"s":"text"}␂…` (control characters
3 and 2), or a JSON object of such values; both are read. The second is written where a name has other
characters than letters, digits, `_`, `-` and `.`. With `column` a row has those attributes: s is a text, n a
number with its digits, bool, b bytes, null or a missing one NULL, and ss, ns, bs, l and m DynamoDB's JSON
(`{"SS":["a","b"]}`). Without `column` a row is one column `item`, the whole item as DynamoDB's JSON. A NULL is
written as no attribute, and a row of nothing else is refused. A text is written as s, but in a column of
numbers as n, BOOLEAN as bool, BINARY as b, and ARRAY or MAP is DynamoDB's JSON.

## JSONLines

An object on each line; empty lines are passed over. The columns are those of `column`, and other keys are not
read; without it those of the first object, and a further key in another is an error. NULL is null or a missing
key. Numbers keep their digits, what is nested is JSON. A key that comes twice, `NaN` and what is no object are
errors. Texts are written in quotes, but in columns of numbers and of BOOLEAN as they are; NaN and infinities
are written as texts.

## Parquet

By DuckDB, in row groups of at most 122,880 rows, compressed by Snappy. A column has the type that `column` says,
else that of the source's file, else that of its values in the first rows: BIGINT, DECIMAL(38,s), DOUBLE,
BOOLEAN, DATE, TIME, TIMESTAMP, TIMESTAMP WITH TIME ZONE, UUID or BLOB, and text where they are texts, all NULL
or of several kinds. A decimal has as many digits after the point as its column. Times with a zone are moments,
which are read in UTC. Lists, structs and maps are read as JSON, and not written. `column` may choose and order
the columns that are read. A row is at most 8 MiB when it is written.

## ExcelCSV

RFC 4180 with a byte order mark, so that Excel reads UTF-8, and CRLF after each record. Excel makes numbers,
dates, truth and formulas of what looks like them even in quotes, so such a text is written as a formula of
nothing but the text, `="00123"`: leading zeros, more than 15 digits, digits with at most three words (`1-2`, `5
Mar`), `true`, and what begins with `=`, `+`, `-`, `@` or `#`. Excel shows it as it is, and it is read back as
the text. Plain numbers, ISO dates and timestamps of whole seconds stay what they are. A decimal that ends in 0
is a number if its value or its column's type says so, else a text. A text over 32,767 characters, which is all
that a cell takes, is refused. An Excel whose language has a decimal comma wants `columnSeparator: ;`, and reads
`1.5` as a date."""
