"""How fast definitions are validated and expressions evaluated: beside jsonschema and Jinja2, in one run.

    python bench/language.py [RUNS]

A definition of 250 objects and 263 parameters (as large as the largest real one) is validated, in process and as the
whole command, and the same file by jsonschema with our own JSON Schema, which knows no references, no inheritance and
no expressions. Typical expressions, once parsed, are evaluated beside Jinja2 templates that make the same text. Each
figure is the median of RUNS (7); jsonschema and Jinja2 are measured when they are installed
(`pip install -e '.[bench]'`).
"""

from __future__ import annotations

import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from penstock.definition.file_form import read_definition_file
from penstock.definition.json_schema import json_schema
from penstock.definition.validate import validate
from penstock.expressions import UnknownName, Value, evaluate, parse, to_text
from penstock.expressions.parser import _parsed
from penstock.objects import load_catalogue

RUNS = int(sys.argv[1]) if len(sys.argv) > 1 else 7
PENSTOCK = str(Path(sys.executable).with_name("penstock"))
VALIDATION_TARGET = 0.3  # seconds, for the whole command too
EVALUATION_TARGET = 20e-6
START = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)
EXPRESSIONS = {
    "a parameter": ("#{myBucket}", "{{ myBucket }}"),
    "a path with a date": (
        "s3://#{myBucket}/#{format(@scheduledStartTime,'YYYY-MM-dd')}/part",
        "s3://{{ myBucket }}/{{ scheduledStartTime.strftime('%Y-%m-%d') }}/part",
    ),
    "the day before": (
        "#{format(minusDays(@scheduledStartTime,1),'YYYY-MM-dd')}",
        "{{ (scheduledStartTime - timedelta(days=1)).strftime('%Y-%m-%d') }}",
    ),
    "a field through a reference": ("#{input.directoryPath}/x", "{{ input.directoryPath }}/x"),
    "a sum": ("#{myCount * 2 + 1}", "{{ myCount * 2 + 1 }}"),
}
VALUES: dict[str, Any] = {"myBucket": "bucket", "myCount": 20, "scheduledStartTime": START}


class Seen:
    """An object with the fields that the expressions read."""

    def __init__(self, fields: Mapping[str, Value]) -> None:
        self.fields = fields

    def field(self, name: str) -> Value:
        """The value of a field."""
        if name not in self.fields:
            raise UnknownName(name)
        return self.fields[name]


def large_definition() -> dict[str, Any]:
    """250 objects and 263 parameters: activities of several kinds, chained, with expressions in most fields."""
    objects: list[dict[str, Any]] = [
        {"id": "Default", "scheduleType": "cron", "failureAndRerunMode": "CASCADE", "schedule": {"ref": "Daily"},
         "pipelineLogUri": "s3://#{myP1}/logs", "role": "role", "resourceRole": "role", "onFail": {"ref": "Alarm"}},
        {"id": "Daily", "type": "Schedule", "period": "1 day", "startDateTime": "2025-01-01T00:00:00"},
        {"id": "Machine", "type": "Ec2Resource", "instanceType": "#{myP2}", "terminateAfter": "2 Hours"},
        {"id": "Alarm", "type": "SnsAlarm", "topicArn": "arn:aws:sns:us-east-1:1:x", "subject": "#{node.name} failed",
         "message": "#{node.errorMessage} in #{node.@scheduledStartTime}..#{node.@scheduledEndTime}"},
    ]  # fmt: skip
    for n in range(82):
        objects += [
            {"id": f"In{n}", "type": "S3DataNode",
             "directoryPath": f"s3://#{{myP{n}}}/#{{format(@scheduledStartTime,'YYYY-MM-dd')}}/{n}"},
            {"id": f"Out{n}", "type": "S3DataNode", "directoryPath": f"s3://#{{myP{n + 1}}}/out/{n}"},
            {"id": f"Step{n}", "type": "ShellCommandActivity", "runsOn": {"ref": "Machine"}, "stage": "true",
             "command": f"run #{{myP{n}}} #{{format(minusDays(@scheduledStartTime,1),'YYYY-MM-dd')}} #{{_table}}",
             "scriptArgument": [f"#{{myP{n + 2}}}", f"#{{input.directoryPath}}/{n}"], "_table": "t#{myP3}",
             "input": {"ref": f"In{n}"}, "output": {"ref": f"Out{n}"}, "attemptTimeout": "1 hour",
             **({"dependsOn": [{"ref": f"Step{n - 1}"}]} if n else {})},
        ]  # fmt: skip
    parameters = [
        {"id": f"myP{n}", "type": "String", "description": "A value.", "default": f"v{n}"} for n in range(263)
    ]
    return {"objects": objects, "parameters": parameters}


def seconds(call: Callable[[], object], times: int = 1) -> float:
    """The median of RUNS measurements of a call, each of it repeated; the first only warms up."""
    taken = []
    for _ in range(RUNS + 1):
        started = time.perf_counter()
        for _ in range(times):
            call()
        taken.append((time.perf_counter() - started) / times)
    return statistics.median(taken[1:])


def command(arguments: list[str]) -> None:
    """Run a command that must end with 0."""
    done = subprocess.run(arguments, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(arguments)} ended with {done.returncode}: {done.stdout}{done.stderr}")


def validated_first(path: Path) -> None:
    """Validate as if for the first time: no expression has been parsed before."""
    _parsed.cache_clear()
    validate(read_definition_file(path), load_catalogue())


def validation() -> bool:
    """Measure validation; gives whether the targets are met."""
    document = large_definition()
    assert (len(document["objects"]), len(document["parameters"])) == (250, 263)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pipeline.json"
        path.write_text(json.dumps(document), encoding="utf-8")
        catalogue = load_catalogue()
        assert validate(read_definition_file(path), catalogue).errors == ()
        ours = seconds(lambda: validated_first(path))
        again = seconds(lambda: validate(read_definition_file(path), catalogue))
        whole = seconds(lambda: command([PENSTOCK, "validate", str(path)]))
        print(f"{'validation of 250 objects':32}{'ms':>9}{'target':>10}")
        print(f"{'penstock, in process':32}{ours * 1e3:9.1f}{VALIDATION_TARGET * 1e3:10.0f}")
        print(f"{'penstock, the same file again':32}{again * 1e3:9.1f}")
        print(f"{'penstock validate, the command':32}{whole * 1e3:9.1f}{VALIDATION_TARGET * 1e3:10.0f}")
        if importlib.util.find_spec("jsonschema"):
            from jsonschema import Draft7Validator

            validator = Draft7Validator(json_schema(catalogue))
            theirs = seconds(lambda: list(validator.iter_errors(json.loads(path.read_text(encoding="utf-8")))))
            print(f"{'jsonschema, in process':32}{theirs * 1e3:9.1f}")
            print(f"penstock / jsonschema: {ours / theirs:.2f}")
    return ours <= VALIDATION_TARGET and whole <= VALIDATION_TARGET


def evaluation() -> bool:
    """Measure evaluation; gives whether the targets are met."""
    node = Seen({"directoryPath": "s3://bucket/in"})
    fields = Seen({**VALUES, "@scheduledStartTime": START, "input": node})
    made: dict[str, Any] = {}
    if importlib.util.find_spec("jinja2"):
        from jinja2 import Environment

        environment = Environment(autoescape=False)
        made = {name: environment.from_string(theirs) for name, (_, theirs) in EXPRESSIONS.items()}
    others = {**VALUES, "timedelta": timedelta, "input": {"directoryPath": "s3://bucket/in"}}
    print(f"\n{'evaluation, once parsed':32}{'µs':>9}{'target':>10}{'jinja2':>9}{'ratio':>8}")
    met = True
    for name, (text, _) in EXPRESSIONS.items():
        template = parse(text)
        ours = seconds(lambda template=template: to_text(evaluate(template, fields)), 2000)  # type: ignore[misc]
        met = met and ours <= EVALUATION_TARGET
        beside = ""
        if name in made:
            rendered = made[name].render(others)
            assert rendered == to_text(evaluate(template, fields)), (name, rendered)
            theirs = seconds(lambda other=made[name]: other.render(others), 2000)  # type: ignore[misc]
            beside = f"{theirs * 1e6:9.1f}{ours / theirs:8.2f}"
        print(f"{name:32}{ours * 1e6:9.1f}{EVALUATION_TARGET * 1e6:10.0f}{beside}")
    return met


def main() -> None:
    """Measure both, and say whether the targets are met."""
    results = [validation(), evaluation()]
    print(f"\nTargets {'met' if all(results) else 'NOT met'}")
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
