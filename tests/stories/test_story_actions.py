"""Alarms, lateness and what is said about instances."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from story import (
    SYSTEM,
    Pipe,
    Story,
    activity,
    alarm,
    data_node,
    day,
    exists,
    on_demand,
    ref,
    refs,
    resource,
    schedule,
    scheduled,
)

from penstock.api import alarms, pipelines
from penstock.engine.alarm_targets import Message, NotDelivered, Target, make_targets
from penstock.engine.delivery import deliver_due
from penstock.settings import AlarmSetting, DeliverySettings, Settings
from receivers import http_receiver

AT = "2024-01-01T00:00:00"
A = f"@A_{AT}"


def test_alarms_tell_of_success_and_failure_with_the_nodes_fields(story: Story) -> None:
    good = alarm("Good", "#{node.@id} #{node.@status} #{node.myWord} #{node.@scheduledStartTime}", subject="well")
    bad = alarm("Bad", "#{node.@componentParent}: #{node.errorMessage} #{node.pipelineLogUri}", subject="oh")
    pipe = story.pipeline(
        on_demand(
            good,
            bad,
            activity("A", onSuccess=ref("Good"), onFail=ref("Bad"), myWord="hello"),
            activity("B", onSuccess=ref("Good"), onFail=ref("Bad"), maximumRetries="0"),
            pipelineLogUri="s3://logs/",
        )
    )
    story.work(answer=lambda task: "FINISHED" if task.instance_id == A else "FAILED")
    assert pipe.alarms() == [
        f"well: {A} FINISHED hello 2024-01-01T00:00:00",
        "oh: B: it broke s3://logs/",
    ]
    story.run_due()
    story.new_engine(story.folder).run_due()
    assert len(pipe.alarms()) == 2


def test_an_alarm_goes_out_even_with_an_expression_that_fails(story: Story) -> None:
    pipe = story.pipeline(on_demand(alarm("Good", "#{node.nothing.more} done"), activity("A", onSuccess=ref("Good"))))
    story.work()
    story.run_due()
    (text,) = pipe.alarms()
    assert "done" in text


def test_a_cascade_failure_fires_the_consumers_alarms(story: Story) -> None:
    pipe = story.pipeline(
        on_demand(
            alarm("Bad", "#{node.@id} #{node.@cascadeFailedOn}"),
            activity("A", maximumRetries="0"),
            activity("B", dependsOn=ref("A"), onFail=ref("Bad")),
        )
    )
    story.work(answer=lambda task: "FAILED")
    story.run_due()
    assert pipe.alarms() == [f"subject: @B_{AT} {A}"]


def test_no_alarm_is_fired_while_tries_are_left(story: Story) -> None:
    pipe = story.pipeline(on_demand(alarm("Bad"), activity("A", onFail=ref("Bad"), maximumRetries="1")))
    story.end(story.take(), "FAILED")
    story.later(minutes=10)
    assert pipe.alarms() == []
    story.end(story.take(), "FAILED")
    story.run_due()
    assert len(pipe.alarms()) == 1


def test_what_has_not_ended_in_time_is_late_once_and_goes_on(story: Story) -> None:
    pipe = story.pipeline(
        scheduled(
            alarm("Late", "#{node.@id} is late"), activity("A", lateAfterTimeout="1 hour", onLateAction=ref("Late"))
        )
    )
    task = story.take()
    for _ in range(11):
        story.later(minutes=5)
        story.report(task)
    assert pipe.alarms() == []
    story.later(minutes=5)
    assert pipe.alarms() == [f"subject: {day('A', 1)} is late"]
    assert pipe.status(day("A", 1)) == "RUNNING"
    for _ in range(3):
        story.later(minutes=5)
        story.report(task)
    assert len(pipe.alarms()) == 1
    story.end(task)
    assert pipe.status(day("A", 1)) == "FINISHED"


def test_what_has_ended_in_time_is_never_late(story: Story) -> None:
    late = activity("A", lateAfterTimeout="1 hour", onLateAction=ref("Late"))
    pipe = story.pipeline(scheduled(alarm("Late"), late))
    story.work()
    story.later(hours=2)
    assert pipe.alarms() == []


def test_nothing_on_demand_is_ever_late(story: Story) -> None:
    pipe = story.pipeline(
        on_demand(alarm("Late"), activity("A", lateAfterTimeout="1 minute", onLateAction=ref("Late")))
    )
    story.later(hours=2)
    assert pipe.alarms() == []
    assert pipe.status(A) == "WAITING_FOR_RUNNER"


def test_whatever_waits_says_why(story: Story) -> None:
    pipe = story.pipeline(
        scheduled(
            schedule("Weekly", "1 week"),
            resource("R"),
            exists("P"),
            data_node("D", precondition=ref("P")),
            activity("OnResource", runsOn=ref("R")),
            activity("Waits", input=ref("D")),
            activity("Later", schedule=ref("Weekly"), dependsOn=ref("Waits")),
            activity("Alone", workerGroup="nobody"),
        )
    )
    for _ in range(2):
        for instance in pipe.instances():
            if instance.ended_at is None and instance.status != "RUNNING":
                assert pipe.why(instance.instance_id), instance
            else:
                assert pipe.why(instance.instance_id) == []
        story.work()
    assert pipe.why(day("Alone", 1)) == ["No task runner of worker group 'nobody' has taken it yet."]
    assert pipe.why(day("OnResource", 1)) == [f"{day('R', 1)} is CREATING."]
    assert f"{day('Waits', 2)} has not been made yet." in pipe.why(day("Later", 1))
    assert pipe.why(day("R", 1)) == ["No task runner of worker group 'penstock:system' has taken it yet."]
    story.take(SYSTEM)
    assert pipe.why(day("R", 1)) == ["Its task runner has not called yet."]


class Receiver:
    """A target that is scripted: it takes what comes, but for the tries that it is told to refuse."""

    def __init__(self, name: str, *refusals: str) -> None:
        self.name = name
        self.refusals = list(refusals)
        self.tries: list[tuple[datetime, Message]] = []

    def target(self, story: Story) -> Target:
        def send(message: Message) -> None:
            self.tries.append((story.clock.now(), message))
            if self.refusals:
                raise NotDelivered(self.refusals.pop(0))

        return Target(self.name, send)


def failing(story: Story, *receivers: Receiver, **fields: str) -> Pipe:
    """A pipeline whose one activity has just failed, and whose alarm goes to these receivers."""
    targets = [receiver.target(story) for receiver in receivers]
    story.engine.targets_of = lambda topic: targets
    bad = alarm("Bad", "#{node.@id} broke", subject="oh", **fields)
    pipe = story.pipeline(on_demand(bad, activity("A", onFail=ref("Bad"), maximumRetries="0")))
    story.work(answer=lambda task: "FAILED")
    return pipe


def alarm_events(pipe: Pipe) -> list[tuple[str, str]]:
    return [(event.to_status, event.detail) for event in pipe.events("ALARM")]


def test_an_alarm_is_sent_once_outside_of_the_engines_loop_and_recorded(story: Story) -> None:
    mail = Receiver("mailto://here")
    pipe = failing(story, mail)
    assert story.woken_by_alarms == 1
    story.engine.run_due()
    assert (mail.tries, alarm_events(pipe)) == ([], [])
    assert pipe.alarms_to_deliver(A) == ["The alarm Bad is still to be delivered."]
    story.run_due()
    story.run_due()
    assert [message for _, message in mail.tries] == [Message("arn:topic", "oh", f"{A} broke")]
    assert alarm_events(pipe) == [("DELIVERED", f"oh: {A} broke (delivered to mailto://here)")]
    assert pipe.events("ALARM")[0].object_id == A
    assert pipe.alarms_to_deliver(A) == []


def test_a_real_webhook_that_fails_twice_gets_the_alarm_with_the_third_try(story: Story) -> None:
    with http_receiver() as http:
        http.answer((500, ""), (500, ""), (200, ""))
        pipe = failing(story, Receiver("mail"))
        hook = f"json://127.0.0.1:{http.port}"
        settings = Settings(alarms={"arn:topic": AlarmSetting((f"{hook}/secret-path",))})
        story.engine.targets_of = make_targets(settings, None)
        story.until("2024-01-01T00:00:05")
        assert pipe.alarms_to_deliver(A)[0].endswith("The next one is due at 2024-01-01T00:00:06.")
        story.later(seconds=1)
    titles = [json.loads(request.body)["title"] for request in http.received]
    assert titles == ["oh", "oh", "oh"]
    assert [status for status, _ in alarm_events(pipe)] == ["NOT_DELIVERED", "NOT_DELIVERED", "DELIVERED"]
    first, second, last = (detail for _, detail in alarm_events(pipe))
    assert first.startswith(f"oh (not delivered to {hook}: ")
    assert "500" in first
    assert first.endswith("; tried again at 2024-01-01T00:00:01)")
    assert second.endswith("; tried again at 2024-01-01T00:00:06)")
    assert last == f"oh: {A} broke (delivered to {hook})"


def test_what_is_never_taken_is_tried_with_growing_pauses_and_given_up_after_a_day(story: Story) -> None:
    mail = Receiver("mail", *["away"] * 100)
    pipe = failing(story, mail)
    story.later(days=3)
    moments = [moment for moment, _ in mail.tries]
    pauses = [(after - before).total_seconds() for before, after in pairwise(moments)]
    assert pauses == [1, 5, 30, 300, 1800, 7200, 21600, 54000]
    assert [status for status, _ in alarm_events(pipe)] == ["NOT_DELIVERED"] * 8 + ["GIVEN_UP"]
    assert alarm_events(pipe)[-1][1] == f"oh: {A} broke (given up after 9 tries: mail: away)"
    assert pipe.alarms_to_deliver(A) == []


def test_the_pauses_are_a_setting(story: Story) -> None:
    mail = Receiver("mail", *["away"] * 100)
    pipe = failing(story, mail)
    story.engine.settings = replace(story.engine.settings, delivery=DeliverySettings(pauses=(60,)))
    story.later(hours=1)
    assert [status for status, _ in alarm_events(pipe)] == ["NOT_DELIVERED", "GIVEN_UP"]
    assert len(mail.tries) == 2


def test_only_the_targets_that_have_not_taken_it_are_tried_again(story: Story) -> None:
    mail, chat = Receiver("mail"), Receiver("chat", "busy")
    pipe = failing(story, mail, chat)
    story.later(hours=1)
    assert (len(mail.tries), len(chat.tries)) == (1, 2)
    assert alarm_events(pipe) == [
        ("NOT_DELIVERED", "oh (delivered to mail) (not delivered to chat: busy; tried again at 2024-01-01T00:00:01)"),
        ("DELIVERED", f"oh: {A} broke (delivered to mail, chat)"),
    ]


def test_two_servers_do_not_send_the_same_alarm_at_the_same_moment(story: Story) -> None:
    other = story.new_engine(story.folder)
    mail = Receiver("mail")
    pipe = failing(story, mail)
    target = mail.target(story)

    def send_while_the_other_looks(message: Message) -> None:
        deliver_due(other)
        target.send(message)

    other.targets_of = lambda topic: [target]
    story.engine.targets_of = lambda topic: [Target("mail", send_while_the_other_looks)]
    story.run_due()
    assert len(mail.tries) == 1
    assert [status for status, _ in alarm_events(pipe)] == ["DELIVERED"]


def test_what_a_server_has_not_recorded_when_it_dies_is_sent_again_after_its_lease(story: Story) -> None:
    mail = Receiver("mail")
    pipe = failing(story, mail)

    def die(message: Message) -> None:
        raise KeyboardInterrupt

    targets_of, story.engine.targets_of = story.engine.targets_of, lambda topic: [Target("mail", die)]
    with pytest.raises(KeyboardInterrupt):
        story.run_due()
    story.engine.targets_of = targets_of
    story.later(seconds=119)
    assert mail.tries == []
    story.later(seconds=1)
    assert len(mail.tries) == 1
    assert [status for status, _ in alarm_events(pipe)] == ["DELIVERED"]


def test_an_alarm_with_which_every_server_dies_is_given_up(story: Story) -> None:
    def die(message: Message) -> None:
        raise KeyboardInterrupt

    pipe = failing(story, Receiver("mail"))
    story.engine.targets_of = lambda topic: [Target("mail", die)]
    deaths = 0
    for _ in range(20):
        try:
            story.later(minutes=10)
        except KeyboardInterrupt:
            deaths += 1
    assert deaths == 9
    ((status, detail),) = alarm_events(pipe)
    assert status == "GIVEN_UP"
    assert detail == f"oh: {A} broke (given up after 9 tries: all others: The server ended while it was trying.)"


def test_a_server_that_was_too_slow_does_not_record_what_another_has_tried(story: Story) -> None:
    other = story.new_engine(story.folder)
    quick = Receiver("mail")
    pipe = failing(story, quick)
    other.targets_of = story.engine.targets_of

    def slow(message: Message) -> None:
        story.clock.moment += timedelta(minutes=11)
        deliver_due(other)
        raise NotDelivered("too late")

    story.engine.targets_of = lambda topic: [Target("mail", slow)]
    story.run_due()
    assert len(quick.tries) == 1
    assert [status for status, _ in alarm_events(pipe)] == ["DELIVERED"]


def test_alarms_that_wait_go_with_their_pipeline(story: Story) -> None:
    mail = Receiver("mail", "away")
    pipe = failing(story, mail)
    story.run_due()
    pipelines.delete_pipeline(story.call(), {"pipelineId": pipe.id})
    story.later(hours=1)
    assert len(mail.tries) == 1


def test_texts_are_cut_to_what_sns_takes(story: Story) -> None:
    mail = Receiver("mail")
    targets = [mail.target(story)]
    story.engine.targets_of = lambda topic: targets
    long = alarm("Long", "#{node.myEmpty}", subject="#{node.myLong}")
    story.pipeline(on_demand(long, activity("A", onSuccess=ref("Long"), myLong="two\nlines " * 20, myEmpty=" ")))
    story.work()
    story.run_due()
    ((_, message),) = mail.tries
    assert message.subject == ("two lines " * 20)[:96] + "..."


def test_an_admin_tries_every_target_of_a_topic(story: Story) -> None:
    receivers = Receiver("mail"), Receiver("chat", "busy")
    targets = [receiver.target(story) for receiver in receivers]
    story.engine.targets_of = lambda topic: targets if topic == "arn:topic" else ()
    assert alarms.send_test_alarm(story.call(), {"topicArn": "arn:topic"}) == {
        "targets": [
            {"name": "mail", "isDelivered": True},
            {"name": "chat", "isDelivered": False, "problem": "busy"},
        ]
    }
    ((_, message),) = receivers[0].tries
    assert message.text == "tester has asked for it at 2024-01-01T00:00:00 UTC. Alarms of arn:topic come here."
    assert alarms.send_test_alarm(story.call(), {"topicArn": "other"}) == {"targets": []}


TERMINATE = {"id": "Stop", "name": "Stop", "type": "Terminate"}


def late(identity: str, *actions: str, **fields: Any) -> dict[str, Any]:
    """An activity that is late after an hour."""
    return activity(identity, lateAfterTimeout="1 hour", onLateAction=refs(*actions), **fields)


def test_terminate_cancels_what_runs_too_long(story: Story) -> None:
    pipe = story.pipeline(
        scheduled(
            TERMINATE,
            alarm("Late", "#{node.@status}"),
            alarm("Bad", "#{node.@status} #{node.cancellationReason}"),
            late("A", "Stop", "Late", onFail=ref("Bad"), attemptTimeout="1 day", reportProgressTimeout="1 day"),
            activity("B", dependsOn=ref("A")),
        )
    )
    task = story.take()
    story.later(minutes=59)
    assert pipe.status(day("A", 1)) == "RUNNING"
    story.later(minutes=1)
    reason = "It had not ended by its lateAfterTimeout, and its onLateAction is a Terminate."
    assert pipe.status(day("A", 1)) == "CANCELED"
    assert pipe.fields(day("A", 1))["cancellationReason"] == [reason]
    assert story.report(task), "its task runner is told"
    assert pipe.status(day("B", 1)) == "CASCADE_FAILED"
    assert pipe.alarms() == ["subject: RUNNING", f"subject: CANCELED {reason}"]


def test_terminate_cancels_what_has_not_started_and_lets_what_has_ended_be(story: Story) -> None:
    pipe = story.pipeline(scheduled(TERMINATE, late("A", "Stop"), late("B", "Stop", workerGroup="nobody")))
    story.work()
    story.later(hours=2)
    assert (pipe.status(day("A", 1)), pipe.status(day("B", 1))) == ("FINISHED", "CANCELED")


def test_terminate_cancels_a_data_node_and_a_resource_with_what_runs_on_it(story: Story) -> None:
    node = data_node("D", precondition=ref("P"), lateAfterTimeout="1 hour", onLateAction=ref("Stop"))
    host = resource("R", lateAfterTimeout="1 hour", onLateAction=ref("Stop"))
    pipe = story.pipeline(scheduled(TERMINATE, exists("P"), node, host, activity("A", runsOn=ref("R"))))
    story.take(SYSTEM)
    story.later(hours=1)
    ended = {pipe.status(day(name, 1)) for name in ("D", "R", "A")}
    assert ended == {"CANCELED"}
    assert pipe.fields(day("A", 1))["cancellationReason"] == ["The resource failed."]


def test_what_terminate_has_cancelled_may_be_run_again(story: Story) -> None:
    pipe = story.pipeline(scheduled(TERMINATE, late("A", "Stop")))
    story.later(hours=1)
    pipe.set_status("RERUN", day("A", 1))
    story.later(hours=1)
    story.work()
    assert pipe.status(day("A", 1)) == "FINISHED"


def test_terminate_does_nothing_to_what_has_ended(story: Story) -> None:
    pipe = story.pipeline(on_demand(TERMINATE, activity("A", onSuccess=ref("Stop"))))
    story.work()
    assert pipe.status(A) == "FINISHED"
