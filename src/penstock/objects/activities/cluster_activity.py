"""What the activities on an EMR cluster share."""

from __future__ import annotations

from penstock.definition.slots import slot
from penstock.objects.families import Activity
from penstock.objects.resources.emr_cluster import EmrCluster
from penstock.objects.utilities.shell_script_config import ShellScriptConfig


class ClusterActivity(Activity):
    """Work on an EMR cluster."""

    is_abstract = True

    runs_on: EmrCluster | None = slot("The cluster that does the work.", one_of="where")


class ResizingActivity(ClusterActivity):
    """Work that may make its cluster fit the DynamoDB tables that it reads and writes."""

    is_abstract = True

    resize_cluster_before_running: bool = slot(
        "Whether the cluster is first made large enough for the DynamoDB tables.", default=False
    )
    resize_cluster_max_instances: int | None = slot("How many machines the cluster may then have.")


class ScriptedActivity(ClusterActivity):
    """Work with a script before it and one after it."""

    is_abstract = True

    pre_activity_task_config: ShellScriptConfig | None = slot("The script that runs before the work.")
    post_activity_task_config: ShellScriptConfig | None = slot("The script that runs after the work.")
