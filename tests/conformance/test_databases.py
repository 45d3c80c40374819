"""What every database does: the same tests over SQLite and PostgreSQL, and what one of them does alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from penstock.data.databases import Address, Database, DatabaseError, connect, parse_connection_string
from penstock.data.formats import to_text

Rows = list[tuple[object, ...]]


@pytest.fixture(params=["sqlite", "postgresql", "duckdb", "mysql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Address:
    url = f"{request.param}:test.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql_url")
    elif request.param == "mysql":
        url = request.getfixturevalue("mysql_url")
    return parse_connection_string(url, folder=tmp_path)


@pytest.fixture
def database(address: Address) -> Iterator[Database]:
    with connect(address) as database:
        yield database


@pytest.fixture
def postgres(postgresql_url: str, tmp_path: Path) -> Iterator[Database]:
    with connect(parse_connection_string(postgresql_url, folder=tmp_path)) as database:
        yield database


@pytest.fixture
def mysql(mysql_url: str, tmp_path: Path) -> Iterator[Database]:
    with connect(parse_connection_string(mysql_url, folder=tmp_path)) as database:
        yield database


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Database]:
    with connect(parse_connection_string("sqlite:test.db", folder=tmp_path)) as database:
        yield database


def rows(database: Database, query: str) -> Rows:
    return [row for batch in database.select(query).batches for row in batch]


def typed(database: Database, query: str) -> str:
    """A query whose functions DuckDB finds, too: it does not guess the type of their arguments."""
    return query.replace("abs(?)", "abs(?::int)") if database.dialect == "duckdb" else query


def named(database: Database, script: str) -> str:
    """A script with its names in the quotes of the database."""
    return script.replace('""', "\0").replace('"', "`").replace("\0", '"') if database.dialect == "mysql" else script


def joined(database: Database, query: str) -> str:
    """A query that appends an empty text in the words of the database."""
    return query.replace("?||''", "concat(?, '')") if database.dialect == "mysql" else query


def keeps_tables(database: Database) -> bool:
    """Whether a statement that makes a table ends the transaction, as MySQL's does, so that it stays."""
    return database.dialect == "mysql"


# Scripts


def test_a_script_runs_all_of_its_statements(database: Database) -> None:
    database.execute_script("create table t (a int, b text);\n-- why; not\ninsert into t values (1, 'x;y'); select 1;")
    assert rows(database, "select * from t") == [(1, "x;y")]


def test_arguments_fill_the_placeholders_of_all_statements_in_order(database: Database) -> None:
    script = "create table t (a int, b text); insert into t values (?, ?); insert into t values (?, '?')"
    database.execute_script(script, ["1", "it's", "2"])
    assert rows(database, "select * from t order by a") == [(1, "it's"), (2, "?")]


@pytest.mark.parametrize("arguments", [[], ["1", "2"]])
def test_a_script_needs_an_argument_for_each_placeholder(database: Database, arguments: list[str]) -> None:
    with pytest.raises(DatabaseError, match=rf"has 1 placeholders \(\?\) and {len(arguments)} arguments"):
        database.execute_script("create table t (a int); insert into t values (?)", arguments)
    assert not database.table_exists("t")


def test_a_script_that_fails_leaves_nothing_behind(database: Database) -> None:
    with pytest.raises(DatabaseError, match=r"statement 3 \(insert into nowhere\): .*nowhere"):
        database.execute_script("create table t (a int);\ninsert into t values (1);\n\ninsert into nowhere\nvalues (1)")
    assert database.table_exists("t") == keeps_tables(database)
    database.execute_script("create table if not exists t (a int)")
    assert rows(database, "select * from t") == []


def test_a_script_may_have_transactions_of_its_own(database: Database) -> None:
    alone = "analyze table t" if database.dialect == "mysql" else "vacuum"
    database.execute_script(f"create table t (a int); begin; insert into t values (1); commit; {alone}")
    with pytest.raises(DatabaseError, match="nowhere"):
        database.execute_script(
            "begin; insert into t values (2); commit; begin; insert into nowhere values (3); commit"
        )
    assert rows(database, "select a from t order by a") == [(1,), (2,)]


def test_a_script_must_end_the_transactions_that_it_begins(database: Database) -> None:
    with pytest.raises(DatabaseError, match=r"begins a transaction that it does not end. Add COMMIT"):
        database.execute_script("create table t (a int); begin; insert into t values (1)")
    if database.table_exists("t"):
        assert rows(database, "select * from t") == []


def test_a_single_statement_runs_by_itself(database: Database) -> None:
    database.execute_script("set session wait_timeout = 600" if database.dialect == "mysql" else "vacuum")
    database.execute_script("")


def test_a_script_inside_a_transaction_may_not_end_it(database: Database) -> None:
    with pytest.raises(DatabaseError, match=r"Statement 2 \(commit\) is not allowed here"), database.transaction():
        database.execute_script("create table t (a int); commit")
    assert not database.table_exists("t")


# Reading


def test_rows_come_in_batches_with_the_names_of_their_columns(database: Database) -> None:
    database.execute_script("create table t (a int, b text)")
    database.insert_into("t", None, None, [[(number, str(number)) for number in range(5)]])
    records = database.select("select a, b as name from t order by a;", batch_size=2)
    assert records.columns == ("a", "name")
    assert [len(batch) for batch in records.batches] == [2, 2, 1]


def test_a_query_without_rows_still_has_columns(database: Database) -> None:
    records = database.select("select 1 as a, 2 as b where 1 = 0")
    assert records.columns == ("a", "b")
    assert list(records.batches) == []


def test_a_query_may_be_left_unread(database: Database) -> None:
    database.execute_script("create table t (a int); insert into t values (1), (2), (3)")
    first = next(database.select("select a from t order by a", batch_size=1).batches)
    assert first == [(1,)]


def test_a_whole_table_can_be_read(database: Database) -> None:
    database.execute_script(
        named(database, 'create table "Odd ""Name""" (a int); insert into "Odd ""Name""" values (1)')
    )
    assert [row for batch in database.select_table('Odd "Name"').batches for row in batch] == [(1,)]


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("select x from nowhere", r"selectQuery \(select x from nowhere\): .*nowhere"),
        ("create table t (a int)", "gives no rows. Write a SELECT"),
        ("select 1; select 2", "must be one SQL statement; it has 2"),
        ("selec 1", "syntax"),
    ],
)
def test_a_query_that_cannot_be_read_is_refused(database: Database, query: str, problem: str) -> None:
    with pytest.raises(DatabaseError, match=problem):
        database.select(query)
    assert rows(database, "select 1") == [(1,)]


# Writing


@pytest.mark.parametrize(
    "query",
    [
        "insert into t (a, b, c) values (?, ?, ?)",
        "INSERT INTO t\n(a, b, c)\nVALUES (?,?,?);",
        "insert into t values (?, ?, ?)",
        "insert into t select ?, ?, ?",
        "insert into t (a, b, c) values (?, ?, ?) -- plain",
        "insert into t (b, c, a) values (?, ?, 7)",
    ],
)
def test_text_becomes_the_type_of_its_column(database: Database, query: str) -> None:
    if "7" in query:
        database.execute_script("create table t (a int, b text, c numeric(9, 1))")
        assert database.insert(query, [[("x", "1.5")], [(None, None)]]) == 2
        assert rows(database, "select a, b, c + 1 from t order by b is null") == [(7, "x", 2.5), (7, None, None)]
        return
    database.execute_script("create table t (a int, b text, c numeric(9, 1))")
    if query == "insert into t select ?, ?, ?" and database.dialect == "postgresql":
        query = "insert into t select ?::int, ?, ?::numeric"
    assert database.insert(query, [[("1", "x", "1.5"), ("2", "", None)], [], [(None, "\\N", "3")]]) == 3
    found = rows(database, "select a, b, c from t order by a is null, a")
    assert found == [(1, "x", 1.5), (2, "", None), (None, "\\N", 3)]


def test_an_insert_query_may_name_fewer_columns(database: Database) -> None:
    database.execute_script("create table t (a int, b text default 'none', c int)")
    database.insert("insert into t (c, a) values (?, ?)", [[("1", "2")]])
    assert rows(database, "select * from t") == [(2, "none", 1)]


def test_an_insert_query_may_do_more(database: Database) -> None:
    database.execute_script("create table t (a int primary key, b text)")
    query = "insert into t (a, b) values (?, upper(?)) on conflict (a) do update set b = excluded.b"
    if database.dialect == "mysql":
        query = "insert into t (a, b) values (?, upper(?)) on duplicate key update b = values(b)"
    assert database.insert(query, [[("1", "x"), ("1", "y"), ("2", "z")]]) == 3
    assert rows(database, "select * from t order by a") == [(1, "Y"), (2, "Z")]


def test_rows_can_be_inserted_into_chosen_columns(database: Database) -> None:
    database.execute_script("create table t (a int, b text default 'none', c int)")
    assert database.insert_into("t", None, ["c", "a"], iter([[("1", "2")]])) == 1
    assert rows(database, "select * from t") == [(2, "none", 1)]


def test_generated_columns_take_no_values(database: Database) -> None:
    stored = "" if database.dialect == "duckdb" else "stored"
    database.execute_script(f"create table t (a int, b int generated always as (a * 2) {stored}, c int)")
    database.insert_into("t", None, None, [[("1", "3")]])
    assert rows(database, "select * from t") == [(1, 2, 3)]


@pytest.mark.parametrize("query", ["insert into t values (?, ?)", "insert into t (a, b) values (?, abs(?))"])
def test_a_row_of_another_width_is_named(database: Database, query: str) -> None:
    database.execute_script("create table t (a int, b int)")
    query = typed(database, query)
    batches: list[Rows] = [[("1", "2")], [("3", "4"), ("5",)]]
    with pytest.raises(DatabaseError, match=r"Row 3 has 1 column, but insertQuery \(insert into t.* takes 2\."):
        database.insert(query, batches)
    with pytest.raises(DatabaseError, match=r"Row 3 has 1 column, but the table t takes 2\."):
        database.insert_into("t", None, None, batches)
    assert rows(database, "select * from t") == []


@pytest.mark.parametrize("query", ["insert into t values (?)", "insert into t (a) values (?) on conflict do nothing"])
def test_a_row_that_the_database_refuses_leaves_nothing_behind(database: Database, query: str) -> None:
    database.execute_script("create table t (a int check (a < 10))")
    with pytest.raises(DatabaseError, match=r"insertQuery \(insert into t"):
        database.insert(query, [[("1",)] * 3, [("2",), ("11",)]])
    assert rows(database, "select * from t") == []


def test_an_error_in_the_rows_leaves_nothing_behind(database: Database) -> None:
    database.execute_script("create table t (a int)")

    def batches() -> Iterator[Rows]:
        yield [("1",)]
        raise ZeroDivisionError

    for insert in (
        lambda: database.insert("insert into t values (?)", batches()),
        lambda: database.insert(typed(database, "insert into t values (abs(?))"), batches()),
        lambda: database.insert_into("t", None, None, batches()),
    ):
        with pytest.raises(ZeroDivisionError):
            insert()
    assert rows(database, "select * from t") == []


def test_a_transaction_holds_several_calls(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.transaction():
        database.create_table("create table t (a int)", "t")
        database.insert_into("t", None, None, [[("1",)]])
        assert rows(database, "select * from t") == [(1,)]
        raise ZeroDivisionError
    assert database.table_exists("t") == keeps_tables(database)
    if database.table_exists("t"):
        assert rows(database, "select * from t") == []
    with database.transaction(), database.transaction():
        database.execute_script("create table if not exists t (a int)")
    assert database.table_exists("t")


def test_a_missing_table_is_named(database: Database) -> None:
    with pytest.raises(DatabaseError, match=r"There is no table nowhere in .*Give createTableSql"):
        database.insert_into("nowhere", None, None, [[("1",)]])
    with pytest.raises(DatabaseError, match="There is no table nowhere"):
        database.select_table("nowhere")
    with pytest.raises(DatabaseError, match=r"insertQuery \(insert into nowhere values \(\?\)\).*nowhere"):
        database.insert("insert into nowhere values (?)", [[("1",)]])


# Tables


def test_a_table_is_found_as_it_is_written_or_folded(database: Database) -> None:
    database.execute_script(
        named(database, 'create table adEvents (a int); create table "Sales 2" (a int); create table "order" (a int)')
    )
    folded = "adEvents" if database.dialect == "mysql" else "ADEVENTS"  # whose names do not fold on Linux
    for name in ("adEvents", folded, "Sales 2", '"Sales 2"', "order"):
        assert database.table_exists(name)
        database.insert_into(name, None, None, [[("1",)]])
    assert not database.table_exists("adEvent")
    assert not database.table_exists("adEvents' or 1=1")
    assert len(rows(database, "select * from adEvents")) == 2


def test_a_table_is_made_once(database: Database) -> None:
    sql = "create table t (a int); create index i on t (a);"
    database.create_table(sql, "t")
    database.create_table(sql, "t")
    assert rows(database, "select * from t") == []


def test_a_table_that_is_still_missing_is_an_error(database: Database) -> None:
    with pytest.raises(DatabaseError, match=r"still no table u. Correct the name"):
        database.create_table("create table t (a int)", "u")
    assert database.table_exists("t") == keeps_tables(database)
    with pytest.raises(DatabaseError, match=r"statement 1 .creat table"):
        database.create_table("creat table t (a int)", "v")


def test_two_may_make_a_table_and_write_at_once(address: Address) -> None:
    problems: list[Exception] = []
    barrier = threading.Barrier(4)

    def work() -> None:
        try:
            barrier.wait()
            with connect(address) as database:
                database.create_table("create table t (a int)", "t")
                for number in range(5):
                    database.insert("insert into t values (?)", [[(number,)] * 10])
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    with connect(address) as database:
        assert rows(database, "select count(*) from t") == [(200,)]


# Values

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
tricky = st.text("\\N\t\n\r.,'\"?$%", max_size=6)
some_rows = st.lists(st.tuples(st.none() | texts | tricky, st.none() | tricky), max_size=6)


@pytest.mark.parametrize("query", ["insert into t values (?, ?)", "insert into t (a, b) values (?, ?||'')"])
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(given_rows=some_rows)
def test_any_text_reads_back_as_it_was_inserted(
    database: Database, query: str, given_rows: list[tuple[str | None, str | None]]
) -> None:
    database.execute_script("drop table if exists t; create table t (a text, b text)")
    query = joined(database, query)
    assert database.insert(query, [given_rows]) == len(given_rows)
    assert sorted(map(repr, rows(database, "select * from t"))) == sorted(map(repr, given_rows))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    number=st.integers(-(2**63), 2**63 - 1),
    real=st.floats(allow_nan=False),
    data=st.binary(max_size=20),
)
def test_numbers_and_bytes_read_back_as_they_were_inserted(
    database: Database, number: int, real: float, data: bytes
) -> None:
    if database.dialect == "mysql":
        assume(abs(real) != float("inf"))  # which it refuses
    binary = "bytea" if database.dialect == "postgresql" else "blob"
    database.execute_script(f"drop table if exists t; create table t (a bigint, b double precision, c {binary})")
    database.insert("insert into t values (?, ?, ?)", [[(number, real, data)]])
    assert rows(database, "select * from t") == [(number, real, data)]


def test_typed_values_are_inserted_as_their_text(database: Database) -> None:
    values = [
        (Decimal("12.50"), "12.50"),
        (datetime(2013, 1, 2, 3, 4, 5), "2013-01-02 03:04:05"),
        (date(2013, 1, 2), "2013-01-02"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ({"a": 1}, '{"a":1}'),
        (10**30, "1" + "0" * 30),
        (float("nan"), "NaN"),
    ]
    database.execute_script("create table t (a text)")
    database.insert_into("t", None, None, [[(value,) for value, _ in values]])
    assert rows(database, "select * from t") == [(text,) for _, text in values]


def test_a_value_that_no_database_knows_is_refused(database: Database) -> None:
    database.execute_script("create table t (a text)")
    for query in ("insert into t values (?)", "insert into t values (?||'')"):
        with pytest.raises(DatabaseError, match=r"insertQuery.*type object has no text form"):
            database.insert(joined(database, query), [[(object(),)]])


def test_text_that_is_not_unicode_is_refused(database: Database) -> None:
    database.execute_script("create table t (a text)")
    for query in ("insert into t values (?)", "insert into t values (?||'')"):
        with pytest.raises(DatabaseError, match=r"insertQuery"):
            database.insert(joined(database, query), [[("\ud800",)]])


# PostgreSQL alone


def test_postgresql_values_of_plain_types_come_typed(postgres: Database) -> None:
    query = """select 1::smallint, 2::bigint, 1.50::numeric, 0.1::real, true, 'x'::varchar(3), '\\x01ff'::bytea,
        '2013-01-02'::date, '2013-01-02 03:04:05'::timestamp, '2013-01-02 03:04:05-05'::timestamptz, null,
        '00000000-0000-0000-0000-000000000001'::uuid"""
    (row,) = rows(postgres, query)
    assert row == (
        *(1, 2, Decimal("1.50"), 0.1, True, "x", b"\x01\xff", date(2013, 1, 2)),
        *(datetime(2013, 1, 2, 3, 4, 5), datetime(2013, 1, 2, 8, 4, 5, tzinfo=UTC), None, UUID(int=1)),
    )
    assert to_text(row[9]) == "2013-01-02 08:04:05+00:00"


def test_postgresql_values_of_other_types_come_as_its_own_text(postgres: Database) -> None:
    query = """select '1 mon 2 days'::interval, '{1,NULL,3}'::int[], '{"b": 1.0, "a":2}'::json, '[1,5)'::int4range,
        'infinity'::timestamp, '0044-03-15 BC'::date, '-infinity'::timestamptz, '24:00'::time, '(1,2)'::point,
        '12345-01-01'::date"""
    assert rows(postgres, query) == [
        (
            *("1 mon 2 days", "{1,NULL,3}", '{"b": 1.0, "a":2}', "[1,5)"),
            *("infinity", "0044-03-15 BC", "-infinity", "24:00:00", "(1,2)", "12345-01-01"),
        )
    ]


def test_postgresql_text_becomes_any_type(postgres: Database) -> None:
    postgres.execute_script(
        """create type mood as enum ('ok');
        create table t (a int[], b jsonb, c mood, d boolean, e timestamptz, f interval)"""
    )
    row = ("{1,2}", '{"a": 1}', "ok", "true", "2013-01-02 00:00:00+00:00", "1 mon")
    for query in ("insert into t values (?, ?, ?, ?, ?, ?)", "insert into t values (?, ?, ?, ?, ?, ?::interval)"):
        postgres.insert(query, [[row]])
    expected = (*row[:3], True, datetime(2013, 1, 2, tzinfo=UTC), "1 mon")
    assert rows(postgres, "select * from t") == [expected, expected]


def test_postgresql_schemas_hold_tables(postgres: Database) -> None:
    postgres.execute_script('create schema sales; create table sales.t (a int); create schema "Odd"')
    assert (
        postgres.table_exists("t", "sales") and postgres.table_exists("sales.t") and postgres.table_exists("T", "Sales")
    )
    assert not postgres.table_exists("t") and not postgres.table_exists("t", "public")
    postgres.insert_into("t", "sales", None, [[("1",)]])
    postgres.insert("insert into sales.t values (?)", [[("2",)]])
    postgres.create_table('create table "Odd".t (a int)', "t", "Odd")
    assert [row for batch in postgres.select_table("sales.t").batches for row in batch] == [(1,), (2,)]
    with pytest.raises(DatabaseError, match="There is no table u in the schema sales of postgresql://"):
        postgres.insert_into("u", "sales", None, [])


def test_postgresql_takes_a_row_into_views_and_tables_with_rules(postgres: Database) -> None:
    postgres.execute_script(
        """create table t (a int); create view v as select a from t; create table r (a int);
        create rule divert as on insert to r do instead insert into t values (new.a + 100)"""
    )
    for name in ("v", "r"):
        postgres.insert_into(name, None, None, [[("1",)]])
        postgres.insert(f"insert into {name} values (?)", [[("2",)]])
    assert rows(postgres, "select a from t order by a") == [(1,), (2,), (101,), (102,)]


def test_postgresql_names_the_row_of_a_bad_value(postgres: Database) -> None:
    postgres.execute_script("create table t (a int)")
    with pytest.raises(DatabaseError, match=r'invalid input syntax for type integer: "x".*row 2, column a'):
        postgres.insert("insert into t values (?)", [[("1",), ("x",)]])
    with pytest.raises(DatabaseError, match=r"row 3 for insertQuery.*invalid input syntax"):
        postgres.insert("insert into t values (1 + ?)", [[("1",)], [("1",), ("x",)]])


def test_postgresql_has_a_question_mark_operator_and_dollar_quotes(postgres: Database) -> None:
    postgres.execute_script(
        """create function f() returns int language plpgsql as $$ begin perform 1; return 2; end $$;
        create table t as select f() as a, '{"k": 1}'::jsonb ?? ? as b;
        select a into u from t; select * from generate_series(1, 10000)""",
        ["k"],
    )
    assert rows(postgres, "select t.a, b, u.a from t, u") == [(2, True, 2)]


def test_postgresql_reads_what_no_cursor_takes(postgres: Database) -> None:
    assert rows(postgres, "show timezone") == [("UTC",)]
    postgres.execute_script("create table t (a int)")
    assert rows(postgres, "insert into t values (1) returning a") == [(1,)]


def test_a_postgresql_query_that_changes_data_is_kept_when_it_is_read(postgres: Database) -> None:
    postgres.execute_script(
        """create table t (a int);
        create function f() returns int language sql as $$ insert into t values (1) returning a $$"""
    )
    assert rows(postgres, "select f()") == rows(postgres, "select a from t") == [(1,)]


def test_postgresql_follows_the_search_path_of_its_address(postgresql_url: str, tmp_path: Path) -> None:
    with connect(parse_connection_string(postgresql_url, folder=tmp_path)) as database:
        database.execute_script("create schema sales; create table sales.t (a int)")
    string = f"jdbc:{postgresql_url}?currentSchema=sales&ssl=false"
    with connect(parse_connection_string(string, folder=tmp_path)) as database:
        assert database.table_exists("t")


# SQLite alone


def test_sqlite_runs_triggers(sqlite: Database) -> None:
    sqlite.execute_script(
        """create table t (a int); create table log (a int);
        create trigger r after insert on t begin insert into log values (new.a); insert into log values (0); end;
        insert into t values (1)"""
    )
    assert rows(sqlite, "select a from log") == [(1,), (0,)]


def test_sqlite_has_no_schemas(sqlite: Database) -> None:
    with pytest.raises(DatabaseError, match=r"SQLite has no schemas, so not 'sales' either. Remove schemaName"):
        sqlite.table_exists("t", "sales")
    assert not sqlite.table_exists("t", "main")


def test_sqlite_names_the_row_that_it_refuses(sqlite: Database) -> None:
    sqlite.execute_script("create table t (a int unique)")
    with pytest.raises(DatabaseError, match=r"row 5 for insertQuery.*UNIQUE constraint failed: t.a"):
        sqlite.insert("insert into t values (?)", [[("1",), ("2",)], [("3",), ("4",), ("1",)]])


def test_sqlite_lets_others_read_while_one_writes(sqlite: Database, tmp_path: Path) -> None:
    sqlite.execute_script("create table t (a int); insert into t values (1)")
    with connect(Address("sqlite", database=str(tmp_path / "test.db"))) as other, sqlite.transaction():
        sqlite.execute_script("insert into t values (2)")
        assert rows(other, "select a from t") == [(1,)]
