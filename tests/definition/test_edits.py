"""What may not change once a pipeline was activated."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.definition.edits import edit_problems
from penstock.definition.file_form import definition_of
from penstock.definition.resolve import Resolved, resolve

Objects = dict[str, dict[str, Any]]
BEFORE: Objects = {
    "Default": {"scheduleType": "cron", "schedule": {"ref": "Daily"}},
    "Daily": {"type": "Schedule", "period": "1 day", "startDateTime": "2025-01-01T00:00:00", "occurrences": "3"},
    "Work": {"type": "ShellCommandActivity", "command": "true", "input": {"ref": "In"}, "runsOn": {"ref": "Machine"}},
    "In": {"type": "S3DataNode", "filePath": "s3://b/in"},
    "Machine": {"type": "Ec2Resource"},
}


def resolved(objects: Objects) -> Resolved:
    return resolve(definition_of({"objects": [{"id": key, **fields} for key, fields in objects.items()]}))[0]


def problems(change: Objects, *removed: str) -> list[str]:
    edited = {key: {**fields, **change.get(key, {})} for key, fields in BEFORE.items() if key not in removed}
    edited |= {key: fields for key, fields in change.items() if key not in BEFORE}
    return [f"{p.object_id}.{p.field}: {p.text}" for p in edit_problems(resolved(BEFORE), resolved(edited))]


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"Work": {"command": "false", "maximumRetries": "1"}},
        {"In": {"filePath": "s3://b/other"}},
        {"Daily": {"occurrences": "9"}},
        {"New": {"type": "ShellCommandActivity", "command": "true", "input": {"ref": "In"}}},
    ],
)
def test_texts_ends_and_new_objects_may_change(change: Objects) -> None:
    assert problems(change) == []


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"Daily": {"period": "2 days"}}, "Daily.period: 'period' cannot change from '1 day' to '2 days'"),
        (
            {"Daily": {"startDateTime": "2025-01-02T00:00:00"}},
            "To skip intervals, give a start timestamp when you activate.",
        ),
        ({"Work": {"input": {"ref": "Machine"}}}, "Work.input: The references of 'input' cannot change"),
        ({"Work": {"dependsOn": {"ref": "In"}}}, "Work.dependsOn: The references of 'dependsOn' cannot change"),
        (
            {"Default": {"scheduleType": "ondemand"}},
            "Default.scheduleType: The pipeline was activated to run on a schedule",
        ),
        (
            {"New": {"type": "ShellCommandActivity", "command": "true", "output": {"ref": "In"}}},
            "New.output: The new object 'New' cannot write to 'In', which was activated before.",
        ),
    ],
)
def test_what_instances_rest_on_may_not_change(change: Objects, text: str) -> None:
    found = problems(change)
    assert len(found) == 1
    assert text in found[0]


def test_an_object_may_not_be_removed() -> None:
    assert problems({"Work": {"runsOn": {"ref": "Machine"}}}, "In")[0] == (
        "In.id: The object 'In' cannot be removed after the pipeline was activated."
        " Put it back, or make a new pipeline."
    )
