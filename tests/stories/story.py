"""What stories are told with: a clock that is moved by hand, pipelines by file form, and a scripted task runner."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from penstock.api import activation, definitions, ends, objects, pipelines, progress, tasks
from penstock.api.call import Call
from penstock.api.seen_runners import SeenRunners
from penstock.clock import from_ms, to_ms
from penstock.data.local_folder import LocalFolder
from penstock.data.log_files import LogFiles
from penstock.definition.api_form import definition_to_api, values_to_api
from penstock.definition.file_form import parse_definition
from penstock.definition.period import parse_date_time
from penstock.engine.delivery import deliver_due
from penstock.engine.engine import Engine
from penstock.engine.status import earliest
from penstock.objects import load_catalogue
from penstock.settings import EngineSettings, Settings
from penstock.store.database import Store
from penstock.store.rows import AccessKey, Attempt, Event, Instance, read_all
from penstock.store.secrets import Secrets

SYSTEM = "penstock:system"
EVERY_INSTANCE = {"scheduled_start": -(2**62), "instance_id": "", "limit": 100_000}
Answer = Callable[["Task"], str]


class FakeClock:
    """Stands still until it is moved."""

    def __init__(self, start: str) -> None:
        self.moment = parse_date_time(start)

    def now(self) -> datetime:
        return self.moment


@dataclass(frozen=True)
class Task:
    """What PollForTask handed out."""

    task_id: str
    attempt_id: str
    objects: Mapping[str, Mapping[str, Any]]

    @property
    def instance_id(self) -> str:
        return self.attempt_id.rpartition("_Attempt=")[0]

    def field(self, key: str) -> str | None:
        """A field of the attempt's own object."""
        for entry in self.objects[self.attempt_id]["fields"]:
            if entry["key"] == key:
                return str(entry.get("refValue", entry.get("stringValue")))
        return None


class Story:
    """An engine with a clock of its own; the pipelines of other stories in the same store are not its concern."""

    def __init__(
        self,
        store: Store,
        folder: Path,
        start: str = "2024-01-01T00:00:00",
        *,
        owner: str | None = None,
        **settings: Any,
    ) -> None:
        self.clock = FakeClock(start)
        self.store = store
        self.owner = owner or f"story:{uuid.uuid4()}"
        self.engine = self.new_engine(folder, **settings)
        self.folder = folder
        self._keys = {role: self._add_key(role) for role in ("admin", "runner", "system")}
        self.woken: list[str] = []
        self.engine.on_wake = self.woken.extend
        self.woken_by_alarms = 0
        self.engine.on_alarm = self._count_alarm

    def _count_alarm(self) -> None:
        self.woken_by_alarms += 1

    def new_engine(self, folder: Path, **settings: Any) -> Engine:
        """Another engine on the same pipelines, as after a restart or on another machine."""
        chosen = Settings(engine=EngineSettings(**{"system_lease": EngineSettings.lease} | settings))
        return Engine(self.store, load_catalogue(), self.clock, chosen, Secrets(folder), self.owner)

    def call(self, role: str = "admin") -> Call:
        """A call by somebody with this role."""
        logs = LogFiles(self.folder, LocalFolder(self.folder / "s3"), 1000)
        return Call(self.engine, self._keys[role], logs, SeenRunners(self.engine))

    def _add_key(self, role: str) -> AccessKey:
        key = AccessKey(f"{role}-{uuid.uuid4()}", "", role, "tester", self.owner, None, None, 0, None)
        with self.store.transaction() as tx:
            values = {field.name: getattr(key, field.name) for field in fields(key) if field.name != "revoked_at"}
            tx.execute("insert_key", **values)
        return key

    def pipeline(self, definition: Mapping[str, Any], *, start: str | None = None, is_active: bool = True) -> Pipe:
        """Create and put a pipeline, and activate it."""
        name = {"name": "story", "uniqueId": str(uuid.uuid4())}
        pipe = Pipe(self, pipelines.create_pipeline(self.call(), name)["pipelineId"])
        pipe.put(definition)
        if is_active:
            pipe.activate(start)
        return pipe

    def until(self, moment: str) -> None:
        """Let time pass, with everything that becomes due on the way done when it is due."""
        target = parse_date_time(moment)
        for _ in range(100_000):
            due = self.run_due()
            if due is None or from_ms(due) > target:
                break
            self.clock.moment = max(self.clock.moment, from_ms(due))
        else:
            raise AssertionError("the engine never comes to rest")
        self.clock.moment = target

    def run_due(self) -> int | None:
        """Do and deliver what is due now; gives the time when something is due next."""
        return earliest(self.engine.run_due(), deliver_due(self.engine))

    def later(self, **period: float) -> None:
        """Let a period pass."""
        self.until((self.clock.moment + timedelta(**period)).strftime("%Y-%m-%dT%H:%M:%S"))

    def poll(self, group: str = "work") -> Task | None:
        """Ask for a task as a task runner does."""
        role = "system" if group == SYSTEM else "runner"
        answer = tasks.poll_for_task(self.call(role), {"workerGroup": group, "hostname": "host-1"})
        if not answer:
            return None
        made = answer["taskObject"]
        return Task(made["taskId"], made["attemptId"], made["objects"])

    def take(self, group: str = "work") -> Task:
        """Get a task that must be there, and acknowledge it."""
        task = self.poll(group)
        assert task is not None, f"no task for {group}"
        assert not self.report(task)
        return task

    def report(self, task: Task, **fields: str) -> bool:
        """Report progress; True says that the task was cancelled."""
        entries = [{"key": key, "stringValue": value} for key, value in fields.items()]
        answer = tasks.report_task_progress(self.call("system"), {"taskId": task.task_id, "fields": entries})
        return bool(answer["canceled"])

    def end(self, task: Task, status: str = "FINISHED", message: str = "it broke") -> None:
        """Report the end of a task."""
        request = {"taskId": task.task_id, "taskStatus": status}
        if status == "FAILED":
            request |= {"errorId": "Broken", "errorMessage": message}
        ends.set_task_status(self.call("system"), request)

    def work(self, group: str = "work", answer: Answer = lambda task: "FINISHED") -> list[str]:
        """Do every task there is now and becomes ready by that; gives the instances in order."""
        done: list[str] = []
        while (task := self.poll(group)) is not None:
            self.end(task, answer(task))
            done.append(task.instance_id)
            assert len(done) < 10_000
        return done


class Pipe:
    """One pipeline of a story."""

    def __init__(self, story: Story, pipeline_id: str) -> None:
        self.story = story
        self.id = pipeline_id

    def put(self, definition: Mapping[str, Any]) -> None:
        api_form = definition_to_api(parse_definition(json.dumps(definition)))
        answer = definitions.put_pipeline_definition(self.story.call(), {"pipelineId": self.id, **api_form})
        assert not answer["errored"], answer

    def activate(self, start: str | None = None, **values: str) -> None:
        request: dict[str, Any] = {"pipelineId": self.id}
        if start is not None:
            request["startTimestamp"] = parse_date_time(start)
        if values:
            request["parameterValues"] = values_to_api({key: [value] for key, value in values.items()})
        activation.activate_pipeline(self.story.call(), request)

    def deactivate(self, *, cancel_active: bool = True) -> None:
        activation.deactivate_pipeline(self.story.call(), {"pipelineId": self.id, "cancelActive": cancel_active})

    def set_status(self, verb: str, *ids: str) -> None:
        objects.set_status(self.story.call(), {"pipelineId": self.id, "objectIds": list(ids), "status": verb})

    def why(self, instance_id: str) -> list[str]:
        request = {"pipelineId": self.id, "objectId": instance_id}
        reasons: list[str] = progress.explain_waiting(self.story.call(), request)["reasons"]
        return reasons

    def alarms_to_deliver(self, instance_id: str) -> list[str]:
        request = {"pipelineId": self.id, "objectId": instance_id}
        said: list[str] = progress.explain_waiting(self.story.call(), request)["alarms"]
        return said

    def fields(self, object_id: str) -> dict[str, list[str]]:
        """The fields of an object as DescribeObjects shows them."""
        answer = objects.describe_objects(self.story.call(), {"pipelineId": self.id, "objectIds": [object_id]})
        found: dict[str, list[str]] = {}
        for entry in answer["pipelineObjects"][0]["fields"]:
            found.setdefault(entry["key"], []).append(entry.get("refValue", entry.get("stringValue")))
        return found

    @property
    def description(self) -> dict[str, str]:
        answer = pipelines.describe_pipelines(self.story.call(), {"pipelineIds": [self.id]})
        return {entry["key"]: entry["stringValue"] for entry in answer["pipelineDescriptionList"][0]["fields"]}

    @property
    def state(self) -> str:
        return self.description["@pipelineState"]

    def instances(self) -> list[Instance]:
        with self.story.store.snapshot() as tx:
            return read_all(Instance, tx.all("instances_after", pipeline_id=self.id, **EVERY_INSTANCE))

    def statuses(self, component: str | None = None) -> dict[str, str]:
        """The status of every instance, of one component if it is named."""
        return {i.instance_id: i.status for i in self.instances() if component in (None, i.component)}

    def status(self, instance_id: str) -> str:
        return self.statuses()[instance_id]

    def attempts(self, instance_id: str) -> list[Attempt]:
        with self.story.store.snapshot() as tx:
            found = read_all(Attempt, tx.all("attempts_after", pipeline_id=self.id, attempt_id="", limit=100_000))
        return [attempt for attempt in found if attempt.instance_id == instance_id]

    def events(self, sphere: str | None = None) -> list[Event]:
        with self.story.store.snapshot() as tx:
            found = read_all(Event, tx.all("events_after", pipeline_id=self.id, sequence=0, limit=100_000))
        return [event for event in found if sphere in (None, event.sphere)]

    def moves(self, object_id: str) -> list[str]:
        """The statuses that an object went through."""
        return [event.to_status for event in self.events() if event.object_id == object_id]

    def alarms(self) -> list[str]:
        return [event.detail for event in self.events("ALARM")]


def ref(identity: str) -> dict[str, str]:
    return {"ref": identity}


def refs(*identities: str) -> list[dict[str, str]]:
    return [{"ref": identity} for identity in identities]


def activity(identity: str, **fields: Any) -> dict[str, Any]:
    """A ShellCommandActivity of the worker group `work`; `runsOn` replaces the group."""
    where = {} if "runsOn" in fields else {"workerGroup": "work"}
    return {"id": identity, "name": identity, "type": "ShellCommandActivity", "command": "true", **where, **fields}


def data_node(identity: str, **fields: Any) -> dict[str, Any]:
    return {"id": identity, "name": identity, "type": "S3DataNode", "filePath": f"s3://bucket/{identity}", **fields}


def resource(identity: str, **fields: Any) -> dict[str, Any]:
    return {"id": identity, "name": identity, "type": "Ec2Resource", **fields}


def exists(identity: str, **fields: Any) -> dict[str, Any]:
    """A precondition that a runner of the worker group checks."""
    return {"id": identity, "name": identity, "type": "ShellCommandPrecondition", "command": "true", **fields}


def s3_key_exists(identity: str, **fields: Any) -> dict[str, Any]:
    """A precondition that the service itself checks."""
    return {"id": identity, "name": identity, "type": "S3KeyExists", "s3Key": "s3://bucket/key", **fields}


def alarm(identity: str, message: str = "it happened", **fields: Any) -> dict[str, Any]:
    written = {"topicArn": "arn:topic", "subject": "subject", "message": message, "role": "role"}
    return {"id": identity, "name": identity, "type": "SnsAlarm", **written, **fields}


def schedule(identity: str = "Daily", period: str = "1 day", **fields: Any) -> dict[str, Any]:
    start = {} if "startAt" in fields else {"startDateTime": "2024-01-01T00:00:00"}
    return {"id": identity, "name": identity, "type": "Schedule", "period": period, **start, **fields}


def scheduled(*objects: Mapping[str, Any], mode: str = "cascade", kind: str = "cron", **default: Any) -> dict[str, Any]:
    """A definition whose objects run on the schedule `Daily` from 2024-01-01; give one of that id to change it."""
    own_schedules = [] if any(obj["id"] == "Daily" for obj in objects) else [schedule()]
    written = {"scheduleType": kind, "schedule": ref("Daily"), "failureAndRerunMode": mode, **default}
    return {"objects": [{"id": "Default", "name": "Default", **written}, *own_schedules, *objects]}


def on_demand(*objects: Mapping[str, Any], mode: str = "cascade", **default: Any) -> dict[str, Any]:
    written = {"scheduleType": "ondemand", "failureAndRerunMode": mode, **default}
    return {"objects": [{"id": "Default", "name": "Default", **written}, *objects]}


def day(component: str, number: int, hour: int = 0, month: int = 1) -> str:
    """The id of a component's instance that starts on a day of 2024."""
    moment = datetime(2024, month, 1, hour, tzinfo=UTC) + timedelta(days=number - 1)
    return f"@{component}_{moment:%Y-%m-%dT%H:%M:%S}"


def milliseconds(moment: str) -> int:
    return to_ms(parse_date_time(moment))
