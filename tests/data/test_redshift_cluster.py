"""What a real Redshift is told: COPY, UNLOAD and the merge; and the connection, on PostgreSQL's protocol."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from penstock.data.databases import Database, DatabaseError, connect, parse_connection_string
from penstock.data.formats import CSV, TSV
from penstock.data.redshift.catalog import Keys
from penstock.data.redshift.cluster import ClusterTable, format_options, merge_statements
from penstock.data.redshift.merge import Target
from penstock.data.redshift.option_text import OptionError
from penstock.data.redshift.statements import copy_statement, unload_statement
from penstock.settings import RedshiftSettings

ROLE = RedshiftSettings(iam_role="arn:aws:iam::1:role/copy", region="eu-west-1")
TABLE = ClusterTable('"public"."t"', ("id", "name"), Keys(("id",), ("name",), ()))


def test_copy_names_the_role_the_options_and_the_region() -> None:
    assert copy_statement("staging", "s3://b/it's", ["CSV", "IGNOREHEADER 1"], ROLE) == (
        r"COPY staging FROM 's3://b/it\'s' IAM_ROLE 'arn:aws:iam::1:role/copy' CSV IGNOREHEADER 1 REGION 'eu-west-1'"
    )
    keys = RedshiftSettings(access_key_id="AKIA", secret_access_key="s")
    assert copy_statement("staging", "s3://b/m", ["GZIP"], keys, is_manifest=True) == (
        "COPY staging FROM 's3://b/m' ACCESS_KEY_ID 'AKIA' SECRET_ACCESS_KEY 's' GZIP MANIFEST"
    )


def test_unload_quotes_the_query() -> None:
    assert unload_statement("select 'x' from t", "s3://b/p/", ["PARALLEL OFF", "REGION 'us-east-1'"], ROLE) == (
        r"UNLOAD ('select \'x\' from t') TO 's3://b/p/' IAM_ROLE 'arn:aws:iam::1:role/copy' PARALLEL OFF"
        " REGION 'us-east-1'"
    )


def test_a_cluster_needs_a_role_or_keys() -> None:
    with pytest.raises(OptionError, match=r"Set iam_role, or access_key_id and secret_access_key, in \[redshift\]"):
        copy_statement("t", "s3://b/k", ["CSV"], RedshiftSettings())


@pytest.mark.parametrize("option", ["PARQUET", "SSH", "ENCRYPTED", "FORMAT AS ORC", "LZOP"])
def test_a_cluster_takes_options_that_are_not_built_here(option: str) -> None:
    assert option in copy_statement("t", "s3://b/k", [option], ROLE)


def test_a_cluster_is_not_asked_what_no_cluster_knows() -> None:
    with pytest.raises(OptionError, match="'QUICKLY' is no option of Redshift's COPY"):
        copy_statement("t", "s3://b/k", ["CSV QUICKLY"], ROLE)


@pytest.mark.parametrize(
    ("mode", "merge"),
    [
        ("APPEND", ['INSERT INTO "public"."t" SELECT * FROM staging']),
        ("TRUNCATE", ['DELETE FROM "public"."t"', 'INSERT INTO "public"."t" SELECT * FROM staging']),
        (
            "OVERWRITE_EXISTING",
            [
                'DELETE FROM "public"."t" USING staging WHERE "public"."t"."id" = staging."id"'
                ' AND "public"."t"."name" = staging."name"',
                'INSERT INTO "public"."t" SELECT * FROM staging',
            ],
        ),
        (
            "KEEP_EXISTING",
            [
                'INSERT INTO "public"."t" SELECT * FROM staging WHERE NOT EXISTS (SELECT 1 FROM "public"."t"'
                ' WHERE "public"."t"."id" = staging."id" AND "public"."t"."name" = staging."name")'
            ],
        ),
    ],
)
def test_the_insert_modes_are_statements(mode: Any, merge: list[str]) -> None:
    made = merge_statements(mode, Target("t"), TABLE, ["COPY …"], None)
    assert made == ['CREATE TEMP TABLE staging (LIKE "public"."t")', "COPY …", *merge, "DROP TABLE staging"]


def test_transform_sql_makes_a_second_staging_table() -> None:
    made = merge_statements("APPEND", Target("t"), TABLE, ["COPY …"], "select * from staging;")
    assert made[2:] == [
        "CREATE TEMP TABLE staging_transformed AS select * from staging",
        'INSERT INTO "public"."t" SELECT * FROM staging_transformed',
        "DROP TABLE staging",
        "DROP TABLE staging_transformed",
    ]


def test_data_formats_are_options() -> None:
    assert format_options(None, "none") == ["DELIMITER ','", "ESCAPE", r"NULL AS '\\N'"]
    assert format_options(TSV(), "gzip") == [r"DELIMITER '\t'", "ESCAPE", r"NULL AS '\\N'", "GZIP"]
    assert format_options(CSV(escape_char=None), "none") == ["DELIMITER ','", r"NULL AS '\\N'"]
    with pytest.raises(OptionError, match="with quoting or a header is not what a cluster reads exactly"):
        format_options(replace(CSV(), header=True), "none")


# The connection: PostgreSQL stands for the cluster where the two are the same.


@pytest.fixture
def cluster(postgresql_url: str, tmp_path: Path) -> Any:
    with connect(parse_connection_string(postgresql_url.replace("postgresql:", "redshift:"), folder=tmp_path)) as made:
        yield made


def rows(database: Database, query: str) -> list[tuple[object, ...]]:
    return [row for batch in database.select(query, batch_size=2).batches for row in batch]


def test_a_cluster_gets_its_sql_untouched(cluster: Database) -> None:
    assert cluster.dialect == "redshift" and str(cluster.__dict__["_address"]).startswith("redshift://127.0.0.1:")
    cluster.execute_script("create table t (a int, b varchar(10)); insert into t values (?, ?)", ["1", "x"])
    assert cluster.table_exists("T") and cluster.table_exists("t", "PUBLIC") and not cluster.table_exists("u")
    assert rows(cluster, "select * from t") == [(1, "x")]
    with pytest.raises(DatabaseError, match=r"Redshift refused statement 2 \(select getdate\(\)\): function getdate"):
        cluster.execute_script("insert into t values (2, 'y'); select getdate()")
    assert rows(cluster, "select count(*) from t") == [(1,)]
    cluster.execute_script("begin; insert into t values (3, 'z'); commit")
    with pytest.raises(DatabaseError, match=r"does not end\. Add COMMIT"):
        cluster.execute_script("begin; insert into t values (4, 'z')")
    assert rows(cluster, "select a from t order by a") == [(1,), (3,)]


def test_rows_are_inserted_many_at_once_and_read_in_batches(cluster: Database) -> None:
    cluster.create_table("create table t (a int, b varchar(10))", "t")
    values = [(str(number), None if number % 2 else "x'") for number in range(5)]
    assert cluster.insert_into("t", None, None, [values, []]) == 5
    assert cluster.insert("insert into t values (? + 1, ?)", [[(9, "y")]]) == 1
    expected = [*((number, None if number % 2 else "x'") for number in range(5)), (10, "y")]
    assert rows(cluster, "select * from t order by a") == expected
    records = cluster.select("select a from t order by a", batch_size=1)
    assert next(records.batches) == [(0,)]
    records.batches.close()
    assert [row for batch in cluster.select_table("t").batches for row in batch] == rows(cluster, "select * from t")


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("select x from nowhere", "selectQuery .*nowhere"),
        ("create table u (a int)", "gives no rows"),
        ("a; b", "it has 2"),
    ],
)
def test_a_query_that_cannot_be_read_is_named(cluster: Database, query: str, problem: str) -> None:
    with pytest.raises(DatabaseError, match=problem):
        cluster.select(query)
    assert rows(cluster, "select 1") == [(1,)]


def test_errors_of_writing_name_the_table_and_undo_all(cluster: Database) -> None:
    cluster.execute_script("create table t (a int)")
    with pytest.raises(DatabaseError, match="rows 1 to 2 for the table t"):
        cluster.insert_into("t", None, None, [[("1",), ("x",)]])
    with pytest.raises(DatabaseError, match="There is no table u in redshift://"):
        cluster.insert_into("u", None, None, [])
    with pytest.raises(DatabaseError, match="still no table u"):
        cluster.create_table("create table v (a int)", "u")
    assert rows(cluster, "select * from t") == []


def test_temporary_passwords_of_aws_are_not_built(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="jdbc:redshift:iam: need temporary passwords"):
        parse_connection_string("jdbc:redshift:iam://c:eu-west-1/dev", folder=tmp_path)
