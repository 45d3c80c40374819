"""Terminate."""

from __future__ import annotations

from penstock.objects.families import Action


class Terminate(Action):
    """Ends the activity, resource or data node that refers to it when that has not finished yet."""

    icon = "stop"
    is_built = False
