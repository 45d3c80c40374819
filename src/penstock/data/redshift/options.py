"""The options of Redshift's COPY and UNLOAD, read from `commandOptions` or from a statement.

Source: "COPY" and "UNLOAD" in the Amazon Redshift Database Developer Guide. An option that is unknown, or that cannot
be done here, is an error with its name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from penstock.data.redshift.option_text import OptionError, read_tokens, read_widths, unescaped

DEFAULT_NULL = "\\N"
_MOST_ERRORS = 100000
_ENCODINGS = {
    "UTF8": "utf-8",
    "UTF16": "utf-16",
    "UTF16LE": "utf-16-le",
    "UTF16BE": "utf-16-be",
    "ISO88591": "latin-1",
}
_FLAG_NAMES = (
    "ACCEPTANYDATE BLANKSASNULL EMPTYASNULL ESCAPE EXPLICIT_IDS FILLRECORD IGNOREBLANKLINES REMOVEQUOTES ROUNDEC"
    " TRIMBLANKS TRUNCATECOLUMNS"
)
FLAGS = frozenset(_FLAG_NAMES.split())
"""Options without a value."""
COMPRESSIONS = ("GZIP", "BZIP2", "ZSTD")
_COPY_NAMES = (
    "ACCEPTANYDATE ACCEPTINVCHARS BLANKSASNULL BZIP2 COMPROWS COMPUPDATE CSV DATEFORMAT DELIMITER EMPTYASNULL ENCODING"
    " ESCAPE EXPLICIT_IDS FILLRECORD FIXEDWIDTH FORMAT GZIP IGNOREBLANKLINES IGNOREHEADER JSON MANIFEST MAXERROR NULL"
    " QUOTE REGION REMOVEQUOTES ROUNDEC STATUPDATE TIMEFORMAT TRIMBLANKS TRUNCATECOLUMNS ZSTD"
)
_UNLOAD_NAMES = (
    "ADDQUOTES ALLOWOVERWRITE BZIP2 CLEANPATH CSV DELIMITER ESCAPE EXTENSION FIXEDWIDTH FORMAT GZIP HEADER JSON"
    " MANIFEST MAXFILESIZE NULL PARALLEL REGION ZSTD"
)
_NOT_HERE = {
    "AVRO": "Convert the files to CSV or JSON.",
    "ORC": "Convert the files to CSV or JSON.",
    "PARQUET": "Copy it with a CopyActivity and the data format Parquet.",
    "SHAPEFILE": "Convert the files to CSV or JSON.",
    "RCFILE": "Convert the files to CSV or JSON.",
    "SEQUENCEFILE": "Convert the files to CSV or JSON.",
    "LZOP": "Compress with GZIP or ZSTD.",
    "ENCRYPTED": "Encryption by a key of the client is not built.",
    "MASTER_SYMMETRIC_KEY": "Encryption by a key of the client is not built.",
    "KMS_KEY_ID": "Leave it: the storage encrypts as its settings say.",
    "SSH": "Copy from files.",
    "READRATIO": "It belongs to DynamoDB, which this cannot read yet.",
    "NOLOAD": "Load into a table of its own to check the files.",
    "PARTITION": "Write each partition with an activity of its own.",
    "ROWGROUPSIZE": "It belongs to Parquet.",
}
_NOT_WITH_JSON = (
    *("CSV", "DELIMITER", "ESCAPE", "FILLRECORD", "FIXEDWIDTH"),
    *("IGNOREBLANKLINES", "NULL", "REMOVEQUOTES", "HEADER"),
)
_CREDENTIALS = ("CREDENTIALS", "IAM_ROLE", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN")


@dataclass
class Options:
    """What the options say; those that are not given have Redshift's defaults.

    `kind` is TEXT, CSV, FIXEDWIDTH or JSON. `json` is `auto`, `auto ignorecase` or the URI of a JSONPaths file.
    `widths` are (label, width in characters). `encoding` is Python's name. `flags` are options without a value.
    """

    kind: str = "TEXT"
    delimiter: str = "|"
    quote: str = '"'
    widths: tuple[tuple[str, int], ...] = ()
    json: str = ""
    null: str | None = None
    ignore_header: int = 0
    compression: str = "none"
    date_format: str = ""
    time_format: str = ""
    invalid_as: str | None = None
    encoding: str = "utf-8"
    max_error: int = 0
    flags: set[str] = field(default_factory=set)
    manifest: bool = False
    header: bool = False
    add_quotes: bool = False
    allow_overwrite: bool = False
    clean_path: bool = False
    parallel: bool = True
    max_file_size: int = 6_200_000_000
    extension: str = ""

    def has(self, flag: str) -> bool:
        """Whether an option without a value is given."""
        return flag in self.flags


def parse_copy(texts: Sequence[str]) -> Options:
    """The options of a COPY. Raises `OptionError`."""
    return _Reader(" ".join(texts), "COPY", _COPY_NAMES).options()


def parse_unload(texts: Sequence[str]) -> Options:
    """The options of an UNLOAD. Raises `OptionError`."""
    return _Reader(" ".join(texts), "UNLOAD", _UNLOAD_NAMES).options()


def check_names(texts: Sequence[str], statement: str) -> None:
    """Raise `OptionError` for a word that a real cluster's COPY or UNLOAD does not know."""
    known = frozenset(f"{_COPY_NAMES if statement == 'COPY' else _UNLOAD_NAMES} {_VALUES}".split()) | _NOT_HERE.keys()
    for kind, text in read_tokens(" ".join(texts)):
        if kind == "word" and text.upper() not in known:
            raise OptionError(f"'{text}' is no option of Redshift's {statement}. Known are {', '.join(sorted(known))}.")


_VALUES = "AS ON OFF TRUE FALSE PRESET VERBOSE MB GB BY AUTO INCLUDE UTF8 UTF16 UTF16LE UTF16BE ISO88591 SIMPLIFY"


class _Reader:
    def __init__(self, text: str, statement: str, names: str) -> None:
        self._statement, self._names = statement, frozenset(names.split())
        self._tokens = read_tokens(text)
        self._position = 0
        self._seen: set[str] = set()
        self._made = Options()

    def options(self) -> Options:
        while self._position < len(self._tokens):
            kind, text = self._tokens[self._position]
            self._position += 1
            name = text.upper()
            if kind != "word":
                raise OptionError(f"{text!r} is no option of {self._statement}, and follows none that takes it.")
            if name in _NOT_HERE:
                raise OptionError(f"The option {name} of {self._statement} is not built. {_NOT_HERE[name]}")
            if name in _CREDENTIALS:
                raise OptionError(f"{name} does not belong to the options. Set the role or the keys in [redshift].")
            if name not in self._names:
                known = ", ".join(sorted(self._names))
                raise OptionError(f"'{text}' is no option of Redshift's {self._statement}. Known are {known}.")
            if name in self._seen:
                raise OptionError(f"The option {name} is given twice.")
            self._seen.add(name)
            self._read(name)
        self._check()
        return self._made

    def _read(self, name: str) -> None:
        made = self._made
        if name in FLAGS:
            made.flags.add(name)
        elif name in COMPRESSIONS:
            if made.compression != "none":
                raise OptionError(f"{name} and {made.compression.upper()} are two compressions. Give one.")
            made.compression = name.lower()
        elif name == "CSV":
            self._csv()
        elif name == "QUOTE":
            self._skip("AS")
            made.quote = self._character(name)
        elif name == "DELIMITER":
            self._skip("AS")
            made.delimiter = self._string(name)
            if not made.delimiter or "\n" in made.delimiter:
                raise OptionError("DELIMITER must be a character, and no line feed.")
        elif name == "FIXEDWIDTH":
            self._skip("AS")
            made.kind, made.widths = "FIXEDWIDTH", read_widths(self._string(name))
        elif name == "FORMAT":
            self._skip("AS")
        elif name == "JSON":
            self._json()
        elif name == "NULL":
            self._skip("AS")
            made.null = self._string(name, is_null=True)
        elif name in ("DATEFORMAT", "TIMEFORMAT"):
            self._skip("AS")
            setattr(made, "date_format" if name == "DATEFORMAT" else "time_format", self._string(name))
        elif name == "ACCEPTINVCHARS":
            self._skip("AS")
            made.invalid_as = self._string(name) if self._kind() == "string" else "?"
            if len(made.invalid_as) != 1 or not made.invalid_as.isascii() or made.invalid_as == "\0":
                raise OptionError("ACCEPTINVCHARS takes one character of ASCII.")
        elif name == "ENCODING":
            self._skip("AS")
            text = (self._string(name) if self._kind() == "string" else self._word()).upper()
            if text not in _ENCODINGS:
                raise OptionError(f"ENCODING {text} is not known. Known are {', '.join(_ENCODINGS)}.")
            made.encoding = _ENCODINGS[text]
        else:
            self._read_number(name)

    def _read_number(self, name: str) -> None:
        made = self._made
        if name == "IGNOREHEADER":
            self._skip("AS")
            made.ignore_header = self._number(name)
        elif name == "MAXERROR":
            self._skip("AS")
            made.max_error = self._number(name)
            if made.max_error > _MOST_ERRORS:
                raise OptionError(f"MAXERROR is at most {_MOST_ERRORS}, not {made.max_error}.")
        elif name == "COMPROWS":
            self._number(name)
        elif name in ("COMPUPDATE", "STATUPDATE"):
            if self._peek() in ("ON", "OFF", "TRUE", "FALSE", "PRESET"):
                self._position += 1
        elif name == "REGION":
            self._skip("AS")
            self._string(name)
        elif name == "MANIFEST":
            made.manifest = True
            if self._statement == "UNLOAD":
                self._skip("VERBOSE")
        elif name == "PARALLEL":
            word = self._peek()
            if word in ("ON", "OFF", "TRUE", "FALSE"):
                self._position += 1
            made.parallel = word not in ("OFF", "FALSE")
        elif name == "MAXFILESIZE":
            self._skip("AS")
            size = self._number(name)
            unit = self._word().upper() if self._kind() == "word" and self._peek() in ("MB", "GB") else "MB"
            made.max_file_size = size * (1 << 30 if unit == "GB" else 1 << 20)
            if not 5 << 20 <= made.max_file_size <= int(6.2 * (1 << 30)):
                raise OptionError("MAXFILESIZE lies between 5 MB and 6.2 GB.")
        elif name == "EXTENSION":
            made.extension = self._string(name)
        else:
            setattr(made, _ATTRIBUTES[name], True)

    def _csv(self) -> None:
        self._made.kind = "CSV"
        if "DELIMITER" not in self._seen:
            self._made.delimiter = ","
        if self._peek() == "QUOTE":
            self._position += 1
            self._skip("AS")
            self._made.quote = self._character("QUOTE")

    def _json(self) -> None:
        self._made.kind = "JSON"
        if self._statement == "UNLOAD":
            return
        self._skip("AS")
        text = self._string("JSON") if self._kind() == "string" else "auto"
        lower = " ".join(text.lower().split())
        if lower == "noshred":
            raise OptionError("JSON 'noshred' needs the type SUPER, which is not built. Use JSON 'auto' or JSONPaths.")
        if lower not in ("auto", "auto ignorecase") and not lower.startswith(("s3://", "s3n://", "s3a://")):
            raise OptionError(f"JSON '{text}' is neither 'auto', 'auto ignorecase' nor the S3 URI of a JSONPaths file.")
        self._made.json = lower if lower.startswith("auto") else text

    def _check(self) -> None:
        made, seen = self._made, self._seen
        excluded = {
            "CSV": ("FIXEDWIDTH", "REMOVEQUOTES", "ESCAPE", "ADDQUOTES", "JSON"),
            "FIXEDWIDTH": ("DELIMITER", "ESCAPE", "REMOVEQUOTES", "ADDQUOTES", "HEADER", "JSON", "IGNOREHEADER"),
            "JSON": _NOT_WITH_JSON,
        }
        for option, others in excluded.items():
            for other in others:
                if option in seen and other in seen and not (option == "FIXEDWIDTH" and other == "IGNOREHEADER"):
                    raise OptionError(f"{option} and {other} do not go together. Give one of them.")
        if "QUOTE" in seen and made.kind != "CSV":
            raise OptionError("QUOTE goes with CSV alone.")
        if made.kind == "CSV" and made.quote == made.delimiter:
            raise OptionError("QUOTE and DELIMITER must differ.")
        if made.kind == "TEXT" and "FORMAT" in seen:
            raise OptionError("FORMAT names no format. Write FORMAT CSV or FORMAT JSON 'auto'.")

    def _kind(self) -> str:
        return self._tokens[self._position][0] if self._position < len(self._tokens) else ""

    def _peek(self) -> str:
        return self._tokens[self._position][1].upper() if self._kind() == "word" else ""

    def _skip(self, word: str) -> None:
        if self._peek() == word:
            self._position += 1

    def _word(self) -> str:
        if self._kind() != "word":
            raise OptionError("A word is missing at the end of the options.")
        self._position += 1
        return self._tokens[self._position - 1][1]

    def _number(self, name: str) -> int:
        if (self._kind() == "string" and self._tokens[self._position][1].isdecimal()) or self._kind() == "number":
            self._position += 1
            return int(self._tokens[self._position - 1][1])
        raise OptionError(f"{name} needs a whole number after it.")

    def _string(self, name: str, *, is_null: bool = False) -> str:
        if self._kind() != "string":
            raise OptionError(f"{name} needs a text in single quotes after it.")
        self._position += 1
        text = self._tokens[self._position - 1][1]
        return unescaped(text, is_null=is_null)

    def _character(self, name: str) -> str:
        text = self._string(name)
        if len(text) != 1:
            raise OptionError(f"{name} must be one character, not {text!r}.")
        return text


_ATTRIBUTES = {
    "HEADER": "header",
    "ADDQUOTES": "add_quotes",
    "ALLOWOVERWRITE": "allow_overwrite",
    "CLEANPATH": "clean_path",
}
