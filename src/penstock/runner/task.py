"""One task: the evaluated objects become typed ones, the attempt's own runs, and its end is reported."""

from __future__ import annotations

import contextlib
import math
import re
import threading
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from penstock.data.file_names import log_folder, log_uri
from penstock.data.storage import StorageError
from penstock.definition.api_form import object_from_api
from penstock.definition.conversion import convert
from penstock.definition.model import PipelineObject, is_secret
from penstock.definition.period import Period
from penstock.definition.slots import Catalogue, Declared
from penstock.log_lines import about
from penstock.objects.families import Activity, Precondition, Resource
from penstock.objects.lineage import Lineage, fields_of
from penstock.objects.work import Work, WorkFailed, WorkStopped
from penstock.runner.commands import Stop, execute
from penstock.runner.hosting import host_runner
from penstock.runner.lineage import TaskLineage
from penstock.runner.log_upload import LogUpload
from penstock.runner.logs import AttemptLogs
from penstock.runner.masking import Masking
from penstock.runner.open_lineage import Subject
from penstock.runner.place import Place
from penstock.runner.work_folders import WorkFolder

# In characters. The service model allows 1,024 in errorId and errorStackTrace and 10,240 in a field, and sets no limit
# for errorMessage; a string's length there counts characters, and some are not allowed at all.
LONGEST_TRACE = 1000
LONGEST_MESSAGE = 10_000
LONGEST_FIELD = 10_240
LONGEST_ID = 256
_NOT_SENT = re.compile(r"[^\t\r\n\u0020-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]")


def sendable(text: str, longest: int, *, is_end_kept: bool = False) -> str:
    """The text without characters that the service model forbids, and no longer than allowed."""
    text = _NOT_SENT.sub("\N{REPLACEMENT CHARACTER}", text)
    if len(text) <= longest:
        return text
    return "…" + text[len(text) - longest + 1 :] if is_end_kept else text[: longest - 1] + "…"


class NotBegun(Exception):
    """A task cannot begin; the text says why and has no secrets."""


@dataclass
class Task:
    """A task that this runner holds, and everything that its attempt needs."""

    task_id: str
    pipeline_id: str
    attempt_id: str
    objects: Mapping[str, PipelineObject]
    place: Place
    stop: Stop = field(default_factory=Stop)
    fields: dict[str, str] = field(default_factory=dict)
    upload: LogUpload | None = None
    reported_at: float | None = None

    @classmethod
    def read(cls, answer: Mapping[str, Any], place: Place) -> Task:
        """The task of an answer of PollForTask; raises NotBegun."""
        try:
            objects = {key: object_from_api(entry) for key, entry in answer["objects"].items()}
        except Exception as error:  # its text may have secrets in it that are not known yet
            raise NotBegun(type(error).__name__) from error
        return cls(answer["taskId"], answer["pipelineId"], answer["attemptId"], objects, place)

    def __post_init__(self) -> None:
        own = self.own
        component = _first(own, "@componentParent") or own.id
        instance = _first(own, "@instanceParent") or own.id
        self.masking = masking_of(self.objects.values(), self.place.secrets)
        parts = (self.pipeline_id, component, instance, self.attempt_id)
        folder = log_folder(self.place.data_dir, self.pipeline_id, self.attempt_id)
        uri = log_uri(own.text("pipelineLogUri"), *parts)
        self.logs = AttemptLogs(folder, uri, self.place.storage, self.masking, self.place.clock)
        self.report_within = _report_within(own)
        settings = self.place.settings.openlineage
        subject = Subject(
            namespace=settings.namespace if settings is not None else "",
            pipeline_id=self.pipeline_id,
            pipeline_name=own.text("@pipelineName") or self.pipeline_id,
            component=component,
            type_name=own.text("type") or "",
            attempt_id=self.attempt_id,
            scheduled_start=own.text("@scheduledStartTime") or "",
            scheduled_end=own.text("@scheduledEndTime") or "",
        )
        self.lineage = TaskLineage(subject, self.place.events, self.place.clock, self.masking)

    @property
    def about(self) -> dict[str, str]:
        """What a line of the log says of the task."""
        return about(self.pipeline_id, self.attempt_id)

    @property
    def own(self) -> PipelineObject:
        """The attempt's own object."""
        return self.objects[self.attempt_id]

    def is_resource(self, catalogue: Catalogue) -> bool:
        """Whether the task is to host a resource, which lasts as long as the resource."""
        cls = catalogue.find(self.own.text("type"))
        return cls is not None and issubclass(cls, Resource)

    def report(self, fields: Mapping[str, str]) -> None:
        """Keep fields for the next report of progress."""
        self.fields.update(
            {
                sendable(self.masking.text(key), LONGEST_ID): sendable(self.masking.text(value), LONGEST_FIELD)
                for key, value in fields.items()
            }
        )

    def run(self, catalogue: Catalogue) -> dict[str, str]:
        """Run the attempt; gives the parameters of SetTaskStatus. Raises WorkStopped."""
        self.logs.note(f"{self.attempt_id} starts on {self.place.hostname}")
        try:
            obj = convert(self.objects, self.attempt_id, catalogue)
            status = self._run(obj)
        except WorkStopped:
            self.logs.write(f"Stopped: {self.stop.reason}")
            self.lineage.end("ABORT")
            raise
        except Exception as error:  # whatever goes wrong in an attempt is its failure, and is reported as that
            outcome = self._failure(error)
            self.lineage.end("FAIL", outcome)
            return outcome
        self.lineage.end("COMPLETE")
        self.logs.note(f"Ended with {status}")
        return {"taskStatus": status}

    def _run(self, obj: Declared) -> str:
        with self.place.folders.folder() as folder:
            work = self._work(folder)
            if isinstance(obj, Precondition):
                return "FINISHED" if obj.holds(work) else "FALSE"
            if isinstance(obj, Activity):
                self.lineage.begin(obj, work)
            if isinstance(obj, Activity | Resource):
                obj.run(work)
                work.check_stopped()
                return "FINISHED"
            raise WorkFailed(f"{obj.type_name()} is nothing that can run.")

    def _work(self, folder: WorkFolder) -> Work:
        return Work(
            pipeline_id=self.pipeline_id,
            attempt_id=self.attempt_id,
            folder=folder.path,
            storage=self.place.storage,
            execute=partial(
                execute,
                goes_on=partial(setattr, folder, "is_in_use", True),
                stop=self.stop,
                masking=self.masking,
                stdout=self.logs.stdout,
                stderr=self.logs.stderr,
                guard=self.place.guard,
            ),
            log=self.logs.write,
            stopped=self.stop.event,
            environment=self.place.environment,
            stdout=self.logs.stdout,
            stderr=self.logs.stderr,
            data_dir=self.place.data_dir,
            databases=self.place.settings.databases,
            redshift=self.place.settings.redshift,
            data=self.place.settings.data,
            report=self.report,
            record=self._record,
            host_runner=partial(host_runner, self.own, self.place, self.stop, self.logs),
        )

    def _record(self, lineage: Lineage) -> None:
        """Keep what was moved, and report all that the attempt has moved by now."""
        self.lineage.moved.append(lineage)
        self.report(fields_of(self.lineage.moved))

    def _failure(self, error: Exception) -> dict[str, str]:
        message = self.masking.text(str(error) or type(error).__name__)
        is_explained = isinstance(error, WorkFailed | StorageError | ValueError) or _is_user_error(error)
        trace = "" if is_explained else "".join(traceback.format_exception(error))
        with contextlib.suppress(OSError):  # that they cannot be written may be the failure
            self.logs.write(f"Failed: {message}\n{trace}".rstrip())
        if isinstance(error, WorkFailed):
            trace = self.logs.tail()
        error_id = "ActivityFailed" if isinstance(error, WorkFailed) else type(error).__name__
        return failure(error_id, message, self.masking.text(trace))


def masking_of(objects: Iterable[PipelineObject], others: Iterable[str] = ()) -> Masking:
    """The masking of all values of the objects' secret fields, and of other secrets."""
    of_fields = (
        value
        for obj in objects
        for key, values in obj.fields.items()
        if is_secret(key)
        for value in values
        if isinstance(value, str)
    )
    return Masking([*of_fields, *others])


def failure(error_id: str, message: str, trace: str = "") -> dict[str, str]:
    """The parameters of SetTaskStatus for a failed task, within the service model's limits."""
    told = {
        "taskStatus": "FAILED",
        "errorId": sendable(error_id, LONGEST_ID),
        "errorMessage": sendable(message, LONGEST_MESSAGE),
    }
    return told | ({"errorStackTrace": sendable(trace, LONGEST_TRACE, is_end_kept=True)} if trace else {})


def _is_user_error(error: Exception) -> bool:
    """Errors of the room of data say whole what is wrong; their stack would only hide it."""
    return type(error).__module__.startswith("penstock.data")


def _report_within(own: PipelineObject) -> float:
    """Seconds between two reports at most: three fit into reportProgressTimeout, so that one may be late."""
    try:
        return Period.parse(own.text("reportProgressTimeout") or "").length().total_seconds() / 3
    except ValueError:  # there is none, or the attempt is about to fail for it
        return math.inf


def _first(obj: PipelineObject, key: str) -> str | None:
    refs = obj.refs(key)
    return refs[0] if refs else obj.text(key)


class Held:
    """The tasks that a runner holds at the moment.

    A signal's handler lists them too, in a thread that may be about to change them: the lock lets it in.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.RLock())
        self._tasks: dict[str, Task] = {}

    def add(self, task: Task) -> None:
        """Hold a task."""
        with self._changed:
            self._tasks[task.task_id] = task

    def remove(self, task: Task) -> None:
        """Hold a task no longer."""
        with self._changed:
            self._tasks.pop(task.task_id, None)
            self._changed.notify_all()

    def all(self) -> list[Task]:
        """The tasks that are held now."""
        with self._changed:
            return list(self._tasks.values())

    def wait_for_none(self, seconds: float) -> bool:
        """Wait until no task is held, at most so long; says whether none is."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._tasks, seconds)
