"""Scripts cut into statements, and the places of `?`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.data.databases import DatabaseError
from penstock.data.databases.statements import one_statement, split_script


def texts(script: str, dialect: str) -> list[str]:
    return [statement.text for statement in split_script(script, dialect)]  # type: ignore[arg-type]


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("", []),
        (" ; ;; -- nothing\n; /* ; */", []),
        ("select 1", ["select 1"]),
        ("select 1; select 2;\n", ["select 1", "select 2"]),
        ("select ';'; select \";\"", ["select ';'", 'select ";"']),
        ("select 'it''s; fine'; x", ["select 'it''s; fine'", "x"]),
        ("-- first;\nselect 1 -- last;\n; x", ["-- first;\nselect 1 -- last;", "x"]),
        ("/* a; */ select /* ; */ 1; x", ["/* a; */ select /* ; */ 1", "x"]),
        ("select 'open; ", ["select 'open;"]),
        ("begin; select case when 1 then 2 end; end; x", ["begin", "select case when 1 then 2 end", "end", "x"]),
    ],
)
def test_a_script_is_cut_at_semicolons_outside_of_quotes_and_comments(
    script: str, expected: list[str], dialect: str
) -> None:
    assert texts(script, dialect) == expected


def test_postgresql_has_dollar_quotes_escapes_and_nested_comments() -> None:
    assert texts("do $$ begin a; b; end $$; x", "postgresql") == ["do $$ begin a; b; end $$", "x"]
    assert texts("select $a$ ; $$ ; $a$; x$y$z; w", "postgresql") == ["select $a$ ; $$ ; $a$", "x$y$z", "w"]
    assert texts(r"select E'\';', e'\\'; x", "postgresql") == [r"select E'\';', e'\\'", "x"]
    assert texts("select 'a\\'; x", "postgresql") == ["select 'a\\'", "x"]
    assert texts("/* a /* b; */ c; */ select 1; x", "postgresql") == ["/* a /* b; */ c; */ select 1", "x"]
    function = "create or replace function f() returns int begin atomic select 1; select case when true then 2 end; end"
    assert texts(function + "; x", "postgresql") == [function, "x"]


def test_sqlite_has_triggers_and_more_quotes() -> None:
    trigger = "CREATE TEMP TRIGGER t AFTER INSERT ON a BEGIN UPDATE a SET b = CASE WHEN 1 THEN 2 END; SELECT 1; END"
    assert texts(trigger + "; x", "sqlite") == [trigger, "x"]
    assert texts("select `;`, [;]; x", "sqlite") == ["select `;`, [;]", "x"]


def test_placeholders_are_question_marks_outside_of_quotes_and_comments() -> None:
    (statement,) = split_script("select ?, '?', \"?\" -- ?\n, $$?$$ /* ? */, a ?? 'b', ?", "postgresql")
    assert statement.placeholders == 2
    assert statement.numbered() == "select $1, '?', \"?\" -- ?\n, $$?$$ /* ? */, a ? 'b', $2"


def test_a_statement_is_known_by_its_number_and_first_line() -> None:
    first, second = split_script("select 1;\n\n  -- why\n  insert into t\n  values (1)", "sqlite")
    assert (first.number, first.first_line) == (1, "select 1")
    assert (second.number, second.first_line) == (2, "insert into t")


@pytest.mark.parametrize(
    ("text", "controls"),
    [
        *[(text, True) for text in ("BEGIN", "commit work", "start transaction", "rollback", "end")],
        *[(text, False) for text in ("rollback to savepoint a", "start", "select 1", "savepoint a")],
    ],
)
def test_a_statement_that_begins_or_ends_a_transaction_is_known(text: str, controls: bool) -> None:
    assert split_script(text, "sqlite")[0].controls_transaction is controls


@pytest.mark.parametrize("query", ["", "-- nothing", "select 1; select 2"])
def test_a_query_is_one_statement(query: str) -> None:
    with pytest.raises(DatabaseError, match=r"selectQuery must be one SQL statement; it has [02]"):
        one_statement(query, "sqlite", "selectQuery")


@given(st.lists(st.sampled_from(["select 1", "'a;b'", '"x;y"', "-- c;\nz", "/* ; */ w", "a ? b"]), max_size=5))
def test_cutting_undoes_joining(statements: list[str]) -> None:
    for dialect in ("sqlite", "postgresql"):
        assert texts(";\n".join(statements), dialect) == statements


@given(st.text("'\"`[]$;-/*\\?aE \n"))
def test_the_statements_of_any_text_are_pieces_of_it_in_order(script: str) -> None:
    for dialect in ("sqlite", "postgresql"):
        position = 0
        for text in texts(script, dialect):
            assert text == text.strip()
            position = script.index(text, position) + len(text)
