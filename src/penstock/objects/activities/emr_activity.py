"""EmrActivity."""

from __future__ import annotations

from penstock.definition.slots import slot
from penstock.objects.activities.cluster_activity import ResizingActivity


class EmrActivity(ResizingActivity):
    """Runs steps on an EMR cluster."""

    icon = "cluster"
    is_built = False

    step: list[str] = slot("The steps, in order: a JAR and its arguments with commas between; \\\\, is a comma.")
    pre_step_command: list[str] = slot("Commands to run before the steps.")
    post_step_command: list[str] = slot("Commands to run after the steps.")
