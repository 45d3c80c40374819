"""Redshift's SQL for PostgreSQL and DuckDB: translated by sqlglot and by closed lists, or refused by name.

Statements, functions, types and expressions that are on no list raise `DatabaseError`: nothing runs that may mean
something else. Quoted names are folded to small letters, as Redshift does.
"""

from __future__ import annotations

import logging
import re

from sqlglot import Dialect, exp
from sqlglot.dialects.redshift import Redshift
from sqlglot.errors import ErrorLevel, SqlglotError
from sqlglot.parsers.redshift import RedshiftParser
from sqlglot.tokenizer_core import TokenType

from penstock.data.databases.redshift_functions import Target, date_part, translate_function
from penstock.data.databases.redshift_tables import BETWEEN, Definition
from penstock.data.databases.redshift_types import key_check, type_name
from penstock.data.databases.rows import DatabaseError
from penstock.data.databases.statements import Statement

logging.getLogger("sqlglot").setLevel(logging.CRITICAL)  # what it cannot parse is refused here, with its name

_CONTROL = ("BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT")
_NO_EFFECT = ("ANALYZE", "VACUUM", "GRANT", "REVOKE")
_NODES = """
Select From Join Where Group Having Order Ordered Limit Offset Distinct Subquery Union Except Intersect With CTE Table
TableAlias Alias Column Identifier Star Literal Null Boolean And Or Not EQ NEQ GT GTE LT LTE Is Between In Like ILike
SimilarTo RegexpLike RegexpILike Escape Case If Cast DataType DataTypeParam Paren Neg Add Sub Mul Div IntDiv Mod DPipe
Exists Any All Tuple Values Window WindowSpec Interval Extract Trim Substring StrPosition Count Anonymous CurrentDate
CurrentTimestamp CurrentUser Insert Update Delete Returning Schema Parameter Placeholder WithinGroup Var Rollup Cube
GroupingSets Hint Into ApproxDistinct TruncateTable Drop Create TemporaryProperty Properties Pow Sqrt Comment Concat
NullSafeEQ PartitionBy DecodeCase"""
_ALLOWED = frozenset(_NODES.split()) - {"Returning", "Hint"}
_CREATES = ("TABLE", "VIEW", "SCHEMA")
_INTEGER_PARTS = ("YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE", "SECOND", "DOW", "DOY", "EPOCH")
_PLACE = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\$(\d+)")


class _Source(Redshift):
    """Redshift's grammar with its functions left as they are written; our own list says what they are."""

    class Tokenizer(Redshift.Tokenizer):
        KEYWORDS = {
            **Redshift.Tokenizer.KEYWORDS,
            "FLOAT": TokenType.DOUBLE,
            "FLOAT4": TokenType.FLOAT,
            "REAL": TokenType.FLOAT,
        }

    class Parser(RedshiftParser):
        FUNCTIONS = {"COUNT": exp.Count.from_arg_list}
        FUNCTION_PARSERS = {
            name: parser
            for name, parser in RedshiftParser.FUNCTION_PARSERS.items()
            if name in ("CAST", "CONVERT", "DECODE", "EXTRACT", "POSITION", "SUBSTRING", "TRIM")
        }


def translate(statement: Statement, target: Target) -> list[str]:
    """The statements of the target for one of Redshift, with `?` for each placeholder; none where it has no effect.

    Raises `DatabaseError` with the number and the first line of the statement.
    """
    try:
        return [_with_places(sql) for sql in _translate(statement, target) if sql]
    except SqlglotError as error:
        message = re.sub(r"\x1b\[\d*m", "", str(error)).splitlines()[0]
        problem = f"it is not understood: {message.rstrip('.')}."
    except DatabaseError as error:
        problem = str(error)
    raise DatabaseError(f"Statement {statement.number} ({statement.first_line}) is written for Redshift: {problem}")


def _translate(statement: Statement, target: Target) -> list[str]:
    words = statement.words
    text = statement.numbered()
    first = words[0] if words else ""
    if first in _CONTROL:
        return [_transaction(words)]
    if first in _NO_EFFECT:
        return []
    if first in ("SET", "RESET"):
        return _setting(text, words)
    if first == "CREATE" and "TABLE" in words[1:4] and words[1] != "EXTERNAL":
        tokens = _Source().tokenize(text)
        return Definition(text, tokens, target, lambda sql: _expression(sql, target)).translate().split(BETWEEN)
    if first == "ALTER":
        return _alter(text, target)
    if first == "CREATE" and words[1:2] == ("SCHEMA",):
        return [re.sub(r"\s+(?:AUTHORIZATION|QUOTA)\s.*", "", text, flags=re.IGNORECASE | re.DOTALL)]
    if first in ("COPY", "UNLOAD"):
        raise DatabaseError(f"{first} runs in a SqlActivity or a RedshiftCopyActivity alone.")
    if first == "DELETE" and words[1:2] != ("FROM",):
        text = f"DELETE FROM {text[len(first) :]}"  # noqa: S608
    return [_expression(text, target)]


def _transaction(words: tuple[str, ...]) -> str:
    if words[0] in ("BEGIN", "START"):
        if "READ" in words and "ONLY" in words:
            raise DatabaseError("BEGIN READ ONLY is not translated. Leave READ ONLY.")
        return "BEGIN"
    return "COMMIT" if words[0] in ("COMMIT", "END") else "ROLLBACK"


def _setting(text: str, words: tuple[str, ...]) -> list[str]:
    name = words[1].lower() if len(words) > 1 else ""
    if name in ("query_group", "wlm_query_slot_count", "enable_result_cache_for_session", "statement_timeout"):
        return []
    if name == "search_path":
        return [text]
    raise DatabaseError(f"The setting {name} of Redshift is not translated. Leave it.")


def _alter(text: str, target: Target) -> list[str]:
    """RENAME, ADD COLUMN, DROP COLUMN, OWNER and keys."""
    table = r"ALTER\s+TABLE\s+(?P<table>[\w.\"$]+)\s+"
    name = r'(?:"[^"]+"|[^\W\d][\w$]*)'
    found = re.fullmatch(rf"{table}RENAME\s+(COLUMN\s+{name}\s+)?TO\s+{name}", text, re.IGNORECASE)
    if found is not None:
        return [_folded(text)]
    found = re.fullmatch(rf"{table}DROP\s+(?:COLUMN\s+)?{name}(\s+(?:CASCADE|RESTRICT))?", text, re.IGNORECASE)
    if found is not None and not re.search(r"DROP\s+CONSTRAINT", text, re.IGNORECASE):
        return [_folded(text)]
    if re.fullmatch(rf"{table}OWNER\s+TO\s+{name}", text, re.IGNORECASE):
        return []
    found = re.fullmatch(
        rf"{table}ADD\s+(?:CONSTRAINT\s+{name}\s+)?PRIMARY\s+KEY\s*\((?P<columns>[^()]*)\)", text, re.IGNORECASE
    )
    if found is not None and target == "postgres":
        columns = [column.strip().strip('"').lower() for column in found["columns"].split(",")]
        return [f"ALTER TABLE {_folded(found['table'])} ADD {key_check('primary key', columns)}"]
    found = re.fullmatch(rf"{table}ADD\s+(?:COLUMN\s+)?(?P<column>{name}\s+.*)", text, re.IGNORECASE | re.DOTALL)
    if found is not None and not re.match(r"CONSTRAINT|PRIMARY|UNIQUE|FOREIGN", found["column"], re.IGNORECASE):
        created = f"CREATE TABLE x ({found['column']})"
        tokens = _Source().tokenize(created)
        made = Definition(created, tokens, target, lambda sql: _expression(sql, target)).translate()
        if "redshift " in made:
            raise DatabaseError("A new column that is a key is not translated.")
        column = made.partition("(")[2].removesuffix(")")
        if target == "duckdb":
            column = re.sub(r" CHECK \(strlen\(.*\Z", "", column)  # DuckDB adds columns without checks alone
        return [f"ALTER TABLE {_folded(found['table'])} ADD COLUMN {column}"]
    raise DatabaseError("this ALTER is not translated. Known are RENAME, ADD COLUMN, DROP COLUMN and ADD PRIMARY KEY.")


def _folded(text: str) -> str:
    return re.sub(r'"[^"]*"', lambda match: match[0].lower(), text)


def _expression(text: str, target: Target) -> str:
    """A statement, or the expression of a default, of the target."""
    dialect = _Source()
    trees = dialect.parse(text, error_level=ErrorLevel.RAISE)
    if len(trees) != 1 or trees[0] is None:
        raise DatabaseError("it is not one statement.")
    tree = _checked(trees[0], target)
    return tree.sql(dialect=Dialect.get_or_raise(target), unsupported_level=ErrorLevel.RAISE, normalize_functions=False)


def _checked(tree: exp.Expr, target: Target) -> exp.Expr:
    """The tree with everything replaced that is another there; its innermost nodes first."""
    for node in reversed(list(tree.walk(bfs=True))):
        name = type(node).__name__
        if isinstance(node, exp.Command):
            raise DatabaseError(f"{str(node.this).upper()} is not translated. Leave it, or run it on a real cluster.")
        if name not in _ALLOWED:
            raise DatabaseError(f"{name.upper()} is not translated. Write it in another way.")
        made = _replacement(node, target)
        if made is not None and made is not node:
            if node is tree:
                tree = made
            else:
                node.replace(made)
    return tree


def _replacement(node: exp.Expr, target: Target) -> exp.Expr | None:
    if isinstance(node, exp.Identifier):
        is_temporary = str(node.this).startswith("#")
        node.set("this", str(node.this).lower() if node.quoted or is_temporary else node.this)
        node.set("quoted", node.quoted or is_temporary)
        return None
    if isinstance(node, exp.Parameter) and not str(node.name).isdecimal():
        raise DatabaseError("The operator @ is not translated. Write ABS().")
    if isinstance(node, exp.Anonymous):
        return _function(node, target)
    if isinstance(node, exp.WithinGroup):
        return _listagg(node, target)
    if isinstance(node, exp.ApproxDistinct):
        return exp.Count(this=exp.Distinct(expressions=[node.this]))
    if isinstance(node, exp.CurrentTimestamp):
        return _raw("CAST(CURRENT_TIMESTAMP AS TIMESTAMP)")
    if isinstance(node, exp.Extract):
        return _extract(node, target)
    if isinstance(node, exp.DataType):
        return _type(node, target)
    if isinstance(node, exp.Create) and str(node.kind).upper() not in _CREATES:
        raise DatabaseError(
            f"CREATE {str(node.kind).upper()} is not translated. Leave it, or run it on a real cluster."
        )
    if isinstance(node, exp.Create):
        node.set("no_schema_binding", None)
    if isinstance(node, exp.RegexpLike | exp.RegexpILike) and target == "duckdb":
        raise DatabaseError("The operator ~ is not translated for DuckDB. Write LIKE, or use the embedded warehouse.")
    return None


def _raw(sql: str) -> exp.Expr:
    return exp.Var(this=sql)


def _sql(node: exp.Expr, target: Target) -> str:
    return node.sql(dialect=target, unsupported_level=ErrorLevel.RAISE, normalize_functions=False)


def _function(node: exp.Anonymous, target: Target) -> exp.Expr | None:
    name = str(node.this).lower()
    if name == "listagg":
        if isinstance(node.parent, exp.WithinGroup):
            return None
        return _aggregated(node, None, target)
    if name == "date_part" and node.expressions:
        part = _sql(node.expressions[0], target).strip("'").lower()
        part = part if part in ("dow", "doy", "epoch") else date_part(part)
        node.set("expressions", [exp.Literal.string(part), *node.expressions[1:]])
        if target == "duckdb":
            raise DatabaseError("DATE_PART is not translated for DuckDB. Write EXTRACT.")
        return None
    if name == "date_trunc" and node.expressions:
        part = date_part(_sql(node.expressions[0], target))
        node.set("expressions", [exp.Literal.string(part), *node.expressions[1:]])
        return None
    made = translate_function(name, [_sql(argument, target) for argument in node.expressions], target)
    return None if made is None else _raw(made)


def _listagg(node: exp.WithinGroup, target: Target) -> exp.Expr:
    inner = node.this
    if not isinstance(inner, exp.Anonymous) or str(inner.this).lower() != "listagg":
        raise DatabaseError(f"{_sql(inner, target)} WITHIN GROUP is not translated. Known is LISTAGG.")
    return _aggregated(inner, node.expression, target)


def _aggregated(node: exp.Anonymous, order: exp.Expr | None, target: Target) -> exp.Expr:
    arguments = [_sql(argument, target) for argument in node.expressions]
    if len(arguments) not in (1, 2):
        raise DatabaseError("LISTAGG takes a value and a delimiter.")
    delimiter = arguments[1] if len(arguments) == 2 else "''"
    ordered = f" {_sql(order, target).strip()}" if order is not None else ""
    return _raw(f"STRING_AGG({arguments[0]}, {delimiter}{ordered})")


def _extract(node: exp.Extract, target: Target) -> exp.Expr:
    """Redshift gives whole numbers here, and PostgreSQL decimals."""
    part = str(node.this).upper()
    part = part if part in _INTEGER_PARTS else date_part(part).upper()
    if part not in _INTEGER_PARTS:
        raise DatabaseError(f"EXTRACT({part} …) is not translated. Write DATE_PART.")
    moment = _sql(node.expression, target)
    return _raw(f"(CAST(TRUNC(EXTRACT({part} FROM {moment})) AS {'BIGINT' if part == 'EPOCH' else 'INTEGER'}))")


def _type(node: exp.DataType, target: Target) -> exp.Expr | None:
    if isinstance(node.parent, exp.DataType) or node.this == exp.DataType.Type.USERDEFINED:
        if node.this == exp.DataType.Type.USERDEFINED:
            raise DatabaseError(f"The type {node.sql(dialect='redshift')} is not translated.")
        return None
    if node.this == exp.DataType.Type.INTERVAL:
        return None
    text = node.sql(dialect="redshift")
    name, length = type_name({"FLOAT": "REAL", "DOUBLE": "FLOAT8"}.get(text, text), target)
    if target == "duckdb" and length is not None and node.expressions:
        raise DatabaseError(f"A cast to {text} is not translated for DuckDB, which does not cut text. Use LEFT().")
    return exp.DataType(this=exp.DataType.Type.USERDEFINED, kind=name)


def _with_places(sql: str) -> str:
    """`?` for each `$1`, `$2` …; they must be in their order, each once."""
    numbers: list[int] = []

    def place(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0]
        numbers.append(int(match[1]))
        return "?"

    made = _PLACE.sub(place, sql)
    if numbers != list(range(1, len(numbers) + 1)):
        raise DatabaseError("its arguments (?) stand where the translation moves them. Write them as CAST(? AS …).")
    return made
