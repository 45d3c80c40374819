"""Ec2Resource."""

from __future__ import annotations

from penstock.definition.slots import slot
from penstock.objects.families import Resource
from penstock.objects.utilities.http_proxy import HttpProxy


class Ec2Resource(Resource):
    """A machine that activities run on: here a task runner of its own with its own working folder."""

    icon = "machine"

    associate_public_ip_address: bool = slot("Whether the machine has a public address (AWS only).", default=False)
    availability_zone: str | None = slot("The EC2 availability zone (AWS only).")
    http_proxy: HttpProxy | None = slot("The proxy that the machine reaches AWS through (AWS only).")
    image_id: str | None = slot("The machine image (AWS only).")
    instance_count: int = slot("How many machines (AWS only).", default=1)
    instance_type: str | None = slot("The EC2 instance type (AWS only).")
    log_uri: str | None = slot("Where the machine's logs go (AWS only).", unlisted="Use 'pipelineLogUri'.")
    min_instance_count: int | None = slot("The least number of machines (AWS only).")
    resource_role: str | None = slot("The IAM role of the machine (AWS only).", for_aws_only=True)
    role: str | None = slot("The IAM role that creates the machine (AWS only).", for_aws_only=True)
    run_as_user: str | None = slot("The user that runs the task runner (AWS only).")
    security_group_ids: list[str] = slot("EC2 security groups by id (AWS only).")
    security_groups: list[str] = slot("EC2 security groups by name (AWS only).")
    spot_bid_price: str | None = slot("The most to pay for a spot machine (AWS only).")
