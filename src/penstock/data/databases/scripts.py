"""How a script runs: its arguments, the transaction that its statements share, and who is told how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from penstock.data.databases.rows import DatabaseError
from penstock.data.databases.statements import Statement

StatementProgress = Callable[[int, int], None]
"""Is called with how many statements of a script have run, and of how many. An exception from it ends the script."""


def check_arguments(statements: Sequence[Statement], arguments: Sequence[str]) -> None:
    """Raise `DatabaseError` unless a script has as many placeholders as there are arguments."""
    places = sum(statement.placeholders for statement in statements)
    if places != len(arguments):
        raise DatabaseError(
            f"The script has {places} placeholders (?) and {len(arguments)} arguments. Give one for each."
        )


def with_arguments(
    statements: Sequence[Statement], arguments: Sequence[str], progress: StatementProgress | None = None
) -> Iterator[tuple[Statement, Sequence[str]]]:
    """Each statement to run, with its part of the arguments; progress is told before it, and after the last."""
    position = 0
    for done, statement in enumerate(statements):
        if progress is not None:
            progress(done, len(statements))
        yield statement, arguments[position : position + statement.placeholders]
        position += statement.placeholders
    if progress is not None:
        progress(len(statements), len(statements))


@contextmanager
def script_transaction(
    statements: Sequence[Statement],
    transaction: Callable[[], AbstractContextManager[None]],
    *,
    is_within: bool,
    is_open: Callable[[], bool],
    undo: Callable[[], None],
) -> Iterator[None]:
    """The transaction that a script's statements run in.

    | the script | its transaction |
    |---|---|
    | runs where there is one around it (`is_within`) | that one; it may begin and end none itself |
    | has several statements | one of its own, by `transaction` |
    | has one statement, or begins and ends transactions itself | what it brings; `undo` ends what it leaves open |

    Raises `DatabaseError` for a transaction that the script must not begin, or leaves open (`is_open`).
    """
    if is_within:
        _refuse_own_transactions(statements)
        yield
    elif len(statements) > 1 and not any(statement.controls_transaction for statement in statements):
        with transaction():
            yield
    else:
        try:
            yield
            if is_open():
                raise DatabaseError("The script begins a transaction that it does not end. Add COMMIT.")
        finally:
            undo()


def _refuse_own_transactions(statements: Sequence[Statement]) -> None:
    """Raise `DatabaseError` for a script that begins or ends transactions where there is one around it."""
    for statement in statements:
        if statement.controls_transaction:
            raise DatabaseError(
                f"Statement {statement.number} ({statement.first_line}) is not allowed here:"
                " there is a transaction around it already."
            )
