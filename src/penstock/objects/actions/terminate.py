"""Terminate."""

from __future__ import annotations

from penstock.objects.families import Action


class Terminate(Action):
    """Cancels the activity, resource, data node or precondition whose onLateAction it is, if that has not ended yet.

    As onSuccess or onFail it does nothing: what sets it off has ended.
    """

    icon = "stop"
