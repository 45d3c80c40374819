"""EbsBlockDeviceConfig."""

from __future__ import annotations

from penstock.definition.slots import slot
from penstock.objects.families import Utility
from penstock.objects.utilities.volume_specification import VolumeSpecification


class EbsBlockDeviceConfig(Utility):
    """Disks of one kind for each machine of an EMR cluster (AWS only)."""

    icon = "disk"
    takes_any_field = True

    volume_specification: VolumeSpecification | None = slot("The kind of the disks.")
    volumes_per_instance: int | None = slot("How many of them each machine has.")
