"""An insertQuery that PostgreSQL's COPY cannot take: many rows at once come to the same as one after another."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.data.databases import Database, DatabaseError, connect, parse_connection_string, postgresql_insert
from penstock.data.databases.postgresql_insert import many_rows
from penstock.data.databases.statements import one_statement

ROWS_AT_ONCE = 3


@pytest.fixture
def postgres(postgresql_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    monkeypatch.setattr(postgresql_insert, "_ROWS_AT_ONCE", ROWS_AT_ONCE)
    with connect(parse_connection_string(postgresql_url, folder=Path())) as database:
        yield database


def rows(database: Database, query: str) -> list[tuple[object, ...]]:
    return [row for batch in database.select(query).batches for row in batch]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("insert into t values (?::int, upper(?))", "insert into t values ($1::int, upper($2)),($3::int, upper($4))"),
        (
            "INSERT INTO s.t (a) VALUES (coalesce(?, 'a)('))",
            "INSERT INTO s.t (a) VALUES (coalesce($1, 'a)(')),(coalesce($2, 'a)('))",
        ),
        (
            "insert into t values (?, 1) on conflict (a) do update set b = excluded.b",
            "insert into t values ($1, 1),($2, 1) on conflict (a) do update set b = excluded.b",
        ),
        ("insert into t values (nullif(?, ''))", "insert into t values (nullif($1, '')),(nullif($2, ''))"),
    ],
)
def test_a_row_of_expressions_is_written_for_many(query: str, expected: str) -> None:
    made = many_rows(one_statement(query, "postgresql", "insertQuery"))
    assert made is not None and made.query(2).decode() == expected


@pytest.mark.parametrize(
    "query",
    [
        "insert into t values ((select count(*) from t), ?)",
        "insert into t values (nextval('s'), ?)",
        "insert into t values (own_function(?))",
        "insert into t values (own.upper(?))",
        "insert into t values (?::own_type)",
        "insert into t values (?), (?)",
        "insert into t values (?) returning a",
        "insert into t select ?",
        "insert into t values (? + 1) on conflict (a) do update set b = ?",
        "with x as (select 1) insert into t values (?)",
        "insert into t overriding system value values (? + 1)",
        "update t set a = ?",
        "insert into t values (1)",
    ],
)
def test_what_could_see_the_rows_before_is_left_alone(query: str) -> None:
    assert many_rows(one_statement(query, "postgresql", "insertQuery")) is None


def test_the_row_that_fails_is_named_and_nothing_is_left(postgres: Database) -> None:
    postgres.execute_script("create table t (a int primary key, b text)")
    query = "insert into t values (?::int, upper(?))"
    for number in range(1, 12):
        values = [("x" if n == number else str(n), f"r{n}") for n in range(1, 12)]
        with pytest.raises(DatabaseError, match=rf"refused row {number} for insertQuery .*invalid input syntax"):
            postgres.insert(query, [values[:7], values[7:]])
        with pytest.raises(DatabaseError, match=rf"cannot take row {number} for insertQuery .*NUL"):
            bad = [(str(n), "a\0" if n == number else "a") for n in range(1, 12)]
            postgres.insert(query, [bad[:7], bad[7:]])
    assert rows(postgres, "select * from t") == []
    assert postgres.insert(query, [[(str(n), "é") for n in range(11)]]) == 11
    assert rows(postgres, "select count(*), min(b), max(b) from t") == [(11, "É", "É")]


def test_an_error_of_the_rows_themselves_leaves_the_connection_usable(postgres: Database) -> None:
    postgres.execute_script("create table t (a int)")

    def broken() -> Iterator[list[tuple[str]]]:
        yield [("1",), ("2",), ("3",), ("4",)]
        raise ValueError("broken gzip")

    with pytest.raises(ValueError, match="broken gzip"):
        postgres.insert("insert into t values (? + 1)", broken())
    assert rows(postgres, "select * from t") == []


@pytest.mark.parametrize(
    "table",
    [
        """create table t (a int, b int);
        create function seen() returns trigger language plpgsql as
            $$ begin new.b := (select count(*) from t); return new; end $$;
        create trigger seen before insert on t for each row execute function seen()""",
        """create table t (a int);
        create function seen() returns int language sql as $$ select count(*)::int from t $$;
        alter table t add b int default seen()""",
    ],
    ids=["trigger", "default"],
)
def test_a_table_that_looks_at_its_rows_gets_them_one_by_one(postgres: Database, table: str) -> None:
    postgres.execute_script(table)
    postgres.insert("insert into t (a) values (? + 0)", [[(str(n),) for n in range(7)]])
    assert rows(postgres, "select b from t order by a") == [(n,) for n in range(7)]


def test_a_row_cannot_refer_to_one_after_it(postgres: Database) -> None:
    postgres.execute_script("create table t (a int primary key, b int references t)")
    with pytest.raises(DatabaseError, match=r"row 1 for insertQuery .*violates foreign key"):
        postgres.insert("insert into t values (? + 0, ?)", [[("1", "2"), ("2", None), ("3", None)]])


@pytest.mark.by_hand
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.lists(
        st.tuples(
            st.sampled_from(["1", "2", "3", "4", "5", "6", "007", "x", "", None]),
            st.one_of(
                st.none(), st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=4)
            ),
        ),
        max_size=12,
    ),
    at=st.integers(0, 12),
    tail=st.sampled_from(["", " on conflict (a) do nothing", " on conflict (a) do update set b = t.b || excluded.b"]),
)
def test_many_rows_come_to_the_same_as_one_by_one(
    postgres: Database, values: list[tuple[str | None, str | None]], at: int, tail: str
) -> None:
    query = f"insert into t values (nullif(?, '')::int, coalesce(upper(?), 'NULL'), default){tail}"

    def outcome(is_one_by_one: bool) -> object:
        postgres.execute_script("drop table if exists t; create table t (a int primary key, b text, n serial)")
        try:
            with pytest.MonkeyPatch.context() as patch:
                if is_one_by_one:
                    patch.setattr(postgresql_insert, "many_rows", lambda statement: None)
                postgres.insert(query, [values[:at], values[at:]])
        except DatabaseError as error:
            return re.sub(r", \d+\)", ", n)", str(error))  # a sequence has counted the rows that were undone
        return rows(postgres, "select a, b from t order by n")

    assert outcome(is_one_by_one=False) == outcome(is_one_by_one=True)
