"""HiveActivity."""

from __future__ import annotations

from penstock.definition.model import PipelineObject
from penstock.definition.problems import Problem
from penstock.definition.slots import slot
from penstock.objects.activities.cluster_activity import ResizingActivity, ScriptedActivity


class HiveActivity(ScriptedActivity, ResizingActivity):
    """Runs a Hive script; staged inputs and outputs are tables named ${input1}, ${output1} and so on."""

    icon = "cluster"
    is_built = False

    hive_script: str | None = slot("The Hive script to run.", one_of="script")
    script_uri: str | None = slot("An S3 URI of the Hive script to run.", one_of="script")
    hadoop_queue: str | None = slot("The queue of Hadoop's scheduler that the work goes to.")
    script_variable: list[str] = slot("Variables for the script, each NAME=VALUE.")
    stage: bool = slot("Whether inputs and outputs are staged as tables; both are then needed.", default=True)

    @classmethod
    def check(cls, obj: PipelineObject) -> list[Problem]:
        """Inputs and outputs are needed while they are staged."""
        problems = super().check(obj)
        if (obj.text("stage") or "true").strip().lower() == "true":
            for key in ("input", "output"):
                if not obj.fields.get(key):
                    message = f"HiveActivity needs an '{key}' while 'stage' is true, as it is if unset."
                    problems.append(Problem(obj.id, key, message, "Refer to a data node, or set stage to false."))
        return problems
