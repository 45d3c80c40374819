"""RedshiftCopyActivity, RedshiftDataNode and SqlActivity on the embedded warehouse and on DuckDB."""

from __future__ import annotations

import gzip
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from penstock.data.databases import DatabaseError, connect
from penstock.data.formats import to_text
from penstock.data.storage import StorageError
from penstock.objects.work import WorkFailed
from penstock.settings import DatabaseSetting

CREATE = "create table t (id int primary key distkey, name varchar(10), day date sortkey)"
_attempts = count(1)


class Cluster:
    """A cluster, with what makes and reads its tables."""

    def __init__(self, shop: Any) -> None:
        self.shop = shop
        self.database = {
            "id": "R",
            "type": "RedshiftDatabase",
            "clusterId": "examplecluster",
            "username": "nobody",
            "*password": "nothing",
        }

    def table(self, identity: str = "T", **more: Any) -> dict[str, Any]:
        node = {"id": identity, "type": "RedshiftDataNode", "tableName": "t", "database": {"ref": "R"}}
        return {**node, **more}

    def copy(self, source: dict[str, Any], target: dict[str, Any], mode: str = "APPEND", **more: Any) -> None:
        refs = {"input": {"ref": source["id"]}, "output": {"ref": target["id"]}}
        activity = {"id": "A", "type": "RedshiftCopyActivity", "insertMode": mode, **refs, **more}
        others = [node["dataFormat"] for node in (source, target) if "dataFormat" in node]
        nodes = [{**node, "dataFormat": {"ref": "F"}} if "dataFormat" in node else node for node in (source, target)]
        self.shop.object(activity, *nodes, self.database, *others).run(self.shop.work())

    def sql(self, script: str, **more: Any) -> None:
        activity = {"id": "Q", "type": "SqlActivity", "database": {"ref": "R"}, "script": script, **more}
        self.shop.object(activity, self.database).run(self.shop.work())

    def rows(self, query: str = "select * from t") -> list[tuple[str | None, ...]]:
        """The rows as texts, in the order of these."""
        address = self.shop.object(self.database).address(self.shop.work())
        with connect(address) as database:
            found = [row for batch in database.select(query).batches for row in batch]
        return sorted([tuple(to_text(value) for value in row) for row in found], key=repr)


@pytest.fixture(params=["warehouse", "duckdb"])
def cluster(request: pytest.FixtureRequest, shop: Any) -> Cluster:
    if request.param == "warehouse":
        return embedded(shop, request.getfixturevalue("warehouse"))
    shop.databases["examplecluster"] = DatabaseSetting("duckdb:test.db")
    return Cluster(shop)


def embedded(shop: Any, warehouse: Path) -> Cluster:
    """The cluster in the warehouse of all tests, emptied."""
    shop.data_dir, shop.count = warehouse, next(_attempts) * 1000
    cluster = Cluster(shop)
    cluster.sql("drop table if exists t; drop table if exists u")
    shop.logged.clear()
    return cluster


def file(uri: str = "s3://b/in", **more: Any) -> dict[str, Any]:
    return {"id": "S", "type": "S3DataNode", "filePath": uri, **more}


def folder(uri: str, **more: Any) -> dict[str, Any]:
    return {"id": "S", "type": "S3DataNode", "directoryPath": uri, **more}


OLD = [("1", "one", "2013-01-01"), ("2", "two", "2013-01-02")]
NEW = "2|zwei|2013-01-02\n3|drei|2013-01-03\n"


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("APPEND", [*OLD, ("2", "zwei", "2013-01-02"), ("3", "drei", "2013-01-03")]),
        ("TRUNCATE", [("2", "zwei", "2013-01-02"), ("3", "drei", "2013-01-03")]),
        ("KEEP_EXISTING", [*OLD, ("3", "drei", "2013-01-03")]),
        ("OVERWRITE_EXISTING", [OLD[0], ("2", "zwei", "2013-01-02"), ("3", "drei", "2013-01-03")]),
    ],
)
def test_an_insert_mode_says_what_becomes_of_the_rows(
    cluster: Cluster, mode: str, expected: list[tuple[str, ...]]
) -> None:
    cluster.sql(f"{CREATE}; insert into t values (1, 'one', '2013-01-01'), (2, 'two', '2013-01-02')")
    cluster.shop.put("s3://b/in", NEW)
    cluster.copy(file(), cluster.table(), mode, commandOptions=["DELIMITER '|'"])
    assert cluster.rows() == expected
    assert cluster.shop.logged[-1] == "Copied 2 rows"


def test_the_table_is_made_and_read_as_the_services_csv(cluster: Cluster) -> None:
    cluster.shop.put("s3://b/in", "1,a\\,b,2013-01-01\n2,\\N,2013-01-02\n3,,\\N\n")
    cluster.copy(file(), cluster.table(createTableSql=CREATE))
    assert cluster.rows() == [("1", "a,b", "2013-01-01"), ("2", None, "2013-01-02"), ("3", "", None)]


def test_a_data_format_wins_over_the_command_options(cluster: Cluster) -> None:
    cluster.shop.put("s3://b/in", "1\ta|b\t2013-01-01\n")
    tsv = {"id": "F", "type": "TSV"}
    cluster.copy(file(dataFormat=tsv), cluster.table(createTableSql=CREATE), commandOptions=["CSV"])
    assert cluster.rows() == [("1", "a|b", "2013-01-01")]
    assert "commandOptions are not used, as the data node has a data format" in cluster.shop.logged


def test_keys_of_the_node_win_over_those_of_the_table(cluster: Cluster) -> None:
    cluster.sql(f"{CREATE}; insert into t values (1, 'one', '2013-01-01'), (2, 'two', '2013-01-02')")
    cluster.shop.put("s3://b/in", "9|x|2013-01-02\n")
    cluster.copy(file(), cluster.table(primaryKeys=["day"]), "OVERWRITE_EXISTING", commandOptions=["DELIMITER '|'"])
    assert cluster.rows() == [OLD[0], ("9", "x", "2013-01-02")]


def test_the_distribution_key_belongs_to_the_key(cluster: Cluster) -> None:
    cluster.sql("create table t (id int primary key, city varchar(5) distkey); insert into t values (1, 'x')")
    cluster.shop.put("s3://b/in", "1|y\n1|x\n")
    cluster.copy(file(), cluster.table(), "KEEP_EXISTING", commandOptions=["DELIMITER '|'"])
    assert cluster.rows() == [("1", "x"), ("1", "y")]


@pytest.mark.parametrize(
    ("node", "problem"),
    [({}, "needs keys, and the table t has no primary key"), ({"primaryKeys": "x"}, "primaryKeys names 'x', but")],
)
def test_a_merge_needs_keys(cluster: Cluster, node: dict[str, Any], problem: str) -> None:
    cluster.sql("create table t (id int)")
    cluster.shop.put("s3://b/in", "1\n")
    with pytest.raises(DatabaseError, match=problem):
        cluster.copy(file(), cluster.table(**node), "KEEP_EXISTING", commandOptions=["CSV"])


def test_transform_sql_selects_from_the_table_staging(cluster: Cluster) -> None:
    cluster.sql(CREATE)
    cluster.shop.put("s3://b/in", "1,a,2013-01-01\n2,b,2013-01-02\n")
    query = "select id + 10, nvl(upper(name), 'x'), dateadd(day, 1, day)::date from staging where id < 2;"
    cluster.copy(file(), cluster.table(), "KEEP_EXISTING", transformSql=query)
    assert cluster.rows() == [("11", "A", "2013-01-02")]
    with pytest.raises(DatabaseError, match=r"transformSql gives 1 columns, and the table .* has 3"):
        cluster.copy(file(), cluster.table(), transformSql="select id from staging")


def test_the_staging_table_has_the_columns_of_the_data_format(cluster: Cluster) -> None:
    cluster.sql("create table t (total int)")
    cluster.shop.put("s3://b/in", "1,a\n2,b\n")
    csv = {"id": "F", "type": "CSV", "column": ["n INT", "word STRING"]}
    cluster.copy(file(dataFormat=csv), cluster.table(), transformSql="select sum(n) from staging where word <> 'z'")
    assert cluster.rows() == [("3",)]


def test_an_error_names_file_line_and_column_and_leaves_the_table_as_it_was(cluster: Cluster) -> None:
    cluster.sql(f"{CREATE}; insert into t values (1, 'one', '2013-01-01')")
    cluster.shop.put("s3://b/in/1", "2,x,2013-01-01\n")
    cluster.shop.put("s3://b/in/2", "3,x,2013-01-01\n4,x,2013-13-01\n")
    problem = (
        r"s3://b/in/2, line 2, column day \((?i:date)\): '2013-13-01' is no date of the form that DATEFORMAT says."
    )
    with pytest.raises(WorkFailed, match=problem):
        cluster.copy(folder("s3://b/in"), cluster.table(), "TRUNCATE")
    assert cluster.rows() == [OLD[0]]


def test_rows_that_maxerror_lets_pass_are_told(cluster: Cluster) -> None:
    cluster.sql("create table t (id int)")
    cluster.shop.put("s3://b/in", "1\nx\n2\n")
    cluster.copy(file(), cluster.table(), commandOptions=["CSV", "MAXERROR 5"])
    assert cluster.rows() == [("1",), ("2",)]
    assert [line.partition(": ")[0] for line in cluster.shop.logged[-3:]] == [
        "Not loaded",
        "1 rows were not loaded, as MAXERROR allows",
        "Copied 2 rows",
    ]


def test_a_prefix_a_manifest_and_gzip_are_read(cluster: Cluster) -> None:
    cluster.sql("create table t (id int)")
    cluster.shop.put("s3://b/part-1", gzip.compress(b"1\n"))
    cluster.shop.put("s3://b/part-2", gzip.compress(b"2\n"))
    cluster.copy(file("s3://b/part-", compression="gzip"), cluster.table())
    cluster.shop.put("s3://b/m", '{"entries": [{"url": "s3://b/part-2", "mandatory": true}]}')
    manifest = {"id": "S", "type": "S3DataNode", "manifestFilePath": "s3://b/m"}
    cluster.copy(manifest, cluster.table(), commandOptions=["GZIP"])
    assert cluster.rows() == [("1",), ("2",), ("2",)]
    cluster.shop.put("s3://b/m", '{"entries": [{"url": "s3://b/gone"}, {"url": "s3://b/part-1"}]}')
    cluster.copy(manifest, cluster.table(), "TRUNCATE", commandOptions=["GZIP"])
    assert cluster.rows() == [("1",)]
    cluster.shop.put("s3://b/m", '{"entries": [{"url": "s3://b/gone", "mandatory": true}, {"url": "s3://b/part-1"}]}')
    with pytest.raises(StorageError, match="s3://b/gone, which is mandatory in the manifest s3://b/m"):
        cluster.copy(manifest, cluster.table(), "TRUNCATE", commandOptions=["GZIP"])
    assert cluster.rows() == [("1",)]
    with pytest.raises(StorageError, match="no object whose key begins with s3://b/none"):
        cluster.copy(file("s3://b/none"), cluster.table())


def test_a_table_is_unloaded(cluster: Cluster) -> None:
    cluster.sql(f"{CREATE}; insert into t values (1, 'a,b', '2013-01-01'), (2, null, null)")
    cluster.copy(cluster.table(), folder("s3://b/out"), "TRUNCATE", commandOptions=["CSV HEADER"])
    assert cluster.shop.text("s3://b/out/0000_part_00") == 'id,name,day\n1,"a,b",2013-01-01\n2,,\n'
    with pytest.raises(WorkFailed, match="is there already, and UNLOAD does not write over it"):
        cluster.copy(cluster.table(), folder("s3://b/out"), "APPEND", commandOptions=["CSV"])
    cluster.copy(cluster.table(), file("s3://b/plain"), "TRUNCATE")
    assert cluster.shop.text("s3://b/plain") == "1,a\\,b,2013-01-01\n2,\\N,\\N\n"
    with pytest.raises(WorkFailed, match="insertMode APPEND writes over nothing"):
        cluster.copy(cluster.table(), file("s3://b/plain"), "APPEND")


def test_a_table_goes_into_another(cluster: Cluster) -> None:
    cluster.sql(f"{CREATE}; insert into t values (1, 'one', '2013-01-01')")
    target = cluster.table("U", tableName="u", createTableSql=CREATE.replace("table t", "table u"))
    cluster.copy(cluster.table(), target, "KEEP_EXISTING")
    cluster.copy(cluster.table(), target, "KEEP_EXISTING")
    assert cluster.rows("select * from u") == [OLD[0]]


def test_unknown_options_and_a_queue_are_told(cluster: Cluster) -> None:
    cluster.sql("create table t (id int)", queue="fast")
    assert "The queue fast has no meaning here: the database is no Redshift" in cluster.shop.logged
    cluster.shop.put("s3://b/in", "1\n")
    with pytest.raises(WorkFailed, match="commandOptions: 'QUICKLY' is no option of Redshift's COPY"):
        cluster.copy(file(), cluster.table(), commandOptions=["QUICKLY"])


def test_a_data_node_knows_whether_its_table_is_there(cluster: Cluster) -> None:
    node = cluster.shop.object(cluster.table(schemaName="PUBLIC"), cluster.database)
    assert not node.exists(cluster.shop.work())
    cluster.sql("create table T (id int)")
    assert node.exists(cluster.shop.work())


def test_copy_activity_reads_and_writes_the_table(cluster: Cluster) -> None:
    cluster.shop.put("s3://b/in", "1,a,2013-01-01\n2,\\N,\\N\n")
    for source, target in ((file(), cluster.table(createTableSql=CREATE)), (cluster.table(), file("s3://b/out"))):
        refs = {"input": {"ref": source["id"]}, "output": {"ref": target["id"]}}
        activity = {"id": "A", "type": "CopyActivity", **refs}
        cluster.shop.object(activity, source, target, cluster.database).run(cluster.shop.work())
    assert cluster.shop.text("s3://b/out") == "1,a,2013-01-01\n2,\\N,\\N\n"


def test_a_script_may_copy_and_unload(cluster: Cluster) -> None:
    cluster.shop.put("s3://b/in1", "1|a\n")
    cluster.sql(
        """begin; create table t (id int, name varchar(5), more int default 7);
        copy t (id, name) from 's3://b/in' iam_role 'arn:aws:iam::1:role/x' delimiter '|';
        insert into t values (?, 'b', 8);
        unload ('select id, \\'<\\' || name from t order by 1') to 's3://b/u_' credentials 'x' csv parallel off; end""",
        scriptArgument=["2"],
    )
    assert cluster.rows() == [("1", "a", "7"), ("2", "b", "8")]
    assert cluster.shop.text("s3://b/u_000") == "1,<a\n2,<b\n"
    with pytest.raises(DatabaseError, match=r"Statement 2 \(COPY\): s3://b/in1, line 1, column id"):
        cluster.sql("delete from t; copy t from 's3://b/in1' csv fillrecord")
    assert len(cluster.rows()) == 2


def test_a_script_makes_the_table_of_its_output(cluster: Cluster) -> None:
    activity = {"id": "Q", "type": "SqlActivity", "database": {"ref": "R"}, "output": {"ref": "T"}}
    script = {"script": "insert into #{output.tableName} values (1, 'x', null)"}
    node = cluster.table(createTableSql=CREATE)
    cluster.shop.object({**activity, **script}, node, cluster.database)  # as a definition it is valid
    script = {"script": "insert into t values (1, 'x', null)"}
    cluster.shop.object({**activity, **script}, node, cluster.database).run(cluster.shop.work())
    assert cluster.rows() == [("1", "x", None)]


def test_another_database_comes_by_way_of_a_file(shop: Any, warehouse: Path, sqlite: dict[str, str]) -> None:
    cluster = embedded(shop, warehouse)
    made = {"id": "Q", "type": "SqlActivity", "database": {"ref": "B"}}
    script = (
        "drop table if exists t; create table t (id int, name text, day text); insert into t values (1, null, null)"
    )
    shop.object({**made, "script": script}, sqlite).run(shop.work())
    source = {"id": "S", "type": "SqlDataNode", "table": "t", "database": {"ref": "B"}}
    refs = {"input": {"ref": "S"}, "output": {"ref": "T"}}
    activity = {"id": "A", "type": "RedshiftCopyActivity", "insertMode": "APPEND", **refs}
    objects = (source, cluster.table(createTableSql=CREATE), cluster.database, sqlite)
    shop.object(activity, *objects).run(shop.work())
    assert cluster.rows() == [("1", None, None)]


def test_identity_columns_are_filled_or_given(shop: Any, warehouse: Path) -> None:
    cluster = embedded(shop, warehouse)
    cluster.sql("create table t (id int identity(10, 5), name varchar(5))")
    shop.put("s3://b/in", "a\nb\n")
    cluster.copy(file(), cluster.table(), commandOptions=["CSV"])
    shop.put("s3://b/in", "7,c\n")
    cluster.copy(file(), cluster.table(), commandOptions=["CSV EXPLICIT_IDS"])
    assert cluster.rows() == [("10", "a"), ("15", "b"), ("7", "c")]


@pytest.mark.parametrize(
    ("setting", "string", "expected"),
    [
        (None, "jdbc:redshift://h.eu-west-1.redshift.amazonaws.com:5439/dev?ssl=true", ("redshift", None)),
        (None, "jdbc:postgresql://h.eu-west-1.redshift.amazonaws.com/dev?tcpKeepAlive=true", ("redshift", None)),
        (None, "jdbc:postgresql://localhost:5432/dev", ("postgresql", "redshift")),
        ("duckdb:w.db", "jdbc:redshift://h:5439/dev", ("duckdb", "redshift")),
    ],
)
def test_where_a_redshift_database_is(
    shop: Any, setting: str | None, string: str, expected: tuple[str, str | None]
) -> None:
    if setting is not None:
        shop.databases[string] = DatabaseSetting(setting)
    database = {"id": "R", "type": "RedshiftDatabase", "connectionString": string, "username": "u", "*password": "p"}
    address = shop.object(database).address(shop.work())
    assert (address.dialect, address.written_for) == expected


def test_a_setting_may_name_the_embedded_warehouse(shop: Any, warehouse: Path) -> None:
    shop.data_dir, shop.count = warehouse, next(_attempts) * 1000
    string = "jdbc:redshift://h:5439/dev"
    shop.databases[string] = DatabaseSetting("warehouse:mine")
    database = {"id": "R", "type": "RedshiftDatabase", "connectionString": string, "username": "u", "*password": "p"}
    assert shop.object(database).address(shop.work()).database == "mine/dev"
