"""GroupConfiguration."""

from __future__ import annotations

from penstock.objects.families import Utility


class GroupConfiguration(Utility):
    """Settings of a group of machines of an EMR cluster (AWS only)."""

    icon = "setting"
    takes_any_field = True
