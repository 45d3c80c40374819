"""PigActivity."""

from __future__ import annotations

from penstock.definition.slots import slot
from penstock.objects.activities.cluster_activity import ResizingActivity, ScriptedActivity


class PigActivity(ScriptedActivity, ResizingActivity):
    """Runs a Pig script; staged inputs and outputs are named ${input1}, ${output1} and so on."""

    icon = "cluster"
    is_built = False

    script: str | None = slot("The Pig script to run.", one_of="script")
    script_uri: str | None = slot("An S3 URI of the Pig script to run.", one_of="script")
    script_variable: list[str] = slot("Variables for the script, each NAME=VALUE.")
    stage: bool = slot("Whether inputs and outputs are staged for the script.", default=False)
    generated_scripts_path: str | None = slot(
        "Where AWS keeps the scripts that it makes.", unlisted="It has no effect."
    )
