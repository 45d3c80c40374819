"""MySqlDataNode and RdsDatabase: where they are, and what runs on them."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.objects.work import WorkFailed
from penstock.settings import DatabaseSetting

RDS = {
    "id": "B",
    "name": "Sales",
    "type": "RdsDatabase",
    "rdsInstanceId": "sales-db",
    "username": "root",
    "*password": "hidden-word",
    "databaseName": "orders",
}


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        (DatabaseSetting("mysql://db.example:3307"), ("mysql", "db.example", "3307", "orders", "root", "hidden-word")),
        (DatabaseSetting("mysql://h/d", "me", "s"), ("mysql", "h", "", "d", "me", "s")),
        (DatabaseSetting("postgresql://me:s@h"), ("postgresql", "h", "", "orders", "me", "s")),
    ],
)
def test_an_rds_instance_is_where_the_settings_say(
    shop: Any, setting: DatabaseSetting, expected: tuple[str, ...]
) -> None:
    shop.databases["sales-db"] = setting
    found = shop.object(RDS).address(shop.work())
    assert (found.dialect, found.host, found.port, found.database, found.username, found.password) == expected


def test_an_rds_instance_that_no_setting_names_is_refused_with_the_lines_to_add(shop: Any) -> None:
    with pytest.raises(WorkFailed, match=r"'sales-db' of 'Sales' has no address.*\[databases.\"sales-db\"\] and url ="):
        shop.object(RDS).address(shop.work())


def test_a_mysql_data_node_is_copied_to_a_file_and_back(shop: Any, mysql_url: str) -> None:
    place: dict[str, Any] = {"connectionString": f"jdbc:{mysql_url}?useSSL=false", "username": "root"}
    table = {"id": "T", "type": "MySqlDataNode", "table": "t", **place}
    table["createTableSql"] = "create table t (a int, b varchar(20), c datetime)"
    file = {"id": "F", "type": "S3DataNode", "filePath": "s3://data/t.csv"}
    with shop.storage.create("s3://data/t.csv") as stream:
        stream.write(b"1,a\\,b,2013-01-02 03:04:05\n2,\\N,0000-00-00 00:00:00\n3,,\\N\n")
    copy = {"id": "C", "type": "CopyActivity", "input": {"ref": "F"}, "output": {"ref": "T"}}
    shop.object(copy, file, table).run(shop.work())
    back = {"id": "C", "type": "CopyActivity", "input": {"ref": "T"}, "output": {"ref": "G"}}
    table["selectQuery"] = "select * from t where a > 1 order by a"
    shop.object(back, {**file, "id": "G", "filePath": "s3://data/u.csv"}, table).run(shop.work())
    with shop.storage.open("s3://data/u.csv") as stream:
        assert stream.read() == b"2,\\N,0000-00-00 00:00:00\n3,,\\N\n"
    assert shop.object(table).exists(shop.work())
