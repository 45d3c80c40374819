"""Property."""

from __future__ import annotations

from penstock.definition.slots import slot
from penstock.objects.families import Utility


class Property(Utility):
    """One setting of an EmrConfiguration (AWS only)."""

    icon = "setting"

    key: str = slot("The name of the setting.")
    value: str = slot("What it is set to.")
