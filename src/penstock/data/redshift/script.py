"""Scripts in Redshift's SQL with COPY and UNLOAD in them, on PostgreSQL and DuckDB."""

from __future__ import annotations

import re
from collections.abc import Sequence

from penstock.data.databases import DatabaseError
from penstock.data.databases.scripts import StatementProgress, check_arguments, with_arguments
from penstock.data.databases.statements import Statement, split_script
from penstock.data.databases.translated import TranslatedDatabase
from penstock.data.manifests import manifest_objects
from penstock.data.records import LONGEST_RECORD
from penstock.data.redshift.catalog import describe
from penstock.data.redshift.load import Files, LoadError, Progress, load, load_columns, prefix_uris
from penstock.data.redshift.option_text import OptionError, unescaped
from penstock.data.redshift.options import parse_copy, parse_unload
from penstock.data.redshift.unload import unload
from penstock.data.storage import Storage

_TEXT = r"'(?:[^'\\]|''|\\.)*'"
_NAME = r'(?:"[^"]+"|[^\W\d][\w$]*)'
_COPY = re.compile(
    rf"COPY\s+(?P<table>{_NAME}(?:\.{_NAME})?)\s*(?:\((?P<columns>[^()]*)\))?\s*FROM\s+(?P<uri>{_TEXT})(?P<rest>.*)",
    re.IGNORECASE | re.DOTALL,
)
_UNLOAD = re.compile(
    rf"UNLOAD\s*\(\s*(?:(?P<query>{_TEXT})|\$\$(?P<dollar>.*?)\$\$)\s*\)\s*TO\s+(?P<uri>{_TEXT})(?P<rest>.*)",
    re.IGNORECASE | re.DOTALL,
)
_AUTHORIZATION = re.compile(
    rf"(?:WITH\s+)?CREDENTIALS\s+(?:AS\s+)?{_TEXT}|IAM_ROLE\s+(?:DEFAULT|{_TEXT})"
    rf"|(?:ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN)\s+(?:AS\s+)?{_TEXT}",
    re.IGNORECASE,
)


def moves_files(script: str) -> bool:
    """Whether a script has COPY or UNLOAD in it."""
    return any(statement.words[:1] in (("COPY",), ("UNLOAD",)) for statement in split_script(script, "redshift"))


def run_script(
    database: TranslatedDatabase,
    storage: Storage,
    script: str,
    arguments: Sequence[str],
    progress: Progress,
    statement_progress: StatementProgress | None = None,
    *,
    longest_record: int = LONGEST_RECORD,
) -> None:
    """Run a script in one transaction; credentials of COPY and UNLOAD are not needed, and not looked at.

    `progress` is of the rows and bytes of one COPY or UNLOAD, `longest_record` the most bytes of a record of COPY.
    Raises `DatabaseError` naming the statement.
    """
    statements = split_script(script, "redshift")
    check_arguments(statements, arguments)
    if statements and statements[0].words[:1] in (("BEGIN",), ("START",)):
        if statements[-1].words[:1] not in (("COMMIT",), ("END",)):
            raise DatabaseError("The script begins a transaction that it does not end. Add COMMIT.")
        statements = statements[1:-1]
    for statement in statements:
        if statement.controls_transaction:
            raise DatabaseError(
                f"Statement {statement.number} ({statement.first_line}): a script with COPY or UNLOAD is one"
                " transaction here. Write BEGIN first and COMMIT last, or neither."
            )
    with database.transaction():
        for statement, values in with_arguments(statements, arguments, statement_progress):
            first = statement.words[0] if statement.words else ""
            if first not in ("COPY", "UNLOAD"):
                database.execute_script(statement.text, values)
                continue
            if statement.placeholders:
                raise DatabaseError(f"Statement {statement.number} ({first}) takes no arguments (?).")
            try:
                if first == "COPY":
                    _copy(database, storage, statement, progress, longest_record)
                else:
                    _unload(database, storage, statement, progress)
            except (OptionError, LoadError) as error:
                raise DatabaseError(f"Statement {statement.number} ({first}): {error}") from error


def _copy(
    database: TranslatedDatabase, storage: Storage, statement: Statement, progress: Progress, longest_record: int
) -> None:
    match = _COPY.fullmatch(statement.text)
    if match is None:
        raise OptionError("it is not of the form COPY table FROM 's3://bucket/prefix' options.")
    options = parse_copy([_AUTHORIZATION.sub(" ", match["rest"])])
    uri = unescaped(match["uri"][1:-1])
    entries = manifest_objects(storage, uri) if options.manifest else ()
    uris = tuple([entry.uri for entry in entries]) or prefix_uris(storage, uri)
    found = describe(database, match["table"], None)
    columns = load_columns(found.columns, options) if match["columns"] is None else list(found.columns)
    if match["columns"] is not None:
        by_name = {column.name.lower(): column for column in found.columns}
        wanted = [name.strip().strip('"').lower() for name in match["columns"].split(",")]
        unknown = [name for name in wanted if name not in by_name]
        if unknown:
            raise OptionError(f"the table {match['table']} has no column {unknown[0]}.")
        columns = [by_name[name] for name in wanted]
    files = Files(storage, uris, options, longest_record=longest_record)
    load(database, match["table"], None, columns, files, progress)


def _unload(database: TranslatedDatabase, storage: Storage, statement: Statement, progress: Progress) -> None:
    match = _UNLOAD.fullmatch(statement.text)
    if match is None:
        raise OptionError("it is not of the form UNLOAD ('query') TO 's3://bucket/prefix' options.")
    options = parse_unload([_AUTHORIZATION.sub(" ", match["rest"])])
    query = match["dollar"] if match["query"] is None else unescaped(match["query"][1:-1])
    unload(lambda: database.select(query), storage, unescaped(match["uri"][1:-1]), options, progress=progress)
