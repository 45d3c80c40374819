"""HadoopActivity."""

from __future__ import annotations

from penstock.definition.slots import slot
from penstock.objects.activities.cluster_activity import ScriptedActivity


class HadoopActivity(ScriptedActivity):
    """Runs a Hadoop job from a JAR file."""

    icon = "cluster"
    is_built = False

    jar_uri: str = slot("The JAR file: an S3 URI, or a path on the cluster.")
    argument: list[str] = slot("Arguments passed to the JAR.")
    hadoop_queue: str | None = slot("The queue of Hadoop's scheduler that the job goes to.")
    main_class: str | None = slot("The main class of the JAR.")
