"""Redshift's SQL on PostgreSQL and DuckDB: what is translated gives Redshift's results, the rest is refused by name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from penstock.data.databases import Database, DatabaseError, connect, parse_connection_string
from penstock.data.databases.redshift_sql import translate
from penstock.data.databases.statements import split_script
from penstock.data.formats import to_text
from penstock.data.redshift.catalog import Keys, describe


@pytest.fixture(scope="module", params=["postgresql", "duckdb"])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    url = "duckdb:w.db" if request.param == "duckdb" else request.getfixturevalue("postgresql")
    address = parse_connection_string(url, folder=tmp_path_factory.mktemp("sql"))
    with connect(replace(address, written_for="redshift")) as database:
        yield database


def rows(database: Database, query: str) -> list[tuple[Any, ...]]:
    return [row for batch in database.select(query).batches for row in batch]


def translated(sql: str, target: Any = "postgres") -> list[str]:
    return [made for statement in split_script(sql, "redshift") for made in translate(statement, target)]


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("nvl(null, 2)", "2"),
        ("nvl2(null, 1, 2)", "2"),
        ("decode(2, 1, 'x', 2, 'y', 'z')", "y"),
        ("decode(null, 1, 'x', null, 'y', 'z')", "y"),
        ("len('abc ')", "4"),
        ("charindex('b', 'abc')", "2"),
        ("concat('a', null)", None),
        ("7 / 2", "3"),
        ("-7 / 2", "-3"),
        ("7.0 / 2 > 3", "true"),
        ("dateadd(day, 1, '2013-01-31')", "2013-02-01 00:00:00"),
        ("dateadd(mon, 1, '2013-01-31')", "2013-02-28 00:00:00"),
        ("dateadd('quarter', -1, '2013-01-31')", "2012-10-31 00:00:00"),
        ("add_months('2013-02-28', 1)", "2013-03-31 00:00:00"),
        ("last_day('2012-02-03')", "2012-02-29"),
        ("datediff(day, '2013-01-01 23:59:00', '2013-01-02 00:01:00')", "1"),
        ("datediff(hour, '2013-01-01 00:59:00', '2013-01-01 01:01:00')", "1"),
        ("datediff(month, '2013-01-31', '2013-02-01')", "1"),
        ("datediff(year, '2012-12-31', '2013-01-01')", "1"),
        ("datediff(qtr, '2012-12-31', '2013-04-01')", "2"),
        ("datediff(second, '2013-01-01 00:00:01', '2013-01-01 00:01:00')", "59"),
        ("date_trunc('mon', timestamp '2013-02-03 04:05:06')", "2013-02-01 00:00:00"),
        ("extract(year from date '2013-02-03') / 2", "1006"),
        ("convert_timezone('US/Eastern', '2013-01-02 03:00:00')", "2013-01-01 22:00:00"),
        ("convert(int, '7')", "7"),
        ("'it\\'s ' || 'a \\\\d'", "it's a \\d"),
        ("getdate() > '2013-01-01' and sysdate > '2013-01-01'", "true"),
        ("replicate('ab', 2)", "abab"),
        ("regexp_replace('aXbXc', 'X', '-')", "a-b-c"),
    ],
)
def test_a_function_of_redshift_gives_its_result(database: Database, expression: str, text: str | None) -> None:
    ((value,),) = rows(database, f"select {expression}")
    assert to_text(value) == text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("select top 2 a from t order by a desc", [("3",), ("2",)]),
        ("select approximate count(distinct b) from t", [("2",)]),
        ("select listagg(b, ',') within group (order by a desc) from t", [("y,x,x",)]),
        ("select b, sum(a) from t group by 1 order by 1", [("x", "3"), ("y", "3")]),
        ("select avg(a::float) from t", [("2.0",)]),
        ("select a from t minus select 2 order by 1", [("1",), ("3",)]),
        (
            "select a, row_number() over (partition by b order by a) from t order by 1",
            [("1", "1"), ("2", "2"), ("3", "1")],
        ),
        ("select \"A\" from t where b ilike 'Y'", [("3",)]),
        ("with q as (select max(a) as m from t) select m from q", [("3",)]),
        ("select case when a > 2 then 'big' else 'small' end from t order by a desc limit 1", [("big",)]),
    ],
)
def test_a_query_of_redshift_gives_its_rows(database: Database, query: str, found: list[tuple[str, ...]]) -> None:
    database.execute_script("drop table if exists t; create table t (a int, b varchar(5))")
    database.execute_script("insert into t values (1, 'x'), (2, 'x'), (3, 'y')")
    assert [tuple(to_text(value) for value in row) for row in rows(database, query)] == found


def test_keys_are_kept_and_not_enforced(database: Database) -> None:
    database.execute_script(
        """drop table if exists k; create table k (id int not null encode zstd, "Day" date distkey,
        name varchar(4) default 'x' unique, primary key (id), foreign key (id) references nowhere (id))
        diststyle key compound sortkey (name, "Day");
        insert into k values (1, '2013-01-01', 'a'), (1, '2013-01-01', default)"""
    )
    keys = describe(database, "k", None).keys
    assert replace(keys, sort=tuple(sorted(keys.sort))) == Keys(("id",), ("day",), ("day", "name"))
    assert rows(database, "select count(*), max(name) from k") == [(2, "x")]
    with pytest.raises(DatabaseError):
        database.execute_script("insert into k values (null, null, null)")


def test_lengths_are_those_of_bytes(database: Database) -> None:
    database.execute_script("drop table if exists l; create table l (a varchar(3), b text)")
    database.execute_script("insert into l values ('é1', 'x')")
    with pytest.raises(DatabaseError, match=r"(?i)check"):
        database.execute_script("insert into l values ('éé', 'x')")
    with pytest.raises(DatabaseError):
        database.execute_script(f"insert into l values ('x', '{'x' * 257}')")


@pytest.mark.parametrize(
    ("script", "arguments", "found"),
    [
        ("insert into s values (?, ?); update s set b = ? where a = ?", ["1", "x", "y", "1"], [(1, "y")]),
        ("begin; insert into s values (1, 'a'); commit; vacuum s; analyze s", [], [(1, "a")]),
        (
            "insert into s values (1, 'a'); delete s where a = 1; insert into s values (2, nvl(?, 'b'))",
            ["c"],
            [(2, "c")],
        ),
        ("set query_group to 'x'; grant select on s to public; insert into s select 3, 'z'", [], [(3, "z")]),
        (
            "create temp table #tmp as select 4 as a; insert into s select a, 'q' from #tmp; drop table #tmp",
            [],
            [(4, "q")],
        ),
        ("insert into s values (1, 'a'); truncate s", [], []),
    ],
)
def test_a_script_of_redshift_runs(
    database: Database, script: str, arguments: list[str], found: list[tuple[Any, ...]]
) -> None:
    database.execute_script("drop table if exists s; create table s (a int, b varchar(5))")
    database.execute_script(script, arguments)
    assert rows(database, "select * from s") == found


@pytest.mark.parametrize(
    ("sql", "problem"),
    [
        ("select median(a) from t", "MEDIAN"),
        ("select ratio_to_report(a) over () from t", "RATIO_TO_REPORT"),
        ("select avg(a) from t", "AVG gives a whole number"),
        ("select datediff(week, a, b) from t", "DATEDIFF by week"),
        ("select a from t qualify row_number() over (order by a) = 1", "QUALIFY"),
        ("select * from t pivot (sum(a) for b in (1, 2))", "PIVOT"),
        ("select a::super from t", "SUPER"),
        ("create table t (a geometry)", "geometry"),
        ("create table t (a int collate case_insensitive)", "COLLATE"),
        ("create table t (a int", "ends too early"),
        ("create external table s.t (a int) stored as parquet location 's3://b/k'", "is not translated"),
        ("create or replace procedure p() as $$ begin end $$ language plpgsql", "is not translated"),
        ("call p()", "CALL"),
        ("merge into t using s on t.a = s.a when matched then delete", "is not translated"),
        ("alter table t append from s", "this ALTER is not translated"),
        ("set timezone to 'x'", "The setting timezone"),
        ("show search_path", "SHOW"),
        ("select @ a from t", "operator @"),
        ("copy t from 's3://b/k' csv", "COPY runs in a SqlActivity or a RedshiftCopyActivity alone"),
        ("select add_months(?, 1)", r"its arguments \(\?\)"),
        ("select from where", "it is not understood"),
    ],
)
def test_what_is_not_translated_is_refused_by_name(sql: str, problem: str) -> None:
    with pytest.raises(DatabaseError, match=rf"(?s)Statement 1 \(.* is written for Redshift: .*{problem}"):
        translated(sql)


def test_identity_columns_count_as_redshift_counts() -> None:
    (made,) = translated("create table t (a int identity(5, 2), b int generated by default as identity(1, 1))")
    assert '"a" INTEGER GENERATED ALWAYS AS IDENTITY (START WITH 5 INCREMENT BY 2 MINVALUE 1)' in made
    assert '"b" INTEGER GENERATED BY DEFAULT AS IDENTITY (START WITH 1 INCREMENT BY 1 MINVALUE 1)' in made
    with pytest.raises(DatabaseError, match="IDENTITY column a is not translated for DuckDB"):
        translated("create table t (a int identity(5, 2))", "duckdb")


def test_a_table_made_of_a_query_has_keys() -> None:
    assert translated("create table t distkey(a) as select 1 as a") == [
        'CREATE TABLE "t" AS SELECT 1 AS a',
        """ALTER TABLE "t" ADD CHECK ("a" IS NULL OR 'redshift distribution key' <> '')""",
    ]


def test_a_redshift_database_stands_on_no_sqlite(tmp_path: Any) -> None:
    address = parse_connection_string("sqlite:x.db", folder=tmp_path)
    with pytest.raises(DatabaseError, match="A RedshiftDatabase cannot stand on sqlite"):
        connect(replace(address, written_for="redshift"))
