"""What `penstock validate` and `penstock run` say of types that cannot run yet."""

from __future__ import annotations

import json

from penstock_command import Shell

OBJECTS = [
    {"id": "Default", "scheduleType": "ondemand", "failureAndRerunMode": "cascade", "pipelineLogUri": "s3://logs/"},
    {"id": "Cluster", "type": "EmrCluster"},
    {
        "id": "Count",
        "type": "EmrActivity",
        "runsOn": {"ref": "Cluster"},
        "step": "s3://b/x.jar",
        "output": {"ref": "Table"},
    },
    {"id": "Table", "type": "DynamoDBDataNode", "tableName": "t"},
    {"id": "Say", "type": "ShellCommandActivity", "runsOn": {"ref": "Cluster"}, "command": "echo hi"},
]
REFUSED = [
    "error: Count.type: EmrActivity cannot run in Penstock yet.",
    "error: Table.type: DynamoDBDataNode cannot run in Penstock yet.",
]


def write(shell: Shell) -> None:
    (shell.folder / "pipeline.json").write_text(json.dumps({"objects": OBJECTS}))


def test_such_a_definition_is_valid_with_warnings(shell: Shell) -> None:
    write(shell)
    checked = shell.run("validate", "pipeline.json")
    assert checked.status == 0
    assert checked.out.splitlines() == [
        "warning: Count.type: EmrActivity validates, but Penstock cannot run it yet: activation is refused.",
        "warning: Table.type: DynamoDBDataNode validates, but Penstock cannot run it yet: activation is refused.",
        "pipeline.json is valid: 5 objects.",
    ]


def test_a_run_is_refused_with_every_such_object_and_creates_nothing(shell: Shell) -> None:
    write(shell)
    ran = shell.run("run", "pipeline.json")
    assert ran.status == 2
    assert ran.out == ""
    lines = ran.err.splitlines()
    assert [line[: len(wanted)] for line, wanted in zip(lines, REFUSED, strict=False)] == REFUSED
    assert lines[2:] == ["pipeline.json has 2 errors; nothing was created."]
    assert [path.name for path in shell.folder.iterdir()] == ["pipeline.json"]


def test_a_refused_run_gives_the_same_as_json(shell: Shell) -> None:
    write(shell)
    ran = shell.run("run", "pipeline.json", "--json")
    assert ran.status == 2
    assert [(p["id"], p["value"]) for p in ran.json()["problems"]] == [
        ("Count", "EmrActivity"),
        ("Table", "DynamoDBDataNode"),
    ]


def test_a_part_that_needs_none_of_them_runs(shell: Shell) -> None:
    write(shell)
    ran = shell.run("run", "pipeline.json", "--only", "Say", "--json")
    assert ran.status == 0, ran.err
    assert sorted(i["@componentParent"] for i in ran.json()["instances"]) == ["Cluster", "Say"]
