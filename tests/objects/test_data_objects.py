"""Data nodes, databases, formats, preconditions, CopyActivity and SqlActivity on real files and databases."""

from __future__ import annotations

import gzip
import sqlite3
from pathlib import Path
from typing import Any

import psycopg
import pytest

from penstock.data.databases import DatabaseError
from penstock.data.formats import FormatError
from penstock.data.storage import StorageError
from penstock.objects.work import WorkFailed, WorkStopped
from penstock.settings import DatabaseSetting

CREATE = "create table t (id integer, name text)"


def ref(identity: str) -> dict[str, str]:
    return {"ref": identity}


def file(identity: str, uri: str, **more: Any) -> dict[str, Any]:
    return {"id": identity, "type": "S3DataNode", "filePath": uri, **more}


def folder(identity: str, uri: str, **more: Any) -> dict[str, Any]:
    return {"id": identity, "type": "S3DataNode", "directoryPath": uri, **more}


def table(identity: str = "T", **more: Any) -> dict[str, Any]:
    return {"id": identity, "type": "SqlDataNode", "table": "t", "database": ref("B"), **more}


def copy(shop: Any, source: dict[str, Any], target: dict[str, Any], *others: dict[str, Any]) -> None:
    fields = {"input": ref(source["id"]), "output": ref(target["id"])}
    shop.object({"id": "A", "type": "CopyActivity", **fields}, source, target, *others).run(shop.work())


def rows(shop: Any, query: str = "select * from t order by 1") -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(shop.data_dir / "databases" / "test.db")
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


CSV = {"id": "F", "type": "CSV", "column": ["id INT", "name STRING"]}
TSV = {"id": "G", "type": "TSV", "column": ["id INT", "name STRING"]}


def test_a_file_is_copied_as_it_is(shop: Any) -> None:
    shop.put("s3://b/in.bin", b"\x00\xff\n")
    copy(shop, file("I", "s3://b/in.bin"), file("O", "s3://c/out.bin"))
    assert shop.get("s3://c/out.bin") == b"\x00\xff\n"
    assert shop.reported == {"rows": "0", "bytes": "3"}
    assert shop.logged == ["Copying I to O", "Copied 0 rows, 3 bytes"]


def test_a_directory_is_copied_to_a_directory(shop: Any) -> None:
    shop.put("s3://b/d/1", "1")
    shop.put("s3://b/d/x/2", "2")
    copy(shop, folder("I", "s3://b/d"), folder("O", "s3://c/e/"))
    assert shop.uris("s3://c/") == ["s3://c/e/1", "s3://c/e/x/2"]


def test_a_directory_is_copied_to_a_file_record_by_record(shop: Any) -> None:
    shop.put("s3://b/d/1", "1,a\n")
    shop.put("s3://b/d/2", "2,b")
    copy(shop, folder("I", "s3://b/d"), file("O", "s3://c/all"))
    assert shop.text("s3://c/all") == "1,a\n2,b\n"


def test_the_format_is_changed_on_the_way(shop: Any) -> None:
    shop.put("s3://b/in.csv", "1,a\\,b\n2,\\N\n")
    copy(
        shop,
        file("I", "s3://b/in.csv", dataFormat=ref("F")),
        file("O", "s3://c/out.tsv.gz", dataFormat=ref("G"), compression="GZIP"),
        CSV,
        TSV,
    )
    assert gzip.decompress(shop.get("s3://c/out.tsv.gz")) == b"1\ta,b\n2\t\\N\n"
    assert shop.reported["rows"] == "2"


def test_the_separators_of_a_tsv_are_its_own(shop: Any) -> None:
    shop.put("s3://b/in", "1|a;2|b;")
    odd = {"id": "G", "type": "TSV", "columnSeparator": "|", "recordSeparator": ";", "column": ["id", "name"]}
    copy(shop, file("I", "s3://b/in", dataFormat=ref("G")), file("O", "s3://c/out", dataFormat=ref("F")), odd, CSV)
    assert shop.text("s3://c/out") == "1,a\n2,b\n"


def test_files_are_loaded_into_a_table_that_is_made_first(shop: Any, sqlite: dict[str, str]) -> None:
    shop.put("s3://b/in.csv", "1,a\n2,\\N\n")
    source = file("I", "s3://b/in.csv", dataFormat=ref("F"))
    copy(shop, source, table(createTableSql=CREATE, insertQuery="insert into t values (?, ?)"), sqlite, CSV)
    assert rows(shop) == [(1, "a"), (2, None)]
    assert shop.reported == {"rows": "2", "bytes": "9"}


def test_a_load_that_fails_leaves_the_table_as_it_was(shop: Any, sqlite: dict[str, str]) -> None:
    load(shop, sqlite)
    shop.put("s3://b/in.csv", "4,d\n5\n")
    with pytest.raises(FormatError, match=r"s3://b/in\.csv: Row 2 has 1 column"):
        copy(shop, file("I", "s3://b/in.csv", dataFormat=ref("F")), table(), sqlite, CSV)
    assert len(rows(shop)) == 3


def test_the_rows_of_a_query_become_a_file(shop: Any, sqlite: dict[str, str]) -> None:
    load(shop, sqlite)
    source = table(selectQuery="select name, id from t where id > 1 order by id")
    copy(shop, source, file("O", "s3://c/out.csv", dataFormat=ref("F")), sqlite, CSV)
    assert shop.text("s3://c/out.csv") == "b,2\n\\N,3\n"


def load(shop: Any, sqlite: dict[str, str]) -> None:
    script = f"{CREATE}; insert into t values (1, 'a'), (2, 'b'), (3, null)"
    activity = {"id": "L", "type": "SqlActivity", "database": ref("B"), "script": script}
    shop.object(activity, sqlite).run(shop.work())


def test_each_input_goes_to_the_output_of_the_same_place(shop: Any) -> None:
    shop.put("s3://b/1", "1")
    shop.put("s3://b/2", "2")
    nodes = file("I1", "s3://b/1"), file("I2", "s3://b/2"), file("O1", "s3://c/1"), file("O2", "s3://c/2")
    fields = {"input": [ref("I1"), ref("I2")], "output": [ref("O1"), ref("O2")]}
    shop.object({"id": "A", "type": "CopyActivity", **fields}, *nodes).run(shop.work())
    assert [shop.text("s3://c/1"), shop.text("s3://c/2")] == ["1", "2"]


def test_two_inputs_do_not_fit_three_outputs(shop: Any) -> None:
    nodes = [file(f"N{number}", f"s3://b/{number}") for number in range(5)]
    fields = {"input": [ref("N0"), ref("N1")], "output": [ref("N2"), ref("N3"), ref("N4")]}
    with pytest.raises(WorkFailed, match="2 inputs cannot be copied to 3 outputs"):
        shop.object({"id": "A", "type": "CopyActivity", **fields}, *nodes).run(shop.work())


def test_a_missing_source_fails(shop: Any) -> None:
    with pytest.raises(StorageError, match="s3://b/none"):
        copy(shop, file("I", "s3://b/none"), file("O", "s3://c/out"))
    assert shop.uris("s3://c/") == []


def test_a_stopped_copy_ends_and_leaves_nothing(shop: Any) -> None:
    shop.put("s3://b/in.csv", "1,a\n" * 100_000)
    shop.stop.set("cancelled")
    with pytest.raises(WorkStopped):
        copy(
            shop,
            file("I", "s3://b/in.csv", dataFormat=ref("F")),
            file("O", "s3://c/out", dataFormat=ref("G")),
            CSV,
            TSV,
        )
    assert shop.uris("s3://c/") == []


def test_a_manifest_can_only_be_read_by_redshift(shop: Any) -> None:
    manifest = {"id": "I", "type": "S3DataNode", "manifestFilePath": "s3://b/m"}
    with pytest.raises(WorkFailed, match="'I' has a manifestFilePath, which only RedshiftCopyActivity can read"):
        copy(shop, manifest, file("O", "s3://c/out"))


def test_a_node_with_an_address_of_its_own_needs_no_database(shop: Any) -> None:
    shop.put("s3://b/in.csv", "1,a\n")
    own = {"connectionString": "jdbc:sqlite:test.db", "username": "nobody", "*password": "nothing"}
    target = {"id": "T", "type": "SqlDataNode", "table": "t", "createTableSql": CREATE, **own}
    copy(shop, file("I", "s3://b/in.csv", dataFormat=ref("F")), target, CSV)
    assert rows(shop) == [(1, "a")]


def test_the_settings_can_map_the_address_of_a_node_to_another(shop: Any) -> None:
    shop.databases["jdbc:mysql://host:3306/d"] = DatabaseSetting("sqlite:test.db")
    node = {"id": "T", "type": "SqlDataNode", "table": "t", "connectionString": "jdbc:mysql://host:3306/d"}
    assert shop.object(node).side(shop.work()).address.database.endswith("databases/test.db")


def test_a_table_without_a_database_is_named(shop: Any) -> None:
    shop.put("s3://b/1", "1")
    bare = {"id": "T", "type": "SqlDataNode", "table": "t"}
    with pytest.raises(WorkFailed, match="'T' has no database; refer to one in its field 'database'"):
        copy(shop, file("I", "s3://b/1", dataFormat=ref("F")), bare, CSV)


def sql(shop: Any, database: dict[str, str], **fields: Any) -> None:
    shop.object({"id": "A", "type": "SqlActivity", "database": ref("B"), **fields}, database).run(shop.work())


def test_a_script_runs_in_one_transaction(shop: Any, sqlite: dict[str, str]) -> None:
    sql(shop, sqlite, script=CREATE)
    with pytest.raises(DatabaseError, match="nothing"):
        sql(shop, sqlite, script="insert into t values (1, 'a'); insert into nothing values (1)")
    assert rows(shop) == []
    sql(shop, sqlite, script="insert into t values (1, 'a');\ninsert into t values (2, 'b;c') -- the end")
    assert rows(shop) == [(1, "a"), (2, "b;c")]


def test_a_script_of_a_file_gets_its_arguments(shop: Any, sqlite: dict[str, str]) -> None:
    shop.put("s3://b/x.sql", f"{CREATE};\ninsert into t values (?, ?);\ninsert into t values (?, '?');")
    sql(shop, sqlite, scriptUri="s3://b/x.sql", scriptArgument=["1", "x' or 1", "2"])
    assert rows(shop) == [(1, "x' or 1"), (2, "?")]
    assert shop.logged == ["The script has run"]


def test_a_script_that_is_no_text_is_named(shop: Any, sqlite: dict[str, str]) -> None:
    shop.put("s3://b/x.sql", b"select '\xff'")
    with pytest.raises(WorkFailed, match=r"s3://b/x\.sql is not UTF-8"):
        sql(shop, sqlite, scriptUri="s3://b/x.sql")


def test_a_wrong_number_of_arguments_fails(shop: Any, sqlite: dict[str, str]) -> None:
    with pytest.raises(DatabaseError):
        sql(shop, sqlite, script="select ?", scriptArgument=["1", "2"])


def test_sqlite_files_lie_in_the_data_directory(shop: Any, sqlite: dict[str, str]) -> None:
    sql(shop, sqlite, script=CREATE)
    assert (shop.data_dir / "databases" / "test.db").is_file()


def test_settings_map_a_connection_string_to_another_database(
    shop: Any, sqlite: dict[str, str], tmp_path: Path
) -> None:
    other = {**sqlite, "connectionString": "jdbc:mysql://rds.example.com:3306/shop"}
    with pytest.raises(DatabaseError, match="MySQL"):
        sql(shop, other, script=CREATE)
    shop.databases["jdbc:mysql://rds.example.com:3306/shop"] = DatabaseSetting(f"sqlite:{tmp_path}/other.db")
    sql(shop, other, script=CREATE)
    assert (tmp_path / "other.db").is_file()


def test_settings_say_user_and_password_of_the_mapped_database(shop: Any, sqlite: dict[str, str]) -> None:
    shop.databases[sqlite["connectionString"]] = DatabaseSetting("postgresql://db.example.com/x", "me", "hush")
    address = shop.object(sqlite).address(shop.work())
    assert (address.dialect, address.username, address.password) == ("postgresql", "me", "hush")


def test_the_definition_says_user_password_and_database_otherwise(shop: Any, sqlite: dict[str, str]) -> None:
    fields = {"connectionString": "jdbc:postgresql://db.example.com:5433", "databaseName": "shop"}
    address = shop.object({**sqlite, **fields, "jdbcProperties": ["connectTimeout = 5"]}).address(shop.work())
    assert (address.host, address.port, address.database) == ("db.example.com", "5433", "shop")
    assert (address.username, address.password) == ("nobody", "nothing")
    assert dict(address.options)["connect_timeout"] == "5"


def test_a_jdbc_property_is_a_name_and_a_value(shop: Any, sqlite: dict[str, str]) -> None:
    with pytest.raises(WorkFailed, match="jdbcProperties of 'B' is no A=B"):
        shop.object({**sqlite, "jdbcProperties": "fast"}).address(shop.work())


def test_files_go_through_postgresql_and_back(shop: Any, sqlite: dict[str, str], postgresql_url: str) -> None:
    database = {**sqlite, "connectionString": "jdbc:mysql://rds.example.com/shop"}
    shop.databases["jdbc:mysql://rds.example.com/shop"] = DatabaseSetting(postgresql_url)
    shop.put("s3://b/in.csv", "2,b\\,c\n1,\\N\n")
    source = file("I", "s3://b/in.csv", dataFormat=ref("F"))
    target = table(createTableSql=CREATE, insertQuery="insert into t values (?, ?)")
    copy(shop, source, target, database, CSV)
    sql(shop, database, script="update t set name = ? where id = 1", scriptArgument="é")
    with psycopg.connect(postgresql_url) as connection:
        assert connection.execute("select * from t order by id").fetchall() == [(1, "é"), (2, "b,c")]
    result = file("O", "s3://c/out.tsv", dataFormat=ref("G"))
    copy(shop, table(selectQuery="select * from t order by id"), result, database, TSV)
    assert shop.text("s3://c/out.tsv") == "1\té\n2\tb,c\n"
    exists = shop.object(table(), database)
    assert exists.exists(shop.work()) is True


def holds(shop: Any, fields: dict[str, Any], *others: dict[str, Any]) -> bool:
    return bool(shop.object({"id": "P", **fields}, *others).holds(shop.work()))


def test_an_s3_key_exists_when_exactly_that_key_does(shop: Any) -> None:
    shop.put("s3://b/d/file.csv", "")
    for key, there in [("d/file.csv", True), ("d/file", False), ("d/", False), ("d/FILE.csv", False)]:
        assert holds(shop, {"type": "S3KeyExists", "s3Key": f"s3://b/{key}"}) is there


def test_a_prefix_is_not_empty_when_any_key_begins_with_it(shop: Any) -> None:
    shop.put("s3://b/d/file.csv", "")
    for prefix, there in [("d", True), ("d/fi", True), ("", True), ("e", False), ("d/file.csv/", False)]:
        assert holds(shop, {"type": "S3PrefixNotEmpty", "s3Prefix": f"s3://b/{prefix}"}) is there


@pytest.mark.parametrize(
    ("node", "there"),
    [
        (file("N", "s3://b/d/f"), True),
        (file("N", "s3://b/d"), False),
        (folder("N", "s3://b/d"), True),
        (folder("N", "s3://b/d/f"), False),
        (folder("N", "s3://nothing/"), False),
    ],
)
def test_files_and_directories_exist_or_not(shop: Any, node: dict[str, Any], there: bool) -> None:
    shop.put("s3://b/d/f", "x")
    assert holds(shop, {"type": "Exists", "node": ref("N")}, node) is there


def test_a_table_exists_once_it_is_made(shop: Any, sqlite: dict[str, str]) -> None:
    assert holds(shop, {"type": "Exists", "node": ref("T")}, table(), sqlite) is False
    load(shop, sqlite)
    assert holds(shop, {"type": "Exists", "node": ref("T")}, table(), sqlite) is True


def test_exists_asks_data_nodes_only(shop: Any) -> None:
    activity = {"id": "A", "type": "ShellCommandActivity", "command": "true"}
    with pytest.raises(WorkFailed, match="Exists works on data nodes"):
        holds(shop, {"type": "Exists", "node": ref("A")}, activity)


def test_the_service_asks_the_preconditions_of_s3_and_a_runner_the_others(shop: Any) -> None:
    kinds = ["S3KeyExists", "S3PrefixNotEmpty", "Exists", "ShellCommandPrecondition"]
    fields = {"s3Key": "s3://b/k", "s3Prefix": "s3://b/", "command": "true"}
    wanted = {"S3KeyExists": ["s3Key"], "S3PrefixNotEmpty": ["s3Prefix"], "ShellCommandPrecondition": ["command"]}
    made = [shop.object({"id": "P", "type": k, **{key: fields[key] for key in wanted.get(k, [])}}) for k in kinds]
    assert [precondition.is_system_managed for precondition in made] == [True, True, False, False]
