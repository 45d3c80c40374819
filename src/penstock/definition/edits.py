"""What may not change in the definition of a pipeline that was activated (the guide: editing your pipeline)."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.definition.model import DEFAULT, PipelineObject, Ref
from penstock.definition.problems import Problem
from penstock.definition.resolve import Resolved

SCHEDULE_FIELDS = ("period", "startDateTime", "startAt")
NEW_PIPELINE = "Make the change in a new pipeline."


def edit_problems(active: Resolved, edited: Resolved) -> Iterator[Problem]:
    """The edits that the service refuses, since instances exist: objects, references and schedules must stay."""
    if active.is_on_demand != edited.is_on_demand:
        kinds = {True: "on demand", False: "on a schedule"}
        message = f"The pipeline was activated to run {kinds[active.is_on_demand]}; this makes it run"
        yield Problem(DEFAULT, "scheduleType", f"{message} {kinds[edited.is_on_demand]}.", NEW_PIPELINE)
    for identity, before in active.definition.objects.items():
        after = edited.definition.objects.get(identity)
        if after is None:
            message = f"The object '{identity}' cannot be removed after the pipeline was activated."
            yield Problem(identity, "id", message, "Put it back, or make a new pipeline.")
            continue
        yield from _reference_problems(before, after)
        if edited.objects[identity].text("type") == "Schedule":
            yield from _schedule_problems(active.objects[identity], edited.objects[identity])
    for identity, obj in edited.definition.objects.items():
        if identity in active.definition.objects:
            continue
        for target in obj.refs("output"):
            if target in active.definition.objects:
                message = f"The new object '{identity}' cannot write to '{target}', which was activated before."
                yield Problem(identity, "output", message, "Give it a data node of its own.", target)


def _reference_problems(before: PipelineObject, after: PipelineObject) -> Iterator[Problem]:
    for key in dict.fromkeys([*before.fields, *after.fields]):
        old, new = _refs(before, key), _refs(after, key)
        if old != new:
            message = f"The references of '{key}' cannot change after the pipeline was activated:"
            yield Problem(before.id, key, message, f"they were {', '.join(sorted(old)) or 'none'}.", ", ".join(new))


def _refs(obj: PipelineObject, key: str) -> set[str]:
    return {value.id for value in obj.fields.get(key, ()) if isinstance(value, Ref)}


def _schedule_problems(before: PipelineObject, after: PipelineObject) -> Iterator[Problem]:
    for key in SCHEDULE_FIELDS:
        old, new = before.text(key), after.text(key)
        if old != new:
            remedy = "To skip intervals, give a start timestamp when you activate." if key != "period" else NEW_PIPELINE
            message = f"'{key}' cannot change from '{old}' to '{new}' after the pipeline was activated."
            yield Problem(before.id, key, message, remedy, new or "")
