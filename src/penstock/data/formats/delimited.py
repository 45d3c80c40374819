"""What a delimited format is: its separators, its marks for NULL, escapes and quotes, and whether it has a header."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from penstock.data.formats.rows import parse_columns
from penstock.data.records import FormatError

_ESCAPES = {"\\t": "\t", "\\n": "\n", "\\r": "\r", "\\b": "\b", "\\f": "\f", "\\0": "\0", "\\\\": "\\"}
_CODE = re.compile(r"\\([0-3][0-7]{2})|\\x([0-9A-Fa-f]{2})|\\u([0-9A-Fa-f]{4})")


@dataclass(frozen=True)
class Format:
    """How rows are text: the character between columns, the one after a record, and one to escape or quote them.

    `escape_char` None: nothing can be escaped, and a value that would need it is refused. `null_text` None:
    NULL is refused. `columns` are names with types, such as `Score INT`: as many as a row has.

    `quote_char` `"`: records are those of RFC 4180. A field stands in quotes where it must, a quote inside is
    doubled, NULL is an unquoted empty field and the empty string is `""`; there is no escape character.
    `header`: the first record holds the names of the columns.
    """

    name: str
    column_separator: str
    record_separator: str = "\n"
    escape_char: str | None = None
    null_text: str | None = "\\N"
    columns: tuple[str, ...] = ()
    quote_char: str | None = None
    header: bool = False

    def __post_init__(self) -> None:
        for field, text in (
            ("columnSeparator", self.column_separator),
            ("recordSeparator", self.record_separator),
            ("escapeChar", self.escape_char),
        ):
            if text is not None and len(text) != 1:
                raise FormatError(f"{field} of the format {self.name} must be a single character, not {text!r}.")
        marks = [self.column_separator, self.record_separator, self.escape_char]
        if len(set(marks)) < len(marks):
            raise FormatError(
                f"columnSeparator, recordSeparator and escapeChar of the format {self.name} must all differ."
            )
        if self.quote_char is not None:
            self._check_quotes()
            return
        null, escape = self.null_text, self.escape_char
        if null is not None and (not null or self.column_separator in null or self.record_separator in null):
            raise FormatError(f"The text for NULL of the format {self.name} must be some text without separators.")
        if null is not None and escape is not None and (escape in null[1:] or escape == null):
            raise FormatError(
                f"escapeChar {escape!r} of the format {self.name} is part of its text for NULL, {null!r}."
            )

    def _check_quotes(self) -> None:
        if self.quote_char != '"' or self.null_text != "":
            raise FormatError(f"Quotes of the format {self.name} are '\"', with an unquoted empty field for NULL.")
        if self.escape_char is not None:
            raise FormatError(
                f"escapeChar of the format {self.name} does not go with quoting 'rfc4180', where a quote inside a"
                " value is doubled. Leave escapeChar out."
            )
        if self.record_separator != "\n":
            raise FormatError(
                f"recordSeparator of the format {self.name} must be a line feed with quoting 'rfc4180',"
                f" not {self.record_separator!r}. A carriage return before it is read too."
            )
        if self.column_separator in '"\r':
            raise FormatError(
                f"columnSeparator of the format {self.name} cannot be {self.column_separator!r} with quoting 'rfc4180'."
            )

    def same_text(self, other: object) -> bool:
        """Whether rows are the same text in both, whatever the formats and columns are called."""
        return isinstance(other, Format) and _text_rules(self) == _text_rules(other)

    @property
    def joins(self) -> bool:
        """Whether files one after another are one file: not if each begins with a header."""
        return not self.header

    @cached_property
    def special(self) -> re.Pattern[str]:
        """Matches a character that cannot stand in a value as it is."""
        marks = {self.column_separator, self.record_separator, self.escape_char or "", self.quote_char or ""}
        return re.compile("[" + re.escape("".join(sorted({*marks, "\r", "\n"}))) + "]")


def CSV(*, escape_char: str | None = "\\", columns: Sequence[str] = (), header: bool = False) -> Format:
    """The service's CSV: comma, line feed, no quotes, backslash unless `escapeChar` says otherwise."""
    return Format("CSV", ",", "\n", escape_char, "\\N", tuple(columns), header=header)


def TSV(
    *,
    column_separator: str = "\t",
    record_separator: str = "\n",
    escape_char: str | None = "\\",
    columns: Sequence[str] = (),
    header: bool = False,
) -> Format:
    """The service's TSV: tab, line feed; a backslash escapes here too, so that any value can be written."""
    return Format("TSV", column_separator, record_separator, escape_char, "\\N", tuple(columns), header=header)


def delimited(
    name: str,
    columns: Sequence[str] = (),
    escape_char: str | None = None,
    quoting: str = "none",
    *,
    header: bool = False,
    column_separator: str = ",",
    record_separator: str = "\n",
) -> Format:
    """The format of fields as definitions have them; `quoting` is `none` or `rfc4180`. Raises `FormatError`.

    A backslash for an escape character is the default of CSV and TSV, and goes where there are quotes.
    """
    separator, record = character(column_separator), character(record_separator)
    escape = None if escape_char is None else character(escape_char)
    if quoting.lower() == "none":
        return Format(name, separator, record, escape, "\\N", tuple(columns), header=header)
    return Format(name, separator, record, None if escape == "\\" else escape, "", tuple(columns), '"', header)


def character(text: str) -> str:
    r"""The character that a field means: itself, or written as `\t`, `\n`, `\u0001`, `\x01` or, as in Hive, `\001`."""
    if text in _ESCAPES:
        return _ESCAPES[text]
    written = _CODE.fullmatch(text)
    if written is None:
        return text
    code = int(written[1], 8) if written[1] else int(written[2] or written[3], 16)
    return chr(code)


def _text_rules(format: Format) -> tuple[object, ...]:
    names = tuple([column.name for column in parse_columns(format.columns)]) if format.header else ()
    return (
        format.column_separator,
        format.record_separator,
        format.escape_char,
        format.null_text,
        format.quote_char,
        format.header,
        names,
    )
