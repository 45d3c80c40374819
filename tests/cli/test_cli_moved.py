"""How far data has moved, and where it came from, as commands say it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from penstock.cli import follow
from penstock.cli.follow import flat
from penstock.cli.moved import amount, amount_of_instance, lineage, size

MOVED = {
    "@status": "FINISHED",
    "rows": "336776",
    "bytes": "26200000",
    "seconds": "3.14",
    "source": "s3://b/1\ns3://b/2",
    "target": "sqlite:/d/x.db#t",
    "columns": "id INT\nname",
    "way": "bulk\nferry",
}


@pytest.mark.parametrize(
    ("bytes", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (26_200_000, "26.2 MB"),
        (7 * 10**9, "7.0 GB"),
        (10**19, "10,000.0 PB"),
    ],
)
def test_sizes_are_written_as_people_read_them(bytes: int, text: str) -> None:
    assert size(bytes) == text


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        (MOVED, "336,776 rows, 26.2 MB"),
        ({"rows": 1, "bytes": 3}, "1 row, 3 bytes"),
        ({"rows": "0", "bytes": "3"}, "3 bytes"),
        ({"rows": "0", "bytes": "0"}, "0 rows"),
        ({"statements": "3 of 7", "rows": "120"}, "3 of 7 statements, 120 rows"),
        ({"statements": "1 of 7", "rows": "0"}, "1 of 7 statements"),
        ({"rows": "many", "bytes": "-1"}, ""),
        ({}, ""),
    ],
)
def test_what_was_moved_is_said_in_words(fields: dict[str, Any], text: str) -> None:
    assert amount(fields) == text


def test_what_failed_has_moved_nothing() -> None:
    assert amount_of_instance(MOVED) == "336,776 rows, 26.2 MB"
    assert amount_of_instance({**MOVED, "@status": "FAILED"}) == ""


def test_lineage_names_sources_targets_and_columns() -> None:
    assert lineage(MOVED) == [
        "It moved 336,776 rows, 26.2 MB in 3.1 s.",
        "from s3://b/1",
        "from s3://b/2",
        "to sqlite:/d/x.db#t",
        "by bulk load or unload",
        "by ferry",
        "columns id INT, name",
    ]
    assert lineage({"@status": "FINISHED"}) == []


def test_of_many_columns_the_first_are_named() -> None:
    columns = "\n".join(f"c{number}" for number in range(25))
    assert lineage({"source": "s3://b/1", "columns": columns})[-1].endswith("c18, c19 and 5 more")


def test_several_sources_stay_several() -> None:
    fields = [{"key": "source", "stringValue": "s3://b/1"}, {"key": "source", "stringValue": "s3://b/2"}]
    others = [{"key": "command", "stringValue": "a"}, {"key": "command", "stringValue": "b"}]
    assert flat({"id": "@A", "fields": [*fields, *others]}) == {
        "id": "@A",
        "source": "s3://b/1\ns3://b/2",
        "command": "a",
    }


def test_where_there_is_no_terminal_a_line_is_said_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr(follow.time, "monotonic", lambda: now[0])
    lines = follow._Lines()

    def said(rows: int) -> str:
        now[0] += 4.0
        lines.show({"running": [{"objectId": "@A_2025-01-01T00:00:00", "rows": rows}]})
        return capsys.readouterr().err

    assert [said(rows) for rows in (1, 2, 3, 4, 5, 5, 5, 5, 6)] == [
        *("", "", "@A_2025-01-01T00:00:00: 3 rows\n", "", ""),
        *("@A_2025-01-01T00:00:00: 5 rows\n", "", "", "@A_2025-01-01T00:00:00: 6 rows\n"),
    ]


def test_a_run_shows_what_was_moved_and_what_a_check_waits_for(shell: Any) -> None:
    folder = shell.folder / "s3" / "b"
    folder.mkdir(parents=True)
    (folder / "in.csv").write_text("1,a\n2,b\n")
    objects = [
        {"id": "Default", "scheduleType": "ondemand", "workerGroup": "g"},
        {"id": "Csv", "type": "CSV", "column": ["id INT", "name STRING"]},
        {"id": "Tsv", "type": "TSV", "column": ["id INT", "name STRING"]},
        {"id": "In", "type": "S3DataNode", "filePath": "s3://b/in.csv", "dataFormat": {"ref": "Csv"}},
        {"id": "Out", "type": "S3DataNode", "filePath": "s3://b/out.tsv", "dataFormat": {"ref": "Tsv"}}
        | {"precondition": {"ref": "Many"}},
        {"id": "Copy", "type": "CopyActivity", "input": {"ref": "In"}, "output": {"ref": "Out"}},
        {"id": "Many", "type": "RowCountBetween", "minimum": "3"},
    ]
    (shell.folder / "pipeline.json").write_text(json.dumps({"objects": objects}))
    done = shell.run("run", "pipeline.json", "--json", "--wait", "0", "--data-dir", shell.data)
    assert done.status == 1
    assert "asked for are 3 or more." in done.err
    assert "has 2 rows;" in done.err
    found = {instance["@componentParent"]: instance for instance in done.json()["instances"]}
    copied = found["Copy"]
    assert (copied["rows"], copied["source"], copied["target"]) == ("2", ["s3://b/in.csv"], ["s3://b/out.tsv"])
    assert copied["columns"] == ["id INT", "name STRING"]
    assert "2 rows" in found["Many"]["lastResult"]
