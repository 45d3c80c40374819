"""What bounds and ends the work of activities: the longest record, progress that is told, and stops in pauses."""

from __future__ import annotations

import gzip
import threading
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from penstock.data.databases import ConnectionLost, connect
from penstock.data.formats import FormatError
from penstock.data.redshift.load import Files, LoadError, load
from penstock.data.redshift.options import parse_copy
from penstock.data.redshift.values import Column
from penstock.objects.lineage import Lineage
from penstock.objects.work import Work, WorkStopped
from penstock.settings import DatabaseSetting, DataSettings, SettingsError, load_settings

TABLE = {"id": "T", "type": "SqlDataNode", "table": "t", "database": {"ref": "B"}}
MIB = 1 << 20


def limited(shop: Any, longest: int = MIB) -> Work:
    work: Work = shop.work()
    work.data = DataSettings(longest_record=longest)
    return work


def copy_activity(shop: Any, *objects: dict[str, Any]) -> Any:
    source, target = objects[0]["id"], objects[1]["id"]
    activity = {"id": "A", "type": "CopyActivity", "input": {"ref": source}, "output": {"ref": target}}
    return shop.object(activity, *objects)


def s3_file(identity: str, uri: str, **fields: Any) -> dict[str, Any]:
    return {"id": identity, "type": "S3DataNode", "filePath": uri, **fields}


def script(shop: Any, database: dict[str, str], text: str, work: Work | None = None, **fields: Any) -> None:
    activity = {"id": "A", "type": "SqlActivity", "database": {"ref": "B"}, "script": text, **fields}
    shop.object(activity, database).run(work or shop.work())


def read(folder: Path, text: str) -> DataSettings:
    (folder / "penstock.toml").write_text(text)
    return load_settings(folder / "penstock.toml").data


def test_the_longest_record_is_a_setting(tmp_path: Path) -> None:
    assert read(tmp_path, "") == DataSettings()
    assert read(tmp_path, "[data]\nlongest_record = 2_000_000") == DataSettings(2_000_000)
    for text in ("longest_record = 0", "longest_record = 9_999_999_999", "longest_record = '64 MB'", "longest = 1"):
        with pytest.raises(SettingsError, match=r"penstock\.toml.*data\.longest"):
            read(tmp_path, f"[data]\n{text}")


@pytest.mark.parametrize("kind", ["CSV", "JSONLines"])
def test_a_record_over_the_limit_is_named_with_its_file_and_the_setting(shop: Any, kind: str) -> None:
    long = "x" * (2 * MIB)
    shop.put("s3://b/in", f"a\n{long}\n" if kind == "CSV" else f'{{"a": 1}}\n{{"a": "{long}"}}\n')
    form = {"id": "F", "type": kind, "column": ["a"]}
    other = {"id": "G", "type": "TSV"}
    copying = copy_activity(
        shop,
        s3_file("I", "s3://b/in", dataFormat={"ref": "F"}),
        s3_file("O", "s3://b/out", dataFormat={"ref": "G"}),
        form,
        other,
    )
    expected = r"s3://b/in: (Row|Line) 2 is longer than 1,048,576 bytes, which \[data\] longest_record in the settings"
    with pytest.raises(FormatError, match=expected):
        copying.run(limited(shop))
    assert shop.uris("s3://b/out") == []
    copying.run(limited(shop, 4 * MIB))
    assert len(shop.get("s3://b/out")) > 2 * MIB


def test_the_limit_holds_on_the_way_into_a_database_and_where_rows_are_counted(
    shop: Any, sqlite: dict[str, str], postgresql: str
) -> None:
    shop.databases[sqlite["connectionString"]] = DatabaseSetting(postgresql)
    shop.put("s3://b/in", "a\n" + "x" * (2 * MIB) + "\n")
    table = TABLE | {"table": "limited", "createTableSql": "create table limited (a text)"}
    copying = copy_activity(shop, s3_file("I", "s3://b/in"), table, sqlite)
    with pytest.raises(FormatError, match=r"s3://b/in: Row 2 is longer .* longest_record"):
        copying.run(limited(shop))
    check = {"id": "P", "type": "RowCountBetween", "node": {"ref": "I"}, "minimum": "2"}
    counting = shop.object(check, s3_file("I", "s3://b/in"))
    with pytest.raises(FormatError, match=r"s3://b/in: Row 2 is longer .* longest_record"):
        counting.holds(limited(shop))
    assert counting.holds(limited(shop, 4 * MIB))


ONE_RECORD = [(options, joint) for options in ("CSV", "ESCAPE", "JSON 'auto'") for joint in ("", "\n")]


@pytest.mark.parametrize(("options", "joint"), [("DELIMITER ','", ""), *ONE_RECORD])
def test_the_limit_holds_for_copy(shop: Any, sqlite: dict[str, str], options: str, joint: str) -> None:
    half = "x" * MIB
    written = {"CSV": f'"{half}{joint}{half}"', "ESCAPE": f"{half}\\{joint or 'x'}{half}"}
    text = written.get(options, f'{{"b": "{half[9:]}",{joint}"a": "{half[9:]}"}}' if "JSON" in options else half + half)
    first = '{"a": "1"}' if "JSON" in options else "1"
    shop.put("s3://b/in", gzip.compress(f"{first}\n{text}\n".encode()))
    chosen = parse_copy([options, "GZIP"])
    with connect(shop.object(sqlite).address(shop.work())) as database:
        database.execute_script("create table t (a text)")
        columns = [Column("a", "other")]
        expected = r"s3://b/in: The record of line 2 is longer than 1,048,576 bytes, which \[data\] longest_record"
        with pytest.raises(LoadError, match=expected):
            load(database, "t", None, columns, Files(shop.storage, ("s3://b/in",), chosen, longest_record=MIB))


@pytest.mark.parametrize("server", ["sqlite", "postgresql", "mariadb", "duckdb"])
def test_a_script_tells_how_far_it_is_and_where_it_worked(
    shop: Any, sqlite: dict[str, str], server: str, request: pytest.FixtureRequest
) -> None:
    if server in ("postgresql", "mariadb"):
        shop.databases[sqlite["connectionString"]] = DatabaseSetting(request.getfixturevalue(server))
    elif server == "duckdb":
        shop.databases[sqlite["connectionString"]] = DatabaseSetting(f"duckdb:{shop.data_dir}/x.duckdb")
    work, told, moved = shop.work(), [], []
    work.report = lambda fields: told.append(dict(fields))
    work.record = moved.append
    script(
        shop,
        sqlite,
        "create table told (a int); insert into told values (?); drop table told",
        work,
        scriptArgument="1",
    )
    assert told == [{"statements": f"{number} of 3"} for number in range(4)]
    (lineage,) = moved
    assert isinstance(lineage, Lineage)
    assert (lineage.sources, lineage.way, lineage.rows) == ((), "3 statements", None)
    (target,) = lineage.targets
    address = shop.object(sqlite).address(shop.work())
    assert target.uri == str(address)
    assert target.name and "secret" not in target.uri


def test_a_script_with_outputs_records_them(shop: Any, sqlite: dict[str, str]) -> None:
    work, moved = shop.work(), []
    work.record = moved.append
    activity = {
        "id": "A",
        "type": "SqlActivity",
        "database": {"ref": "B"},
        "script": "select 1",
        "output": {"ref": "T"},
    }
    shop.object(activity, TABLE, sqlite).run(work)
    assert [target.name for target in moved[0].targets] == ["t"]


def test_a_script_that_is_stopped_ends_between_two_statements_and_leaves_nothing(
    shop: Any, sqlite: dict[str, str]
) -> None:
    work = shop.work()
    work.report = lambda fields: work.stopped.set() if fields["statements"] == "1 of 2" else None
    script(shop, sqlite, "create table t (a int)")
    with pytest.raises(WorkStopped):
        script(shop, sqlite, "insert into t values (1); insert into t values (2)", work)
    work.stopped.clear()
    with connect(shop.object(sqlite).address(shop.work())) as database:
        assert next(database.select("select count(*) from t").batches) == [(0,)]


def test_a_stop_ends_the_pause_before_a_lost_connection_is_tried_again(
    shop: Any, sqlite: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = threading.Event()

    def lose(*_: object) -> object:
        lost.set()
        raise ConnectionLost("The connection is lost.")

    monkeypatch.setattr("penstock.data.copy.connect", lose)
    shop.put("s3://b/in", "1\n")
    work = shop.work()
    copying = copy_activity(shop, s3_file("I", "s3://b/in"), TABLE, sqlite)
    stopper = threading.Thread(target=lambda: (lost.wait(), work.stopped.set()))
    stopper.start()
    began = monotonic()
    with pytest.raises(WorkStopped):
        copying.run(work)
    stopper.join()
    work.stopped.clear()
    assert monotonic() - began < 0.9  # the first pause is of a second
