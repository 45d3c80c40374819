"""SnsAlarm."""

from __future__ import annotations

from penstock.definition.slots import slot
from penstock.objects.families import Action


class SnsAlarm(Action):
    """A message that is sent when an object has finished, has failed or is late; `node` is that object."""

    icon = "bell"

    message: str = slot("The text of the message.")
    role: str | None = slot("The IAM role that sends it (AWS only).", for_aws_only=True)
    subject: str = slot("The subject of the message.")
    topic_arn: str = slot("The topic that it is sent to.")
