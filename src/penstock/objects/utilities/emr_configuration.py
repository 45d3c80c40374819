"""EmrConfiguration."""

from __future__ import annotations

from penstock.definition.slots import slot
from penstock.objects.families import Utility
from penstock.objects.utilities.property import Property


class EmrConfiguration(Utility):
    """Settings of an application on an EMR cluster (AWS only)."""

    icon = "setting"

    classification: str = slot("Which of the cluster's configurations is set, such as core-site.")
    configuration: list[EmrConfiguration] = slot("Configurations within this one.")
    properties: list[Property] = slot("The settings.", name="property")
