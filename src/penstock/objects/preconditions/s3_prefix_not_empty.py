"""S3PrefixNotEmpty."""

from __future__ import annotations

from penstock.definition.slots import slot
from penstock.objects.families import Precondition
from penstock.objects.work import Work


class S3PrefixNotEmpty(Precondition):
    """Holds when any object's key begins with a prefix; asked by the service itself."""

    icon = "check"
    is_system_managed = True

    role: str | None = slot("The IAM role that asks (AWS only).", for_aws_only=True)
    s3_prefix: str = slot("The S3 URI that keys must begin with.")

    def holds(self, work: Work) -> bool:
        """Look for one key with the prefix."""
        return next(iter(work.storage.list(self.s3_prefix)), None) is not None
