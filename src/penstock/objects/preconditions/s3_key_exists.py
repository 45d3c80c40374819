"""S3KeyExists."""

from __future__ import annotations

from penstock.definition.slots import slot
from penstock.objects.families import Precondition
from penstock.objects.work import Work


class S3KeyExists(Precondition):
    """Holds when an object is in storage; asked by the service itself."""

    icon = "check"
    is_system_managed = True

    role: str | None = slot("The IAM role that asks (AWS only).", for_aws_only=True)
    s3_key: str = slot("The S3 URI of the object.")

    def holds(self, work: Work) -> bool:
        """Look for exactly this key."""
        return work.storage.exists(self.s3_key)
