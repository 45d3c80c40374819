"""VolumeSpecification."""

from __future__ import annotations

from penstock.definition.slots import slot
from penstock.objects.families import Utility


class VolumeSpecification(Utility):
    """The kind and size of a disk of an EMR cluster (AWS only)."""

    icon = "disk"
    takes_any_field = True

    iops: int | None = slot("How many operations a second the disk is to do.")
    size_in_gb: int | None = slot("The size of the disk in GiB.", name="sizeInGB")
    volume_type: str | None = slot("The type of the EBS volume, such as gp2 or io1.")
