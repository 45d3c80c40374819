"""The API's reference: every operation of both service models, with its input, its errors and a recorded example."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files

from api_story import Story, told

from penstock.wire.model import Operation, ServiceModel, Shape

INTRODUCTION = """\
Penstock answers the 19 operations of AWS Data Pipeline and some of its own, in AWS JSON 1.1: a POST to `/` with the
operation in `X-Amz-Target`, signed with Signature Version 4. Any client of AWS Data Pipeline can call the first ones.
The others are the service `penstock`, in the form of botocore's models; boto3 knows it when `AWS_DATA_PATH` names the
folder that `python -c "import penstock; print(penstock.__path__[0] + '/models')"` prints. Their client is
`boto3.client("penstock", endpoint_url=…)`, and the same access key signs for both.

`*` marks a member that must be given. Times are seconds since 1970, as the protocol has them; in fields they are
`yyyy-MM-ddTHH:mm:ss` in UTC. The examples are what a service answered when this page was made; ids, task ids and keys
are replaced.

Beside the errors that stand at an operation every one can answer with `ValidationException` (a member is missing,
unknown, too long or of the wrong type), `SerializationException` (the body is no JSON), `AccessDeniedException` (the
key may not do this), the errors of signatures (`MissingAuthenticationTokenException`, `UnrecognizedClientException`,
`InvalidSignatureException`, `IncompleteSignatureException`) and `InternalServiceError`."""

SENTENCES = {
    "ActivatePipeline": "Activates the latest definition, with the values given or those of the last activation, from a"
    " start timestamp on. A first activation whose schedule begins more than a day ago must give the timestamp. A"
    " pipeline that was deactivated goes on where it stopped.",
    "AddTags": "Adds tags to a pipeline, or changes their values. A pipeline has ten at most.",
    "CreatePipeline": "Makes a pipeline without a definition. The same name and uniqueId give the one that exists.",
    "DeactivatePipeline": "Stops a pipeline. What runs is cancelled at once, or with `cancelActive` false may finish.",
    "DeletePipeline": "Deletes a pipeline with its definition, instances and attempts. What runs loses its task.",
    "DescribeObjects": "The fields of components, instances and attempts, 100 a page, as written or evaluated.",
    "DescribePipelines": "The fields of pipelines: state, health, times, tags.",
    "EvaluateExpression": "The value that a text with expressions has for a component, an instance or an attempt.",
    "GetPipelineDefinition": "A definition: the `latest` (which is the default), the `active`, or that of a number."
    " Secrets are shown as `*****`.",
    "ListPipelines": "The ids and names of all pipelines, 50 a page.",
    "PollForTask": "A task of the worker group, with every expression evaluated; waits for one up to 45 seconds.",
    "PutPipelineDefinition": "Keeps a definition, also one with errors, which cannot be activated. The version that is"
    " active stays as it is.",
    "QueryObjects": "The ids of the components, instances or attempts whose fields match all selectors, up to 100 a"
    " page. `REF_EQ` compares references and the others texts, whole numbers by their value; of several values of `EQ`"
    " and `REF_EQ` one must be equal.",
    "RemoveTags": "Removes tags by their keys.",
    "ReportTaskProgress": "Says that a task is being worked on, and learns whether it was cancelled. The first report"
    " must come within two minutes, and each next one within 15.",
    "ReportTaskRunnerHeartbeat": "Says that a task runner is alive. The one of a resource learns when it may end.",
    "SetStatus": "Pauses and resumes components (`PAUSE`, `RESUME`); cancels, runs again or finishes instances"
    " (`TRY_CANCEL`, `RERUN`, `MARK_FINISHED`). All of them, or none.",
    "SetTaskStatus": "Ends a task. `FALSE` is for preconditions that do not hold. An ended task stays as it is.",
    "ValidatePipelineDefinition": "Checks a definition without keeping it.",
}


def api() -> Iterator[str]:
    """The page, part by part."""
    yield "# API"
    yield "<!-- Made by docs/build.py from the service models and docs/api_story.py; edit those, not this page. -->"
    yield INTRODUCTION
    with told() as story:
        for model, title in zip(story.models, ("AWS Data Pipeline", "Penstock's own operations"), strict=True):
            yield f"## {title}"
            prefix, service = model.target_prefix, model.signing_name
            yield f"The targets are `{prefix}.` and the operation; signatures are for `{service}`."
            own = {} if model.target_prefix == "DataPipeline" else _documentation()
            for name in sorted(model.operations):
                yield from _operation(story, model, model.operations[name], own.get(name) or SENTENCES[name])


def _documentation() -> dict[str, str]:
    """What our own model says of its operations."""
    path = files("penstock") / "models" / "penstock" / "2026-11-20" / "service-2.json"
    operations = json.loads(path.read_text(encoding="utf-8"))["operations"]
    return {name: operation["documentation"] for name, operation in operations.items()}


def _operation(story: Story, model: ServiceModel, operation: Operation, about: str) -> Iterator[str]:
    yield f"### {operation.name}"
    yield about
    rows = list(_members(model, operation.input, "", ())) if operation.input else []
    if rows:
        yield "\n".join(["| member | type | limits |", "|---|---|---|", *rows])
    else:
        yield "It takes no members."
    errors = [name for name in operation.errors if name != "InternalServiceError"]
    if errors:
        yield "Errors: " + ", ".join(f"`{name}`" for name in errors) + "."
    request, answer = story.example(operation.name)
    yield f"```json\n{request}\n```"
    yield f"Answer:\n\n```json\n{answer}\n```"


def _members(model: ServiceModel, shape: Shape, path: str, above: tuple[str, ...]) -> Iterator[str]:
    """A row for each member, those of structures within it included; a structure in itself is not followed."""
    for name, ref in shape.members.items():
        target = model.shapes[ref.shape]
        kind, inner, suffix = target.type, target, ""
        while inner.type == "list" and inner.member is not None:
            inner, suffix = model.shapes[inner.member.shape], suffix + "[]"
        if suffix:
            kind = f"list of {'objects' if inner.type == 'structure' else inner.type + 's'}"
        elif kind == "structure":
            kind = "object"
        each = f"each {_limits(inner)}" if suffix and _limits(inner) else ""
        limits = "; ".join(part for part in (_limits(target), each) if part)
        mark = " *" if name in shape.required else ""
        yield f"| `{path}{name}`{mark} | {kind} | {limits} |"
        if inner.type == "structure" and inner.name not in above:
            yield from _members(model, inner, f"{path}{name}{suffix}.", (*above, inner.name))


def _limits(shape: Shape) -> str:
    if shape.enum:
        return ", ".join(f"`{value}`" for value in shape.enum)
    unit = {"string": " characters", "blob": " bytes", "list": " entries"}.get(shape.type, "")
    low, high = (None if bound is None else f"{bound:,.0f}" for bound in (shape.min, shape.max))
    if high is not None:
        return f"{low or '0'} to {high}{unit}"
    return f"at least {low}{unit}" if low is not None else ""
