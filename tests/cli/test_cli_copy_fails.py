"""A CopyActivity with bad input under `penstock run`: what people read, and what is left of it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import psycopg
import pytest
from penstock_command import Shell

pytestmark = pytest.mark.by_hand

DEFAULT = {"id": "Default", "scheduleType": "ondemand", "workerGroup": "here", "maximumRetries": "0"}


def definition(url: str, database: str, compression: str) -> dict[str, Any]:
    objects: list[dict[str, Any]] = [
        DEFAULT,
        {"id": "Form", "type": "CSV", "column": ["id INT", "note STRING"]},
        {
            "id": "In",
            "type": "S3DataNode",
            "filePath": "s3://shop/in.csv",
            "dataFormat": {"ref": "Form"},
            "compression": compression,
        },
        {
            "id": "Out",
            "type": "SqlDataNode",
            "table": "sales",
            "database": {"ref": "Base"},
            "selectQuery": "select * from sales",
            "insertQuery": "insert into sales (id, note) values (?, ?)",
        },
        {
            "id": "Base",
            "type": "JdbcDatabase",
            "connectionString": f"jdbc:{url}",
            "jdbcDriverClass": "org.postgresql.Driver",
            "username": "penstock",
            "*password": "none",
            "databaseName": database,
        },
        {"id": "Copy", "type": "CopyActivity", "input": {"ref": "In"}, "output": {"ref": "Out"}},
    ]
    return {"objects": objects}


@pytest.mark.parametrize(
    ("data", "compression", "problem"),
    [
        (b"1,a\n2,b,c\n", "none", "s3://shop/in.csv: Row 2 has 3 columns, the first is '2', but the column list"),
        (b"1,a\nx,b\n", "none", "s3://shop/in.csv cannot be loaded into 'sales': PostgreSQL refused"),
        (gzip.compress(b"1,a\n" * 999)[:-9], "gzip", "s3://shop/in.csv: The gzip data ends too early: it was cut off"),
        (b"1,a\n2,\xff\n", "none", "s3://shop/in.csv: Row 2 is not valid UTF-8. Convert the data to UTF-8 before"),
        (None, "none", "There is no object s3://shop/in.csv"),
    ],
    ids=["ragged", "value", "gzip", "encoding", "missing"],
)
def test_the_run_says_what_is_wrong_where_and_the_table_is_as_it_was(
    shell: Shell, postgresql_url: str, data: bytes | None, compression: str, problem: str
) -> None:
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute("create table sales (id int, note text); insert into sales values (0, 'as it was')")
        path = Path(shell.data) / "s3/shop/in.csv"
        path.parent.mkdir(parents=True)
        if data is not None:
            path.write_bytes(data)
        url, _, database = postgresql_url.replace("penstock@", "").rpartition("/")
        pipeline = shell.folder / "pipeline.json"
        pipeline.write_text(json.dumps(definition(f"{url}/{database}", database, compression)))
        run = shell.run("run", pipeline, "--data-dir", shell.data, "--json")
        assert run.status == 1, run.err
        found = {instance["@componentParent"]: instance for instance in run.json()["instances"]}
        assert found["Copy"]["@status"] == "FAILED"
        assert problem in found["Copy"]["errorMessage"]
        assert problem in run.err
        assert "Traceback" not in run.err
        assert connection.execute("select * from sales").fetchall() == [(0, "as it was")]
