"""EbsConfiguration."""

from __future__ import annotations

from penstock.definition.slots import slot
from penstock.objects.families import Utility
from penstock.objects.utilities.ebs_block_device_config import EbsBlockDeviceConfig


class EbsConfiguration(Utility):
    """The disks of a group of machines of an EMR cluster (AWS only)."""

    icon = "disk"
    takes_any_field = True

    ebs_block_device_config: list[EbsBlockDeviceConfig] = slot("The disks.")
    ebs_optimized: bool = slot("Whether the machines have bandwidth of their own for the disks.", default=False)
