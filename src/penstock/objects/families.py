"""The families of object types: the slots that all activities, data nodes, preconditions and so on share.

The slots are those of the object reference in the AWS Data Pipeline Developer Guide.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar, Literal

from penstock.definition.model import PipelineObject
from penstock.definition.period import Period
from penstock.definition.problems import Problem, shown
from penstock.definition.slots import Declared, slot

if TYPE_CHECKING:
    from penstock.data.copy import FileSide, TableSide
    from penstock.data.databases import Address
    from penstock.data.datasets import Dataset
    from penstock.data.formats import AnyFormat
    from penstock.objects.work import Work


RESERVED_GROUPS = ("penstock:", "resource:")


class Tracked(Declared):
    """What has instances and attempts: activities, data nodes, preconditions and resources."""

    is_abstract = True

    attempt_status: str | None = slot("The status that the task runner reported last.")
    attempt_timeout: Period | None = slot("How long an attempt may take before it is ended and perhaps tried again.")
    failure_and_rerun_mode: Literal["none", "cascade"] = slot(
        "What happens to consumers when this fails or is run again.", default="none"
    )
    late_after_timeout: Period | None = slot("How long after the scheduled start the object counts as late.")
    maximum_retries: int = slot("How often a failed attempt is tried again.", default=2)
    on_fail: list[Action] = slot("Actions to run when the object has failed.")
    on_late_action: list[Action] = slot("Actions to run when the object is late.")
    on_success: list[Action] = slot("Actions to run when the object has finished.")
    report_progress_timeout: Period | None = slot("How long a task runner may stay silent before the attempt is ended.")
    retry_delay: Period | None = slot("How long to wait before a failed attempt is tried again; 10 minutes if unset.")

    @classmethod
    def check(cls, obj: PipelineObject) -> list[Problem]:
        """Tries are not negative, and nobody can report without a pause."""
        problems = least(obj, "maximumRetries", 0)
        silence = obj.text("reportProgressTimeout") or ""
        with suppress(ValueError):  # a problem of its slot
            if not Period.parse(silence).amount:
                message = f"'reportProgressTimeout' is {shown(silence)}: no task runner reports as often as that."
                problems.append(Problem(obj.id, "reportProgressTimeout", message, "At least 1 second.", silence))
        return problems


class Scheduled(Tracked):
    """What runs on a schedule: activities, data nodes and resources."""

    is_abstract = True

    max_active_instances: int | None = slot("How many instances may be active at once; 5, or 1 on demand.")
    pipeline_log_uri: str | None = slot("The S3 URI under which logs are kept.")
    runs_on: Resource | None = slot("The resource that does the work.")
    worker_group: str | None = slot("The worker group that does the work; runsOn wins over it.")
    schedule: ScheduleFamily | None = slot("When the object runs.", is_schedule=True)
    schedule_type: Literal["cron", "timeseries", "ondemand"] = slot(
        "Whether the work is due at the start of its interval (cron), at its end (timeseries) or on activation.",
        default="timeseries",
    )

    @classmethod
    def check(cls, obj: PipelineObject) -> list[Problem]:
        """At least one instance may be active; worker groups that belong to the service itself cannot be used."""
        problems = [*super().check(obj), *least(obj, "maxActiveInstances", 1)]
        group = obj.text("workerGroup") or ""
        if group.startswith(RESERVED_GROUPS):
            message = f"The worker group {shown(group)} is the service's own."
            problems.append(Problem(obj.id, "workerGroup", message, "Rename it.", group))
        return problems


def least(obj: PipelineObject, key: str, smallest: int) -> list[Problem]:
    """The problem of a whole number that is too small; what is no number is a problem of its slot."""
    text = (obj.text(key) or "").strip()
    if not text.lstrip("+-").isdecimal() or len(text) > 40 or int(text) >= smallest:
        return []
    return [Problem(obj.id, key, f"'{key}' is {shown(text)}.", f"At least {smallest}.", text)]


class Activity(Scheduled):
    """The work that a pipeline does."""

    is_abstract = True
    family: ClassVar[str] = "Activity"

    depends_on: list[Activity | DataNode] = slot("Objects that must finish first.")
    input: list[DataNode] = slot("The data that is read.")
    output: list[DataNode] = slot("The data that is written.")
    precondition: list[Precondition] = slot("What must hold first.")
    runs_on: Resource | None = slot("The resource that does the work.", one_of="where")
    worker_group: str | None = slot("The worker group that does the work; runsOn wins over it.", one_of="where")

    def run(self, work: Work) -> None:
        """Do the work; an exception is a failed attempt."""
        raise NotImplementedError(f"{self.type_name()} has no run")


class DataNode(Scheduled):
    """Where data lies."""

    is_abstract = True
    family: ClassVar[str] = "DataNode"

    depends_on: list[Activity | DataNode] = slot("Objects that must finish first.")
    precondition: list[Precondition] = slot("What must hold before the data counts as ready.")

    def exists(self, work: Work) -> bool:
        """Whether the data is there; the precondition Exists asks."""
        raise NotImplementedError(f"{self.type_name()} has no exists")

    def side(self, work: Work) -> FileSide | TableSide:
        """The node as one side of a copy."""
        raise NotImplementedError(f"{self.type_name()} has no side")

    def dataset(self, work: Work) -> Dataset | None:
        """What the data is called where lineage is recorded; None where there is no name for it."""
        return None


class Precondition(Tracked):
    """What must hold before work begins.

    `is_system_managed` ones are asked by the service itself. `is_asked_last` ones are first asked when all else that
    their object waits for is there, such as the activity that writes the data that they look at.
    """

    is_abstract = True
    family: ClassVar[str] = "Precondition"
    is_system_managed: ClassVar[bool] = False
    is_asked_last: ClassVar[bool] = False

    node: Declared | None = slot("The object that has this precondition; filled in at run time.")
    precondition_timeout: Period | None = slot("How long to wait for the precondition before it has failed.")

    def holds(self, work: Work) -> bool:
        """Whether the precondition holds now; it is asked again while it does not."""
        raise NotImplementedError(f"{self.type_name()} has no holds")


class Resource(Scheduled):
    """Where work runs; here a task runner in a process and folder of its own."""

    is_abstract = True
    family: ClassVar[str] = "Resource"

    action_on_resource_failure: Literal["retryAll", "retryNone"] = slot(
        "Whether a resource that fails is started again, with what ran on it, or fails for good.", default="retryAll"
    )
    action_on_task_failure: Literal["continue", "terminate"] = slot(
        "Whether the resource goes on or ends when what runs on it has failed for good.", default="continue"
    )
    init_timeout: Period | None = slot("How long the resource may take to start.")
    key_pair: str | None = slot("The EC2 key pair (AWS only).")
    region: str | None = slot("The AWS region (AWS only).")
    resource_role: str | None = slot("The IAM role of the machine (AWS only).")
    role: str | None = slot("The IAM role that creates the machine (AWS only).")
    subnet_id: str | None = slot("The EC2 subnet (AWS only).")
    terminate_after: Period | None = slot("How long the resource may live.", unit="hour")  # EmrCluster's is an Integer
    use_on_demand_on_last_attempt: bool = slot("Whether the last try is no spot request (AWS only).", default=False)

    def run(self, work: Work) -> None:
        """Start a task runner for the resource's own worker group and stay until it has ended."""
        work.host_runner()


class Database(Declared):
    """How to reach a database."""

    is_abstract = True
    family: ClassVar[str] = "Database"

    username: str = slot("The user to log in as.")
    password: str = slot("The password to log in with.", name="*password")
    database_name: str | None = slot("The database to use, where the address does not say it.")
    jdbc_properties: list[str] = slot("Properties of the connection, each A=B.")

    def address(self, work: Work) -> Address:
        """Where the database is, after the settings have had their say."""
        raise NotImplementedError(f"{self.type_name()} has no address")


class DataFormat(Declared):
    """How rows are written in files."""

    is_abstract = True
    family: ClassVar[str] = "DataFormat"

    column: list[str] = slot("The columns: a name, or a name and a type.")

    def format(self) -> AnyFormat:
        """How rows are read and written."""
        raise NotImplementedError(f"{self.type_name()} has no format")


class Action(Declared):
    """What happens when an object ends or is late."""

    is_abstract = True
    family: ClassVar[str] = "Action"


class Utility(Declared):
    """What describes a part of another object, such as the configuration of a resource."""

    is_abstract = True
    family: ClassVar[str] = "Utility"


class ScheduleFamily(Declared):
    """When objects run."""

    is_abstract = True
    family: ClassVar[str] = "Schedule"
