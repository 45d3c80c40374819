"""ShellScriptConfig."""

from __future__ import annotations

from penstock.definition.slots import slot
from penstock.objects.families import Utility


class ShellScriptConfig(Utility):
    """A script that an activity on a cluster runs before or after its own work."""

    icon = "terminal"

    script_argument: list[str] = slot("Arguments passed to the script.")
    script_uri: str | None = slot("The S3 URI of the script.")
