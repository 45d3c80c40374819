"""SqlCheck and RowCountBetween: checks of data before it is used, on real files and databases."""

from __future__ import annotations

import gzip
from typing import Any

import psycopg
import pytest

from penstock.data.storage import NoSuchKey
from penstock.definition.file_form import definition_of
from penstock.definition.validate import validate
from penstock.objects import load_catalogue
from penstock.objects.work import WorkFailed, WorkStopped
from penstock.settings import DatabaseSetting

TABLE = {"id": "T", "type": "SqlDataNode", "table": "t", "database": {"ref": "B"}}
ROWS = """drop table if exists t; create table t (n integer, name text, day date);
insert into t values (1, 'a', '2025-01-01'), (2, null, null)"""


@pytest.fixture(scope="session")
def shared_url(postgresql: str) -> str:
    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute("CREATE DATABASE data_checks")
    return f"{postgresql.rpartition('/')[0]}/data_checks"


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, shop: Any, sqlite: dict[str, str]) -> dict[str, str]:
    """A JdbcDatabase with a table t of two rows; all tests share one of PostgreSQL."""
    if request.param == "postgresql":
        shop.databases[sqlite["connectionString"]] = DatabaseSetting(request.getfixturevalue("shared_url"))
    script(shop, sqlite, ROWS)
    return sqlite


def script(shop: Any, database: dict[str, str], text: str) -> None:
    activity = {"id": "L", "type": "SqlActivity", "database": {"ref": "B"}, "script": text}
    shop.object(activity, database).run(shop.work())


def asks(shop: Any, query: str, *objects: dict[str, Any], **fields: Any) -> bool:
    check = {"id": "P", "type": "SqlCheck", "query": query, "node": {"ref": "T"}, **fields}
    return bool(shop.object(check, *objects).holds(shop.work()))


def counts(shop: Any, node: dict[str, Any], *objects: dict[str, Any], **fields: Any) -> bool:
    check = {"id": "P", "type": "RowCountBetween", "node": {"ref": node["id"]}, **fields}
    return bool(shop.object(check, node, *objects).holds(shop.work()))


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ("select count(*) > 1 from t", True),
        ("select count(*) > 2 from t;", False),
        ("select n = 1, 'more' from t order by n", True),
        ("select name = 'a' from t where n = 2", False),
        ("select n = 1 from t where n = 3", False),
        ("select 1", True),
        ("select 0", False),
        ("select 'TRUE'", True),
    ],
    ids=["true", "false", "first value", "NULL", "no row", "one", "zero", "a word"],
)
def test_a_check_holds_when_the_first_value_is_true(
    shop: Any, database: dict[str, str], query: str, answer: bool
) -> None:
    assert asks(shop, query, TABLE, database) is answer


def test_a_check_says_what_the_query_gave(shop: Any, database: dict[str, str]) -> None:
    asks(shop, "select null", TABLE, database)
    assert shop.reported["lastResult"] == "The query gives NULL."
    asks(shop, "select * from t", TABLE, database, expect="noRows")
    assert shop.reported["lastResult"].startswith("The query gives rows; the first is (1, a, 2025-01-01)")


def test_a_check_may_expect_no_rows(shop: Any, database: dict[str, str]) -> None:
    assert asks(shop, "select * from t where n > 2", TABLE, database, expect="noRows") is True
    assert asks(shop, "select * from t where n > 1", TABLE, database, expect="NOROWS") is False


@pytest.mark.parametrize("text", ["a", "it's", "a\\", "\\' or 1 = 1 --", "? and ?", "é\n\t'", ""])
def test_arguments_are_values_whatever_they_hold(shop: Any, database: dict[str, str], text: str) -> None:
    query = "select ? = ? and '?' <> 'x' /* ? */ and n < ? from t where n = ?"
    assert asks(shop, query, TABLE, database, scriptArgument=[f"{text}+", f"{text}+", "7", "1"]) is True
    assert asks(shop, query, TABLE, database, scriptArgument=[f"{text}+", f"{text}-", "7", "1"]) is False


def test_a_check_has_a_database_of_its_own(shop: Any, sqlite: dict[str, str]) -> None:
    other = {**sqlite, "id": "C", "connectionString": "jdbc:sqlite:other.db"}
    script(shop, sqlite, ROWS)
    assert asks(shop, "select count(*) = 0 from sqlite_master", TABLE, sqlite, other, database={"ref": "C"}) is True


def test_a_check_of_files_needs_a_database(shop: Any) -> None:
    node = {"id": "T", "type": "S3DataNode", "filePath": "s3://b/f"}
    with pytest.raises(
        WorkFailed, match=r"'P' has no database, and neither has T\. Refer to one in its field 'database'"
    ):
        asks(shop, "select 1", node)


def test_a_query_that_the_database_refuses_fails_with_its_message(shop: Any, database: dict[str, str]) -> None:
    with pytest.raises(WorkFailed, match=r"'P' cannot ask its query: .* query \(select \* from nowhere\): .*now"):
        asks(shop, "select * from nowhere", TABLE, database)
    with pytest.raises(WorkFailed, match="query must be one SQL statement; it has 2"):
        asks(shop, "select 1; select 2", TABLE, database)
    with pytest.raises(WorkFailed, match=r"The query has 1 placeholders \(\?\) and 0 arguments"):
        asks(shop, "select ?", TABLE, database)
    with pytest.raises(WorkFailed, match=r"gives no rows\. Write a SELECT"):
        asks(shop, "create table u (n int)", TABLE, database)


def test_a_value_that_is_neither_true_nor_false_fails(shop: Any, database: dict[str, str]) -> None:
    with pytest.raises(WorkFailed, match=r"gives 2, which is neither true nor false\. Compare it .* COUNT\(\*\) > 0"):
        asks(shop, "select count(*) from t", TABLE, database)


@pytest.mark.parametrize(
    ("bounds", "answer"),
    [
        ({"minimum": "2"}, True),
        ({"minimum": "3"}, False),
        ({"maximum": "2"}, True),
        ({"maximum": "1"}, False),
        ({"minimum": "1", "maximum": "2"}, True),
        ({"minimum": "0"}, True),
    ],
)
def test_the_rows_of_a_table_are_counted(
    shop: Any, database: dict[str, str], bounds: dict[str, str], answer: bool
) -> None:
    assert counts(shop, TABLE, database, **bounds) is answer


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("select n from t where n = 1", 1),
        ("select 1 as a, 2 as a from t order by 1; -- all", 2),
        ("with x as (select 1 as n from t) select * from x union all select * from x", 4),
        ("select * from t where n > 9", 0),
    ],
)
def test_the_rows_of_a_query_are_counted(shop: Any, database: dict[str, str], query: str, rows: int) -> None:
    node = {**TABLE, "selectQuery": query}
    assert counts(shop, node, database, minimum=str(rows), maximum=str(rows)) is True
    assert counts(shop, node, database, minimum=str(rows + 1)) is False


def test_a_name_that_needs_quotes_is_counted(shop: Any, database: dict[str, str]) -> None:
    script(shop, database, 'create table "Odd Name" (n integer); insert into "Odd Name" values (1)')
    assert counts(shop, {**TABLE, "table": '"Odd Name"'}, database, minimum="1", maximum="1") is True
    assert counts(shop, {**TABLE, "table": "T"}, database, minimum="2", maximum="2") is True


def test_counting_says_what_it_saw(shop: Any, database: dict[str, str]) -> None:
    for bounds, seen in [
        ({"minimum": "5"}, "T has 2 rows; asked for are 5 or more."),
        ({"minimum": "1"}, "T has 1 row or more; asked for are 1 or more."),
        ({"maximum": "1"}, "T has more than 1 row; asked for are 0 to 1."),
    ]:
        counts(shop, TABLE, database, **bounds)
        assert shop.reported["lastResult"] == seen


def test_a_missing_table_is_a_failure_and_not_zero_rows(shop: Any, database: dict[str, str]) -> None:
    with pytest.raises(Exception, match="There is no table nowhere in"):
        counts(shop, {**TABLE, "table": "nowhere"}, database, maximum="5")
    with pytest.raises(Exception, match=r"selectQuery \(select \* from nowhere\)"):
        counts(shop, {**TABLE, "selectQuery": "select * from nowhere"}, database, maximum="5")


def test_the_records_of_files_are_counted(shop: Any) -> None:
    shop.put("s3://b/d/1.gz", gzip.compress(b"1,a\\\nb\n2,c\n"))
    shop.put("s3://b/d/2.gz", gzip.compress(b"3,d"))
    node = {"id": "N", "type": "S3DataNode", "directoryPath": "s3://b/d", "compression": "gzip"}
    assert counts(shop, node, minimum="3", maximum="3") is True
    assert counts(shop, node, minimum="4") is False


def test_records_are_what_the_data_format_says(shop: Any) -> None:
    shop.put("s3://b/f", "1|a;2|b;")
    form = {"id": "F", "type": "TSV", "columnSeparator": "|", "recordSeparator": ";", "column": ["n", "name"]}
    node = {"id": "N", "type": "S3DataNode", "filePath": "s3://b/f", "dataFormat": {"ref": "F"}}
    assert counts(shop, node, form, minimum="2", maximum="2") is True


def test_an_empty_file_has_no_rows_and_a_missing_one_is_a_failure(shop: Any) -> None:
    shop.put("s3://b/empty", "")
    assert counts(shop, {"id": "N", "type": "S3DataNode", "filePath": "s3://b/empty"}, maximum="0") is True
    with pytest.raises(NoSuchKey, match="b/none"):
        counts(shop, {"id": "N", "type": "S3DataNode", "filePath": "s3://b/none"}, maximum="0")


def test_no_more_is_read_than_the_answer_needs(shop: Any) -> None:
    shop.put("s3://b/d/1", "1\n")
    shop.put("s3://b/d/2", b"\x1f\x8b no gzip and no UTF-8")
    node = {"id": "N", "type": "S3DataNode", "directoryPath": "s3://b/d"}
    assert counts(shop, node, minimum="1") is True
    with pytest.raises(Exception, match="s3://b/d/2: Row 1 is not valid UTF-8"):
        counts(shop, node, minimum="2")


def test_counting_is_for_data_nodes_only(shop: Any) -> None:
    activity = {"id": "A", "type": "ShellCommandActivity", "command": "true"}
    with pytest.raises(WorkFailed, match="RowCountBetween works on data nodes; 'P' is used by an object that is none"):
        counts(shop, activity, minimum="1")


def test_a_check_that_is_stopped_ends(shop: Any, sqlite: dict[str, str]) -> None:
    shop.put("s3://b/f", "1\n")
    shop.stop.set("cancelled")
    with pytest.raises(WorkStopped):
        counts(shop, {"id": "N", "type": "S3DataNode", "filePath": "s3://b/f"}, minimum="9")
    with pytest.raises(WorkStopped):
        asks(shop, "select 1", TABLE, sqlite)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "RowCountBetween needs one of minimum, maximum."),
        ({"minimum": "-1"}, "'minimum' is '-1'. At least 0"),
        ({"minimum": "5", "maximum": "4"}, "'maximum' is '4', which is less than 'minimum', '5'"),
        ({"minimum": "many"}, "'many'"),
    ],
)
def test_bounds_that_cannot_be_are_refused(fields: dict[str, str], message: str) -> None:
    check = {"id": "P", "type": "RowCountBetween", **fields}
    assert message in problems(check)


def test_an_expectation_that_is_none_is_refused() -> None:
    check = {"id": "P", "type": "SqlCheck", "query": "select 1", "expect": "rows"}
    assert "it must be one of true, noRows" in problems(check)


def problems(check: dict[str, str]) -> str:
    node = {"id": "N", "type": "S3DataNode", "filePath": "s3://b/f", "precondition": {"ref": "P"}}
    found = validate(
        definition_of({"objects": [{"id": "Default", "scheduleType": "ondemand"}, node, check]}), CATALOGUE
    )
    return "\n".join(f"{problem.object_id}: {problem.text}" for problem in found.errors)


CATALOGUE = load_catalogue()
