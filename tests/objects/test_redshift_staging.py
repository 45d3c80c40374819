"""A table goes into a cluster by way of a file in S3. PostgreSQL stands for the cluster, and the test for COPY."""

from __future__ import annotations

import gzip
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from penstock.data.databases import connect, parse_connection_string
from penstock.data.databases.redshift import RedshiftDatabase
from penstock.objects.work import WorkFailed
from penstock.settings import DatabaseSetting, RedshiftSettings

OBJECTS = [
    {
        "id": "A",
        "type": "RedshiftCopyActivity",
        "insertMode": "APPEND",
        "input": {"ref": "S"},
        "output": {"ref": "T"},
    },
    {"id": "S", "type": "SqlDataNode", "table": "s", "database": {"ref": "B"}, "selectQuery": "select id, name from s"},
    {"id": "T", "type": "RedshiftDataNode", "tableName": "t", "database": {"ref": "R"}},
    {"id": "R", "type": "RedshiftDatabase", "clusterId": "real", "username": "u", "*password": "p"},
]
CATALOGUE = """
create table t (id int primary key, name varchar(10));
create view pg_table_def as select 'public' as schemaname, 't' as tablename, c as "column", 'int' as type,
    false as "notnull", false as distkey, 0 as sortkey from unnest(array['id', 'name']) as c;
"""
COPY = re.compile(r"COPY staging FROM '(s3://b/way/[0-9a-f-]+\.tsv\.gz)' IAM_ROLE 'r' DELIMITER '\\t' ESCAPE .* GZIP")


@pytest.fixture
def shop(shop: Any, sqlite: dict[str, str], postgresql_url: str, tmp_path: Path) -> Any:
    """A workshop with a table in SQLite, and a cluster with one."""
    url = postgresql_url.replace("postgresql:", "redshift:")
    shop.databases["real"] = DatabaseSetting(url)
    with connect(parse_connection_string(url, folder=tmp_path)) as cluster:
        cluster.execute_script(CATALOGUE)
    shop.sqlite = sqlite
    script = "create table s (id int, name text); insert into s values (1, 'a'), (2, null), (3, '')"
    make = {"id": "Q", "type": "SqlActivity", "database": {"ref": "B"}, "script": script}
    shop.object(make, sqlite).run(shop.work())
    return shop


def load(shop: Any, settings: RedshiftSettings) -> None:
    shop.object(*OBJECTS, shop.sqlite).run(replace(shop.work(), redshift=settings))


def left(shop: Any) -> list[str]:
    return [entry.uri for entry in shop.storage.list("s3://b/")]


def test_a_table_goes_into_a_cluster_by_a_file_that_is_gone_afterwards(
    shop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[bytes] = []
    execute = RedshiftDatabase.execute_script

    def execute_script(database: RedshiftDatabase, script: str, *more: Any) -> Any:
        copying = COPY.fullmatch(script)
        if copying is None:
            return execute(database, script, *more)
        with shop.storage.open(copying[1]) as stream:
            read.append(gzip.decompress(stream.read()))
        return execute(database, "insert into staging values (1, 'a'), (2, null), (3, '')")

    monkeypatch.setattr(RedshiftDatabase, "execute_script", execute_script)
    load(shop, RedshiftSettings(iam_role="r", staging="s3://b/way/"))
    assert read == [b"1\ta\n2\t\\N\n3\t\n"]
    assert left(shop) == []


def test_what_the_cluster_refuses_leaves_no_file(shop: Any) -> None:
    with pytest.raises(Exception, match="COPY"):  # PostgreSQL knows no IAM_ROLE
        load(shop, RedshiftSettings(iam_role="r", staging="s3://b/way"))
    assert left(shop) == []


def test_without_a_place_for_it_the_table_is_refused(shop: Any) -> None:
    with pytest.raises(WorkFailed, match=r"staging = 's3://bucket/staging' in \[redshift\] of penstock.toml"):
        load(shop, RedshiftSettings(iam_role="r"))
