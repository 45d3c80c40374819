"""CREATE TABLE of Redshift for PostgreSQL and DuckDB.

Primary keys and uniqueness are not enforced in Redshift; the keys of a table are kept as CHECKs that are always true
and name their columns, from which RedshiftCopyActivity reads them. Lengths are those of bytes, so they are checked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from sqlglot.tokenizer_core import Token, TokenType

from penstock.data.databases.redshift_functions import Target
from penstock.data.databases.redshift_tokens import Reader
from penstock.data.databases.redshift_types import key_check, type_name
from penstock.data.databases.rows import DatabaseError, quote

BETWEEN = ";\0"
"""Stands between two statements that one becomes."""
Expression = Callable[[str], str]
_STYLES = ("EVEN", "ALL", "KEY", "AUTO")
_CONSTRAINTS = ("CONSTRAINT", "PRIMARY", "UNIQUE", "FOREIGN", "LIKE", "CHECK")


@dataclass
class _Keys:
    primary: list[str] = field(default_factory=list)
    distribution: list[str] = field(default_factory=list)
    sort: list[str] = field(default_factory=list)


class Definition(Reader):
    """Reads the tokens of one CREATE TABLE; `translate` gives the statement of the target."""

    def __init__(self, sql: str, tokens: list[Token], target: Target, expression: Expression) -> None:
        super().__init__(sql, tokens)
        self._target, self._expression = target, expression
        self._keys = _Keys()
        self._items: list[str] = []

    def translate(self) -> str:
        """The statement. Raises `DatabaseError` for what it does not know."""
        self._expect("CREATE")
        is_temporary = (self._take("LOCAL") and self._take("TEMPORARY", "TEMP")) or self._take("TEMPORARY", "TEMP")
        self._expect("TABLE")
        clause = ""
        if self._take("IF"):
            self._expect("NOT")
            self._expect("EXISTS")
            clause = "IF NOT EXISTS "
        name = self._dotted_name()
        is_temporary = is_temporary or name.startswith('"#')
        names: list[str] = []
        if self._peek() == "(":
            names = self._columns()
        self._attributes()
        head = f"CREATE {'TEMPORARY ' if is_temporary else ''}TABLE {clause}{name}"
        if self._take("AS"):
            if self._items:
                raise DatabaseError("CREATE TABLE … AS takes names of columns without types.")
            query = self._rest().strip()
            body = self._expression(query)
            columns = f" ({', '.join(map(quote, names))})" if names else ""
            checks = self._checks()
            if not checks:
                return f"{head}{columns} AS {body}"
            return f"{head}{columns} AS {body}{self._added(name, checks)}"
        if self._position < len(self._tokens):
            raise self._unknown()
        if names:
            raise DatabaseError(f"The column {names[0]} has no type.")
        return f"{head} ({', '.join([*self._items, *self._checks()])})"

    def _added(self, name: str, checks: list[str]) -> str:
        if self._target == "duckdb":
            raise DatabaseError("DISTKEY and SORTKEY of CREATE TABLE … AS are not translated for DuckDB. Leave them.")
        return "".join(f"{BETWEEN}ALTER TABLE {name} ADD {check}" for check in checks)

    def _checks(self) -> list[str]:
        kinds = [
            ("primary key", self._keys.primary),
            ("distribution key", self._keys.distribution),
            ("sort key", self._keys.sort),
        ]
        return [key_check(kind, columns) for kind, columns in kinds if columns]

    def _columns(self) -> list[str]:
        """Read what is in the parentheses; gives names of columns that have no types (CREATE TABLE … AS)."""
        bare: list[str] = []
        self._expect("(")
        while True:
            word = self._peek()
            if word in _CONSTRAINTS and self._next().token_type != TokenType.IDENTIFIER:
                self._table_constraint()
            else:
                name = self._name()
                if self._peek() in (",", ")"):
                    bare.append(name)
                else:
                    self._column(name)
            if self._take(")"):
                return bare
            self._expect(",")

    def _table_constraint(self) -> None:
        if self._take("CONSTRAINT"):
            self._name()
        if self._take("PRIMARY"):
            self._expect("KEY")
            self._keys.primary = self._names()
        elif self._take("UNIQUE"):
            self._names()
        elif self._take("FOREIGN"):
            self._expect("KEY")
            self._names()
            self._expect("REFERENCES")
            self._reference()
        elif self._take("LIKE"):
            self._like()
        else:
            raise self._unknown()

    def _like(self) -> None:
        if self._target == "duckdb":
            raise DatabaseError("CREATE TABLE (LIKE …) is not translated for DuckDB. Write CREATE TABLE … AS SELECT.")
        name = self._dotted_name()
        options = " INCLUDING CONSTRAINTS"
        if self._take("INCLUDING"):
            self._expect("DEFAULTS")
            options += " INCLUDING DEFAULTS"
        elif self._take("EXCLUDING"):
            self._expect("DEFAULTS")
        self._items.append(f"LIKE {name}{options}")

    def _column(self, name: str) -> None:
        kind, length = self._type()
        identity, default, is_null = "", "", True
        while (word := self._peek()) not in (",", ")", ""):
            if self._take("DEFAULT"):
                default = f" DEFAULT {self._default()}"
            elif self._take("IDENTITY"):
                identity = self._identity("ALWAYS")
            elif self._take("GENERATED"):
                for expected in ("BY", "DEFAULT", "AS", "IDENTITY"):
                    self._expect(expected)
                identity = self._identity("BY DEFAULT")
            elif self._take("ENCODE"):
                self._word()
            elif self._take("DISTKEY"):
                self._keys.distribution = [name]
            elif self._take("SORTKEY"):
                self._keys.sort.append(name)
            elif self._take("NOT"):
                self._expect("NULL")
                is_null = False
            elif self._take("PRIMARY"):
                self._expect("KEY")
                self._keys.primary = [name]
                is_null = False
            elif self._take("REFERENCES"):
                self._reference()
            elif not (self._take("NULL") or self._take("UNIQUE")):
                raise (
                    self._unknown()
                    if word != "COLLATE"
                    else DatabaseError(
                        f"COLLATE of the column {name} is not translated. Leave it, or compare with LOWER()."
                    )
                )
        if identity and self._target == "duckdb":
            raise DatabaseError(f"The IDENTITY column {name} is not translated for DuckDB. Use the embedded warehouse.")
        check = ""
        if length is not None and self._target == "duckdb":
            check = f" CHECK (strlen({quote(name)}) <= {length})"
        elif length is not None:
            check = f" CHECK (octet_length({quote(name)}) <= {length})"
        self._items.append(f"{quote(name)} {kind}{default}{identity}{'' if is_null else ' NOT NULL'}{check}")

    def _identity(self, when: str) -> str:
        self._expect("(")
        seed = self._signed()
        self._expect(",")
        step = self._signed()
        self._expect(")")
        bounds = f"MINVALUE {min(seed, 1)}" if step > 0 else f"MAXVALUE {max(seed, -1)}"
        return f" GENERATED {when} AS IDENTITY (START WITH {seed} INCREMENT BY {step} {bounds})"

    def _signed(self) -> int:
        sign = -1 if self._take("-") else 1
        text = self._next().text
        if not text.isdecimal():
            raise self._unknown()
        self._position += 1
        return sign * int(text)

    def _type(self) -> tuple[str, int | None]:
        start = self._position
        self._position += 1
        while self._peek() in ("PRECISION", "VARYING", "WITH", "WITHOUT", "TIME", "ZONE"):
            self._position += 1
        if self._peek() == "(":
            self._parentheses()
            while self._peek() in ("WITH", "WITHOUT", "TIME", "ZONE"):
                self._position += 1
        return type_name(self._text(start, self._position), self._target)

    def _default(self) -> str:
        start, depth = self._position, 0
        stops = (",", "IDENTITY", "ENCODE", "DISTKEY", "SORTKEY", "NOT", "NULL", "PRIMARY", "UNIQUE", "REFERENCES")
        while self._position < len(self._tokens):
            word = self._peek()
            if depth == 0 and (word == ")" or word in stops) and self._position > start:
                break
            depth += {"(": 1, ")": -1}.get(word, 0)
            self._position += 1
        return self._expression(self._text(start, self._position))

    def _reference(self) -> None:
        self._dotted_name()
        if self._peek() == "(":
            self._names()

    def _attributes(self) -> None:
        while self._position < len(self._tokens) and self._peek() not in ("AS", ";"):
            if self._take("BACKUP"):
                self._word("YES", "NO")
            elif self._take("DISTSTYLE"):
                self._word(*_STYLES)
            elif self._take("DISTKEY"):
                self._keys.distribution = self._names()
            elif self._take("COMPOUND", "INTERLEAVED"):
                self._expect("SORTKEY")
                self._keys.sort = self._names()
            elif self._take("SORTKEY"):
                if not self._take("AUTO"):
                    self._keys.sort = self._names()
            elif self._take("ENCODE"):
                self._word("AUTO")
            else:
                raise self._unknown()
