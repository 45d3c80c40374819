"""The operation on alarms, of the service model `penstock`."""

from __future__ import annotations

from penstock.api.call import Answer, Call, Request
from penstock.clock import to_field
from penstock.engine.alarm_targets import Message
from penstock.engine.delivery import try_target

SUBJECT = "A test alarm of Penstock"


def send_test_alarm(call: Call, request: Request) -> Answer:
    """Send a message to every target of a topic; it may take some seconds for each of them."""
    topic = request["topicArn"]
    text = f"{call.by} has asked for it at {to_field(call.engine.clock.now())} UTC. Alarms of {topic} come here."
    targets = []
    for target in call.engine.targets_of(topic):
        problem = try_target(target, Message(topic, SUBJECT, text))
        said = {} if problem is None else {"problem": problem}
        targets.append({"name": target.name, "isDelivered": problem is None, **said})
    return {"targets": targets}
