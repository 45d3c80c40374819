"""EmrCluster."""

from __future__ import annotations

from typing import Literal

from penstock.definition.slots import slot
from penstock.objects.families import Resource
from penstock.objects.utilities.ebs_block_device_config import EbsBlockDeviceConfig
from penstock.objects.utilities.ebs_configuration import EbsConfiguration
from penstock.objects.utilities.emr_configuration import EmrConfiguration
from penstock.objects.utilities.group_configuration import GroupConfiguration
from penstock.objects.utilities.http_proxy import HttpProxy
from penstock.objects.utilities.volume_specification import VolumeSpecification


class EmrCluster(Resource):
    """A cluster that activities run on: here a task runner that runs commands, in a process of its own."""

    icon = "cluster"

    additional_master_security_group_ids: list[str] = slot("EC2 security groups of the master (AWS only).")
    additional_slave_security_group_ids: list[str] = slot("EC2 security groups of the others (AWS only).")
    ami_version: str | None = slot("The EMR machine image (AWS only).")
    applications: list[str] = slot("What to install with a release label (AWS only).")
    availability_zone: str | None = slot("The EC2 availability zone (AWS only).")
    bootstrap_action: list[str] = slot("Scripts that run on each machine first (AWS only).")
    configuration: list[EmrConfiguration] = slot("Configurations of the applications (AWS only).")
    core_ebs_configuration: EbsConfiguration | None = slot("Disks of the core machines (AWS only).")
    core_group_configuration: list[EmrConfiguration | GroupConfiguration] = slot(
        "Configurations of the core machines (AWS only)."
    )
    core_instance_bid_price: str | None = slot("The most to pay for a core machine (AWS only).")
    core_instance_count: int = slot("How many core machines (AWS only).", default=0)
    core_instance_type: str | None = slot("The type of the core machines (AWS only).")
    ebs_block_device_config: list[EbsBlockDeviceConfig] = slot("Disks (AWS only).", name="EbsBlockDeviceConfig")
    volume_specification: list[VolumeSpecification] = slot("Disks (AWS only).", name="VolumeSpecification")
    emr_managed_master_security_group_id: str | None = slot("EMR's security group of the master (AWS only).")
    emr_managed_slave_security_group_id: str | None = slot("EMR's security group of the others (AWS only).")
    enable_debugging: str | None = slot("Whether EMR keeps debugging records (AWS only).")
    emr_log_uri: str | None = slot("Where the cluster's logs go (AWS only).", unlisted="Use 'pipelineLogUri'.")
    hadoop_scheduler_type: (
        Literal["PARALLEL_FAIR_SCHEDULING", "PARALLEL_CAPACITY_SCHEDULING", "DEFAULT_SCHEDULER"] | None
    ) = slot("Hadoop's scheduler (AWS only).")
    hadoop_version: str | None = slot(
        "The version of Hadoop (AWS only).", unlisted="Use 'releaseLabel' or 'amiVersion'."
    )
    http_proxy: HttpProxy | None = slot("The proxy that the machines reach AWS through (AWS only).")
    install_hive: str | None = slot("The version of Hive (AWS only).", unlisted="Use 'applications'.")
    master_ebs_configuration: EbsConfiguration | None = slot("Disks of the master (AWS only).")
    master_group_configuration: list[EmrConfiguration | GroupConfiguration] = slot(
        "Configurations of the master (AWS only)."
    )
    master_instance_bid_price: str | None = slot("The most to pay for the master (AWS only).")
    master_instance_type: str | None = slot("The type of the master (AWS only).")
    release_label: str | None = slot("The EMR release (AWS only).")
    service_access_security_group_id: str | None = slot("EMR's own security group (AWS only).")
    supported_products: list[str] = slot("Third-party software (AWS only).")
    task_ebs_configuration: EbsConfiguration | None = slot("Disks of the task machines (AWS only).")
    task_group_configuration: list[EmrConfiguration | GroupConfiguration] = slot(
        "Configurations of the task machines (AWS only)."
    )
    task_instance_bid_price: str | None = slot("The most to pay for a task machine (AWS only).")
    task_instance_count: int = slot("How many task machines (AWS only).", default=0)
    task_instance_type: str | None = slot("The type of the task machines (AWS only).")
